//! The whole image's loss and gradient, tile by tile.
//!
//! Two sweeps: the first adds up every core's statistics, from which the loss and its derivatives
//! follow; the second runs each tile backward with them and keeps the gradient of the core's
//! pixels. The result does not depend on the tiling beyond rounding (Galerne et al. 2024).

use std::collections::BTreeMap;

use candle_core::Tensor;

use crate::event::Losses;
use crate::geometry::Rect;
use crate::network::{Features, Layer, Network, NetworkError};
use crate::objective::{
    Spec, StyleGradient, StyleLoss, StyleTargets, TapStatistics, total_variation,
};
use crate::render::devices::worker_pool::WorkerPool;
use crate::render::exact::tiled::{Sums, Tiled};
use crate::tiling::Grid;

/// The weighted loss at one tap.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct TapLoss {
    /// The content term here.
    pub content: f64,
    /// The style terms here.
    pub style: StyleLoss,
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

/// How far tiles reach beyond their cores.
#[derive(Clone, Copy)]
enum Margins {
    /// As far as exactness asks.
    Exact,
    /// As far as the last bits depend on.
    Bitwise,
}

/// Everything that evaluating a canvas of one size takes.
pub struct Sweep<'a> {
    spec: &'a Spec,
    targets: StyleTargets,
    tiled: Tiled<'a>,
}

impl<'a> Sweep<'a> {
    /// Prepares evaluations on `grid` by one network: `content` is the photograph at the canvas's
    /// size, float32 `[3, H, W]`, RGB 0..1, whose features are computed here. `network` may be
    /// missing when only the variation counts.
    ///
    /// # Errors
    /// When the canvas is too small for a tap or the device fails.
    pub fn new(
        network: Option<&'a dyn Network>,
        spec: &'a Spec,
        targets: StyleTargets,
        content: Option<&Tensor>,
        grid: Grid,
    ) -> Result<Self, NetworkError> {
        Self::by(WorkerPool::alone(network), spec, targets, content, grid)
    }

    /// [`Sweep::new`] with tiles handed out to the workers of a workers. Where the photograph's
    /// features fail for memory the core is halved, see [`Sweep::core`].
    ///
    /// # Errors
    /// As [`Sweep::new`].
    pub fn by(
        workers: WorkerPool<'a>,
        spec: &'a Spec,
        targets: StyleTargets,
        content: Option<&Tensor>,
        grid: Grid,
    ) -> Result<Self, NetworkError> {
        Self::prepare(workers, spec, targets, content, grid, Margins::Exact)
    }

    /// [`Sweep::by`] with tiles that reach so far beyond their cores that a canvas has the same
    /// losses and gradient to the last bit whatever the core, a multiple of 64 px, on the CPU. It
    /// takes more time and memory.
    ///
    /// # Errors
    /// As [`Sweep::new`].
    pub fn bitwise(
        workers: WorkerPool<'a>,
        spec: &'a Spec,
        targets: StyleTargets,
        content: Option<&Tensor>,
        grid: Grid,
    ) -> Result<Self, NetworkError> {
        Self::prepare(workers, spec, targets, content, grid, Margins::Bitwise)
    }

    fn prepare(
        workers: WorkerPool<'a>,
        spec: &'a Spec,
        targets: StyleTargets,
        content: Option<&Tensor>,
        grid: Grid,
        margins: Margins,
    ) -> Result<Self, NetworkError> {
        // A loss without taps never looks at the network.
        let workers = if spec.deepest().is_some() { workers } else { workers.without_networks() };
        let styles = spec.style_taps().map(|(layer, _)| layer).collect();
        let contents: Vec<Layer> = spec.content_taps().map(|(layer, _)| layer).collect();
        let tiled = Tiled::new(workers, styles, &contents, grid);
        let mut tiled = match margins {
            Margins::Exact => tiled,
            Margins::Bitwise => tiled.bitwise(spec.deepest()),
        };
        let targets = match content {
            Some(content) => targets.to_device(content.device())?,
            None => targets,
        };
        if let Some(content) = content {
            let features = tiled.halving(|tiled| tiled.features(content, &contents))?;
            tiled.set_contents(features);
        }
        Ok(Self { spec, targets, tiled })
    }

    /// Takes another margin around the cores than the taps ask for, px: one that is too small shows
    /// in the result, which is how tests know that the right one is needed.
    pub fn with_margin(self, margin: usize) -> Self {
        Self { tiled: self.tiled.with_margin(margin), ..self }
    }

    /// Says how many tiles' features the first sweep keeps for the second, which then runs backward
    /// only: the same bytes in less time, for their memory. One worker by itself keeps at least
    /// one.
    pub fn keeping(self, keep: usize) -> Self {
        Self { tiled: self.tiled.keeping(keep), ..self }
    }

