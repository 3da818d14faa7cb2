//! How far a tile reaches beyond its core.
//!
//! A tap's cell of side `stride` sees `reach` pixels beyond its own square. Features of a core are
//! exact when the tile holds `reach` more pixels on every side. Gradients at a core's pixels need
//! every cell that sees such a pixel, which lie up to `reach`, rounded up to whole cells, outside,
//! and each of these needs its own `reach` beyond. At the canvas's own borders nothing is missing:
//! zero padding is the truth there.
//!
//! That holds for exact arithmetic, so with rounding for all but the last bits: the sixteen outputs
//! of a Winograd tile share their rounding, and each depends on all of the tile's 6x6 patch. What is
//! wrong at the border of a region creeps inwards by whole tiles of 4 cells a layer, on both ways.
//! Bitwise margins reach beyond that.

use super::areas::Areas;
use super::layer::Layer;
use crate::geometry::{ALIGNMENT, GRID, Rect};

/// Farther than any layer's cells reach, px.
const FAR: usize = 64 * GRID;

/// How much a tile holds beyond its core on every side, px.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Margins {
    /// For the features and statistics of the core.
    pub features: usize,
    /// For the gradient at the core's pixels.
    pub gradient: usize,
    /// Whether results have the same bytes in any tile, and not the same values to rounding only.
    pub bitwise: bool,
}

impl Margins {
    /// The smallest margins on multiples of 16 px that give exact results to rounding.
    pub fn exact(taps: impl IntoIterator<Item = Layer>) -> Self {
        let (mut features, mut gradient) = (0, 0);
        for layer in taps {
            let (reach, stride) = (layer.reach(), layer.stride());
            features = features.max(reach);
            gradient = gradient.max(reach.next_multiple_of(stride) + reach);
        }
        Self {
            features: features.next_multiple_of(ALIGNMENT),
            gradient: gradient.next_multiple_of(ALIGNMENT),
            bitwise: false,
        }
    }

    /// No wider than `taps` alone need.
    pub fn narrowed_to(self, taps: impl IntoIterator<Item = Layer>) -> Self {
        let enough = if self.bitwise { Self::bitwise(taps) } else { Self::exact(taps) };
        Self {
            features: self.features.min(enough.features),
            gradient: self.gradient.min(enough.gradient),
            bitwise: self.bitwise,
        }
    }

    /// Margins on multiples of 64 px, for tiles that begin on multiples of 64 px of the canvas, that
    /// give the same bytes in any tile: as far as [`Areas`] reach from a core that no border is
    /// near.
    pub fn bitwise(taps: impl IntoIterator<Item = Layer>) -> Self {
        let Some(deepest) = taps.into_iter().max() else {
            return Self { features: 0, gradient: 0, bitwise: true };
        };
        let side = 2 * FAR + GRID;
        let core = Rect { left: FAR, top: FAR, width: GRID, height: GRID };
        let beyond = |gradient: Rect| {
            let read = Areas::new(deepest, (side, side), core, Some(gradient), true).read();
            (core.left - read.left).next_multiple_of(GRID)
        };
        Self { features: beyond(Rect::whole(0, 0)), gradient: beyond(core), bitwise: true }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(name: &str) -> Layer {
        Layer::parse(name).expect("a layer")
    }

    #[test]
    fn margins_are_those_of_the_deepest_tap() {
        // relu5_1: 70 px of reach, cells of 16 px.
        let margins = Margins::exact([layer("relu1_1"), layer("relu5_1")]);
        assert_eq!(margins, Margins { features: 80, gradient: 160, bitwise: false });
        let margins = Margins::bitwise([layer("relu5_1"), layer("relu1_1")]);
        assert_eq!(margins, Margins { features: 256, gradient: 576, bitwise: true });
        assert_eq!(Margins::exact([]), Margins { features: 0, gradient: 0, bitwise: false });
        assert_eq!(Margins::bitwise([]), Margins { features: 0, gradient: 0, bitwise: true });
    }

    #[test]
    fn margins_grow_with_the_depth() {
        for find in [|layer| Margins::exact([layer]), |layer| Margins::bitwise([layer])] {
            let found: Vec<Margins> = Layer::all().map(find).collect();
            assert!(found.is_sorted_by_key(|margins| (margins.features, margins.gradient)));
            let far = found.iter().map(|margins| margins.gradient).max();
            assert!(far < Some(FAR / 2), "{far:?} px");
            assert!(found.iter().all(|margins| margins.features <= margins.gradient));
        }
    }
}
