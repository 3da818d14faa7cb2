//! Which mode a level is computed in, and how it is cut, so that it fits the memory.

use super::levels::{Execution, Level, Visits};
use super::memory::{canvas_bytes_per_pixel, fixed_bytes, kept_bytes_per_pixel, region_bytes_per_pixel, step_bytes_per_pixel};
use crate::config::{Core, Method, Settings, TilingMode};
use crate::objective::Spec;
use crate::tiling::{EXACT_ALIGNMENT, Grid, Margins};

/// Pairs that L-BFGS keeps where memory allows.
const HISTORY: usize = 100;
/// Histories are not made shorter than this while tiles can be made smaller, down to [`GOOD_CORE`].
const FEW_PAIRS: usize = 5;
/// The fewest pairs that are still worth having: below, blocks mode with its small optimisers is the better choice.
const LEAST_HISTORY: usize = 3;
/// Down to this core, px, tiles do not cost much more than the whole.
const GOOD_CORE: usize = 768;
/// The smallest core that exact mode is worth: below, a tile is mostly margin.
const LEAST_CORE: usize = 256;
/// Evaluations of a tile in one round.
const VISIT: usize = 20;
/// How far a tile moves beyond its core, px: more evens the blend out and is computed twice.
const OVERLAP: usize = 48;
/// Side of a tile's core in blocks and feathered mode, px.
const BLOCK_CORE: usize = 1024;

/// How a level is computed, and what that takes.
#[derive(Clone, Debug, PartialEq)]
pub struct Chosen {
    /// Mode and sizes.
    pub execution: Execution,
    /// Estimate of the peak memory, bytes.
    pub memory_bytes: u64,
    /// Why, in words.
    pub reason: String,
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
    /// Bytes that there are.
    pub budget: u64,
}

/// Chooses for one level within the budget. `Err` holds what exact or block-wise computing would take at least.
pub fn choose(level: &Level, needs: &Needs<'_>) -> Result<Chosen, u64> {
    match needs.settings.tiling.mode {
        TilingMode::Exact => exact(level, needs),
        TilingMode::Blocks => visits(level, needs, false, "asked for".into()),
        TilingMode::Feathered => visits(level, needs, true, "asked for".into()),
        TilingMode::Auto => exact(level, needs).or_else(|least| {
            let why = format!("exact mode would take {:.1} GiB", gib(least));
            visits(level, needs, false, why).map_err(|needed| needed.min(least))
        }),
    }
}

