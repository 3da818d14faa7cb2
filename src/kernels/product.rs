//! The matrix micro-kernel: a few rows times one panel of columns, all sums in registers.
//!
//! `out[i][j] = sum_k a[i][k] u[k][j]` for up to six rows i (Winograd tiles, or cells of a map) and
//! one panel of columns j (output channels: four AVX-512 registers of 16, two AVX2 registers of 8).
//! Every k costs one load for each register of the panel and one broadcast for each row, and 24
//! (12) independent multiply-adds hide their latency. The rows are read where they lie: k runs over
//! 16 channels of a cell, then to the next block of channels. The columns were packed once:
//! `[k][panel]`. Sums run over k in ascending order, so the bytes do not depend on how rows are
//! grouped or on the vector length.

use super::isa::{Isa, Kernel};
use super::simd::Simd;

/// One micro-kernel call.
///
/// # Safety
/// `a` must be readable at `i * a_row + b * a_block + 0..16` for `i < rows`, `b < blocks`; `u` for
/// `blocks * 16 * width` values where `width` is `registers` vectors; `out` writable at `i *
/// out_row + j / 16 * out_block + j % 16` for `j < width`.
#[derive(Clone, Copy)]
pub(crate) struct Product {
    pub a: *const f32,
    /// Values from one row to the next.
    pub a_row: usize,
    /// Values from one block of 16 to the next.
    pub a_block: usize,
    /// Blocks of 16 summed over.
    pub blocks: usize,
    pub u: *const f32,
    pub out: *mut f32,
    pub out_row: usize,
    pub out_block: usize,
    /// Rows, 1 to [`Isa::rows`].
    pub rows: usize,
    /// Blocks of 16 columns in this panel, 1 to [`Isa::panel_blocks`].
    pub panel: usize,
    /// Memory wanted soon, at two places: a cache line is asked for of each per two k. (Asking
    /// faster than memory delivers would hold up the loads of the loop itself.)
    pub prefetch: [*const f32; 2],
}

impl Kernel for Product {
    type Output = ();
    #[inline(always)]
    unsafe fn run<S: Simd>(self, s: S) {
        let registers = self.panel * 16 / S::LANES;
        // SAFETY: the caller keeps the contract of `Product`.
        unsafe {
            match (self.rows, registers) {
                (6, 4) if S::ROWS >= 6 => tile::<S, 6, 4>(s, &self),
                (5, 4) if S::ROWS >= 6 => tile::<S, 5, 4>(s, &self),
                (4, 4) if S::ROWS >= 6 => tile::<S, 4, 4>(s, &self),
                (3, 4) if S::ROWS >= 6 => tile::<S, 3, 4>(s, &self),
                (2, 4) => tile::<S, 2, 4>(s, &self),
                (1, 4) => tile::<S, 1, 4>(s, &self),
                (6, 3) if S::PANEL == 4 && S::LANES == 16 => tile::<S, 6, 3>(s, &self),
                (5, 3) if S::PANEL == 4 && S::LANES == 16 => tile::<S, 5, 3>(s, &self),
                (4, 3) if S::PANEL == 4 && S::LANES == 16 => tile::<S, 4, 3>(s, &self),
                (3, 3) if S::PANEL == 4 && S::LANES == 16 => tile::<S, 3, 3>(s, &self),
                (2, 3) if S::PANEL == 4 && S::LANES == 16 => tile::<S, 2, 3>(s, &self),
                (1, 3) if S::PANEL == 4 && S::LANES == 16 => tile::<S, 1, 3>(s, &self),
                (6, 2) if S::LANES > 4 => tile::<S, 6, 2>(s, &self),
                (5, 2) if S::LANES > 4 => tile::<S, 5, 2>(s, &self),
                (4, 2) if S::LANES > 4 => tile::<S, 4, 2>(s, &self),
                (3, 2) if S::LANES > 4 => tile::<S, 3, 2>(s, &self),
                (2, 2) if S::LANES > 4 => tile::<S, 2, 2>(s, &self),
                (1, 2) if S::LANES > 4 => tile::<S, 1, 2>(s, &self),
                (6, 1) if S::LANES == 16 => tile::<S, 6, 1>(s, &self),
                (5, 1) if S::LANES == 16 => tile::<S, 5, 1>(s, &self),
                (4, 1) if S::LANES == 16 => tile::<S, 4, 1>(s, &self),
                (3, 1) if S::LANES == 16 => tile::<S, 3, 1>(s, &self),
                (2, 1) if S::LANES == 16 => tile::<S, 2, 1>(s, &self),
                (1, 1) if S::LANES == 16 => tile::<S, 1, 1>(s, &self),
                (rows, registers) => {
                    unreachable!("no micro-kernel of {rows} rows and {registers} registers")
                }
            }
        }
    }
}

