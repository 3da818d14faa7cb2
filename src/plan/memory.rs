//! How much memory a job takes, worked out from the loss and the sizes alone.
//!
//! The figures are those of the CPU's engine, whose own ledger (`CpuNetwork::peak_bytes`) they
//! follow from above: kept taps are float32 maps, every ReLU keeps one bit for a value, and beside
//! them stand the two or three maps between which a convolution works. What a level holds beside
//! its sweeps is counted vector by vector, and so is what happens before and after it: decoding,
//! enlarging, looking at a painting, writing.

use super::framing::Framing;
use super::levels::Level;
use super::sources::{Source, Sources};
use crate::config::{Settings, StartFrom};
use crate::network::{Layer, VGG19_WIDTHS};
use crate::objective::Spec;

/// The program, the weights in its file, and what the system keeps for it.
const PROGRAM: u64 = 120 << 20;
/// A prepared 3x3 kernel: 36 float32 for each pair of channels, forward and backward.
const PREPARED: u64 = 2 * 36 * 4;
/// Maps in work, masks and borders, bytes for each pixel of a region that runs forward and
/// backward.
const WORKING: f64 = 160.0;
/// The same for a region that runs forward alone: two maps of the first block and what their
/// convolution works with.
const FORWARD: f64 = 280.0;
/// Bands of rows that are on their way into a file, and what packs them, bytes.
const BANDS: u64 = 96 << 20;
/// A canvas-sized vector, bytes a pixel.
pub const VECTOR: f64 = 12.0;
/// Canvas-sized vectors beside the pairs while the loss is evaluated: the point, its gradient, the
/// last step and gradient, the best point and its gradient.
const VECTORS: f64 = 6.0;
/// More of them while the optimiser makes its step.
const STEP: f64 = 2.0;

/// Bytes for each pixel of a region during its forward and backward sweep.
pub fn region_bytes_per_pixel(spec: &Spec) -> f64 {
    let mut taps: Vec<Layer> =
        spec.content_taps().chain(spec.style_taps()).map(|(layer, _)| layer).collect();
    taps.sort_unstable();
    taps.dedup();
    // The first layer is never kept: it is computed again where it is needed.
    let kept: f64 =
        taps.iter().filter(|layer| layer.index() > 0).map(|layer| map_bytes(*layer)).sum();
    kept + WORKING
}

/// Bytes for each pixel of a region that stay between its forward and its backward sweep: taps,
/// masks and pixels.
pub fn kept_bytes_per_pixel(spec: &Spec) -> f64 {
    let masks = |layer: Layer| map_bytes(layer) / 32.0;
    let deepest = spec.deepest().map_or(0, Layer::index);
    let masks: f64 = Layer::all().take(deepest + 1).skip(1).map(masks).sum();
    region_bytes_per_pixel(spec) - WORKING + masks + VECTOR
}

/// Bytes for each pixel of the canvas that an exact level holds beside the region in work: the
/// optimiser's state with `history` pairs and the photograph's features.
pub fn canvas_bytes_per_pixel(spec: &Spec, history: usize) -> f64 {
    let content: f64 = spec.content_taps().map(|(layer, _)| map_bytes(layer)).sum();
    VECTOR * (VECTORS + 2.0 * history as f64) + content
}

/// Bytes for each pixel of the canvas while the optimiser makes its step.
pub fn step_bytes_per_pixel(spec: &Spec, history: usize) -> f64 {
    canvas_bytes_per_pixel(spec, history) + VECTOR * STEP
}

/// Maps of the first block that a GPU has in work at once beside the kept ones, at most: a
/// gradient, what a tap adds to it and that before its rounding, and the next gradient.
const GPU_MAPS: f64 = 4.0;
/// What a GPU holds whatever the canvas: kernels of both directions at Winograd's points, bands of
/// tiles, CUDA's own.
const GPU_FIXED: u64 = 5 << 28;

/// Bytes of a GPU's memory that do not grow with a region, and for each of its pixels: every
/// layer's features are kept for the way back. Counted; the allocations of an evaluation were
/// measured to be less (docs/gpu.md).
pub fn gpu_bytes(spec: &Spec, value_bytes: u64) -> (u64, f64) {
    let first = map_bytes(Layer::ALL[0]);
    (GPU_FIXED, (gpu_kept(spec) + GPU_MAPS * first) * value_bytes as f64 / 4.0 + VECTOR)
}

/// Bytes for each pixel of a region that a GPU keeps between its forward and its backward sweep.
pub fn gpu_kept_bytes_per_pixel(spec: &Spec, value_bytes: u64) -> f64 {
    gpu_kept(spec) * value_bytes as f64 / 4.0
}

fn gpu_kept(spec: &Spec) -> f64 {
    let layers = spec.deepest().map_or(0, |deepest| deepest.index() + 1);
    Layer::all().take(layers).map(map_bytes).sum()
}

/// Bytes of this machine's memory that a run takes whose networks are on GPUs.
pub const BESIDE_GPUS: u64 = PROGRAM + (1 << 30);

/// Bytes that do not grow with the canvas.
pub fn fixed_bytes(spec: &Spec) -> u64 {
    let Some(deepest) = spec.deepest() else { return PROGRAM };
    let mut inputs = 3;
    let mut pairs = 0;
    for layer in Layer::all().take(deepest.index() + 1) {
        let outputs = VGG19_WIDTHS[layer.block() - 1];
        pairs += (inputs * outputs) as u64;
        inputs = outputs;
    }
    PROGRAM + pairs * PREPARED
}

