//! The checked settings of one variant: a struct for each table of a pipeline file.
//!
//! Each file here holds some tables: what they mean, how they are read from the merged tree and how
//! they are listed again. Values are within their documented ranges; paths have been found to
//! exist. What a setting left out means is decided here where it is a constant, and left as `None`
//! where a later stage (the preset, the planner) decides.

mod machine;
mod method;
mod output;
mod picture;
mod size;

pub use machine::{
    Batch, Budget, Checkpoint, Compute, DeviceName, Devices, ParallelJobs, Precision,
};
pub use machine::{TimeOfDay, Watch};
pub use method::{
    Core, LayerWeights, Method, Objective, Optimise, Preset, Pyramid, Tiling, TilingMargins,
    TilingMode,
};
pub use output::{BitDepth, Color, ColorFrom, Companion, Compression, Fit, Intent, MetadataFrom};
pub use output::{Output, OutputProfile, WorkingSpace};
pub use picture::{Input, Network, Start, StartFrom, Style};
pub use size::Size;
pub(crate) use size::WAYS;

use super::FindWritten;
use super::listing::{Listed, Listing};
use super::reader::Reader;
use crate::files::Home;

/// Every setting of one variant, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// `[input]`: the photographs.
    pub input: Input,
    /// `[[style]]`: the paintings; empty only if nothing in the objective needs one.
    pub styles: Vec<Style>,
    /// `[output]`: where finished pictures go, how large and in what format.
    pub output: Output,
    /// `[color]`: colour spaces.
    pub color: Color,
    /// `[objective]`: what is minimised.
    pub objective: Objective,
    /// `[start]`: the canvas before the first evaluation.
    pub start: Start,
    /// `[pyramid]`: levels and their evaluations.
    pub pyramid: Pyramid,
    /// `[optimise]`: how the objective is minimised.
    pub optimise: Optimise,
    /// `[tiling]`: how large canvases are cut.
    pub tiling: Tiling,
    /// `[compute]`: what computes.
    pub compute: Compute,
    /// `[network]`: the weights.
    pub network: Network,
    /// `[watch]`: what is told along the way.
    pub watch: Watch,
    /// `[checkpoint]`: how often work is made durable.
    pub checkpoint: Checkpoint,
    /// `[batch]`: how a collection is worked through.
    pub batch: Batch,
    /// `[budget]`: when to stop for the night.
    pub budget: Budget,
}

impl Settings {
    /// Reads and checks every table, telling `reader` of each problem.
    ///
    /// Where a value is bad its default stands in, so that the other keys are checked as well; the
    /// result means nothing if the reader holds problems afterwards.
    pub(crate) fn read(
        reader: &mut Reader<'_>,
        variant: bool,
        written: &mut FindWritten<'_>,
    ) -> Settings {
        let objective = Objective::read(reader);
        let styles = Style::read_all(reader, &objective);
        let styled = !styles.is_empty() || objective.needs_style();
        let output = Output::read(reader, styled, variant);
        Settings {
            input: Input::read(reader, &output.directory, written),
            styles,
            output,
            color: Color::read(reader),
            objective,
            start: Start::read(reader),
            pyramid: Pyramid::read(reader),
            optimise: Optimise::read(reader),
            tiling: Tiling::read(reader),
            compute: Compute::read(reader),
            network: Network::read(reader),
            watch: Watch::read(reader),
            checkpoint: Checkpoint::read(reader),
            batch: Batch::read(reader),
            budget: Budget::read(reader),
        }
    }

    /// The settings as a list of keys and values, in a fixed order; files by their identity as seen
    /// from `home`, the pipeline's folder.
    pub fn listing(&self, home: &Home) -> Vec<Listed> {
        let mut listing = Listing::new(home);
        self.list(&mut listing);
        listing.into_list()
    }

    /// Writes every setting into `list`.
    fn list(&self, list: &mut Listing) {
        self.input.list(list);
        for (index, style) in self.styles.iter().enumerate() {
            style.list(index, list);
        }
        self.output.list(list);
        self.color.list(list);
        self.objective.list(list);
        self.start.list(list);
        self.pyramid.list(list);
        self.optimise.list(list);
        self.tiling.list(list);
        self.compute.list(list);
        self.network.list(list);
        self.watch.list(list);
        self.checkpoint.list(list);
        self.batch.list(list);
        self.budget.list(list);
    }
}
