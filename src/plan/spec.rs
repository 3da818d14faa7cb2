//! From a preset and the keys that override it to the loss.

use crate::config::{Objective, Preset};
use crate::objective::Spec;

/// The loss that `[objective]` describes.
pub fn resolve_spec(objective: &Objective) -> Spec {
    let mut spec = match objective.preset {
        Preset::Gatys => Spec::gatys(),
        Preset::NeuralStyle => Spec::neural_style(),
        Preset::Spst => Spec::spst(),
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
