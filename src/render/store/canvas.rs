//! Canvases: from pictures to tensors, between levels, and the very first one.

use candle_core::{Device, Tensor};
use rayon::prelude::*;

use crate::config::{Start, StartFrom};
use crate::image::{self, Light, Limits, Picture};
use crate::network::VGG_MEAN_RGB;
use crate::plan::Framing;
use crate::random::Noise;
use crate::render::error::RenderError;
use crate::render::store::content::ContentImage;
use crate::tensor::HostView;

/// Deviation of the starting noise around the network's mean colour, as a part of the range 0..1.
const NOISE_DEVIATION: f32 = 0.1;

/// Planar values `[3, H, W]` as a tensor, resized to (`width`, `height`) in linear light, as
/// photographs are.
///
/// # Errors
/// When the tensor cannot be made.
pub fn picture_tensor(
    picture: &Picture,
    width: usize,
    height: usize,
) -> Result<Tensor, RenderError> {
    image::resize_on_trial((width, height))?;
    let from = (picture.width as usize, picture.height as usize);
    let values = if from == (width, height) {
        picture.pixels.clone()
    } else {
        resize(&picture.pixels, from, (width, height), Light::Linear)
    };
    Ok(Tensor::from_vec(values, (3, height, width), &Device::Cpu)?)
}

/// A canvas at another size, in float and as it is coded, so that values outside 0..1 survive.
///
/// # Errors
/// When the tensor is not in host memory.
pub fn resized(canvas: &Tensor, width: usize, height: usize) -> Result<Tensor, RenderError> {
    let (_, h, w) = canvas.dims3()?;
    if (w, h) == (width, height) {
        return Ok(canvas.clone());
    }
    image::resize_on_trial((width, height))?;
    let view = HostView::new(canvas)?;
    let values = resize(view.values(), (w, h), (width, height), Light::Coded);
    Ok(Tensor::from_vec(values, (3, height, width), &Device::Cpu)?)
}

fn resize(planes: &[f32], from: (usize, usize), to: (usize, usize), light: Light) -> Vec<f32> {
    let size = |(w, h): (usize, usize)| (w as u32, h as u32);
    image::resize(planes, size(from), size(to), light)
}

/// The canvas before the first evaluation: the base picture and noise, mixed by `noise-ratio` (0:
/// no noise, 1: nothing else), and what the decoder of the starting image has to say. A starting
/// image shows what `framing` writes; its mirror image continues it in the guard band.
///
/// # Errors
/// When the starting image cannot be read.
pub fn starting_canvas(
    start: &Start,
    (content, framing): (&ContentImage, &Framing),
    (width, height): (usize, usize),
    limits: &Limits,
) -> Result<(Tensor, Vec<String>), RenderError> {
    let (base, notes) = match start.picture() {
        Some(path) => {
            let picture = image::decode(path, limits)?;
            let note = |note: &String| format!("{}: {note}", path.display());
            let notes = picture.source.notes.iter().map(note).collect();
            let canvas = framing.canvas_over((picture.width as usize, picture.height as usize));
            (ContentImage::framed(picture, canvas).tensor(width, height)?, notes)
        }
        None => (content.tensor(width, height)?, Vec::new()),
    };
    let ratio = if start.from == StartFrom::Noise { 1.0 } else { start.noise_ratio as f32 };
    if ratio == 0.0 {
        return Ok((base, notes));
    }
    image::resize_on_trial((width, height))?;
    let noise = Noise::new(start.seed);
    let view = HostView::new(&base)?;
    let plane = width * height;
    let mixed: Vec<f32> = view
        .values()
        .par_iter()
        .enumerate()
        .map(|(i, value)| {
            let grain = VGG_MEAN_RGB[i / plane] / 255.0 + NOISE_DEVIATION * noise.normal(i as u64);
            ratio * grain + (1.0 - ratio) * value
        })
        .collect();
    Ok((Tensor::from_vec(mixed, (3, height, width), &Device::Cpu)?, notes))
}
