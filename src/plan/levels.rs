//! The pyramid: sizes and evaluations of its levels.

use serde::{Deserialize, Serialize};

use super::spec::Schedule;

/// One level of the pyramid.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Level {
    /// Canvas width, px.
    pub width: usize,
    /// Canvas height, px.
    pub height: usize,
    /// Evaluations of the loss.
    pub evaluations: usize,
    /// How they are computed.
    pub execution: Execution,
    /// Estimate of the peak memory while this level is computed, bytes.
    pub memory_bytes: u64,
    /// Why it is computed so, in words.
    pub reason: String,
    /// Estimate of the peak memory of each GPU that computes, bytes; 0 where none does.
    #[serde(default)]
    pub gpu_bytes: u64,
    /// Whether canvas and optimiser stay in the GPU's memory.
    #[serde(default)]
    pub held_on_gpu: bool,
}

/// How a level is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "kebab-case", tag = "mode")]
pub enum Execution {
    /// The whole image's loss and gradient, tile by tile; one optimiser moves the canvas.
    Exact {
        /// Side of a tile's core, px. A canvas no larger is one tile.
        core: usize,
        /// Pairs that L-BFGS keeps.
        history: usize,
        /// Tiles whose features are kept between the two sweeps, so that the second runs them
        /// backward only.
        keep: usize,
    },
    /// Rounds in which every tile moves by an optimiser of its own on the whole image's loss.
    Blocks(Visits),
    /// Rounds in which every tile is optimised alone and the tiles are blended.
    Feathered(Visits),
}

/// What the tiles of a level in rounds optimise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoundMode {
    /// The whole image's loss as if the rest moved as the tile does.
    Blocks,
    /// The tile's own loss, as if it were a picture of its own.
    Feathered,
}

impl RoundMode {
    /// Rounds of `visits` in this mode.
    pub fn execution(self, visits: Visits) -> Execution {
        match self {
            RoundMode::Blocks => Execution::Blocks(visits),
            RoundMode::Feathered => Execution::Feathered(visits),
        }
    }
}

impl Execution {
    /// The mode and the visits, where the level runs in rounds.
    pub fn rounds(&self) -> Option<(RoundMode, Visits)> {
        match self {
            Execution::Exact { .. } => None,
            Execution::Blocks(visits) => Some((RoundMode::Blocks, *visits)),
            Execution::Feathered(visits) => Some((RoundMode::Feathered, *visits)),
        }
    }
}

/// Rounds of visits to tiles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Visits {
    /// Side of a tile's core, px.
    pub core: usize,
    /// How far a tile is free to move beyond its core and is blended with its neighbours, px.
    pub overlap: usize,
    /// Rounds over all tiles.
    pub rounds: usize,
    /// Evaluations of one tile in one round.
    pub visit: usize,
    /// Pairs that a tile's L-BFGS keeps.
    pub history: usize,
}

impl Level {
    /// Whether its canvas is in a file and moves in rounds of visits.
    pub fn runs_in_rounds(&self) -> bool {
        self.execution.rounds().is_some()
    }

    /// Evaluations that one optimiser makes without a stop: of the level, or of a visit.
    pub fn evaluations_in_a_row(&self) -> usize {
        match self.execution {
            Execution::Exact { .. } => self.evaluations,
            Execution::Blocks(visits) | Execution::Feathered(visits) => visits.visit,
        }
    }

    /// The evaluations after which a picture of the work so far is saved when one is asked for
    /// every so many; 0 asks for none. In rounds it is saved at the end of a round, and the end of a
    /// level is not saved.
    pub fn saved_evaluations(&self, every: usize) -> impl Iterator<Item = usize> {
        let (step, end) = match self.execution.rounds() {
            None => (1, self.evaluations),
            Some((_, visits)) => (visits.visit.max(1), visits.rounds * visits.visit),
        };
        let passes = move |after: &usize| {
            (after - step).checked_div(every).is_some_and(|before| before < after / every)
        };
        (step..end).step_by(step).filter(passes)
    }

    /// Megapixel-evaluations.
    pub fn work(&self) -> f64 {
        (self.width * self.height * self.evaluations) as f64 * 1e-6
    }
}

/// How readily one more level is added: the first level's short side lies between 0.76 and 1.52
/// times the one asked for, rather above than below it, since too small a first level loses the
/// content.
const ROUNDING: f64 = 0.4;

/// Levels for a picture of `size` (width, height) px with `guard` px around it, each to be computed
/// as a whole until the planner chooses: each half the next, the first with about `short-side-px` on
/// the picture's short side.
pub fn levels(size: (usize, usize), guard: usize, schedule: &Schedule) -> Vec<Level> {
    let short = size.0.min(size.1).max(1) as f64;
    let doublings =
        ((short / f64::from(schedule.short_side)).log2() + ROUNDING).floor().max(0.0) as u32;
    (0..=doublings)
        .map(|level| {
            let halvings = f64::from(1u32 << (doublings - level).min(30));
            let side =
                |pixels: usize| (((pixels + 2 * guard) as f64 / halvings).round() as usize).max(1);
            Level {
                width: side(size.0),
                height: side(size.1),
                evaluations: schedule.evaluations_at(level as usize) as usize,
                execution: Execution::Exact {
                    core: side(size.0.max(size.1)),
                    history: 100,
                    keep: 1,
                },
                memory_bytes: 0,
                reason: String::new(),
                gpu_bytes: 0,
                held_on_gpu: false,
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(size: (usize, usize), short: u32) -> Vec<(usize, usize)> {
        let schedule = Schedule { short_side: short, evaluations: vec![600, 200] };
        levels(size, 0, &schedule).iter().map(|l| (l.width, l.height)).collect()
    }

    #[test]
    fn levels_double_from_about_the_short_side() {
        assert_eq!(sizes((512, 340), 512), [(512, 340)]);
        assert_eq!(sizes((2048, 2048), 512), [(512, 512), (1024, 1024), (2048, 2048)]);
        assert_eq!(
            sizes((6048, 8064), 512),
            [(756, 1008), (1512, 2016), (3024, 4032), (6048, 8064)]
        );
        assert_eq!(sizes((3001, 1999), 512), [(750, 500), (1501, 1000), (3001, 1999)]);
    }

    #[test]
    fn pictures_are_saved_at_multiples_or_at_the_rounds_behind_them() {
        let schedule = Schedule { short_side: 64, evaluations: vec![9] };
        let mut level = levels((64, 64), 0, &schedule).remove(0);
        let saved = |level: &Level, every| level.saved_evaluations(every).collect::<Vec<_>>();
        assert_eq!(saved(&level, 3), [3, 6]);
        assert_eq!(saved(&level, 9), [0_usize; 0]);
        assert_eq!(saved(&level, 0), [0_usize; 0]);
        let visits = Visits { core: 64, overlap: 0, rounds: 5, visit: 20, history: 5 };
        level.execution = Execution::Blocks(visits);
        assert_eq!(saved(&level, 30), [40, 60]);
        assert_eq!(saved(&level, 7), [20, 40, 60, 80]);
        assert_eq!(saved(&level, 0), [0_usize; 0]);
    }

    #[test]
    fn the_last_number_of_evaluations_repeats() {
        let schedule = Schedule { short_side: 64, evaluations: vec![9, 4] };
        let counts: Vec<usize> =
            levels((512, 512), 0, &schedule).iter().map(|l| l.evaluations).collect();
        assert_eq!(counts, [9, 4, 4, 4]);
    }
}
