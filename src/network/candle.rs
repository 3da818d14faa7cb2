//! The chain over candle tensors: the same sweeps as on the CPU, on whatever device candle has.
//!
//! The backward sweep is written out (no autograd): a convolution's gradient is the same convolution with the kernel
//! flipped and its channels transposed, and the poolings have gradients of their own. On the CPU this path is slow and
//! serves as the independent second implementation that tests compare with.
//!
//! Pixels, targets and matrices may live anywhere: what is on another device is copied over, what is here already is not.

use candle_core::{D, DType, Device, Result, Tensor};

use super::layer::{Layer, Pooling};
use super::stages::Stages;
use super::weights::Weights;
use super::{Features, Moments, NetworkError, Pass, Request, TapGradient, VGG_MEAN_RGB, block_sums};
use crate::geometry::Rect;

/// Values of an unfolded band of rows: what [`Convolutions::Products`] has in memory beside its input and its output.
const BAND: usize = 64 << 20;

/// The arithmetic of a network over candle tensors. Sums for Gram matrices are always taken in float32 and added up in
/// float64.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arithmetic {
    /// float32 throughout, no value rounded to TF32.
    Float32,
    /// float32 values whose products a GPU may round to 10 bits of mantissa.
    Tf32,
    /// Features and kernels in bfloat16.
    Bfloat16,
}

impl Arithmetic {
    /// The type of features and kernels.
    pub fn dtype(self) -> DType {
        match self {
            Arithmetic::Float32 | Arithmetic::Tf32 => DType::F32,
            Arithmetic::Bfloat16 => DType::BF16,
        }
    }

    /// Lets the GPU's matrix products round to TF32, or forbids it. This holds for the whole process: candle has one switch.
    pub fn apply(self) {
        candle_core::cuda::set_gemm_reduced_precision_f32(self == Arithmetic::Tf32);
    }
}

/// How convolutions are computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Convolutions {
    /// By candle's own operation: on a GPU cuDNN where that is built in, which rounds float32 to TF32 as it likes.
    Candle,
    /// As matrix products over bands of rows, whose nine shifted copies are laid below each other. Rounding is that of the
    /// matrix product, so [`Arithmetic::Float32`] is what it says, and memory is bounded by the band.
    Products,
}

impl Convolutions {
    /// The fastest that keeps the arithmetic's word on a device.
    pub fn suited(device: &Device, arithmetic: Arithmetic) -> Self {
        let rounded = cfg!(feature = "cudnn") && arithmetic != Arithmetic::Float32;
        if device.is_cuda() && !rounded { Convolutions::Products } else { Convolutions::Candle }
    }
}

/// A 3x3 kernel: `[out, in, 3, 3]` for candle's operation, `[out, 9 in]` for products.
struct Kernel(Tensor);

impl Kernel {
    fn new(weight: &Tensor, by: Convolutions, dtype: DType) -> Result<Self> {
        let weight = weight.to_dtype(dtype)?;
        Ok(Self(match by {
            Convolutions::Candle => weight,
            Convolutions::Products => weight.permute((0, 2, 3, 1))?.contiguous()?.flatten_from(1)?,
        }))
    }

    /// The convolution of `value`, `[1, in, h, w]`, with a border of zeros.
    fn apply(&self, value: &Tensor) -> Result<Tensor> {
        if self.0.rank() == 4 { value.conv2d(&self.0, 1, 1, 1, 1) } else { self.product(value) }
    }

    fn product(&self, value: &Tensor) -> Result<Tensor> {
        let (_, inputs, height, width) = value.dims4()?;
        let outputs = self.0.dims()[0];
        let padded = value.squeeze(0)?.pad_with_zeros(1, 1, 1)?.pad_with_zeros(2, 1, 1)?;
        let rows = (BAND / (9 * inputs * width).max(1)).clamp(1, height.max(1));
        let mut bands = Vec::with_capacity(height.div_ceil(rows));
        for top in (0..height).step_by(rows) {
            let rows = rows.min(height - top);
            let shifted = (0..9).map(|tap| padded.narrow(1, top + tap / 3, rows)?.narrow(2, tap % 3, width));
            let unfolded = Tensor::cat(&shifted.collect::<Result<Vec<_>>>()?, 0)?.reshape((9 * inputs, rows * width))?;
            bands.push(self.0.matmul(&unfolded)?.reshape((1, outputs, rows, width))?);
        }
        if bands.len() == 1 { Ok(bands.remove(0)) } else { Tensor::cat(&bands, 2) }
    }
}

