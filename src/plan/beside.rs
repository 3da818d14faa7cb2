//! What a run has in memory beside the picture in work: other pictures that are painted at the same
//! time, the next photograph, and a finished picture that is being written.

use super::memory::fixed_bytes;
use super::{Job, Level};
use crate::objective::Spec;

/// Bands of rows that are on their way into a picture's file, bytes.
const BANDS: u64 = 96 << 20;
/// A canvas in memory, bytes a pixel.
const CANVAS: u64 = 12;

/// The part of `memory` bytes that one of `count` pictures of this loss may count on when they are
/// painted at once. The network is there once.
pub fn memory_of_one(memory: u64, count: usize, spec: &Spec) -> u64 {
    let network = fixed_bytes(spec).min(memory);
    network + (memory - network) / count.max(1) as u64
}

/// How many of the `jobs` can be in work at once in `memory` bytes.
pub fn together(jobs: &[Job], memory: u64) -> usize {
    let network = jobs.iter().map(|job| fixed_bytes(&job.spec)).max().unwrap_or(0);
    let each = jobs.iter().map(|job| job.memory_bytes().saturating_sub(network)).max();
    (memory.saturating_sub(network) / each.unwrap_or(0).max(1)) as usize
}

impl Job {
    /// The most bytes of memory that painting takes.
    pub fn memory_bytes(&self) -> u64 {
        self.levels.iter().map(|level| level.memory_bytes).max().unwrap_or(0)
    }

    /// The most bytes of memory that writing the finished picture takes, while others are painted.
    pub fn writing_bytes(&self) -> u64 {
        let pixels = (self.framing.width * self.framing.height) as u64;
        let in_file = self.levels.last().is_some_and(Level::runs_in_rounds);
        self.reading_bytes + BANDS + if in_file { 0 } else { CANVAS * pixels }
    }
}
