//! Convolutions over candle tensors, in the way that a device and a precision ask for.

use candle_core::{DType, Device, Result, Tensor};

use super::operations::Operations;
use crate::network::precision::Precision;

/// Values of an unfolded band of rows: what [`Convolutions::Products`] has in memory beside its
/// input and its output.
const BAND: usize = 64 << 20;

/// How convolutions are computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Convolutions {
    /// By candle's own operation: on a GPU cuDNN where that is built in, which rounds float32 to
    /// TF32 as it likes.
    Candle,
    /// As matrix products over bands of rows, whose nine shifted copies are laid below each other.
    /// Rounding is that of the matrix product, so [`Precision::Float32`] is what it says, and
    /// memory is bounded by the band.
    Products,
    /// As 36 matrix products over bands of 4x4 tiles (Winograd's F(4x4, 3x3), as on the CPU): a
    /// quarter of the products' operations, in float32 and on CUDA devices only. Layers of few
    /// channels, which gain nothing, are computed as products.
    Winograd,
}

impl Convolutions {
    /// The fastest that keeps the precision's word on a device.
    pub fn suited(device: &Device, precision: Precision) -> Self {
        match precision {
            _ if !device.is_cuda() => Convolutions::Candle,
            Precision::Float32 => Convolutions::Winograd,
            Precision::Tf32 | Precision::Bfloat16 if cfg!(feature = "cudnn") => {
                Convolutions::Candle
            }
            Precision::Tf32 | Precision::Bfloat16 => Convolutions::Products,
        }
    }
}

/// Fewer inputs than this are not worth 36 products.
#[cfg(feature = "cuda")]
const WINOGRAD_INPUTS: usize = 16;

/// A 3x3 kernel on a device.
pub(super) enum Kernel {
    /// `[out, in, 3, 3]`, for candle's operation.
    Direct(Tensor),
    /// `[out, 9 in]`, for products.
    Unfolded(Tensor),
    /// `[36, out, in]`, for products at Winograd's points.
    #[cfg(feature = "cuda")]
    Points(Tensor),
}

impl Kernel {
    /// Prepares `weight`, float32 `[out, in, 3, 3]` on the CPU.
    pub(super) fn new(
        weight: &Tensor,
        by: Convolutions,
        dtype: DType,
        device: &Device,
    ) -> Result<Self> {
        let ready = |weight: Tensor| weight.to_device(device)?.to_dtype(dtype);
        match by {
            Convolutions::Candle => Ok(Kernel::Direct(ready(weight.clone())?)),
            #[cfg(feature = "cuda")]
            Convolutions::Winograd if device.is_cuda() && dtype == DType::F32 => {
                if weight.dims4()?.1 < WINOGRAD_INPUTS {
                    return Self::new(weight, Convolutions::Products, dtype, device);
                }
                Ok(Kernel::Points(ready(crate::kernels::cuda::at_points(weight)?)?))
            }
            Convolutions::Winograd => candle_core::bail!(
                "Winograd convolutions over tensors are for float32 on CUDA devices"
            ),
            Convolutions::Products => Ok(Kernel::Unfolded(ready(
                weight.permute((0, 2, 3, 1))?.contiguous()?.flatten_from(1)?,
            )?)),
        }
    }

    /// The convolution of `map`, `[1, in, h, w]`, with a border of zeros; `map` counts as zero
    /// where `mask` is not positive. With a bias, `[1, out, 1, 1]`, its ReLU.
    pub(super) fn apply(
        &self,
        operations: &Operations,
        map: &Tensor,
        mask: Option<&Tensor>,
        bias: Option<&Tensor>,
    ) -> Result<Tensor> {
        let plain = match (self, operations) {
            (Kernel::Direct(kernel), _) => match mask {
                Some(mask) => operations.masked(map, mask)?.conv2d(kernel, 1, 1, 1, 1)?,
                None => map.conv2d(kernel, 1, 1, 1, 1)?,
            },
            (Kernel::Unfolded(kernel), _) => product(kernel, operations, map, mask)?,
            #[cfg(feature = "cuda")]
            (Kernel::Points(kernel), Operations::Fused(cuda)) => {
                return cuda.winograd(kernel, map, mask, bias);
            }
            #[cfg(feature = "cuda")]
            (Kernel::Points(_), Operations::Composed) => {
                candle_core::bail!("a kernel at points without the kernels that take it")
            }
        };
        match bias {
            Some(bias) => operations.activate(plain, bias),
            None => Ok(plain),
        }
    }
}

fn product(
    kernel: &Tensor,
    operations: &Operations,
    map: &Tensor,
    mask: Option<&Tensor>,
) -> Result<Tensor> {
    let (_, inputs, height, width) = map.dims4()?;
    let outputs = kernel.dims()[0];
    let rows = (BAND / (9 * inputs * width).max(1)).clamp(1, height.max(1));
    let mut bands = Vec::with_capacity(height.div_ceil(rows));
    for top in (0..height).step_by(rows) {
        let rows = rows.min(height - top);
        let unfolded = operations.unfold(map, mask, top, rows)?;
        bands.push(kernel.matmul(&unfolded)?.reshape((1, outputs, rows, width))?);
    }
    if bands.len() == 1 { Ok(bands.remove(0)) } else { Tensor::cat(&bands, 2) }
}
