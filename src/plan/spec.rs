//! From a preset and the keys that override it to the loss and the schedule.

use std::collections::BTreeMap;

use crate::config::{Look, Objective, Octaves, OrAuto, Preset, Settings};
use crate::network::Layer;
use crate::objective::Spec;

/// The first level and the evaluations of all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// Short side of the first level, px.
    pub short_side: u32,
    /// Evaluations by level, smallest level first; further levels take the last number.
    pub evaluations: Vec<u32>,
}

impl Schedule {
    /// The schedule that `[pyramid]` and the preset describe.
    pub fn new(Settings { objective, pyramid, .. }: &Settings) -> Self {
        let (short_side, evaluations): (u32, &[u32]) = match objective.preset {
            // Galerne et al.'s fast schedule.
            Preset::Spst | Preset::Gatys | Preset::NeuralStyle => (512, &[600, 200, 66, 30]),
            // What is new comes from the first level, where strokes are as large as things.
            Preset::Wasserstein => (96, &[200, 150, 80, 40, 20, 10, 6]),
        };
        Self {
            short_side: pyramid.short_side_px.map_or(short_side, |side| side.0),
            evaluations: pyramid.evaluations.clone().unwrap_or_else(|| evaluations.to_vec()),
        }
    }

    /// Evaluations at `level`, counted from 0 at the smallest.
    pub fn evaluations_at(&self, level: usize) -> u32 {
        let last = self.evaluations.last().copied().unwrap_or(1);
        self.evaluations.get(level).copied().unwrap_or(last)
    }
}

/// The loss that `[objective]` describes.
pub fn resolve_spec(objective: &Objective) -> Spec {
    let mut spec = match objective.preset {
        Preset::Gatys => Spec::gatys(),
        Preset::NeuralStyle => Spec::neural_style(),
        Preset::Spst => Spec::spst(),
        Preset::Wasserstein => Spec::wasserstein(),
    };
    if objective.preset == Preset::Wasserstein {
        spec.content_weight = match objective.look.unwrap_or(Look::Balanced) {
            Look::Faithful => 1e7,
            Look::Balanced => 4e6,
            Look::Bold => 1e6,
        };
    }
    let replace = |value: &mut f64, by: Option<f64>| *value = by.unwrap_or(*value);
    replace(&mut spec.content_weight, objective.content_weight);
    replace(&mut spec.style_weight, objective.style_weight);
    replace(&mut spec.statistics_weight, objective.statistics_weight);
    replace(&mut spec.variation_weight, objective.variation_weight);
    if let Some(layers) = &objective.content_layers {
        spec.content_layers = layers.0.clone();
    }
    if let Some(layers) = &objective.style_layers {
        spec.style_layers = layers.0.clone();
    }
    spec.pooling = objective.pooling.unwrap_or(spec.pooling);
    spec.octaves = match &objective.octaves {
        OrAuto::Value(Octaves::Layers(layers)) => {
            layers.iter().map(|(layer, octave)| (*layer, *octave as usize)).collect()
        }
        OrAuto::Value(Octaves::Count(count)) => octaves_by_block(*count),
        OrAuto::Auto if objective.preset == Preset::Wasserstein => octaves_by_block(2),
        OrAuto::Auto => BTreeMap::new(),
    };
    spec
}

/// How often the canvas is halved before a layer sees it, with so many octaves: the deepest blocks
/// first, which cost most and see farthest.
fn octaves_by_block(count: u32) -> BTreeMap<Layer, usize> {
    let halvings = |layer: Layer| match (count, layer.block()) {
        (3, 3) | (2, 4..) => 1,
        (3, 4..) => 2,
        _ => 0,
    };
    Layer::all().map(|layer| (layer, halvings(layer))).filter(|(_, octave)| *octave > 0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Choice;

    #[test]
    fn the_settings_know_which_terms_a_preset_has() {
        for &preset in Preset::ALL {
            let word = preset.word();
            let zero = Some(0.0);
            let rest = Objective {
                preset,
                content_weight: zero,
                style_weight: zero,
                ..Objective::default()
            };
            let spec = resolve_spec(&rest);
            assert_eq!(rest.needs_style(), spec.statistics_weight > 0.0, "{word}");
            let terms = [spec.statistics_weight, spec.variation_weight];
            assert_eq!(rest.is_zero(), terms == [0.0; 2], "{word}");
            let whole = Objective { preset, ..Objective::default() };
            let spec = resolve_spec(&whole);
            assert!(spec.content_weight > 0.0 && spec.style_weight > 0.0, "{word}");
            assert!(whole.needs_style() && !whole.is_zero(), "{word}");
        }
    }
}