/// A float32 map of a layer, bytes for each pixel of the canvas.
fn map_bytes(layer: Layer) -> f64 {
    let stride = layer.stride() as f64;
    4.0 * VGG19_WIDTHS[layer.block() - 1] as f64 / (stride * stride)
}

/// The pictures around a job's levels.
pub struct Pictures<'a> {
    /// What their headers say.
    pub sources: &'a Sources,
    /// The part of the photograph that is used.
    pub framing: &'a Framing,
    /// The settings.
    pub settings: &'a Settings,
    /// The loss.
    pub spec: &'a Spec,
}

impl Pictures<'_> {
    /// Bytes of the photograph, which stays while its levels are computed; with bleed it is larger
    /// by what is mirrored.
    pub fn held(&self) -> u64 {
        let [left, top, width, height] = self.framing.crop;
        let [w, h] = self.framing.photograph.map(|side| side as f64);
        let beyond = |start: f64, length: f64, side: f64| {
            (-start).max(0.0) + (start + length - side).max(0.0)
        };
        ((w + beyond(left, width, w)) * (h + beyond(top, height, h))) as u64
            * planes(&self.sources.content)
    }

    /// The most bytes that anything but the sweeps of `level` takes, `last` being the pyramid's
    /// last level: reading the photograph, bringing it and the canvas to the level's size, looking
    /// at the paintings, writing the picture.
    pub fn around(&self, level: &Level, last: bool) -> u64 {
        let fixed = fixed_bytes(self.spec);
        let canvas = |vectors: f64| (VECTOR * vectors * (level.width * level.height) as f64) as u64;
        let content = &self.sources.content;
        let decoding = content.decode_bytes.max(if self.framing.bleed > 0 {
            2 * self.held()
        } else {
            self.held()
        });
        let long = level.width.max(level.height) as f64;
        let paintings = self.sources.styles.iter().zip(&self.settings.styles);
        let paintings = paintings
            .map(|(source, style)| style_bytes(source, long * style.scale))
            .max()
            .unwrap_or(0);
        if level.runs_in_rounds() {
            // Photograph and canvas go from file to file by bands, and so does the picture; each
            // band is held about four times.
            return fixed + decoding.max(self.held() + paintings.max(4 * BANDS));
        }
        // A plane is resized at a time: its source in float, the picture between both passes, and
        // the result.
        let begin = self.held()
            + canvas(3.0)
            + if self.settings.start.from == StartFrom::Content { 0 } else { canvas(1.0) };
        let begin = begin
            + self
                .sources
                .start
                .as_ref()
                .map_or(0, |start| start.decode_bytes.max(pixels(start) * planes(start)));
        let prepare = self.held() + canvas(2.0) + paintings;
        // The picture is written by bands, beside the canvas.
        let finish = if last { self.held() + canvas(1.0) + BANDS } else { 0 };
        fixed + decoding.max(begin).max(prepare).max(finish)
    }
}

/// What computing a painting's statistics takes at its highest, looked at with its long side at
/// `long` px.
fn style_bytes(style: &Source, long: f64) -> u64 {
    let scale = long / style.width.max(style.height).max(1) as f64;
    let side = |length: usize| (length as f64 * scale).min((super::STYLE_CORE + 2 * 128) as f64);
    style.decode_bytes.max(
        pixels(style) * planes(style) + (FORWARD * side(style.width) * side(style.height)) as u64,
    )
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
    use crate::geometry::Rect;
    use crate::network::cpu::peak_bytes;
    use crate::network::{CpuNetwork, Isa, Pooling, Precision, Request, Weights};

    #[test]
    fn the_engines_own_ledger_is_no_higher() {
        let weights = Weights::embedded().expect("weights inside");
        let spec = Spec::spst();
        let deepest = spec.deepest().expect("a preset has taps");
        let network =
            CpuNetwork::new(&weights, deepest, Pooling::Max, Precision::Float32, Isa::detect())
                .expect("a network");
        let channels: Vec<usize> =
            Layer::all().map(|layer| VGG19_WIDTHS[layer.block() - 1]).collect();
        let ledger = |side: usize, keep: bool| {
            let request = Request {
                moments: spec.style_taps().map(|(layer, _)| layer).collect(),
                features: spec.content_taps().map(|(layer, _)| layer).collect(),
                keep,
                ..Request::over(Rect::whole(side, side))
            };
            peak_bytes(&channels, (side, side), &request, 2) as f64 / (side * side) as f64
        };
        for side in [1024, 2048] {
            let ledger = ledger(side, true);
            let planned = region_bytes_per_pixel(&spec);
            assert!(
                ledger <= planned && planned <= 1.2 * ledger,
                "{side} px: planned {planned}, the engine's ledger says {ledger}"
            );
        }
        let ledger = ledger(super::super::STYLE_CORE + 256, false) + VECTOR;
        assert!(
            ledger <= FORWARD && FORWARD <= 1.5 * ledger,
            "forward alone: planned {FORWARD}, the engine's ledger says {ledger}"
        );
        assert!(kept_bytes_per_pixel(&spec) < region_bytes_per_pixel(&spec));
        let fixed = fixed_bytes(&spec) - PROGRAM;
        let engine = network.fixed_bytes() as u64;
        assert!(
            engine <= fixed + (8 << 20) && fixed <= engine + (64 << 20),
            "planned {fixed}, the engine's {engine}"
        );
    }
}
