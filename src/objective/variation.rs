//! Total variation of the canvas.

use candle_core::{DType, Result, Tensor};
use rayon::prelude::*;

use crate::tensor::{HostView, is_host};

/// Values 0..1 are weighed as if they were 0..255, as neural-style does.
const RANGE: f64 = 255.0;

/// `weight * (sum |dx| + sum |dy|)` over the canvas `[3, H, W]` in 0..255, and its gradient with
/// respect to the canvas in 0..1. Where neighbours are equal the gradient is zero, the middle of
/// the subgradients.
///
/// # Errors
/// When the device fails.
pub fn total_variation(canvas: &Tensor, weight: f64) -> Result<(f64, Tensor)> {
    let (_, height, width) = canvas.dims3()?;
    if !is_host(canvas) {
        return on_device(canvas, weight);
    }
    let view = HostView::new(canvas)?;
    let values = view.values();
    let step = (weight * RANGE) as f32;
    let mut gradient = vec![0f32; values.len()];
    // One sum a row, added in order: the value does not depend on threads.
    let rows: Vec<f64> = gradient
        .par_chunks_mut(width.max(1))
        .enumerate()
        .map(|(index, gradient)| {
            let y = index % height;
            let row = &values[index * width..(index + 1) * width];
            let above = (y > 0).then(|| &values[(index - 1) * width..index * width]);
            let below = (y + 1 < height).then(|| &values[(index + 1) * width..(index + 2) * width]);
            let mut sum = 0f64;
            for x in 0..width {
                let here = row[x];
                let mut slope = 0f32;
                if x > 0 {
                    slope += sign(here - row[x - 1]);
                }
                if x + 1 < width {
                    slope += sign(here - row[x + 1]);
                    sum += f64::from((here - row[x + 1]).abs());
                }
                if let Some(above) = above {
                    slope += sign(here - above[x]);
                }
                if let Some(below) = below {
                    slope += sign(here - below[x]);
                    sum += f64::from((here - below[x]).abs());
                }
                gradient[x] = step * slope;
            }
            sum
        })
        .collect();
    Ok((
        weight * RANGE * rows.iter().sum::<f64>(),
        Tensor::from_vec(gradient, canvas.shape(), canvas.device())?,
    ))
}

/// The sum that [`total_variation`] weighs, over the first `rows` rows of `values`, planar `[3, h,
/// width]`: differences to the right within a row, and to the row below where there is one. Canvases
/// in files are measured band by band, each band with the row below it.
pub fn variation_of_rows(values: &[f32], width: usize, rows: usize) -> f64 {
    let width = width.max(1);
    let mut sum = 0.0;
    for plane in values.chunks_exact((values.len() / 3).max(1)) {
        let lines: Vec<&[f32]> = plane.chunks_exact(width).collect();
        for (y, line) in lines.iter().enumerate().take(rows) {
            let difference = |a: &f32, b: &f32| f64::from((a - b).abs());
            sum += line.windows(2).map(|pair| difference(&pair[0], &pair[1])).sum::<f64>();
            if let Some(below) = lines.get(y + 1) {
                sum += line.iter().zip(*below).map(|(a, b)| difference(a, b)).sum::<f64>();
            }
        }
    }
    RANGE * sum
}

fn on_device(canvas: &Tensor, weight: f64) -> Result<(f64, Tensor)> {
    let (_, height, width) = canvas.dims3()?;
    let mut gradient = canvas.zeros_like()?;
    let mut sum = 0f64;
    for (dim, length) in [(1, height), (2, width)] {
        if length < 2 {
            continue;
        }
        let difference =
            (canvas.narrow(dim, 1, length - 1)? - canvas.narrow(dim, 0, length - 1)?)?;
        sum += f64::from(difference.abs()?.sum_all()?.to_scalar::<f32>()?);
        let up = difference.gt(0f32)?.to_dtype(DType::F32)?;
        let down = difference.lt(0f32)?.to_dtype(DType::F32)?;
        let sign = (up - down)?;
        gradient =
            ((gradient + sign.pad_with_zeros(dim, 1, 0)?)? - sign.pad_with_zeros(dim, 0, 1)?)?;
    }
    Ok((weight * RANGE * sum, (gradient * (weight * RANGE))?))
}

/// -1, 0 or 1.
fn sign(value: f32) -> f32 {
    if value > 0.0 {
        1.0
    } else if value < 0.0 {
        -1.0
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    #[test]
    fn both_paths_agree() {
        for (h, w) in [(1, 1), (1, 7), (5, 1), (6, 9)] {
            let noise = crate::random::Noise::new(3);
            let values: Vec<f32> =
                (0..3 * h * w).map(|i| (noise.uniform(i as u64) * 4.0).floor()).collect();
            let canvas = Tensor::from_vec(values, (3, h, w), &Device::Cpu).unwrap();
            let (value, gradient) = total_variation(&canvas, 0.5).unwrap();
            let (other, other_gradient) = on_device(&canvas, 0.5).unwrap();
            assert!((value - other).abs() <= 1e-4 * other.abs());
            let values = canvas.flatten_all().unwrap().to_vec1::<f32>().unwrap();
            // Two bands of rows.
            let band = |top: usize, rows: usize| {
                let below = (rows + 1).min(h - top);
                let part = canvas.narrow(1, top, below).unwrap().flatten_all().unwrap();
                variation_of_rows(&part.to_vec1::<f32>().unwrap(), w, rows)
            };
            let bands =
                band(0, h.div_ceil(2)) + if h > 1 { band(h.div_ceil(2), h / 2) } else { 0.0 };
            for sum in [variation_of_rows(&values, w, h), bands] {
                assert!((value - 0.5 * sum).abs() <= 1e-9 * value.abs(), "{value} and {sum}");
            }
            let (a, b) = (gradient.flatten_all().unwrap(), other_gradient.flatten_all().unwrap());
            assert_eq!(a.to_vec1::<f32>().unwrap(), b.to_vec1::<f32>().unwrap());
        }
    }
}
