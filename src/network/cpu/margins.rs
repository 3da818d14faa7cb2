//! How far a tile must reach beyond its core for its *bytes* not to depend on the tiling.
//!
//! In exact arithmetic a cell depends on its receptive field only: 80 px suffice for the features of relu5_1 and 160 px for the
//! gradient. But the sixteen outputs of a Winograd tile share their rounding: each depends, in its last bits, on all of the
//! tile's 6x6 patch. So what is wrong at the border of a region creeps inwards by whole tiles of 4 cells a layer, on both ways.

use crate::network::layer::Layer;

/// Margins in pixels, multiples of 64, for regions whose origin lies on multiples of 64 px of the canvas.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BitwiseMargins {
    /// For features and statistics.
    pub features: usize,
    /// For the gradient of the pixels.
    pub gradient: usize,
}

impl BitwiseMargins {
    /// For taps up to `deepest`.
    pub fn new(deepest: Layer) -> Self {
        let layers = &Layer::ALL[..=deepest.index()];
        // Cells from the border that differ: the first convolution is direct, its outermost cells alone see the border.
        let mut wrong = 1;
        let mut features = 1;
        for &layer in &layers[1..] {
            if layer.is_first_of_block() {
                wrong = usize::div_ceil(wrong, 2);
            }
            wrong = spread(wrong);
            features = features.max(wrong * layer.stride());
        }
        for &layer in layers.iter().rev() {
            wrong = spread(wrong);
            if layer.is_first_of_block() && layer.index() > 0 {
                wrong *= 2;
            }
        }
        Self { features: features.next_multiple_of(64), gradient: wrong.next_multiple_of(64) }
    }
}

/// Cells that differ after a convolution in tiles of four, each reading one cell beyond its own.
fn spread(wrong: usize) -> usize {
    // The tile that begins at cell 4t reads from 4t - 1 on.
    (wrong / 4 + 1) * 4
}
