//! The content image as the canvas shows it: a part of it, and its mirror image where the part reaches
//! beyond its borders.

use std::ops::Range;
use std::path::Path;

use candle_core::{Device, Tensor};

use crate::files::Digests;
use crate::image::{self, Light, Limits, Picture, SourceInfo, Window, resize_rows};
use crate::plan::{Framing, Job};
use crate::render::error::RenderError;
use crate::render::store::unchanged::refuse_changed;

/// A content image and the part of it that a canvas shows.
///
/// Nothing is cut off: what lies beyond the part lets filters see across its border. Where a bleed or
/// a guard band reaches beyond the photograph, it is continued by its mirror image, as print shops do
/// it: edges stay whole and no colour is made up.
pub struct ContentImage {
    picture: Picture,
    window: Window,
}

impl ContentImage {
    /// Decodes the picture at `path` and looks at it as `framing` does.
    ///
    /// # Errors
    /// When it cannot be read, or has another size than the one that was planned with.
    pub fn open(path: &Path, framing: &Framing, limits: &Limits) -> Result<Self, RenderError> {
        let picture = image::decode(path, limits)?;
        let found = (picture.width as usize, picture.height as usize);
        let [width, height] = framing.content;
        if found != (width, height) {
            return Err(RenderError::ContentChanged {
                path: path.into(),
                planned: (width, height),
                found,
            });
        }
        Ok(Self::framed(picture, framing.crop))
    }

    /// The content image of a job, which has to be the file of its digest.
    ///
    /// # Errors
    /// As [`ContentImage::open`], and when the file has changed.
    pub fn of(job: &Job, limits: &Limits, digests: &Digests) -> Result<Self, RenderError> {
        let opened = Self::open(&job.content, &job.framing, limits)?;
        refuse_changed(&job.content, digests)?;
        Ok(opened)
    }

    /// A canvas that shows the part `crop` of `picture`: left, top, width, height, in its pixels.
    pub fn framed(picture: Picture, crop: [f64; 4]) -> Self {
        let found = (picture.width as usize, picture.height as usize);
        let [left, top, width, height] = crop;
        // How far the part reaches beyond each border, in whole pixels, and as far again as a
        // filter sees; a rounding is no reach.
        let beyond = |length: f64| if length > 1e-6 { length.ceil() as usize + 3 } else { 0 };
        let (w, h) = (found.0 as f64, found.1 as f64);
        let pad = Pad {
            left: beyond(-left),
            right: beyond(left + width - w),
            top: beyond(-top),
            bottom: beyond(top + height - h),
        };
        let window =
            Window { left: left + pad.left as f64, top: top + pad.top as f64, width, height };
        Self { picture: pad.mirrored(picture), window }
    }

    /// What the file said beside the pixels.
    pub fn source(&self) -> &SourceInfo {
        &self.picture.source
    }

    /// Whether any pixel is not opaque.
    pub fn has_alpha(&self) -> bool {
        self.picture.alpha.is_some()
    }

    /// At a canvas's size, `[3, H, W]`, resized in linear light.
    ///
    /// # Errors
    /// When the tensor cannot be made.
    pub fn tensor(&self, width: usize, height: usize) -> Result<Tensor, RenderError> {
        image::resize_on_trial((width, height))?;
        let values = self.rows((width, height), 0..height);
        Ok(Tensor::from_vec(values, (3, height, width), &Device::Cpu)?)
    }

    /// Some rows at a canvas's `size`, `[3, rows, W]`.
    pub fn rows(&self, size: (usize, usize), rows: Range<usize>) -> Vec<f32> {
        self.resized(&self.picture.pixels, size, rows, Light::Linear)
    }

    /// Some rows of alpha at a canvas's `size`, `[rows, W]`, 0 transparent .. 1 opaque; none when
    /// all is opaque.
    pub fn alpha_rows(&self, size: (usize, usize), rows: Range<usize>) -> Option<Vec<f32>> {
        self.picture.alpha.as_ref().map(|alpha| self.resized(alpha, size, rows, Light::Coded))
    }

    fn resized(
        &self,
        planes: &[f32],
        (width, height): (usize, usize),
        rows: Range<usize>,
        light: Light,
    ) -> Vec<f32> {
        let from = (self.picture.width, self.picture.height);
        let rows = rows.start as u32..rows.end as u32;
        resize_rows(planes, from, self.window, (width as u32, height as u32), rows, light)
    }
}

/// Pixels added on each side.
#[derive(Clone, Copy, PartialEq)]
struct Pad {
    left: usize,
    right: usize,
    top: usize,
    bottom: usize,
}

impl Pad {
    /// The picture continued by its mirror image.
    fn mirrored(self, picture: Picture) -> Picture {
        if self == (Pad { left: 0, right: 0, top: 0, bottom: 0 }) {
            return picture;
        }
        let (width, height) = (picture.width as usize, picture.height as usize);
        let columns: Vec<usize> =
            (0..self.left + width + self.right).map(|x| mirror(x, self.left, width)).collect();
        let rows = self.top + height + self.bottom;
        let extend = |planes: &[f32]| -> Vec<f32> {
            let mut out =
                Vec::with_capacity(planes.len() / (width * height) * rows * columns.len());
            for plane in planes.chunks_exact(width * height) {
                for y in 0..rows {
                    let from = &plane[mirror(y, self.top, height) * width..][..width];
                    out.extend(columns.iter().map(|x| from[*x]));
                }
            }
            out
        };
        let (pixels, alpha) = (extend(&picture.pixels), picture.alpha.as_deref().map(extend));
        Picture { width: columns.len() as u32, height: rows as u32, pixels, alpha, ..picture }
    }
}

/// Where position `at` of a side that begins `before` pixels ahead of its `length` own ones is
/// found: back and forth, the border's pixel twice.
fn mirror(at: usize, before: usize, length: usize) -> usize {
    let period = 2 * length;
    let at = (at + period - before % period) % period;
    at.min(period - 1 - at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn borders_are_mirrored_however_far() {
        let seen: Vec<usize> = (0..14).map(|at| mirror(at, 5, 3)).collect();
        assert_eq!(seen, [1, 2, 2, 1, 0, 0, 1, 2, 2, 1, 0, 0, 1, 2]);
    }
}
