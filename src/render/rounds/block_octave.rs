//! One octave of a tile of blocks mode: its cells, and what they add to the tile's loss.

use std::collections::BTreeMap;

use candle_core::{D, Tensor};

use crate::geometry::{ALIGNMENT, Rect};
use crate::network::{Layer, Margins, Network, NetworkError};
use crate::objective::{
    ImageLoss, ImageSums, Spec, StyleDistance, StyleTargets, TapStatistics, cell_weights, cells,
    size_at,
};
use crate::render::devices::worker_pool::WorkerPool;
use crate::render::error::RenderError;
use crate::render::rounds::cell_targets::CellTargets;
use crate::render::rounds::context::{RoundContext, pixels_on};
use crate::render::tiles::halving::with_halving;
use crate::render::tiles::source::{HalvedSource, PixelSource};
use crate::render::tiles::sweeps::{ContentTargets, TileSweeps};
use crate::tiling::Pixels;

/// A deviation extrapolated below this part of its value in the whole image is held there: a
/// variance that the extrapolation would make negative has no root.
const LEAST_DEVIATION: f64 = 0.1;

/// What the region has at the snapshot, or at another point.
#[derive(Clone)]
struct RegionTerms {
    /// Means of `F F^T` and of `F` over the region's cells, and how many these are.
    means: BTreeMap<Layer, (Tensor, Tensor, f64)>,
    /// The terms that are sums over cells, as parts of the whole image's.
    by_cell: f64,
}

/// The part of a tile that sees the canvas halved some times.
pub(super) struct BlockOctave<'a> {
    spec: Spec,
    /// Width and height of the whole canvas in this octave, px.
    size: (usize, usize),
    /// The cells in work: the free pixels and their frozen context, in this octave's px.
    region: Rect,
    /// The region's tiles: one, or more where the memory does not hold it.
    sweeps: TileSweeps<'a>,
    /// The whole image's statistics and the style's, where the network computes and the rest of the
    /// picture is to move along.
    statistics: BTreeMap<Layer, TapStatistics>,
    targets: StyleTargets,
    /// How often the tile's own change counts.
    share: f64,
    /// By tap with a target for every cell, what a cell's squared difference weighs in the whole
    /// image's loss.
    weights: BTreeMap<Layer, f64>,
    /// What the region has at the snapshot, seen in the first evaluation.
    reference: Option<RegionTerms>,
    core: usize,
}

/// An octave's part of a tile's loss.
pub(super) struct OctaveLoss {
    /// The terms that are sums over cells: what they are more than at the snapshot.
    pub(super) by_cell: f64,
    /// The extrapolated terms.
    pub(super) extrapolated: f64,
    /// At the octave's region.
    pub(super) gradient: Tensor,
}

