//! How much disk a job takes while it is made, worked out from sizes alone.

use super::{Execution, Job, Level};
use crate::config::Method;

/// A canvas-sized vector, bytes a pixel.
const VECTOR: u64 = 12;
/// Vectors of L-BFGS beside its pairs: the point, the last step and gradient, the best point and its gradient.
const BESIDE_PAIRS: u64 = 5;
/// Vectors of Adam: the point, two moments, the best point.
const ADAM: u64 = 4;

impl Job {
    /// The most that this job's checkpoints hold at once, bytes: the newest and the one before, which share their pairs.
    pub fn checkpoint_bytes(&self) -> u64 {
        let level = |level: &Level| {
            let pixels = (level.width * level.height) as u64;
            let vectors = match (level.execution, self.settings.optimise.method) {
                (Execution::Exact { .. }, Method::Adam) => 2 * ADAM,
                (Execution::Exact { history, .. }, Method::Lbfgs) => {
                    // A pair that is dropped from the newest is still one of the checkpoint before.
                    let pairs = 2 * history.min(level.evaluations) as u64;
                    2 * pairs.min(pairs / 2 + 10) + 2 * BESIDE_PAIRS
                }
                // The canvas before and after a round, and its tiles, which overlap.
                (Execution::Blocks(_) | Execution::Feathered(_), _) => 4,
            };
            // The level below is kept as well; it has a quarter of the pixels.
            (vectors + 1) * VECTOR * pixels
        };
        self.levels.iter().map(level).max().unwrap_or(0)
    }

    /// The most that the finished picture can take, bytes.
    pub fn picture_bytes(&self) -> u64 {
        let bytes = u64::from(self.settings.output.bit_depth.bits()) / 8;
        4 * bytes * (self.framing.width * self.framing.height) as u64
    }
}