/// One convolution with the kernels of both directions.
struct Step {
    layer: Layer,
    forward: Kernel,
    /// Flipped, with its channels transposed.
    backward: Kernel,
    /// `[1, out, 1, 1]`.
    bias: Tensor,
}

/// VGG19 up to its deepest needed layer, on a candle device.
pub struct CandleNetwork {
    steps: Vec<Step>,
    pooling: Pooling,
    device: Device,
    dtype: DType,
    stages: Stages,
}

impl CandleNetwork {
    /// Prepares the layers up to `deepest` on `device`, in float32.
    ///
    /// # Errors
    /// When the device fails.
    pub fn new(weights: &Weights, deepest: Layer, pooling: Pooling, device: &Device) -> Result<Self> {
        let arithmetic = Arithmetic::Float32;
        Self::with(weights, deepest, pooling, device, arithmetic, Convolutions::suited(device, arithmetic))
    }

    /// [`CandleNetwork::new`] in another arithmetic, with convolutions computed in one way or the other.
    ///
    /// # Errors
    /// When the device fails.
    pub fn with(
        weights: &Weights,
        deepest: Layer,
        pooling: Pooling,
        device: &Device,
        arithmetic: Arithmetic,
        by: Convolutions,
    ) -> Result<Self> {
        let dtype = arithmetic.dtype();
        let steps = Layer::all()
            .take(deepest.index() + 1)
            .map(|layer| {
                let convolution = weights.convolution(layer);
                let shape = (convolution.outputs, convolution.inputs, 3, 3);
                // Turned on the CPU: it is done once, and needs no operation of the device.
                let weight = Tensor::from_vec(convolution.weight, shape, &Device::Cpu)?;
                let turned = weight.transpose(0, 1)?.contiguous()?.flip(&[2, 3])?.contiguous()?;
                let kernel = |weight: Tensor| Kernel::new(&weight.to_device(device)?, by, dtype);
                let bias = Tensor::from_vec(convolution.bias, (1, convolution.outputs, 1, 1), device)?.to_dtype(dtype)?;
                Ok(Step { layer, forward: kernel(weight)?, backward: kernel(turned)?, bias })
            })
            .collect::<Result<_>>()?;
        Ok(Self { steps, pooling, device: device.clone(), dtype, stages: Stages::default() })
    }

