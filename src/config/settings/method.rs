//! `[objective]`, `[pyramid]`, `[optimise]` and `[tiling]`: what is minimised, and how.

use std::collections::BTreeMap;

use crate::config::choice::{Choice, choice};
use crate::config::listing::Listing;
use crate::config::reader::Reader;
use crate::network::{Layer, Pooling};
use crate::units::Px;

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
        matches!(self, Preset::Spst)
    }
}

/// Weights of layers; at least one layer, each weight finite and not negative.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerWeights(pub BTreeMap<Layer, f64>);

impl From<LayerWeights> for BTreeMap<String, f64> {
    fn from(weights: LayerWeights) -> Self {
        weights.0.into_iter().map(|(layer, weight)| (layer.to_string(), weight)).collect()
    }
}

impl TryFrom<BTreeMap<String, f64>> for LayerWeights {
    type Error = String;

    fn try_from(map: BTreeMap<String, f64>) -> Result<Self, String> {
        let layer = |(name, weight): (String, f64)| match Layer::parse(&name) {
            Some(layer) => Ok((layer, weight)),
            None => Err(format!("`{name}` is no layer")),
        };
        map.into_iter().map(layer).collect::<Result<_, _>>().map(LayerWeights)
    }
}

/// `[objective]`: what is minimised; what is `None` is as the preset has it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Objective {
    /// `preset`: the settings that the other keys override; default `spst`.
    pub preset: Preset,
    /// `content-weight`: 0 or more, finite.
    pub content_weight: Option<f64>,
    /// `style-weight`: 0 or more, finite.
    pub style_weight: Option<f64>,
    /// `statistics-weight`: of channel means and deviations; 0 or more, finite.
    pub statistics_weight: Option<f64>,
    /// `variation-weight`: of the total variation; 0 or more, finite.
    pub variation_weight: Option<f64>,
    /// `content-layers`: replace all of the preset's.
    pub content_layers: Option<LayerWeights>,
    /// `style-layers`: replace all of the preset's.
    pub style_layers: Option<LayerWeights>,
    /// `pooling`: `"max"` or `"average"`.
    pub pooling: Option<Pooling>,
}

impl Objective {
    pub(super) fn read(reader: &mut Reader<'_>) -> Objective {
        Objective {
            preset: reader.choice("objective.preset").unwrap_or_default(),
            content_weight: reader.number("objective.content-weight"),
            style_weight: reader.number("objective.style-weight"),
            statistics_weight: reader.number("objective.statistics-weight"),
            variation_weight: reader.number("objective.variation-weight"),
            content_layers: reader.layers("objective.content-layers"),
            style_layers: reader.layers("objective.style-layers"),
            pooling: reader.choice("objective.pooling"),
        }
    }

    /// Whether any term compares the canvas with a painting.
    pub fn needs_style(&self) -> bool {
        let statistics = match self.statistics_weight {
            Some(weight) => weight != 0.0,
            None => self.preset.has_statistics(),
        };
        self.style_weight != Some(0.0) || statistics
    }

    pub(super) fn list(&self, list: &mut Listing) {
        list.text("objective.preset", self.preset);
        list.optional("objective.content-weight", self.content_weight);
        list.optional("objective.style-weight", self.style_weight);
        list.optional("objective.statistics-weight", self.statistics_weight);
        list.optional("objective.variation-weight", self.variation_weight);
        list.layers("objective.content-layers", self.content_layers.as_ref());
        list.layers("objective.style-layers", self.style_layers.as_ref());
        if let Some(pooling) = self.pooling {
            list.text("objective.pooling", pooling.word());
        }
    }
}

impl Choice for Pooling {
    const ALL: &'static [Self] = &[Pooling::Max, Pooling::Average];

    fn word(self) -> &'static str {
        match self {
            Pooling::Max => "max",
            Pooling::Average => "average",
        }
    }
}

/// `[pyramid]`: levels and their evaluations.
#[derive(Clone, Debug, PartialEq)]
pub struct Pyramid {
    /// `short-side-px`: the canvas's short side at the first level, in pixels, 64 to 65536; default
    /// 512. Each level has twice the side of the one before, up to the output's size.
    pub short_side: Px,
    /// `evaluations`: of the objective at each level, first level first, each 1 to 1000000; default
    /// 600, 200, 66, 30. Further levels take the last number; one number serves every level.
    pub evaluations: Vec<u32>,
}

impl Pyramid {
    pub(super) fn read(reader: &mut Reader<'_>) -> Pyramid {
        const EVALUATIONS: &str = "pyramid.evaluations";
        let mut evaluations = reader.integers(EVALUATIONS);
        if evaluations.as_ref().is_some_and(Vec::is_empty) {
            let origin = reader.origin(EVALUATIONS);
            if !reader.has_problem_at(origin.as_ref()) {
                reader.bad(EVALUATIONS, origin, "`pyramid.evaluations` is empty", "no level");
            }
            evaluations = None;
        }
        Pyramid {
            short_side: Px(reader.integer("pyramid.short-side-px").unwrap_or(512)),
            evaluations: evaluations.unwrap_or_else(|| vec![600, 200, 66, 30]),
        }
    }

    /// Evaluations at `level`, counted from 0 at the smallest.
    pub fn evaluations_at(&self, level: usize) -> u32 {
        let last = self.evaluations.last().copied().unwrap_or(1);
        self.evaluations.get(level).copied().unwrap_or(last)
    }

    pub(super) fn list(&self, list: &mut Listing) {
        list.value("pyramid.short-side-px", self.short_side.0);
        list.values("pyramid.evaluations", &self.evaluations);
    }
}

choice! {
    /// The algorithm that moves the canvas.
    Method {
        /// L-BFGS without a line search.
        Lbfgs = "lbfgs",
        /// Adam.
        Adam = "adam",
    }
}

