//! The style terms: targets, values, and the gradient at a tap.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use candle_core::{D, DType, Device, Tensor};
use rayon::prelude::*;

use super::spec::Spec;
use super::wasserstein::GaussianTarget;
use crate::network::{Layer, Moments, NetworkError};

/// Added to a channel's variance before the root. A channel that is zero everywhere has deviation
/// 0, where the root has no gradient; deviations of living channels are of the order 10 to 1000 and
/// do not feel it.
const VARIANCE_EPSILON: f64 = 1e-6;

/// Means of `F F^T`, `[C, C]`, and of `F`, `[C]`, over some cells of a tap, float64, and how many
/// cells these are.
pub type Means = (Tensor, Tensor, f64);

/// The statistics of an image at one tap, float64.
#[derive(Clone, Debug)]
pub struct TapStatistics {
    /// `mean(F F^T)` over the cells, `[C, C]`.
    pub gram: Tensor,
    /// Channel means, `[C]`.
    pub mean: Tensor,
    /// Channel deviations, `[C]`.
    pub deviation: Tensor,
    /// The same as a Gaussian that canvases are compared with, made when first needed.
    gaussian: Arc<OnceLock<GaussianTarget>>,
}

impl TapStatistics {
    /// Of a Gram matrix, `[C, C]`, channel means and channel deviations, `[C]`, float64.
    pub fn new(gram: Tensor, mean: Tensor, deviation: Tensor) -> Self {
        Self { gram, mean, deviation, gaussian: Arc::default() }
    }

    /// As a Gaussian to compare canvases with.
    pub(super) fn gaussian(&self) -> candle_core::Result<&GaussianTarget> {
        if let Some(gaussian) = self.gaussian.get() {
            return Ok(gaussian);
        }
        let gaussian = GaussianTarget::new(&host_values(&self.gram)?, &host_values(&self.mean)?);
        Ok(self.gaussian.get_or_init(|| gaussian))
    }

    /// From sums over all cells of an image.
    ///
    /// # Errors
    /// When the device fails.
    pub fn from_moments(moments: &Moments) -> Result<Self, NetworkError> {
        let (gram, mean) = moments.means()?;
        let channels = mean.elem_count();
        // The Gram matrix's diagonal is the mean square of each channel.
        let index = Tensor::from_vec(
            (0..channels as u32).collect::<Vec<_>>(),
            (channels, 1),
            gram.device(),
        )?;
        let square = gram.gather(&index, D::Minus1)?.squeeze(1)?;
        let variance = (square - mean.sqr()?)?.relu()?;
        let deviation = (variance + VARIANCE_EPSILON)?.sqrt()?;
        Ok(Self::new(gram, mean, deviation))
    }

    /// The same statistics on another device.
    ///
    /// # Errors
    /// When the device fails.
    pub fn to_device(&self, device: &Device) -> candle_core::Result<Self> {
        let gram = self.gram.to_device(device)?;
        let (mean, deviation) = (self.mean.to_device(device)?, self.deviation.to_device(device)?);
        Ok(Self { gram, mean, deviation, gaussian: Arc::clone(&self.gaussian) })
    }

    fn scaled(&self, factor: f64) -> candle_core::Result<Self> {
        let scaled = |tensor: &Tensor| tensor * factor;
        Ok(Self::new(scaled(&self.gram)?, scaled(&self.mean)?, scaled(&self.deviation)?))
    }

    fn plus(&self, other: &Self) -> candle_core::Result<Self> {
        Ok(Self::new(
            (&self.gram + &other.gram)?,
            (&self.mean + &other.mean)?,
            (&self.deviation + &other.deviation)?,
        ))
    }
}

/// What the style terms pull towards: the statistics of a style image, or a blend of several.
#[derive(Clone, Debug, Default)]
pub struct StyleTargets {
    /// By tap.
    pub taps: BTreeMap<Layer, TapStatistics>,
}

