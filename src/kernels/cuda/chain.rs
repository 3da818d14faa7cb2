//! Operations of the network's chain on maps `[1, C, h, w]`, float32 or bfloat16.

use candle_core::{Device, Result, Tensor};

use super::{Cuda, Launch, Number};
use crate::kernels::winograd::{PLANES, transform_filter};

/// Values of tiles before and after the products of [`Cuda::winograd`]: what it has in memory
/// beside its input and its output.
const BAND: usize = 64 << 20;

impl Cuda {
    /// A band of rows of `map`, zero where `mask` is not positive, with its nine shifted copies
    /// below each other: `[9 C, rows w]`.
    ///
    /// # Errors
    /// When the device fails.
    pub fn unfold(
        &self,
        map: &Tensor,
        mask: Option<&Tensor>,
        top: usize,
        rows: usize,
    ) -> Result<Tensor> {
        let (_, channels, height, width) = map.dims4()?;
        let out = self.empty((9 * channels, rows * width), map.dtype())?;
        let numbers = [Number::int(height)?, Number::int(width)?, Number::int(top)?];
        Launch::by_channel(self, "unfold", rows * width, channels)
            .with(&[Some(map), mask], &numbers)
            .into(&out)?;
        Ok(out)
    }

    /// `relu(map + bias)` in the place of `map`; a bias `[1, C, 1, 1]`.
    ///
    /// # Errors
    /// When the device fails.
    pub fn activate(&self, map: Tensor, bias: &Tensor) -> Result<Tensor> {
        self.cellwise("activate", &map, &[Some(bias)], &map)?;
        Ok(map)
    }

    /// `map` plus a value for each of its channels, `[1, C, 1, 1]`, in its place.
    ///
    /// # Errors
    /// When the device fails.
    pub fn shifted(&self, map: Tensor, by: &Tensor) -> Result<Tensor> {
        self.cellwise("shifted", &map, &[Some(by)], &map)?;
        Ok(map)
    }

    /// `map + other` in the place of `map`.
    ///
    /// # Errors
    /// When the device fails.
    pub fn sum(&self, map: Tensor, other: &Tensor) -> Result<Tensor> {
        self.cellwise("sum", &map, &[Some(other)], &map)?;
        Ok(map)
    }

    /// `gradient` where `map` is positive, else 0.
    ///
    /// # Errors
    /// When the device fails.
    pub fn masked(&self, gradient: &Tensor, map: &Tensor) -> Result<Tensor> {
        let out = self.empty(map.shape(), map.dtype())?;
        self.cellwise("masked", map, &[Some(gradient), Some(map)], &out)?;
        Ok(out)
    }

    fn cellwise(
        &self,
        name: &'static str,
        like: &Tensor,
        inputs: &[Option<&Tensor>],
        out: &Tensor,
    ) -> Result<()> {
        let (_, channels, height, width) = like.dims4()?;
        Launch::by_channel(self, name, height * width, channels).with(inputs, &[]).into(out)
    }

    /// The largest (or else the mean) of each 2x2 window; a last odd row or column belongs to none.
    ///
    /// # Errors
    /// When the device fails.
    pub fn pool(&self, map: &Tensor, largest: bool) -> Result<Tensor> {
        let (_, channels, height, width) = map.dims4()?;
        let out = self.empty((1, channels, height / 2, width / 2), map.dtype())?;
        let numbers = [Number::int(height)?, Number::int(width)?, Number::flag(largest)];
        Launch::by_channel(self, "pool", (height / 2) * (width / 2), channels)
            .with(&[Some(map)], &numbers)
            .into(&out)?;
        Ok(out)
    }

    /// The gradient before a pooling of `map` from the one after it. Among equal maxima the first
    /// in raster order gets it.
    ///
    /// # Errors
    /// When the device fails.
    pub fn unpool(&self, gradient: &Tensor, map: &Tensor, largest: bool) -> Result<Tensor> {
        let (_, channels, height, width) = map.dims4()?;
        let out = self.empty(map.shape(), map.dtype())?;
        let numbers = [Number::int(height)?, Number::int(width)?, Number::flag(largest)];
        let windows = height.div_ceil(2) * width.div_ceil(2);
        Launch::by_channel(self, "unpool", windows, channels)
            .with(&[Some(gradient), Some(map)], &numbers)
            .into(&out)?;
        Ok(out)
    }

    /// The convolution of `map`, float32 `[1, in, h, w]`, zero where `mask` is not positive, by
    /// Winograd's F(4x4, 3x3) with the kernel of [`at_points`], `[36, out, in]`; with a bias, `[1,
    /// out, 1, 1]`, its ReLU.
    ///
    /// # Errors
    /// When the device fails.
    pub fn winograd(
        &self,
        kernel: &Tensor,
        map: &Tensor,
        mask: Option<&Tensor>,
        bias: Option<&Tensor>,
    ) -> Result<Tensor> {
        let (_, inputs, height, width) = map.dims4()?;
        let (_, outputs, _) = kernel.dims3()?;
        let out = self.empty((1, outputs, height, width), map.dtype())?;
        let (down, across) = (height.div_ceil(4), width.div_ceil(4));
        let rows = (BAND / (PLANES * (inputs + outputs) * across).max(1)).clamp(1, down.max(1));
        for top in (0..down).step_by(rows) {
            let tiles = rows.min(down - top) * across;
            let numbers = [
                Number::int(height)?,
                Number::int(width)?,
                Number::int(top)?,
                Number::int(across)?,
            ];
            let patches = self.empty((PLANES, inputs, tiles), map.dtype())?;
            Launch::by_channel(self, "winograd_in", tiles, inputs)
                .float32()
                .with(&[Some(map), mask], &numbers)
                .into(&patches)?;
            let points = kernel.matmul(&patches)?;
            Launch::by_channel(self, "winograd_out", tiles, outputs)
                .float32()
                .with(&[Some(&points), bias], &numbers)
                .into(&out)?;
        }
        Ok(out)
    }
}

/// A 3x3 kernel, float32 `[out, in, 3, 3]`, at the points of Winograd's transform, `[36, out, in]`:
/// see [`crate::kernels::winograd`].
///
/// # Errors
/// When it is no such kernel.
pub fn at_points(weight: &Tensor) -> Result<Tensor> {
    let (outputs, inputs, 3, 3) = weight.dims4()? else {
        candle_core::bail!("a 3x3 kernel has another shape: {:?}", weight.dims())
    };
    let values = weight.flatten_all()?.to_vec1::<f32>()?;
    let (kernels, _) = values.as_chunks::<9>();
    let mut points = vec![0f32; PLANES * kernels.len()];
    for (pair, kernel) in kernels.iter().enumerate() {
        for (plane, value) in transform_filter(&kernel.map(f64::from)).into_iter().enumerate() {
            points[plane * kernels.len() + pair] = value as f32;
        }
    }
    Tensor::from_vec(points, (PLANES, outputs, inputs), &Device::Cpu)
}
