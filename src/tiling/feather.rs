//! Tiles that overlap, and the windows that blend them.
//!
//! A [`Layout`] cuts a canvas into cores that partition it, like a [`super::Grid`], but evenly, so
//! that no sliver is left at the far edges, and with every second layout shifted by half a core.
//! Each tile reaches a little beyond its core; there it fades out by half a period of a cosine
//! while its neighbour fades in. The windows of all tiles sum to one exactly: weights are whole
//! multiples of 2^-24, so that `1 - w` is a float32, and no more than two tiles of an axis meet
//! anywhere.

use crate::geometry::{ALIGNMENT, GRID, Rect};

/// Weights are multiples of one over this: what the 24 bits of a float32's significand hold.
const STEPS: f64 = (1u32 << 24) as f64;

/// One side of a canvas, cut into pieces that overlap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Axis {
    /// Where pieces begin, and the end.
    cuts: Vec<usize>,
    /// How far the two pieces at each inner cut reach over it, px.
    reach: Vec<usize>,
}

impl Axis {
    /// Cuts `length` px into even pieces of at most `core` px that reach `overlap` px over each
    /// inner cut, less where a piece is shorter than two overlaps. Cuts lie on multiples of 64 px
    /// where `core` is one, else of 16 px. A `shifted` axis is cut in the middle of the pieces
    /// instead. Where `core` is as small as its alignment and the length no multiple of it, the
    /// last piece is longer by what is left.
    ///
    /// # Panics
    /// When `length` is zero, or `core` is not a positive multiple of 16 and smaller than `length`.
    pub fn new(length: usize, core: usize, overlap: usize, shifted: bool) -> Self {
        assert!(length > 0, "an axis of at least one pixel");
        assert!(
            core >= length || (core > 0 && core.is_multiple_of(ALIGNMENT)),
            "a core of {core} px is not a multiple of {ALIGNMENT}"
        );
        let unit = if core.is_multiple_of(GRID) && core > GRID { GRID } else { ALIGNMENT };
        let units = length / unit;
        let pieces = length.div_ceil(core).min(units).max(1);
        let start = |piece: usize| (piece * (units / pieces) + piece.min(units % pieces)) * unit;
        let mut cuts: Vec<usize> = (0..pieces).map(start).chain([length]).collect();
        if shifted && pieces > 1 {
            let middles = cuts
                .windows(2)
                .map(|cut| cut[0] + (cut[1] - cut[0]) / 2 / unit * unit)
                .filter(|cut| *cut > 0);
            cuts = std::iter::once(0).chain(middles).chain([length]).collect();
        }
        let reach = cuts
            .windows(3)
            .map(|cut| overlap.min((cut[1] - cut[0]) / 2).min((cut[2] - cut[1]) / 2))
            .collect();
        Self { cuts, reach }
    }

    /// How many pieces there are.
    pub fn pieces(&self) -> usize {
        self.cuts.len() - 1
    }

    /// A piece's core: first and one past the last pixel.
    pub fn core(&self, piece: usize) -> (usize, usize) {
        (self.cuts[piece], self.cuts[piece + 1])
    }

    /// The core and what overlaps beyond it, where the piece's weight is not zero.
    pub fn free(&self, piece: usize) -> (usize, usize) {
        let (start, end) = self.core(piece);
        (start - self.before(piece), end + self.reach.get(piece).copied().unwrap_or(0))
    }

    fn before(&self, piece: usize) -> usize {
        if piece == 0 { 0 } else { self.reach[piece - 1] }
    }

    /// The piece's weight at a pixel, 0..1: a raised cosine over the overlaps, one between them,
    /// zero outside.
    pub fn weight(&self, piece: usize, pixel: usize) -> f32 {
        let (start, end) = self.free(piece);
        if !(start..end).contains(&pixel) {
            return 0.0;
        }
        let rise = 2 * self.before(piece);
        if pixel < start + rise {
            return ramp(pixel - start, rise);
        }
        let fall = 2 * self.reach.get(piece).copied().unwrap_or(0);
        if pixel + fall >= end {
            return 1.0 - ramp(pixel + fall - end, fall);
        }
        1.0
    }
}

/// The `index`-th of `length` weights that rise from 0 to 1 like a cosine.
fn ramp(index: usize, length: usize) -> f32 {
    let phase = (index as f64 + 0.5) / length as f64;
    let weight = 0.5 - 0.5 * (std::f64::consts::PI * phase).cos();
    ((weight * STEPS).round() / STEPS) as f32
}

/// A canvas cut into overlapping tiles: the product of two axes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    columns: Axis,
    rows: Axis,
}

