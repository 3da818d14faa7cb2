//! How much memory a level takes, worked out from the loss and the sizes alone.
//!
//! The figures are those of the CPU's engine, whose own ledger (`CpuNetwork::peak_bytes`) they follow from above: kept
//! taps are float32 maps, every ReLU keeps one bit for a value, and beside them stand the two or three maps between
//! which a convolution works.

use crate::network::{Layer, VGG19_WIDTHS};
use crate::objective::Spec;

/// The program, the weights in its file, and what the system keeps for it.
const PROGRAM: u64 = 120 << 20;
/// A prepared 3x3 kernel: 36 float32 for each pair of channels, forward and backward.
const PREPARED: u64 = 2 * 36 * 4;
/// Maps in work, masks and borders, bytes for each pixel of a region that runs forward and backward.
const WORKING: f64 = 160.0;
/// A canvas-sized vector, bytes a pixel.
const VECTOR: f64 = 12.0;
/// Canvas-sized vectors beside the pairs: the point, its gradient, the last step and gradient, the best point and its
/// gradient, the one being made, the photograph at the canvas's size.
const VECTORS: f64 = 8.0;

/// Bytes for each pixel of a region during its forward and backward sweep.
pub fn region_bytes_per_pixel(spec: &Spec) -> f64 {
    let mut taps: Vec<Layer> = spec.content_taps().chain(spec.style_taps()).map(|(layer, _)| layer).collect();
    taps.sort_unstable();
    taps.dedup();
    // The first layer is never kept: it is computed again where it is needed.
    let kept: f64 = taps.iter().filter(|layer| layer.index() > 0).map(|layer| map_bytes(*layer)).sum();
    kept + WORKING
}

/// Bytes for each pixel of a region that stay between its forward and its backward sweep: taps, masks and pixels.
pub fn kept_bytes_per_pixel(spec: &Spec) -> f64 {
    let masks = |layer: Layer| map_bytes(layer) / 32.0;
    let deepest = spec.deepest().map_or(0, Layer::index);
    let masks: f64 = Layer::all().take(deepest + 1).skip(1).map(masks).sum();
    region_bytes_per_pixel(spec) - WORKING + masks + VECTOR
}

/// Bytes for each pixel of the canvas that an exact level holds beside the region in work: the optimiser's state with
/// `history` pairs and the photograph's features.
pub fn canvas_bytes_per_pixel(spec: &Spec, history: usize) -> f64 {
    let content: f64 = spec.content_taps().map(|(layer, _)| map_bytes(layer)).sum();
    VECTOR * (VECTORS + 2.0 * history as f64) + content
}

/// Bytes that do not grow with the canvas.
pub fn fixed_bytes(spec: &Spec) -> u64 {
    let deepest = spec.deepest().map_or(0, Layer::index);
    let mut inputs = 3;
    let mut pairs = 0;
    for layer in Layer::all().take(deepest + 1) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::Rect;
    use crate::kernels::Isa;
    use crate::network::cpu::{CpuNetwork, Precision, Request, TapRequest};
    use crate::network::{Pooling, Weights};

    #[test]
    fn the_engines_own_ledger_is_no_higher() {
        let weights = Weights::embedded().expect("weights inside");
        let spec = Spec::spst();
        let deepest = spec.deepest().expect("a preset has taps");
        let network = CpuNetwork::new(&weights, deepest, Pooling::Max, Precision::Float32, Isa::detect()).expect("a network");
        let content = Layer::parse("relu4_2").expect("a layer");
        let mut taps: Vec<TapRequest> = spec.style_taps().map(|(layer, _)| TapRequest { layer, moments: true, features: false }).collect();
        taps.push(TapRequest { layer: content, moments: false, features: true });
        for side in [1024, 2048] {
            let request = Request { taps: &taps, core: Rect::whole(side, side), keep: true };
            let ledger = network.peak_bytes_with(side, side, &request, 2) as f64 / (side * side) as f64;
            let planned = region_bytes_per_pixel(&spec);
            assert!(ledger <= planned && planned <= 1.2 * ledger, "{side} px: planned {planned}, the engine's ledger says {ledger}");
        }
        assert!(kept_bytes_per_pixel(&spec) < region_bytes_per_pixel(&spec));
        let fixed = fixed_bytes(&spec) - PROGRAM;
        let engine = network.fixed_bytes() as u64;
        assert!(engine <= fixed + (8 << 20) && fixed <= engine + (64 << 20), "planned {fixed}, the engine's {engine}");
    }
}
