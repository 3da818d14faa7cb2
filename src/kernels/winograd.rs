//! The transforms of Winograd's F(4x4, 3x3).
//!
//! A 3x3 convolution computes a 4x4 tile of outputs from a 6x6 patch of inputs. With polynomials
//! evaluated at six points it takes 36 products instead of 144 (Lavin & Gray 2015,
//! arXiv:1509.09308):
//!
//! `Y = A^T [(G g G^T) . (B^T d B)] A`
//!
//! The points here are 0, ±1/sqrt2, ±sqrt2 and infinity: the same operations as with the usual 0,
//! ±1, ±2, but half the rounding error, since the powers of the points stay near one. With a =
//! 1/sqrt2, b = sqrt2 (a^2 b^2 = 1, a^2 + b^2 = 5/2):
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
//! The 36 values of a tile are 36 independent matrix products over the channels, so a layer is 36
//! products `[tiles, C_in] x [C_in, C_out]` between two cheap transforms.

use std::sync::Arc;

use rayon::prelude::*;

use super::buffer::{BufferCache, SharedPointer, Store};
use super::isa::Isa;
use super::map::CHANNEL_BLOCK;
use super::product::Panels;
use super::simd::Simd;
use crate::memory::NoMemory;

/// Products of a tile.
pub(crate) const PLANES: usize = 36;

const A: f32 = std::f32::consts::FRAC_1_SQRT_2;
const B: f32 = std::f32::consts::SQRT_2;

/// How the transformed inputs are stored.
pub(crate) trait StoredValue: Copy {
    /// # Safety
    /// `p` must be writable for `LANES` values.
    unsafe fn store<S: Simd>(s: S, p: *mut Self, v: S::F);
}

impl StoredValue for f32 {
    #[inline(always)]
    unsafe fn store<S: Simd>(s: S, p: *mut f32, v: S::F) {
        // SAFETY: the caller's.
        unsafe { s.store(p, v) }
    }
}

/// The bits of a bfloat16.
impl StoredValue for u16 {
    #[inline(always)]
    unsafe fn store<S: Simd>(s: S, p: *mut u16, v: S::F) {
        // SAFETY: the caller's.
        unsafe { s.store_bfloat16(p, v) }
    }
}

/// Rows `3 HALF .. 3 HALF + 3` of `B^T d`: six inputs to points 0, a, -a or to b, -b, infinity. The
/// two halves share nothing, and one of them leaves registers for a whole patch.
///
/// # Safety
/// The processor must have the instructions of `S`.
#[inline(always)]
unsafe fn to_points<S: Simd, const HALF: usize>(s: S, d: [S::F; 6]) -> [S::F; 3] {
    // SAFETY: the caller's.
    unsafe {
        let five_halves = s.splat(2.5);
        if HALF == 0 {
            let (two, a) = (s.splat(2.0), s.splat(A));
            let (even, odd) = (s.fnma(two, d[2], d[4]), s.fnma(two, d[1], d[3]));
            [
                s.fnma(five_halves, d[2], s.add(d[0], d[4])),
                s.fma(a, odd, even),
                s.fnma(a, odd, even),
            ]
        } else {
            let (half, b) = (s.splat(0.5), s.splat(B));
            let (even, odd) = (s.fnma(half, d[2], d[4]), s.fnma(half, d[1], d[3]));
            [
                s.fma(b, odd, even),
                s.fnma(b, odd, even),
                s.fnma(five_halves, d[3], s.add(d[1], d[5])),
            ]
        }
    }
}

