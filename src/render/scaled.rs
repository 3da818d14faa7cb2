//! A picture at another size, of which parts are made when they are read.

use crate::geometry::Rect;
use crate::image::{self, Filter, Light, Picture};
use crate::tiling::{CanvasError, Pixels};

/// A picture seen at another size, in linear light as photographs are. Nothing is kept: what [`Pixels::read`] gives is
/// made from the picture then, so that a large print needs no large copy of its photograph.
pub struct Scaled<'a> {
    picture: &'a Picture,
    size: (usize, usize),
}

impl<'a> Scaled<'a> {
    /// `picture` at `size` (width, height) px.
    pub fn new(picture: &'a Picture, size: (usize, usize)) -> Self {
        Self { picture, size }
    }
}

impl Pixels for Scaled<'_> {
    fn size(&self) -> (usize, usize) {
        self.size
    }

    fn read(&self, rect: Rect) -> Result<Vec<f32>, CanvasError> {
        let (width, height) = self.size;
        if rect.area() == 0 || rect.right() > width || rect.bottom() > height {
            return Err(CanvasError::Outside { rect, values: 3 * rect.area(), size: self.size });
        }
        let from = (self.picture.width, self.picture.height);
        Ok(image::resize_part(&self.picture.pixels, from, (width as u32, height as u32), rect, Filter::Lanczos3, Light::Linear))
    }
}
