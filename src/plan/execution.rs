//! Which mode a level is computed in, and how it is cut, so that it fits the memory.

use super::levels::{Execution, Level, Visits};
use super::machine::Machine;
use super::memory::{
    BESIDE_GPUS, VECTOR, canvas_bytes_per_pixel, fixed_bytes, gpu_bytes, gpu_kept_bytes_per_pixel,
    kept_bytes_per_pixel, region_bytes_per_pixel, step_bytes_per_pixel,
};
use crate::config::{Core, Method, Settings, TilingMargins, TilingMode};
use crate::format::gib;
use crate::network::cpu::BitwiseMargins;
use crate::objective::Spec;
use crate::tiling::{EXACT_ALIGNMENT, Grid, Margins};

/// Pairs that L-BFGS keeps where memory allows.
const HISTORY: usize = 100;
/// Histories are not made shorter than this while tiles can be made smaller, down to [`GOOD_CORE`].
const FEW_PAIRS: usize = 5;
/// The fewest pairs that are still worth having: below, blocks mode with its small optimisers is
/// the better choice.
const LEAST_HISTORY: usize = 3;
/// Down to this core, px, tiles do not cost much more than the whole.
const GOOD_CORE: usize = 768;
/// The smallest core that exact mode is worth: below, a tile is mostly margin.
const LEAST_CORE: usize = 256;
/// Evaluations of a tile in one round.
const VISIT: usize = 20;
/// How far a tile moves beyond its core, px: more evens the blend out and is computed twice.
const OVERLAP: usize = 48;
/// The largest core in blocks and feathered mode, px: a visit is lost whole when it is interrupted.
const BLOCK_CORE: usize = 1280;

/// How a level is computed, and what that takes.
#[derive(Clone, Debug, PartialEq)]
pub struct Chosen {
    /// Mode and sizes.
    pub execution: Execution,
    /// Estimate of the peak memory, bytes.
    pub memory_bytes: u64,
    /// Why, in words.
    pub reason: String,
    /// Estimate of the peak memory of each GPU, bytes; 0 without.
    pub gpu_bytes: u64,
    /// Whether canvas and optimiser are there as well.
    pub held_on_gpu: bool,
}

/// What is missing for a level.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Short {
    /// The least that it takes, bytes.
    pub needed: u64,
    /// Whether that is a GPU's memory.
    pub on_gpu: bool,
}

/// What a way of computing a level takes, bytes.
struct Taken {
    /// While the loss is evaluated.
    evaluation: u64,
    /// While the optimiser makes its step: a canvas in tiles gives the tiles' memory back in
    /// between.
    step: u64,
    gpu_bytes: u64,
    held_on_gpu: bool,
}

impl Taken {
    fn most(&self) -> u64 {
        self.evaluation.max(self.step)
    }

    /// What of it there is too little of.
    fn short_of(&self, machine: &Machine) -> Option<Short> {
        if let Some(gpus) = machine.gpus
            && self.gpu_bytes > gpus.memory_bytes
        {
            return Some(Short { needed: self.gpu_bytes, on_gpu: true });
        }
        (self.most() > machine.memory_bytes).then(|| Short { needed: self.most(), on_gpu: false })
    }
}

/// What a level is chosen for.
#[derive(Clone, Copy)]
pub struct Needs<'a> {
    /// The settings.
    pub settings: &'a Settings,
    /// The loss.
    pub spec: &'a Spec,
    /// Bytes that are taken all the while: the photograph.
    pub held: u64,
    /// The memory there is.
    pub machine: Machine,
}

