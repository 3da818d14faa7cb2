//! Building the upright planar picture from the pieces that a decoder hands over.

use rayon::prelude::*;

use super::colour::{Model, ToWorking, unit};
use super::orientation::Strides;
use super::write::Rows;
use super::{Error, Orientation, bleed};

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

/// Takes a picture's rows from the top, some at a time.
pub(crate) type RowSink = Box<dyn FnMut(Rows<'_>) -> Result<(), Error>>;

/// The picture being built: planar sRGB, upright.
pub(crate) struct Assembler {
    width: u32,
    height: u32,
    model: Model,
    alpha: Alpha,
    to_working: ToWorking,
    target: Target,
}

/// Where converted pixels go.
enum Target {
    /// Into the whole picture.
    Picture { planes: Vec<f32>, opacity: Option<Vec<f32>>, strides: Strides },
    /// Out, as they come. Whole rows follow each other then.
    Rows { sink: RowSink, next: u32, result: Result<(), Error> },
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
        let target = Target::Picture {
            planes: vec![0.0; pixels * 3],
            opacity: (alpha != Alpha::None).then(|| vec![1.0; pixels]),
            strides: orientation.strides(width, height),
        };
        Assembler { width, height, model, alpha, to_working, target }
    }

    /// The same for an upright picture that is never whole: its rows go to `sink`.
    pub(crate) fn of_rows(
        (width, height): (u32, u32),
        model: Model,
        alpha: Alpha,
        to_working: ToWorking,
        sink: RowSink,
    ) -> Self {
        let target = Target::Rows { sink, next: 0, result: Ok(()) };
        Assembler { width, height, model, alpha, to_working, target }
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
        match &mut self.target {
            Target::Picture { planes, opacity: whole, strides } => {
                let plane = self.width as usize * self.height as usize;
                let scatter = |to: &mut [f32], from: &[f32], step: usize, offset: usize| {
                    for y in 0..rows {
                        let mut index = strides.index(x0, y0 + y as u32);
                        let row = from[y * width * step..].iter().skip(offset).step_by(step);
                        for value in row.take(used) {
                            to[index as usize] = *value;
                            index += strides.step_x;
                        }
                    }
                };
                let planes = planes.par_chunks_mut(plane).enumerate();
                planes.for_each(|(channel, to)| scatter(to, &rgb, 3, channel));
                if let Some(to) = whole {
                    scatter(to, &opacity, 1, 0);
                }
            }
            Target::Rows { sink, next, result } if result.is_ok() => {
                // Every format but tiles of TIFF comes so, and those are not asked for.
                debug_assert!((x0, y0, width) == (0, *next, self.width as usize));
                let plane = |channel: usize| -> Vec<f32> {
                    rgb.iter().skip(channel).step_by(3).copied().collect()
                };
                let planes = [plane(0), plane(1), plane(2)];
                let colours = [&planes[0][..], &planes[1], &planes[2]];
                let alpha = (alpha != Alpha::None).then_some(&opacity[..]);
                *result = sink(Rows { colours, alpha });
                *next = y0 + rows as u32;
            }
            Target::Rows { .. } => {}
        }
    }

    /// The end of a picture whose rows went to a sink.
    ///
    /// # Errors
    /// What the sink said.
    pub(crate) fn finish_rows(self) -> Result<(), Error> {
        match self.target {
            Target::Rows { result, .. } => result,
            Target::Picture { .. } => Ok(()),
        }
    }

    /// The planes `[3, H, W]` and, where any pixel is not opaque, alpha `[H, W]`.
    pub(crate) fn finish(self, orientation: Orientation) -> (Vec<f32>, Option<Vec<f32>>) {
        let Target::Picture { mut planes, opacity, .. } = self.target else {
            return (Vec::new(), None);
        };
        let opacity = opacity.filter(|a| a.iter().any(|v| *v < 1.0));
        if let Some(opacity) = &opacity {
            let (width, height) = orientation.oriented(self.width, self.height);
            bleed::extend_visible_colours(&mut planes, opacity, width as usize, height as usize);
        }
        (planes, opacity)
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
