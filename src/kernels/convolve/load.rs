//! On the way in: the input transform, from a map, an unpooled gradient, or pixels.

use super::super::first::{FirstConvolution, Pixels};
use super::super::isa::Kernel;
use super::super::map::{CHANNEL_BLOCK, Shape};
use super::super::simd::Simd;
use super::super::winograd::{Data, Filters, StoredValue, transform_input};
use super::cut::{Scratch, Segment};
use super::{Convolution, RUN, Source};

impl Convolution<'_> {
    /// Transforms the inputs of some tiles into V.
    pub(super) fn load(
        &self,
        source: &Source,
        filters: &Filters,
        scratch: &mut Scratch,
        segment: Segment,
        count: usize,
    ) {
        let v = scratch.v.as_mut_ptr();
        match filters.data {
            Data::Float32(_) => self.load_as(source, filters, scratch, segment, (v, count)),
            Data::Bfloat16(_) => {
                self.load_as(source, filters, scratch, segment, (v.cast::<u16>(), count))
            }
        }
    }

    fn load_as<T: StoredValue>(
        &self,
        source: &Source,
        filters: &Filters,
        scratch: &mut Scratch,
        segment: Segment,
        (v, count): (*mut T, usize),
    ) {
        let (v_plane, v_block, k_blocks) =
            (scratch.v_plane, count * CHANNEL_BLOCK, filters.panels.k_blocks);
        let (map, mask, valid) = match source {
            Source::Map(map) => (map, std::ptr::null(), map.valid),
            Source::Unpooled(map, mask) => {
                (map, mask.data.as_ptr(), map.valid.intersection(&mask.valid))
            }
            Source::First(first, pixels) => {
                for at in (0..segment.count).step_by(RUN) {
                    let tiles = RUN.min(segment.count - at);
                    let pitch = 4 * tiles + 2;
                    let local = scratch.local.as_mut_ptr();
                    let v = v.wrapping_add((segment.place + at) * CHANNEL_BLOCK);
                    // SAFETY: the scratch holds six rows of `4 RUN + 2` cells of all blocks, and V
                    // has a place for every tile.
                    unsafe {
                        first_patch(
                            first,
                            pixels,
                            (segment.row, segment.first + at),
                            (6, pitch),
                            1,
                            local,
                        );
                        self.isa.run(Patches {
                            source: local,
                            pitch,
                            v,
                            v_block,
                            v_plane,
                            tiles,
                            k_blocks,
                        });
                    }
                }
                return;
            }
        };
        let load = Load {
            source: map.data.as_ptr(),
            shape: map.shape,
            mask,
            v: v.wrapping_add(segment.place * CHANNEL_BLOCK),
            v_block,
            v_plane,
            segment,
            top: valid.top as isize,
            left: valid.left as isize,
            bottom: valid.bottom() as isize,
            right: valid.right() as isize,
            k_blocks,
        };
        // SAFETY: the map has `k_blocks` blocks of this shape, the mask four words a cell, and V a
        // place for every tile.
        unsafe { self.isa.run(load) };
    }
}

/// relu1_1 of a few tiles with a border of `border` cells, zero outside the picture:
/// `[C/16][rows][pitch][16]`.
///
/// # Safety
/// `out` must be writable for that many values.
pub(super) unsafe fn first_patch(
    first: &FirstConvolution,
    pixels: &Pixels,
    tile: (usize, usize),
    size: (usize, usize),
    border: usize,
    out: *mut f32,
) {
    let ((rows, pitch), blocks) = (size, first.outputs().div_ceil(CHANNEL_BLOCK));
    let plane = rows * pitch * CHANNEL_BLOCK;
    let x0 = (tile.1 * 4).saturating_sub(border);
    let x1 = (tile.1 * 4 + pitch - border).min(pixels.width);
    let skip = x0 + border - tile.1 * 4;
    for row in 0..rows {
        let y = (tile.0 * 4 + row).wrapping_sub(border);
        // SAFETY: every row, cell and block lies inside the memory that the caller answers for; the
        // cells lie in the picture.
        unsafe {
            let line = out.add(row * pitch * CHANNEL_BLOCK);
            let inside = y < pixels.height;
            let (start, end) = if inside { (skip, skip + x1 - x0) } else { (0, 0) };
            if inside {
                first.cells(pixels, y, x0, x1 - x0, line.add(skip * CHANNEL_BLOCK), plane);
            }
            for block in 0..blocks {
                let line = line.add(block * plane);
                std::slice::from_raw_parts_mut(line, start * CHANNEL_BLOCK).fill(0.0);
                std::slice::from_raw_parts_mut(
                    line.add(end * CHANNEL_BLOCK),
                    (pitch - end) * CHANNEL_BLOCK,
                )
                .fill(0.0);
            }
        }
    }
}

/// Input transform from a map, plain or unpooled.
///
/// # Safety
/// `source` must hold `k_blocks` blocks of `shape` with values where it says so, `mask` (if not
/// null) four words a cell, V a place for each tile.
struct Load<T> {
    source: *const f32,
    shape: Shape,
    mask: *const u16,
    v: *mut T,
    v_block: usize,
    v_plane: usize,
    segment: Segment,
    /// The source's cells that hold values, of the pooled map where it is unpooled: first and one
    /// past the last.
    top: isize,
    left: isize,
    bottom: isize,
    right: isize,
    k_blocks: usize,
}