impl Layout {
    /// Cuts a canvas of `width` x `height` px; see [`Axis::new`].
    ///
    /// # Panics
    /// As [`Axis::new`].
    pub fn new(
        (width, height): (usize, usize),
        core: usize,
        overlap: usize,
        shifted: bool,
    ) -> Self {
        Self {
            columns: Axis::new(width, core, overlap, shifted),
            rows: Axis::new(height, core, overlap, shifted),
        }
    }

    /// Canvas width and height, px.
    pub fn size(&self) -> (usize, usize) {
        let end = |axis: &Axis| axis.core(axis.pieces() - 1).1;
        (end(&self.columns), end(&self.rows))
    }

    /// How many tiles there are.
    pub fn count(&self) -> usize {
        self.columns.pieces() * self.rows.pieces()
    }

    fn place(&self, tile: usize) -> (usize, usize) {
        (tile % self.columns.pieces(), tile / self.columns.pieces())
    }

    /// The pixels that tile `tile` answers for. Cores partition the canvas; tiles are counted row
    /// by row.
    pub fn core(&self, tile: usize) -> Rect {
        let (column, row) = self.place(tile);
        rect(self.columns.core(column), self.rows.core(row))
    }

    /// The pixels where the tile's weight is not zero.
    pub fn free(&self, tile: usize) -> Rect {
        let (column, row) = self.place(tile);
        rect(self.columns.free(column), self.rows.free(row))
    }

    /// The tile's weights along a row of its free pixels, and along a column of them. The weight at
    /// a pixel is the product of the two.
    pub fn window(&self, tile: usize) -> (Vec<f32>, Vec<f32>) {
        let (column, row) = self.place(tile);
        let along = |axis: &Axis, piece: usize| {
            let (start, end) = axis.free(piece);
            (start..end).map(|pixel| axis.weight(piece, pixel)).collect()
        };
        (along(&self.columns, column), along(&self.rows, row))
    }
}

fn rect((left, right): (usize, usize), (top, bottom): (usize, usize)) -> Rect {
    Rect { left, top, width: right - left, height: bottom - top }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn pieces_are_even_and_the_shift_is_half_a_core() {
        let cuts = |length, core, shifted| Axis::new(length, core, 16, shifted).cuts;
        assert_eq!(cuts(2048, 1024, false), [0, 1024, 2048]);
        assert_eq!(cuts(2048, 1024, true), [0, 512, 1536, 2048]);
        assert_eq!(cuts(1100, 1024, false), [0, 576, 1100]);
        assert_eq!(cuts(1000, 1024, true), [0, 1000]);
        assert_eq!(cuts(300, 96, false), [0, 80, 160, 224, 300]);
    }

    #[test]
    fn a_window_rises_and_falls_symmetrically() {
        let axis = Axis::new(256, 128, 16, false);
        assert_eq!(axis.free(0), (0, 144));
        for k in 0..16 {
            let (left, right) = (axis.weight(0, 127 - k), axis.weight(0, 128 + k));
            assert_eq!(left + right, 1.0);
            assert!(left > 0.5 && right < 0.5 && right > 0.0);
        }
        assert_eq!(axis.weight(0, 111), 1.0);
        assert_eq!(axis.weight(0, 144), 0.0);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn weights_sum_to_one_exactly(length in 1usize..1500, core in 1usize..40, overlap in 0usize..300, shifted: bool) {
            let axis = Axis::new(length, core * 16, overlap, shifted);
            let mut sums = vec![0f32; length];
            let mut cores = vec![0u8; length];
            for piece in 0..axis.pieces() {
                let (start, end) = axis.core(piece);
                prop_assert!(start.is_multiple_of(16) && end > start && end - start < (core + 1) * 16);
                cores[start..end].iter_mut().for_each(|n| *n += 1);
                let (start, end) = axis.free(piece);
                for (pixel, sum) in sums.iter_mut().enumerate().take(end).skip(start) {
                    let weight = axis.weight(piece, pixel);
                    prop_assert!(weight > 0.0 && weight <= 1.0);
                    *sum += weight;
                }
            }
            prop_assert!(cores.iter().all(|n| *n == 1));
            prop_assert!(sums.iter().all(|sum| *sum == 1.0));
        }

        #[test]
        fn products_of_windows_sum_to_one_exactly(width in 1usize..200, height in 1usize..200, core in 1usize..6, overlap in 0usize..60, shifted: bool) {
            let layout = Layout::new((width, height), core * 16, overlap, shifted);
            prop_assert_eq!(layout.size(), (width, height));
            let mut sums = vec![0f64; width * height];
            for tile in 0..layout.count() {
                let (free, (across, down)) = (layout.free(tile), layout.window(tile));
                for (y, v) in (free.top..free.bottom()).zip(&down) {
                    for (x, h) in (free.left..free.right()).zip(&across) {
                        sums[y * width + x] += f64::from(*v) * f64::from(*h);
                    }
                }
            }
            prop_assert!(sums.iter().all(|sum| *sum == 1.0));
        }
    }
}
