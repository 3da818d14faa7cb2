//! A picture at another size, of which parts are made when they are read.

use crate::geometry::Rect;
use crate::image::{self, Light, Picture, Window};
use crate::memory;
use crate::planes::{PlaneError, Shape};
use crate::tiling::{Pixels, Planes};

/// Pixels of the source that the filter may touch beyond a part, when it enlarges.
const REACH: f64 = 3.0;

/// A picture seen at another size, in linear light as photographs are. Nothing is kept: what
/// [`Pixels::read`] gives is made from the picture's pixels there, so that a large print needs no
/// large copy of its painting.
pub struct ScaledPicture<'a> {
    /// Planes of `from` px.
    pixels: &'a [f32],
    from: (usize, usize),
    size: (usize, usize),
}

impl<'a> ScaledPicture<'a> {
    /// `picture` at `size` (width, height) px.
    pub fn new(picture: &'a Picture, size: (usize, usize)) -> Self {
        let from = (picture.width as usize, picture.height as usize);
        Self { pixels: &picture.pixels, from, size }
    }
}

/// What a part of a side is made from.
struct Span {
    /// The first pixel of the source that the filter touches, and how many it does.
    first: usize,
    count: usize,
    /// Where the part begins behind that pixel, and its length, in pixels of the source.
    start: f64,
    length: f64,
}

impl Span {
    /// Of the `count` pixels from `first` on, when a side of `from` pixels becomes one of `to`.
    fn of(from: usize, to: usize, first: usize, count: usize) -> Self {
        let step = from as f64 / to as f64;
        let (start, length) = (first as f64 * step, count as f64 * step);
        let reach = REACH * step.max(1.0) + 2.0;
        let low = (start - reach).floor().max(0.0) as usize;
        let high = ((start + length + reach).ceil() as usize).min(from);
        Self { first: low, count: high - low, start: start - low as f64, length }
    }
}

impl Pixels for ScaledPicture<'_> {
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
        let (from, whole) = (self.from, Planes::new(self.from, self.pixels)?);
        if from == self.size {
            return whole.read(rect);
        }
        let across = Span::of(from.0, width, rect.left, rect.width);
        let down = Span::of(from.1, height, rect.top, rect.height);
        let part =
            Rect { left: across.first, top: down.first, width: across.count, height: down.count };
        let pixels = whole.read(part)?;
        // What is resized takes as much again on its way, and what becomes of it twice.
        memory::on_trial(size_of::<f32>() * (2 * part.area() + 6 * rect.area()))?;
        let window = Window {
            left: across.start,
            top: down.start,
            width: across.length,
            height: down.length,
        };
        let (seen, to) =
            ((part.width as u32, part.height as u32), (rect.width as u32, rect.height as u32));
        Ok(image::resize_rows(&pixels, seen, window, to, 0..to.1, Light::Linear))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Noise;

    #[test]
    fn parts_are_those_of_the_whole_resized_and_touch_what_they_show() {
        let noise = Noise::new(3);
        for (from, to) in [((90, 61), (211, 143)), ((300, 180), (70, 42)), ((64, 48), (64, 48))] {
            let pixels: Vec<f32> =
                (0..3 * from.0 * from.1).map(|i| noise.uniform(i as u64)).collect();
            let size = |(w, h): (usize, usize)| (w as u32, h as u32);
            let whole = image::resize(&pixels, size(from), size(to), Light::Linear);
            let scaled = ScaledPicture { pixels: &pixels, from, size: to };
            let whole = Planes::new(to, &whole).unwrap();
            for rect in [
                Rect { left: 0, top: 0, width: 33, height: 20 },
                Rect { left: 31, top: 7, width: 17, height: 30 },
                Rect { left: to.0 - 9, top: to.1 - 5, width: 9, height: 5 },
                Rect::whole(to.0, to.1),
            ] {
                let (found, wanted) = (scaled.read(rect).unwrap(), whole.read(rect).unwrap());
                let most = found.iter().zip(&wanted).fold(0f32, |m, (a, b)| m.max((a - b).abs()));
                assert!(most < 2e-5, "{from:?} to {to:?}, {rect:?}: {most}");
            }
        }
        let span = Span::of(10_000, 10_000, 5000, 100);
        assert!(span.count < 120, "{} columns for 100", span.count);
    }
}
