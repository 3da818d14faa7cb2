//! What the ways of computing a level take.

use super::machine::Machine;
use super::memory::{OptimiserMemory, SweepMemory, fixed_bytes};
use crate::config::{Settings, TilingMargins};
use crate::network::Margins;
use crate::objective::Spec;

/// What a way of computing a level takes, bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Footprint {
    /// While the loss is evaluated.
    pub(super) evaluation: u64,
    /// While the optimiser makes its step: a canvas in tiles gives the tiles' memory back in
    /// between.
    pub(super) step: u64,
    /// Of each GPU.
    pub(super) gpu_bytes: u64,
    /// Whether canvas and optimiser are there as well.
    pub(super) held_on_gpu: bool,
}

/// What is missing for a level.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Shortage {
    /// The least that it takes, bytes.
    pub needed: u64,
    /// Whether that is a GPU's memory.
    pub on_gpu: bool,
}

impl Footprint {
    /// The most of this machine's memory at once.
    pub(super) fn peak(&self) -> u64 {
        self.evaluation.max(self.step)
    }

    /// What of it there is too little of.
    pub(super) fn shortage(&self, machine: &Machine) -> Option<Shortage> {
        if let Some(gpus) = machine.gpus
            && self.gpu_bytes > gpus.memory_bytes
        {
            return Some(Shortage { needed: self.gpu_bytes, on_gpu: true });
        }
        let short = self.peak() > machine.memory_bytes;
        short.then(|| Shortage { needed: self.peak(), on_gpu: false })
    }
}

/// What a level's execution is chosen for.
pub struct Constraints<'a> {
    /// The settings.
    pub(super) settings: &'a Settings,
    /// The loss.
    pub(super) spec: &'a Spec,
    /// The memory there is.
    pub(super) machine: Machine,
    /// Bytes that are taken all the while: the content image.
    held: u64,
    sweeps: SweepMemory,
}

impl<'a> Constraints<'a> {
    /// For the loss `spec` on `machine`, where the content image takes `held` bytes.
    pub(super) fn new(settings: &'a Settings, spec: &'a Spec, machine: Machine, held: u64) -> Self {
        Self { settings, spec, machine, held, sweeps: SweepMemory::new(spec, machine.threads) }
    }

    /// Tiles in work at once.
    pub(super) fn workers(&self) -> usize {
        self.machine.gpus.map_or(self.machine.workers, |gpus| gpus.count)
    }

    /// How far tiles of exact mode reach beyond their cores.
    pub(super) fn margins(&self) -> Margins {
        margins(self.settings, self.spec)
    }

    /// What exact mode takes on a canvas of `pixels` px: as one tile, or in tiles that see `region`
    /// px.
    pub(super) fn exact(&self, pixels: f64, region: Option<f64>, history: usize) -> Footprint {
        let optimiser = OptimiserMemory::new(self.spec, history);
        if let Some(gpus) = self.machine.gpus {
            let region = region.unwrap_or(pixels);
            return gpus.exact(self.spec, (region, pixels), optimiser, self.held);
        }
        let bytes = |state: f64, tiles: f64| {
            fixed_bytes(self.spec) + self.held + (state * pixels + tiles) as u64
        };
        let (evaluation, step) = match region {
            Some(region) => {
                let tiles = self.sweeps.both.at(region) * self.workers() as f64;
                (bytes(optimiser.evaluation, tiles), bytes(optimiser.step, 0.0))
            }
            // A canvas in one piece keeps its working memory while the optimiser makes its step.
            None => {
                let bytes = bytes(optimiser.step, self.sweeps.both.at(pixels));
                (bytes, bytes)
            }
        };
        Footprint { evaluation, step, gpu_bytes: 0, held_on_gpu: false }
    }

    /// What a visit takes to a tile that sees `region` px.
    pub(super) fn visit(&self, region: f64, history: usize) -> Footprint {
        let optimiser = OptimiserMemory::new(self.spec, history);
        if let Some(gpus) = self.machine.gpus {
            return gpus.visit(self.spec, region, optimiser, self.held);
        }
        let tile = self.sweeps.both.at(region) + optimiser.step * region;
        let bytes = fixed_bytes(self.spec) + self.held + (tile * self.workers() as f64) as u64;
        Footprint { evaluation: bytes, step: bytes, gpu_bytes: 0, held_on_gpu: false }
    }

    /// Bytes of a tile of `region` px that is kept between the two sweeps.
    pub(super) fn kept(&self, region: f64) -> u64 {
        match self.machine.gpus {
            Some(gpus) => (gpus.held_per_pixel(self.spec) * region) as u64,
            None => self.sweeps.held.at(region) as u64,
        }
    }

    /// What is left beside a footprint where kept tiles are: on the GPUs, or in memory.
    pub(super) fn left_beside(&self, footprint: &Footprint) -> u64 {
        match self.machine.gpus {
            Some(gpus) => gpus.memory_bytes.saturating_sub(footprint.gpu_bytes),
            None => self.machine.memory_bytes.saturating_sub(footprint.evaluation),
        }
    }
}

/// How far tiles of exact mode reach beyond their cores.
pub fn margins(settings: &Settings, spec: &Spec) -> Margins {
    match settings.tiling.margins {
        TilingMargins::Exact => Margins::exact(spec.taps()),
        TilingMargins::Bitwise => Margins::bitwise(spec.taps()),
    }
}
