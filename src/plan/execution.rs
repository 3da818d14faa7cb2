//! Which mode a level is computed in, and how it is cut, so that it fits the memory.

use super::footprint::{Constraints, Footprint, Shortage};
use super::levels::{Execution, Level, RoundMode, Visits};
use crate::config::{Method, OrAuto, TilingMode};
use crate::format;
use crate::geometry::GRID;

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
pub struct ExecutionPlan {
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

/// What is missing where nothing was tried.
const NOTHING_TRIED: Shortage = Shortage { needed: u64::MAX, on_gpu: false };

/// Chooses for one level within the memory. `Err` holds what exact or block-wise computing would
/// take at least.
pub(super) fn choose(
    level: &Level,
    constraints: &Constraints<'_>,
) -> Result<ExecutionPlan, Shortage> {
    let rounds = |mode, reason| rounds(level, constraints, mode, reason);
    match constraints.settings.tiling.mode {
        TilingMode::Exact => exact(level, constraints),
        TilingMode::Blocks => rounds(RoundMode::Blocks, "asked for".into()),
        TilingMode::Feathered => rounds(RoundMode::Feathered, "asked for".into()),
        TilingMode::Auto => exact(level, constraints).or_else(|least| {
            let where_ = if least.on_gpu { " of a GPU" } else { "" };
            let why = format!("exact mode would take {}{where_}", format::bytes(least.needed));
            rounds(RoundMode::Blocks, why).map_err(|needed| needed.min(least))
        }),
    }
}

/// The longest history and the largest core that fit; a whole level with a shorter history goes
/// before tiles.
fn exact(level: &Level, constraints: &Constraints<'_>) -> Result<ExecutionPlan, Shortage> {
    let (width, height) = (level.width, level.height);
    let most = longest_history(level, constraints);
    let asked = constraints.settings.optimise.history.is_some();
    let whole = width.max(height);
    let tiles = (LEAST_CORE.next_multiple_of(GRID)..whole).step_by(GRID).rev();
    let cores: Vec<usize> = match constraints.settings.tiling.core_px {
        OrAuto::Value(side) => vec![side.0 as usize],
        OrAuto::Auto => std::iter::once(whole).chain(tiles).collect(),
    };
    let mut least = NOTHING_TRIED;
    for (fewest, smallest) in [(FEW_PAIRS, GOOD_CORE), (LEAST_HISTORY, 0)] {
        for core in cores.iter().copied().filter(|core| *core >= smallest.min(whole)) {
            // Shorter histories are tried before smaller cores.
            let mut history = most;
            loop {
                let footprint = exact_footprint(level, constraints, core, history);
                match footprint.shortage(&constraints.machine) {
                    None => return Ok(exact_plan(level, constraints, core, (history, most))),
                    Some(shortage) => least = least.min(shortage),
                }
                if asked || history <= fewest.min(most) {
                    break;
                }
                history = (history / 2).max(fewest.min(most));
            }
        }
    }
    Err(least)
}

/// The most pairs that are kept.
fn longest_history(level: &Level, constraints: &Constraints<'_>) -> usize {
    let settings = &constraints.settings.optimise;
    match settings.method {
        Method::Adam => 1,
        // A pair needs two evaluations, so a level never fills more than one less than it has.
        Method::Lbfgs => settings
            .history
            .map_or(HISTORY, |history| history as usize)
            .min(level.evaluations.saturating_sub(1))
            .max(1),
    }
}

/// What exact mode takes with cores of `core` px.
fn exact_footprint(
    level: &Level,
    constraints: &Constraints<'_>,
    core: usize,
    history: usize,
) -> Footprint {
    constraints.exact((level.width, level.height), core, history)
}

/// A level in exact mode that fits with cores of `core` px and `history` pairs, of `most` that were
/// wanted.
fn exact_plan(
    level: &Level,
    constraints: &Constraints<'_>,
    core: usize,
    (history, most): (usize, usize),
) -> ExecutionPlan {
    let (width, height) = (level.width, level.height);
    let core = match constraints.settings.tiling.core_px {
        OrAuto::Auto => balanced(core, width, height),
        OrAuto::Value(_) => core,
    };
    let footprint = exact_footprint(level, constraints, core, history);
    let left = constraints.left_beside(&footprint);
    let (keep, beside) = constraints.kept((width, height), core, left);
    let Footprint { evaluation, step, gpu_bytes, held_on_gpu } = footprint;
    let (memory_bytes, gpu_bytes) = match constraints.machine.gpus {
        Some(_) => (evaluation.max(step), gpu_bytes + beside),
        None => ((evaluation + beside).max(step), 0),
    };
    let mut reason = String::from(if core >= width.max(height) {
        "the level fits as a whole"
    } else {
        "the largest tiles that fit"
    });
    if history < most {
        reason.push_str(&format!(", with {history} pairs"));
    }
    let execution = Execution::Exact { core, history, keep };
    ExecutionPlan { execution, memory_bytes, reason, gpu_bytes, held_on_gpu }
}

/// The smallest core that needs no more tiles than `core` does: tiles of one size instead of a
/// narrow last column.
fn balanced(core: usize, width: usize, height: usize) -> usize {
    if core >= width.max(height) {
        return core;
    }
    let even = |length: usize| length.div_ceil(length.div_ceil(core));
    even(width).max(even(height)).next_multiple_of(GRID).min(core)
}

/// The largest core with which rounds of visits fit.
fn rounds(
    level: &Level,
    constraints: &Constraints<'_>,
    mode: RoundMode,
    reason: String,
) -> Result<ExecutionPlan, Shortage> {
    let (tiling, optimise) = (&constraints.settings.tiling, &constraints.settings.optimise);
    let visit = tiling.visit.map_or(VISIT.min(level.evaluations), |visit| visit as usize).max(1);
    let rounds = tiling
        .rounds
        .map_or_else(|| level.evaluations.div_ceil(visit).max(2), |rounds| rounds as usize);
    let overlap = tiling.overlap_px.map_or(OVERLAP, |overlap| overlap.0 as usize);
    let history = match optimise.method {
        Method::Lbfgs => optimise.history.map_or(visit, |h| h as usize).min(visit),
        Method::Adam => 1,
    };
    let footprint =
        |core: usize| constraints.visit((level.width, level.height), core + 2 * overlap, history);
    let cores: Vec<usize> = match tiling.core_px {
        OrAuto::Value(side) => vec![side.0 as usize],
        OrAuto::Auto => (2..=BLOCK_CORE / GRID).rev().map(|step| step * GRID).collect(),
    };
    let mut least = NOTHING_TRIED;
    for core in cores {
        let footprint = footprint(core);
        let Some(shortage) = footprint.shortage(&constraints.machine) else {
            let execution = mode.execution(Visits { core, overlap, rounds, visit, history });
            let (memory_bytes, gpu_bytes) = (footprint.peak(), footprint.gpu_bytes);
            let held_on_gpu = false;
            return Ok(ExecutionPlan { execution, memory_bytes, reason, gpu_bytes, held_on_gpu });
        };
        least = least.min(shortage);
    }
    Err(least)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;
    use crate::config::Settings;
    use crate::plan::{Gpus, Machine, Schedule, levels, resolve_spec};

    fn settings(keys: &[&str]) -> Settings {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("a.png"), "x").expect("written");
        let file = folder.path().join("p.toml");
        std::fs::write(&file, "input.content = 'a.png'\nstyle.image = 'a.png'\n").expect("written");
        let keys: Vec<String> = keys.iter().map(|key| key.to_string()).collect();
        config::load(&file, &keys).expect("a pipeline").variants[0].settings.clone()
    }

