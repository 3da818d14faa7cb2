//! The first convolution, 3 channels to 64: direct, from pixels, a few cells at a time.
//!
//! It is so cheap (2 % of an evaluation) and its output so large (256 bytes a pixel) that its
//! feature map is never kept: whoever needs relu1_1 computes the cells again.

use std::sync::Arc;

use super::buffer::{BufferCache, Store};
use super::isa::{Isa, Kernel};
use super::map::{CHANNEL_BLOCK, Map, Shape};
use super::simd::Simd;
use crate::memory::NoMemory;

/// Terms of a sum: three channels, 3x3.
const TERMS: usize = 27;

/// The network's input: BGR minus the mean, scale 0..255, with a border of one zero pixel.
pub struct Pixels {
    /// Rows, without the border.
    pub height: usize,
    /// Columns, without the border.
    pub width: usize,
    data: Store<f32>,
}

impl Pixels {
    /// From RGB `[3, height, width]`, 0..1; `mean` is that of red, green and blue, 0..255.
    ///
    /// # Errors
    /// When there is no memory for it.
    pub fn new(
        cache: &Arc<BufferCache>,
        rgb: &[f32],
        mean: [f32; 3],
        (height, width): (usize, usize),
    ) -> Result<Self, NoMemory> {
        let (rows, pitch) = (height + 2, width + 2);
        let mut data = cache.take::<f32>(3 * rows * pitch)?;
        for (c, plane) in data.chunks_exact_mut(rows * pitch).enumerate() {
            let source = &rgb[(2 - c) * height * width..][..height * width];
            plane[..pitch].fill(0.0);
            plane[(rows - 1) * pitch..].fill(0.0);
            for y in 0..height {
                let line = &mut plane[(y + 1) * pitch..][..pitch];
                line[0] = 0.0;
                line[width + 1] = 0.0;
                for (to, from) in line[1..=width].iter_mut().zip(&source[y * width..]) {
                    *to = 255.0 * from - mean[2 - c];
                }
            }
        }
        Ok(Self { height, width, data })
    }
}

/// The weights of the first convolution, in panels `[panel][27][panel width]`, and its biases.
pub struct FirstConvolution {
    isa: Isa,
    outputs: usize,
    weights: Vec<f32>,
    bias: Vec<f32>,
}

impl FirstConvolution {
    /// From `[outputs, 3, 3, 3]` (blue, green, red) and `[outputs]`.
    pub fn new(isa: Isa, weights: &[f32], bias: &[f32]) -> Self {
        let outputs = bias.len();
        let blocks = outputs.div_ceil(CHANNEL_BLOCK);
        let mut packed = vec![0.0; blocks * CHANNEL_BLOCK * TERMS];
        for o in 0..outputs {
            let first = o / CHANNEL_BLOCK / isa.panel_blocks() * isa.panel_blocks();
            let width = isa.panel_blocks().min(blocks - first) * CHANNEL_BLOCK;
            for k in 0..TERMS {
                packed[first * CHANNEL_BLOCK * TERMS + k * width + o - first * CHANNEL_BLOCK] =
                    weights[o * TERMS + k];
            }
        }
        let mut padded = bias.to_vec();
        padded.resize(blocks * CHANNEL_BLOCK, 0.0);
        Self { isa, outputs, weights: packed, bias: padded }
    }

    /// Channels made.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// Features (after ReLU) of the cells `x..x + count` of row `y`, all channels.
    ///
    /// # Safety
    /// The cells must lie in the picture, and `out` must be writable at `i * 16 + block * out_block
    /// + 0..16`.
    pub(crate) unsafe fn cells(
        &self,
        pixels: &Pixels,
        y: usize,
        x: usize,
        count: usize,
        out: *mut f32,
        out_block: usize,
    ) {
        debug_assert!(y < pixels.height && x + count <= pixels.width);
        let pitch = pixels.width + 2;
        let blocks = self.bias.len() / CHANNEL_BLOCK;
        let rows = self.isa.rows();
        for block in (0..blocks).step_by(self.isa.panel_blocks()) {
            let panel = self.isa.panel_blocks().min(blocks - block);
            let groups = count.div_ceil(rows);
            for group in 0..groups {
                let (done, end) = (group * count / groups, (group + 1) * count / groups);
                // SAFETY: the cells lie in the picture, so the 3x3 patches lie in the bordered
                // picture; the caller answers for `out`.
                unsafe {
                    self.isa.run(Cells {
                        source: pixels.data.as_ptr().add(y * pitch + x + done),
                        pitch,
                        plane: (pixels.height + 2) * pitch,
                        weights: self.weights.as_ptr().add(block * CHANNEL_BLOCK * TERMS),
                        bias: self.bias.as_ptr().add(block * CHANNEL_BLOCK),
                        out: out.add(done * CHANNEL_BLOCK + block * out_block),
                        out_block,
                        count: end - done,
                        panel,
                    });
                }
            }
        }
    }

