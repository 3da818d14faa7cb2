//! How much memory a job takes, worked out from the loss and the sizes alone.
//!
//! What a sweep takes is what the CPU's network says of it ([`sweep_bytes`]). What a level holds
//! beside its sweeps is counted vector by vector, and so is what happens before and after it:
//! decoding, enlarging, sweeping a style image, writing.

use super::framing::Framing;
use super::levels::Level;
use super::sources::{Source, Sources};
use crate::config::{Settings, StartFrom};
use crate::geometry::Rect;
use crate::network::cpu::{prepared_bytes, sweep_bytes};
use crate::network::{Layer, Margins, Request, VGG19_WIDTHS, vgg19_channels};
use crate::objective::Spec;

/// The program, the weights in its file, statistics, and what the system keeps for it.
pub(super) const PROGRAM: u64 = 120 << 20;
/// Bands of rows that are on their way into a file, and what packs them, bytes.
const BANDS: u64 = 96 << 20;
/// A canvas-sized vector, bytes a pixel.
pub const VECTOR: f64 = 12.0;
/// Canvas-sized vectors beside the pairs while the loss is evaluated: the point, its gradient, the
/// last step and gradient, the best point and its gradient.
const VECTORS: f64 = 6.0;
/// More of them while the optimiser makes its step.
const STEP: f64 = 2.0;

/// Bytes by pixels of a region: so many whatever it is, and so many for each pixel.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line {
    fixed: f64,
    per_pixel: f64,
}

impl Line {
    /// Through two squares whose bytes are known by their sides. Bytes grow the faster the larger a
    /// region is, so between the two the line is on the safe side.
    fn through(bytes: impl Fn(usize) -> f64) -> Self {
        const SIDES: [usize; 2] = [512, 4096];
        let pixels = SIDES.map(|side| (side * side) as f64);
        let [small, large] = SIDES.map(bytes);
        let per_pixel = (large - small) / (pixels[1] - pixels[0]);
        Self { fixed: (small - per_pixel * pixels[0]).max(0.0), per_pixel }
    }

    pub(super) fn at(self, pixels: f64) -> f64 {
        self.fixed + self.per_pixel * pixels
    }
}

/// What sweeps over a region take on the CPU, with the pixels and the gradient that go in and come
/// out.
#[derive(Clone, Copy, Debug)]
pub(super) struct SweepMemory {
    /// Forward and back.
    pub(super) both: Line,
    /// Between the two ways.
    pub(super) held: Line,
    /// Forward alone, for statistics at the style taps.
    pub(super) forward: Line,
}

impl SweepMemory {
    /// For sweeps by `threads` threads, each of which takes one to five megabytes.
    pub(super) fn new(spec: &Spec, threads: usize) -> Self {
        let channels = vgg19_channels();
        let request = |side: usize, features: Vec<Layer>, keep: bool| Request {
            moments: spec.styles(),
            features,
            keep,
            ..Request::over(Rect::whole(side, side))
        };
        let bytes = |side: usize, keep: bool| {
            let features = if keep { spec.contents() } else { vec![] };
            sweep_bytes(&channels, (side, side), &request(side, features, keep), threads)
        };
        let vectors = |count: f64, side: usize| count * VECTOR * (side * side) as f64;
        Self {
            both: Line::through(|side| bytes(side, true).peak as f64 + vectors(2.0, side)),
            held: Line::through(|side| bytes(side, true).held as f64),
            forward: Line::through(|side| bytes(side, false).peak as f64 + vectors(1.0, side)),
        }
    }
}

/// Bytes that L-BFGS on a canvas takes, and what is held beside it.
#[derive(Clone, Copy, Debug)]
pub(super) struct OptimiserMemory {
    /// While the loss is evaluated.
    pub(super) evaluation: f64,
    /// While the optimiser makes its step.
    pub(super) step: f64,
}

impl OptimiserMemory {
    /// With `history` pairs on a canvas of `pixels` px beside `held` bytes.
    pub(super) fn new(pixels: f64, held: f64, history: usize) -> Self {
        let evaluation = VECTOR * (VECTORS + 2.0 * history as f64) * pixels + held;
        Self { evaluation, step: evaluation + VECTOR * STEP * pixels }
    }
}

/// Bytes that do not grow with the canvas.
pub(super) fn fixed_bytes(spec: &Spec) -> u64 {
    let prepared = |deepest| prepared_bytes(&vgg19_channels(), deepest) as u64;
    PROGRAM + spec.deepest().map_or(0, prepared)
}

/// A float32 map of a layer, bytes for each pixel of the canvas.
pub(super) fn map_bytes(layer: Layer) -> f64 {
    let stride = layer.stride() as f64;
    4.0 * VGG19_WIDTHS[layer.block() - 1] as f64 / (stride * stride)
}

/// The pictures around a job's levels.
pub struct Pictures<'a> {
    /// What their headers say.
    pub sources: &'a Sources,
    /// The part of the content image that is used.
    pub framing: &'a Framing,
    /// The settings.
    pub settings: &'a Settings,
    /// The loss.
    pub spec: &'a Spec,
    /// Threads that compute.
    pub threads: usize,
}

