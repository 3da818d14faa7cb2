//! The Gaussian Wasserstein distance between the features of two images at one tap.
//!
//! The features are taken as samples of a Gaussian with mean `mu` and covariance `Sigma`. The
//! squared 2-Wasserstein distance between two Gaussians is (Dowson & Landau 1982; Olkin &
//! Pukelsheim 1982)
//!
//! ```text
//! d2 = |mu - mu*|^2 + tr Sigma + tr Sigma* - 2 tr (L^T Sigma L)^(1/2)        Sigma* = L L^T
//! ```
//!
//! and the optimal transport map from the canvas's Gaussian to the style's is `F -> mu* + T (F -
//! mu)` with `T = L (L^T Sigma L)^(-1/2) L^T`. With `n` cells, `dd2/dF_i = 2/n [(I - T)(F_i - mu) +
//! mu - mu*]`: a matrix and an offset that are the same at every cell.
//!
//! For channels that do not depend on each other this is the term of means and deviations (Galerne
//! et al. 2024); to those it adds every correlation, and unlike the difference of Gram matrices it
//! is a metric.

use faer::linalg::matmul::triangular;
use faer::linalg::matmul::triangular::BlockStructure;
use faer::{Accum, Mat, MatRef, Par, Side};

/// Added to the diagonals of both covariances, as a part of the style's mean square at the tap: a
/// covariance of fewer cells than channels, or of a channel that is always zero, has no inverse.
const RELATIVE_EPSILON: f64 = 1e-5;

/// Eigenvalues of `L^T Sigma L` count as at least this part of the square of what is added to the
/// diagonals, below which they are rounding.
const LEAST_EIGENVALUE: f64 = 1e-3;

/// A style's Gaussian at one tap, prepared for many comparisons.
#[derive(Clone, Debug)]
pub struct GaussianTarget {
    mean: Vec<f64>,
    /// Lower triangular, `[C, C]`: `factor factor^T` is the covariance. Missing where that is not
    /// finite.
    factor: Option<Mat<f64>>,
    /// Trace of the covariance.
    trace: f64,
    /// What is added to the diagonals of covariances.
    epsilon: f64,
    /// The style's mean square at the tap, which is the unit of the distance.
    unit: f64,
}

/// A distance and its derivative with respect to the canvas's features.
pub struct Transport {
    /// `d2 / C`, over the style's mean square at the tap.
    pub distance: f64,
    /// `matrix F + offset` is the gradient of `distance` at a cell times the number of cells:
    /// `[C, C]`, row-major, symmetric.
    pub matrix: Vec<f64>,
    /// `[C]`.
    pub offset: Vec<f64>,
}

impl GaussianTarget {
    /// Prepares the Gaussian with the second moments `mean(F F^T)`, `[C, C]` row-major, and the
    /// means, `[C]`. The distance from moments that are not finite is not a number.
    pub fn new(second_moments: &[f64], mean: &[f64]) -> Self {
        let channels = mean.len();
        let square = (0..channels).map(|i| second_moments[i * channels + i]).sum::<f64>();
        let unit = if square == 0.0 { 1.0 } else { square / channels as f64 };
        let covariance = covariance(second_moments, mean, RELATIVE_EPSILON * unit);
        Self::of(covariance, mean.to_vec(), unit)
    }

    /// Where the map `F -> matrix F + offset` carries a Gaussian with these second moments and
    /// means, measured in the unit of `self`. `matrix` is `[C, C]`, row-major, `offset` `[C]`.
    pub fn transported(
        &self,
        second_moments: &[f64],
        mean: &[f64],
        matrix: &[f64],
        offset: &[f64],
    ) -> Self {
        let (channels, full) = (mean.len(), BlockStructure::Rectangular);
        let there = matrix
            .chunks(channels.max(1))
            .zip(offset)
            .map(|(row, offset)| row.iter().zip(mean).map(|(m, x)| m * x).sum::<f64>() + offset)
            .collect();
        let here = covariance(second_moments, mean, self.epsilon);
        let map = MatRef::from_row_major_slice(matrix, channels, channels);
        let (mut half, mut carried) =
            (Mat::zeros(channels, channels), Mat::zeros(channels, channels));
        multiply(half.as_mut(), full, (map, full), (here.as_ref(), full), 1.0);
        multiply(carried.as_mut(), full, (half.as_ref(), full), (map.transpose(), full), 1.0);
        Self::of(carried, there, self.unit)
    }

    /// With a covariance whose diagonal was added to.
    fn of(covariance: Mat<f64>, mean: Vec<f64>, unit: f64) -> Self {
        let epsilon = RELATIVE_EPSILON * unit;
        let trace = (0..mean.len()).map(|i| covariance[(i, i)]).sum();
        let factor =
            root(covariance.as_ref()).or_else(|| root(raised(covariance, epsilon)?.as_ref()));
        Self { mean, factor, trace, epsilon, unit }
    }

