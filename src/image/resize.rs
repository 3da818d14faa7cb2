//! Scaling planar float pictures with Lanczos's kernel, by fast_image_resize.

use std::ops::Range;

use fast_image_resize::images::{TypedImage, TypedImageRef};
use fast_image_resize::pixels::F32;
use fast_image_resize::{FilterType, ResizeAlg, ResizeOptions, Resizer};
use rayon::prelude::*;

use super::colour::{coded_from_linear, linear_from_coded};
use crate::memory::{self, NoMemory};

/// The kernel of every resize: windowed sinc over six pixels, sharp with slight ringing at edges.
/// When a picture shrinks, it is widened to cover the pixels that fall together.
const KERNEL: FilterType = FilterType::Lanczos3;

/// How far the kernel sees, in pixels of the coarser picture.
const RADIUS: f64 = 3.0;

/// In which light neighbours are averaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Light {
    /// As physical light: fine bright and dark detail keeps its brightness. For photographs that
    /// are shrunk.
    #[default]
    Linear,
    /// As coded: for canvases between pyramid levels, and planes that are no colours (alpha).
    Coded,
}

/// A part of a picture, in its pixels; borders may lie between pixels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Window {
    /// Left border.
    pub left: f64,
    /// Upper border.
    pub top: f64,
    /// Width.
    pub width: f64,
    /// Height.
    pub height: f64,
}

impl Window {
    /// All of a picture of `(width, height)` pixels.
    pub fn whole((width, height): (u32, u32)) -> Self {
        Window { left: 0.0, top: 0.0, width: f64::from(width), height: f64::from(height) }
    }
}

/// Scales planar `[C, H, W]` from `(width, height)` `from` to `to`, each plane on its own.
///
/// Nothing is clamped: values outside 0..1 survive, and the kernel's ringing may add some. The same size gives the same values. Planes and their rows are computed on
/// rayon's threads; the result does not depend on how many there are.
///
/// # Panics
///
/// If a size is zero or `planes` does not hold whole planes of `from`: the caller's mistake, not
/// the user's.
pub fn resize(planes: &[f32], from: (u32, u32), to: (u32, u32), light: Light) -> Vec<f32> {
    resize_rows(planes, from, Window::whole(from), to, 0..to.1, light)
}

/// Asks the system for the memory of a picture resized to `(width, height)`, and gives it back: three
/// planes, and one of them on its way through the filter.
///
/// # Errors
///
/// When there is none.
pub fn resize_on_trial((width, height): (usize, usize)) -> Result<(), NoMemory> {
    memory::on_trial(5 * size_of::<f32>() * width * height)
}

/// The rows `rows` of what `window` of a picture becomes at size `to`: planes `[C, rows, W]`. At
/// the window's borders the filter sees the pixels beyond it, where the picture has some. For the
/// rest as [`resize`]; a picture taken in several pieces is the same to rounding, and only the rows
/// that a piece needs are touched.
///
/// # Panics
///
/// As [`resize`], and if the window or the rows lie outside.
pub fn resize_rows(
    planes: &[f32],
    from: (u32, u32),
    window: Window,
    to: (u32, u32),
    rows: Range<u32>,
    light: Light,
) -> Vec<f32> {
    let plane = from.0 as usize * from.1 as usize;
    assert!(plane > 0 && to.0 > 0 && to.1 > 0, "sizes of at least one pixel");
    assert_eq!(planes.len() % plane, 0, "whole planes of {} x {}", from.0, from.1);
    assert!(rows.start < rows.end && rows.end <= to.1, "rows {rows:?} of {}", to.1);
    let (width, piece) = (from.0 as usize, (to.0, rows.end - rows.start));
    if from == to && window == Window::whole(from) {
        let range = rows.start as usize * width..rows.end as usize * width;
        return planes
            .chunks_exact(plane)
            .flat_map(|plane| plane[range.clone()].iter().copied())
            .collect();
    }
    let step = window.height / f64::from(to.1);
    let top = window.top + f64::from(rows.start) * step;
    // Said exactly where all rows are asked for, so that whole pictures need no cut.
    let height = if piece.1 == to.1 { window.height } else { f64::from(piece.1) * step };
    let reach = RADIUS * step.max(1.0) + 1.0;
    let first = (top - reach).floor().max(0.0) as usize;
    let last = ((top + height + reach).ceil() as usize).min(from.1 as usize);
    let seen = Window { top: top - first as f64, height, ..window };
    let mut out = vec![0.0f32; planes.len() / plane * piece.0 as usize * piece.1 as usize];
    for (source, target) in
        planes.chunks_exact(plane).zip(out.chunks_exact_mut(piece.0 as usize * piece.1 as usize))
    {
        resize_plane(
            &source[first * width..last * width],
            (from.0, (last - first) as u32),
            seen,
            target,
            piece,
            light,
        );
    }
    out
}

fn resize_plane(
    source: &[f32],
    from: (u32, u32),
    window: Window,
    target: &mut [f32],
    to: (u32, u32),
    light: Light,
) {
    let pixels: Vec<F32> = match light {
        Light::Coded => source.par_iter().map(|v| F32::new(*v)).collect(),
        Light::Linear => source.par_iter().map(|v| F32::new(linear_from_coded(*v))).collect(),
    };
    let source = TypedImageRef::new(from.0, from.1, &pixels)
        .expect("the buffer has the size it was made with");
    let mut scaled = TypedImage::<F32>::new(to.0, to.1);
    let mut options =
        ResizeOptions::new().resize_alg(ResizeAlg::Convolution(KERNEL)).use_alpha(false);
    if window != Window::whole(from) {
        // Borders computed in floating point may lie a rounding outside, which the library refuses.
        let (left, top) = (window.left.max(0.0), window.top.max(0.0));
        let (width, height) = (
            window.width.min(f64::from(from.0) - left),
            window.height.min(f64::from(from.1) - top),
        );
        options = options.crop(left, top, width, height);
    }
    Resizer::new()
        .resize_typed(&source, &mut scaled, &options)
        .expect("a part of at least one pixel, inside the picture");
    target.par_iter_mut().zip(scaled.pixels()).for_each(|(out, v)| {
        *out = match light {
            Light::Coded => v.0,
            Light::Linear => coded_from_linear(v.0),
        };
    });
}
