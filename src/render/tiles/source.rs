//! Where the pixels of a tile come from.

use candle_core::{Device, Tensor};

use crate::geometry::Rect;
use crate::memory;
use crate::objective::halved;
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

/// Rows of an octave that are halved at once: what they are halved from is four or sixteen times as
/// much.
const BAND: usize = 64;

/// A canvas or content image halved some times, region by region.
pub(crate) struct HalvedSource<'a> {
    source: &'a dyn PixelSource,
    /// Width and height of the source, px.
    size: (usize, usize),
    octave: usize,
}

impl<'a> HalvedSource<'a> {
    /// `source`, of `size` (width, height) px, halved `octave` times.
    pub(crate) fn new(source: &'a dyn PixelSource, size: (usize, usize), octave: usize) -> Self {
        Self { source, size, octave }
    }
}

impl PixelSource for HalvedSource<'_> {
    fn region(&self, rect: Rect) -> Result<Tensor, RenderError> {
        if self.octave == 0 {
            return self.source.region(rect);
        }
        let mut bands = Vec::new();
        for top in (rect.top..rect.bottom()).step_by(BAND) {
            let band = Rect { top, height: BAND.min(rect.bottom() - top), ..rect };
            let mut pixels = self.source.region(enlarged(band, self.octave, self.size))?;
            for _ in 0..self.octave {
                pixels = halved(&pixels)?;
            }
            bands.push(pixels);
        }
        Ok(Tensor::cat(&bands, 1)?)
    }

    fn device(&self) -> Device {
        self.source.device()
    }
}

/// The pixels of a canvas of `size` (width, height) px that those of `rect` are means of, where the
/// canvas is halved `octave` times.
pub(crate) fn enlarged(rect: Rect, octave: usize, (width, height): (usize, usize)) -> Rect {
    let (left, top) = (rect.left << octave, rect.top << octave);
    let (right, bottom) =
        ((rect.right() << octave).min(width), (rect.bottom() << octave).min(height));
    Rect { left, top, width: right - left, height: bottom - top }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objective::size_at;
    use crate::random::Noise;

    #[test]
    fn a_region_of_a_half_is_that_of_the_whole_half() {
        let ((width, height), noise) = ((87, 301), Noise::new(4));
        let values: Vec<f32> = (0..3 * width * height).map(|i| noise.uniform(i as u64)).collect();
        let canvas = Tensor::from_vec(values, (3, height, width), &Device::Cpu).unwrap();
        let mut whole = canvas.clone();
        for octave in 0..3 {
            let size = size_at((width, height), octave);
            let source = HalvedSource::new(&canvas, (width, height), octave);
            for rect in [
                Rect::whole(size.0, size.1),
                Rect { left: 16, top: 16, width: size.0 - 16, height: size.1 - 16 },
                Rect { left: 0, top: 32, width: 5, height: 17 },
            ] {
                let wanted = PixelSource::region(&whole, rect).unwrap();
                let found = source.region(rect).unwrap();
                let off = (found - wanted).unwrap().abs().unwrap().max_all().unwrap();
                assert_eq!(off.to_scalar::<f32>().unwrap(), 0.0, "{octave}, {rect:?}");
            }
            whole = halved(&whole).unwrap();
        }
    }
}