/// `[optimise]`: how the objective is minimised.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Optimise {
    /// `method`: default `lbfgs`.
    pub method: Method,
    /// `history`: pairs that L-BFGS remembers, 1 to 1000; `None` (default): 100, less where memory
    /// asks for it. Adam does not use it.
    pub history: Option<u32>,
    /// `learning-rate`: Adam's step in canvas values (0 to 1), or the factor on L-BFGS's steps;
    /// above 0 and at most 1000; `None` (default): the optimiser's own.
    pub learning_rate: Option<f64>,
}

impl Optimise {
    pub(super) fn read(reader: &mut Reader<'_>) -> Optimise {
        Optimise {
            method: reader.choice("optimise.method").unwrap_or_default(),
            history: reader.integer("optimise.history"),
            learning_rate: reader.number("optimise.learning-rate"),
        }
    }

    pub(super) fn list(&self, list: &mut Listing) {
        list.text("optimise.method", self.method);
        list.optional("optimise.history", self.history);
        list.optional("optimise.learning-rate", self.learning_rate);
    }
}

choice! {
    /// How a canvas that is too large for one piece is computed.
    TilingMode {
        /// Exact where the optimiser's state fits the memory, else blocks.
        Auto = "auto",
        /// The whole image's loss, tile by tile, one optimiser.
        Exact = "exact",
        /// Rounds in which each tile has an optimiser of its own on the whole image's loss.
        Blocks = "blocks",
        /// Overlapping tiles, each optimised alone, blended.
        Feathered = "feathered",
    }
}

choice! {
    /// How far the tiles of exact mode reach beyond their cores.
    TilingMargins {
        /// So far that the tiles give the whole image's loss and gradient to rounding.
        Exact = "exact",
        /// So far that no byte depends on the core, where it is a multiple of 64 px; for more time
        /// and memory.
        Bitwise = "bitwise",
    }
}

/// Side of a tile's core.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Core {
    /// The largest that the memory holds.
    #[default]
    Auto,
    /// This side, a multiple of 16.
    Side(Px),
}

/// `[tiling]`: how large canvases are cut.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tiling {
    /// `mode`: default `auto`.
    pub mode: TilingMode,
    /// `core-px`: `"auto"` (default) or a multiple of 16 from 16 to 65536, in pixels; of 64 where
    /// `margins` is `bitwise`.
    pub core: Core,
    /// `margins`: of exact mode, default `exact`; blocks and feathered mode do not use it.
    pub margins: TilingMargins,
    /// `rounds`: of blocks or feathered mode, 1 to 10000; `None` (default): from the evaluations.
    pub rounds: Option<u32>,
    /// `visit`: evaluations of one tile in one round of blocks or feathered mode, 1 to 100000;
    /// `None` (default): from the evaluations.
    pub visit: Option<u32>,
    /// `overlap-px`: how far tiles of blocks or feathered mode reach into their neighbours, in
    /// pixels, 0 to 4096; `None` (default): the mode's own.
    pub overlap: Option<Px>,
}

impl Tiling {
    pub(super) fn read(reader: &mut Reader<'_>) -> Tiling {
        let (core, margins) = (
            read_core(reader).unwrap_or_default(),
            reader.choice("tiling.margins").unwrap_or_default(),
        );
        check_core(reader, core, margins);
        Tiling {
            mode: reader.choice("tiling.mode").unwrap_or_default(),
            core,
            margins,
            rounds: reader.integer("tiling.rounds"),
            visit: reader.integer("tiling.visit"),
            overlap: reader.integer("tiling.overlap-px").map(Px),
        }
    }

    pub(super) fn list(&self, list: &mut Listing) {
        list.text("tiling.mode", self.mode);
        match self.core {
            Core::Auto => list.text("tiling.core-px", "auto"),
            Core::Side(side) => list.value("tiling.core-px", side.0),
        }
        list.text("tiling.margins", self.margins);
        list.optional("tiling.rounds", self.rounds);
        list.optional("tiling.visit", self.visit);
        list.optional("tiling.overlap-px", self.overlap.map(|overlap| overlap.0));
    }
}

fn read_core(reader: &mut Reader<'_>) -> Option<Core> {
    const KEY: &str = "tiling.core-px";
    if reader.is_auto(KEY) {
        return Some(Core::Auto);
    }
    let side: u32 = reader.integer(KEY)?;
    if !side.is_multiple_of(16) {
        let near = side.next_multiple_of(16);
        let origin = reader.origin(KEY);
        let message = format!("`tiling.core-px` is {side}, no multiple of 16");
        reader.bad(KEY, origin, message, format!("{} or {near}?", near - 16));
    }
    Some(Core::Side(Px(side)))
}

/// The same bytes for any core need cores on whose corners tiles of the deepest cells begin.
fn check_core(reader: &mut Reader<'_>, core: Core, margins: TilingMargins) {
    const UNIT: u32 = 64;
    let Core::Side(Px(side)) = core else { return };
    // What is no multiple of 16 has been told of.
    if margins == TilingMargins::Bitwise && !side.is_multiple_of(UNIT) && side.is_multiple_of(16) {
        let near = side.next_multiple_of(UNIT);
        let help = match near - UNIT {
            0 => format!("set `core-px = {near}`, or `margins = \"exact\"`"),
            below => format!("set `core-px = {below}` or {near}, or `margins = \"exact\"`"),
        };
        let message = format!(
            "`tiling.core-px` is {side}, and `tiling.margins` \"bitwise\" wants a multiple of {UNIT}"
        );
        reader.contradiction(&message, &["tiling.core-px", "tiling.margins"], &help);
    }
}