impl StyleTargets {
    /// The same targets on another device.
    ///
    /// # Errors
    /// When the device fails.
    pub fn to_device(&self, device: &Device) -> Result<Self, NetworkError> {
        let taps =
            self.taps.iter().map(|(layer, statistics)| Ok((*layer, statistics.to_device(device)?)));
        Ok(Self { taps: taps.collect::<Result<_, NetworkError>>()? })
    }

    /// The weighted mean of several style images' statistics; weights are relative to their sum.
    ///
    /// # Errors
    /// When the device fails.
    pub fn blend(styles: &[(f64, &StyleTargets)]) -> Result<Self, NetworkError> {
        let sum: f64 = styles.iter().map(|(weight, _)| weight).sum();
        let mut taps: BTreeMap<Layer, TapStatistics> = BTreeMap::new();
        for (weight, style) in styles {
            for (layer, statistics) in &style.taps {
                let part = statistics.scaled(weight / sum)?;
                let blended =
                    taps.get(layer).map_or(Ok(part.clone()), |before| before.plus(&part))?;
                taps.insert(*layer, blended);
            }
        }
        Ok(Self { taps })
    }
}

/// Weighted values of the style terms at one tap.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct StyleLoss {
    /// The difference of Gram matrices.
    pub gram: f64,
    /// The Gaussian Wasserstein distance.
    pub wasserstein: f64,
    /// The means and deviations.
    pub statistics: f64,
}

impl StyleLoss {
    /// All terms.
    pub fn total(&self) -> f64 {
        self.gram + self.wasserstein + self.statistics
    }
}

/// `dL/dF = matrix F + offset` at every cell of a tap.
#[derive(Clone, Debug)]
pub struct StyleGradient {
    /// The tap.
    pub layer: Layer,
    /// `[C, C]`, float32.
    pub matrix: Tensor,
    /// `[C]`, float32.
    pub offset: Tensor,
}

impl StyleTargets {
    /// [`StyleTargets::compare`] at every tap of `canvas`, side by side in the current thread pool.
    ///
    /// # Errors
    /// When the device fails.
    pub fn compare_all(
        &self,
        spec: &Spec,
        canvas: &BTreeMap<Layer, TapStatistics>,
        cells: impl Fn(&Layer) -> f64 + Sync,
    ) -> Result<BTreeMap<Layer, (StyleLoss, StyleGradient)>, NetworkError> {
        let compared: Vec<_> = canvas
            .par_iter()
            .map(|(layer, statistics)| {
                Ok((*layer, self.compare(spec, *layer, statistics, cells(layer))?))
            })
            .collect::<Result<_, NetworkError>>()?;
        Ok(compared.into_iter().filter_map(|(layer, found)| Some((layer, found?))).collect())
    }

    /// Value and gradient of the style terms at `layer`, given the canvas's statistics there;
    /// nothing where it is no tap. `cells` is the number of cells of the whole canvas; blocks of a
    /// canvas pass their own number.
    ///
    /// # Errors
    /// When the device fails.
    pub fn compare(
        &self,
        spec: &Spec,
        layer: Layer,
        canvas: &TapStatistics,
        cells: f64,
    ) -> Result<Option<(StyleLoss, StyleGradient)>, NetworkError> {
        let (Some(target), Some(weight)) = (self.taps.get(&layer), spec.style_layers.get(&layer))
        else {
            return Ok(None);
        };
        let channels = canvas.mean.elem_count();
        let style_weight = spec.style_weight * weight;
        let mut loss = StyleLoss::default();
        let style = match spec.style_distance.gram_factor(channels) {
            Some(factor) => {
                let distance = gram_distance(style_weight * factor, canvas, target, cells)?;
                loss.gram = distance.loss;
                distance
            }
            None => {
                let (gaussian, moments) = (target.gaussian()?, (&canvas.gram, &canvas.mean));
                let distance = wasserstein_distance(style_weight, moments, gaussian, cells)?;
                loss.wasserstein = distance.loss;
                distance
            }
        };
        let (mut matrix, mut offset) = (style.matrix, style.offset);
        let statistics_weight = spec.statistics_weight * weight;
        if statistics_weight > 0.0 {
            let distance = deviation_distance(statistics_weight, canvas, target, cells)?;
            loss.statistics = distance.loss;
            matrix = (matrix + distance.matrix)?;
            offset = (offset + distance.offset)?;
        }
        let (matrix, offset) = (matrix.to_dtype(DType::F32)?, offset.to_dtype(DType::F32)?);
        Ok(Some((loss, StyleGradient { layer, matrix, offset })))
    }
}

