//! `[objective]`: what is minimised.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::config::choice::choice;
use crate::config::problem::Problem;
use crate::config::reader::{Entry, SettingValue};
use crate::config::schema::Accepts;
use crate::config::source::Origin;
use crate::config::table::settings;
use crate::config::text::{nearest, shorten};
use crate::config::tree::Value;
use crate::network::{Layer, Pooling};

choice! {
    /// Settings of the objective that are known from elsewhere.
    Preset {
        /// Galerne et al. 2024: Gram matrices, channel means and deviations.
        Spst = "spst",
        /// Gatys et al., the code of 2015 and 2016.
        Gatys = "gatys",
        /// Johnson's `neural-style`.
        NeuralStyle = "neural-style",
    }
}

impl Preset {
    /// Whether the preset's own statistics weight is above zero.
    fn has_statistics(self) -> bool {
        self == Preset::Spst
    }

    /// Whether the preset's own variation weight is above zero.
    fn has_variation(self) -> bool {
        self == Preset::NeuralStyle
    }
}

settings! {
    /// `[objective]`: what is minimised; what is `None` is as the preset has it.
    Objective = "objective" {
        /// Layers, weights and normalisation known from elsewhere.
        preset: Preset = Preset::Spst, Pixels;
        /// Weight of the content: of the photograph's features.
        content_weight: Option<f64> = None => "preset", Pixels, Number(0.0, f64::MAX);
        /// Weight of the style's Gram matrices.
        style_weight: Option<f64> = None => "preset", Pixels, Number(0.0, f64::MAX);
        /// Weight of the means and deviations of the style's channels.
        statistics_weight: Option<f64> = None => "preset", Pixels, Number(0.0, f64::MAX);
        /// Weight of the total variation: more makes smoother pictures.
        variation_weight: Option<f64> = None => "preset", Pixels, Number(0.0, f64::MAX);
        /// Layers of the content.
        content_layers: Option<LayerWeights> = None => "preset", Pixels;
        /// Layers of the style.
        style_layers: Option<LayerWeights> = None => "preset", Pixels;
        /// How the network pools.
        pooling: Option<Pooling> = None => "preset", Pixels;
    }
}

impl Objective {
    /// Whether any term compares the canvas with a painting.
    pub fn needs_style(&self) -> bool {
        let statistics = match self.statistics_weight {
            Some(weight) => weight != 0.0,
            None => self.preset.has_statistics(),
        };
        let weighted = self.style_weight != Some(0.0) || statistics;
        weighted && has_weight(self.style_layers.as_ref())
    }

    /// Whether every term is zero whatever the canvas, so that there is nothing to minimise.
    pub fn is_zero(&self) -> bool {
        let content = self.content_weight != Some(0.0) && has_weight(self.content_layers.as_ref());
        let variation = match self.variation_weight {
            Some(weight) => weight != 0.0,
            None => self.preset.has_variation(),
        };
        !(content || variation || self.needs_style())
    }
}

/// Whether any layer counts; a preset's always do.
fn has_weight(layers: Option<&LayerWeights>) -> bool {
    layers.is_none_or(|LayerWeights(layers)| layers.values().any(|weight| *weight != 0.0))
}

/// Weights of layers; at least one layer, each weight finite and not negative.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LayerWeights(pub BTreeMap<Layer, f64>);

impl SettingValue for LayerWeights {
    fn describe(_: Accepts) -> String {
        "an array of layers such as `[\"relu4_2\"]` or a table such as `{ relu4_2 = 1.0 }`; layers are `relu1_1` to `relu5_4`"
            .to_owned()
    }

    fn read(entry: &mut Entry<'_, '_>) -> Option<Self> {
        let mut weights = BTreeMap::new();
        let node = entry.node();
        let is_empty = match &node.value {
            Value::Array(items) => {
                for item in items {
                    match item.text() {
                        Some(name) => add(entry, &mut weights, name, &item.origin, 1.0),
                        None => entry.part(item).wrong_kind(),
                    }
                }
                items.is_empty()
            }
            Value::Table(table) => {
                for (name, item) in table {
                    let weight = weight(&mut entry.part(item)).unwrap_or(1.0);
                    add(entry, &mut weights, name, &item.key, weight);
                }
                table.is_empty()
            }
            _ => {
                entry.wrong_kind();
                return None;
            }
        };
        if is_empty {
            let weight = entry.path().replace("layers", "weight");
            let problem = Problem::new(format!("`{}` is empty", entry.path()))
                .help(format!("to leave the term out, set `{weight} = 0`"));
            entry.report(problem, "at least one layer");
        }
        Some(LayerWeights(weights))
    }

    fn toml(&self, _: &dyn Fn(&Path) -> PathBuf) -> Option<String> {
        let items: Vec<_> =
            self.0.iter().map(|(layer, weight)| format!("{layer} = {weight:?}")).collect();
        Some(format!("{{ {} }}", items.join(", ")))
    }
}

/// The weight of one layer in a table.
fn weight(entry: &mut Entry<'_, '_>) -> Option<f64> {
    let Some(number) = entry.node().value.number() else {
        entry.wrong_kind();
        return None;
    };
    if !Accepts::Number(0.0, f64::MAX).holds(number) {
        let problem = Problem::new(format!("a layer's weight is {number}"))
            .help("a weight is a finite number, 0 or more");
        entry.report(problem, "out of range");
    }
    Some(number)
}

fn add(
    entry: &mut Entry<'_, '_>,
    weights: &mut BTreeMap<Layer, f64>,
    name: &str,
    origin: &Origin,
    weight: f64,
) {
    let Some(layer) = Layer::parse(name) else {
        let label = match nearest(name, Layer::ALL.iter().map(Layer::to_string)) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "not a layer".to_owned(),
        };
        return entry.reject_at(origin, format!("`{}` is no layer", shorten(name)), label);
    };
    if weights.insert(layer, weight).is_some() {
        entry.reject_at(origin, format!("`{layer}` is named twice"), "again");
    }
}
