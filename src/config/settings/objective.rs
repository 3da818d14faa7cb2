//! `[objective]`: what is minimised.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::config::choice::choice;
use crate::config::problem::Problem;
use crate::config::reader::{Entry, SettingValue};
use crate::config::schema::Accepts;
use crate::config::source::Origin;
use crate::config::table::settings;
use crate::config::text::{nearest, shorten};
use crate::config::tree::Value;
use crate::config::values::OrAuto;
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
        /// The Gaussian Wasserstein distance.
        Wasserstein = "wasserstein",
    }
}

choice! {
    /// How far the painting may take over.
    Look {
        /// The photograph's shapes and faces stay.
        Faithful = "faithful",
        /// Strokes and motifs of the painting wherever they fit.
        Balanced = "balanced",
        /// The painting takes over.
        Bold = "bold",
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
        /// How far the painting may take over, with the preset `wasserstein`: `faithful`,
        /// `balanced` and `bold` are content weights of 1e7, 4e6 and 1e6.
        look: Option<Look> = None => "balanced", Pixels;
        /// Weight of the content: of the photograph's features.
        content_weight: Option<f64> = None => "preset", Pixels, Number(0.0, f64::MAX);
        /// Weight of the style: of the difference of Gram matrices, or of the Wasserstein distance.
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
        /// At how many resolutions the layers see a level above the first. 1: all see the canvas. 2:
        /// those from relu4_1 on see its half. 3: relu3_1 to relu3_4 see the half, deeper ones the
        /// quarter. Or how often the canvas is halved, layer by layer. More is quicker and paints
        /// larger strokes.
        octaves: OrAuto<Octaves> = OrAuto::Auto, Pixels, Whole(1, 3);
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

/// At which resolutions the layers see the canvas.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Octaves {
    /// So many, 1 to 3, by the layers' blocks.
    Count(u32),
    /// How often the canvas is halved before a layer sees it; 0 for those not named.
    Layers(BTreeMap<Layer, u32>),
}

impl SettingValue for Octaves {
    fn describe(accepts: Accepts) -> String {
        format!("{}, or a table such as `{{ relu4_1 = 1, relu5_1 = 2 }}`", accepts.text())
    }

    fn read(entry: &mut Entry<'_, '_>) -> Option<Self> {
        let node = entry.node();
        let Value::Table(table) = &node.value else { return entry.whole().map(Octaves::Count) };
        let mut layers = BTreeMap::new();
        for (name, item) in table {
            let Some(layer) = layer(entry, name, &item.key) else { continue };
            let halvings = item.value.number();
            match halvings.filter(|halvings| [0.0, 1.0, 2.0].contains(halvings)) {
                Some(halvings) => drop(layers.insert(layer, halvings as u32)),
                None => entry.reject_at(
                    &item.origin,
                    format!("`{layer}` cannot see the canvas halved so often"),
                    "0, 1 or 2 times",
                ),
            }
        }
        Some(Octaves::Layers(layers))
    }

    fn toml(&self, _: &dyn Fn(&Path) -> PathBuf) -> Option<String> {
        Some(match self {
            Octaves::Count(count) => count.to_string(),
            Octaves::Layers(layers) => {
                let items: Vec<_> = layers
                    .iter()
                    .map(|(layer, halvings)| format!("{layer} = {halvings}"))
                    .collect();
                format!("{{ {} }}", items.join(", "))
            }
        })
    }
}

/// Weights of layers; at least one layer, each weight finite and not negative.
#[derive(Clone, Debug, PartialEq)]
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
    let Some(layer) = layer(entry, name, origin) else { return };
    if weights.insert(layer, weight).is_some() {
        entry.reject_at(origin, format!("`{layer}` is named twice"), "again");
    }
}

/// The layer of a name.
fn layer(entry: &mut Entry<'_, '_>, name: &str, origin: &Origin) -> Option<Layer> {
    let layer = Layer::parse(name);
    if layer.is_none() {
        let label = match nearest(name, Layer::ALL.iter().map(Layer::to_string)) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "not a layer".to_owned(),
        };
        entry.reject_at(origin, format!("`{}` is no layer", shorten(name)), label);
    }
    layer
}