/// The loop itself: `ROWS` x `REGS` accumulators.
///
/// # Safety
/// As [`Product`], with its `rows` and `panel` equal to the constants.
#[inline(always)]
unsafe fn tile<S: Simd, const ROWS: usize, const REGS: usize>(s: S, p: &Product) {
    // SAFETY: all addresses are those that the contract of `Product` lists; prefetches may go
    // anywhere.
    unsafe {
        let mut acc = [[s.splat(0.0); REGS]; ROWS];
        let mut u = p.u;
        let mut wanted = p.prefetch;
        for block in 0..p.blocks {
            let a = p.a.add(block * p.a_block);
            for pair in 0..8 {
                for (half, wanted) in wanted.iter_mut().enumerate() {
                    let mut column = [s.splat(0.0); REGS];
                    for (j, value) in column.iter_mut().enumerate() {
                        *value = s.load(u.add(j * S::LANES));
                    }
                    for (i, row) in acc.iter_mut().enumerate() {
                        let x = s.splat(*a.add(i * p.a_row + pair * 2 + half));
                        for j in 0..REGS {
                            row[j] = s.fma(x, column[j], row[j]);
                        }
                    }
                    u = u.add(REGS * S::LANES);
                    s.prefetch(*wanted);
                    *wanted = wanted.wrapping_add(16);
                }
            }
        }
        for (i, row) in acc.iter().enumerate() {
            for (j, value) in row.iter().enumerate() {
                let column = j * S::LANES;
                s.store(p.out.add(i * p.out_row + column / 16 * p.out_block + column % 16), *value);
            }
        }
    }
}

/// `[K][N]` columns packed in panels of `panel_blocks` blocks of 16, the last one narrower:
/// `[panel][k][panel width]`. K and N are padded with zeros to multiples of 16.
pub struct Panels {
    /// Blocks of 16 in a full panel.
    pub(crate) panel_blocks: usize,
    /// Blocks of 16 of K.
    pub(crate) k_blocks: usize,
    /// Blocks of 16 of N.
    pub(crate) n_blocks: usize,
}

impl Panels {
    /// The packing of a `[k, n]` matrix for an instruction set.
    pub fn new(isa: Isa, k: usize, n: usize) -> Self {
        Self {
            panel_blocks: isa.panel_blocks(),
            k_blocks: k.div_ceil(16),
            n_blocks: n.div_ceil(16),
        }
    }

    /// Values of the packed matrix.
    pub fn length(&self) -> usize {
        self.k_blocks * self.n_blocks * 256
    }

    /// Where the panel that begins at a block of columns lies, and its blocks.
    pub(crate) fn panel(&self, n_block: usize) -> (usize, usize) {
        debug_assert_eq!(n_block % self.panel_blocks, 0);
        (n_block * 16 * self.k_blocks * 16, self.panel_blocks.min(self.n_blocks - n_block))
    }

    /// Where entry `(k, n)` lies.
    pub fn at(&self, k: usize, n: usize) -> usize {
        let first = n / 16 / self.panel_blocks * self.panel_blocks;
        let (start, blocks) = self.panel(first);
        start + k * blocks * 16 + n - first * 16
    }

    /// Where entry `(k, n)` lies when two neighbours in k lie beside each other.
    pub(crate) fn at_pair(&self, k: usize, n: usize) -> usize {
        let first = n / 16 / self.panel_blocks * self.panel_blocks;
        let (start, blocks) = self.panel(first);
        start + (k / 2 * blocks * 16 + n - first * 16) * 2 + k % 2
    }

    /// Packs a `[k, n]` row-major matrix into `packed` (of [`Panels::length`] values).
    pub fn pack(&self, matrix: &[f32], k: usize, n: usize, packed: &mut [f32]) {
        packed.fill(0.0);
        for (row, values) in matrix.chunks_exact(n).enumerate().take(k) {
            for (column, value) in values.iter().enumerate() {
                packed[self.at(row, column)] = *value;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[ignore = "prints speed"]
    fn speed() {
        for isa in Isa::available() {
            for (k, tiles) in [(64usize, 60usize), (128, 60), (256, 60), (512, 60)] {
                let pb = isa.panel_blocks();
                let planes = 36;
                let cache = crate::kernels::buffer::BufferCache::new();
                let a = cache.take::<f32>(planes * (k * tiles + 16)).unwrap();
                let u = cache.take::<f32>(planes * k * pb * 16).unwrap();
                let mut out = vec![0.0f32; planes * tiles * 64];
                let mut best = f64::MAX;
                for _ in 0..20 {
                    let start = std::time::Instant::now();
                    for plane in 0..planes {
                        for g in 0..tiles / isa.rows() {
                            // SAFETY: all inside the vectors.
                            unsafe {
                                isa.run(Product {
                                    a: a.as_ptr()
                                        .add(plane * (k * tiles + 16) + g * isa.rows() * 16),
                                    a_row: 16,
                                    a_block: tiles * 16,
                                    blocks: k / 16,
                                    u: u.as_ptr().add(plane * k * pb * 16),
                                    out: out
                                        .as_mut_ptr()
                                        .add(plane * tiles * 64 + g * isa.rows() * pb * 16),
                                    out_row: pb * 16,
                                    out_block: 16,
                                    rows: isa.rows(),
                                    panel: pb,
                                    prefetch: [
                                        u.as_ptr()
                                            .wrapping_add((plane + 1) * k * pb * 16 + g * k * 8),
                                        a.as_ptr(),
                                    ],
                                });
                            }
                        }
                    }
                    best = best.min(start.elapsed().as_secs_f64());
                }
                println!(
                    "{} k {k}: {:.1} GFLOPS",
                    isa.name(),
                    (planes * tiles * k * pb * 16 * 2) as f64 / best / 1e9
                );
            }
        }
    }
}
