//! What the chain over candle tensors needs beside convolutions, composed of candle's operations on
//! any device; on CUDA devices by kernels of its own.
//!
//! candle's max pooling has no right gradient, so poolings are taken from quarters of the map, and
//! so are their gradients.

use candle_core::{D, Device, Result, Tensor};

use crate::kernels::Pooling;
#[cfg(feature = "cuda")]
use crate::kernels::cuda::Cuda;

/// The operations on one device.
pub(super) enum Operations {
    /// candle's.
    Composed,
    /// Our kernels.
    #[cfg(feature = "cuda")]
    Fused(Cuda),
}

impl Operations {
    /// The fastest on `device`.
    pub(super) fn on(device: &Device) -> Result<Self> {
        #[cfg(feature = "cuda")]
        if device.is_cuda() {
            return Cuda::on(device).map(Operations::Fused);
        }
        let _ = device;
        Ok(Operations::Composed)
    }

    /// A band of rows of `map`, `[1, C, h, w]`, zero where `mask` is not positive, with its nine
    /// shifted copies below each other: `[9 C, rows w]`.
    pub(super) fn unfold(
        &self,
        map: &Tensor,
        mask: Option<&Tensor>,
        top: usize,
        rows: usize,
    ) -> Result<Tensor> {
        match self {
            Operations::Composed => {
                let (_, channels, height, width) = map.dims4()?;
                // The rows that the band reads, with zeros where there are none.
                let (first, last) = (top.saturating_sub(1), (top + rows + 1).min(height));
                let band = |map: &Tensor| map.narrow(2, first, last - first);
                let band = match mask {
                    Some(mask) => self.masked(&band(map)?, &band(mask)?)?,
                    None => band(map)?,
                };
                let (above, below) = (usize::from(top == 0), usize::from(top + rows == height));
                let padded =
                    band.squeeze(0)?.pad_with_zeros(1, above, below)?.pad_with_zeros(2, 1, 1)?;
                let shifted =
                    (0..9).map(|tap| padded.narrow(1, tap / 3, rows)?.narrow(2, tap % 3, width));
                Tensor::cat(&shifted.collect::<Result<Vec<_>>>()?, 0)?
                    .reshape((9 * channels, rows * width))
            }
            #[cfg(feature = "cuda")]
            Operations::Fused(cuda) => cuda.unfold(map, mask, top, rows),
        }
    }

    /// `relu(map + bias)`: `[1, C, h, w]`, and a bias `[1, C, 1, 1]`.
    pub(super) fn activate(&self, map: Tensor, bias: &Tensor) -> Result<Tensor> {
        match self {
            Operations::Composed => map.broadcast_add(bias)?.relu(),
            #[cfg(feature = "cuda")]
            Operations::Fused(cuda) => cuda.activate(map, bias),
        }
    }

    /// `map` plus a value for each of its channels: float32 `[1, C, h, w]` and `[1, C, 1, 1]`.
    pub(super) fn shifted(&self, map: Tensor, by: &Tensor) -> Result<Tensor> {
        match self {
            Operations::Composed => map.broadcast_add(by),
            #[cfg(feature = "cuda")]
            Operations::Fused(cuda) => cuda.shifted(map, by),
        }
    }

    /// `map + other`.
    pub(super) fn sum(&self, map: Tensor, other: &Tensor) -> Result<Tensor> {
        match self {
            Operations::Composed => map + other,
            #[cfg(feature = "cuda")]
            Operations::Fused(cuda) => cuda.sum(map, other),
        }
    }

    /// `gradient` where `map` is positive, else 0; both `[1, C, h, w]`.
    pub(super) fn masked(&self, gradient: &Tensor, map: &Tensor) -> Result<Tensor> {
        match self {
            Operations::Composed => gradient * map.gt(0.0)?.to_dtype(map.dtype())?,
            #[cfg(feature = "cuda")]
            Operations::Fused(cuda) => cuda.masked(gradient, map),
        }
    }

    /// A pooling of `map`, `[1, C, h, w]`, over 2x2 windows.
    pub(super) fn pool(&self, map: &Tensor, pooling: Pooling) -> Result<Tensor> {
        match self {
            Operations::Composed => pooled(&quarters(map)?, pooling),
            #[cfg(feature = "cuda")]
            Operations::Fused(cuda) => cuda.pool(map, pooling == Pooling::Max),
        }
    }

    /// The gradient before a pooling of `map` from the one after it. Among equal maxima the first
    /// in raster order gets it.
    pub(super) fn unpool(
        &self,
        gradient: &Tensor,
        map: &Tensor,
        pooling: Pooling,
    ) -> Result<Tensor> {
        match self {
            Operations::Composed => unpooled(gradient, map, pooling),
            #[cfg(feature = "cuda")]
            Operations::Fused(cuda) => cuda.unpool(gradient, map, pooling == Pooling::Max),
        }
    }
}

/// The four values under each 2x2 window, `[1, C, h/2, w/2]` each, in raster order; a last odd row
/// or column is dropped.
fn quarters(map: &Tensor) -> Result<Vec<Tensor>> {
    let (n, c, h, w) = map.dims4()?;
    let (h2, w2) = (h / 2, w / 2);
    let even = map.narrow(2, 0, h2 * 2)?.narrow(3, 0, w2 * 2)?.contiguous()?.reshape((
        n * c,
        h2,
        2,
        w2,
        2,
    ))?;
    [(0, 0), (0, 1), (1, 0), (1, 1)]
        .into_iter()
        .map(|(dy, dx)| {
            even.narrow(2, dy, 1)?.narrow(4, dx, 1)?.contiguous()?.reshape((n, c, h2, w2))
        })
        .collect()
}

fn pooled(quarters: &[Tensor], pooling: Pooling) -> Result<Tensor> {
    match pooling {
        Pooling::Max => {
            quarters[0].maximum(&quarters[1])?.maximum(&quarters[2])?.maximum(&quarters[3])
        }
        Pooling::Average => {
            ((&quarters[0] + &quarters[1])? + (&quarters[2] + &quarters[3])?)? * 0.25
        }
    }
}

fn unpooled(gradient: &Tensor, map: &Tensor, pooling: Pooling) -> Result<Tensor> {
    let parts = match pooling {
        Pooling::Average => vec![(gradient * 0.25)?; 4],
        Pooling::Max => {
            let quarters = quarters(map)?;
            let largest = pooled(&quarters, pooling)?;
            let mut free = largest.ones_like()?;
            let mut parts = Vec::with_capacity(4);
            for quarter in &quarters {
                let taken = (quarter.eq(&largest)?.to_dtype(map.dtype())? * &free)?;
                free = (free - &taken)?;
                parts.push((taken * gradient)?);
            }
            parts
        }
    };
    let (n, c, h, w) = map.dims4()?;
    let row = |a: &Tensor, b: &Tensor| {
        Tensor::stack(&[a, b], D::Minus1)?.reshape((n, c, h / 2, w / 2 * 2))
    };
    let (upper, lower) = (row(&parts[0], &parts[1])?, row(&parts[2], &parts[3])?);
    let whole = Tensor::stack(&[upper, lower], 3)?.reshape((n, c, h / 2 * 2, w / 2 * 2))?;
    whole.pad_with_zeros(2, 0, h % 2)?.pad_with_zeros(3, 0, w % 2)
}