    /// Channels of the tap.
    pub fn channels(&self) -> usize {
        self.mean.len()
    }

    /// The style's mean square at the tap: the unit of the distance. 1 for an image without any
    /// feature there, which has no scale to measure in.
    pub fn unit(&self) -> f64 {
        self.unit
    }

    /// The distance from a canvas with these second moments and means. Not a number where those are
    /// none.
    pub fn distance_from(&self, second_moments: &[f64], mean: &[f64]) -> Transport {
        let channels = self.channels();
        let canvas = covariance(second_moments, mean, self.epsilon);
        let trace: f64 = (0..channels).map(|i| canvas[(i, i)]).sum();
        let Some((root_trace, map)) = self.transport(canvas.as_ref()) else {
            return Transport {
                distance: f64::NAN,
                matrix: vec![0.0; channels * channels],
                offset: vec![0.0; channels],
            };
        };
        let shift: Vec<f64> =
            mean.iter().zip(&self.mean).map(|(here, there)| here - there).collect();
        let shift_square: f64 = shift.iter().map(|d| d * d).sum();
        let per_value = 1.0 / (channels as f64 * self.unit);
        let step = 2.0 * per_value;
        let mut matrix = vec![0.0; channels * channels];
        let mut offset = Vec::with_capacity(channels);
        for i in 0..channels {
            let row = &mut matrix[i * channels..(i + 1) * channels];
            for (j, value) in row.iter_mut().enumerate() {
                // Only the lower triangle of the map was computed.
                *value = -step * map[(i.max(j), i.min(j))];
            }
            row[i] += step;
            let moved: f64 = row.iter().zip(mean).map(|(value, mean)| value * mean).sum();
            offset.push(step * shift[i] - moved);
        }
        let distance = per_value * (shift_square + trace + self.trace - 2.0 * root_trace);
        Transport { distance, matrix, offset }
    }

    /// The trace of `(L^T Sigma L)^(1/2)`, and the lower triangle of the transport map.
    fn transport(&self, canvas: MatRef<'_, f64>) -> Option<(f64, Mat<f64>)> {
        let channels = self.channels();
        let (full, lower) = (BlockStructure::Rectangular, BlockStructure::TriangularLower);
        let upper = BlockStructure::TriangularUpper;
        let factor = self.factor.as_ref()?.as_ref();
        let mut half = Mat::zeros(channels, channels);
        multiply(half.as_mut(), full, (canvas, full), (factor, lower), 1.0);
        let mut product = Mat::zeros(channels, channels);
        multiply(product.as_mut(), lower, (factor.transpose(), upper), (half.as_ref(), full), 1.0);
        let eigen = product.self_adjoint_eigen(Side::Lower).ok()?;
        let least = LEAST_EIGENVALUE * self.epsilon * self.epsilon;
        let values: Vec<f64> =
            eigen.S().column_vector().iter().map(|value| value.max(least)).collect();
        let root_trace: f64 = values.iter().map(|value| value.sqrt()).sum();
        // T = W W^T with W = L U D^(-1/4).
        let mut vectors = eigen.U().to_owned();
        for (j, value) in values.iter().enumerate() {
            let scale = value.powf(-0.25);
            vectors.col_mut(j).iter_mut().for_each(|entry| *entry *= scale);
        }
        let mut half = half;
        multiply(half.as_mut(), full, (factor, lower), (vectors.as_ref(), full), 1.0);
        let mut map = product;
        let half = half.as_ref();
        multiply(map.as_mut(), lower, (half, full), (half.transpose(), full), 1.0);
        root_trace.is_finite().then_some((root_trace, map))
    }
}

/// The lower triangular `L` of `covariance = L L^T`.
fn root(covariance: MatRef<'_, f64>) -> Option<Mat<f64>> {
    covariance.llt(Side::Lower).ok().map(|cholesky| cholesky.L().to_owned())
}

/// `covariance` with no eigenvalue below `least`: moments that were summed in float32 may be off by
/// more than what was added to the diagonal.
fn raised(covariance: Mat<f64>, least: f64) -> Option<Mat<f64>> {
    let eigen = covariance.self_adjoint_eigen(Side::Lower).ok()?;
    let mut vectors = eigen.U().to_owned();
    for (j, value) in eigen.S().column_vector().iter().enumerate() {
        let scale = value.max(least).sqrt();
        vectors.col_mut(j).iter_mut().for_each(|entry| *entry *= scale);
    }
    let (mut product, full) = (covariance, BlockStructure::Rectangular);
    let vectors = vectors.as_ref();
    multiply(product.as_mut(), full, (vectors, full), (vectors.transpose(), full), 1.0);
    Some(product)
}