impl Needs<'_> {
    /// Tiles in work at once.
    fn workers(&self) -> usize {
        self.machine.gpus.map_or_else(|| self.settings.compute.workers(), |gpus| gpus.count)
    }

    /// What exact mode takes with tiles of `region` px, one of which is all of the `pixels` px if
    /// `whole`.
    fn exact(&self, (region, pixels, whole): (f64, f64, bool), history: usize) -> Taken {
        let Needs { spec, held, .. } = *self;
        let (canvas, step) = (
            canvas_bytes_per_pixel(spec, history) * pixels,
            step_bytes_per_pixel(spec, history) * pixels,
        );
        let bytes = |bytes: f64| held + bytes as u64;
        if let Some(gpus) = self.machine.gpus {
            let (fixed, per_pixel) = gpu_bytes(spec, gpus.value_bytes);
            let in_work = fixed + (per_pixel * region) as u64;
            let all = in_work + step as u64;
            if gpus.count == 1 && all <= gpus.memory_bytes {
                // What goes over to be written, and what comes back to be gone on from.
                let beside = BESIDE_GPUS + bytes(3.0 * VECTOR * pixels);
                return Taken {
                    evaluation: beside,
                    step: beside,
                    gpu_bytes: all,
                    held_on_gpu: true,
                };
            }
            let [evaluation, step] = [canvas, step].map(|state| BESIDE_GPUS + bytes(state));
            return Taken { evaluation, step, gpu_bytes: in_work, held_on_gpu: false };
        }
        let [evaluation, step] = if whole {
            [step + region_bytes_per_pixel(spec) * pixels; 2]
        } else {
            [canvas + region_bytes_per_pixel(spec) * self.workers() as f64 * region, step]
        }
        .map(|state| fixed_bytes(spec) + bytes(state));
        Taken { evaluation, step, gpu_bytes: 0, held_on_gpu: false }
    }

    /// What a visit takes to a tile that sees `region` px.
    fn visit(&self, region: f64, history: usize) -> Taken {
        let Needs { spec, held, .. } = *self;
        let (workers, step) = (self.workers() as f64, step_bytes_per_pixel(spec, history));
        let (bytes, gpu_bytes) = match self.machine.gpus {
            Some(gpus) => {
                let (fixed, per_pixel) = gpu_bytes(spec, gpus.value_bytes);
                (
                    BESIDE_GPUS + (4.0 * VECTOR * workers * region) as u64,
                    fixed + ((per_pixel + step) * region) as u64,
                )
            }
            None => (
                fixed_bytes(spec)
                    + ((region_bytes_per_pixel(spec) + step) * workers * region) as u64,
                0,
            ),
        };
        Taken { evaluation: held + bytes, step: held + bytes, gpu_bytes, held_on_gpu: false }
    }
}

/// Chooses for one level within the memory. `Err` holds what exact or block-wise computing would
/// take at least.
pub fn choose(level: &Level, needs: &Needs<'_>) -> Result<Chosen, Short> {
    match needs.settings.tiling.mode {
        TilingMode::Exact => exact(level, needs),
        TilingMode::Blocks => visits(level, needs, false, "asked for".into()),
        TilingMode::Feathered => visits(level, needs, true, "asked for".into()),
        TilingMode::Auto => exact(level, needs).or_else(|least| {
            let why = format!(
                "exact mode would take {:.1} GiB{}",
                gib(least.needed),
                if least.on_gpu { " of a GPU" } else { "" }
            );
            visits(level, needs, false, why).map_err(|needed| needed.min(least))
        }),
    }
}

