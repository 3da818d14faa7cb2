//! The few vector operations that optimisers are made of.
//!
//! On the host they run in parallel over chunks of fixed length whose partial sums are added in
//! order, so results do not depend on the number of threads. On CUDA devices they are kernels of
//! our own, which do the same; on others, candle's operations.

use candle_core::{DType, Result, Tensor};
use rayon::prelude::*;

use crate::tensor::{HostView, host_views, is_host};

/// Elements in a chunk: three of them and a fourth passing by fit a 256 KiB second-level cache.
const CHUNK: usize = 8192;
/// Independent partial sums in a dot product.
const LANES: usize = 16;

/// All products `lefts[i] . rights[j]`, in float64: `table[i][j]`.
///
/// # Errors
/// When shapes or devices differ.
pub fn dots(lefts: &[&Tensor], rights: &[&Tensor]) -> Result<Vec<Vec<f64>>> {
    #[cfg(feature = "cuda")]
    if let Some(cuda) = cuda(lefts.iter().chain(rights).copied())? {
        return cuda.dots(lefts, rights);
    }
    if !lefts.iter().chain(rights).all(|t| is_host(t)) {
        return lefts.iter().map(|l| rights.iter().map(|r| device_dot(l, r)).collect()).collect();
    }
    let (left_views, right_views) = (host_views(lefts)?, host_views(rights)?);
    let (ls, rs) = (slices(&left_views), slices(&right_views));
    let length = ls.iter().chain(&rs).map(|s| s.len()).min().unwrap_or(0);
    let partial: Vec<Vec<f64>> = (0..length.div_ceil(CHUNK))
        .into_par_iter()
        .map(|chunk| {
            let range = chunk * CHUNK..length.min((chunk + 1) * CHUNK);
            let mut sums = Vec::with_capacity(ls.len() * rs.len());
            for left in &ls {
                sums.extend(
                    rs.iter().map(|right| dot(&left[range.clone()], &right[range.clone()])),
                );
            }
            sums
        })
        .collect();
    let mut table = vec![vec![0f64; rs.len()]; ls.len()];
    for sums in &partial {
        for (row, sums) in table.iter_mut().zip(sums.chunks(rs.len().max(1))) {
            for (total, sum) in row.iter_mut().zip(sums) {
                *total += sum;
            }
        }
    }
    Ok(table)
}

/// `base + sum of factor * vector`, in float32 and in the order given.
///
/// # Errors
/// When shapes or devices differ.
pub fn combine(base: &Tensor, terms: &[(f64, &Tensor)]) -> Result<Tensor> {
    #[cfg(feature = "cuda")]
    if let Some(cuda) = cuda(terms.iter().map(|(_, vector)| *vector).chain([base]))? {
        return cuda.combine(base, terms);
    }
    if !is_host(base) {
        return terms
            .iter()
            .try_fold(base.clone(), |sum, (factor, vector)| sum + (*vector * *factor)?);
    }
    let base_view = HostView::new(base)?;
    let vectors: Vec<&Tensor> = terms.iter().map(|(_, vector)| *vector).collect();
    let views = host_views(&vectors)?;
    let vectors = slices(&views);
    let mut sum = base_view.values().to_vec();
    sum.par_chunks_mut(CHUNK).enumerate().for_each(|(chunk, sum)| {
        let start = chunk * CHUNK;
        for ((factor, _), vector) in terms.iter().zip(&vectors) {
            let factor = *factor as f32;
            for (s, v) in sum.iter_mut().zip(&vector[start..]) {
                *s += factor * v;
            }
        }
    });
    Tensor::from_vec(sum, base.shape(), base.device())
}

/// `factor * vector`.
///
/// # Errors
/// When the device fails.
pub fn scale(vector: &Tensor, factor: f64) -> Result<Tensor> {
    if !is_host(vector) {
        return vector * factor;
    }
    let view = HostView::new(vector)?;
    let factor = factor as f32;
    let scaled: Vec<f32> =
        view.values().par_iter().with_min_len(CHUNK).map(|v| factor * v).collect();
    Tensor::from_vec(scaled, vector.shape(), vector.device())
}

