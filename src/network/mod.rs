//! VGG19: the chain of layers, its weights, and the two sweeps over it.
//!
//! The forward sweep takes a region of the canvas and delivers features and their statistics at the
//! taps; the backward sweep takes gradients at the taps and ends at the pixels. The module owns the
//! network's input convention and knows no loss. Two implementations stand behind [`Network`]: the
//! CPU's own kernels, and candle tensors on any device.

mod areas;
pub mod candle;
mod convolutions;
pub mod cpu;
mod host;
mod layer;
mod operations;
mod stages;
mod weights;

use candle_core::{DType, Device, Tensor};

use crate::geometry::Rect;
use crate::tensor::first_line;

pub use crate::kernels::{Isa, IsaError, Pooling};
pub use areas::Areas;
pub use candle::{Arithmetic, CandleNetwork};
pub use convolutions::Convolutions;
pub use cpu::CpuNetwork;
pub use layer::Layer;
pub use stages::Stages;
pub use weights::{Convolution, VGG19_WIDTHS, Weights, WeightsDtype, WeightsError};

/// What is subtracted from RGB values 0..255 before the first convolution (the mean of the
/// network's training set).
pub const VGG_MEAN_RGB: [f32; 3] = [123.68, 116.779, 103.939];

/// What can go wrong in a sweep.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// The region is too small for a tap: the poolings leave no cell.
    #[error("the picture is too small for {layer}: it needs at least {0} px on each side", .layer.stride())]
    NoCells {
        /// The tap.
        layer: Layer,
    },
    /// A tensor is not what the sweep takes.
    #[error("the network takes pixels as float32 [3, height, width], got {shape:?}")]
    Shape {
        /// What came.
        shape: Vec<usize>,
    },
    /// The CPU's engine was asked for something it cannot do.
    #[error(transparent)]
    Cpu(cpu::CpuError),
    /// Parts of two implementations were mixed.
    #[error("features or sums of one kind of device were given to another")]
    Mixed,
    /// candle or the device failed.
    #[error("{}{}", first_line(.0), if no_memory(.0) { ": the device has too little memory free" } else { "" })]
    Candle(#[from] candle_core::Error),
}

/// What a forward sweep is asked for.
#[derive(Clone, Debug)]
pub struct Request {
    /// Layers whose sums over the core are wanted.
    pub moments: Vec<Layer>,
    /// Layers whose features are wanted.
    pub features: Vec<Layer>,
    /// Layers at which the backward sweep will be given gradients, beside those above.
    pub gradients: Vec<Layer>,
    /// The part of the region, in its own pixels, whose cells count; its corner is a multiple of 16
    /// from the region's.
    pub core: Rect,
    /// The pixels whose gradient is wanted, from this sweep's way back or from another over the
    /// same region; empty where it is wanted nowhere. Cells on which neither it nor the core's
    /// features depend need not be computed. Without it every cell is.
    pub wanted: Option<Rect>,
    /// Whether features and gradient are to have the bytes that they have in any other region: all
    /// is computed on which their last bits depend. The region begins on a multiple of 64 px of the
    /// canvas, and so do the core and what is wanted. Devices without bytes of their own to keep
    /// pass over it.
    pub same_bits: bool,
    /// Whether a backward sweep will follow.
    pub keep: bool,
}

impl From<cpu::CpuError> for NetworkError {
    fn from(error: cpu::CpuError) -> Self {
        match error {
            cpu::CpuError::NoCells { layer, .. } => NetworkError::NoCells { layer },
            other => NetworkError::Cpu(other),
        }
    }
}

impl NetworkError {
    /// Whether the device itself failed, and not for memory: another one may do.
    pub fn is_device_failure(&self) -> bool {
        matches!(self, NetworkError::Candle(_)) && !self.is_out_of_memory()
    }

    /// Whether the device had no memory left: a smaller tile may do.
    pub fn is_out_of_memory(&self) -> bool {
        match self {
            NetworkError::Cpu(error) => matches!(error, cpu::CpuError::OutOfMemory { .. }),
            NetworkError::Candle(error) => no_memory(error),
            _ => false,
        }
    }
}

