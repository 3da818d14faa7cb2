//! Feature maps and masks in memory.
//!
//! A map of C channels is cut in blocks of 16: `[C/16][rows][pitch][16]`, the 16 channels of a cell
//! beside each other (one cache line, one AVX-512 register). Channels that pad the last block are
//! zero. The pitch is odd and so is the number of cells of a block: powers of two would put the six
//! rows of a Winograd tile in one set of the cache.

use std::sync::Arc;

use super::buffer::{BufferCache, Store};
use crate::geometry::Rect;
use crate::memory::{self, NoMemory};

/// Channels that lie beside each other.
pub const CHANNEL_BLOCK: usize = 16;

/// Where the cells of a map lie.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Shape {
    /// Channels, without padding.
    pub channels: usize,
    /// Rows of cells.
    pub height: usize,
    /// Cells of a row.
    pub width: usize,
}

impl Shape {
    /// The shape of what a 2x2 pooling makes of it.
    pub fn halved(&self) -> Self {
        Self { height: self.height / 2, width: self.width / 2, ..*self }
    }

    /// Blocks of 16 channels.
    pub fn blocks(&self) -> usize {
        self.channels.div_ceil(CHANNEL_BLOCK)
    }

    /// Cells from one row to the next.
    pub fn pitch(&self) -> usize {
        self.width | 1
    }

    /// Cells from one block of channels to the next.
    pub fn plane(&self) -> usize {
        (self.height * self.pitch()) | 1
    }

    /// Cells stored for all blocks.
    pub fn cells(&self) -> usize {
        self.blocks() * self.plane()
    }

    /// Bytes of a [`Map`] of this shape.
    pub fn map_bytes(&self) -> usize {
        self.cells() * CHANNEL_BLOCK * size_of::<f32>()
    }
}

/// A feature map or a gradient, float32.
pub struct Map {
    /// Its shape.
    pub shape: Shape,
    /// The cells that hold values. A convolution takes the others for zero, and nothing else may
    /// read them.
    pub valid: Rect,
    /// `[C/16][rows][pitch][16]`; cells between the width and the pitch are unspecified.
    pub data: Store<f32>,
}

impl Map {
    /// A map with unspecified contents, all of which shall be given.
    ///
    /// # Errors
    /// When there is no memory for it.
    pub fn new(cache: &Arc<BufferCache>, shape: Shape) -> Result<Self, NoMemory> {
        let valid = Rect::whole(shape.width, shape.height);
        Ok(Self { shape, valid, data: cache.take(shape.cells() * CHANNEL_BLOCK)? })
    }

    /// The same of which only the cells of `valid` shall be given.
    pub fn of(self, valid: Rect) -> Self {
        Self { valid, ..self }
    }

    /// Index of the first channel of a block at a cell.
    pub fn at(&self, block: usize, y: usize, x: usize) -> usize {
        (block * self.shape.plane() + y * self.shape.pitch() + x) * CHANNEL_BLOCK
    }

    /// Copies the cells of `rect` of another map, of as many channels, to the place (row, column).
    ///
    /// # Panics
    /// When the cells do not lie in both maps.
    pub fn copy_cells(&mut self, from: &Map, rect: Rect, (top, left): (usize, usize)) {
        let length = rect.width * CHANNEL_BLOCK;
        for block in 0..from.shape.blocks() {
            for y in 0..rect.height {
                let read = from.at(block, rect.top + y, rect.left);
                let write = self.at(block, top + y, left);
                self.data[write..write + length].copy_from_slice(&from.data[read..read + length]);
            }
        }
    }

    /// The map as `[C, height, width]`.
    ///
    /// # Errors
    /// When there is no memory for it.
    pub fn to_planar(&self) -> Result<Vec<f32>, NoMemory> {
        let Shape { channels, height, width } = self.shape;
        let mut planar = memory::reserved(channels * height * width)?;
        for c in 0..channels {
            for y in 0..height {
                for x in 0..width {
                    planar.push(self.data[self.at(c / CHANNEL_BLOCK, y, x) + c % CHANNEL_BLOCK]);
                }
            }
        }
        Ok(planar)
    }

    /// A map from `[C, height, width]`.
    ///
    /// # Errors
    /// When there is no memory for it.
    pub fn from_planar(
        cache: &Arc<BufferCache>,
        shape: Shape,
        planar: &[f32],
    ) -> Result<Self, NoMemory> {
        let Shape { channels, height, width } = shape;
        let mut map = Self::new(cache, shape)?;
        map.data.fill(0.0);
        for c in 0..channels {
            for y in 0..height {
                for x in 0..width {
                    let at = map.at(c / CHANNEL_BLOCK, y, x) + c % CHANNEL_BLOCK;
                    map.data[at] = planar[(c * height + y) * width + x];
                }
            }
        }
        Ok(map)
    }
}

/// One bit a channel and cell: where the gradient passes. Behind a pooling layer, four such words a
/// pooled cell, one for each cell of the 2x2 window in raster order.
pub struct Mask {
    /// The shape of the cells: of the map itself, or of the pooled map.
    pub shape: Shape,
    /// Words a cell: 1, or 4 behind a pooling layer.
    pub words: usize,
    /// The cells that hold values.
    pub valid: Rect,
    /// `[C/16][rows][pitch][words]`, bit i for channel i of the block.
    pub data: Store<u16>,
}

impl Mask {
    /// A mask with unspecified contents.
    ///
    /// # Errors
    /// When there is no memory for it.
    pub fn new(cache: &Arc<BufferCache>, shape: Shape, words: usize) -> Result<Self, NoMemory> {
        let valid = Rect::whole(shape.width, shape.height);
        Ok(Self { shape, words, valid, data: cache.take(shape.cells() * words)? })
    }

    /// The same of which only the cells of `valid` shall be given.
    pub fn of(self, valid: Rect) -> Self {
        Self { valid, ..self }
    }
}