/// The longest history and the largest core that fit; a whole level with a shorter history goes before tiles.
fn exact(level: &Level, needs: &Needs<'_>) -> Result<Chosen, u64> {
    let Needs { settings, spec, held, budget } = *needs;
    let (width, height) = (level.width, level.height);
    let pixels = (width * height) as f64;
    let most = match settings.optimise.method {
        Method::Adam => 1,
        // A pair needs two evaluations, so a level never fills more than one less than it has.
        Method::Lbfgs => settings.optimise.history.map_or(HISTORY, |h| h as usize).min(level.evaluations.saturating_sub(1)).max(1),
    };
    let asked = settings.optimise.history.is_some();
    let margin = margins(spec).gradient;
    let workers = settings.compute.workers() as f64;
    // While the loss is evaluated, and while the optimiser makes its step: a canvas in tiles gives the tiles' memory back
    // in between.
    let memory = |core: usize, history: usize| {
        let side = |length: usize| (core + 2 * margin).min(length) as f64;
        let step = step_bytes_per_pixel(spec, history) * pixels;
        let (evaluation, step) = if core >= width.max(height) {
            let whole = step + region_bytes_per_pixel(spec) * pixels;
            (whole, whole)
        } else {
            let region = workers * side(width) * side(height);
            (canvas_bytes_per_pixel(spec, history) * pixels + region_bytes_per_pixel(spec) * region, step)
        };
        [evaluation, step].map(|bytes| fixed_bytes(spec) + held + bytes as u64)
    };
    let most_of = |core: usize, history: usize| memory(core, history).into_iter().fold(0, u64::max);
    let whole = width.max(height);
    let tiles = (LEAST_CORE.next_multiple_of(EXACT_ALIGNMENT)..whole).step_by(EXACT_ALIGNMENT).rev();
    let cores: Vec<usize> = match settings.tiling.core {
        Core::Side(side) => vec![side.0 as usize],
        Core::Auto => std::iter::once(whole).chain(tiles).collect(),
    };
    let mut least = u64::MAX;
    for (fewest, smallest) in [(FEW_PAIRS, GOOD_CORE), (LEAST_HISTORY, 0)] {
        for core in cores.iter().copied().filter(|core| *core >= smallest.min(whole)) {
            // Shorter histories are tried before smaller cores.
            let mut history = most;
            loop {
                let memory_bytes = most_of(core, history);
                if memory_bytes <= budget {
                    let core = if settings.tiling.core == Core::Auto { balanced(core, width, height) } else { core };
                    let [evaluation, step] = memory(core, history);
                    let (keep, beside) = kept(level, spec, core, settings.compute.workers(), budget - evaluation);
                    let memory_bytes = (evaluation + beside).max(step);
                    let reason = if core >= whole { "the level fits as a whole" } else { "the largest tiles that fit" };
                    let reason = if history < most { format!("{reason}, with {history} pairs") } else { reason.into() };
                    return Ok(Chosen { execution: Execution::Exact { core, history, keep }, memory_bytes, reason });
                }
                least = least.min(memory_bytes);
                if asked || history <= fewest.min(most) {
                    break;
                }
                history = (history / 2).max(fewest.min(most));
            }
        }
    }
    Err(least)
}

/// How many tiles can be kept between the two sweeps in `room` bytes beside the tiles in work, and the bytes they take.
/// One worker by itself has the last tile in its hands anyway.
fn kept(level: &Level, spec: &Spec, core: usize, workers: usize, room: u64) -> (usize, u64) {
    let grid = Grid::new(level.width, level.height, core);
    let free = usize::from(workers == 1 || grid.len() == 1);
    let largest = grid.tiles().map(|tile| tile.region(margins(spec).gradient, level.width, level.height).area()).max();
    let each = (kept_bytes_per_pixel(spec) * largest.unwrap_or(1) as f64) as u64;
    let more = ((room / each.max(1)) as usize).min(grid.len() - free);
    (free + more, each * more as u64)
}

/// The smallest core that needs no more tiles than `core` does: tiles of one size instead of a narrow last column.
fn balanced(core: usize, width: usize, height: usize) -> usize {
    if core >= width.max(height) {
        return core;
    }
    let even = |length: usize| length.div_ceil(length.div_ceil(core));
    even(width).max(even(height)).next_multiple_of(EXACT_ALIGNMENT).min(core)
}

fn visits(level: &Level, needs: &Needs<'_>, feathered: bool, reason: String) -> Result<Chosen, u64> {
    let Needs { settings, spec, held, budget } = *needs;
    let tiling = &settings.tiling;
    let visit = tiling.visit.map_or(VISIT.min(level.evaluations), |visit| visit as usize).max(1);
    let rounds = tiling.rounds.map_or_else(|| level.evaluations.div_ceil(visit).max(2), |rounds| rounds as usize);
    let overlap = tiling.overlap.map_or(OVERLAP, |overlap| overlap.0 as usize);
    let history = settings.optimise.history.map_or(visit, |h| h as usize).min(visit);
    let margin = margins(spec).gradient;
    let (width, height) = (level.width, level.height);
    let workers = settings.compute.workers() as f64;
    let memory = |core: usize| {
        let side = |length: usize| (core + 2 * (overlap + margin)).min(length) as f64;
        let region = workers * side(width) * side(height);
        let per_pixel = region_bytes_per_pixel(spec) + step_bytes_per_pixel(spec, history);
        fixed_bytes(spec) + held + (per_pixel * region) as u64
    };
    let cores: Vec<usize> = match tiling.core {
        Core::Side(side) => vec![side.0 as usize],
        Core::Auto => (1..=BLOCK_CORE / 128).rev().map(|step| step * 128).collect(),
    };
    let mut least = u64::MAX;
    for core in cores {
        let memory_bytes = memory(core);
        if memory_bytes <= budget {
            let visits = Visits { core, overlap, rounds, visit, history };
            let execution = if feathered { Execution::Feathered(visits) } else { Execution::Blocks(visits) };
            return Ok(Chosen { execution, memory_bytes, reason });
        }
        least = least.min(memory_bytes);
    }
    Err(least)
}

