//! VGG19: the chain of layers, its weights, and the two sweeps over it.
//!
//! The forward sweep takes a region of the canvas and delivers features and their statistics at the
//! taps; the backward sweep takes gradients at the taps and ends at the pixels. The module owns the
//! network's input convention and knows no loss.
//!
//! [`Network`] and [`Pass`] are the interface, in the words of [`Request`], [`TapGradient`],
//! [`Features`] and [`Moments`]. Two implementations stand behind it: [`cpu`], the CPU's own kernels,
//! and [`gpu`], tensors on any device that candle has. Everything about GPUs is in the latter, except
//! their kernels.

mod areas;
pub mod cpu;
mod error;
mod features;
pub mod gpu;
mod layer;
mod margins;
mod moments;
mod precision;
mod request;
mod weights;

use candle_core::{Device, Tensor};

pub use crate::kernels::{Isa, IsaError, Pooling};
pub use areas::Areas;
pub use cpu::CpuNetwork;
pub use error::NetworkError;
pub use features::Features;
pub use layer::Layer;
pub use margins::Margins;
pub use moments::Moments;
pub use precision::Precision;
pub use request::{Request, TapGradient};
pub use weights::{Convolution, VGG19_WIDTHS, Weights, WeightsDtype, WeightsError, vgg19_channels};

/// What is subtracted from RGB values 0..255 before the first convolution (the mean of the
/// network's training set).
pub const VGG_MEAN_RGB: [f32; 3] = [123.68, 116.779, 103.939];

/// A network up to some layer, ready to sweep. Workers share it.
pub trait Network: Send + Sync {
    /// Runs the chain on `pixels`, float32 `[3, h, w]`, RGB 0..1, with zero padding at the region's
    /// borders.
    ///
    /// # Errors
    /// When the pixels have another shape, a tap has no cells, memory is short or the device fails.
    fn forward<'a>(
        &'a self,
        pixels: &Tensor,
        request: &Request,
    ) -> Result<Box<dyn Pass + 'a>, NetworkError>;

    /// Where it computes: pixels that are there already need not be copied.
    fn device(&self) -> Device {
        Device::Cpu
    }

    /// Gives working memory that is kept between sweeps back to the system.
    fn release(&self) {}
}

/// What one forward sweep left behind.
pub trait Pass: Send {
    /// Sums over the core's cells at a tap of [`Request::moments`].
    ///
    /// # Errors
    /// When the tap was not requested or the device fails.
    fn moments(&self, layer: Layer) -> Result<Moments, NetworkError>;

    /// The features of the core's cells at a tap that the pass holds.
    ///
    /// # Errors
    /// When the tap was not requested or the device fails.
    fn features(&self, layer: Layer) -> Result<Features, NetworkError>;

    /// Sums of `(F - target)^2` over the core's cells, one for each
    /// [`GRID`](crate::geometry::GRID)-px square from the core's corner, in raster order. The core's
    /// first cell lies at `origin` (row, column) of the target.
    ///
    /// # Errors
    /// When the tap was not requested, the target does not cover the core, or the device fails.
    fn content_distance(
        &self,
        layer: Layer,
        target: &Features,
        origin: (usize, usize),
    ) -> Result<Vec<f64>, NetworkError>;

    /// The backward sweep: from gradients at the taps to the gradient at the region's pixels,
    /// float32 `[3, h, w]`, with respect to RGB 0..1.
    ///
    /// # Errors
    /// When the device fails, or the forward sweep kept nothing.
    fn backward(self: Box<Self>, gradients: &[TapGradient<'_>]) -> Result<Tensor, NetworkError>;
}