impl<T: StoredValue> Kernel for Load<T> {
    type Output = ();
    #[inline(always)]
    unsafe fn run<S: Simd>(self, s: S) {
        let (pitch, plane) = (self.shape.pitch(), self.shape.plane());
        let y0 = (self.segment.row * 4) as isize - 1;
        let mut patch = [0f32; 36 * CHANNEL_BLOCK];
        for block in 0..self.k_blocks {
            for tile in 0..self.segment.count {
                let x0 = ((self.segment.first + tile) * 4) as isize - 1;
                // SAFETY: the contract of `Load`; cells that hold no values are not read.
                unsafe {
                    let target = self.v.add(block * self.v_block + tile * 16);
                    let inside = y0 >= self.top
                        && x0 >= self.left
                        && y0 + 6 <= self.bottom
                        && x0 + 6 <= self.right;
                    if self.mask.is_null() {
                        let source = self.source.add(block * plane * CHANNEL_BLOCK);
                        if inside {
                            let cell = y0 as usize * pitch + x0 as usize;
                            // The cells that the tile after next adds; the map seldom lies in a
                            // near cache.
                            for y in 0..6 {
                                for x in 0..4 {
                                    s.prefetch(
                                        source.wrapping_add(
                                            (cell + y * pitch + 10 + x) * CHANNEL_BLOCK,
                                        ),
                                    );
                                }
                            }
                            transform_input(
                                s,
                                source.add(cell * CHANNEL_BLOCK),
                                pitch * CHANNEL_BLOCK,
                                target,
                                self.v_plane,
                            );
                            continue;
                        }
                        for (i, cell) in patch.chunks_exact_mut(CHANNEL_BLOCK).enumerate() {
                            let (y, x) = (y0 + (i / 6) as isize, x0 + (i % 6) as isize);
                            let there = self.holds(y, x);
                            if there {
                                let from =
                                    source.add((y as usize * pitch + x as usize) * CHANNEL_BLOCK);
                                for part in (0..16).step_by(S::LANES) {
                                    s.store(cell.as_mut_ptr().add(part), s.load(from.add(part)));
                                }
                            } else {
                                cell.fill(0.0);
                            }
                        }
                    } else {
                        self.unpool(s, block, (y0, x0), &mut patch);
                    }
                    transform_input(s, patch.as_ptr(), 6 * CHANNEL_BLOCK, target, self.v_plane);
                }
            }
        }
    }
}

impl<T> Load<T> {
    /// Whether a cell of the source holds a value; the others are zero.
    #[inline(always)]
    fn holds(&self, y: isize, x: isize) -> bool {
        y >= self.top && x >= self.left && y < self.bottom && x < self.right
    }

    /// The 6x6 patch of the unpooled gradient: rows -1..5 of a tile are halves of the pooled rows
    /// -1..3.
    ///
    /// # Safety
    /// As [`Load`].
    #[inline(always)]
    unsafe fn unpool<S: Simd>(
        &self,
        s: S,
        block: usize,
        corner: (isize, isize),
        patch: &mut [f32; 36 * CHANNEL_BLOCK],
    ) {
        let (pitch, plane) = (self.shape.pitch(), self.shape.plane());
        for row in 0..4 {
            let y = (corner.0 + 1) / 2 - 1 + row;
            for column in 0..4 {
                let x = (corner.1 + 1) / 2 - 1 + column;
                let there = self.holds(y, x);
                // SAFETY: the pooled cell is there before it is read; patch rows and columns are
                // checked to be 0..6.
                unsafe {
                    let cell =
                        if there { block * plane + y as usize * pitch + x as usize } else { 0 };
                    for dy in 0..2 {
                        for dx in 0..2 {
                            let (py, px) = (2 * row + dy - 1, 2 * column + dx - 1);
                            if !(0..6).contains(&py) || !(0..6).contains(&px) {
                                continue;
                            }
                            let to = patch.as_mut_ptr().add((py * 6 + px) as usize * CHANNEL_BLOCK);
                            let bits = if there {
                                u32::from(*self.mask.add(cell * 4 + (dy * 2 + dx) as usize))
                            } else {
                                0
                            };
                            for part in (0..16).step_by(S::LANES) {
                                let v = if there {
                                    s.load_bits(
                                        self.source.add(cell * CHANNEL_BLOCK + part),
                                        bits >> part,
                                    )
                                } else {
                                    s.splat(0.0)
                                };
                                s.store(to.add(part), v);
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Input transform from bordered patches in one row.
///
/// # Safety
/// `source` must hold `[k_blocks][6][pitch][16]`, V a place for each tile.
struct Patches<T> {
    source: *const f32,
    pitch: usize,
    v: *mut T,
    v_block: usize,
    v_plane: usize,
    tiles: usize,
    k_blocks: usize,
}

impl<T: StoredValue> Kernel for Patches<T> {
    type Output = ();
    #[inline(always)]
    unsafe fn run<S: Simd>(self, s: S) {
        for block in 0..self.k_blocks {
            for tile in 0..self.tiles {
                // SAFETY: the contract of `Patches`.
                unsafe {
                    let source =
                        self.source.add((block * 6 * self.pitch + tile * 4) * CHANNEL_BLOCK);
                    let target = self.v.add(block * self.v_block + tile * 16);
                    transform_input(s, source, self.pitch * CHANNEL_BLOCK, target, self.v_plane);
                }
            }
        }
    }
}
