//! The transforms of Winograd's F(4x4, 3x3).
//!
//! A 3x3 convolution computes a 4x4 tile of outputs from a 6x6 patch of inputs. With polynomials evaluated at six points
//! it takes 36 products instead of 144 (Lavin & Gray 2015, arXiv:1509.09308):
//!
//! `Y = A^T [(G g G^T) . (B^T d B)] A`
//!
//! The points here are 0, ±1/sqrt2, ±sqrt2 and infinity: the same operations as with the usual 0, ±1, ±2, but half the
//! rounding error, since the powers of the points stay near one. With a = 1/sqrt2, b = sqrt2 (a^2 b^2 = 1, a^2 + b^2 = 5/2):
//!
//! ```text
//!        | 1   0   -5/2   0    1  0 |         |  1     0     0   |          | 1  1  1  1  1  0 |
//!        | 0  -b    -2    a    1  0 |         | -2/3 -2a/3  -1/3 |          | 0  a -a  b -b  0 |
//! B^T =  | 0   b    -2   -a    1  0 |    G =  | -2/3  2a/3  -1/3 |    A^T = | 0 1/2 1/2 2  2 0 |
//!        | 0  -a   -1/2   b    1  0 |         |  1/6   b/6   1/3 |          | 0 a/2 -a/2 2b -2b 1 |
//!        | 0   a   -1/2  -b    1  0 |         |  1/6  -b/6   1/3 |
//!        | 0   1    0   -5/2   0  1 |         |  0     0     1   |
//! ```
//!
//! The 36 values of a tile are 36 independent matrix products over the channels, so a layer is 36 products
//! `[tiles, C_in] x [C_in, C_out]` between two cheap transforms.

use std::sync::Arc;

use rayon::prelude::*;

use super::buffer::{Pool, Shared, Store};
use super::isa::Isa;
use super::product::Panels;
use super::simd::Simd;

/// Products of a tile.
pub(crate) const PLANES: usize = 36;

const A: f32 = std::f32::consts::FRAC_1_SQRT_2;
const B: f32 = std::f32::consts::SQRT_2;

/// How the transformed inputs are stored.
pub(crate) trait Stored: Copy {
    /// # Safety
    /// `p` must be writable for `LANES` values.
    unsafe fn store<S: Simd>(s: S, p: *mut Self, v: S::F);
}

impl Stored for f32 {
    #[inline(always)]
    unsafe fn store<S: Simd>(s: S, p: *mut f32, v: S::F) {
        // SAFETY: the caller's.
        unsafe { s.store(p, v) }
    }
}

/// The bits of a bfloat16.
impl Stored for u16 {
    #[inline(always)]
    unsafe fn store<S: Simd>(s: S, p: *mut u16, v: S::F) {
        // SAFETY: the caller's.
        unsafe { s.store_bfloat16(p, v) }
    }
}

/// `B^T d`: six inputs to six points.
///
/// # Safety
/// The processor must have the instructions of `S`.
#[inline(always)]
unsafe fn to_points<S: Simd>(s: S, d: [S::F; 6]) -> [S::F; 6] {
    // SAFETY: the caller's.
    unsafe {
        let (two, half) = (s.splat(2.0), s.splat(0.5));
        let (a, b, five_halves) = (s.splat(A), s.splat(B), s.splat(2.5));
        let inner = s.fnma(two, d[2], d[4]);
        let inner_odd = s.fnma(two, d[1], d[3]);
        let outer = s.fnma(half, d[2], d[4]);
        let outer_odd = s.fnma(half, d[1], d[3]);
        [
            s.fnma(five_halves, d[2], s.add(d[0], d[4])),
            s.fma(a, inner_odd, inner),
            s.fnma(a, inner_odd, inner),
            s.fma(b, outer_odd, outer),
            s.fnma(b, outer_odd, outer),
            s.fnma(five_halves, d[3], s.add(d[1], d[5])),
        ]
    }
}

