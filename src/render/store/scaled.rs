//! A picture at another size, of which parts are made when they are read.

use crate::geometry::Rect;
use crate::image::{self, Light, Picture, Window};
use crate::planes::{PlaneError, Shape};
use crate::tiling::Pixels;

/// A picture seen at another size, in linear light as photographs are. Nothing is kept: what
/// [`Pixels::read`] gives is made from the picture's rows then, so that a large print needs no
/// large copy of its painting.
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

    fn read(&self, rect: Rect) -> Result<Vec<f32>, PlaneError> {
        let (width, height) = self.size;
        if rect.area() == 0 || rect.right() > width || rect.bottom() > height {
            return Err(PlaneError::Outside {
                rect,
                values: 3 * rect.area(),
                shape: Shape::canvas(self.size),
            });
        }
        let (from, rows) =
            ((self.picture.width, self.picture.height), rect.top as u32..rect.bottom() as u32);
        let to = (width as u32, height as u32);
        let rows = image::resize_rows(
            &self.picture.pixels,
            from,
            Window::whole(from),
            to,
            rows,
            Light::Linear,
        );
        if rect.width == width {
            return Ok(rows);
        }
        Ok(rows
            .chunks_exact(width)
            .flat_map(|row| &row[rect.left..rect.right()])
            .copied()
            .collect())
    }
}
