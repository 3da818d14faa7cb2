//! How much disk a job takes while it is made, worked out from sizes alone.

use super::{Execution, Job, Level, Visits};
use crate::config::Method;
use crate::tiling::{CanvasFile, Layout};

/// Vectors of L-BFGS beside its pairs: the point, the last step and gradient, the best point and
/// its gradient.
const BESIDE_PAIRS: u64 = 5;
/// Pairs by which two checkpoints differ at most: those of a minute in which evaluations are quick.
const APART: u64 = 20;
/// Vectors of Adam: the point, two moments, the best point.
const ADAM: u64 = 4;

/// The most that the checkpoints of a level in exact mode hold at once, bytes: the newest and the
/// one before, which share their pairs, and the result of the level below, of a quarter of the
/// pixels.
pub(super) fn exact_level(level: &Level, history: usize, method: Method) -> u64 {
    let vectors = match method {
        Method::Adam => 2 * ADAM,
        Method::Lbfgs => {
            // A pair that is dropped from the newest is still one of the checkpoint before.
            let pairs = history.min(level.evaluations) as u64;
            2 * pairs + 2 * pairs.min(APART) + 2 * BESIDE_PAIRS
        }
    };
    (vectors + 1) * CanvasFile::bytes_of((level.width, level.height))
}

/// The most that the files of a level in rounds hold at once, bytes: the photograph, the canvases
/// before and after a round, the round's tiles, which overlap, and the result of the level below,
/// of a quarter of the pixels.
pub(super) fn rounds_level(level: &Level, visits: Visits) -> u64 {
    let size = (level.width, level.height);
    let tiles = |shifted: bool| -> u64 {
        let layout = Layout::new(size, visits.core, visits.overlap, shifted);
        let free = (0..layout.count()).map(|tile| layout.free(tile));
        free.map(|free| CanvasFile::bytes_of((free.width, free.height))).sum()
    };
    let tiles = if visits.rounds > 1 { tiles(false).max(tiles(true)) } else { tiles(false) };
    let canvas = CanvasFile::bytes_of(size);
    tiles + 3 * canvas + canvas.div_ceil(3)
}

impl Job {
    /// The most that this job's checkpoints hold at once, bytes.
    pub fn checkpoint_bytes(&self) -> u64 {
        let level = |level: &Level| match level.execution {
            Execution::Exact { history, .. } => {
                exact_level(level, history, self.settings.optimise.method)
            }
            Execution::Blocks(visits) | Execution::Feathered(visits) => rounds_level(level, visits),
        };
        self.levels.iter().map(level).max().unwrap_or(0)
    }

    /// The most that the finished picture can take, bytes.
    pub fn picture_bytes(&self) -> u64 {
        let bytes = u64::from(self.settings.output.bit_depth) / 8;
        4 * bytes * (self.framing.width * self.framing.height) as u64
    }
}