/// Rows `HALF` and `HALF + 2` of `A^T m`: six points to two of the four outputs. The two halves
/// share nothing.
///
/// # Safety
/// The processor must have the instructions of `S`.
#[inline(always)]
unsafe fn from_points<S: Simd, const HALF: usize>(s: S, m: [S::F; 6]) -> [S::F; 2] {
    // SAFETY: the caller's.
    unsafe {
        if HALF == 0 {
            let (inner, outer) = (s.add(m[1], m[2]), s.add(m[3], m[4]));
            [
                s.add(s.add(m[0], inner), outer),
                s.fma(s.splat(2.0), outer, s.mul(s.splat(0.5), inner)),
            ]
        } else {
            let (inner, outer) = (s.sub(m[1], m[2]), s.sub(m[3], m[4]));
            let last = s.fma(s.splat(A / 2.0), inner, m[5]);
            [
                s.fma(s.splat(B), outer, s.mul(s.splat(A), inner)),
                s.fma(s.splat(2.0 * B), outer, last),
            ]
        }
    }
}

/// Transforms the 6x6 patch at `source` (rows `row` values apart, 16 channels a cell) into 36
/// planes `plane` values apart.
///
/// # Safety
/// `source` must be readable and `target` writable at those places.
#[inline(always)]
pub(crate) unsafe fn transform_input<S: Simd, T: StoredValue>(
    s: S,
    source: *const f32,
    row: usize,
    target: *mut T,
    plane: usize,
) {
    for part in (0..16).step_by(S::LANES) {
        // SAFETY: the caller's.
        unsafe {
            let (source, target) = (source.add(part), target.add(part));
            half_input::<S, T, 0>(s, source, row, target, plane);
            half_input::<S, T, 1>(s, source, row, target.add(18 * plane), plane);
        }
    }
}

/// Three of the six rows of planes: few enough for the registers.
///
/// # Safety
/// As [`transform_input`].
#[inline(always)]
#[allow(clippy::needless_range_loop)] // Rows become columns: indices say it best.
unsafe fn half_input<S: Simd, T: StoredValue, const HALF: usize>(
    s: S,
    source: *const f32,
    row: usize,
    target: *mut T,
    plane: usize,
) {
    // SAFETY: the caller's.
    unsafe {
        let mut columns = [[s.splat(0.0); 6]; 3];
        for x in 0..6 {
            let points = to_points::<S, HALF>(
                s,
                std::array::from_fn(|y| s.load(source.add(y * row + x * 16))),
            );
            for y in 0..3 {
                columns[y][x] = points[y];
            }
        }
        for (y, line) in columns.iter().enumerate() {
            let points = [to_points::<S, 0>(s, *line), to_points::<S, 1>(s, *line)];
            for (x, value) in points.as_flattened().iter().enumerate() {
                T::store(s, target.add((y * 6 + x) * plane), *value);
            }
        }
    }
}

/// Transforms 36 planes back into the 4x4 outputs of a tile, 16 channels each, in raster order.
///
/// # Safety
/// `source` must be readable at 16 values in each plane, `target` writable for 256 values.
#[inline(always)]
pub(crate) unsafe fn transform_output<S: Simd>(
    s: S,
    source: *const f32,
    plane: usize,
    target: *mut f32,
) {
    for part in (0..16).step_by(S::LANES) {
        // SAFETY: the caller's.
        unsafe {
            half_output::<S, 0>(s, source.add(part), plane, target.add(part));
            half_output::<S, 1>(s, source.add(part), plane, target.add(4 * 16 + part));
        }
    }
}

/// Two of the four rows of outputs: this one and the second after it.
///
/// # Safety
/// As [`transform_output`].
#[inline(always)]
#[allow(clippy::needless_range_loop)] // As above.
unsafe fn half_output<S: Simd, const HALF: usize>(
    s: S,
    source: *const f32,
    plane: usize,
    target: *mut f32,
) {
    // SAFETY: the caller's.
    unsafe {
        let mut columns = [[s.splat(0.0); 6]; 2];
        for x in 0..6 {
            let outputs = from_points::<S, HALF>(
                s,
                std::array::from_fn(|y| s.load(source.add((y * 6 + x) * plane))),
            );
            for y in 0..2 {
                columns[y][x] = outputs[y];
            }
        }
        for (y, line) in columns.iter().enumerate() {
            let (even, odd) = (from_points::<S, 0>(s, *line), from_points::<S, 1>(s, *line));
            for (x, value) in [even[0], odd[0], even[1], odd[1]].into_iter().enumerate() {
                s.store(target.add((y * 8 + x) * 16), value);
            }
        }
    }
}

