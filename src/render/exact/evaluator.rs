//! The whole image's loss and gradient, tile by tile.
//!
//! Two sweeps: the first adds up every core's statistics, from which the loss and its derivatives
//! follow; the second runs each tile backward with them and keeps the gradient of the core's
//! pixels. The result does not depend on the tiling beyond rounding (Galerne et al. 2024).

use std::collections::BTreeMap;

use candle_core::Tensor;

use crate::event::Losses;
use crate::network::{Layer, Margins};
use crate::objective::{ImageLoss, Spec, StyleTargets, TapLoss, cell_weights, total_variation};
use crate::render::devices::worker_pool::WorkerPool;
use crate::render::error::RenderError;
use crate::render::tiles::halving::with_halving;
use crate::render::tiles::sweeps::{ContentTargets, TileSweeps};

/// How a canvas is cut into tiles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TilePlan {
    /// Side of a tile's core, px: a multiple of 16 (of 64 with bitwise margins). A canvas that is no
    /// larger is one tile.
    pub core: usize,
    /// How many tiles' features the first sweep keeps for the second, which then runs backward only:
    /// the same bytes in less time, for their memory. One worker by itself keeps at least one.
    pub keep: usize,
    /// How far tiles reach beyond their cores.
    pub margins: Margins,
}

impl TilePlan {
    /// The canvas as one tile.
    pub fn untiled(spec: &Spec) -> Self {
        Self::of_cores(spec, usize::MAX)
    }

    /// Tiles with cores of `core` px and exact margins, of which no more are kept than need be.
    pub fn of_cores(spec: &Spec, core: usize) -> Self {
        Self { core, keep: 0, margins: Margins::exact(spec.taps()) }
    }
}

/// The loss at one canvas and its gradient.
pub struct Evaluation {
    /// The terms, weighted.
    pub losses: Losses,
    /// The terms by tap, weighted.
    pub taps: BTreeMap<Layer, TapLoss>,
    /// `dL/dx`, float32 `[3, H, W]`.
    pub gradient: Tensor,
}

/// Everything that evaluating a canvas of one size takes.
pub struct Evaluator<'a> {
    spec: Spec,
    targets: StyleTargets,
    /// Width and height of the canvas, px.
    size: (usize, usize),
    sweeps: TileSweeps<'a>,
    tiles: TilePlan,
    /// The core in use, smaller than planned after a failure for memory.
    core: usize,
}

impl<'a> Evaluator<'a> {
    /// Prepares evaluations by `workers`, whose networks may be missing when only the variation
    /// counts. `content` is the content image at the canvas's size, float32 `[3, H, W]`, RGB 0..1,
    /// whose features are computed here.
    ///
    /// # Errors
    /// When the canvas is too small for a tap, the device fails, or the workers are to stop.
    pub fn new(
        workers: WorkerPool<'a>,
        spec: &Spec,
        targets: StyleTargets,
        content: &Tensor,
        tiles: TilePlan,
    ) -> Result<Self, RenderError> {
        // A loss without taps never asks a network.
        let workers = if spec.deepest().is_some() { workers } else { workers.without_networks() };
        let (_, height, width) = content.dims3()?;
        let size = (width, height);
        let mut core = tiles.core.min(width.max(height));
        let sweeps = TileSweeps::new(workers, size, spec.styles(), tiles.margins);
        let features = with_halving(&mut core, sweeps.workers(), |core| {
            sweeps.content_features(content, &spec.contents(), core)
        })?;
        Ok(Self {
            spec: spec.clone(),
            targets: targets.to_device(content.device())?,
            size,
            sweeps: sweeps.with_contents(ContentTargets::Held(features)),
            tiles,
            core,
        })
    }

    /// Gives working memory back between two evaluations of a canvas in tiles, for what the
    /// optimiser needs then. A canvas in one piece keeps it: it is short of neither, and the next
    /// evaluation begins at once.
    pub fn release(&self) {
        if self.core < self.size.0.max(self.size.1) {
            self.sweeps.workers().release();
        }
    }

    /// Side of a tile's core, px: smaller than planned after a failure for memory.
    pub fn core(&self) -> usize {
        self.core
    }

    /// The loss and its gradient at `canvas`, float32 `[3, H, W]`; in tiles of half the core from
    /// the first that fails for memory.
    ///
    /// # Errors
    /// When the device fails otherwise, or for memory with the smallest tiles, or the workers are to
    /// stop.
    pub fn evaluate(&mut self, canvas: &Tensor) -> Result<Evaluation, RenderError> {
        let planned = self.tiles.core.min(self.size.0.max(self.size.1));
        let mut core = self.core;
        let found = with_halving(&mut core, self.sweeps.workers(), |core| {
            // Smaller tiles were planned with no memory for what is kept.
            self.evaluate_in(canvas, core, if core == planned { self.tiles.keep } else { 0 })
        });
        self.core = core;
        found
    }

    fn evaluate_in(
        &self,
        canvas: &Tensor,
        core: usize,
        keep: usize,
    ) -> Result<Evaluation, RenderError> {
        let Self { spec, targets, size, sweeps, .. } = self;
        let (sums, kept) = sweeps.statistics(canvas, core, keep)?;
        let workers = sweeps.workers();
        let mut loss = workers.install(|| ImageLoss::new(spec, targets, *size, &sums, 0.0))?;
        drop(sums);
        let weights = cell_weights(spec, *size);
        let mut gradient = sweeps.gradient(canvas, core, kept, &loss.gradients, &weights)?;
        if spec.variation_weight > 0.0 {
            let add = || {
                let (value, slope) = total_variation(canvas, spec.variation_weight)?;
                Ok::<_, RenderError>((value, (&gradient + slope)?))
            };
            (loss.variation, gradient) = workers.install(add)?;
        }
        Ok(Evaluation { losses: loss.losses(), taps: loss.taps, gradient })
    }
}
