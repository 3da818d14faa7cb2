//! One picture from start to end: pyramid, levels, sweeps over tiles.
//!
//! Owns the rendering of a [`crate::plan::Job`]; it sees neither command line nor pipeline file,
//! tells a listener what happens and watches a [`crate::stop::Stop`].

mod blocks;
mod calibrate;
mod canvas;
mod engine;
mod error;
mod feathered;
mod finish;
mod gpu;
mod job;
mod level;
mod photograph;
mod progress;
mod recipe;
mod roster;
mod rounds;
mod scaled;
mod stage;
mod sweep;
mod target_file;
mod targets;
mod team;
mod tiled;
mod visits;
mod workers;

pub use calibrate::calibrate;
pub use canvas::{picture_tensor, resized};
pub use engine::Engine;
pub use error::RenderError;
pub use finish::{Finish, intermediate_path, partial_path, preview_path, pyramid_path};
pub use gpu::{Gpu, gpu, gpus};
pub use job::{Painted, Painting, Watcher, Workshop, deliver, paint};
pub use photograph::Photograph;
pub use roster::Lost;
pub use rounds::{
    Progress as RoundsProgress, Rounds, Standing as RoundsStanding, store as store_tile,
};
pub use scaled::Scaled;
pub use stage::{Canvas, resized_file, written_by_bands};
pub use sweep::{Evaluation, Sweep, TapLoss};
pub use targets::{TargetStore, pixel_targets, style_targets, tensor_targets};
pub use team::Team;
pub use visits::{Context, Kind, Scene, Visited, Whole};
