//! The chain over candle tensors: the same sweeps as on the CPU, on whatever device candle has.
//!
//! The backward sweep is written out (no autograd): a convolution's gradient is the same
//! convolution with the kernel flipped and its channels transposed, and the poolings have gradients
//! of their own. On the CPU this path is slow and serves as the independent second implementation
//! that tests compare with.
//!
//! Pixels, targets and matrices may live anywhere: what is on another device is copied over, what
//! is here already is not.

use candle_core::{DType, Device, Result, Tensor};

use super::arithmetic::dtype;
use super::convolutions::{Convolutions, Kernel};
use super::operations::Operations;
use super::stages::Stages;
use crate::geometry::{GRID, Rect};
use crate::kernels::Pooling;
use crate::network::error::NetworkError;
use crate::network::features::Features;
use crate::network::layer::Layer;
use crate::network::moments::Moments;
use crate::network::precision::Precision;
use crate::network::request::{Request, TapGradient};
use crate::network::weights::Weights;
use crate::network::{Network, Pass, VGG_MEAN_RGB};

/// Cells whose products are added up in float32 before they are added to the rest in float64.
const SUMMED: usize = 1 << 18;

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
    operations: Operations,
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
    pub fn new(
        weights: &Weights,
        deepest: Layer,
        pooling: Pooling,
        device: &Device,
    ) -> Result<Self> {
        let precision = Precision::Float32;
        let by = Convolutions::suited(device, precision);
        Self::with(weights, deepest, pooling, device, precision, by)
    }

    /// [`CandleNetwork::new`] in another precision, with convolutions computed in one way or the
    /// other.
    ///
    /// # Errors
    /// When the device fails.
    pub fn with(
        weights: &Weights,
        deepest: Layer,
        pooling: Pooling,
        device: &Device,
        precision: Precision,
        by: Convolutions,
    ) -> Result<Self> {
        let dtype = dtype(precision);
        let steps = Layer::all()
            .take(deepest.index() + 1)
            .map(|layer| {
                let convolution = weights.convolution(layer);
                let shape = (convolution.outputs, convolution.inputs, 3, 3);
                // Turned on the CPU: it is done once, and needs no operation of the device.
                let weight = Tensor::from_vec(convolution.weight, shape, &Device::Cpu)?;
                let turned = weight.transpose(0, 1)?.contiguous()?.flip(&[2, 3])?.contiguous()?;
                let kernel = |weight: Tensor| Kernel::new(&weight, by, dtype, device);
                let bias =
                    Tensor::from_vec(convolution.bias, (1, convolution.outputs, 1, 1), device)?
                        .to_dtype(dtype)?;
                Ok(Step { layer, forward: kernel(weight)?, backward: kernel(turned)?, bias })
            })
            .collect::<Result<_>>()?;
        let operations = Operations::on(device)?;
        Ok(Self {
            steps,
            operations,
            pooling,
            device: device.clone(),
            dtype,
            stages: Stages::default(),
        })
    }

    /// Where the time goes.
    pub fn stages(&self) -> &Stages {
        &self.stages
    }

    /// RGB to BGR and back.
    fn swapped(&self, value: &Tensor, channels: usize) -> Result<Tensor> {
        value.index_select(&Tensor::new(&[2u32, 1, 0], &self.device)?, channels)
    }
}

impl Network for CandleNetwork {
    fn forward<'a>(
        &'a self,
        pixels: &Tensor,
        request: &Request,
    ) -> std::result::Result<Box<dyn Pass + 'a>, NetworkError> {
        let size = request.check(pixels)?;
        self.stages.begin(&self.device)?;
        let pixels = pixels.to_device(&self.device)?.contiguous()?;
        let mean = Tensor::new(&VGG_MEAN_RGB, &self.device)?.reshape((1, 3, 1, 1))?;
        let input = (pixels.unsqueeze(0)? * 255.0)?.broadcast_sub(&mean)?;
        // RGB to the BGR that the network was trained on.
        let mut value = self.swapped(&input, 1)?.to_dtype(self.dtype)?;
        self.stages.end("pixels", &self.device)?;
        let mut outputs = Vec::new();
        for step in &self.steps {
            value = step.forward.apply(&self.operations, &value, None, Some(&step.bias))?;
            let held = request.keep || request.names(step.layer);
            outputs.push(held.then(|| value.clone()));
            self.stages.end("convolutions forward", &self.device)?;
            if step.layer.is_before_pool() {
                let (_, _, h, w) = value.dims4()?;
                if h < 2 || w < 2 {
                    break;
                }
                value = self.operations.pool(&value, self.pooling)?;
                self.stages.end("pooling", &self.device)?;
            }
        }
        Ok(Box::new(CandlePass { network: self, outputs, core: request.core, size }))
    }

    fn device(&self) -> Device {
        self.device.clone()
    }
}

/// The kept values of one forward sweep.
struct CandlePass<'a> {
    network: &'a CandleNetwork,
    /// By layer, `[1, C, h, w]`; only where somebody will ask.
    outputs: Vec<Option<Tensor>>,
    core: Rect,
    /// Height and width of the region, px.
    size: (usize, usize),
}

