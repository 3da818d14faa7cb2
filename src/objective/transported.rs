//! The Wasserstein distance of a whole image as a sum over its parts.

use std::collections::BTreeMap;

use candle_core::DType;
use rayon::prelude::*;

use super::spec::Spec;
use super::style::{Means, StyleGradient, StyleTargets, host_values, wasserstein_distance};
use super::wasserstein::GaussianTarget;
use crate::network::{Layer, NetworkError};

/// What the cells of a part of an image are drawn to, for the whole to come nearer to the style by
/// the Wasserstein distance: where the transport from the whole to the style carries that part.
///
/// Pair the parts' cells with where they are carried, each part by its own optimal transport. That is
/// one pairing of the whole with the style, so the parts' distances, each by its share of the cells,
/// are together no less than the whole's. Where nothing has moved they are equal, with equal
/// gradients.
pub struct TransportedStyle {
    taps: BTreeMap<Layer, TransportedTap>,
}

struct TransportedTap {
    target: GaussianTarget,
    weight: f64,
    /// Cells of the whole.
    cells: f64,
}

impl TransportedStyle {
    /// Of a part with the means `part` of `F F^T` and `F`, of an image with the style gradients
    /// `whole` and with `cells` cells at a tap.
    ///
    /// # Errors
    /// When the device fails.
    pub fn new(
        spec: &Spec,
        targets: &StyleTargets,
        whole: &[StyleGradient],
        part: &BTreeMap<Layer, Means>,
        cells: impl Fn(&Layer) -> f64 + Sync,
    ) -> Result<Self, NetworkError> {
        let tap = |gradient: &StyleGradient| {
            let StyleGradient { layer, matrix, offset } = gradient;
            let (Some((second_moments, mean, _)), Some(style), Some(weight)) =
                (part.get(layer), targets.taps.get(layer), spec.style_layers.get(layer))
            else {
                return Ok(None);
            };
            let (style, weight, cells) =
                (style.gaussian()?, spec.style_weight * weight, cells(layer));
            // The gradient at a cell is `2 weight / (C unit cells) (F - T F)`, with `T` the transport.
            let channels = mean.elem_count();
            let step = -(channels as f64) * style.unit() * cells / (2.0 * weight);
            let scaled =
                |values: Vec<f64>| values.into_iter().map(|v| v * step).collect::<Vec<_>>();
            let (mut map, shift) = (scaled(host_values(matrix)?), scaled(host_values(offset)?));
            (0..channels).for_each(|i| map[i * channels + i] += 1.0);
            let (second_moments, mean) = (host_values(second_moments)?, host_values(mean)?);
            let target = style.transported(&second_moments, &mean, &map, &shift);
            Ok(Some((*layer, TransportedTap { target, weight, cells })))
        };
        let taps: Vec<_> = whole.par_iter().map(tap).collect::<Result<_, NetworkError>>()?;
        Ok(Self { taps: taps.into_iter().flatten().collect() })
    }

    /// What the part adds to the whole's loss with these means, and the gradient, by tap.
    ///
    /// # Errors
    /// When the device fails.
    pub fn compare(
        &self,
        part: &BTreeMap<Layer, Means>,
    ) -> Result<Vec<(f64, StyleGradient)>, NetworkError> {
        let compared = |(layer, (second_moments, mean, count)): (&Layer, &Means)| {
            let Some(TransportedTap { target, weight, cells }) = self.taps.get(layer) else {
                return Ok(None);
            };
            let weight = weight * count / cells;
            let found = wasserstein_distance(weight, (second_moments, mean), target, *count)?;
            let (matrix, offset) =
                (found.matrix.to_dtype(DType::F32)?, found.offset.to_dtype(DType::F32)?);
            Ok(Some((found.loss, StyleGradient { layer: *layer, matrix, offset })))
        };
        let compared: Vec<_> =
            part.par_iter().map(compared).collect::<Result<_, NetworkError>>()?;
        Ok(compared.into_iter().flatten().collect())
    }
}
