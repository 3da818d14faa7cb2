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
//! are frozen context. Where the context is as wide as the gradient needs ([`Context::Gradient`]),
//! the gradient at `x0` is `k` times that of the whole image's loss: where that is stationary no
//! tile moves, and the fixed points of both are the same. The narrower context that is used by
//! default leaves that to rounding in the tile's inside and costs less.

use std::collections::BTreeMap;

use candle_core::{D, Tensor};

use crate::geometry::{ALIGNMENT, Rect};
use crate::network::{Layer, Network, NetworkError};
use crate::objective::{StyleTargets, TapStatistics, total_variation};
use crate::render::devices::worker_pool::WorkerPool;
use crate::render::error::RenderError;
use crate::render::exact::tiled::Tiled;
use crate::render::rounds::visits::{
    Context, ImageStatistics, RoundContext, TileObjective, tensor_for,
};
use crate::tiling::{Grid, Pixels};

/// A deviation extrapolated below this part of its value in the whole image is held there: a
/// variance that the extrapolation would make negative has no root.
const LEAST_DEVIATION: f64 = 0.1;

/// The sums at the snapshot, seen in the first evaluation.
struct Reference {
    /// Means of `F F^T` and of `F` over the region's cells.
    means: BTreeMap<Layer, (Tensor, Tensor)>,
    content: f64,
    variation: f64,
}

/// A tile's view of the whole image's loss. The first point evaluated must be the snapshot.
pub(crate) struct BlockObjective<'a> {
    context: &'a RoundContext<'a>,
    whole: &'a ImageStatistics,
    /// The whole image's statistics and the paintings', where the network computes.
    statistics: BTreeMap<Layer, TapStatistics>,
    targets: StyleTargets,
    /// The region as one tile, or more where the memory does not hold it.
    tiled: Tiled<'a>,
    /// The free pixels and their frozen context at the snapshot.
    surroundings: Tensor,
    /// The free pixels within the region.
    free: Rect,
    /// The canvas's area over that of the free pixels.
    share: f64,
    reference: Option<Reference>,
}

impl<'a> BlockObjective<'a> {
    /// The objective of the pixels of `area` at `snapshot`.
    pub(crate) fn new(
        context: &'a RoundContext<'a>,
        network: Option<&'a dyn Network>,
        snapshot: &dyn Pixels,
        area: Rect,
        whole: &'a ImageStatistics,
    ) -> Result<Self, RenderError> {
        let (width, height) = snapshot.size();
        let margin = match context.context {
            Context::Features => context.margins().features,
            Context::Gradient => context.margins().gradient,
        };
        let region = surroundings(area, margin, (width, height));
        let styles = context.spec.style_taps().map(|(layer, _)| layer).collect();
        let contents: Vec<Layer> = context.spec.content_taps().map(|(layer, _)| layer).collect();
        let mut tiled = Tiled::new(
            WorkerPool::alone(network),
            styles,
            &contents,
            Grid::whole(region.width, region.height),
        )
        .with_wanted(area.relative_to(&region));
        let photograph = tensor_for(network, context.photograph.read(region)?, region)?;
        let device = photograph.device().clone();
        let features = tiled.halving(|tiled| tiled.features(&photograph, &contents))?;
        tiled.set_contents(features);
        Ok(Self {
            context,
            whole,
            statistics: whole
                .statistics
                .iter()
                .map(|(layer, statistics)| Ok((*layer, statistics.to_device(&device)?)))
                .collect::<Result<_, NetworkError>>()?,
            targets: context.targets.to_device(&device)?,
            tiled,
            surroundings: tensor_for(network, snapshot.read(region)?, region)?,
            free: area.relative_to(&region),
            share: (width * height) as f64 / area.area() as f64,
            reference: None,
        })
    }

