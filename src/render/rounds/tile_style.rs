//! What the style terms of a tile of blocks mode are, at one octave: see [`super::blocks`].

use std::collections::BTreeMap;

use candle_core::{D, Device, Tensor};

use crate::network::{Layer, NetworkError};
use crate::objective::{
    ImageLoss, Means, Spec, StyleDistance, StyleGradient, StyleTargets, TapStatistics,
    TransportedStyle, cells,
};

/// A deviation extrapolated below this part of its value in the whole image is held there: a
/// variance that the extrapolation would make negative has no root.
const LEAST_DEVIATION: f64 = 0.1;

/// The style terms as the cells of one tile see them.
pub(super) enum TileStyle {
    /// The whole image's, if the rest of the picture moved as the tile does.
    Extrapolated {
        /// The whole image's statistics at the snapshot, where the network computes.
        whole: BTreeMap<Layer, TapStatistics>,
        targets: StyleTargets,
        /// How often the tile's own change counts.
        share: f64,
        /// The tile's own statistics at the snapshot.
        snapshot: BTreeMap<Layer, Means>,
    },
    /// The distance of the tile's cells to where the whole image's transport carries them.
    Transported(TransportedStyle),
}

impl TileStyle {
    /// The part `spec` of the loss, on a canvas of `size` (width, height) px whose loss at the
    /// snapshot is `whole`, for cells with the means `snapshot` there. Where the tile's change is
    /// extrapolated it counts `share` times.
    ///
    /// # Errors
    /// When the device fails.
    pub(super) fn new(
        (spec, targets): (&Spec, &StyleTargets),
        (size, share): ((usize, usize), f64),
        whole: &ImageLoss,
        snapshot: BTreeMap<Layer, Means>,
    ) -> Result<Self, NetworkError> {
        if spec.style_distance == StyleDistance::Wasserstein {
            let cells = |layer: &Layer| cells(*layer, size);
            let style = TransportedStyle::new(spec, targets, &whole.gradients, &snapshot, cells)?;
            return Ok(TileStyle::Transported(style));
        }
        let device =
            snapshot.values().next().map_or(Device::Cpu, |(gram, ..)| gram.device().clone());
        let statistics = |layer: &Layer| {
            let found = whole.statistics.get(layer)?.to_device(&device);
            Some(found.map(|found| (*layer, found)))
        };
        let whole = snapshot.keys().filter_map(statistics).collect::<candle_core::Result<_>>()?;
        let targets = targets.to_device(&device)?;
        Ok(TileStyle::Extrapolated { whole, targets, share, snapshot })
    }

    /// The terms' value and gradients where the tile's cells have the means `here`.
    ///
    /// # Errors
    /// When the device fails.
    pub(super) fn compare(
        &self,
        spec: &Spec,
        size: (usize, usize),
        here: &BTreeMap<Layer, Means>,
    ) -> Result<(f64, Vec<StyleGradient>), NetworkError> {
        let found = match self {
            TileStyle::Transported(style) => style.compare(here)?,
            TileStyle::Extrapolated { whole, targets, share, snapshot } => {
                let mut found = Vec::new();
                for (layer, means) in here {
                    let (Some(whole), Some(before)) = (whole.get(layer), snapshot.get(layer))
                    else {
                        continue;
                    };
                    let cells = cells(*layer, size) / share;
                    let statistics = extrapolated(whole, before, means, means.2 / cells)?;
                    let compared = targets.compare(spec, *layer, &statistics, cells)?;
                    found.extend(compared.map(|(value, gradient)| (value.total(), gradient)));
                }
                found
            }
        };
        let (values, gradients): (Vec<f64>, Vec<StyleGradient>) = found.into_iter().unzip();
        Ok((values.into_iter().sum(), gradients))
    }
}

/// The statistics `whole` changed by `factor` times what `here` is more than `before`.
fn extrapolated(
    whole: &TapStatistics,
    before: &Means,
    here: &Means,
    factor: f64,
) -> Result<TapStatistics, NetworkError> {
    let gram = (&whole.gram + ((&here.0 - &before.0)? * factor)?)?;
    let mean = (&whole.mean + ((&here.1 - &before.1)? * factor)?)?;
    let channels = mean.elem_count();
    let index = (0..channels as u32).collect::<Vec<_>>();
    let index = Tensor::from_vec(index, (channels, 1), gram.device())?;
    let variance = (gram.gather(&index, D::Minus1)?.squeeze(1)? - mean.sqr()?)?;
    let least = (whole.deviation.sqr()? * (LEAST_DEVIATION * LEAST_DEVIATION))?;
    // At the snapshot itself the deviation is the whole image's, its epsilon included.
    let epsilon = (whole.deviation.sqr()?
        - (whole.gram.gather(&index, D::Minus1)?.squeeze(1)? - whole.mean.sqr()?)?)?;
    let deviation = (variance + epsilon)?.maximum(&least)?.sqrt()?;
    Ok(TapStatistics::new(gram, mean, deviation))
}
