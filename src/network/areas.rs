//! Which cells of a region the sweeps over it must compute.
//!
//! A tile's region carries a margin as wide as the deepest tap sees. But a layer below that tap
//! needs only what is still ahead of it, and the way back ends at the core: so the margin shrinks
//! with every layer on both ways. Cells beyond are not computed, and those who read them take
//! zeros, which reach no cell that counts.
//!
//! Reach no cell that counts but for its last bits: the sixteen outputs of a Winograd tile share
//! their rounding, so each depends on all of the tile's 6x6 patch. Where bytes are to be the same
//! whatever lies beyond, a layer needs whole patches of the layer below it, and the margin shrinks
//! more slowly.

use super::layer::Layer;
use super::request::Request;
use super::weights::VGG19_WIDTHS;
use crate::geometry::Rect;

/// Cells are computed in squares of this side, the convolutions' Winograd tiles.
const TILE: usize = 4;

/// Per layer, the cells to compute on both ways, in squares of four (eight where pooling follows,
/// so that it has squares of four as well) or to the region's end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Areas {
    forward: Vec<Rect>,
    backward: Vec<Rect>,
    pixels: Rect,
    read: Rect,
}

impl Areas {
    /// For taps up to `deepest` in a region of `width` x `height` px, whose features count on
    /// `core` and whose gradient is wanted at the pixels of `gradient` (where that is empty,
    /// nowhere). Without `gradient` every cell is computed. With `bitwise` all is computed on which
    /// the last bit of a feature or gradient that counts depends; the core and `gradient` then begin
    /// on multiples of 64 px of the canvas, as the region does, so that tiles fall on the same
    /// places in any region.
    pub fn new(
        deepest: Layer,
        (width, height): (usize, usize),
        core: Rect,
        gradient: Option<Rect>,
        bitwise: bool,
    ) -> Self {
        let layers = &Layer::ALL[..=deepest.index()];
        let shape = |layer: Layer| (layer.cells(width), layer.cells(height));
        let Some(wanted) = gradient else {
            let whole: Vec<Rect> =
                layers.iter().map(|layer| Rect::whole(shape(*layer).0, shape(*layer).1)).collect();
            let all = Rect::whole(width, height);
            return Self { forward: whole.clone(), backward: whole, pixels: all, read: all };
        };
        // What a convolution reads for some of its outputs: one cell beyond them, or beyond the
        // tiles that they lie in.
        let read = |outputs: Rect, (w, h): (usize, usize)| {
            grown(if bitwise { outputs.aligned(TILE, w, h) } else { outputs }, w, h)
        };
        // Where the gradient before a layer's ReLU is needed.
        let mut backward = Vec::with_capacity(layers.len());
        let mut below = wanted;
        for layer in layers {
            let (w, h) = shape(*layer);
            if layer.is_first_of_block() && layer.index() > 0 {
                below = covering(below, 2, w, h);
            }
            below = read(below, (w, h));
            backward.push(below);
        }
        // Where its features are: for the core, for that gradient, and for the layer above.
        let mut forward: Vec<Rect> = Vec::with_capacity(layers.len());
        let mut above = Rect::whole(0, 0);
        // `above`: what the layer above reads, of this layer or of what it is pooled to.
        for (layer, gradient) in layers.iter().zip(&backward).rev() {
            let (w, h) = shape(*layer);
            let own = covering(core, layer.stride(), w, h).hull(gradient);
            if layer.is_before_pool() {
                above = doubled(above);
            }
            let needed = own.hull(&above);
            forward.push(needed);
            // The first convolution is direct: its outputs share nothing.
            above = if layer.index() == 0 { grown(needed, w, h) } else { read(needed, (w, h)) };
        }
        forward.reverse();
        let align = |layer: &Layer, rect: &Rect, unit: usize| {
            rect.aligned(unit, shape(*layer).0, shape(*layer).1)
        };
        let unit = |layer: &Layer| if layer.is_before_pool() { 2 * TILE } else { TILE };
        Self {
            forward: layers
                .iter()
                .zip(&forward)
                .map(|(layer, rect)| align(layer, rect, unit(layer)))
                .collect(),
            backward: layers
                .iter()
                .zip(&backward)
                .map(|(layer, rect)| align(layer, rect, TILE))
                .collect(),
            pixels: wanted.aligned(TILE, width, height),
            read: above,
        }
    }