/// The longest history and the largest core that fit; a whole level with a shorter history goes
/// before tiles.
fn exact(level: &Level, needs: &Needs<'_>) -> Result<Chosen, Short> {
    let Needs { settings, spec, machine, .. } = *needs;
    let (width, height) = (level.width, level.height);
    let pixels = (width * height) as f64;
    let most = match settings.optimise.method {
        Method::Adam => 1,
        // A pair needs two evaluations, so a level never fills more than one less than it has.
        Method::Lbfgs => settings
            .optimise
            .history
            .map_or(HISTORY, |h| h as usize)
            .min(level.evaluations.saturating_sub(1))
            .max(1),
    };
    let asked = settings.optimise.history.is_some();
    let margin = exact_margin(settings, spec);
    let taken = |core: usize, history: usize| {
        let side = |length: usize| (core + 2 * margin).min(length) as f64;
        needs.exact((side(width) * side(height), pixels, core >= width.max(height)), history)
    };
    let whole = width.max(height);
    let tiles =
        (LEAST_CORE.next_multiple_of(EXACT_ALIGNMENT)..whole).step_by(EXACT_ALIGNMENT).rev();
    let cores: Vec<usize> = match settings.tiling.core {
        Core::Side(side) => vec![side.0 as usize],
        Core::Auto => std::iter::once(whole).chain(tiles).collect(),
    };
    let mut least: Option<Short> = None;
    for (fewest, smallest) in [(FEW_PAIRS, GOOD_CORE), (LEAST_HISTORY, 0)] {
        for core in cores.iter().copied().filter(|core| *core >= smallest.min(whole)) {
            // Shorter histories are tried before smaller cores.
            let mut history = most;
            loop {
                let short = taken(core, history).short_of(&machine);
                let Some(short) = short else {
                    let core = if settings.tiling.core == Core::Auto {
                        balanced(core, width, height)
                    } else {
                        core
                    };
                    let Taken { evaluation, step, gpu_bytes, held_on_gpu } = taken(core, history);
                    let (memory_bytes, gpu_bytes, keep) = match machine.gpus {
                        Some(gpus) => {
                            let (keep, beside) = kept(
                                level,
                                needs,
                                core,
                                gpus.memory_bytes.saturating_sub(gpu_bytes),
                            );
                            (evaluation.max(step), gpu_bytes + beside, keep)
                        }
                        None => {
                            let (keep, beside) = kept(
                                level,
                                needs,
                                core,
                                machine.memory_bytes.saturating_sub(evaluation),
                            );
                            ((evaluation + beside).max(step), 0, keep)
                        }
                    };
                    let reason = if core >= whole {
                        "the level fits as a whole"
                    } else {
                        "the largest tiles that fit"
                    };
                    let reason = if history < most {
                        format!("{reason}, with {history} pairs")
                    } else {
                        reason.into()
                    };
                    let execution = Execution::Exact { core, history, keep };
                    return Ok(Chosen { execution, memory_bytes, reason, gpu_bytes, held_on_gpu });
                };
                least = Some(least.map_or(short, |least| least.min(short)));
                if asked || history <= fewest.min(most) {
                    break;
                }
                history = (history / 2).max(fewest.min(most));
            }
        }
    }
    Err(least.unwrap_or(NOTHING))
}

/// What is missing where nothing was tried.
const NOTHING: Short = Short { needed: u64::MAX, on_gpu: false };

/// How many tiles can be kept between the two sweeps in `room` bytes beside the tiles in work, and
/// the bytes they take. One worker by itself has the last tile in its hands anyway.
fn kept(level: &Level, needs: &Needs<'_>, core: usize, room: u64) -> (usize, u64) {
    let (spec, workers, margin) =
        (needs.spec, needs.workers(), exact_margin(needs.settings, needs.spec));
    let per_pixel = match needs.machine.gpus {
        Some(gpus) => gpu_kept_bytes_per_pixel(spec, gpus.value_bytes),
        None => kept_bytes_per_pixel(spec),
    };
    let grid = Grid::new(level.width, level.height, core);
    let free = usize::from(workers == 1 || grid.len() == 1);
    let largest =
        grid.tiles().map(|tile| tile.region(margin, level.width, level.height).area()).max();
    let each = (per_pixel * largest.unwrap_or(1) as f64) as u64;
    let more = ((room / each.max(1)) as usize).min(grid.len() - free);
    (free + more, each * more as u64)
}

/// The smallest core that needs no more tiles than `core` does: tiles of one size instead of a
/// narrow last column.
fn balanced(core: usize, width: usize, height: usize) -> usize {
    if core >= width.max(height) {
        return core;
    }
    let even = |length: usize| length.div_ceil(length.div_ceil(core));
    even(width).max(even(height)).next_multiple_of(EXACT_ALIGNMENT).min(core)
}