    /// The whole feature map.
    ///
    /// # Errors
    /// When there is no memory for it.
    pub fn map(&self, cache: &Arc<BufferCache>, pixels: &Pixels) -> Result<Map, NoMemory> {
        let shape = Shape { channels: self.outputs, height: pixels.height, width: pixels.width };
        let mut map = Map::new(cache, shape)?;
        let out = map.data.as_mut_ptr();
        for y in 0..shape.height {
            // SAFETY: the row lies in the picture and in the map.
            unsafe {
                self.cells(
                    pixels,
                    y,
                    0,
                    shape.width,
                    out.add(y * shape.pitch() * CHANNEL_BLOCK),
                    shape.plane() * CHANNEL_BLOCK,
                )
            };
        }
        Ok(map)
    }
}

/// A few cells of one row, one panel of channels.
///
/// # Safety
/// Pointers as in [`FirstConvolution::cells`].
struct Cells {
    source: *const f32,
    pitch: usize,
    plane: usize,
    weights: *const f32,
    bias: *const f32,
    out: *mut f32,
    out_block: usize,
    count: usize,
    panel: usize,
}

impl Kernel for Cells {
    type Output = ();
    #[inline(always)]
    unsafe fn run<S: Simd>(self, s: S) {
        // SAFETY: the caller keeps the contract of `Cells`.
        unsafe {
            match (self.count, self.panel * 16 / S::LANES) {
                (6, 4) if S::ROWS >= 6 => cells::<S, 6, 4>(s, &self),
                (5, 4) if S::ROWS >= 6 => cells::<S, 5, 4>(s, &self),
                (2, 4) => cells::<S, 2, 4>(s, &self),
                (6, 2) if S::LANES == 8 => cells::<S, 6, 2>(s, &self),
                (5, 2) if S::LANES == 8 => cells::<S, 5, 2>(s, &self),
                (count, registers) => {
                    // Short rows and narrow networks: one cell and one register at a time, the same
                    // sums.
                    for i in 0..count {
                        for j in 0..registers {
                            one::<S>(s, &self, i, j, registers);
                        }
                    }
                }
            }
        }
    }
}

/// `COUNT` cells, `REGS` registers of channels.
///
/// # Safety
/// As [`Cells`].
#[inline(always)]
unsafe fn cells<S: Simd, const COUNT: usize, const REGS: usize>(s: S, p: &Cells) {
    // SAFETY: the caller's.
    unsafe {
        let mut acc = [[s.splat(0.0); REGS]; COUNT];
        for row in &mut acc {
            for (j, value) in row.iter_mut().enumerate() {
                *value = s.load(p.bias.add(j * S::LANES));
            }
        }
        let mut weights = p.weights;
        for c in 0..3 {
            for dy in 0..3 {
                for dx in 0..3 {
                    let at = p.source.add(c * p.plane + dy * p.pitch + dx);
                    let mut column = [s.splat(0.0); REGS];
                    for (j, value) in column.iter_mut().enumerate() {
                        *value = s.load(weights.add(j * S::LANES));
                    }
                    for (i, row) in acc.iter_mut().enumerate() {
                        let x = s.splat(*at.add(i));
                        for j in 0..REGS {
                            row[j] = s.fma(x, column[j], row[j]);
                        }
                    }
                    weights = weights.add(REGS * S::LANES);
                }
            }
        }
        let zero = s.splat(0.0);
        for (i, row) in acc.iter().enumerate() {
            for (j, value) in row.iter().enumerate() {
                let channel = j * S::LANES;
                s.store(
                    p.out.add(i * 16 + channel / 16 * p.out_block + channel % 16),
                    s.max(zero, *value),
                );
            }
        }
    }
}

/// Cell `i`, register `j`.
///
/// # Safety
/// As [`Cells`].
#[inline(always)]
unsafe fn one<S: Simd>(s: S, p: &Cells, i: usize, j: usize, registers: usize) {
    // SAFETY: the caller's.
    unsafe {
        let mut acc = s.load(p.bias.add(j * S::LANES));
        for k in 0..TERMS {
            let x = s.splat(*p.source.add(k / 9 * p.plane + k / 3 % 3 * p.pitch + k % 3 + i));
            acc = s.fma(x, s.load(p.weights.add((k * registers + j) * S::LANES)), acc);
        }
        let channel = j * S::LANES;
        s.store(
            p.out.add(i * 16 + channel / 16 * p.out_block + channel % 16),
            s.max(s.splat(0.0), acc),
        );
    }
}