/// Mean of the magnitudes.
///
/// # Errors
/// When the device fails.
pub fn mean_magnitude(vector: &Tensor) -> Result<f64> {
    let count = vector.elem_count().max(1) as f64;
    if !is_host(vector) {
        return Ok(
            f64::from(vector.abs()?.sum_all()?.to_dtype(DType::F32)?.to_scalar::<f32>()?) / count
        );
    }
    let view = HostView::new(vector)?;
    let sums: Vec<f64> = view
        .values()
        .par_chunks(CHUNK)
        .map(|c| c.iter().map(|v| f64::from(v.abs())).sum())
        .collect();
    Ok(sums.iter().sum::<f64>() / count)
}

/// The kernels of the CUDA device that all these float32 vectors are on, if they are on one.
#[cfg(feature = "cuda")]
fn cuda<'a>(
    mut vectors: impl Iterator<Item = &'a Tensor>,
) -> Result<Option<crate::kernels::cuda::Cuda>> {
    let Some(first) = vectors.next().filter(|first| first.device().is_cuda()) else {
        return Ok(None);
    };
    let alike = |vector: &Tensor| {
        vector.device().same_device(first.device())
            && vector.dtype() == DType::F32
            && vector.is_contiguous()
            && vector.dims() == first.dims()
    };
    if alike(first) && vectors.all(alike) {
        crate::kernels::cuda::Cuda::on(first.device()).map(Some)
    } else {
        Ok(None)
    }
}

fn device_dot(left: &Tensor, right: &Tensor) -> Result<f64> {
    Ok(f64::from((left * right)?.sum_all()?.to_dtype(DType::F32)?.to_scalar::<f32>()?))
}

fn slices<'a>(views: &'a [HostView<'_>]) -> Vec<&'a [f32]> {
    views.iter().map(HostView::values).collect()
}

/// A dot product in float64. The product of two float32 is exact in float64, so it is the same with
/// and without fused multiply-add.
fn dot(left: &[f32], right: &[f32]) -> f64 {
    let mut lanes = [0f64; LANES];
    let (lefts, left_rest) = left.as_chunks::<LANES>();
    let (rights, right_rest) = right.as_chunks::<LANES>();
    for (l, r) in lefts.iter().zip(rights) {
        for i in 0..LANES {
            lanes[i] += f64::from(l[i]) * f64::from(r[i]);
        }
    }
    let rest: f64 =
        left_rest.iter().zip(right_rest).map(|(l, r)| f64::from(*l) * f64::from(*r)).sum();
    lanes.iter().sum::<f64>() + rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    fn vector(seed: u64, length: usize) -> Tensor {
        let noise = crate::random::Noise::new(seed);
        let values: Vec<f32> = (0..length as u64).map(|i| noise.normal(i)).collect();
        Tensor::from_vec(values, length, &Device::Cpu).expect("a vector")
    }

    #[test]
    fn dots_and_combinations_agree_with_plain_sums() {
        for length in [1, 15, 16, 17, CHUNK - 1, CHUNK, 3 * CHUNK + 5] {
            let (a, b, c) = (vector(1, length), vector(2, length), vector(3, length));
            let plain = |x: &Tensor, y: &Tensor| -> f64 {
                let (x, y) = (x.to_vec1::<f32>().unwrap(), y.to_vec1::<f32>().unwrap());
                x.iter().zip(&y).map(|(p, q)| f64::from(*p) * f64::from(*q)).sum()
            };
            let table = dots(&[&a, &b], &[&b, &c]).unwrap();
            for (i, l) in [&a, &b].into_iter().enumerate() {
                for (j, r) in [&b, &c].into_iter().enumerate() {
                    assert!((table[i][j] - plain(l, r)).abs() <= 1e-9 * length as f64);
                }
            }
            let sum = combine(&a, &[(0.5, &b), (-2.0, &c)]).unwrap().to_vec1::<f32>().unwrap();
            let (a, b, c) = (
                a.to_vec1::<f32>().unwrap(),
                b.to_vec1::<f32>().unwrap(),
                c.to_vec1::<f32>().unwrap(),
            );
            for i in 0..length {
                assert!((sum[i] - (a[i] + 0.5 * b[i] - 2.0 * c[i])).abs() < 1e-5);
            }
        }
    }

    #[test]
    fn threads_do_not_change_a_bit() {
        let (a, b) = (vector(1, 10 * CHUNK + 77), vector(2, 10 * CHUNK + 77));
        let with = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                (dots(&[&a], &[&b]).unwrap()[0][0].to_bits(), mean_magnitude(&a).unwrap().to_bits())
            })
        };
        assert_eq!(with(1), with(2));
        assert_eq!(with(1), with(3));
    }
}