/// Devices say so in words only: "CUDA_ERROR_OUT_OF_MEMORY", "out of memory". cuBLAS says
/// "CUBLAS_STATUS_ALLOC_FAILED".
fn no_memory(error: &candle_core::Error) -> bool {
    let words = first_line(error).to_lowercase().replace('_', " ");
    words.contains("out of memory") || words.contains("alloc failed")
}

impl Request {
    fn check(&self, pixels: &Tensor) -> Result<(), NetworkError> {
        match pixels.dims() {
            [3, h, w]
                if pixels.dtype() == DType::F32
                    && self.core.right() <= *w
                    && self.core.bottom() <= *h =>
            {
                Ok(())
            }
            shape => Err(NetworkError::Shape { shape: shape.to_vec() }),
        }
    }
}

/// Gradient of the loss with respect to the features of one tap.
#[derive(Clone, Copy)]
pub enum TapGradient<'a> {
    /// `matrix F + offset` at every cell: what the gradients of Gram matrix, channel mean and
    /// channel deviation add up to.
    Affine {
        /// The tap.
        layer: Layer,
        /// `[C, C]`, symmetric.
        matrix: &'a Tensor,
        /// `[C]`.
        offset: &'a Tensor,
    },
    /// `scale (F - target)` at every cell: the gradient of a mean squared difference.
    Content {
        /// The tap.
        layer: Layer,
        /// The photograph's features, of the region or of more.
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

/// Sums over the cells of one tap, which add up over tiles.
#[derive(Clone, Debug)]
pub enum Moments {
    /// Integer sums of the CPU's kernels: adding them is exact, in any order.
    Exact(cpu::Moments),
    /// Floating-point sums on candle's device, float64 on the CPU.
    Plain {
        /// `sum of F F^T`, `[C, C]`.
        gram: Tensor,
        /// `sum of F`, `[C]`.
        sum: Tensor,
        /// Cells summed over.
        cells: u64,
    },
}

impl Moments {
    /// Adds the sums of other cells of the same tap.
    ///
    /// # Errors
    /// When the device fails.
    pub fn merge(&mut self, other: &Moments) -> Result<(), NetworkError> {
        match (self, other) {
            (Moments::Exact(sums), Moments::Exact(others)) => sums.merge(others),
            (Moments::Plain { gram, sum, cells }, Moments::Plain { gram: g, sum: s, cells: n }) => {
                *gram = (&*gram + g)?;
                *sum = (&*sum + s)?;
                *cells += n;
            }
            _ => return Err(NetworkError::Mixed),
        }
        Ok(())
    }

    /// The same sums on another device; the CPU's stay where they are.
    ///
    /// # Errors
    /// When the device fails.
    pub fn to_device(self, device: &Device) -> Result<Moments, NetworkError> {
        Ok(match self {
            Moments::Exact(sums) => Moments::Exact(sums),
            Moments::Plain { gram, sum, cells } => {
                Moments::Plain { gram: gram.to_device(device)?, sum: sum.to_device(device)?, cells }
            }
        })
    }

    /// Cells summed over.
    pub fn cells(&self) -> u64 {
        match self {
            Moments::Exact(sums) => sums.cells,
            Moments::Plain { cells, .. } => *cells,
        }
    }

    /// Means over the cells: of `F F^T`, `[C, C]`, and of `F`, `[C]`. Not numbers where a feature
    /// was none.
    ///
    /// # Errors
    /// When the device fails.
    pub fn means(&self) -> Result<(Tensor, Tensor), NetworkError> {
        match self {
            Moments::Exact(sums) => {
                let spoil = if sums.finite { 0.0 } else { f64::NAN };
                let channels = sums.channels;
                let gram = Tensor::from_vec(sums.gram(), (channels, channels), &Device::Cpu)?;
                let mean = Tensor::from_vec(sums.mean(), channels, &Device::Cpu)?;
                Ok(((gram + spoil)?, (mean + spoil)?))
            }
            Moments::Plain { gram, sum, cells } => {
                let cells = *cells as f64;
                Ok(((gram / cells)?, (sum / cells)?))
            }
        }
    }
}

/// Features of a rectangle of cells at one tap, kept as their network keeps them.
pub enum Features {
    /// In the layout of the CPU's kernels.
    Blocked(cpu::Features),
    /// `[C, h, w]` on candle's device.
    Plain(Tensor),
}

impl Features {
    /// Channels of the tap.
    pub fn channels(&self) -> usize {
        match self {
            Features::Blocked(features) => features.channels(),
            Features::Plain(tensor) => tensor.dims()[0],
        }
    }

    /// The same features on another device; the CPU's stay where they are.
    ///
    /// # Errors
    /// When the device fails.
    pub fn to_device(self, device: &Device) -> Result<Features, NetworkError> {
        Ok(match self {
            Features::Blocked(features) => Features::Blocked(features),
            Features::Plain(tensor) => Features::Plain(tensor.to_device(device)?),
        })
    }

    /// Zeros over `width` x `height` cells, kept in the same way.
    ///
    /// # Errors
    /// When the device fails.
    pub fn blank(&self, width: usize, height: usize) -> Result<Features, NetworkError> {
        Ok(match self {
            Features::Blocked(f) => {
                Features::Blocked(cpu::Features::empty(f.layer(), f.channels(), height, width))
            }
            Features::Plain(t) => {
                Features::Plain(Tensor::zeros((t.dims()[0], height, width), t.dtype(), t.device())?)
            }
        })
    }

    /// Puts `part` at the rectangle `at` of these cells.
    ///
    /// # Errors
    /// When the device fails, or the two are of different implementations.
    pub fn paste(&mut self, part: &Features, at: Rect) -> Result<(), NetworkError> {
        match (self, part) {
            (Features::Blocked(whole), Features::Blocked(part)) => {
                Ok(whole.paste(part, at.top, at.left)?)
            }
            (Features::Plain(whole), Features::Plain(part)) => {
                let (channels, part) = (part.dims()[0], part.to_device(whole.device())?);
                *whole = whole.slice_assign(
                    &[0..channels, at.top..at.bottom(), at.left..at.right()],
                    &part,
                )?;
                Ok(())
            }
            _ => Err(NetworkError::Mixed),
        }
    }

    fn plain(&self) -> Result<&Tensor, NetworkError> {
        match self {
            Features::Plain(tensor) => Ok(tensor),
            Features::Blocked(_) => Err(NetworkError::Mixed),
        }
    }
}

/// A network up to some layer, ready to sweep. Workers share it.
pub trait Network: Send + Sync {
    /// Runs the chain on `pixels`, float32 `[3, h, w]`, RGB 0..1, with zero padding at the region's
    /// borders.
    ///
    /// # Errors
    /// When the pixels have another shape or the device fails.
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

impl Network for CandleNetwork {
    fn forward<'a>(
        &'a self,
        pixels: &Tensor,
        request: &Request,
    ) -> Result<Box<dyn Pass + 'a>, NetworkError> {
        Ok(Box::new(CandleNetwork::forward(self, pixels, request)?))
    }

    fn device(&self) -> Device {
        CandleNetwork::device(self).clone()
    }
}

/// What one forward sweep left behind.
pub trait Pass: Send {
    /// Sums over the core's cells at a requested tap.
    ///
    /// # Errors
    /// When the tap has no cells in the core.
    fn moments(&self, layer: Layer) -> Result<Moments, NetworkError>;

    /// The features of the core's cells at a requested tap.
    ///
    /// # Errors
    /// When the tap has no cells.
    fn features(&self, layer: Layer) -> Result<Features, NetworkError>;

    /// Sums of `(F - target)^2` over the core's cells, one for each [`GRID`](crate::geometry::GRID)-px square of the core
    /// in raster order. The region's first cell lies at `origin` (row, column) of the target.
    ///
    /// # Errors
    /// When the tap has no cells.
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
    /// When the device fails, or the forward sweep was asked to keep nothing.
    fn backward(self: Box<Self>, gradients: &[TapGradient<'_>]) -> Result<Tensor, NetworkError>;
}
