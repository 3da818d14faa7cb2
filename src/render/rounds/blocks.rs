//! Blocks mode: a tile's loss is the whole image's, as if the rest of the picture moved as the tile
//! does.
//!
//! With `S` the sums of a tap's statistics over the tile's surroundings, `N` the cells of the
//! canvas and `k` the canvas's area over that of the tile's free pixels, a tile that moved from
//! `x0` to `x` sees
//!
//! ```text
//! G(x) = G(x0) + k / N (S(x) - S(x0))
//! ```
//!
//! the same for the channel means, and deviations that follow from both. Content and variation grow
//! by `k` as well. The sums are over every cell that a free pixel reaches, and the pixels around
//! are frozen context. Where the context is as wide as the gradient needs, the gradient at `x0` is
//! `k` times that of the whole image's loss: where that is stationary no tile moves, and the fixed
//! points of both are the same. The narrower context that is used by default leaves that to rounding
//! in the tile's inside and costs less.

use std::collections::BTreeMap;

use candle_core::{D, Tensor};

use crate::geometry::{ALIGNMENT, Rect};
use crate::network::{Layer, Margins, Network, NetworkError};
use crate::objective::{
    ImageLoss, ImageSums, StyleTargets, TapStatistics, cell_weights, cells, total_variation,
};
use crate::render::devices::worker_pool::WorkerPool;
use crate::render::error::RenderError;
use crate::render::rounds::context::{RoundContext, TileObjective, pixels_for};
use crate::render::tiles::halving::with_halving;
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
    /// The content terms as parts of the whole image's.
    content: f64,
    /// The variation, grown to the whole image's.
    variation: f64,
}

/// A tile's view of the whole image's loss. The first point evaluated must be the snapshot.
pub(super) struct BlockObjective<'a> {
    context: &'a RoundContext<'a>,
    whole: &'a ImageLoss,
    /// The whole image's statistics and the style's, where the network computes.
    statistics: BTreeMap<Layer, TapStatistics>,
    targets: StyleTargets,
    /// The region's tiles: one, or more where the memory does not hold it.
    sweeps: TileSweeps<'a>,
    core: usize,
    /// The region's longer side, px.
    side: usize,
    /// The free pixels and their frozen context at the snapshot.
    surroundings: Tensor,
    /// The free pixels within the region.
    free: Rect,
    /// The canvas's area over that of the free pixels.
    share: f64,
    /// By content tap, what a cell's squared difference weighs in the whole image's loss.
    weights: BTreeMap<Layer, f64>,
    /// What the region has at the snapshot, seen in the first evaluation.
    reference: Option<RegionTerms>,
}

impl<'a> BlockObjective<'a> {
    /// The objective of the pixels of `area` at `snapshot`.
    pub(super) fn new(
        context: &'a RoundContext<'a>,
        network: Option<&'a dyn Network>,
        snapshot: &dyn Pixels,
        area: Rect,
        whole: &'a ImageLoss,
    ) -> Result<Self, RenderError> {
        let (spec, region) = (context.spec, surroundings(area, context.context, context.size()));
        let free = area.relative_to(&region);
        let size = (region.width, region.height);
        let (workers, margins) = (WorkerPool::single(network), Margins::exact(spec.taps()));
        let sweeps = TileSweeps::new(workers, size, spec.styles(), margins).with_free(free);
        let content = pixels_for(network, context.content, region)?;
        let side = size.0.max(size.1);
        let mut core = side;
        let features = with_halving(&mut core, sweeps.workers(), |core| {
            sweeps.content_features(&content, &spec.contents(), core)
        })?;
        let device = content.device();
        let statistics = whole
            .statistics
            .iter()
            .map(|(layer, statistics)| Ok((*layer, statistics.to_device(device)?)))
            .collect::<Result<_, NetworkError>>()?;
        Ok(Self {
            context,
            whole,
            statistics,
            targets: context.targets.to_device(device)?,
            sweeps: sweeps.with_contents(ContentTargets::Held(features)),
            core,
            side,
            surroundings: pixels_for(network, snapshot, region)?,
            free,
            share: context.share(area),
            weights: cell_weights(spec, context.size()),
            reference: None,
        })
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
        let factor = self.share * count / cells(layer, self.context.size());
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
        Ok(Some(TapStatistics { gram, mean, deviation }))
    }

