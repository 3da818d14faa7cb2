//! The sheet's pixels: a warm white on which pictures, lines and letters are laid.

use crate::image::{Light, resize};

/// A colour, display-coded sRGB 0..1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Colour([f32; 3]);

impl Colour {
    /// Of eight bits a channel.
    const fn of(r: u8, g: u8, b: u8) -> Self {
        Self([r as f32 / 255.0, g as f32 / 255.0, b as f32 / 255.0])
    }

    /// Of the background.
    pub(super) const PAPER: Self = Self::of(247, 245, 240);
    /// Of values and titles.
    pub(super) const INK: Self = Self::of(38, 36, 33);
    /// Of keys.
    pub(super) const PALE_INK: Self = Self::of(128, 121, 110);
    /// Of lines.
    pub(super) const LINE: Self = Self::of(208, 203, 193);
    /// Of a place without a picture.
    pub(super) const EMPTY: Self = Self::of(234, 230, 222);
}

/// A picture in work: planes `[3, H, W]`, display-coded sRGB 0..1.
pub(super) struct Paper {
    width: usize,
    height: usize,
    planes: Vec<f32>,
}

impl Paper {
    /// An empty sheet.
    pub(super) fn new(width: usize, height: usize) -> Self {
        let plane = width * height;
        let planes = Colour::PAPER.0.iter().flat_map(|value| vec![*value; plane]).collect();
        Self { width, height, planes }
    }

    /// Width and height, px.
    pub(super) fn size(&self) -> (u32, u32) {
        (self.width as u32, self.height as u32)
    }

    pub(super) fn pixels(&self) -> &[f32] {
        &self.planes
    }

    /// Lays `colour` over the pixel at `at`, as far as it is covered; outside the sheet nothing
    /// happens.
    pub(super) fn blend(&mut self, (x, y): (i64, i64), colour: Colour, coverage: f32) {
        let inside = |at: i64, side: usize| usize::try_from(at).ok().filter(|at| *at < side);
        let (Some(x), Some(y)) = (inside(x, self.width), inside(y, self.height)) else { return };
        let plane = self.width * self.height;
        for (channel, value) in colour.0.iter().enumerate() {
            let pixel = &mut self.planes[channel * plane + y * self.width + x];
            *pixel += coverage * (value - *pixel);
        }
    }

    /// Fills a rectangle: left, top, width, height.
    pub(super) fn fill(&mut self, [x, y, width, height]: [usize; 4], colour: Colour) {
        for y in y..(y + height).min(self.height) {
            for x in x..(x + width).min(self.width) {
                self.blend((x as i64, y as i64), colour, 1.0);
            }
        }
    }

    /// Lays a picture, planes `[3, H, W]` of `from` px, on the sheet at `(x, y)` with `size` px. It
    /// is scaled in linear light.
    pub(super) fn place(
        &mut self,
        planes: &[f32],
        from: (u32, u32),
        (x, y): (usize, usize),
        size: (u32, u32),
    ) {
        let scaled = resize(planes, from, size, Light::Linear);
        let (width, height) = (size.0 as usize, size.1 as usize);
        let own = self.width * self.height;
        for (channel, plane) in scaled.chunks_exact(width * height).enumerate() {
            for (row, pixels) in plane.chunks_exact(width).enumerate() {
                let start = channel * own + (y + row) * self.width + x;
                if let Some(target) = self.planes.get_mut(start..start + width) {
                    target
                        .iter_mut()
                        .zip(pixels)
                        .for_each(|(target, pixel)| *target = pixel.clamp(0.0, 1.0));
                }
            }
        }
    }
}