/// `A^T m`: six points to four outputs.
///
/// # Safety
/// The processor must have the instructions of `S`.
#[inline(always)]
unsafe fn from_points<S: Simd>(s: S, m: [S::F; 6]) -> [S::F; 4] {
    // SAFETY: the caller's.
    unsafe {
        let (a, b) = (s.splat(A), s.splat(B));
        let (half_a, two_b) = (s.splat(A / 2.0), s.splat(2.0 * B));
        let (half, two) = (s.splat(0.5), s.splat(2.0));
        let (inner, inner_odd) = (s.add(m[1], m[2]), s.sub(m[1], m[2]));
        let (outer, outer_odd) = (s.add(m[3], m[4]), s.sub(m[3], m[4]));
        [
            s.add(s.add(m[0], inner), outer),
            s.fma(b, outer_odd, s.mul(a, inner_odd)),
            s.fma(two, outer, s.mul(half, inner)),
            s.fma(two_b, outer_odd, s.fma(half_a, inner_odd, m[5])),
        ]
    }
}

/// Transforms the 6x6 patch at `source` (rows `row` values apart, 16 channels a cell) into 36 planes `plane` values apart.
///
/// # Safety
/// `source` must be readable and `target` writable at those places.
#[inline(always)]
#[allow(clippy::needless_range_loop)] // Rows become columns: indices say it best.
pub(crate) unsafe fn transform_input<S: Simd, T: Stored>(s: S, source: *const f32, row: usize, target: *mut T, plane: usize) {
    // SAFETY: the caller's.
    unsafe {
        for part in (0..16).step_by(S::LANES) {
            let mut columns = [[s.splat(0.0); 6]; 6];
            for x in 0..6 {
                let mut d = [s.splat(0.0); 6];
                for (y, value) in d.iter_mut().enumerate() {
                    *value = s.load(source.add(y * row + x * 16 + part));
                }
                let points = to_points(s, d);
                for y in 0..6 {
                    columns[y][x] = points[y];
                }
            }
            for (y, line) in columns.iter().enumerate() {
                let points = to_points(s, *line);
                for (x, value) in points.iter().enumerate() {
                    T::store(s, target.add((y * 6 + x) * plane + part), *value);
                }
            }
        }
    }
}

/// Transforms 36 planes back into the 4x4 outputs of a tile, 16 channels each, in raster order.
///
/// # Safety
/// `source` must be readable at 16 values in each plane, `target` writable for 256 values.
#[inline(always)]
#[allow(clippy::needless_range_loop)] // As above.
pub(crate) unsafe fn transform_output<S: Simd>(s: S, source: *const f32, plane: usize, target: *mut f32) {
    // SAFETY: the caller's.
    unsafe {
        for part in (0..16).step_by(S::LANES) {
            let mut columns = [[s.splat(0.0); 6]; 4];
            for x in 0..6 {
                let mut m = [s.splat(0.0); 6];
                for (y, value) in m.iter_mut().enumerate() {
                    *value = s.load(source.add((y * 6 + x) * plane + part));
                }
                let outputs = from_points(s, m);
                for y in 0..4 {
                    columns[y][x] = outputs[y];
                }
            }
            for (y, line) in columns.iter().enumerate() {
                let outputs = from_points(s, *line);
                for (x, value) in outputs.iter().enumerate() {
                    s.store(target.add((y * 4 + x) * 16 + part), *value);
                }
            }
        }
    }
}

/// `G`, rows by point.
fn filter_matrix() -> [[f64; 3]; 6] {
    let (a, b) = (0.5f64.sqrt(), 2f64.sqrt());
    let point = |p: f64, scale: f64| [scale, scale * p, scale * p * p];
    let (inner, outer) = (-2.0 / 3.0, 1.0 / 6.0);
    [point(0.0, 1.0), point(a, inner), point(-a, inner), point(b, outer), point(-b, outer), [0.0, 0.0, 1.0]]
}

/// `G g G^T`, computed in float64.
pub(crate) fn transform_filter(g: &[f64; 9]) -> [f64; PLANES] {
    let matrix = filter_matrix();
    let mut columns = [[0.0; 3]; 6];
    for (row, out) in matrix.iter().zip(&mut columns) {
        for x in 0..3 {
            out[x] = row[0] * g[x] + row[1] * g[3 + x] + row[2] * g[6 + x];
        }
    }
    let mut points = [0.0; PLANES];
    for y in 0..6 {
        for (x, row) in matrix.iter().enumerate() {
            points[y * 6 + x] = row[0] * columns[y][0] + row[1] * columns[y][1] + row[2] * columns[y][2];
        }
    }
    points
}