    /// The forward sweep on one region: see [`super::Network::forward`].
    ///
    /// # Errors
    /// When a tap has no cells or the device fails.
    pub fn forward(&self, pixels: &Tensor, request: &Request) -> std::result::Result<CandlePass<'_>, NetworkError> {
        request.check(pixels)?;
        self.stages.begin(&self.device)?;
        let pixels = pixels.to_device(&self.device)?.contiguous()?;
        let mean = Tensor::new(&VGG_MEAN_RGB, &self.device)?.reshape((1, 3, 1, 1))?;
        let input = (pixels.unsqueeze(0)? * 255.0)?.broadcast_sub(&mean)?;
        // RGB to the BGR that the network was trained on.
        let mut value = self.swapped(&input, 1)?.to_dtype(self.dtype)?;
        self.stages.end("pixels", &self.device)?;
        let wanted = |layer: Layer| request.keep || request.moments.contains(&layer) || request.features.contains(&layer);
        let mut outputs = Vec::new();
        for step in &self.steps {
            value = step.forward.apply(&value)?.broadcast_add(&step.bias)?.relu()?;
            outputs.push(wanted(step.layer).then(|| value.clone()));
            self.stages.end("convolutions forward", &self.device)?;
            if step.layer.is_before_pool() {
                let (_, _, h, w) = value.dims4()?;
                if h < 2 || w < 2 {
                    break;
                }
                value = self.pool(&value)?;
                self.stages.end("pooling", &self.device)?;
            }
        }
        Ok(CandlePass { network: self, outputs, core: request.core, size: (pixels.dims()[1], pixels.dims()[2]) })
    }

    /// Where the time goes.
    pub fn stages(&self) -> &Stages {
        &self.stages
    }

    /// Where it computes.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// RGB to BGR and back.
    fn swapped(&self, value: &Tensor, channels: usize) -> Result<Tensor> {
        value.index_select(&Tensor::new(&[2u32, 1, 0], &self.device)?, channels)
    }

    fn pool(&self, value: &Tensor) -> Result<Tensor> {
        let quarters = quarters(value)?;
        match self.pooling {
            Pooling::Max => quarters[0].maximum(&quarters[1])?.maximum(&quarters[2])?.maximum(&quarters[3]),
            Pooling::Average => ((&quarters[0] + &quarters[1])? + (&quarters[2] + &quarters[3])?)? * 0.25,
        }
    }

    /// The gradient before a pooling from the gradient after it. Among equal maxima the first in raster order gets it.
    fn unpool(&self, gradient: &Tensor, value: &Tensor) -> Result<Tensor> {
        let parts = match self.pooling {
            Pooling::Average => vec![(gradient * 0.25)?; 4],
            Pooling::Max => {
                let quarters = quarters(value)?;
                let largest = self.pool(value)?;
                let mut free = largest.ones_like()?;
                let mut parts = Vec::with_capacity(4);
                for quarter in &quarters {
                    let taken = (quarter.eq(&largest)?.to_dtype(self.dtype)? * &free)?;
                    free = (free - &taken)?;
                    parts.push((taken * gradient)?);
                }
                parts
            }
        };
        let (n, c, h, w) = value.dims4()?;
        let row = |a: &Tensor, b: &Tensor| Tensor::stack(&[a, b], D::Minus1)?.reshape((n, c, h / 2, w / 2 * 2));
        let (upper, lower) = (row(&parts[0], &parts[1])?, row(&parts[2], &parts[3])?);
        let whole = Tensor::stack(&[upper, lower], 3)?.reshape((n, c, h / 2 * 2, w / 2 * 2))?;
        whole.pad_with_zeros(2, 0, h % 2)?.pad_with_zeros(3, 0, w % 2)
    }
}

/// The four values under each 2x2 window, `[1, C, h/2, w/2]` each, in raster order; a last odd row or column is dropped.
fn quarters(value: &Tensor) -> Result<Vec<Tensor>> {
    let (n, c, h, w) = value.dims4()?;
    let (h2, w2) = (h / 2, w / 2);
    let even = value.narrow(2, 0, h2 * 2)?.narrow(3, 0, w2 * 2)?.contiguous()?.reshape((n * c, h2, 2, w2, 2))?;
    [(0, 0), (0, 1), (1, 0), (1, 1)]
        .into_iter()
        .map(|(dy, dx)| even.narrow(2, dy, 1)?.narrow(4, dx, 1)?.contiguous()?.reshape((n, c, h2, w2)))
        .collect()
}

/// The kept values of one forward sweep.
pub struct CandlePass<'a> {
    network: &'a CandleNetwork,
    /// By layer, `[1, C, h, w]`; only where somebody will ask.
    outputs: Vec<Option<Tensor>>,
    core: Rect,
    /// Height and width of the region, px.
    size: (usize, usize),
}