/// `G`, rows by point.
fn filter_matrix() -> [[f64; 3]; 6] {
    let (a, b) = (0.5f64.sqrt(), 2f64.sqrt());
    let point = |p: f64, scale: f64| [scale, scale * p, scale * p * p];
    let (inner, outer) = (-2.0 / 3.0, 1.0 / 6.0);
    [
        point(0.0, 1.0),
        point(a, inner),
        point(-a, inner),
        point(b, outer),
        point(-b, outer),
        [0.0, 0.0, 1.0],
    ]
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
            points[y * 6 + x] =
                row[0] * columns[y][0] + row[1] * columns[y][1] + row[2] * columns[y][2];
        }
    }
    points
}

/// Which of the two convolutions of a layer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Direction {
    /// From the layer's inputs to its outputs.
    Forward,
    /// From the gradient of the outputs to the gradient of the inputs: the kernel flipped, its
    /// channels exchanged.
    Backward,
}

/// The transformed weights of one 3x3 convolution: 36 matrices `[C_in, C_out]`, each packed in
/// panels.
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

/// Bytes that [`Filters`] of a layer take in float32, in either direction.
pub fn filter_bytes(inputs: usize, outputs: usize) -> usize {
    let padded = |channels: usize| channels.next_multiple_of(CHANNEL_BLOCK);
    padded(inputs) * padded(outputs) * PLANES * size_of::<f32>()
}

impl Filters {
    /// Transforms `weights`, `[outputs, inputs, 3, 3]`, times `scale`, for one direction; `outputs`
    /// and `inputs` are the layer's.
    ///
    /// # Errors
    /// When there is no memory for them.
    ///
    /// # Panics
    /// If `bfloat16` is asked for without the instructions.
    pub fn new(
        isa: Isa,
        cache: &Arc<BufferCache>,
        layer: Layer3x3,
        direction: Direction,
        scale: f64,
        bfloat16: bool,
    ) -> Result<Self, NoMemory> {
        let (k, n) = match direction {
            Direction::Forward => (layer.inputs, layer.outputs),
            Direction::Backward => (layer.outputs, layer.inputs),
        };
        let panels = Panels::new(isa, k, n);
        let length = panels.length() * PLANES;
        let data = if bfloat16 {
            assert!(isa.has_bfloat16(), "bfloat16 products need their instructions");
            let mut data = cache.take::<u16>(length)?;
            let target = SharedPointer(data.as_mut_ptr());
            let place = |k: usize, n: usize| panels.at_pair(k, n);
            fill(&panels, layer, direction, scale, (target, place), |value| {
                half::bf16::from_f64(value).to_bits()
            });
            Data::Bfloat16(data)
        } else {
            let mut data = cache.take::<f32>(length)?;
            let target = SharedPointer(data.as_mut_ptr());
            fill(&panels, layer, direction, scale, (target, |k, n| panels.at(k, n)), |value| {
                value as f32
            });
            Data::Float32(data)
        };
        Ok(Self { inputs: k, outputs: n, panels, data })
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
    (target, place): (SharedPointer<T>, impl Fn(usize, usize) -> usize + Sync),
    round: impl Fn(f64) -> T + Sync,
) {
    let plane = panels.length();
    let (k_padded, n_padded) = (panels.k_blocks * 16, panels.n_blocks * 16);
    let target = &target;
    (0..k_padded).into_par_iter().for_each(|row| {
        for column in 0..n_padded {
            let (o, i) =
                if direction == Direction::Forward { (column, row) } else { (row, column) };
            let mut points = [0.0; PLANES];
            if o < layer.outputs && i < layer.inputs {
                let kernel = &layer.weights[(o * layer.inputs + i) * 9..][..9];
                points = transform_filter(&std::array::from_fn(|t| {
                    scale
                        * f64::from(kernel[if direction == Direction::Forward { t } else { 8 - t }])
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
