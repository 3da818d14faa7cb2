//! What the cells of a tile of blocks mode are drawn to, one by one.
//!
//! The content term has a target for every cell. So has the upper bound of the Wasserstein distance
//! that [`super::blocks`] describes.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use candle_core::{Device, Tensor};

use crate::network::{Features, Layer};
use crate::objective::{ImageLoss, Spec, StyleGradient, StyleTargets, cells};
use crate::render::error::RenderError;

/// Targets for the cells of a region, by tap.
pub(super) struct CellTargets {
    pub(super) features: BTreeMap<Layer, Features>,
    /// What a cell's squared difference, a mean over channels, weighs in the whole image's loss.
    pub(super) weights: BTreeMap<Layer, f64>,
}

impl CellTargets {
    /// With the style's: from the features `snapshot` of the region's cells on a canvas of `size`
    /// (width, height) px whose loss is `whole`. They lie on `device`.
    ///
    /// # Errors
    /// When the device fails.
    pub(super) fn with_style(
        mut self,
        (spec, style): (&Spec, &StyleTargets),
        size: (usize, usize),
        whole: &ImageLoss,
        snapshot: &BTreeMap<Layer, Features>,
        device: &Device,
    ) -> Result<Self, RenderError> {
        for StyleGradient { layer, matrix, offset } in &whole.gradients {
            let (Some(features), Some(weight)) =
                (snapshot.get(layer), spec.style_layers.get(layer))
            else {
                continue;
            };
            let weight = spec.style_weight * weight / (cells(*layer, size) * style.unit(*layer)?);
            // The gradient at a cell is `2 weight / C (F - t)` and `matrix F + offset`.
            let step = -(features.channels() as f64) / (2.0 * weight);
            let eye = Tensor::eye(features.channels(), matrix.dtype(), matrix.device())?;
            let map = (eye + (matrix * step)?)?.to_device(device)?;
            let shift = (offset * step)?.to_device(device)?;
            self.add(*layer, features.transformed(&map, &shift)?, weight)?;
        }
        Ok(self)
    }

    /// At a tap that has a target already, two squared distances are one to the weighted mean of
    /// both, but for a constant.
    fn add(&mut self, layer: Layer, target: Features, weight: f64) -> Result<(), RenderError> {
        let sum = self.weights.entry(layer).or_default();
        match self.features.entry(layer) {
            Entry::Vacant(entry) => drop(entry.insert(target)),
            Entry::Occupied(mut entry) => entry.get_mut().average(*sum, &target, weight)?,
        }
        *sum += weight;
        Ok(())
    }
}
