//! Where the pixels of a tile come from.

use candle_core::{Device, Tensor};

use crate::geometry::Rect;
use crate::memory;
use crate::render::error::RenderError;
use crate::tiling::Pixels;

/// A canvas or content image that sweeps read region by region: a tensor in memory or on a device,
/// or any [`Pixels`], as in a file.
pub(crate) trait PixelSource: Sync {
    /// The pixels of a rectangle, float32 `[3, rect.height, rect.width]`.
    ///
    /// # Errors
    /// When they cannot be read.
    fn region(&self, rect: Rect) -> Result<Tensor, RenderError>;

    /// Where the pixels are.
    fn device(&self) -> Device {
        Device::Cpu
    }
}

impl PixelSource for Tensor {
    /// The tensor itself where the rectangle is all of it.
    fn region(&self, rect: Rect) -> Result<Tensor, RenderError> {
        let (_, height, width) = self.dims3()?;
        if rect == Rect::whole(width, height) {
            return Ok(self.clone());
        }
        // candle ends the process where it gets no memory.
        memory::on_trial(3 * rect.area() * size_of::<f32>())?;
        let rows = self.narrow(1, rect.top, rect.height)?;
        Ok(rows.narrow(2, rect.left, rect.width)?.contiguous()?)
    }

    fn device(&self) -> Device {
        Tensor::device(self).clone()
    }
}

impl PixelSource for &dyn Pixels {
    fn region(&self, rect: Rect) -> Result<Tensor, RenderError> {
        let shape = (3, rect.height, rect.width);
        Ok(Tensor::from_vec(self.read(rect)?, shape, &Device::Cpu)?)
    }
}
