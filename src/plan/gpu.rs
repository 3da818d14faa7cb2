//! What a level takes whose tiles GPUs compute.
//!
//! The figures are counted: a GPU keeps every layer's features for the way back, and a few maps of
//! the first block are in work beside them. The allocations of an evaluation were measured to be
//! less (docs/gpu.md).

use super::footprint::Footprint;
use super::machine::Gpus;
use super::memory::{OptimiserMemory, PROGRAM, VECTOR, map_bytes};
use crate::network::Layer;
use crate::objective::Spec;

/// Maps of the first block that a GPU has in work at once beside the kept ones, at most: a
/// gradient, what a tap adds to it and that before its rounding, and the next gradient.
const MAPS: f64 = 4.0;
/// What a GPU holds whatever the canvas: kernels of both directions at Winograd's points, bands of
/// tiles, CUDA's own.
const FIXED: u64 = 5 << 28;
/// Bytes of this machine's memory that a run takes whose networks are on GPUs.
const BESIDE: u64 = PROGRAM + (1 << 30);

impl Gpus {
    /// Bytes for each pixel of a region that a GPU keeps between its forward and its backward sweep.
    pub(super) fn held_per_pixel(&self, spec: &Spec) -> f64 {
        let layers = spec.deepest().map_or(0, |deepest| deepest.index() + 1);
        let maps: f64 = Layer::all().take(layers).map(map_bytes).sum();
        maps * self.value_bytes as f64 / 4.0
    }

    /// Bytes of a GPU's memory while it sweeps a region of `pixels`.
    pub(super) fn region(&self, spec: &Spec, pixels: f64) -> f64 {
        let maps = MAPS * map_bytes(Layer::ALL[0]) * self.value_bytes as f64 / 4.0;
        FIXED as f64 + (self.held_per_pixel(spec) + maps + VECTOR) * pixels
    }

    /// Exact mode with tiles that take `in_work` bytes on a canvas of `pixels` px; `held` bytes are
    /// taken all the while. One GPU that has the memory holds canvas and optimiser as well.
    pub(super) fn exact(
        &self,
        in_work: f64,
        pixels: f64,
        optimiser: OptimiserMemory,
        held: u64,
    ) -> Footprint {
        let all = (in_work + optimiser.step) as u64;
        if self.count == 1 && all <= self.memory_bytes {
            // What goes over to be written, and what comes back to be continued from.
            let beside = BESIDE + held + (3.0 * VECTOR * pixels) as u64;
            let step = beside;
            return Footprint { evaluation: beside, step, gpu_bytes: all, held_on_gpu: true };
        }
        let [evaluation, step] =
            [optimiser.evaluation, optimiser.step].map(|state| BESIDE + held + state as u64);
        Footprint { evaluation, step, gpu_bytes: in_work as u64, held_on_gpu: false }
    }

    /// A visit to a tile that takes `in_work` bytes and sees `region` px.
    pub(super) fn visit(
        &self,
        in_work: f64,
        region: f64,
        optimiser: OptimiserMemory,
        held: u64,
    ) -> Footprint {
        let memory = BESIDE + held + (4.0 * VECTOR * self.count as f64 * region) as u64;
        let gpu_bytes = (in_work + optimiser.step) as u64;
        Footprint { evaluation: memory, step: memory, gpu_bytes, held_on_gpu: false }
    }
}
