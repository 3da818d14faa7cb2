//! Which terms the loss has, and the presets that fix them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::network::{Layer, Pooling};

/// How far apart the style term sees two images at a tap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StyleDistance {
    /// `1000 / C^2` times the mean squared difference of the Gram matrices: the weights in the code
    /// of Gatys et al.
    Gatys,
    /// `1 / C^2` times it: neural-style divides its Gram matrices by `C H W` where others divide by
    /// `H W`.
    NeuralStyle,
    /// The Gaussian Wasserstein distance (docs/looks.md), in units of the style's mean square.
    Wasserstein,
}

impl StyleDistance {
    /// What the mean squared difference of Gram matrices is multiplied with at a tap of `channels`
    /// channels, beside the weights: each tradition has its own. Nothing for another distance.
    pub fn gram_factor(self, channels: usize) -> Option<f64> {
        let squared = (channels * channels) as f64;
        match self {
            StyleDistance::Gatys => Some(1e3 / squared),
            StyleDistance::NeuralStyle => Some(1.0 / squared),
            StyleDistance::Wasserstein => None,
        }
    }
}

/// The whole loss:
///
/// ```text
/// content_weight    * sum_l w_l mean((F_l - P_l)^2)
/// + style_weight      * sum_l w_l d(canvas's statistics, style's statistics)
/// + statistics_weight * sum_l w_l (mean((mu_l - mu'_l)^2) + mean((s_l - s'_l)^2))
/// + variation_weight  * (sum |dx| + sum |dy|) of the canvas in 0..255
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Spec {
    /// Weight of the content term.
    pub content_weight: f64,
    /// Weight of the style distances.
    pub style_weight: f64,
    /// Weight of the means and deviations.
    pub statistics_weight: f64,
    /// Weight of the total variation.
    pub variation_weight: f64,
    /// Content taps and their weights.
    pub content_layers: BTreeMap<Layer, f64>,
    /// Style taps and their weights, for the distances and the statistics term.
    pub style_layers: BTreeMap<Layer, f64>,
    /// The style distance.
    pub style_distance: StyleDistance,
    /// What the poolings do.
    pub pooling: Pooling,
    /// Whether the content's differences at a tap count in units of the content's own mean square
    /// there: one weight then serves pictures of strong and of weak features.
    pub relative_content: bool,
    /// How often the canvas is halved before a tap sees it; taps that are not named see the canvas
    /// itself.
    pub octaves: BTreeMap<Layer, usize>,
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
            style_distance: StyleDistance::Gatys,
            pooling: Pooling::Max,
            relative_content: false,
            octaves: BTreeMap::new(),
        }
    }

    /// The defaults of jcjohnson's neural-style: 5, 100 and 1e-3.
    pub fn neural_style() -> Self {
        Self {
            content_weight: 5.0,
            style_weight: 100.0,
            variation_weight: 1e-3,
            style_distance: StyleDistance::NeuralStyle,
            ..Self::gatys()
        }
    }

    /// Galerne et al. (2024): Gatys' terms and the channel means and deviations.
    pub fn spst() -> Self {
        Self { statistics_weight: 1e4, ..Self::gatys() }
    }

    /// The Gaussian Wasserstein distance, each tap in units of the style's own mean square there,
    /// and the content in units of its own.
    pub fn wasserstein() -> Self {
        Self {
            content_weight: 4e6,
            style_weight: 1e6,
            style_distance: StyleDistance::Wasserstein,
            relative_content: true,
            ..Self::gatys()
        }
    }

    /// The same loss where no tap sees the canvas halved more than `most` times.
    pub fn with_octaves_up_to(&self, most: usize) -> Self {
        let octaves = self.octaves.iter().map(|(layer, octave)| (*layer, (*octave).min(most)));
        Self { octaves: octaves.filter(|(_, octave)| *octave > 0).collect(), ..self.clone() }
    }

    /// The parts of the loss that see the canvas halved 0, 1, 2 and so on times: each by itself is a
    /// loss without octaves.
    pub fn by_octave(&self) -> Vec<Spec> {
        let octave = |layer: &Layer| self.octaves.get(layer).copied().unwrap_or(0);
        let deepest = self.taps().map(|layer| octave(&layer)).max().unwrap_or(0);
        let part = |number: usize| {
            let of = |layers: &BTreeMap<Layer, f64>| -> BTreeMap<Layer, f64> {
                let own = layers.iter().filter(|(layer, _)| octave(layer) == number);
                own.map(|(layer, weight)| (*layer, *weight)).collect()
            };
            Spec {
                content_layers: of(&self.content_layers),
                style_layers: of(&self.style_layers),
                variation_weight: if number == 0 { self.variation_weight } else { 0.0 },
                octaves: BTreeMap::new(),
                ..self.clone()
            }
        };
        (0..=deepest).map(part).collect()
    }

    /// The same loss, where its content is relative with the weights that make it so: `squares` are
    /// the mean squares of the content's features by tap.
    pub fn in_units_of(self, squares: &BTreeMap<Layer, f64>) -> Self {
        if !self.relative_content {
            return self;
        }
        let unit = |layer: &Layer| match squares.get(layer) {
            // A content without any feature at the tap has no scale to measure in.
            None | Some(0.0) => 1.0,
            Some(square) => *square,
        };
        let scaled =
            self.content_layers.iter().map(|(layer, weight)| (*layer, weight / unit(layer)));
        Self { content_layers: scaled.collect(), relative_content: false, ..self }
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