    /// For what a request over a region of `width` x `height` px wants, up to its deepest layer.
    pub(super) fn of(deepest: Layer, size: (usize, usize), request: &Request) -> Self {
        Self::new(deepest, size, request.core, request.gradient, request.bitwise)
    }

    /// The cells of a layer whose features are computed.
    pub fn forward(&self, layer: Layer) -> Rect {
        self.forward[layer.index()]
    }

    /// The cells of a layer at which the gradient before its ReLU is computed.
    pub fn backward(&self, layer: Layer) -> Rect {
        self.backward[layer.index()]
    }

    /// How much work the two ways are: pixels of an untrimmed region that take as many
    /// multiplications forward, and back.
    pub fn swept(&self) -> (f64, f64) {
        let (mut inputs, mut all) = (3, 0.0);
        let (mut forward, mut backward) = (0.0, 0.0);
        let mut below = self.pixels.area() as f64;
        for layer in &Layer::ALL[..self.forward.len()] {
            let outputs = VGG19_WIDTHS[layer.block() - 1];
            let pixels = (layer.stride() * layer.stride()) as f64;
            let products = (inputs * outputs) as f64 / pixels;
            all += products;
            forward += products * pixels * self.forward(*layer).area() as f64;
            // The way back from a layer ends at the features that it reads.
            backward += products * below;
            below = self.backward(*layer).area() as f64 * pixels;
            inputs = outputs;
        }
        (forward / all, backward / all)
    }

    /// How many multiplications a pixel takes up to `layer`, as a part of those up to `deepest`.
    pub fn share(layer: Layer, deepest: Layer) -> f64 {
        let products = |last: Layer| {
            let (mut inputs, mut sum) = (3, 0.0);
            for layer in &Layer::ALL[..=last.index()] {
                let outputs = VGG19_WIDTHS[layer.block() - 1];
                sum += (inputs * outputs) as f64 / (layer.stride() * layer.stride()) as f64;
                inputs = outputs;
            }
            sum
        };
        products(layer) / products(deepest)
    }

    /// The pixels at which the gradient is computed.
    pub fn pixels(&self) -> Rect {
        self.pixels
    }

    /// The pixels on which features and gradient that count depend: the region must reach as far.
    pub fn read(&self) -> Rect {
        self.read
    }
}

/// The cells that a convolution reads for those of `rect`.
fn grown(rect: Rect, width: usize, height: usize) -> Rect {
    if rect.area() == 0 { rect } else { rect.grown(1, width, height) }
}

/// The cells of side `stride` that `rect` touches, of a map of `width` x `height`.
fn covering(rect: Rect, stride: usize, width: usize, height: usize) -> Rect {
    let (left, top) = ((rect.left / stride).min(width), (rect.top / stride).min(height));
    let (right, bottom) =
        (rect.right().div_ceil(stride).min(width), rect.bottom().div_ceil(stride).min(height));
    if rect.area() == 0 {
        Rect::whole(0, 0)
    } else {
        Rect { left, top, width: right - left, height: bottom - top }
    }
}

/// The cells under the 2x2 windows of `rect`.
fn doubled(rect: Rect) -> Rect {
    Rect { left: 2 * rect.left, top: 2 * rect.top, width: 2 * rect.width, height: 2 * rect.height }
}

