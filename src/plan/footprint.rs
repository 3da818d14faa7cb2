//! What the ways of computing a level take.

use super::machine::Machine;
use super::memory::{OptimiserMemory, SweepMemory, VECTOR, fixed_bytes, map_bytes};
use crate::config::{Settings, TilingMargins};
use crate::network::Margins;
use crate::objective::{Spec, size_at};
use crate::tiling::{Grid, Tile};

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

/// What the sweeps of one octave of a level take.
pub(super) struct OctaveCosts {
    spec: Spec,
    sweeps: SweepMemory,
    /// How far tiles of exact mode reach beyond their cores.
    margins: Margins,
}

impl OctaveCosts {
    /// Pixels of the largest region of tiles of `core` px on a canvas of `size` (width, height) px;
    /// nothing where that is one tile.
    fn region(&self, (width, height): (usize, usize), core: usize) -> Option<f64> {
        let side = |length: usize| (core + 2 * self.margins.gradient).min(length) as f64;
        (core < width.max(height)).then(|| side(width) * side(height))
    }
}

/// What a level's execution is chosen for.
pub struct Constraints<'a> {
    /// The settings.
    pub(super) settings: &'a Settings,
    /// The memory there is.
    pub(super) machine: Machine,
    /// Bytes that do not depend on how the level is computed: the program, the network, the content
    /// image.
    held: u64,
    octaves: Vec<OctaveCosts>,
}

impl<'a> Constraints<'a> {
    /// For the loss `spec` on `machine`, where the content image takes `held` bytes.
    pub(super) fn new(settings: &'a Settings, spec: &Spec, machine: Machine, held: u64) -> Self {
        let costs = |spec: Spec| OctaveCosts {
            sweeps: SweepMemory::new(&spec, machine.threads),
            margins: margins(settings, &spec),
            spec,
        };
        let fixed = if machine.gpus.is_some() { 0 } else { fixed_bytes(spec) };
        let octaves = spec.by_octave().into_iter().map(costs).collect();
        Self { settings, machine, held: held + fixed, octaves }
    }

    /// Tiles in work at once.
    pub(super) fn workers(&self) -> usize {
        self.machine.gpus.map_or(self.machine.workers, |gpus| gpus.count)
    }

    /// The octaves of a level of `size` (width, height) px, each with its own size.
    fn octaves(
        &self,
        size: (usize, usize),
    ) -> impl Iterator<Item = ((usize, usize), &OctaveCosts)> {
        self.octaves.iter().enumerate().map(move |(octave, costs)| (size_at(size, octave), costs))
    }

    /// What the optimiser and the content's features take on a canvas of `size` px, bytes.
    fn optimiser(&self, size: (usize, usize), history: usize) -> OptimiserMemory {
        let content = |((width, height), costs): ((usize, usize), &OctaveCosts)| {
            costs.spec.contents().into_iter().map(map_bytes).sum::<f64>() * (width * height) as f64
        };
        let contents: f64 = self.octaves(size).map(content).sum();
        // Canvases and gradients of the other octaves.
        let others = |((width, height), _)| 2.0 * VECTOR * (width * height) as f64;
        let others: f64 = self.octaves(size).skip(1).map(others).sum();
        OptimiserMemory::new((size.0 * size.1) as f64, contents + others, history)
    }

    /// What exact mode takes on a canvas of `size` (width, height) px with cores of `core` px. One
    /// octave is in work at a time.
    pub(super) fn exact(&self, size: (usize, usize), core: usize, history: usize) -> Footprint {
        let optimiser = self.optimiser(size, history);
        let area = |(width, height): (usize, usize)| (width * height) as f64;
        if let Some(gpus) = self.machine.gpus {
            let octave = |(size, costs): ((usize, usize), &OctaveCosts)| {
                let region = costs.region(size, core).unwrap_or(area(size));
                gpus.region(&costs.spec, region)
            };
            let in_work = self.octaves(size).map(octave).fold(0.0, f64::max);
            return gpus.exact(in_work, area(size), optimiser, self.held);
        }
        let tiles = |(size, costs): ((usize, usize), &OctaveCosts)| match costs.region(size, core) {
            Some(region) => costs.sweeps.both.at(region) * self.workers() as f64,
            None => costs.sweeps.both.at(area(size)),
        };
        let tiles = self.octaves(size).map(tiles).fold(0.0, f64::max) as u64;
        let (evaluation, step) =
            (self.held + optimiser.evaluation as u64 + tiles, self.held + optimiser.step as u64);
        if core < size.0.max(size.1) {
            return Footprint { evaluation, step, gpu_bytes: 0, held_on_gpu: false };
        }
        // A canvas in one piece keeps its working memory while the optimiser makes its step.
        let both = step + tiles;
        Footprint { evaluation: both, step: both, gpu_bytes: 0, held_on_gpu: false }
    }

