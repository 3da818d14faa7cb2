//! Building the upright planar picture from the pieces that a decoder hands over.

use rayon::prelude::*;

use super::colour::{Model, ToWorking, unit};
use super::orientation::Strides;
use super::{Orientation, bleed};

/// How a file's alpha relates to its colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Alpha {
    /// There is none.
    None,
    /// Colours are as they are seen (unassociated, straight).
    Straight,
    /// Colours are multiplied by alpha (associated, premultiplied).
    Associated,
}

/// The picture being built: planar sRGB, upright.
pub(crate) struct Assembler {
    width: u32,
    height: u32,
    planes: Vec<f32>,
    opacity: Option<Vec<f32>>,
    strides: Strides,
    model: Model,
    alpha: Alpha,
    to_working: ToWorking,
}

impl Assembler {
    /// For stored pixels of `width` x `height` whose channels are `model`'s followed by alpha where
    /// there is one.
    pub(crate) fn new(
        (width, height): (u32, u32),
        orientation: Orientation,
        model: Model,
        alpha: Alpha,
        to_working: ToWorking,
    ) -> Self {
        let pixels = width as usize * height as usize;
        Assembler {
            width,
            height,
            planes: vec![0.0; pixels * 3],
            opacity: (alpha != Alpha::None).then(|| vec![1.0; pixels]),
            strides: orientation.strides(width, height),
            model,
            alpha,
            to_working,
        }
    }

    /// Channels of one stored pixel, alpha included.
    pub(crate) fn channels(&self) -> usize {
        self.model.channels() + usize::from(self.alpha != Alpha::None)
    }

    /// Places a block of stored pixels whose left upper corner is `(x0, y0)`, `width` wide;
    /// interleaved, whole rows. What lies outside the picture is dropped.
    pub(crate) fn put(&mut self, (x0, y0): (u32, u32), width: usize, samples: &mut [f32]) {
        let channels = self.channels();
        if width == 0 || x0 >= self.width {
            return;
        }
        let rows =
            (samples.len() / (width * channels)).min(self.height.saturating_sub(y0) as usize);
        let colours = self.model.channels();
        let mut rgb = vec![0.0f32; rows * width * 3];
        let mut opacity = vec![0.0f32; if self.alpha == Alpha::None { 0 } else { rows * width }];
        let (alpha, to_working) = (self.alpha, &self.to_working);
        let convert = |from: &mut [f32], to: &mut [f32], opacity: &mut [f32]| {
            if alpha == Alpha::None {
                to_working.run(from, to);
            } else {
                let packed = split_alpha(from, colours, alpha, opacity);
                to_working.run(&packed, to);
            }
        };
        let row = width * channels;
        if alpha == Alpha::None {
            samples[..rows * row]
                .par_chunks_mut(row)
                .zip(rgb.par_chunks_mut(width * 3))
                .for_each(|(from, to)| convert(from, to, &mut []));
        } else {
            samples[..rows * row]
                .par_chunks_mut(row)
                .zip(rgb.par_chunks_mut(width * 3))
                .zip(opacity.par_chunks_mut(width))
                .for_each(|((from, to), opacity)| convert(from, to, opacity));
        }
        let used = width.min((self.width - x0) as usize);
        let (strides, plane) = (self.strides, self.width as usize * self.height as usize);
        let scatter = |to: &mut [f32], from: &[f32], step: usize, offset: usize| {
            for y in 0..rows {
                let mut index = strides.index(x0, y0 + y as u32);
                for value in from[y * width * step..].iter().skip(offset).step_by(step).take(used) {
                    to[index as usize] = *value;
                    index += strides.step_x;
                }
            }
        };
        self.planes.par_chunks_mut(plane).enumerate().for_each(|(c, to)| scatter(to, &rgb, 3, c));
        if let Some(to) = &mut self.opacity {
            scatter(to, &opacity, 1, 0);
        }
    }

    /// The planes `[3, H, W]` and, where any pixel is not opaque, alpha `[H, W]`.
    pub(crate) fn finish(mut self, orientation: Orientation) -> (Vec<f32>, Option<Vec<f32>>) {
        let opacity = self.opacity.take().filter(|a| a.iter().any(|v| *v < 1.0));
        if let Some(opacity) = &opacity {
            let (width, height) = orientation.oriented(self.width, self.height);
            bleed::extend_visible_colours(
                &mut self.planes,
                opacity,
                width as usize,
                height as usize,
            );
        }
        (self.planes, opacity)
    }
}

/// Separates colours from alpha, which is the last channel; divides associated colours by it.
fn split_alpha(from: &[f32], colours: usize, alpha: Alpha, opacity: &mut [f32]) -> Vec<f32> {
    let mut packed = Vec::with_capacity(opacity.len() * colours);
    for (pixel, opacity) in from.chunks_exact(colours + 1).zip(opacity.iter_mut()) {
        let a = unit(pixel[colours]);
        *opacity = a;
        let factor = if alpha == Alpha::Associated && a > 0.0 { 1.0 / a } else { 1.0 };
        packed.extend(pixel[..colours].iter().map(|v| v * factor));
    }
    packed
}
