//! The loss of a whole image, from sums over its cells.
//!
//! Every term but the variation is a function of these sums, and they add up over tiles: that is
//! what makes tiles exact.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use super::spec::Spec;
use super::style::{StyleGradient, StyleLoss, StyleTargets, TapStatistics};
use crate::event::Losses;
use crate::geometry::Rect;
use crate::network::{Layer, Moments, NetworkError};

/// Sums over the cells of an image, or of a part of one.
#[derive(Clone, Debug, Default)]
pub struct ImageSums {
    /// By style tap.
    pub moments: BTreeMap<Layer, Moments>,
    /// By content tap: the squared differences to the content's features, a mean over channels.
    pub distances: BTreeMap<Layer, f64>,
}

impl ImageSums {
    /// Adds the sums over other cells of a style tap.
    ///
    /// # Errors
    /// When the device fails, or the sums are of another network.
    pub fn add(&mut self, layer: Layer, moments: Moments) -> Result<(), NetworkError> {
        match self.moments.entry(layer) {
            Entry::Vacant(entry) => drop(entry.insert(moments)),
            Entry::Occupied(mut entry) => entry.get_mut().merge(&moments)?,
        }
        Ok(())
    }
}

/// The weighted loss at one tap.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct TapLoss {
    /// The content term here.
    pub content: f64,
    /// The style terms here.
    pub style: StyleLoss,
}

/// The loss of a whole image, and its derivatives at the style taps.
#[derive(Clone, Debug, Default)]
pub struct ImageLoss {
    /// The image's statistics by style tap.
    pub statistics: BTreeMap<Layer, TapStatistics>,
    /// The weighted terms by tap.
    pub taps: BTreeMap<Layer, TapLoss>,
    /// The weighted total variation, which no tap sees.
    pub variation: f64,
    /// The style terms' derivatives with respect to every cell's features.
    pub gradients: Vec<StyleGradient>,
}

impl ImageLoss {
    /// From the sums over an image of `size` (width, height) px, and its weighted variation.
    ///
    /// # Errors
    /// When the device fails.
    pub fn new(
        spec: &Spec,
        targets: &StyleTargets,
        size: (usize, usize),
        sums: &ImageSums,
        variation: f64,
    ) -> Result<Self, NetworkError> {
        let mut loss = Self { variation, ..Self::default() };
        for (layer, moments) in &sums.moments {
            loss.statistics.insert(*layer, TapStatistics::from_moments(moments)?);
        }
        let cells = |layer: &Layer| sums.moments[layer].cells() as f64;
        for (layer, (value, gradient)) in targets.compare_all(spec, &loss.statistics, cells)? {
            loss.taps.entry(layer).or_default().style = value;
            loss.gradients.push(gradient);
        }
        for (layer, weight) in cell_weights(spec, size) {
            if let Some(distance) = sums.distances.get(&layer) {
                loss.taps.entry(layer).or_default().content = weight * distance;
            }
        }
        Ok(loss)
    }

    /// Adds the terms of another octave, which has other taps.
    pub fn absorb(&mut self, octave: ImageLoss) {
        self.statistics.extend(octave.statistics);
        self.taps.extend(octave.taps);
        self.variation += octave.variation;
        self.gradients.extend(octave.gradients);
    }

    /// The terms and their sum.
    pub fn losses(&self) -> Losses {
        let content = self.taps.values().map(|tap| tap.content).sum();
        let style = self.taps.values().map(|tap| tap.style.total()).sum();
        Losses::new(content, style, self.variation)
    }
}

/// Cells of a layer over an image of `size` (width, height) px.
pub fn cells(layer: Layer, (width, height): (usize, usize)) -> f64 {
    Rect::whole(width, height).cells(layer.stride()).area() as f64
}

/// By content tap, what one cell's squared difference, a mean over channels, weighs in the loss of
/// an image of `size` (width, height) px.
pub fn cell_weights(spec: &Spec, size: (usize, usize)) -> BTreeMap<Layer, f64> {
    spec.content_taps().map(|(layer, weight)| (layer, weight / cells(layer, size))).collect()
}
