//! One picture from start to end: pyramid, levels, sweeps over tiles.
//!
//! Owns the rendering of a [`crate::plan::Job`]; it sees neither command line nor pipeline file, tells a listener what
//! happens and watches a [`crate::stop::Stop`].

mod blocks;
mod calibrate;
mod canvas;
mod engine;
mod error;
mod feathered;
mod finish;
mod job;
mod level;
mod photograph;
mod recipe;
mod rounds;
mod scaled;
mod sweep;
mod target_file;
mod targets;
mod visits;
mod workers;

pub use calibrate::calibrate;
pub use canvas::{picture_tensor, resized};
pub use engine::Engine;
pub use error::RenderError;
pub use finish::{Finish, intermediate_path, partial_path, preview_path, pyramid_path};
pub use job::{Rendered, Watcher, render};
pub use photograph::Photograph;
pub use rounds::{Progress as RoundsProgress, Rounds};
pub use scaled::Scaled;
pub use sweep::{ContentTarget, Evaluation, Sweep, TapLoss};
pub use targets::{TargetStore, pixel_targets, style_targets, tensor_targets};
pub use visits::{Context, Kind, Scene, Visited, Whole};
