//! From a preset and the keys that override it to the loss.

use crate::config::{Objective, Preset};
use crate::objective::Spec;

/// The loss that `[objective]` describes.
pub fn resolve_spec(objective: &Objective) -> Spec {
    let mut spec = match objective.preset {
        Preset::Gatys => Spec::gatys(),
        Preset::NeuralStyle => Spec::neural_style(),
        Preset::Spst => Spec::spst(),
        Preset::Wasserstein => Spec::wasserstein(),
    };
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
    spec
}
