//! One octave of a tile of blocks mode: its cells, and what they add to the tile's loss.

use std::collections::BTreeMap;

use candle_core::Tensor;

use crate::geometry::{ALIGNMENT, Rect};
use crate::network::{Layer, Margins, Moments, Network, NetworkError};
use crate::objective::{
    ImageLoss, ImageSums, Means, Spec, StyleDistance, StyleTargets, cell_weights, size_at,
};
use crate::render::devices::worker_pool::WorkerPool;
use crate::render::error::RenderError;
use crate::render::rounds::context::{RoundContext, TileContext, pixels_on};
use crate::render::rounds::tile_style::TileStyle;
use crate::render::tiles::halving::with_halving;
use crate::render::tiles::source::{HalvedSource, PixelSource};
use crate::render::tiles::sweeps::{ContentTargets, TileSweeps};

/// The part of a tile that sees the canvas halved some times.
pub(super) struct BlockOctave<'a> {
    spec: Spec,
    /// Width and height of the whole canvas in this octave, px.
    size: (usize, usize),
    /// The cells in work: the free pixels and their frozen context, in this octave's px.
    region: Rect,
    /// The region's tiles: one, or more where the memory does not hold it.
    sweeps: TileSweeps<'a>,
    targets: &'a StyleTargets,
    /// The whole image's loss at the snapshot.
    whole: &'a ImageLoss,
    /// How often the tile's own change counts.
    share: f64,
    /// By content tap, what a cell's squared difference weighs in the tile's loss.
    weights: BTreeMap<Layer, f64>,
    /// The style terms, made when the region's statistics at the snapshot are known: by the first
    /// evaluation.
    style: Option<TileStyle>,
    /// The octave's terms at the snapshot.
    before: Option<f64>,
    core: usize,
}

/// An octave's part of a tile's loss.
pub(super) struct OctaveLoss {
    /// What its terms are more than at the snapshot.
    pub(super) change: f64,
    /// At the octave's region.
    pub(super) gradient: Tensor,
}

impl<'a> BlockOctave<'a> {
    /// The part `spec` of the loss of the pixels of `area` at `snapshot`, seen halved `octave`
    /// times.
    pub(super) fn new(
        context: &'a RoundContext<'a>,
        network: Option<&'a dyn Network>,
        (octave, spec): (usize, &Spec),
        area: Rect,
        whole: &'a ImageLoss,
    ) -> Result<Self, RenderError> {
        let size = size_at(context.size(), octave);
        let area_here = area.at_octave(octave);
        let (region, counted) = match spec.style_distance {
            // What changes is extrapolated, and whatever does not change cancels.
            StyleDistance::Gatys | StyleDistance::NeuralStyle => {
                let region = surroundings(area_here, context.context.reach(spec), size);
                (region, region)
            }
            // Cells near the region's border see zeros beside them. The whole image's transport
            // never saw such cells and carries them out of all bounds.
            StyleDistance::Wasserstein => {
                let around =
                    |context: TileContext| surroundings(area_here, context.reach(spec), size);
                (around(TileContext::Gradient), around(TileContext::Features))
            }
        };
        let free = area_here.relative_to(&region);
        let (workers, margins) = (WorkerPool::single(network), Margins::exact(spec.taps()));
        let (width, height) = (region.width, region.height);
        let sweeps = TileSweeps::new(workers, (width, height), spec.styles(), margins);
        let sweeps = sweeps.with_free(free).with_counted(counted.relative_to(&region));
        let content = HalvedSource::new(&context.content, context.size(), octave);
        let content = pixels_on(network, content.region(region)?)?;
        let mut core = width.max(height);
        let contents = with_halving(&mut core, sweeps.workers(), |core| {
            sweeps.content_features(&content, &spec.contents(), core)
        })?;
        let share = context.growth(area);
        let weights = cell_weights(spec, size).into_iter();
        Ok(Self {
            spec: spec.clone(),
            size,
            region,
            sweeps: sweeps.with_contents(ContentTargets::Held(contents)),
            targets: context.targets,
            whole,
            share,
            weights: weights.map(|(layer, weight)| (layer, share * weight)).collect(),
            style: None,
            before: None,
            core,
        })
    }

    /// The octave's cells in work, in its own px.
    pub(super) fn region(&self) -> Rect {
        self.region
    }

    /// Side of the cores it is computed in, px, when the memory did not hold it in one piece.
    pub(super) fn core(&self) -> Option<usize> {
        (self.core < self.region.width.max(self.region.height)).then_some(self.core)
    }

    /// The loss at the region's `pixels`.
    pub(super) fn evaluate(&mut self, pixels: &Tensor) -> Result<OctaveLoss, RenderError> {
        let Self { spec, size, sweeps, targets, whole, share, weights, style, .. } = self;
        let mut core = self.core;
        let found = with_halving(&mut core, sweeps.workers(), |core| {
            let (sums, kept) = sweeps.statistics(pixels, core, 0)?;
            let here = means(&sums)?;
            let style = match style {
                Some(style) => style,
                None => {
                    let (part, canvas) = ((&*spec, *targets), (*size, *share));
                    style.insert(TileStyle::new(part, canvas, whole, here.clone())?)
                }
            };
            let (style_loss, gradients) = style.compare(spec, *size, &here)?;
            let weighted = |(layer, sum): (&Layer, &f64)| weights.get(layer).map(|w| w * sum);
            let content: f64 = sums.distances.iter().filter_map(weighted).sum();
            let gradient = sweeps.gradient(pixels, core, kept, &gradients, weights)?;
            Ok((content + style_loss, gradient))
        });
        self.core = core;
        let (loss, gradient) = found?;
        Ok(OctaveLoss { change: loss - *self.before.get_or_insert(loss), gradient })
    }
}

/// The means of the sums at every style tap.
fn means(sums: &ImageSums) -> Result<BTreeMap<Layer, Means>, NetworkError> {
    let means = |(layer, moments): (&Layer, &Moments)| {
        let (second_moments, mean) = moments.means()?;
        Ok((*layer, (second_moments, mean, moments.cells() as f64)))
    };
    sums.moments.iter().map(means).collect()
}

/// `area` and its context, beginning on multiples of the tiles' alignment as poolings need it.
fn surroundings(area: Rect, context: usize, (width, height): (usize, usize)) -> Rect {
    area.grown(context, width, height).aligned(ALIGNMENT, width, height)
}
