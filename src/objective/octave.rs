//! Halving a canvas, and bringing a gradient back from the half.
//!
//! Taps of deep layers see strokes from so far that half the resolution serves them: the loss is
//! then a sum over octaves, `sum_k loss_k(D^k x)` with `D` the mean of 2x2 px (Snelgrove 2017,
//! Gonthier et al. 2020). The last row and column of an odd side are means of what there is.

use candle_core::{Result, Tensor};

/// Width or height of a side after halving, px.
pub fn halved_side(side: usize) -> usize {
    side.div_ceil(2)
}

/// A side, px, halved some times.
pub fn side_at(side: usize, octave: usize) -> usize {
    (0..octave).fold(side, |side, _| halved_side(side))
}

/// Width and height, px, halved some times.
pub fn size_at((width, height): (usize, usize), octave: usize) -> (usize, usize) {
    (side_at(width, octave), side_at(height, octave))
}

/// The means of 2x2 px of `canvas`, float32 `[3, H, W]`.
///
/// # Errors
/// When the device fails.
pub fn halved(canvas: &Tensor) -> Result<Tensor> {
    let (_, height, width) = canvas.dims3()?;
    let even = canvas.pad_with_same(1, 0, height % 2)?.pad_with_same(2, 0, width % 2)?;
    even.unsqueeze(0)?.avg_pool2d(2)?.squeeze(0)
}

/// The adjoint of [`halved`]: the gradient at a canvas of `size` (width, height) px from the one at
/// its half.
///
/// # Errors
/// When the device fails.
pub fn spread(gradient: &Tensor, (width, height): (usize, usize)) -> Result<Tensor> {
    let (_, rows, columns) = gradient.dims3()?;
    let quarters = (gradient * 0.25)?.unsqueeze(0)?;
    let even = quarters.upsample_nearest2d(2 * rows, 2 * columns)?.squeeze(0)?;
    folded(&folded(&even, 1, height)?, 2, width)
}

/// What lies beyond `length` along `axis`, one row or column at most, added to the last one.
fn folded(tensor: &Tensor, axis: usize, length: usize) -> Result<Tensor> {
    if tensor.dim(axis)? == length {
        return Ok(tensor.clone());
    }
    let last = (tensor.narrow(axis, length - 1, 1)? + tensor.narrow(axis, length, 1)?)?;
    Tensor::cat(&[&tensor.narrow(axis, 0, length - 1)?, &last], axis)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Noise;
    use candle_core::Device;

    fn random(seed: u64, (width, height): (usize, usize)) -> Tensor {
        let noise = Noise::new(seed);
        let values: Vec<f32> = (0..3 * width * height).map(|i| noise.normal(i as u64)).collect();
        Tensor::from_vec(values, (3, height, width), &Device::Cpu).unwrap()
    }

    fn dot(a: &Tensor, b: &Tensor) -> f64 {
        f64::from((a * b).unwrap().sum_all().unwrap().to_scalar::<f32>().unwrap())
    }

    #[test]
    fn a_half_is_means_of_what_there_is() {
        let values: Vec<f32> = (0..3).flat_map(|_| [1.0, 2.0, 5.0, 3.0, 6.0, 7.0]).collect();
        let canvas = Tensor::from_vec(values, (3, 2, 3), &Device::Cpu).unwrap();
        let half = halved(&canvas).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
        assert_eq!(half, [3.0, 6.0, 3.0, 6.0, 3.0, 6.0]);
        assert_eq!(size_at((613, 457), 2), (154, 115));
    }

    #[test]
    fn gradients_come_back_by_the_adjoint() {
        for size in [(8, 6), (7, 6), (8, 5), (7, 5), (1, 1), (2, 1), (33, 17)] {
            let (canvas, gradient) = (random(1, size), random(2, size_at(size, 1)));
            let (there, back) = (
                dot(&halved(&canvas).unwrap(), &gradient),
                dot(&canvas, &spread(&gradient, size).unwrap()),
            );
            assert!(
                (there - back).abs() < 1e-4 * (1.0 + there.abs()),
                "{size:?}: {there} and {back}"
            );
        }
    }
}
