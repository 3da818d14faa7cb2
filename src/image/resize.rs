//! Scaling planar float pictures, by fast_image_resize.

use fast_image_resize::images::{TypedImage, TypedImageRef};
use fast_image_resize::pixels::F32;
use fast_image_resize::{FilterType, ResizeAlg, ResizeOptions, Resizer};
use rayon::prelude::*;

use super::colour::{coded_from_linear, linear_from_coded};
use crate::geometry::Rect;

/// The kernel of a resize. When a picture shrinks, every kernel is widened to cover the pixels that fall together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Filter {
    /// Windowed sinc over six pixels: sharpest, slight ringing at edges.
    #[default]
    Lanczos3,
    /// Cubic of Catmull and Rom over four pixels.
    CatmullRom,
    /// Linear over two pixels; never leaves the range of its inputs.
    Bilinear,
    /// The mean of the pixels covered; never leaves the range of its inputs.
    Box,
}

impl Filter {
    /// How far the kernel reaches when nothing shrinks, in source pixels.
    fn support(self) -> f64 {
        match self {
            Filter::Lanczos3 => 3.0,
            Filter::CatmullRom => 2.0,
            Filter::Bilinear => 1.0,
            Filter::Box => 0.5,
        }
    }
}

/// In which light neighbours are averaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Light {
    /// As physical light: fine bright and dark detail keeps its brightness. For photographs that are shrunk.
    #[default]
    Linear,
    /// As coded: for canvases between pyramid levels, and planes that are no colours (alpha).
    Coded,
}

/// Scales planar `[C, H, W]` from `(width, height)` `from` to `to`, each plane on its own.
///
/// Nothing is clamped: values outside 0..1 survive, and Lanczos and Catmull-Rom may overshoot by their ringing. The
/// same size gives the same values. Planes and their rows are computed on rayon's threads; the result does not depend
/// on how many there are.
///
/// # Panics
///
/// If a size is zero or `planes` does not hold whole planes of `from`: the caller's mistake, not the user's.
pub fn resize(planes: &[f32], from: (u32, u32), to: (u32, u32), filter: Filter, light: Light) -> Vec<f32> {
    let plane = from.0 as usize * from.1 as usize;
    let out_plane = to.0 as usize * to.1 as usize;
    assert!(plane > 0 && out_plane > 0, "sizes of at least one pixel");
    assert_eq!(planes.len() % plane, 0, "whole planes of {} x {}", from.0, from.1);
    if from == to {
        return planes.to_vec();
    }
    let mut out = vec![0.0f32; planes.len() / plane * out_plane];
    let all = [0.0, 0.0, f64::from(from.0), f64::from(from.1)];
    for (source, target) in planes.chunks_exact(plane).zip(out.chunks_exact_mut(out_plane)) {
        resize_plane(source, from, all, target, to, filter, light);
    }
    out
}

/// The rectangle `part` of what [`resize`] makes of the same planes, to rounding (1e-6), in memory and time that go with
/// `part` alone: `[C, part.height, part.width]`.
///
/// # Panics
///
/// As [`resize`], and if `part` is empty or reaches beyond `to`.
pub fn resize_part(planes: &[f32], from: (u32, u32), to: (u32, u32), part: Rect, filter: Filter, light: Light) -> Vec<f32> {
    let (width, height) = (from.0 as usize, from.1 as usize);
    assert!(width * height > 0 && part.area() > 0, "sizes of at least one pixel");
    assert!(part.right() <= to.0 as usize && part.bottom() <= to.1 as usize, "a part of the whole");
    assert_eq!(planes.len() % (width * height), 0, "whole planes of {width} x {height}");
    let across = Stretch::new((from.0, to.0), (part.left, part.right()), filter.support());
    let down = Stretch::new((from.1, to.1), (part.top, part.bottom()), filter.support());
    let (left, right, top, bottom) = (across.first, across.end, down.first, down.end);
    let place = [across.start - left as f64, down.start - top as f64, across.length, down.length];
    let mut out = vec![0.0f32; planes.len() / (width * height) * part.area()];
    for (source, target) in planes.chunks_exact(width * height).zip(out.chunks_exact_mut(part.area())) {
        let cut: Vec<f32> = source[top * width..bottom * width].chunks_exact(width).flat_map(|row| &row[left..right]).copied().collect();
        if from == to {
            target.copy_from_slice(&cut);
        } else {
            let (cut_size, size) = (((right - left) as u32, (bottom - top) as u32), (part.width as u32, part.height as u32));
            resize_plane(&cut, cut_size, place, target, size, filter, light);
        }
    }
    out
}