impl<'a> BlockOctave<'a> {
    /// The part `spec` of the loss of the pixels of `area` at `snapshot`, seen halved `octave`
    /// times.
    pub(super) fn new(
        context: &RoundContext<'_>,
        network: Option<&'a dyn Network>,
        (octave, spec): (usize, &Spec),
        snapshot: &dyn Pixels,
        area: Rect,
        whole: &ImageLoss,
    ) -> Result<Self, RenderError> {
        let size = size_at(context.size(), octave);
        let area_here = area.at_octave(octave);
        let region = surroundings(area_here, context.context.reach(spec), size);
        let free = area_here.relative_to(&region);
        let bounded = spec.style_distance == StyleDistance::Wasserstein;
        let (workers, margins) = (WorkerPool::single(network), Margins::exact(spec.taps()));
        let moving = if bounded { vec![] } else { spec.styles() };
        let sweeps = TileSweeps::new(workers, (region.width, region.height), moving, margins);
        let sweeps = sweeps.with_free(free);
        let pixels = |source: &dyn Pixels| {
            let pixels = HalvedSource::new(&source, context.size(), octave).region(region)?;
            pixels_on(network, pixels)
        };
        let (content, canvas) = (pixels(context.content)?, pixels(snapshot)?);
        let device = content.device();
        let mut core = region.width.max(region.height);
        let CellTargets { features, weights } =
            with_halving(&mut core, sweeps.workers(), |core| {
                let contents = CellTargets {
                    features: sweeps.content_features(&content, &spec.contents(), core)?,
                    weights: cell_weights(spec, size),
                };
                if !bounded {
                    return Ok(contents);
                }
                let here = sweeps.content_features(&canvas, &spec.styles(), core)?;
                contents.with_style((spec, context.targets), size, whole, &here, device)
            })?;
        let own = |layer: &Layer| !bounded && spec.style_layers.contains_key(layer);
        let statistics = whole
            .statistics
            .iter()
            .filter(|(layer, _)| own(layer))
            .map(|(layer, statistics)| Ok((*layer, statistics.to_device(device)?)))
            .collect::<Result<_, NetworkError>>()?;
        Ok(Self {
            spec: spec.clone(),
            size,
            region,
            statistics,
            targets: context.targets.to_device(device)?,
            share: if bounded { 1.0 } else { context.share(area) },
            sweeps: sweeps.with_contents(ContentTargets::Held(features)),
            weights,
            reference: None,
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
        let mut core = self.core;
        let found =
            with_halving(&mut core, self.sweeps.workers(), |core| self.losses(pixels, core));
        self.core = core;
        let (loss, here) = found?;
        self.reference.get_or_insert(here);
        Ok(loss)
    }

    /// The tap's statistics if the whole canvas had moved as the tile did.
    fn extrapolated(
        &self,
        layer: Layer,
        (gram, mean, count): &(Tensor, Tensor, f64),
        reference: &RegionTerms,
    ) -> Result<Option<TapStatistics>, NetworkError> {
        let (Some(whole), Some(before)) =
            (self.statistics.get(&layer), reference.means.get(&layer))
        else {
            return Ok(None);
        };
        let factor = self.share * count / cells(layer, self.size);
        let gram = (&whole.gram + ((gram - &before.0)? * factor)?)?;
        let mean = (&whole.mean + ((mean - &before.1)? * factor)?)?;
        let channels = mean.elem_count();
        let index = Tensor::from_vec(
            (0..channels as u32).collect::<Vec<_>>(),
            (channels, 1),
            gram.device(),
        )?;
        let variance = (gram.gather(&index, D::Minus1)?.squeeze(1)? - mean.sqr()?)?;
        let least = (whole.deviation.sqr()? * (LEAST_DEVIATION * LEAST_DEVIATION))?;
        // At the snapshot itself the deviation is the whole image's, its epsilon included.
        let epsilon = (whole.deviation.sqr()?
            - (whole.gram.gather(&index, D::Minus1)?.squeeze(1)? - whole.mean.sqr()?)?)?;
        let deviation = (variance + epsilon)?.maximum(&least)?.sqrt()?;
        Ok(Some(TapStatistics::new(gram, mean, deviation)))
    }

    fn terms(&self, sums: &ImageSums) -> Result<RegionTerms, NetworkError> {
        let mut means = BTreeMap::new();
        for (layer, moments) in &sums.moments {
            let (gram, mean) = moments.means()?;
            means.insert(*layer, (gram, mean, moments.cells() as f64));
        }
        let weighted = |(layer, sum): (&Layer, &f64)| self.weights.get(layer).map(|w| w * sum);
        Ok(RegionTerms { means, by_cell: sums.distances.iter().filter_map(weighted).sum() })
    }

    fn losses(
        &self,
        pixels: &Tensor,
        core: usize,
    ) -> Result<(OctaveLoss, RegionTerms), RenderError> {
        let (sums, kept) = self.sweeps.statistics(pixels, core, 0)?;
        let here = self.terms(&sums)?;
        let reference = self.reference.as_ref().unwrap_or(&here);
        let by_cell = self.share * (here.by_cell - reference.by_cell);
        let (mut extrapolated, mut style) = (0.0, Vec::new());
        for (layer, means) in &here.means {
            let Some(statistics) = self.extrapolated(*layer, means, reference)? else { continue };
            let cells = cells(*layer, self.size) / self.share;
            let found = self.targets.compare(&self.spec, *layer, &statistics, cells)?;
            if let Some((value, gradient)) = found {
                extrapolated += value.total();
                style.push(gradient);
            }
        }
        let weights: BTreeMap<Layer, f64> =
            self.weights.iter().map(|(layer, weight)| (*layer, self.share * weight)).collect();
        let gradient = self.sweeps.gradient(pixels, core, kept, &style, &weights)?;
        Ok((OctaveLoss { by_cell, extrapolated, gradient }, here))
    }
}

/// `area` and its context, beginning on multiples of the tiles' alignment as poolings need it.
fn surroundings(area: Rect, context: usize, (width, height): (usize, usize)) -> Rect {
    area.grown(context, width, height).aligned(ALIGNMENT, width, height)
}