fn visits(
    level: &Level,
    needs: &Needs<'_>,
    feathered: bool,
    reason: String,
) -> Result<Chosen, Short> {
    let Needs { settings, spec, machine, .. } = *needs;
    let tiling = &settings.tiling;
    let visit = tiling.visit.map_or(VISIT.min(level.evaluations), |visit| visit as usize).max(1);
    let rounds = tiling
        .rounds
        .map_or_else(|| level.evaluations.div_ceil(visit).max(2), |rounds| rounds as usize);
    let overlap = tiling.overlap.map_or(OVERLAP, |overlap| overlap.0 as usize);
    let history = settings.optimise.history.map_or(visit, |h| h as usize).min(visit);
    let margin = margins(spec).gradient;
    let (width, height) = (level.width, level.height);
    let taken = |core: usize| {
        let side = |length: usize| (core + 2 * (overlap + margin)).min(length) as f64;
        needs.visit(side(width) * side(height), history)
    };
    let cores: Vec<usize> = match tiling.core {
        Core::Side(side) => vec![side.0 as usize],
        Core::Auto => {
            (2..=BLOCK_CORE / EXACT_ALIGNMENT).rev().map(|step| step * EXACT_ALIGNMENT).collect()
        }
    };
    let mut least: Option<Short> = None;
    for core in cores {
        let taken = taken(core);
        let Some(short) = taken.short_of(&machine) else {
            let visits = Visits { core, overlap, rounds, visit, history };
            let execution =
                if feathered { Execution::Feathered(visits) } else { Execution::Blocks(visits) };
            let (memory_bytes, gpu_bytes) = (taken.most(), taken.gpu_bytes);
            return Ok(Chosen { execution, memory_bytes, reason, gpu_bytes, held_on_gpu: false });
        };
        least = Some(least.map_or(short, |least| least.min(short)));
    }
    Err(least.unwrap_or(NOTHING))
}

/// How far a tile's region reaches beyond its core in exact mode, px.
pub fn exact_margin(settings: &Settings, spec: &Spec) -> usize {
    match (settings.tiling.margins, spec.deepest()) {
        (TilingMargins::Bitwise, Some(deepest)) => BitwiseMargins::new(deepest).gradient,
        _ => margins(spec).gradient,
    }
}

