//! The whole image's loss and gradient, tile by tile.
//!
//! Two sweeps: the first adds up every core's statistics, from which the loss and its derivatives
//! follow; the second runs each tile backward with them and keeps the gradient of the core's
//! pixels. The result does not depend on the tiling beyond rounding (Galerne et al. 2024).

use std::collections::BTreeMap;

use candle_core::Tensor;

use crate::event::Losses;
use crate::network::{Layer, Margins, NetworkError};
use crate::objective::{
    ImageLoss, Spec, StyleTargets, TapLoss, cell_weights, halved, spread, total_variation,
};
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
    /// The parts of the loss that see the canvas, its half, and so on.
    octaves: Vec<OctaveEvaluator<'a>>,
    /// Width and height of the canvas, px.
    size: (usize, usize),
    /// The weight of the canvas's variation.
    variation_weight: f64,
    workers: WorkerPool<'a>,
}

impl<'a> Evaluator<'a> {
    /// Prepares evaluations by `workers`, whose networks may be missing when only the variation
    /// counts. `content` is the content image at the canvas's size, float32 `[3, H, W]`, RGB 0..1,
    /// whose features are computed here. Each of `targets` was taken at the size of its octave.
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
        let (_, height, width) = content.dims3()?;
        let targets = targets.to_device(content.device())?;
        let mut octaves = Vec::new();
        let mut content = content.clone();
        for (number, part) in spec.by_octave().into_iter().enumerate() {
            if number > 0 {
                content = workers.install(|| halved(&content))?;
            }
            let (workers, targets) = (workers.clone(), targets.clone());
            octaves.push(OctaveEvaluator::new(workers, part, targets, &content, tiles)?);
        }
        let variation_weight = spec.variation_weight;
        Ok(Self { octaves, size: (width, height), variation_weight, workers })
    }

    /// Gives working memory back between two evaluations of a canvas in tiles, for what the
    /// optimiser needs then. A canvas in one piece keeps it: it is short of neither, and the next
    /// evaluation begins at once.
    pub fn release(&self) {
        if self.core() < self.size.0.max(self.size.1) {
            self.workers.release();
        }
    }

    /// Side of a tile's core, px: smaller than planned after a failure for memory.
    pub fn core(&self) -> usize {
        // An octave of less px than the core is one tile.
        let cores = self.octaves.iter().map(|octave| octave.core.unwrap_or(usize::MAX));
        cores.min().unwrap_or(usize::MAX).min(self.size.0.max(self.size.1))
    }

    /// The loss and its gradient at `canvas`, float32 `[3, H, W]`; in tiles of half the core from
    /// the first that fails for memory.
    ///
    /// # Errors
    /// When the device fails otherwise, or for memory with the smallest tiles, or the workers are to
    /// stop.
    pub fn evaluate(&mut self, canvas: &Tensor) -> Result<Evaluation, RenderError> {
        let mut canvases = vec![canvas.clone()];
        for octave in 1..self.octaves.len() {
            canvases.push(self.workers.install(|| halved(&canvases[octave - 1]))?);
        }
        let (mut loss, mut gradient) = (ImageLoss::default(), None::<Tensor>);
        // From the smallest: each gives its gradient to the next larger.
        for octave in self.octaves.iter_mut().rev() {
            let canvas = canvases.pop().ok_or(RenderError::Broken("an octave without a canvas"))?;
            let below = gradient.take();
            let (part, own) = octave.evaluate(&canvas)?;
            loss.absorb(part);
            gradient = Some(match below {
                None => own,
                Some(below) => self.workers.install(|| own + spread(&below, octave.size)?)?,
            });
        }
        let mut gradient = gradient.ok_or(RenderError::Broken("a loss without an octave"))?;
        if self.variation_weight > 0.0 {
            let add = || {
                let (value, slope) = total_variation(canvas, self.variation_weight)?;
                Ok::<_, RenderError>((value, (&gradient + slope)?))
            };
            (loss.variation, gradient) = self.workers.install(add)?;
        }
        Ok(Evaluation { losses: loss.losses(), taps: loss.taps, gradient })
    }
}

/// The part of a loss that sees a canvas at one size.
struct OctaveEvaluator<'a> {
    spec: Spec,
    targets: StyleTargets,
    /// Width and height, px.
    size: (usize, usize),
    sweeps: TileSweeps<'a>,
    tiles: TilePlan,
    /// The core in use after a failure for memory, smaller than planned.
    core: Option<usize>,
}

impl<'a> OctaveEvaluator<'a> {
    fn new(
        workers: WorkerPool<'a>,
        spec: Spec,
        targets: StyleTargets,
        content: &Tensor,
        tiles: TilePlan,
    ) -> Result<Self, RenderError> {
        let (_, height, width) = content.dims3()?;
        let size = (width, height);
        let sweeps =
            TileSweeps::new(workers, size, spec.styles(), tiles.margins.narrowed_to(spec.taps()));
        let planned = tiles.core.min(width.max(height));
        let mut core = planned;
        let features = with_halving(&mut core, sweeps.workers(), |core| {
            sweeps.content_features(content, &spec.contents(), core)
        })?;
        let squares =
            features.iter().map(|(layer, features)| Ok((*layer, features.mean_square()?)));
        let spec = spec.in_units_of(&squares.collect::<Result<_, NetworkError>>()?);
        let sweeps = sweeps.with_contents(ContentTargets::Held(features));
        let core = (core < planned).then_some(core);
        Ok(Self { spec, targets, size, sweeps, tiles, core })
    }

    /// The loss but for its variation, and its gradient.
    fn evaluate(&mut self, canvas: &Tensor) -> Result<(ImageLoss, Tensor), RenderError> {
        let planned = self.tiles.core.min(self.size.0.max(self.size.1));
        let mut core = self.core.unwrap_or(planned);
        let found = with_halving(&mut core, self.sweeps.workers(), |core| {
            // Smaller tiles were planned with no memory for what is kept.
            self.evaluate_in(canvas, core, if core == planned { self.tiles.keep } else { 0 })
        });
        self.core = (core < planned).then_some(core);
        found
    }

    fn evaluate_in(
        &self,
        canvas: &Tensor,
        core: usize,
        keep: usize,
    ) -> Result<(ImageLoss, Tensor), RenderError> {
        let Self { spec, targets, size, sweeps, .. } = self;
        let (sums, kept) = sweeps.statistics(canvas, core, keep)?;
        let loss = sweeps.workers().install(|| ImageLoss::new(spec, targets, *size, &sums, 0.0))?;
        drop(sums);
        let weights = cell_weights(spec, *size);
        let gradient = sweeps.gradient(canvas, core, kept, &loss.gradients, &weights)?;
        Ok((loss, gradient))
    }
}
