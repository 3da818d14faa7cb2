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
//!
//! The Wasserstein distance is not extrapolated: a covariance grown so far is no covariance. It has
//! an upper bound that is a sum over tiles instead. With the transport map `T0` from the snapshot's
//! Gaussian to the style's, a tile with means `mu_t` and covariance `Sigma_t` at the snapshot is drawn
//! to its own share of the style,
//!
//! ```text
//! mu_t* = mu* + T0 (mu_t - mu0)        Sigma_t* = T0 Sigma_t T0
//! ```
//!
//! at the Wasserstein distance `d_t` between its own Gaussian and that one. The shares are together
//! the style, and pairing each tile with its share is one pairing of the whole with the style, so
//! that with `n_t` of the `n` cells in tile `t`
//!
//! ```text
//! d2 <= sum_t n_t/n d_t2
//! ```
//!
//! with equal values and equal gradients at the snapshot ([`TransportedStyle`]). Nothing of it grows
//! with `k`.
//!
//! [`TransportedStyle`]: crate::objective::TransportedStyle

use candle_core::Tensor;

use crate::geometry::Rect;
use crate::network::Network;
use crate::objective::{ImageLoss, halved, spread, total_variation};
use crate::render::error::RenderError;
use crate::render::rounds::block_octave::BlockOctave;
use crate::render::rounds::context::{RoundContext, TileObjective, pixels_for};
use crate::render::tiles::source::enlarged;
use crate::tiling::Pixels;

/// A tile's view of the whole image's loss. The first point evaluated must be the snapshot.
pub(super) struct BlockObjective<'a> {
    octaves: Vec<BlockOctave<'a>>,
    /// The whole image's loss at the snapshot.
    base: f64,
    /// The weight of the variation, grown where the rest is to move along.
    variation_weight: f64,
    /// The variation at the snapshot, seen in the first evaluation.
    variation: Option<f64>,
    /// The pixels that any octave sees.
    region: Rect,
    /// Those pixels at the snapshot.
    surroundings: Tensor,
    /// The free pixels within the region.
    free: Rect,
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
        let spec = context.spec;
        let octaves = spec.by_octave();
        let octaves: Vec<BlockOctave<'a>> = octaves
            .iter()
            .enumerate()
            .map(|part| BlockOctave::new(context, network, part, area, whole))
            .collect::<Result<_, _>>()?;
        let seen = |(octave, part): (usize, &BlockOctave<'_>)| {
            enlarged(part.region(), octave, context.size())
        };
        let region = octaves.iter().enumerate().map(seen).fold(area, |all, part| all.hull(&part));
        Ok(Self {
            octaves,
            base: whole.losses().total,
            variation_weight: spec.variation_weight * context.growth(area),
            variation: None,
            region,
            surroundings: pixels_for(network, snapshot, region)?,
            free: area.relative_to(&region),
        })
    }

    /// The variation more than at the snapshot, and its gradient at the region.
    fn variation(&mut self, pixels: &Tensor) -> Result<(f64, Option<Tensor>), RenderError> {
        if self.variation_weight == 0.0 {
            return Ok((0.0, None));
        }
        let (value, slope) = total_variation(pixels, self.variation_weight)?;
        Ok((value - *self.variation.get_or_insert(value), Some(slope)))
    }
}

impl TileObjective for BlockObjective<'_> {
    fn evaluate(&mut self, free: &Tensor) -> Result<(f64, Tensor), RenderError> {
        let pixels = pasted(&self.surroundings, free, self.free)?;
        let (variation, slope) = self.variation(&pixels)?;
        let mut loss = self.base + variation;
        let mut canvases = vec![pixels];
        for octave in 1..self.octaves.len() {
            canvases.push(halved(&canvases[octave - 1])?);
        }
        // From the smallest: each gives its gradient to the next larger.
        let mut gradient: Option<Tensor> = None;
        for (octave, (part, canvas)) in self.octaves.iter_mut().zip(&canvases).enumerate().rev() {
            let (_, height, width) = canvas.dims3()?;
            let (left, top) = (self.region.left >> octave, self.region.top >> octave);
            let Rect { width: w, height: h, .. } = part.region();
            let (x, y) = (part.region().left - left, part.region().top - top);
            let found = part.evaluate(&canvas.narrow(1, y, h)?.narrow(2, x, w)?.contiguous()?)?;
            loss += found.change;
            let own = found.gradient.pad_with_zeros(1, y, height - y - h)?.pad_with_zeros(
                2,
                x,
                width - x - w,
            )?;
            gradient = Some(match gradient {
                None => own,
                Some(below) => (own + spread(&below, (width, height))?)?,
            });
        }
        let mut gradient = gradient.ok_or(RenderError::Broken("a loss without an octave"))?;
        if let Some(slope) = slope {
            gradient = (gradient + slope)?;
        }
        let rows = gradient.narrow(1, self.free.top, self.free.height)?;
        Ok((loss, rows.narrow(2, self.free.left, self.free.width)?.contiguous()?))
    }

    fn core(&self) -> Option<usize> {
        self.octaves.iter().filter_map(BlockOctave::core).min()
    }
}

/// `whole` with the rectangle `at` replaced by `part`.
fn pasted(whole: &Tensor, part: &Tensor, at: Rect) -> candle_core::Result<Tensor> {
    if whole.dims() == part.dims() {
        return Ok(part.clone());
    }
    whole.slice_assign(&[0..3, at.top..at.bottom(), at.left..at.right()], part)
}