/// The source pixels that a stretch of one side of the target depends on.
struct Stretch {
    /// The first such pixel, and one past the last.
    first: usize,
    end: usize,
    /// Where the stretch itself begins in the source, and its length there.
    start: f64,
    length: f64,
}

impl Stretch {
    fn new((from, to): (u32, u32), (start, end): (usize, usize), support: f64) -> Self {
        let place = |target: usize| target as f64 * f64::from(from) / f64::from(to);
        let (begin, stop) = (place(start), place(end));
        // A kernel that shrinks is as many times wider, and one pixel more on each side is beyond all rounding.
        let reach = if from == to { 0.0 } else { support * (f64::from(from) / f64::from(to)).max(1.0) + 1.0 };
        let first = (begin - reach).floor().max(0.0) as usize;
        let end = ((stop + reach).ceil() as usize).min(from as usize);
        Self { first, end, start: begin, length: stop - begin }
    }
}

/// `place` is the part of the source that becomes the target: left, top, width, height. What lies around it is seen by
/// the kernel.
fn resize_plane(source: &[f32], from: (u32, u32), place: [f64; 4], target: &mut [f32], to: (u32, u32), filter: Filter, light: Light) {
    let pixels: Vec<F32> = match light {
        Light::Coded => source.par_iter().map(|v| F32::new(*v)).collect(),
        Light::Linear => source.par_iter().map(|v| F32::new(linear_from_coded(*v))).collect(),
    };
    let source = TypedImageRef::new(from.0, from.1, &pixels).expect("the buffer has the size it was made with");
    let mut scaled = TypedImage::<F32>::new(to.0, to.1);
    let kernel = match filter {
        Filter::Lanczos3 => FilterType::Lanczos3,
        Filter::CatmullRom => FilterType::CatmullRom,
        Filter::Bilinear => FilterType::Bilinear,
        Filter::Box => FilterType::Box,
    };
    let [left, top, width, height] = place;
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(kernel)).use_alpha(false).crop(left, top, width, height);
    Resizer::new().resize_typed(&source, &mut scaled, &options).expect("whole pictures of at least one pixel");
    target.par_iter_mut().zip(scaled.pixels()).for_each(|(out, v)| {
        *out = match light {
            Light::Coded => v.0,
            Light::Linear => coded_from_linear(v.0),
        };
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_those_of_the_whole() {
        let noise = crate::random::Noise::new(3);
        let from = (61u32, 47u32);
        let planes: Vec<f32> = (0..3 * 61 * 47).map(|i| noise.uniform(i)).collect();
        for to in [(150u32, 131u32), (33, 20), (61, 90), (61, 47)] {
            for filter in [Filter::Lanczos3, Filter::CatmullRom, Filter::Bilinear, Filter::Box] {
                let whole = resize(&planes, from, to, filter, Light::Linear);
                let (w, h) = (to.0 as usize, to.1 as usize);
                for part in
                    [Rect { left: 0, top: 0, width: w / 2, height: h }, Rect { left: w / 3, top: h / 4, width: w - w / 3, height: 9 }]
                {
                    let found = resize_part(&planes, from, to, part, filter, Light::Linear);
                    for (i, value) in found.iter().enumerate() {
                        let (c, y, x) = (i / part.area(), i % part.area() / part.width, i % part.width);
                        let wanted = whole[(c * h + part.top + y) * w + part.left + x];
                        assert!((value - wanted).abs() < 1e-6, "{to:?} {filter:?} {part:?} at {c} {y} {x}: {value} instead of {wanted}");
                    }
                }
            }
        }
    }
}