/// How far a tile's region reaches beyond its core, as exactness asks.
pub fn margins(spec: &Spec) -> Margins {
    let taps = spec
        .content_taps()
        .chain(spec.style_taps())
        .map(|(layer, _)| (layer.reach(), layer.stride()));
    Margins::for_taps(taps)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;
    use crate::plan::{Gpus, levels, resolve_spec};

    fn settings(keys: &[&str]) -> Settings {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("a.png"), "x").expect("written");
        let file = folder.path().join("p.toml");
        std::fs::write(&file, "input.content = 'a.png'\nstyle.image = 'a.png'\n").expect("written");
        let keys: Vec<String> = keys.iter().map(|key| key.to_string()).collect();
        config::load(&file, &keys).expect("a pipeline").variants[0].settings.clone()
    }

    fn last(keys: &[&str], side: usize, budget_gib: f64) -> Result<Chosen, Short> {
        on(Machine::from((budget_gib * (1u64 << 30) as f64) as u64), keys, side)
    }

    fn on(machine: Machine, keys: &[&str], side: usize) -> Result<Chosen, Short> {
        let settings = settings(keys);
        let spec = resolve_spec(&settings.objective);
        let level = levels((side, side), &settings.pyramid).pop().expect("a level");
        let held = 12 * (side * side) as u64;
        choose(&level, &Needs { settings: &settings, spec: &spec, held, machine })
    }

    #[test]
    fn a_gpu_holds_the_canvas_where_it_can_and_tiles_where_it_cannot() {
        let chosen = |count: usize, gpu: u64, side: usize| {
            let gpus = Some(Gpus { count, memory_bytes: gpu << 30, value_bytes: 4 });
            let chosen = on(Machine { memory_bytes: 64 << 30, gpus }, &[], side).expect("it fits");
            assert!(chosen.gpu_bytes <= gpu << 30 && chosen.memory_bytes <= 64 << 30, "{chosen:?}");
            chosen
        };
        let large = chosen(1, 75, 3000);
        assert!(
            large.held_on_gpu
                && matches!(large.execution, Execution::Exact { core: 3000, history: 65, .. }),
            "{large:?}"
        );
        // A small one has the tiles alone.
        let small = chosen(1, 8, 6000);
        assert!(
            !small.held_on_gpu
                && matches!(small.execution, Execution::Exact { core: 256..=1536, .. }),
            "{small:?}"
        );
        // Several share nothing but this machine's memory.
        let several = chosen(2, 75, 3000);
        assert!(!several.held_on_gpu && several.memory_bytes > large.memory_bytes, "{several:?}");
        let gpus = Some(Gpus { count: 1, memory_bytes: 1 << 30, value_bytes: 4 });
        let short =
            on(Machine { memory_bytes: 64 << 30, gpus }, &[], 3000).expect_err("too small a GPU");
        assert!(short.on_gpu && short.needed > 1 << 30, "{short:?}");
    }

    #[test]
    fn a_shrinking_budget_shortens_the_history_then_cuts_tiles_then_turns_to_blocks() {
        let chosen = |gib: f64| last(&[], 3000, gib).expect("it fits");
        assert!(
            matches!(chosen(20.0).execution, Execution::Exact { core: 3000, history: 65, .. }),
            "{:?}",
            chosen(20.0)
        );
        assert!(
            matches!(chosen(8.0).execution, Execution::Exact { core: 3000, history: 8 | 16, .. }),
            "{:?}",
            chosen(8.0)
        );
        assert!(
            matches!(chosen(4.0).execution, Execution::Exact { core: ..=1536, history: 5.., .. }),
            "{:?}",
            chosen(4.0)
        );
        assert!(matches!(chosen(2.0).execution, Execution::Blocks(_)), "{:?}", chosen(2.0));
        for gib in [20.0, 8.0, 4.0, 2.0] {
            assert!(chosen(gib).memory_bytes as f64 <= gib * (1u64 << 30) as f64);
        }
        let least = last(&[], 3000, 0.7).expect_err("too little");
        assert!(gib(least.needed) > 0.7 && gib(least.needed) < 2.0 && !least.on_gpu);
    }

    #[test]
    fn what_is_asked_for_is_done() {
        let mode = |keys: &[&str]| last(keys, 1000, 64.0).expect("it fits").execution;
        assert!(matches!(mode(&["tiling.core-px=256"]), Execution::Exact { core: 256, .. }));
        assert!(matches!(
            mode(&["optimise.history=7"]),
            Execution::Exact { core: 1000, history: 7, .. }
        ));
        let keys = [
            "tiling.mode=blocks",
            "tiling.rounds=3",
            "tiling.visit=9",
            "tiling.overlap-px=32",
            "tiling.core-px=128",
        ];
        assert_eq!(
            mode(&keys),
            Execution::Blocks(Visits { core: 128, overlap: 32, rounds: 3, visit: 9, history: 9 })
        );
        assert!(matches!(mode(&["tiling.mode=feathered"]), Execution::Feathered(_)));
    }

    #[test]
    fn margins_that_keep_every_bit_take_more_memory_and_cores_of_whole_tiles() {
        let chosen = |margins: &str, gib: f64| {
            last(&[margins, "optimise.history=5"], 3000, gib).expect("it fits")
        };
        let (exact, bitwise) =
            (chosen("tiling.margins=exact", 4.0), chosen("tiling.margins=bitwise", 4.0));
        let (Execution::Exact { core: wide, .. }, Execution::Exact { core: narrow, .. }) =
            (exact.execution, bitwise.execution)
        else {
            panic!("{exact:?}, {bitwise:?}")
        };
        assert!(narrow < wide && narrow.is_multiple_of(EXACT_ALIGNMENT), "{narrow} and {wide} px");
        let least = |margins: &str| {
            last(&["tiling.mode=exact", margins], 3000, 0.7).expect_err("too little")
        };
        assert!(least("tiling.margins=bitwise") > least("tiling.margins=exact"));
        // Blocks mode does not use them.
        let blocks =
            |margins: &str| last(&["tiling.mode=blocks", margins], 3000, 2.0).expect("it fits");
        assert_eq!(blocks("tiling.margins=bitwise"), blocks("tiling.margins=exact"));
    }

    #[test]
    fn tiles_are_of_one_size() {
        assert_eq!(balanced(1472, 3000, 3000), 1024);
        assert_eq!(balanced(3000, 3000, 2000), 3000);
        assert_eq!(balanced(1024, 2048, 1000), 1024);
    }
}
