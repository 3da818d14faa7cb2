//! The checked settings: a struct for each table of a pipeline file, put together in those that
//! belong to a run and those that belong to a picture.
//!
//! Each file here holds the rows of some tables and the types that only they use. Values are within
//! their ranges; files that they name have been found to exist. What a setting left out means is
//! decided here where it is a constant, and left as `None` where a later stage (the preset, the
//! planner) decides.

mod inputs;
mod machine;
mod method;
mod objective;
mod output;
mod size;

pub use inputs::{Input, Start, StartFrom, Style};
pub use machine::{Batch, Budget, Checkpoint, Compute, DeviceName, Network, TimeOfDay, Watch};
pub use method::{Method, Optimise, Pyramid, Tiling, TilingMargins, TilingMode};
pub use objective::{LayerWeights, Look, Objective, Octaves, Preset};
pub(crate) use output::SIZE_KEYS;
pub use output::{Color, ColorFrom, Fit, MetadataFrom, Output, OutputFolder, ProfileSource};
pub use output::{ViewerTiles, WorkingSpace};
pub use size::Size;

use super::name::NameTemplate;
use super::schema::{Key, TableKeys};
use super::table::{Section, tables};

tables! {
    /// What all pictures of a run share. A `[[variant]]` cannot set it.
    RunSettings {
        /// `[output]`: where finished pictures go.
        output: OutputFolder;
        /// `[compute]`: what computes.
        compute: Compute;
        /// `[network]`: the weights.
        network: Network;
        /// `[watch]`: what is reported while pictures are computed.
        watch: Watch;
        /// `[checkpoint]`: how often work is made durable.
        checkpoint: Checkpoint;
        /// `[batch]`: how a collection is worked through.
        batch: Batch;
        /// `[budget]`: when a run stops by itself.
        budget: Budget;
    }
}

tables! {
    /// What decides how a photograph becomes a picture; each `[[variant]]` has its own.
    Settings {
        /// `[[style]]`: the paintings; empty only if nothing in the objective needs one.
        styles: Vec<Style>;
        /// `[output]`: how large finished pictures are and in what format.
        output: Output;
        /// `[color]`: colour spaces.
        color: Color;
        /// `[objective]`: what is minimised.
        objective: Objective;
        /// `[start]`: the canvas before the first evaluation.
        start: Start;
        /// `[pyramid]`: levels and their evaluations.
        pyramid: Pyramid;
        /// `[optimise]`: how the objective is minimised.
        optimise: Optimise;
        /// `[tiling]`: how large canvases are cut.
        tiling: Tiling;
    }
}

/// What a picture is one of, beside its photograph.
#[derive(Clone, Copy, Debug)]
pub(super) struct PictureParts {
    /// Of a `[[variant]]`.
    pub(super) variant: bool,
    /// Of a `[grid]`.
    pub(super) grid: bool,
}

impl Settings {
    /// Whether there is a style, or there has to be one.
    pub(super) fn has_style(&self) -> bool {
        !self.styles.is_empty() || self.objective.needs_style()
    }

    /// The names of the pictures; if none is given, one with the placeholders that these settings
    /// and the `parts` need.
    pub(super) fn name_template(&self, parts: PictureParts) -> NameTemplate {
        let PictureParts { variant, grid } = parts;
        let standard = || NameTemplate::standard(self.has_style(), variant, grid);
        self.output.name.clone().unwrap_or_else(standard)
    }

    /// Fills in what the keys imply, so that stating it makes no difference.
    pub(super) fn complete(&mut self) {
        self.output.complete();
        self.start.complete();
    }
}

const INPUT: TableKeys = <Input as Section>::TABLE;

/// The tables that a variant may set.
fn of_pictures() -> impl Iterator<Item = &'static TableKeys> {
    std::iter::once(&INPUT).chain(Settings::TABLES)
}

/// Every table of a pipeline file, each once by its name. `[output]` has keys for the run and keys
/// for a picture.
pub(crate) fn tables() -> Vec<TableKeys> {
    let mut tables: Vec<TableKeys> = Vec::new();
    for table in of_pictures().chain(RunSettings::TABLES) {
        if !tables.iter().any(|known| known.name == table.name) {
            tables.push(*table);
        }
    }
    tables
}

/// The keys of a table, those for the run first.
pub(crate) fn keys_of(table: &str) -> impl Iterator<Item = &'static Key> {
    let parts = RunSettings::TABLES.iter().chain(of_pictures());
    parts.filter(move |part| part.name == table).flat_map(|part| part.keys)
}

/// Whether a key holds for the whole run.
pub(crate) fn is_of_run(table: &str, key: &str) -> bool {
    let parts = RunSettings::TABLES.iter().filter(|part| part.name == table);
    parts.flat_map(|part| part.keys).any(|known| known.name() == key)
}