/// `into = scale a b`, where only parts of the matrices are looked at or written. One thread: taps
/// are compared side by side.
fn multiply(
    into: faer::MatMut<'_, f64>,
    structure: BlockStructure,
    a: (MatRef<'_, f64>, BlockStructure),
    b: (MatRef<'_, f64>, BlockStructure),
    scale: f64,
) {
    triangular::matmul(into, structure, Accum::Replace, a.0, a.1, b.0, b.1, scale, Par::Seq);
}

/// `mean(F F^T) - mu mu^T + epsilon I`.
fn covariance(second_moments: &[f64], mean: &[f64], epsilon: f64) -> Mat<f64> {
    let channels = mean.len();
    Mat::from_fn(channels, channels, |i, j| {
        let added = if i == j { epsilon } else { 0.0 };
        second_moments[i * channels + j] - mean[i] * mean[j] + added
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Noise;

    /// Features `[C, n]` and their second moments and means.
    struct Features {
        channels: usize,
        values: Vec<f64>,
    }

    impl Features {
        fn random(seed: u64, channels: usize, cells: usize) -> Self {
            let noise = Noise::new(seed);
            let values = (0..channels * cells).map(|i| {
                let own = f64::from(noise.normal(i as u64));
                let shared = f64::from(noise.normal((1 << 40) + (i % cells) as u64));
                3.0 + own + 0.7 * shared * (1 + i / cells) as f64
            });
            Self { channels, values: values.collect() }
        }

        fn cells(&self) -> usize {
            self.values.len() / self.channels
        }

        fn moments(&self) -> (Vec<f64>, Vec<f64>) {
            let cells = self.cells();
            let row = |i: usize| &self.values[i * cells..(i + 1) * cells];
            let mean = (0..self.channels).map(|i| row(i).iter().sum::<f64>() / cells as f64);
            let product =
                |i, j| row(i).iter().zip(row(j)).map(|(a, b)| a * b).sum::<f64>() / cells as f64;
            let second = (0..self.channels * self.channels)
                .map(|at| product(at / self.channels, at % self.channels));
            (second.collect(), mean.collect())
        }

        fn target(&self) -> GaussianTarget {
            let (second, mean) = self.moments();
            GaussianTarget::new(&second, &mean)
        }

        fn distance(&self, target: &GaussianTarget) -> Transport {
            let (second, mean) = self.moments();
            target.distance_from(&second, &mean)
        }

        fn gradient(&self, transport: &Transport) -> Vec<f64> {
            let (channels, cells) = (self.channels, self.cells());
            let at = |i: usize, cell: usize| self.values[i * cells + cell];
            let mut gradient = Vec::with_capacity(channels * cells);
            for i in 0..channels {
                for cell in 0..cells {
                    let row = &transport.matrix[i * channels..(i + 1) * channels];
                    let moved: f64 = row.iter().enumerate().map(|(j, m)| m * at(j, cell)).sum();
                    gradient.push((moved + transport.offset[i]) / cells as f64);
                }
            }
            gradient
        }
    }

    #[test]
    fn independent_channels_differ_by_means_and_deviations() {
        let (means, deviations) = ([1.0, -2.0, 0.5], [2.0, 0.5, 3.0]);
        let moments = |means: &[f64], deviations: &[f64]| {
            let entry = |at: usize| {
                let (i, j) = (at / 3, at % 3);
                means[i] * means[j] + if i == j { deviations[i] * deviations[i] } else { 0.0 }
            };
            (0..9).map(entry).collect::<Vec<f64>>()
        };
        let (other_means, other_deviations) = ([0.0, 1.0, 0.5], [1.0, 1.0, 3.5]);
        let second = moments(&other_means, &other_deviations);
        let unit = (second[0] + second[4] + second[8]) / 3.0;
        let target = GaussianTarget::new(&second, &other_means);
        let found = target.distance_from(&moments(&means, &deviations), &means).distance;
        let square = |a: [f64; 3], b: [f64; 3]| -> f64 {
            a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum()
        };
        let expected =
            (square(means, other_means) + square(deviations, other_deviations)) / (3.0 * unit);
        assert!((found / expected - 1.0).abs() < 1e-4, "{found} for {expected}");
    }

    #[test]
    fn the_map_carries_one_covariance_to_the_other() {
        let (canvas, style) = (Features::random(1, 6, 40), Features::random(2, 6, 50));
        let target = style.target();
        let (second, mean) = canvas.moments();
        let covariance = covariance(&second, &mean, target.epsilon);
        let (_, map) = target.transport(covariance.as_ref()).expect("finite");
        let map = Mat::from_fn(6, 6, |i, j: usize| map[(i.max(j), i.min(j))]);
        let carried = &map * &covariance * &map;
        let factor = target.factor.as_ref().expect("finite");
        let there = factor * factor.transpose();
        assert!((&carried - &there).norm_l2() < 1e-9 * there.norm_l2());
    }

    /// The canvas's cells in parts, each drawn to where the whole's transport carries it.
    #[test]
    fn the_distances_of_parts_to_their_shares_bound_that_of_the_whole() {
        let (channels, cells) = (5, 60);
        let (canvas, style) =
            (Features::random(11, channels, cells), Features::random(12, channels, 50));
        let (target, whole) = (style.target(), canvas.distance(&style.target()));
        // `I - T`, and the offset of `F - T F`, from the gradient.
        let scale = -(channels as f64) * target.unit() / 2.0;
        let mut map: Vec<f64> = whole.matrix.iter().map(|m| m * scale).collect();
        (0..channels).for_each(|i| map[i * channels + i] += 1.0);
        let shift: Vec<f64> = whole.offset.iter().map(|o| o * scale).collect();
        let part = |features: &Features, from: usize, to: usize| {
            let rows = features.values.chunks(cells).flat_map(|row| row[from..to].to_vec());
            Features { channels, values: rows.collect() }
        };
        let parts = [(0, 4), (4, 30), (30, 60)];
        let shares = parts.map(|(from, to)| {
            let (second, mean) = part(&canvas, from, to).moments();
            target.transported(&second, &mean, &map, &shift)
        });
        let summed = |features: &Features| -> f64 {
            let one = |(&(from, to), share): (&(usize, usize), &GaussianTarget)| {
                part(features, from, to).distance(share).distance * (to - from) as f64
            };
            parts.iter().zip(&shares).map(one).sum::<f64>() / cells as f64
        };
        assert!((summed(&canvas) / whole.distance - 1.0).abs() < 1e-4);
        for (seed, reach) in [(13, 0.1), (14, 1.0), (15, 10.0)] {
            let noise = Noise::new(seed);
            let at = canvas.values.iter().enumerate();
            let values = at.map(|(i, v)| v + reach * f64::from(noise.normal(i as u64))).collect();
            let moved = Features { channels, values };
            let (bound, distance) = (summed(&moved), moved.distance(&target).distance);
            assert!(distance < bound, "{reach}: {distance} and {bound}");
        }
    }

    #[test]
    fn the_gradient_is_that_of_central_differences() {
        let mut canvas = Features::random(3, 4, 9);
        let target = Features::random(4, 4, 12).target();
        let gradient = canvas.gradient(&canvas.distance(&target));
        for (at, found) in gradient.iter().enumerate() {
            let value = canvas.values[at];
            let step = 1e-5;
            canvas.values[at] = value + step;
            let above = canvas.distance(&target).distance;
            canvas.values[at] = value - step;
            let below = canvas.distance(&target).distance;
            canvas.values[at] = value;
            let expected = (above - below) / (2.0 * step);
            assert!((found - expected).abs() < 1e-7, "{} for {expected}", found);
        }
    }

    #[test]
    fn a_picture_is_at_no_distance_from_itself() {
        for (channels, cells) in [(5, 40), (8, 3), (1, 1)] {
            let picture = Features::random(5, channels, cells);
            let transport = picture.distance(&picture.target());
            assert!(transport.distance.abs() < 1e-12, "{}", transport.distance);
            assert!(picture.gradient(&transport).iter().all(|g| g.abs() < 1e-6));
        }
    }

    #[test]
    fn flat_pictures_and_dead_channels_have_finite_distances() {
        let flat = |value: f64, channels| Features { channels, values: vec![value; channels * 6] };
        let mut dead = Features::random(6, 5, 8);
        dead.values[8..16].fill(0.0);
        let pictures = [
            Features::random(7, 5, 30),
            Features::random(8, 5, 3),
            flat(0.0, 5),
            flat(2.5, 5),
            dead,
        ];
        for style in &pictures {
            let target = style.target();
            for canvas in &pictures {
                let transport = canvas.distance(&target);
                let gradient = canvas.gradient(&transport);
                assert!(transport.distance.is_finite() && transport.distance > -1e-9);
                assert!(gradient.iter().all(|g| g.is_finite()));
            }
        }
    }

    #[test]
    fn what_is_not_finite_is_not_hidden() {
        let style = Features::random(9, 3, 10);
        let target = style.target();
        let (mut second, mean) = style.moments();
        second[4] = f64::NAN;
        assert!(target.distance_from(&second, &mean).distance.is_nan());
        let (fine, mean) = style.moments();
        assert!(GaussianTarget::new(&second, &mean).distance_from(&fine, &mean).distance.is_nan());
    }
}