/// A style distance between the statistics of a canvas and a target at one tap, weighted, and its
/// gradient `matrix F + offset` at each of the canvas's cells, float64. Distances add up.
pub(super) struct Distance {
    pub(super) loss: f64,
    pub(super) matrix: Tensor,
    pub(super) offset: Tensor,
}

/// `L = weight mean((G-A)^2)` has `dL/dF = 4 weight/(C^2 N) (G-A) F`, with `C` channels and `N`
/// cells.
fn gram_distance(
    weight: f64,
    canvas: &TapStatistics,
    target: &TapStatistics,
    cells: f64,
) -> candle_core::Result<Distance> {
    let per_pair = (1.0 / canvas.mean.elem_count() as f64).powi(2);
    let difference = (&canvas.gram - &target.gram)?;
    let loss = weight * scalar(&difference.sqr()?.sum_all()?)? * per_pair;
    let matrix = (difference * (4.0 * weight * per_pair / cells))?;
    Ok(Distance { loss, matrix, offset: canvas.mean.zeros_like()? })
}

/// `L = weight (mean((mu-mu')^2) + mean((s-s')^2))`: with the derivatives `m` and `d` of the loss by
/// a channel's mean and deviation, `dL/dF = m/N + d (F - mu)/(N s)`.
fn deviation_distance(
    weight: f64,
    canvas: &TapStatistics,
    target: &TapStatistics,
    cells: f64,
) -> candle_core::Result<Distance> {
    let per_channel = 1.0 / canvas.mean.elem_count() as f64;
    let mean = (&canvas.mean - &target.mean)?;
    let deviation = (&canvas.deviation - &target.deviation)?;
    let squares = scalar(&mean.sqr()?.sum_all()?)? + scalar(&deviation.sqr()?.sum_all()?)?;
    let step = 2.0 * weight * per_channel / cells;
    let slope = ((deviation * step)? / &canvas.deviation)?;
    Ok(Distance {
        loss: weight * per_channel * squares,
        offset: ((mean * step)? - (&slope * &canvas.mean)?)?,
        matrix: diagonal(&slope)?,
    })
}

/// [`GaussianTarget`]'s distance from a canvas with these second moments, `[C, C]`, and means. The
/// linear algebra runs on the CPU, the results are on the canvas's device.
pub(super) fn wasserstein_distance(
    weight: f64,
    (second_moments, mean): (&Tensor, &Tensor),
    target: &GaussianTarget,
    cells: f64,
) -> candle_core::Result<Distance> {
    let (device, channels) = (second_moments.device(), mean.elem_count());
    let found = target.distance_from(&host_values(second_moments)?, &host_values(mean)?);
    let step = weight / cells;
    let matrix = Tensor::from_vec(found.matrix, (channels, channels), &Device::Cpu)?;
    let offset = Tensor::from_vec(found.offset, channels, &Device::Cpu)?;
    Ok(Distance {
        loss: weight * found.distance,
        matrix: (matrix * step)?.to_device(device)?,
        offset: (offset * step)?.to_device(device)?,
    })
}

pub(super) fn host_values(tensor: &Tensor) -> candle_core::Result<Vec<f64>> {
    tensor.to_device(&Device::Cpu)?.to_dtype(DType::F64)?.flatten_all()?.to_vec1::<f64>()
}

fn scalar(tensor: &Tensor) -> candle_core::Result<f64> {
    tensor.to_dtype(DType::F64)?.to_device(&Device::Cpu)?.to_scalar::<f64>()
}

/// A vector as a diagonal matrix.
fn diagonal(vector: &Tensor) -> candle_core::Result<Tensor> {
    let eye = Tensor::eye(vector.elem_count(), vector.dtype(), vector.device())?;
    eye.broadcast_mul(vector)
}