    /// The tap's statistics if the whole canvas had moved as the tile did.
    fn extrapolated(
        &self,
        layer: Layer,
        means: &(Tensor, Tensor),
        cells: u64,
    ) -> Result<Option<TapStatistics>, NetworkError> {
        let (Some(whole), Some(before)) = (
            self.statistics.get(&layer),
            self.reference.as_ref().and_then(|r| r.means.get(&layer)),
        ) else {
            return Ok(None);
        };
        let factor = self.share * cells as f64 / self.context.cells(layer);
        let gram = (&whole.gram + ((&means.0 - &before.0)? * factor)?)?;
        let mean = (&whole.mean + ((&means.1 - &before.1)? * factor)?)?;
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

    /// The content terms of the region as parts of the whole image's, without the factor `k`.
    fn content(&self, distances: &BTreeMap<Layer, f64>) -> f64 {
        distances.iter().map(|(layer, sum)| self.content_weight(*layer) * sum).sum()
    }

    /// The weight of one squared difference.
    fn content_weight(&self, layer: Layer) -> f64 {
        let weight = self
            .context
            .spec
            .content_taps()
            .find(|(tap, _)| *tap == layer)
            .map_or(0.0, |(_, weight)| weight);
        let channels = self.tiled.contents().get(&layer).map_or(1, |target| target.channels());
        weight / (channels as f64 * self.context.cells(layer))
    }

    fn content_scales(&self) -> BTreeMap<Layer, f32> {
        let scale = |layer: Layer| (2.0 * self.share * self.content_weight(layer)) as f32;
        self.tiled.contents().keys().map(|layer| (*layer, scale(*layer))).collect()
    }

    fn losses(&mut self, free: &Tensor) -> Result<(f64, Tensor), NetworkError> {
        let spec = self.context.spec;
        let pixels = pasted(&self.surroundings, free, self.free)?;
        let (sums, kept) = match self.tiled.workers().has_network() {
            true => self.tiled.statistics(&pixels)?,
            false => Default::default(),
        };
        let content = self.content(&sums.distances);
        let mut means = BTreeMap::new();
        for (layer, moments) in &sums.moments {
            means.insert(*layer, moments.means()?);
        }
        let (variation, slope) = match spec.variation_weight > 0.0 {
            true => total_variation(&pixels, spec.variation_weight * self.share)
                .map(|(value, slope)| (value, Some(slope)))?,
            false => (0.0, None),
        };
        if self.reference.is_none() {
            self.reference = Some(Reference { means: means.clone(), content, variation });
        }
        let reference = self.reference.as_ref().expect("set above");
        let mut loss = self.whole.losses.content + self.whole.losses.variation;
        loss += self.share * (content - reference.content) + (variation - reference.variation);
        let mut style = Vec::new();
        for (layer, means) in &means {
            let Some(statistics) = self.extrapolated(*layer, means, sums.moments[layer].cells())?
            else {
                continue;
            };
            let cells = self.context.cells(*layer) / self.share;
            if let Some((value, gradient)) =
                self.targets.compare(spec, *layer, &statistics, cells)?
            {
                loss += value.total();
                style.push(gradient);
            }
        }
        let mut gradient = match self.tiled.workers().has_network() {
            true => self.tiled.gradient(&pixels, kept, &style, &self.content_scales())?,
            false => pixels.zeros_like()?,
        };
        if let Some(slope) = slope {
            gradient = (gradient + slope)?;
        }
        let free = self.free;
        Ok((
            loss,
            gradient
                .narrow(1, free.top, free.height)?
                .narrow(2, free.left, free.width)?
                .contiguous()?,
        ))
    }
}

impl TileObjective for BlockObjective<'_> {
    fn evaluate(&mut self, free: &Tensor) -> Result<(f64, Tensor), NetworkError> {
        loop {
            match self.losses(free) {
                Err(error) if error.is_out_of_memory() && self.tiled.halve() => {}
                done => return done,
            }
        }
    }

    fn core(&self) -> Option<usize> {
        let Grid { width, height, core } = self.tiled.grid();
        (core < width.max(height)).then_some(core)
    }
}

/// `area` and its context, beginning on multiples of the grid's alignment as poolings need it.
fn surroundings(area: Rect, margin: usize, (width, height): (usize, usize)) -> Rect {
    let unit = ALIGNMENT;
    let (left, top) = (
        area.left.saturating_sub(margin) / unit * unit,
        area.top.saturating_sub(margin) / unit * unit,
    );
    let right = (area.right() + margin).next_multiple_of(unit).min(width);
    let bottom = (area.bottom() + margin).next_multiple_of(unit).min(height);
    Rect { left, top, width: right - left, height: bottom - top }
}

/// `whole` with the rectangle `at` replaced by `part`.
fn pasted(whole: &Tensor, part: &Tensor, at: Rect) -> candle_core::Result<Tensor> {
    if whole.dims() == part.dims() {
        return Ok(part.clone());
    }
    whole.slice_assign(&[0..3, at.top..at.bottom(), at.left..at.right()], part)
}
