//! The grid of tiles: cores that partition a canvas.

use crate::geometry::{ALIGNMENT, Rect};

/// One tile of a grid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tile {
    /// Position in the grid, row by row.
    pub index: usize,
    /// The pixels this tile answers for. Cores of a grid partition the canvas.
    pub core: Rect,
}

impl Tile {
    /// The core with a margin, clamped to the canvas.
    pub fn region(&self, margin: usize, width: usize, height: usize) -> Rect {
        self.core.grown(margin, width, height)
    }
}

/// A canvas cut into square cores, the last of each row and column being what is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grid {
    /// Canvas width, px.
    pub width: usize,
    /// Canvas height, px.
    pub height: usize,
    /// Side of a core, px; a multiple of 16 unless it covers the whole canvas.
    pub core: usize,
}

impl Grid {
    /// Cuts a canvas into cores of side `core`.
    ///
    /// # Panics
    /// When `core` is not a positive multiple of 16 and smaller than the canvas: the planner's
    /// mistake.
    pub fn new(width: usize, height: usize, core: usize) -> Self {
        let whole = core >= width && core >= height;
        assert!(
            core > 0 && (whole || core.is_multiple_of(ALIGNMENT)),
            "a core of {core} px is not a multiple of {ALIGNMENT}"
        );
        Self { width, height, core }
    }

    /// The canvas as one tile.
    pub fn whole(width: usize, height: usize) -> Self {
        Self::new(width, height, width.max(height).max(1))
    }

    /// Tiles in a row.
    pub fn columns(&self) -> usize {
        self.width.div_ceil(self.core)
    }

    /// Tiles in a column.
    pub fn rows(&self) -> usize {
        self.height.div_ceil(self.core)
    }

    /// Tiles in all.
    pub fn count(&self) -> usize {
        self.columns() * self.rows()
    }

    /// The tile at `index`.
    pub fn tile(&self, index: usize) -> Tile {
        let (row, column) = (index / self.columns(), index % self.columns());
        let (left, top) = (column * self.core, row * self.core);
        let (width, height) = (self.core.min(self.width - left), self.core.min(self.height - top));
        Tile { index, core: Rect { left, top, width, height } }
    }

    /// All tiles, row by row.
    pub fn tiles(&self) -> impl Iterator<Item = Tile> {
        let grid = *self;
        (0..grid.count()).map(move |index| grid.tile(index))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn cores_partition_the_canvas(width in 1usize..300, height in 1usize..300, core in 1usize..12) {
            let grid = Grid::new(width, height, core * 16);
            let mut seen = vec![0u8; width * height];
            for tile in grid.tiles() {
                prop_assert!(tile.core.left % 16 == 0 && tile.core.top % 16 == 0 && tile.core.area() > 0);
                for y in tile.core.top..tile.core.bottom() {
                    for x in tile.core.left..tile.core.right() {
                        seen[y * width + x] += 1;
                    }
                }
            }
            prop_assert!(seen.iter().all(|n| *n == 1));
        }
    }
}