impl CandlePass<'_> {
    fn output(&self, layer: Layer) -> std::result::Result<&Tensor, NetworkError> {
        self.outputs.get(layer.index()).and_then(Option::as_ref).ok_or(NetworkError::NoCells { layer })
    }

    /// `[C, h, w]` of a cell rectangle.
    fn cells(&self, layer: Layer, cells: Rect) -> std::result::Result<Tensor, NetworkError> {
        let output = self.output(layer)?.squeeze(0)?;
        Ok(output.narrow(1, cells.top, cells.height)?.narrow(2, cells.left, cells.width)?.contiguous()?)
    }

    /// The gradient before a tap's ReLU that a loss there gives, `[1, C, h, w]`.
    fn tap_gradient(&self, tap: &TapGradient<'_>, output: &Tensor) -> std::result::Result<Tensor, NetworkError> {
        let (_, c, h, w) = output.dims4()?;
        let CandleNetwork { device, dtype, .. } = self.network;
        Ok(match tap {
            TapGradient::Affine { matrix, offset, .. } => {
                let (matrix, offset) = (matrix.to_device(device)?, offset.to_device(device)?);
                let product = matrix.matmul(&output.reshape((c, h * w))?.to_dtype(DType::F32)?)?;
                product.broadcast_add(&offset.reshape((c, 1))?)?.reshape((1, c, h, w))?.to_dtype(*dtype)?
            }
            TapGradient::Content { target, origin: (row, column), scale, .. } => {
                let target = target.plain()?.narrow(1, *row, h)?.narrow(2, *column, w)?.to_device(device)?;
                ((output - target.unsqueeze(0)?)? * f64::from(*scale))?
            }
        })
    }
}

impl Pass for CandlePass<'_> {
    fn moments(&self, layer: Layer) -> std::result::Result<Moments, NetworkError> {
        let cells = self.core.cells(layer.stride());
        if cells.area() == 0 {
            return Err(NetworkError::NoCells { layer });
        }
        let CandleNetwork { stages, device, .. } = self.network;
        stages.begin(device)?;
        let features = self.cells(layer, cells)?.flatten_from(1)?.to_dtype(DType::F32)?;
        let gram = features.matmul(&features.t()?)?.to_dtype(DType::F64)?;
        let sum = features.sum(1)?.to_dtype(DType::F64)?;
        stages.end("sums", device)?;
        Ok(Moments::Plain { gram, sum, cells: cells.area() as u64 })
    }

    fn features(&self, layer: Layer) -> std::result::Result<Features, NetworkError> {
        Ok(Features::Plain(self.cells(layer, self.core.cells(layer.stride()))?))
    }

    fn content_distance(
        &self,
        layer: Layer,
        target: &Features,
        (row, column): (usize, usize),
    ) -> std::result::Result<Vec<f64>, NetworkError> {
        let cells = self.core.cells(layer.stride());
        let target = target.plain()?.narrow(1, row + cells.top, cells.height)?.narrow(2, column + cells.left, cells.width)?;
        let difference = (self.cells(layer, cells)? - target.to_device(&self.network.device)?)?;
        let square = difference.to_dtype(DType::F32)?.sqr()?.sum(0)?;
        let rows = square.to_device(&Device::Cpu)?.to_dtype(DType::F64)?.to_vec2::<f64>()?;
        Ok(block_sums(&rows, layer.stride()))
    }

    fn backward(mut self: Box<Self>, gradients: &[TapGradient<'_>]) -> std::result::Result<Tensor, NetworkError> {
        let Some(deepest) = gradients.iter().map(TapGradient::layer).max() else {
            return Ok(Tensor::zeros((3, self.size.0, self.size.1), DType::F32, &self.network.device)?);
        };
        let CandleNetwork { stages, device, .. } = self.network;
        stages.begin(device)?;
        let mut gradient: Option<Tensor> = None;
        for step in self.network.steps[..=deepest.index()].iter().rev() {
            let output = self.output(step.layer)?.clone();
            let mut here = match gradient {
                Some(after) if step.layer.is_before_pool() && step.layer != deepest => self.network.unpool(&after, &output)?,
                Some(after) => after,
                None => output.zeros_like()?,
            };
            stages.end("unpooling", device)?;
            for tap in gradients.iter().filter(|tap| tap.layer() == step.layer) {
                here = (here + self.tap_gradient(tap, &output)?)?;
            }
            stages.end("gradients at taps", device)?;
            let masked = (here * output.gt(0.0)?.to_dtype(self.network.dtype)?)?;
            // The memory of a layer that is done is free for those below.
            drop(output);
            self.outputs[step.layer.index()] = None;
            gradient = Some(step.backward.apply(&masked)?);
            stages.end("convolutions back", device)?;
        }
        let bgr = gradient.expect("at least the deepest tap's layer was passed").squeeze(0)?.contiguous()?.to_dtype(DType::F32)?;
        Ok((self.network.swapped(&bgr, 0)? * 255.0)?)
    }
}