/// The 2x2 windows that touch an area, in squares of four, of a pooled map of `width` x `height`.
pub(super) fn windows(area: Rect, (width, height): (usize, usize)) -> Rect {
    covering(area, 2, width, height).aligned(TILE, width, height)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(name: &str) -> Layer {
        Layer::parse(name).expect("a layer")
    }

    #[test]
    fn margins_shrink_on_both_ways() {
        let core = Rect { left: 160, top: 160, width: 64, height: 64 };
        let areas = Areas::new(layer("relu5_1"), (384, 384), core, Some(core), false);
        // On the way back from the deepest tap, 80 px around the core; at the pixels none.
        assert_eq!(
            areas.backward(layer("relu5_1")),
            Rect { left: 4, top: 4, width: 16, height: 16 }
        );
        assert_eq!(
            areas.backward(layer("relu1_1")),
            Rect { left: 156, top: 156, width: 72, height: 72 }
        );
        assert_eq!(areas.pixels(), core);
        // On the way there, the whole region at the pixels, and at the deepest tap what the way
        // back needs.
        assert_eq!(
            areas.forward(layer("relu1_1")),
            Rect { left: 8, top: 8, width: 368, height: 368 }
        );
        assert_eq!(areas.forward(layer("relu5_1")), areas.backward(layer("relu5_1")));
        let features =
            Areas::new(layer("relu5_1"), (384, 384), core, Some(Rect::whole(0, 0)), false);
        assert_eq!(
            features.forward(layer("relu5_1")),
            Rect { left: 8, top: 8, width: 8, height: 8 }
        );
        assert_eq!(
            features.forward(layer("relu1_1")),
            Rect { left: 88, top: 88, width: 208, height: 208 }
        );
        assert_eq!(features.backward(layer("relu4_1")).area(), 0);
    }

    #[test]
    fn for_the_bitwise_whole_tiles_are_right() {
        let core = Rect { left: 640, top: 640, width: 64, height: 64 };
        let areas = Areas::new(layer("relu2_1"), (1344, 1344), core, Some(core), true);
        let around = |rect: Rect, cells: usize| Rect {
            left: rect.left - cells,
            top: rect.top - cells,
            width: rect.width + 2 * cells,
            height: rect.height + 2 * cells,
        };
        // Back from the pixels: 1 cell, which ends a tile of its own, so 5; 3 windows, 5 cells of
        // relu2_1. What is computed is whole tiles of that.
        assert_eq!(areas.pixels(), core);
        assert_eq!(areas.backward(layer("relu1_1")), around(core, 4));
        assert_eq!(areas.backward(layer("relu1_2")), around(core, 8));
        let pooled = core.cells(2);
        assert_eq!(areas.backward(layer("relu2_1")), around(pooled, 8));
        // Forward: those 5 cells lie in tiles of 8, which read 9 windows, 18 cells; 20 in tiles (24
        // in squares of eight), 21 of relu1_1, and the first convolution is direct.
        assert_eq!(areas.forward(layer("relu2_1")), around(pooled, 8));
        assert_eq!(areas.forward(layer("relu1_2")), around(core, 24));
        assert_eq!(areas.forward(layer("relu1_1")), around(core, 24));
        assert_eq!(areas.read(), around(core, 22));
        // To rounding: 1, 2 and 2 cells back, and 6, 7 and 8 pixels forward.
        let rounded = Areas::new(layer("relu2_1"), (1344, 1344), core, Some(core), false);
        assert_eq!(rounded.backward(layer("relu1_2")), around(core, 4));
        assert_eq!(rounded.backward(layer("relu2_1")), around(pooled, 4));
        assert_eq!(rounded.read(), around(core, 8));
    }

    #[test]
    fn what_is_read_ends_where_the_margins_of_the_taps_do() {
        // relu5_1 sees 70 px beyond its cells of 16 px; on the way back 80 px of it are needed, of
        // which each sees 70.
        let core = Rect { left: 640, top: 640, width: 64, height: 64 };
        let left = |wanted: Rect| {
            core.left
                - Areas::new(layer("relu5_1"), (1344, 1344), core, Some(wanted), false).read().left
        };
        assert_eq!((left(Rect::whole(0, 0)), left(core)), (70, 150));
    }

    #[test]
    fn everything_is_computed_where_all_is_wanted() {
        for (width, height) in [(64, 64), (101, 77), (33, 250), (16, 19)] {
            let whole = Rect::whole(width, height);
            let all = Areas::new(layer("relu5_1"), (width, height), whole, None, false);
            for bitwise in [false, true] {
                let found =
                    Areas::new(layer("relu5_1"), (width, height), whole, Some(whole), bitwise);
                assert_eq!(found, all, "{width}x{height}");
            }
        }
    }
}