/// How far a tile's region reaches beyond its core.
pub fn margins(spec: &Spec) -> Margins {
    let taps = spec.content_taps().chain(spec.style_taps()).map(|(layer, _)| (layer.reach(), layer.stride()));
    Margins::for_taps(taps)
}

/// Bytes in GiB.
pub fn gib(bytes: u64) -> f64 {
    bytes as f64 / (1u64 << 30) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;
    use crate::plan::{levels, resolve_spec};

    fn settings(keys: &[&str]) -> Settings {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("a.png"), "x").expect("written");
        let file = folder.path().join("p.toml");
        std::fs::write(&file, "input.content = 'a.png'\nstyle.image = 'a.png'\n").expect("written");
        let keys: Vec<String> = keys.iter().map(|key| key.to_string()).collect();
        config::load(&file, &keys).expect("a pipeline").variants[0].settings.clone()
    }

    fn last(keys: &[&str], side: usize, budget_gib: f64) -> Result<Chosen, u64> {
        let settings = settings(keys);
        let spec = resolve_spec(&settings.objective);
        let level = levels((side, side), &settings.pyramid).pop().expect("a level");
        let held = 12 * (side * side) as u64;
        choose(&level, &Needs { settings: &settings, spec: &spec, held, budget: (budget_gib * (1u64 << 30) as f64) as u64 })
    }

    #[test]
    fn a_shrinking_budget_shortens_the_history_then_cuts_tiles_then_turns_to_blocks() {
        let chosen = |gib: f64| last(&[], 3000, gib).expect("it fits");
        assert!(matches!(chosen(20.0).execution, Execution::Exact { core: 3000, history: 65, .. }), "{:?}", chosen(20.0));
        assert!(matches!(chosen(8.0).execution, Execution::Exact { core: 3000, history: 8 | 16, .. }), "{:?}", chosen(8.0));
        assert!(matches!(chosen(4.0).execution, Execution::Exact { core: ..=1536, history: 5.., .. }), "{:?}", chosen(4.0));
        assert!(matches!(chosen(2.0).execution, Execution::Blocks(_)), "{:?}", chosen(2.0));
        for gib in [20.0, 8.0, 4.0, 2.0] {
            assert!(chosen(gib).memory_bytes as f64 <= gib * (1u64 << 30) as f64);
        }
        let least = last(&[], 3000, 0.7).expect_err("too little");
        assert!(gib(least) > 0.7 && gib(least) < 2.0);
    }

    #[test]
    fn what_is_asked_for_is_done() {
        let mode = |keys: &[&str]| last(keys, 1000, 64.0).expect("it fits").execution;
        assert!(matches!(mode(&["tiling.core-px=256"]), Execution::Exact { core: 256, .. }));
        assert!(matches!(mode(&["optimise.history=7"]), Execution::Exact { core: 1000, history: 7, .. }));
        let keys = ["tiling.mode=blocks", "tiling.rounds=3", "tiling.visit=9", "tiling.overlap-px=32", "tiling.core-px=128"];
        assert_eq!(mode(&keys), Execution::Blocks(Visits { core: 128, overlap: 32, rounds: 3, visit: 9, history: 9 }));
        assert!(matches!(mode(&["tiling.mode=feathered"]), Execution::Feathered(_)));
    }

    #[test]
    fn tiles_are_of_one_size() {
        assert_eq!(balanced(1472, 3000, 3000), 1024);
        assert_eq!(balanced(3000, 3000, 2000), 3000);
        assert_eq!(balanced(1024, 2048, 1000), 1024);
    }
}
