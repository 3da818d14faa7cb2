//! The upper bound of the Wasserstein distance that tiles of blocks mode minimise: where the style
//! wants every cell.

use std::collections::BTreeMap;

use candle_core::{Device, Tensor};

use crate::network::{Features, Layer};
use crate::objective::{ImageLoss, Spec, StyleGradient, StyleTargets, cells};
use crate::render::error::RenderError;

/// Where the style wants the cells of a region: the targets of the Wasserstein distance's upper
/// bound.
pub(super) struct Transported {
    targets: BTreeMap<Layer, Features>,
    /// What a cell's squared difference, a mean over channels, weighs in the whole image's loss.
    weights: BTreeMap<Layer, f64>,
}

impl Transported {
    /// From the features of the region's cells at the snapshot, a canvas of `size` (width, height)
    /// px whose loss is `whole`.
    pub(super) fn new(
        spec: &Spec,
        style: &StyleTargets,
        size: (usize, usize),
        whole: &ImageLoss,
        features: &BTreeMap<Layer, Features>,
        device: &Device,
    ) -> Result<Self, RenderError> {
        let (mut targets, mut weights) = (BTreeMap::new(), BTreeMap::new());
        for StyleGradient { layer, matrix, offset } in &whole.gradients {
            let (Some(features), Some(weight)) =
                (features.get(layer), spec.style_layers.get(layer))
            else {
                continue;
            };
            let weight = spec.style_weight * weight / (cells(*layer, size) * style.unit(*layer)?);
            // The gradient at a cell is `2 weight / C (F - t)` and `matrix F + offset`.
            let step = -(features.channels() as f64) / (2.0 * weight);
            let eye = Tensor::eye(features.channels(), matrix.dtype(), matrix.device())?;
            let map = (eye + (matrix * step)?)?.to_device(device)?;
            let shift = (offset * step)?.to_device(device)?;
            targets.insert(*layer, features.transformed(&map, &shift)?);
            weights.insert(*layer, weight);
        }
        Ok(Self { targets, weights })
    }

    /// Together with the content's targets: at a tap of both, two squared distances are one to the
    /// weighted mean of their targets, but for a constant.
    pub(super) fn joined(
        self,
        mut contents: BTreeMap<Layer, Features>,
        mut weights: BTreeMap<Layer, f64>,
    ) -> Result<(BTreeMap<Layer, Features>, BTreeMap<Layer, f64>), RenderError> {
        for (layer, target) in self.targets {
            let weight = self.weights[&layer];
            let both = match contents.remove(&layer) {
                None => target,
                Some(content) => content.averaged(weights[&layer], &target, weight)?,
            };
            contents.insert(layer, both);
            *weights.entry(layer).or_default() += weight;
        }
        Ok((contents, weights))
    }
}
