//! Which terms the loss has, and the presets that fix them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::network::{Layer, Pooling};

/// What a tap's squared Gram difference is multiplied with, beside the weights: each tradition has
/// its own.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StyleFactor {
    /// `1000 / C^2`: the weights in the code of Gatys et al.
    Gatys,
    /// `1 / C^2`: neural-style divides its Gram matrices by `C H W` where others divide by `H W`.
    NeuralStyle,
}

impl StyleFactor {
    /// The factor at a tap of `channels` channels.
    pub fn at(self, channels: usize) -> f64 {
        let squared = (channels * channels) as f64;
        match self {
            StyleFactor::Gatys => 1e3 / squared,
            StyleFactor::NeuralStyle => 1.0 / squared,
        }
    }
}

/// The whole loss:
///
/// ```text
/// content_weight    * sum_l w_l mean((F_l - P_l)^2)
/// + style_weight      * sum_l w_l factor_l mean((G_l - A_l)^2)
/// + statistics_weight * sum_l w_l (mean((mu_l - mu'_l)^2) + mean((s_l - s'_l)^2))
/// + variation_weight  * (sum |dx| + sum |dy|) of the canvas in 0..255
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spec {
    /// Weight of the content term.
    pub content_weight: f64,
    /// Weight of the Gram term.
    pub style_weight: f64,
    /// Weight of the means and deviations.
    pub statistics_weight: f64,
    /// Weight of the total variation.
    pub variation_weight: f64,
    /// Content taps and their weights.
    pub content_layers: BTreeMap<Layer, f64>,
    /// Style taps and their weights, for the Gram and the statistics term.
    pub style_layers: BTreeMap<Layer, f64>,
    /// The Gram term's factor.
    pub style_factor: StyleFactor,
    /// What the poolings do.
    pub pooling: Pooling,
}

impl Spec {
    /// The weights in the code of Gatys et al.: content 1, style `1000 / C^2` a tap.
    pub fn gatys() -> Self {
        Self {
            content_weight: 1.0,
            style_weight: 1.0,
            statistics_weight: 0.0,
            variation_weight: 0.0,
            content_layers: layers(&["relu4_2"]),
            style_layers: layers(&["relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1"]),
            style_factor: StyleFactor::Gatys,
            pooling: Pooling::Max,
        }
    }

    /// The defaults of jcjohnson's neural-style: 5, 100 and 1e-3.
    pub fn neural_style() -> Self {
        Self {
            content_weight: 5.0,
            style_weight: 100.0,
            variation_weight: 1e-3,
            style_factor: StyleFactor::NeuralStyle,
            ..Self::gatys()
        }
    }

    /// Galerne et al. (2024): Gatys' terms and the channel means and deviations.
    pub fn spst() -> Self {
        Self { statistics_weight: 1e4, ..Self::gatys() }
    }

    /// Taps of the content term that count.
    pub fn content_taps(&self) -> impl Iterator<Item = (Layer, f64)> {
        let weight = self.content_weight;
        self.content_layers
            .iter()
            .map(move |(layer, w)| (*layer, weight * w))
            .filter(|(_, w)| *w > 0.0)
    }

    /// Taps of the style terms that count.
    pub fn style_taps(&self) -> impl Iterator<Item = (Layer, f64)> {
        let counts = self.style_weight > 0.0 || self.statistics_weight > 0.0;
        self.style_layers
            .iter()
            .map(|(layer, w)| (*layer, *w))
            .filter(move |(_, w)| counts && *w > 0.0)
    }

    /// The layers of the content taps that count.
    pub fn contents(&self) -> Vec<Layer> {
        self.content_taps().map(|(layer, _)| layer).collect()
    }

    /// The layers of the style taps that count.
    pub fn styles(&self) -> Vec<Layer> {
        self.style_taps().map(|(layer, _)| layer).collect()
    }

    /// The layers of all taps that count; one may be there twice.
    pub fn taps(&self) -> impl Iterator<Item = Layer> {
        self.contents().into_iter().chain(self.styles())
    }

    /// The deepest layer that any term needs; nothing when only the variation counts.
    pub fn deepest(&self) -> Option<Layer> {
        self.taps().max()
    }
}

fn layers(names: &[&str]) -> BTreeMap<Layer, f64> {
    names
        .iter()
        .map(|name| (Layer::parse(name).expect("a preset names layers that exist"), 1.0))
        .collect()
}
