//! Blocks mode: a tile's loss is the whole image's, as if the rest of the picture moved as the tile does.
//!
//! With `S` the sums of a tap's statistics over the tile's surroundings, `N` the cells of the canvas and `k` the
//! canvas's area over that of the tile's free pixels, a tile that moved from `x0` to `x` sees
//!
//! ```text
//! G(x) = G(x0) + k / N (S(x) - S(x0))
//! ```
//!
//! the same for the channel means, and deviations that follow from both. Content and variation grow by `k` as well. The
//! sums are over every cell that a free pixel reaches, and the pixels around are frozen context. Where the context is as
//! wide as the gradient needs ([`Context::Gradient`]), the gradient at `x0` is `k` times that of the whole image's loss:
//! where that is stationary no tile moves, and the fixed points of both are the same. The narrower context that is used
//! by default leaves that to rounding in the tile's inside and costs less.

use std::collections::BTreeMap;

use candle_core::{D, Tensor};

use super::error::RenderError;
use super::visits::{Context, Scene, TileObjective, Whole, tensor};
use crate::geometry::Rect;
use crate::network::{Features, Layer, NetworkError, Pass, Request, TapGradient};
use crate::objective::{StyleGradient, TapStatistics, total_variation};
use crate::tiling::Pixels;

/// A deviation extrapolated below this part of its value in the whole image is held there: a variance that the
/// extrapolation would make negative has no root.
const LEAST_DEVIATION: f64 = 0.1;

/// The sums at the snapshot, seen in the first evaluation.
struct Reference {
    /// Means of `F F^T` and of `F` over the region's cells.
    means: BTreeMap<Layer, (Tensor, Tensor)>,
    content: f64,
    variation: f64,
}

/// A tile's view of the whole image's loss. The first point evaluated must be the snapshot.
pub(super) struct BlockObjective<'a> {
    scene: &'a Scene<'a>,
    whole: &'a Whole,
    contents: Vec<(Layer, Features)>,
    /// The free pixels and their frozen context at the snapshot.
    surroundings: Tensor,
    region: Rect,
    /// The free pixels within the region.
    free: Rect,
    /// The canvas's area over that of the free pixels.
    share: f64,
    reference: Option<Reference>,
}

impl<'a> BlockObjective<'a> {
    /// The objective of the pixels of `area` at `snapshot`.
    pub(super) fn new(scene: &'a Scene<'a>, snapshot: &dyn Pixels, area: Rect, whole: &'a Whole) -> Result<Self, RenderError> {
        let (width, height) = snapshot.size();
        let margin = match scene.context {
            Context::Features => scene.margins().features,
            Context::Gradient => scene.margins().gradient,
        };
        let region = surroundings(area, margin, (width, height));
        let contents = match scene.network {
            Some(network) => scene.photograph_features(network, region)?,
            None => vec![],
        };
        Ok(Self {
            scene,
            whole,
            contents,
            surroundings: tensor(snapshot.read(region)?, region)?,
            region,
            free: area.relative_to(&region),
            share: (width * height) as f64 / area.area() as f64,
            reference: None,
        })
    }

    /// The tap's statistics if the whole canvas had moved as the tile did.
    fn extrapolated(&self, layer: Layer, means: &(Tensor, Tensor), cells: u64) -> Result<Option<TapStatistics>, NetworkError> {
        let (Some(whole), Some(before)) = (self.whole.statistics.get(&layer), self.reference.as_ref().and_then(|r| r.means.get(&layer)))
        else {
            return Ok(None);
        };
        let factor = self.share * cells as f64 / self.scene.cells(layer);
        let gram = (&whole.gram + ((&means.0 - &before.0)? * factor)?)?;
        let mean = (&whole.mean + ((&means.1 - &before.1)? * factor)?)?;
        let channels = mean.elem_count();
        let index = Tensor::from_vec((0..channels as u32).collect::<Vec<_>>(), (channels, 1), gram.device())?;
        let variance = (gram.gather(&index, D::Minus1)?.squeeze(1)? - mean.sqr()?)?;
        let least = (whole.deviation.sqr()? * (LEAST_DEVIATION * LEAST_DEVIATION))?;
        // At the snapshot itself the deviation is the whole image's, its epsilon included.
        let epsilon = (whole.deviation.sqr()? - (whole.gram.gather(&index, D::Minus1)?.squeeze(1)? - whole.mean.sqr()?)?)?;
        let deviation = (variance + epsilon)?.maximum(&least)?.sqrt()?;
        Ok(Some(TapStatistics { gram, mean, deviation }))
    }

