//! What the tiles of a level share: the loss, the content, the layouts, and the whole image's
//! statistics.

use candle_core::{Device, Tensor};

use crate::geometry::Rect;
use crate::network::{Margins, Network, NetworkError};
use crate::objective::{ImageLoss, Spec, StyleTargets, variation_of_rows};
use crate::optimise::Method;
use crate::plan::{RoundMode, Visits};
use crate::render::devices::worker_pool::WorkerPool;
use crate::render::error::RenderError;
use crate::render::tiles::halving::with_halving;
use crate::render::tiles::source::PixelSource;
use crate::render::tiles::sweeps::{ContentTargets, TileSweeps};
use crate::tiling::{Layout, Pixels};

/// Rows whose variation is summed at once.
const BAND: usize = 64;

/// What all visits of a level share.
pub struct RoundContext<'a> {
    /// What the tiles optimise.
    pub mode: RoundMode,
    /// Who computes. The result does not depend on how many they are.
    pub workers: &'a WorkerPool<'a>,
    /// The loss.
    pub spec: &'a Spec,
    /// The style's statistics.
    pub targets: &'a StyleTargets,
    /// The content image at the canvas's size.
    pub content: &'a dyn Pixels,
    /// Core, overlap, rounds and evaluations.
    pub visits: Visits,
    /// How much frozen picture around its free pixels a tile of blocks mode sees, px:
    /// [`RoundContext::default_context`], or more.
    pub context: usize,
    /// The optimiser of a tile.
    pub method: Method,
}

/// A tile's loss and its gradient with respect to the tile's free pixels.
pub trait TileObjective {
    /// Evaluates the free pixels, float32 `[3, h, w]`.
    ///
    /// # Errors
    /// When the device fails, or for memory with the smallest tiles.
    fn evaluate(&mut self, free: &Tensor) -> Result<(f64, Tensor), RenderError>;

    /// Side of the cores it is computed in, px, when the memory did not hold the tile in one piece.
    fn core(&self) -> Option<usize>;
}

impl RoundContext<'_> {
    /// What the features of the free pixels depend on (80 px for relu5_1). The gradient is exact in
    /// the tile's inside and slightly off towards its edges, where the neighbours' windows take
    /// over; a third cheaper at cores of 512 px than what the gradient depends on (160 px), with
    /// which no tile moves where the whole image's loss is stationary.
    pub fn default_context(spec: &Spec) -> usize {
        Margins::exact(spec.taps()).features
    }

    /// Width and height of the canvas, px.
    pub fn size(&self) -> (usize, usize) {
        self.content.size()
    }

    /// The tiles of round `round`, counted from 0: every second round is shifted by half a core.
    pub fn layout(&self, round: usize) -> Layout {
        let Visits { core, overlap, .. } = self.visits;
        Layout::new(self.size(), core, overlap, !round.is_multiple_of(2))
    }

    /// The canvas's area over that of some of its pixels.
    pub(crate) fn share(&self, area: Rect) -> f64 {
        let (width, height) = self.size();
        (width * height) as f64 / area.area() as f64
    }

    /// The statistics and losses of the whole canvas.
    ///
    /// # Errors
    /// When the canvas cannot be read, the device fails, or the workers are to stop.
    pub fn measure(&self, canvas: &dyn Pixels) -> Result<ImageLoss, RenderError> {
        let (spec, size) = (self.spec, self.size());
        let (workers, margins) = (self.workers.clone(), Margins::exact(spec.taps()));
        let content = &self.content;
        let sweeps = TileSweeps::forward_only(workers, size, spec.styles(), margins)
            .with_contents(ContentTargets::Computed(spec.contents(), content));
        let mut core = self.visits.core.min(size.0.max(size.1));
        let (sums, _) =
            with_halving(&mut core, sweeps.workers(), |core| sweeps.statistics(&canvas, core, 0))?;
        let variation = self.variation(canvas)?;
        let loss = || ImageLoss::new(spec, self.targets, size, &sums, variation);
        Ok(self.workers.install(loss)?)
    }

    /// The weighted variation of a canvas, a band of rows at a time.
    fn variation(&self, canvas: &dyn Pixels) -> Result<f64, RenderError> {
        let ((width, height), weight) = (self.size(), self.spec.variation_weight);
        let mut sum = 0.0;
        if weight > 0.0 {
            for top in (0..height).step_by(BAND) {
                let (rows, below) = (BAND.min(height - top), (BAND + 1).min(height - top));
                let values = canvas.read(Rect { left: 0, top, width, height: below })?;
                sum += variation_of_rows(&values, width, rows);
            }
        }
        Ok(weight * sum)
    }
}

/// The pixels of a rectangle where a network computes.
pub(crate) fn pixels_for(
    network: Option<&dyn Network>,
    source: &dyn Pixels,
    rect: Rect,
) -> Result<Tensor, RenderError> {
    let pixels = PixelSource::region(&source, rect)?;
    let device = network.map_or(Device::Cpu, Network::device);
    Ok(pixels.to_device(&device).map_err(NetworkError::from)?)
}
