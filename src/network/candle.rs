//! The chain over candle tensors: the same sweeps as on the CPU, on whatever device candle has.
//!
//! The backward sweep is written out (no autograd): a convolution's gradient is the same convolution with the kernel
//! flipped and its channels transposed, and the poolings have gradients of their own. On the CPU this path is slow and
//! serves as the independent second implementation that tests compare with.

use candle_core::{D, DType, Device, Result, Tensor};

use super::layer::{Layer, Pooling};
use super::weights::Weights;
use super::{Features, Moments, NetworkError, Pass, Request, TapGradient, VGG_MEAN_RGB, block_sums};
use crate::geometry::Rect;

/// One convolution with the kernels of both directions.
struct Step {
    layer: Layer,
    /// `[out, in, 3, 3]`.
    forward: Tensor,
    /// `[in, out, 3, 3]`, flipped.
    backward: Tensor,
    /// `[1, out, 1, 1]`.
    bias: Tensor,
}

/// VGG19 up to its deepest needed layer, on a candle device.
pub struct CandleNetwork {
    steps: Vec<Step>,
    pooling: Pooling,
    device: Device,
}

impl CandleNetwork {
    /// Prepares the layers up to `deepest` on `device`.
    ///
    /// # Errors
    /// When the device fails.
    pub fn new(weights: &Weights, deepest: Layer, pooling: Pooling, device: &Device) -> Result<Self> {
        let steps = Layer::all()
            .take(deepest.index() + 1)
            .map(|layer| {
                let convolution = weights.convolution(layer);
                let shape = (convolution.outputs, convolution.inputs, 3, 3);
                let forward = Tensor::from_vec(convolution.weight, shape, device)?;
                let backward = forward.transpose(0, 1)?.contiguous()?.flip(&[2, 3])?.contiguous()?;
                let bias = Tensor::from_vec(convolution.bias, (1, convolution.outputs, 1, 1), device)?;
                Ok(Step { layer, forward, backward, bias })
            })
            .collect::<Result<_>>()?;
        Ok(Self { steps, pooling, device: device.clone() })
    }

    /// The forward sweep on one region: see [`super::Network::forward`].
    ///
    /// # Errors
    /// When a tap has no cells or the device fails.
    pub fn forward(&self, pixels: &Tensor, request: &Request) -> std::result::Result<CandlePass<'_>, NetworkError> {
        request.check(pixels)?;
        let pixels = pixels.contiguous()?;
        let mean = Tensor::new(&VGG_MEAN_RGB, &self.device)?.reshape((1, 3, 1, 1))?;
        let input = (pixels.unsqueeze(0)? * 255.0)?.broadcast_sub(&mean)?;
        // RGB to the BGR that the network was trained on.
        let mut value = input.index_select(&Tensor::new(&[2u32, 1, 0], &self.device)?, 1)?;
        let mut outputs = Vec::new();
        for step in &self.steps {
            value = value.conv2d(&step.forward, 1, 1, 1, 1)?.broadcast_add(&step.bias)?.relu()?;
            outputs.push(value.clone());
            if step.layer.is_before_pool() {
                let (_, _, h, w) = value.dims4()?;
                if h < 2 || w < 2 {
                    break;
                }
                value = self.pool(&value)?;
            }
        }
        Ok(CandlePass { network: self, outputs, core: request.core })
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
                    let taken = (quarter.eq(&largest)?.to_dtype(DType::F32)? * &free)?;
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
    outputs: Vec<Tensor>,
    core: Rect,
}

impl CandlePass<'_> {
    /// `[C, h, w]` of a cell rectangle.
    fn cells(&self, layer: Layer, cells: Rect) -> std::result::Result<Tensor, NetworkError> {
        let output = self.outputs.get(layer.index()).ok_or(NetworkError::NoCells { layer })?.squeeze(0)?;
        Ok(output.narrow(1, cells.top, cells.height)?.narrow(2, cells.left, cells.width)?.contiguous()?)
    }
}

impl Pass for CandlePass<'_> {
    fn moments(&self, layer: Layer) -> std::result::Result<Moments, NetworkError> {
        let cells = self.core.cells(layer.stride());
        if cells.area() == 0 {
            return Err(NetworkError::NoCells { layer });
        }
        let features = self.cells(layer, cells)?.flatten_from(1)?;
        let gram = features.matmul(&features.t()?)?.to_dtype(DType::F64)?;
        Ok(Moments::Plain { gram, sum: features.sum(1)?.to_dtype(DType::F64)?, cells: cells.area() as u64 })
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
        let target = target.plain()?;
        let target = target.narrow(1, row + cells.top, cells.height)?.narrow(2, column + cells.left, cells.width)?;
        let square = (self.cells(layer, cells)? - target)?.sqr()?.sum(0)?;
        Ok(block_sums(&square.to_dtype(DType::F64)?.to_vec2::<f64>()?, layer.stride()))
    }

    fn backward(self: Box<Self>, gradients: &[TapGradient<'_>]) -> std::result::Result<Tensor, NetworkError> {
        let Some(deepest) = gradients.iter().map(TapGradient::layer).max() else {
            return Ok(self.network.zero_gradient(self.outputs.first())?);
        };
        let mut gradient: Option<Tensor> = None;
        for step in self.network.steps[..=deepest.index()].iter().rev() {
            let output = self.outputs.get(step.layer.index()).ok_or(NetworkError::NoCells { layer: step.layer })?;
            let mut here = match gradient {
                Some(after) if step.layer.is_before_pool() && step.layer != deepest => self.network.unpool(&after, output)?,
                Some(after) => after,
                None => output.zeros_like()?,
            };
            for tap in gradients.iter().filter(|tap| tap.layer() == step.layer) {
                here = (here + tap_gradient(tap, output)?)?;
            }
            let masked = (here * output.gt(0.0)?.to_dtype(DType::F32)?)?;
            gradient = Some(masked.conv2d(&step.backward, 1, 1, 1, 1)?);
        }
        let bgr = gradient.expect("at least the deepest tap's layer was passed").squeeze(0)?.contiguous()?;
        Ok((bgr.index_select(&Tensor::new(&[2u32, 1, 0], &self.network.device)?, 0)? * 255.0)?)
    }
}

impl CandleNetwork {
    fn zero_gradient(&self, first: Option<&Tensor>) -> Result<Tensor> {
        let (h, w) = first.map_or(Ok((0, 0)), |t| t.dims4().map(|d| (d.2, d.3)))?;
        Tensor::zeros((3, h, w), DType::F32, &self.device)
    }
}

fn tap_gradient(tap: &TapGradient<'_>, output: &Tensor) -> std::result::Result<Tensor, NetworkError> {
    let (_, c, h, w) = output.dims4()?;
    Ok(match tap {
        TapGradient::Affine { matrix, offset, .. } => {
            let product = matrix.matmul(&output.reshape((c, h * w))?)?;
            product.broadcast_add(&offset.reshape((c, 1))?)?.reshape((1, c, h, w))?
        }
        TapGradient::Content { target, origin: (row, column), scale, .. } => {
            let target = target.plain()?.narrow(1, *row, h)?.narrow(2, *column, w)?;
            ((output - target.unsqueeze(0)?)? * f64::from(*scale))?
        }
    })
}
