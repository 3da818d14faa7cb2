//! How a layer's tiles are shared out, and a worker's own memory.

use super::super::buffer::Store;
use super::super::map::CHANNEL_BLOCK;
use super::super::winograd::PLANES;
use super::{CHUNK, Convolution, RUN, TILES, TILES_OF_NARROW};
use crate::memory::NoMemory;

/// Tiles of one row of tiles.
#[derive(Clone, Copy)]
pub(super) struct Segment {
    /// Row of tiles.
    pub(super) row: usize,
    /// First tile of the row.
    pub(super) first: usize,
    pub(super) count: usize,
    /// Place of the first tile in the worker's block.
    pub(super) place: usize,
}

/// How a layer's tiles are shared out.
pub(super) struct Blocking {
    /// Blocks of tiles.
    pub(super) blocks: usize,
    /// Tiles of a block.
    pub(super) size: usize,
    /// Parts of the output channels: maps too small to give every thread a block are shared by
    /// channels as well.
    pub(super) shares: usize,
}

impl Blocking {
    pub(super) fn new(
        height: usize,
        width: usize,
        (inputs, outputs): (usize, usize),
        threads: usize,
    ) -> Self {
        let tiles = height.div_ceil(4) * width.div_ceil(4);
        let chunks = outputs.div_ceil(CHANNEL_BLOCK * CHUNK);
        let mut blocks = tiles.div_ceil(if inputs <= 128 { TILES_OF_NARROW } else { TILES });
        if blocks < 8 * threads && tiles >= 12 * threads {
            blocks = blocks.next_multiple_of(threads);
        }
        let shares = if blocks < threads { (2 * threads).div_ceil(blocks).min(chunks) } else { 1 };
        Self { blocks, size: tiles.div_ceil(blocks), shares }
    }
}

/// Bytes of the three buffers of one worker's scratch, and the number of workers, for a convolution
/// of `inputs` channels (0: none) to `outputs` channels over so many cells. What
/// [`Convolution::run`] will take from its pool.
pub fn scratch_bytes(
    height: usize,
    width: usize,
    inputs: usize,
    outputs: usize,
    threads: usize,
) -> ([usize; 3], usize) {
    let cut = Blocking::new(height, width, (inputs, outputs), threads);
    let lengths =
        Scratch::lengths(inputs.div_ceil(CHANNEL_BLOCK), outputs.div_ceil(CHANNEL_BLOCK), cut.size);
    (lengths.map(|length| length * size_of::<f32>()), threads.min(cut.blocks * cut.shares))
}

/// A worker's own memory.
pub(super) struct Scratch {
    pub(super) v: Store<f32>,
    pub(super) m: Store<f32>,
    pub(super) local: Store<f32>,
    /// Values from one plane of V to the next.
    pub(super) v_plane: usize,
    /// Values from one plane of M to the next.
    pub(super) m_plane: usize,
}

impl Scratch {
    /// Values of V, M and the copy of relu1_1, whose channels are those of the source or of the
    /// sink.
    fn lengths(k_blocks: usize, blocks: usize, tiles: usize) -> [usize; 3] {
        let v = odd(k_blocks * tiles) * 16 * PLANES;
        let m = odd(blocks.min(CHUNK) * tiles) * 16 * PLANES;
        [
            if k_blocks == 0 { 0 } else { v },
            if k_blocks == 0 { 0 } else { m },
            k_blocks.max(blocks) * 6 * (4 * RUN + 2) * CHANNEL_BLOCK,
        ]
    }

    pub(super) fn new(job: &Convolution, tiles: usize) -> Result<Self, NoMemory> {
        let k_blocks = job.source.as_ref().map_or(0, |(_, f)| f.panels.k_blocks);
        let [v, m, local] = Self::lengths(k_blocks, job.outputs.div_ceil(CHANNEL_BLOCK), tiles);
        Ok(Self {
            v: job.cache.take(v)?,
            m: job.cache.take(m)?,
            local: job.cache.take(local)?,
            v_plane: 0,
            m_plane: 0,
        })
    }
}

/// The next odd number: strides that are no power of two.
pub(super) fn odd(n: usize) -> usize {
    n | 1
}

/// Cuts a range of tiles (in raster order, `across` in a row, the first one at `corner`: row,
/// column) at the ends of rows.
pub(super) fn segments(
    tiles: &std::ops::Range<usize>,
    across: usize,
    corner: (usize, usize),
) -> Vec<Segment> {
    let mut found = Vec::new();
    let mut tile = tiles.start;
    while tile < tiles.end {
        let (row, first) = (tile / across, tile % across);
        let count = (across - first).min(tiles.end - tile);
        found.push(Segment {
            row: row + corner.0,
            first: first + corner.1,
            count,
            place: tile - tiles.start,
        });
        tile += count;
    }
    found
}