    /// What a visit takes to a tile whose free pixels are a square of `free` px, on a canvas of
    /// `size` (width, height) px.
    pub(super) fn visit(&self, size: (usize, usize), free: usize, history: usize) -> Footprint {
        let region = |octave: usize, (width, height): (usize, usize), spec: &Spec| {
            let reach = free.div_ceil(1 << octave) + 2 * Margins::exact(spec.taps()).gradient;
            (reach.min(width), reach.min(height))
        };
        let regions: Vec<((usize, usize), &OctaveCosts)> = self
            .octaves(size)
            .enumerate()
            .map(|(octave, (size, costs))| (region(octave, size, &costs.spec), costs))
            .collect();
        let area = |(width, height): (usize, usize)| (width * height) as f64;
        // The pixels that any octave sees, at full size.
        let widest = regions.iter().enumerate().map(|(octave, ((width, height), _))| {
            area(((width << octave).min(size.0), (height << octave).min(size.1)))
        });
        let widest = widest.fold(0.0, f64::max);
        let held = |(region, costs): &((usize, usize), &OctaveCosts)| {
            costs.spec.contents().into_iter().map(map_bytes).sum::<f64>() * area(*region)
        };
        let targets: f64 = regions.iter().map(held).sum();
        let optimiser = OptimiserMemory::new(widest, targets, history);
        if let Some(gpus) = self.machine.gpus {
            let octave = |(size, costs): &((usize, usize), &OctaveCosts)| {
                gpus.region(&costs.spec, area(*size))
            };
            let in_work = regions.iter().map(octave).fold(0.0, f64::max);
            return gpus.visit(in_work, widest, optimiser, self.held);
        }
        let sweeps =
            |(size, costs): &((usize, usize), &OctaveCosts)| costs.sweeps.both.at(area(*size));
        let tile = regions.iter().map(sweeps).fold(0.0, f64::max) + optimiser.step;
        let bytes = self.held + (tile * self.workers() as f64) as u64;
        Footprint { evaluation: bytes, step: bytes, gpu_bytes: 0, held_on_gpu: false }
    }

    /// How many tiles of every octave can be kept between its two sweeps in `left` bytes beside the
    /// tiles in work, and the bytes they take at most. One worker by itself has the last tile in its
    /// hands anyway.
    pub(super) fn kept(&self, size: (usize, usize), core: usize, left: u64) -> (usize, u64) {
        let octave = |((width, height), costs): ((usize, usize), &OctaveCosts)| {
            let grid = Grid::new(width, height, core);
            let free = usize::from(self.workers() == 1 || grid.count() == 1);
            let region = |tile: Tile| tile.region(costs.margins.gradient, width, height).area();
            let pixels = grid.tiles().map(region).max().unwrap_or(1) as f64;
            let each = match self.machine.gpus {
                Some(gpus) => gpus.held_per_pixel(&costs.spec) * pixels,
                None => costs.sweeps.held.at(pixels),
            };
            (grid.count() - free, (each as u64).max(1), free)
        };
        let octaves: Vec<(usize, u64, usize)> = self.octaves(size).map(octave).collect();
        let fit = |(more, each, _): &(usize, u64, usize)| match (left / each) as usize {
            enough if enough >= *more => usize::MAX,
            few => few,
        };
        let most = octaves.iter().map(|(more, ..)| *more).max().unwrap_or(0);
        let keep = octaves.iter().map(fit).min().unwrap_or(0).min(most);
        let bytes = octaves.iter().map(|(more, each, _)| keep.min(*more) as u64 * each).max();
        let free = octaves.first().map_or(1, |(.., free)| *free);
        (free + keep, bytes.unwrap_or(0))
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