    /// What the region has in the sums and the pixels of a point; and the variation's gradient.
    fn terms(
        &self,
        sums: &ImageSums,
        pixels: &Tensor,
    ) -> Result<(RegionTerms, Option<Tensor>), NetworkError> {
        let mut means = BTreeMap::new();
        for (layer, moments) in &sums.moments {
            let (gram, mean) = moments.means()?;
            means.insert(*layer, (gram, mean, moments.cells() as f64));
        }
        let weighted = |(layer, sum): (&Layer, &f64)| self.weights.get(layer).map(|w| w * sum);
        let content = sums.distances.iter().filter_map(weighted).sum();
        let weight = self.context.spec.variation_weight * self.share;
        let (variation, slope) = if weight > 0.0 {
            let (value, slope) = total_variation(pixels, weight)?;
            (value, Some(slope))
        } else {
            (0.0, None)
        };
        Ok((RegionTerms { means, content, variation }, slope))
    }

    /// The loss and its gradient at the free pixels, in tiles of `core` px, and the terms there.
    fn losses(
        &self,
        free: &Tensor,
        core: usize,
    ) -> Result<(f64, Tensor, RegionTerms), RenderError> {
        let pixels = pasted(&self.surroundings, free, self.free)?;
        let (sums, kept) = self.sweeps.statistics(&pixels, core, 0)?;
        let (here, slope) = self.terms(&sums, &pixels)?;
        let reference = self.reference.as_ref().unwrap_or(&here);
        let whole = self.whole.losses();
        let mut loss = whole.content + whole.variation;
        loss += self.share * (here.content - reference.content);
        loss += here.variation - reference.variation;
        let mut style = Vec::new();
        for (layer, means) in &here.means {
            let Some(statistics) = self.extrapolated(*layer, means, reference)? else { continue };
            let cells = cells(*layer, self.context.size()) / self.share;
            let found = self.targets.compare(self.context.spec, *layer, &statistics, cells)?;
            if let Some((value, gradient)) = found {
                loss += value.total();
                style.push(gradient);
            }
        }
        let weights: BTreeMap<Layer, f64> =
            self.weights.iter().map(|(layer, weight)| (*layer, self.share * weight)).collect();
        let mut gradient = self.sweeps.gradient(&pixels, core, kept, &style, &weights)?;
        if let Some(slope) = slope {
            gradient = (gradient + slope)?;
        }
        let rows = gradient.narrow(1, self.free.top, self.free.height)?;
        let gradient = rows.narrow(2, self.free.left, self.free.width)?.contiguous()?;
        Ok((loss, gradient, here))
    }
}

impl TileObjective for BlockObjective<'_> {
    fn evaluate(&mut self, free: &Tensor) -> Result<(f64, Tensor), RenderError> {
        let mut core = self.core;
        let found = with_halving(&mut core, self.sweeps.workers(), |core| self.losses(free, core));
        self.core = core;
        let (loss, gradient, here) = found?;
        self.reference.get_or_insert(here);
        Ok((loss, gradient))
    }

    fn core(&self) -> Option<usize> {
        (self.core < self.side).then_some(self.core)
    }
}

/// `area` and its context, beginning on multiples of the tiles' alignment as poolings need it.
fn surroundings(area: Rect, context: usize, (width, height): (usize, usize)) -> Rect {
    area.grown(context, width, height).aligned(ALIGNMENT, width, height)
}

/// `whole` with the rectangle `at` replaced by `part`.
fn pasted(whole: &Tensor, part: &Tensor, at: Rect) -> candle_core::Result<Tensor> {
    if whole.dims() == part.dims() {
        return Ok(part.clone());
    }
    whole.slice_assign(&[0..3, at.top..at.bottom(), at.left..at.right()], part)
}