/// Which of the two convolutions of a layer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Direction {
    /// From the layer's inputs to its outputs.
    Forward,
    /// From the gradient of the outputs to the gradient of the inputs: the kernel flipped, its channels exchanged.
    Backward,
}

/// The transformed weights of one 3x3 convolution: 36 matrices `[C_in, C_out]`, each packed in panels.
pub struct Filters {
    /// Channels summed over.
    pub inputs: usize,
    /// Channels made.
    pub outputs: usize,
    pub(crate) panels: Panels,
    pub(crate) data: Data,
}

/// The packed matrices.
pub(crate) enum Data {
    Float32(Store<f32>),
    /// Pairs of k beside each other: `[panel][k/2][panel width][2]`.
    Bfloat16(Store<u16>),
}

impl Filters {
    /// Transforms `weights`, `[outputs, inputs, 3, 3]`, times `scale`, for one direction; `outputs` and `inputs` are the layer's.
    ///
    /// # Panics
    /// If `bfloat16` is asked for without the instructions.
    pub fn new(isa: Isa, pool: &Arc<Pool>, layer: Layer3x3, direction: Direction, scale: f64, bfloat16: bool) -> Self {
        let (k, n) = match direction {
            Direction::Forward => (layer.inputs, layer.outputs),
            Direction::Backward => (layer.outputs, layer.inputs),
        };
        let panels = Panels::new(isa, k, n);
        let length = panels.length() * PLANES;
        let data = if bfloat16 {
            assert!(isa.has_bfloat16(), "bfloat16 products need their instructions");
            let mut data = pool.take::<u16>(length);
            let target = Shared(data.as_mut_ptr());
            let place = |k: usize, n: usize| panels.at_pair(k, n);
            fill(&panels, layer, direction, scale, (target, place), |value| half::bf16::from_f64(value).to_bits());
            Data::Bfloat16(data)
        } else {
            let mut data = pool.take::<f32>(length);
            let target = Shared(data.as_mut_ptr());
            fill(&panels, layer, direction, scale, (target, |k, n| panels.at(k, n)), |value| value as f32);
            Data::Float32(data)
        };
        Self { inputs: k, outputs: n, panels, data }
    }

    /// Bytes of the transformed weights.
    pub fn bytes(&self) -> usize {
        match &self.data {
            Data::Float32(data) => size_of_val(&**data),
            Data::Bfloat16(data) => size_of_val(&**data),
        }
    }
}

/// The weights of a 3x3 convolution as they come: `[outputs, inputs, 3, 3]`.
#[derive(Clone, Copy)]
pub struct Layer3x3<'a> {
    /// The weights.
    pub weights: &'a [f32],
    /// Channels out.
    pub outputs: usize,
    /// Channels in.
    pub inputs: usize,
}

/// Writes the 36 transformed values of every pair of channels, in parallel.
fn fill<T: Copy + Send + Sync>(
    panels: &Panels,
    layer: Layer3x3,
    direction: Direction,
    scale: f64,
    (target, place): (Shared<T>, impl Fn(usize, usize) -> usize + Sync),
    round: impl Fn(f64) -> T + Sync,
) {
    let plane = panels.length();
    let (k_padded, n_padded) = (panels.k_blocks * 16, panels.n_blocks * 16);
    let target = &target;
    (0..k_padded).into_par_iter().for_each(|row| {
        for column in 0..n_padded {
            let (o, i) = if direction == Direction::Forward { (column, row) } else { (row, column) };
            let mut points = [0.0; PLANES];
            if o < layer.outputs && i < layer.inputs {
                let kernel = &layer.weights[(o * layer.inputs + i) * 9..][..9];
                points = transform_filter(&std::array::from_fn(|t| {
                    scale * f64::from(kernel[if direction == Direction::Forward { t } else { 8 - t }])
                }));
            }
            let at = place(row, column);
            for (p, value) in points.iter().enumerate() {
                // SAFETY: inside the buffer, and every (row, column) has a place of its own.
                unsafe { *target.0.add(p * plane + at) = round(*value) };
            }
        }
    });
}