    /// Gives working memory back between two evaluations of a canvas in tiles, for what the
    /// optimiser needs then. A canvas in one piece keeps it: it is short of neither, and the next
    /// evaluation begins at once.
    pub fn release(&self) {
        if self.tiled.grid().len() > 1 {
            self.tiled.workers().release();
        }
    }

    /// Side of a tile's core, px: smaller than at the beginning after a failure for memory.
    pub fn core(&self) -> usize {
        self.tiled.grid().core
    }

    /// [`Sweep::evaluate`], and again with tiles of half the core whenever one fails for memory.
    ///
    /// # Errors
    /// When the device fails otherwise, or for memory with the smallest tiles.
    pub fn evaluate_halving(&mut self, canvas: &Tensor) -> Result<Evaluation, NetworkError> {
        let (spec, targets) = (self.spec, &self.targets);
        self.tiled.halving(|tiled| View { spec, targets, tiled }.evaluate(canvas))
    }

    /// The loss and its gradient at `canvas`, float32 `[3, H, W]`.
    ///
    /// # Errors
    /// When the device fails.
    pub fn evaluate(&self, canvas: &Tensor) -> Result<Evaluation, NetworkError> {
        View { spec: self.spec, targets: &self.targets, tiled: &self.tiled }.evaluate(canvas)
    }
}

/// A sweep while it evaluates.
struct View<'v, 'a> {
    spec: &'v Spec,
    targets: &'v StyleTargets,
    tiled: &'v Tiled<'a>,
}

impl View<'_, '_> {
    fn evaluate(&self, canvas: &Tensor) -> Result<Evaluation, NetworkError> {
        let mut taps: BTreeMap<Layer, TapLoss> = BTreeMap::new();
        let mut gradient = None;
        let workers = self.tiled.workers();
        if workers.has_network() {
            let (sums, kept) = self.tiled.statistics(canvas)?;
            let style = workers.install(|| self.compare(&sums, &mut taps))?;
            gradient = Some(self.tiled.gradient(canvas, kept, &style, &self.content_scales())?);
        }
        let (variation, gradient) = workers.install(|| self.add_variation(canvas, gradient))?;
        let content = taps.values().map(|tap| tap.content).sum();
        let style = taps.values().map(|tap| tap.style.total()).sum();
        Ok(Evaluation { losses: Losses::new(content, style, variation), taps, gradient })
    }

    /// The losses at the taps, and the style terms' gradients.
    fn compare(
        &self,
        sums: &Sums,
        taps: &mut BTreeMap<Layer, TapLoss>,
    ) -> Result<Vec<StyleGradient>, NetworkError> {
        let statistics = sums
            .moments
            .iter()
            .map(|(layer, sums)| {
                let statistics = TapStatistics::from_moments(sums)?;
                Ok((*layer, (statistics, sums.cells() as f64)))
            })
            .collect::<Result<_, NetworkError>>()?;
        let mut gradients = Vec::new();
        for (layer, (loss, gradient)) in self.targets.compare_all(self.spec, &statistics)? {
            taps.entry(layer).or_default().style = loss;
            gradients.push(gradient);
        }
        for (layer, weight) in self.spec.content_taps() {
            let (Some(sum), Some(target)) =
                (sums.distances.get(&layer), self.tiled.contents().get(&layer))
            else {
                continue;
            };
            taps.entry(layer).or_default().content = weight * sum / self.values(layer, target);
        }
        Ok(gradients)
    }

    fn content_scales(&self) -> BTreeMap<Layer, f32> {
        let target = |layer| self.tiled.contents().get(&layer);
        let taps = self
            .spec
            .content_taps()
            .filter_map(|(layer, weight)| Some((layer, weight, target(layer)?)));
        taps.map(|(layer, weight, target)| {
            (layer, (2.0 * weight / self.values(layer, target)) as f32)
        })
        .collect()
    }

    /// Values of a content tap over the whole canvas.
    fn values(&self, layer: Layer, target: &Features) -> f64 {
        let Grid { width, height, .. } = self.tiled.grid();
        (target.channels() * Rect::whole(width, height).cells(layer.stride()).area()) as f64
    }

    fn add_variation(
        &self,
        canvas: &Tensor,
        gradient: Option<Tensor>,
    ) -> Result<(f64, Tensor), NetworkError> {
        if self.spec.variation_weight == 0.0 {
            return Ok((0.0, gradient.map_or_else(|| canvas.zeros_like(), Ok)?));
        }
        let (value, slope) = total_variation(canvas, self.spec.variation_weight)?;
        Ok((value, gradient.map_or(Ok(slope.clone()), |gradient| gradient + slope)?))
    }
}
