//! Scaling planar float pictures, by fast_image_resize.

use fast_image_resize::images::{TypedImage, TypedImageRef};
use fast_image_resize::pixels::F32;
use fast_image_resize::{FilterType, ResizeAlg, ResizeOptions, Resizer};
use rayon::prelude::*;

use super::colour::{coded_from_linear, linear_from_coded};

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
    for (source, target) in planes.chunks_exact(plane).zip(out.chunks_exact_mut(out_plane)) {
        resize_plane(source, from, target, to, filter, light);
    }
    out
}

fn resize_plane(source: &[f32], from: (u32, u32), target: &mut [f32], to: (u32, u32), filter: Filter, light: Light) {
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
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(kernel)).use_alpha(false);
    Resizer::new().resize_typed(&source, &mut scaled, &options).expect("whole pictures of at least one pixel");
    target.par_iter_mut().zip(scaled.pixels()).for_each(|(out, v)| {
        *out = match light {
            Light::Coded => v.0,
            Light::Linear => coded_from_linear(v.0),
        };
    });
}
