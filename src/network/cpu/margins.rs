//! How far a tile must reach beyond its core for its *bytes* not to depend on the tiling.
//!
//! In exact arithmetic a cell depends on its receptive field only: 80 px suffice for the features
//! of relu5_1 and 160 px for the gradient. But the sixteen outputs of a Winograd tile share their
//! rounding: each depends, in its last bits, on all of the tile's 6x6 patch. So what is wrong at
//! the border of a region creeps inwards by whole tiles of 4 cells a layer, on both ways.

use crate::geometry::{GRID, Rect};
use crate::network::areas::Areas;
use crate::network::layer::Layer;

/// Farther than any layer's cells reach, px.
const FAR: usize = 64 * GRID;

/// Margins in pixels, multiples of 64, for regions whose origin lies on multiples of 64 px of the
/// canvas.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BitwiseMargins {
    /// For features and statistics.
    pub features: usize,
    /// For the gradient of the pixels.
    pub gradient: usize,
}

impl BitwiseMargins {
    /// For taps up to `deepest`: as far as [`Areas`] reach from a core with room on every side.
    pub fn new(deepest: Layer) -> Self {
        let side = 2 * FAR + GRID;
        let core = Rect { left: FAR, top: FAR, width: GRID, height: GRID };
        let beyond = |wanted: Rect| {
            let read = Areas::new(deepest, (side, side), core, Some(wanted), true).read();
            (core.left - read.left).next_multiple_of(GRID)
        };
        Self { features: beyond(Rect::whole(0, 0)), gradient: beyond(core) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn margins_grow_with_the_depth() {
        let found: Vec<_> = Layer::ALL.iter().map(|layer| BitwiseMargins::new(*layer)).collect();
        assert!(found.is_sorted_by_key(|margins| (margins.features, margins.gradient)));
        assert!(
            found
                .iter()
                .all(|margins| margins.features <= margins.gradient && margins.gradient < FAR / 2)
        );
        let deepest = Layer::parse("relu5_1").expect("a layer");
        assert_eq!(BitwiseMargins::new(deepest), BitwiseMargins { features: 256, gradient: 576 });
    }
}
