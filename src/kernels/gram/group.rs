//! The innermost loops: one group of cells added to some entries of the sums.

use super::super::isa::Kernel;
use super::super::map::CHANNEL_BLOCK;
use super::super::simd::Simd;

/// Blocks of rows of one work unit.
pub(super) const ROWS: usize = 2;
/// Blocks of columns of one work unit.
pub(super) const COLUMNS: usize = 4;
/// Group sums must be smaller than this many units, or the rounding trick would fail.
const LIMIT: f64 = (1u64 << 51) as f64;
const MAGIC: f64 = ((1u64 << 52) + (1u64 << 51)) as f64;

/// Where the cells of a group lie, in blocks of 16 channels.
#[derive(Clone, Copy)]
pub(super) struct Cells {
    pub(super) start: *const f32,
    pub(super) pitch: usize,
    pub(super) plane: usize,
}

/// Adds one group to a tile of entries; returns whether all sums were in range.
///
/// # Safety
/// `cells` must cover the group for all blocks named; `tile` must be writable for `j_count * 256`
/// values at each of `i_count` strides, `features` (if not null) for `i_count * 16`.
pub(super) struct AddGroup {
    pub(super) cells: Cells,
    pub(super) rows: usize,
    pub(super) columns: usize,
    pub(super) i: usize,
    pub(super) i_count: usize,
    pub(super) j: usize,
    pub(super) j_count: usize,
    pub(super) tile: *mut i64,
    pub(super) row_stride: usize,
    pub(super) features: *mut i64,
    pub(super) product_scale: f32,
    pub(super) feature_scale: f32,
}

/// Cells between two visits of a sub-tile: so few that the features of all six blocks stay in the
/// first-level cache.
const CHUNK: usize = 40;

impl Kernel for AddGroup {
    type Output = bool;
    #[inline(always)]
    unsafe fn run<S: Simd>(self, s: S) -> bool {
        let mut finite = true;
        let mut sums = [0f32; ROWS * COLUMNS * 256];
        let step = (CHUNK / self.columns).max(1);
        // SAFETY: the contract of `AddGroup`.
        unsafe {
            for y in (0..self.rows).step_by(step) {
                let rows = y..(y + step).min(self.rows);
                for i in 0..self.i_count {
                    // Blocks below the diagonal mirror those above.
                    let mut j = (self.i + i).saturating_sub(self.j);
                    while j < self.j_count {
                        let wide = S::LANES == 16 && j + 2 <= self.j_count;
                        let at = sums.as_mut_ptr().add((i * COLUMNS + j) * 256);
                        for lane in (0..16).step_by(S::GRAM_ROWS) {
                            match (S::LANES, wide) {
                                (16, true) => {
                                    self.entries::<S, 8, 2>(s, i, lane, j, rows.clone(), at)
                                }
                                (16, false) => {
                                    self.entries::<S, 8, 1>(s, i, lane, j, rows.clone(), at)
                                }
                                (8, _) => self.entries::<S, 4, 2>(s, i, lane, j, rows.clone(), at),
                                _ => self.entries::<S, 2, 4>(s, i, lane, j, rows.clone(), at),
                            }
                        }
                        j += if wide { 2 } else { 1 };
                    }
                }
            }
            for i in 0..self.i_count {
                for j in (self.i + i).saturating_sub(self.j)..self.j_count {
                    let from = &sums[(i * COLUMNS + j) * 256..][..256];
                    let to = std::slice::from_raw_parts_mut(
                        self.tile.add(i * self.row_stride + j * 256),
                        256,
                    );
                    finite &= round_and_add(from, self.product_scale, to);
                }
                if !self.features.is_null() {
                    finite &= self.sums(s, i);
                }
            }
        }
        finite
    }
}

impl AddGroup {
    /// Adds some rows of cells to the entries of `R` rows from `lane` of block row `i`, `N`
    /// registers of columns from block `j`, which lie in `sums`.
    ///
    /// # Safety
    /// As [`AddGroup`].
    #[inline(always)]
    #[allow(clippy::too_many_arguments)]
    unsafe fn entries<S: Simd, const R: usize, const N: usize>(
        &self,
        s: S,
        i: usize,
        lane: usize,
        j: usize,
        rows: std::ops::Range<usize>,
        sums: *mut f32,
    ) {
        // SAFETY: the caller's.
        unsafe {
            let plane = self.cells.plane * CHANNEL_BLOCK;
            let pitch = self.cells.pitch * CHANNEL_BLOCK;
            let left = self.cells.start.add((self.i + i) * plane + lane);
            let right = self.cells.start.add((self.j + j) * plane);
            let place = |r: usize, n: usize| {
                let channel = n * S::LANES;
                sums.add(channel / 16 * 256 + (lane + r) * 16 + channel % 16)
            };
            let mut acc = [[s.splat(0.0); N]; R];
            for (r, row) in acc.iter_mut().enumerate() {
                for (n, value) in row.iter_mut().enumerate() {
                    *value = s.load(place(r, n));
                }
            }
            for y in rows {
                let (mut left, mut right) = (left.add(y * pitch), right.add(y * pitch));
                for _ in 0..self.columns {
                    let mut column = [s.splat(0.0); N];
                    for (n, value) in column.iter_mut().enumerate() {
                        let channel = n * S::LANES;
                        *value = s.load(right.add(channel / 16 * plane + channel % 16));
                    }
                    for (r, row) in acc.iter_mut().enumerate() {
                        let value = s.splat(*left.add(r));
                        for n in 0..N {
                            row[n] = s.fma(value, column[n], row[n]);
                        }
                    }
                    left = left.add(CHANNEL_BLOCK);
                    right = right.add(CHANNEL_BLOCK);
                }
            }
            for (r, row) in acc.iter().enumerate() {
                for (n, value) in row.iter().enumerate() {
                    s.store(place(r, n), *value);
                }
            }
        }
    }

    /// IntegerSums of the features of block row `i`.
    ///
    /// # Safety
    /// As [`AddGroup`].
    #[inline(always)]
    unsafe fn sums<S: Simd>(&self, s: S, i: usize) -> bool {
        let mut finite = true;
        // SAFETY: the caller's.
        unsafe {
            for part in (0..16).step_by(S::LANES) {
                let mut acc = s.splat(0.0);
                for y in 0..self.rows {
                    for x in 0..self.columns {
                        let cell = (self.i + i) * self.cells.plane + y * self.cells.pitch + x;
                        acc = s.add(acc, s.load(self.cells.start.add(cell * CHANNEL_BLOCK + part)));
                    }
                }
                let mut sums = [0f32; CHANNEL_BLOCK];
                s.store(sums.as_mut_ptr(), acc);
                let to = std::slice::from_raw_parts_mut(
                    self.features.add(i * CHANNEL_BLOCK + part),
                    S::LANES,
                );
                finite &= round_and_add(&sums[..S::LANES], self.feature_scale, to);
            }
        }
        finite
    }
}

/// Rounds sums to units and adds them as integers; returns whether all were in range.
#[inline(always)]
fn round_and_add(sums: &[f32], scale: f32, target: &mut [i64]) -> bool {
    let mut good = true;
    for (sum, to) in sums.iter().zip(target) {
        let units = f64::from(*sum * scale);
        good &= units.abs() < LIMIT;
        *to = to.wrapping_add((units + MAGIC).to_bits().wrapping_sub(MAGIC.to_bits()) as i64);
    }
    good
}