impl CandlePass<'_> {
    fn output(&self, layer: Layer) -> std::result::Result<&Tensor, NetworkError> {
        self.outputs
            .get(layer.index())
            .and_then(Option::as_ref)
            .ok_or(NetworkError::NoCells { layer })
    }

    /// `[C, h, w]` of a cell rectangle.
    fn cells(&self, layer: Layer, cells: Rect) -> std::result::Result<Tensor, NetworkError> {
        let output = self.output(layer)?.squeeze(0)?;
        Ok(output
            .narrow(1, cells.top, cells.height)?
            .narrow(2, cells.left, cells.width)?
            .contiguous()?)
    }

    /// `gradient`, if there is one yet, with what a loss at the tap adds: `[1, C, h, w]`.
    fn with_tap(
        &self,
        gradient: Option<Tensor>,
        tap: &TapGradient<'_>,
        output: &Tensor,
    ) -> std::result::Result<Tensor, NetworkError> {
        let (_, c, h, w) = output.dims4()?;
        let CandleNetwork { device, dtype, operations, .. } = self.network;
        let (added, offset) = match tap {
            TapGradient::Affine { matrix, offset, .. } => {
                let product = matrix
                    .to_device(device)?
                    .matmul(&output.reshape((c, h * w))?.to_dtype(DType::F32)?)?;
                (product.reshape((1, c, h, w))?, Some(offset.to_device(device)?))
            }
            TapGradient::Content { target, origin: (row, column), scale, .. } => {
                let target = target
                    .tensor()?
                    .narrow(1, *row, h)?
                    .narrow(2, *column, w)?
                    .to_device(device)?;
                (((output - target.unsqueeze(0)?)? * f64::from(*scale))?, None)
            }
        };
        let added = match offset {
            Some(offset) => {
                operations.shifted(added, &offset.reshape((1, c, 1, 1))?)?.to_dtype(*dtype)?
            }
            None => added,
        };
        Ok(match gradient {
            Some(gradient) => operations.sum(gradient, &added)?,
            None => added,
        })
    }
}

impl Pass for CandlePass<'_> {
    fn moments(&self, layer: Layer) -> std::result::Result<Moments, NetworkError> {
        let cells = self.core.cells(layer.stride());
        let CandleNetwork { stages, device, .. } = self.network;
        stages.begin(device)?;
        let channels = self.output(layer)?.dims()[1];
        let mut gram = Tensor::zeros((channels, channels), DType::F64, device)?;
        let mut sum = Tensor::zeros(channels, DType::F64, device)?;
        // Bands bound both the copy and how much is added up in float32.
        let rows = (SUMMED / cells.width.max(1)).max(1);
        let tops = if cells.area() == 0 { 0 } else { cells.height };
        for top in (0..tops).step_by(rows) {
            let band = Rect { top: cells.top + top, height: rows.min(cells.height - top), ..cells };
            let features = self.cells(layer, band)?.flatten_from(1)?.to_dtype(DType::F32)?;
            gram = (gram + features.matmul(&features.t()?)?.to_dtype(DType::F64)?)?;
            sum = (sum + features.sum(1)?.to_dtype(DType::F64)?)?;
        }
        stages.end("sums", device)?;
        Ok(Moments::from_tensors(cells.area() as u64, gram, sum))
    }

    fn features(&self, layer: Layer) -> std::result::Result<Features, NetworkError> {
        Ok(Features::from_tensor(layer, self.cells(layer, self.core.cells(layer.stride()))?))
    }

    fn content_distance(
        &self,
        layer: Layer,
        target: &Features,
        (row, column): (usize, usize),
    ) -> std::result::Result<Vec<f64>, NetworkError> {
        let cells = self.core.cells(layer.stride());
        let target = target.tensor()?.narrow(1, row, cells.height)?;
        let target = target.narrow(2, column, cells.width)?;
        let difference = (self.cells(layer, cells)? - target.to_device(&self.network.device)?)?;
        let square = difference.to_dtype(DType::F32)?.sqr()?.sum(0)?.to_dtype(DType::F64)?;
        let side = GRID / layer.stride();
        let (down, across) = (cells.height.div_ceil(side), cells.width.div_ceil(side));
        let squares = square.pad_with_zeros(0, 0, down * side - cells.height)?.pad_with_zeros(
            1,
            0,
            across * side - cells.width,
        )?;
        let sums = squares.reshape((down, side, across, side))?.sum((1, 3))?;
        Ok(sums.flatten_all()?.to_vec1()?)
    }

    fn backward(
        mut self: Box<Self>,
        gradients: &[TapGradient<'_>],
    ) -> std::result::Result<Tensor, NetworkError> {
        let Some(deepest) = gradients.iter().map(TapGradient::layer).max() else {
            return Ok(Tensor::zeros(
                (3, self.size.0, self.size.1),
                DType::F32,
                &self.network.device,
            )?);
        };
        let CandleNetwork { stages, device, operations, .. } = self.network;
        stages.begin(device)?;
        let mut gradient: Option<Tensor> = None;
        for step in self.network.steps[..=deepest.index()].iter().rev() {
            let output = self.output(step.layer)?.clone();
            if let Some(after) = gradient.take_if(|_| step.layer.is_before_pool()) {
                gradient = Some(operations.unpool(&after, &output, self.network.pooling)?);
                stages.end("unpooling", device)?;
            }
            for tap in gradients.iter().filter(|tap| tap.layer() == step.layer) {
                gradient = Some(self.with_tap(gradient, tap, &output)?);
            }
            stages.end("gradients at taps", device)?;
            let here = gradient.expect("the deepest tap gave one");
            gradient = Some(step.backward.apply(operations, &here, Some(&output), None)?);
            // The memory of a layer that is done is free for those below.
            self.outputs[step.layer.index()] = None;
            stages.end("convolutions back", device)?;
        }
        let bgr = gradient
            .expect("at least the deepest tap's layer was passed")
            .squeeze(0)?
            .contiguous()?
            .to_dtype(DType::F32)?;
        Ok((self.network.swapped(&bgr, 0)? * 255.0)?)
    }
}