    fn last(keys: &[&str], side: usize, budget_gib: f64) -> Result<ExecutionPlan, Shortage> {
        on(Machine::from((budget_gib * (1u64 << 30) as f64) as u64), keys, side)
    }

    fn on(machine: Machine, keys: &[&str], side: usize) -> Result<ExecutionPlan, Shortage> {
        let settings = settings(keys);
        let spec = resolve_spec(&settings.objective);
        let schedule = Schedule::new(&settings);
        let level = levels((side, side), 0, &schedule).pop().expect("a level");
        let held = 12 * (side * side) as u64;
        choose(&level, &Constraints::new(&settings, &spec, machine, held))
    }

    #[test]
    fn a_gpu_holds_the_canvas_where_it_can_and_tiles_where_it_cannot() {
        let chosen = |count: usize, gpu: u64, side: usize| {
            let gpus = Some(Gpus { count, memory_bytes: gpu << 30, value_bytes: 4 });
            let chosen =
                on(Machine { memory_bytes: 64 << 30, gpus, workers: 1, threads: 8 }, &[], side)
                    .expect("it fits");
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
        let short = on(Machine { memory_bytes: 64 << 30, gpus, workers: 1, threads: 8 }, &[], 3000)
            .expect_err("too small a GPU");
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
        assert!(
            format::gib(least.needed) > 0.7 && format::gib(least.needed) < 2.0 && !least.on_gpu
        );
    }

    #[test]
    fn adam_is_refused_where_only_blocks_fit() {
        let keys = ["optimise.method=adam", "tiling.core-px=3008"];
        assert!(matches!(last(&[], 3000, 2.0).expect("it fits").execution, Execution::Blocks(_)));
        assert!(last(&keys, 3000, 2.0).is_err());
        let chosen = last(&keys, 3000, 20.0).expect("it fits");
        assert!(matches!(chosen.execution, Execution::Exact { .. }), "{chosen:?}");
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
        assert!(narrow < wide && narrow.is_multiple_of(GRID), "{narrow} and {wide} px");
        let least = |margins: &str| {
            last(&["tiling.mode=exact", margins], 3000, 0.7).expect_err("too little")
        };
        assert!(least("tiling.margins=bitwise") > least("tiling.margins=exact"));
        // Blocks mode does not use them.
        let blocks = |margins: &str| last(&[margins], 3000, 1.5).expect("it fits").execution;
        assert!(matches!(blocks("tiling.margins=bitwise"), Execution::Blocks(_)));
        assert_eq!(blocks("tiling.margins=bitwise"), blocks("tiling.margins=exact"));
    }

    #[test]
    fn tiles_are_of_one_size() {
        assert_eq!(balanced(1472, 3000, 3000), 1024);
        assert_eq!(balanced(3000, 3000, 2000), 3000);
        assert_eq!(balanced(1024, 2048, 1000), 1024);
    }
}