    fn forward(&self, pixels: &Tensor) -> Result<Option<Box<dyn Pass + 'a>>, NetworkError> {
        let Some(network) = self.scene.network else { return Ok(None) };
        let request = Request {
            moments: self.scene.spec.style_taps().map(|(layer, _)| layer).collect(),
            features: self.contents.iter().map(|(layer, _)| *layer).collect(),
            gradients: vec![],
            core: Rect::whole(self.region.width, self.region.height),
            keep: true,
        };
        network.forward(pixels, &request).map(Some)
    }

    /// The content terms over the region, as parts of the whole image's; without the factor `k`.
    fn content(&self, pass: &dyn Pass) -> Result<f64, NetworkError> {
        let mut loss = 0.0;
        for (layer, target) in &self.contents {
            let sum: f64 = pass.content_distance(*layer, target, (0, 0))?.into_iter().sum();
            loss += self.content_weight(*layer, target) * sum;
        }
        Ok(loss)
    }

    /// The weight of one squared difference.
    fn content_weight(&self, layer: Layer, target: &Features) -> f64 {
        let weight = self.scene.spec.content_taps().find(|(tap, _)| *tap == layer).map_or(0.0, |(_, weight)| weight);
        weight / (target.channels() as f64 * self.scene.cells(layer))
    }

    fn backward(&self, pass: Box<dyn Pass + '_>, style: &[StyleGradient]) -> Result<Tensor, NetworkError> {
        let contents = self.contents.iter().map(|(layer, target)| {
            let scale = (2.0 * self.share * self.content_weight(*layer, target)) as f32;
            TapGradient::Content { layer: *layer, target, origin: (0, 0), scale }
        });
        let style = style.iter().map(|g| TapGradient::Affine { layer: g.layer, matrix: &g.matrix, offset: &g.offset });
        let gradients: Vec<TapGradient<'_>> = style.chain(contents).collect();
        pass.backward(&gradients)
    }
}

impl TileObjective for BlockObjective<'_> {
    fn evaluate(&mut self, free: &Tensor) -> Result<(f64, Tensor), NetworkError> {
        let spec = self.scene.spec;
        let pixels = pasted(&self.surroundings, free, self.free)?;
        let pass = self.forward(&pixels)?;
        let mut means = BTreeMap::new();
        let mut cells = BTreeMap::new();
        let mut content = 0.0;
        if let Some(pass) = &pass {
            content = self.content(pass.as_ref())?;
            for (layer, _) in spec.style_taps() {
                let moments = pass.moments(layer)?;
                cells.insert(layer, moments.cells());
                means.insert(layer, moments.means()?);
            }
        }
        let (variation, slope) = match spec.variation_weight > 0.0 {
            true => total_variation(&pixels, spec.variation_weight * self.share).map(|(value, slope)| (value, Some(slope)))?,
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
            let Some(statistics) = self.extrapolated(*layer, means, cells[layer])? else { continue };
            let cells = self.scene.cells(*layer) / self.share;
            if let Some((value, gradient)) = self.scene.targets.compare(spec, *layer, &statistics, cells)? {
                loss += value.total();
                style.push(gradient);
            }
        }
        let mut gradient = match pass {
            Some(pass) => self.backward(pass, &style)?,
            None => pixels.zeros_like()?,
        };
        if let Some(slope) = slope {
            gradient = (gradient + slope)?;
        }
        let free = self.free;
        Ok((loss, gradient.narrow(1, free.top, free.height)?.narrow(2, free.left, free.width)?.contiguous()?))
    }
}

/// `area` and its context, beginning on multiples of the grid's alignment as poolings need it.
fn surroundings(area: Rect, margin: usize, (width, height): (usize, usize)) -> Rect {
    let unit = crate::tiling::ALIGNMENT;
    let (left, top) = (area.left.saturating_sub(margin) / unit * unit, area.top.saturating_sub(margin) / unit * unit);
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
