//! What the tiles of a level share: the loss, the content, the layouts, and the whole image's
//! statistics.

use std::collections::BTreeMap;

use candle_core::{Device, Tensor};

use crate::geometry::Rect;
use crate::network::{Margins, Network, NetworkError};
use crate::objective::{ImageLoss, Spec, StyleDistance, StyleTargets, size_at, variation_of_rows};
use crate::optimise::Method;
use crate::plan::{RoundMode, Visits};
use crate::render::devices::worker_pool::WorkerPool;
use crate::render::error::RenderError;
use crate::render::tiles::halving::with_halving;
use crate::render::tiles::source::{HalvedSource, PixelSource};
use crate::render::tiles::sweeps::{ContentTargets, TileSweeps};
use crate::tiling::{Layout, Pixels};

/// Rows whose variation is summed at once.
const BAND: usize = 64;

/// How much frozen picture around its free pixels a tile of blocks mode sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TileContext {
    /// What the features of the free pixels depend on (80 px for relu5_1). The gradient is exact in
    /// the tile's inside and slightly off towards its edges, where the neighbours' windows take
    /// over; a third cheaper at cores of 512 px than what the gradient depends on.
    Features,
    /// What their gradient depends on (160 px): no tile moves where the whole image's loss is
    /// stationary.
    Gradient,
}

impl TileContext {
    /// In px, for a loss without octaves.
    pub(crate) fn reach(self, spec: &Spec) -> usize {
        let margins = Margins::exact(spec.taps());
        match self {
            TileContext::Features => margins.features,
            TileContext::Gradient => margins.gradient,
        }
    }
}

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
    /// How much frozen picture around its free pixels a tile of blocks mode sees.
    pub context: TileContext,
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

    /// How often the change of some pixels counts in blocks mode: as often as if the rest moved along,
    /// where the style terms are extrapolated.
    pub(crate) fn growth(&self, area: Rect) -> f64 {
        match self.spec.style_distance {
            StyleDistance::Wasserstein => 1.0,
            _ => self.share(area),
        }
    }

    /// The statistics and losses of the whole canvas.
    ///
    /// # Errors
    /// When the canvas cannot be read, the device fails, or the workers are to stop.
    pub fn measure(&self, canvas: &dyn Pixels) -> Result<ImageLoss, RenderError> {
        let mut loss = ImageLoss { variation: self.variation(canvas)?, ..ImageLoss::default() };
        for (octave, part) in self.spec.by_octave().iter().enumerate() {
            let size = size_at(self.size(), octave);
            let canvas = HalvedSource::new(&canvas, self.size(), octave);
            let content = HalvedSource::new(&self.content, self.size(), octave);
            let (workers, margins) = (self.workers.clone(), Margins::exact(part.taps()));
            let sweeps = TileSweeps::forward_only(workers, size, part.styles(), margins)
                .with_contents(ContentTargets::Computed(part.contents(), &content));
            let mut core = self.visits.core.min(size.0.max(size.1));
            let (sums, _) = with_halving(&mut core, sweeps.workers(), |core| {
                sweeps.statistics(&canvas, core, 0)
            })?;
            let octave = || ImageLoss::new(part, self.targets, size, &sums, 0.0);
            loss.absorb(self.workers.install(octave)?);
        }
        Ok(loss)
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

/// `spec` with its content in units of the mean squares of `content`'s features, where it asks for
/// that, in tiles of `core` px.
///
/// # Errors
/// When the content cannot be read, the device fails, or the workers are to stop.
pub fn in_content_units(
    spec: &Spec,
    workers: &WorkerPool<'_>,
    content: &dyn Pixels,
    core: usize,
) -> Result<Spec, RenderError> {
    if !spec.relative_content {
        return Ok(spec.clone());
    }
    let mut squares = BTreeMap::new();
    for (octave, part) in spec.by_octave().iter().enumerate() {
        let (size, layers) = (size_at(content.size(), octave), part.contents());
        let content = HalvedSource::new(&content, content.size(), octave);
        let margins = Margins::exact(part.contents());
        let sweeps = TileSweeps::forward_only(workers.clone(), size, vec![], margins);
        let mut core = core.min(size.0.max(size.1));
        let found = with_halving(&mut core, sweeps.workers(), |core| {
            sweeps.content_squares(&content, &layers, core)
        })?;
        squares.extend(found);
    }
    Ok(spec.clone().in_units_of(&squares))
}

/// The pixels of a rectangle where a network computes.
pub(crate) fn pixels_for(
    network: Option<&dyn Network>,
    source: &dyn Pixels,
    rect: Rect,
) -> Result<Tensor, RenderError> {
    pixels_on(network, PixelSource::region(&source, rect)?)
}

/// Pixels brought to where a network computes.
pub(crate) fn pixels_on(
    network: Option<&dyn Network>,
    pixels: Tensor,
) -> Result<Tensor, RenderError> {
    let device = network.map_or(Device::Cpu, Network::device);
    Ok(pixels.to_device(&device).map_err(NetworkError::from)?)
}
