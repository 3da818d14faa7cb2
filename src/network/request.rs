//! What a sweep is asked for, and the gradients that a backward sweep begins with.

use candle_core::{DType, Tensor};

use super::error::NetworkError;
use super::features::Features;
use super::layer::Layer;
use crate::geometry::Rect;

/// What a forward sweep over a region delivers, and what it holds for a backward sweep.
#[derive(Clone, Debug)]
pub struct Request {
    /// Layers whose sums over the core are formed. A core that has no cell of one has sums over no
    /// cells.
    pub moments: Vec<Layer>,
    /// Layers whose features the pass holds, for [`Pass::features`](super::Pass::features),
    /// [`Pass::content_distance`](super::Pass::content_distance) and the backward sweep.
    pub features: Vec<Layer>,
    /// The part of the region, in its own pixels, whose cells count; its corner is a multiple of 16
    /// px from the region's.
    pub core: Rect,
    /// The pixels whose gradient is wanted, from this sweep's way back or from another over the
    /// same region; empty where it is wanted nowhere. Cells on which neither it nor the core's
    /// features depend need not be computed. Without it every cell is.
    pub gradient: Option<Rect>,
    /// Whether features and gradient have the bytes that they have in any other region: all is
    /// computed on which their last bits depend. The region begins on a multiple of 64 px of the
    /// canvas, and so do the core and the gradient's pixels. Only the CPU's kernels promise it.
    pub bitwise: bool,
    /// Whether a backward sweep will follow. The pass then holds the layers of `moments` as well.
    pub keep: bool,
}

impl Request {
    /// A forward sweep over a whole region that asks for nothing yet: struct update syntax fills in
    /// what is wanted.
    pub fn over(core: Rect) -> Self {
        Self {
            moments: vec![],
            features: vec![],
            core,
            gradient: None,
            bitwise: false,
            keep: false,
        }
    }

    /// The deepest layer asked for.
    pub fn deepest(&self) -> Option<Layer> {
        self.moments.iter().chain(&self.features).copied().max()
    }

    /// Whether a layer is asked for at all.
    pub(super) fn names(&self, layer: Layer) -> bool {
        self.moments.contains(&layer) || self.features.contains(&layer)
    }

    /// Whether the features of a layer outlast the forward sweep.
    pub(super) fn holds(&self, layer: Layer) -> bool {
        self.features.contains(&layer) || (self.keep && self.moments.contains(&layer))
    }

    /// Height and width of `pixels`, if they are float32 `[3, height, width]` and the request's
    /// rectangles lie in them.
    pub(super) fn check(&self, pixels: &Tensor) -> Result<(usize, usize), NetworkError> {
        let &[3, height, width] = pixels.dims() else {
            return Err(NetworkError::Shape { shape: pixels.dims().to_vec() });
        };
        if pixels.dtype() != DType::F32 {
            return Err(NetworkError::Shape { shape: pixels.dims().to_vec() });
        }
        for (rect, what) in [(Some(self.core), "the core"), (self.gradient, "the gradient")] {
            if rect.is_some_and(|rect| !rect.lies_in(width, height)) {
                return Err(NetworkError::Outside(what));
            }
        }
        Ok((height, width))
    }
}

/// Gradient of the loss with respect to the features of one tap.
#[derive(Clone, Copy)]
pub enum TapGradient<'a> {
    /// `matrix F + offset` at every cell: what the gradients of style terms add up to.
    Affine {
        /// The tap.
        layer: Layer,
        /// `[C, C]`, symmetric, float32.
        matrix: &'a Tensor,
        /// `[C]`, float32.
        offset: &'a Tensor,
    },
    /// `scale (F - target)` at every cell: the gradient of a mean squared difference.
    Content {
        /// The tap.
        layer: Layer,
        /// The content's features, of the region or of more.
        target: &'a Features,
        /// Where the region's first cell lies in the target: row, column.
        origin: (usize, usize),
        /// Twice the weight over the number of values.
        scale: f32,
    },
}

impl TapGradient<'_> {
    /// The tap.
    pub fn layer(&self) -> Layer {
        match self {
            TapGradient::Affine { layer, .. } | TapGradient::Content { layer, .. } => *layer,
        }
    }
}