impl Pictures<'_> {
    /// Bytes of the content image, which stays while its levels are computed, with what is mirrored
    /// beyond its borders.
    pub fn held(&self) -> u64 {
        let [left, top, width, height] = self.framing.crop;
        let [w, h] = self.framing.content.map(|side| side as f64);
        let beyond = |start: f64, length: f64, side: f64| {
            (-start).max(0.0) + (start + length - side).max(0.0)
        };
        ((w + beyond(left, width, w)) * (h + beyond(top, height, h))) as u64
            * planes(&self.sources.content)
    }

    /// The most bytes that anything but the sweeps of `level` takes, `last` being the pyramid's
    /// last level: reading the content image, bringing it and the canvas to the level's size,
    /// sweeping the style images, writing the picture.
    pub fn around(&self, level: &Level, last: bool) -> u64 {
        let fixed = fixed_bytes(self.spec);
        let canvas = |vectors: f64| (VECTOR * vectors * (level.width * level.height) as f64) as u64;
        let content = &self.sources.content;
        // Where the content image is mirrored, it is there once more without its mirror image.
        let bare = pixels(content) * planes(content);
        let mirrored = if self.held() > bare { self.held() + bare } else { bare };
        let decoding = content.decode_bytes.max(mirrored);
        let long = level.width.max(level.height) as f64;
        let styles = self.sources.styles.iter().zip(&self.settings.styles);
        let styles = styles
            .map(|(source, style)| self.style_bytes(source, long * style.scale))
            .max()
            .unwrap_or(0);
        if level.runs_in_rounds() {
            // Content and canvas go from file to file by bands, and so does the picture; each
            // band is held about four times.
            return fixed + decoding.max(self.held() + styles.max(4 * BANDS));
        }
        // A plane is resized at a time: its source in float, the picture between both passes, and
        // the result.
        let begin = self.held()
            + canvas(3.0)
            + if self.settings.start.from == StartFrom::Content { 0 } else { canvas(1.0) };
        let begin = begin
            + self.sources.start.as_ref().map_or(0, |start| {
                // Mirrored beyond its borders where there is a guard band.
                let copies = if self.framing.guard > 0 { 2 } else { 1 };
                start.decode_bytes.max(copies * pixels(start) * planes(start))
            });
        let prepare = self.held() + canvas(2.0) + styles;
        // The picture is written by bands, beside the canvas.
        let finish = if last { self.held() + canvas(1.0) + BANDS } else { 0 };
        fixed + decoding.max(begin).max(prepare).max(finish)
    }

    /// What computing a style image's statistics takes at its highest, swept with its long side at
    /// `long` px.
    fn style_bytes(&self, style: &Source, long: f64) -> u64 {
        let scale = long / style.width.max(style.height).max(1) as f64;
        let margin = Margins::exact(self.spec.styles()).features;
        let region = (super::STYLE_CORE + 2 * margin) as f64;
        let side = |length: usize| (length as f64 * scale).min(region);
        let (width, height) = (side(style.width), side(style.height));
        let tile = SweepMemory::new(self.spec, self.threads).forward.at(width * height);
        // A tile is made from the part of the image that it shows: a copy of it, a plane of that in
        // linear light, and the plane between both passes of the filter.
        let seen = 1.5 * VECTOR * (width / scale) * (height / scale);
        style.decode_bytes.max(pixels(style) * planes(style) + (tile + seen) as u64)
    }
}

fn pixels(source: &Source) -> u64 {
    (source.width * source.height) as u64
}

/// Bytes of a decoded pixel.
fn planes(source: &Source) -> u64 {
    if source.alpha { 16 } else { 12 }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Threads of the machine that is planned for.
    const THREADS: usize = 8;

    /// The lines are no lower than the network's own figures, but for a percent beyond their ends,
    /// and hardly higher, for regions of any shape and of the sizes that matter.
    #[test]
    fn a_line_is_what_a_sweep_takes() {
        let channels = vgg19_channels();
        for spec in [Spec::gatys(), Spec { style_weight: 0.0, ..Spec::gatys() }] {
            let lines = SweepMemory::new(&spec, THREADS);
            for (width, height) in [(512, 512), (4096, 300), (1501, 2000), (8000, 8000)] {
                let request = Request {
                    moments: spec.styles(),
                    features: spec.contents(),
                    keep: true,
                    ..Request::over(Rect::whole(width, height))
                };
                let pixels = (width * height) as f64;
                let bytes = sweep_bytes(&channels, (width, height), &request, THREADS);
                for (line, wanted) in [
                    (lines.both, bytes.peak as f64 + 2.0 * VECTOR * pixels),
                    (lines.held, bytes.held as f64),
                ] {
                    let planned = line.at(pixels);
                    assert!(
                        0.99 * wanted <= planned && planned <= 1.06 * wanted,
                        "{width}x{height} px: {planned} for {wanted}"
                    );
                }
                assert!(lines.forward.at(pixels) < lines.both.at(pixels));
                assert!(lines.held.at(pixels) < lines.both.at(pixels));
            }
        }
    }
}
