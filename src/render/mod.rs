//! One picture from start to end: pyramid, levels, sweeps over tiles.
//!
//! Owns the rendering of a [`crate::plan::Job`]; it sees neither command line nor pipeline file,
//! reports to a listener and watches a [`crate::event::CancellationToken`].
//!
//! - `devices`: who computes. The engine, its worker pool, and how tiles are handed out.
//! - `store`: what is computed on. Canvases in memory and in files, content images, style targets.
//! - `tiles`: what all modes share. Sweeps over the tiles of a canvas, and halving them.
//! - `exact`: one optimiser moves the whole canvas; tiles are units of computing only.
//! - `rounds`: blocks and feathered mode, where every tile has an optimiser of its own.
//! - `level`, `job`: a level of the pyramid in any mode, and the climb from the first to the last.
//! - `finish`, `recipe`: the finished canvas becomes a print and its companions.

mod context;
pub(crate) mod devices;
mod error;
pub(crate) mod exact;
mod finish;
mod job;
mod level;
mod progress;
mod recipe;
pub(crate) mod rounds;
pub(crate) mod store;
pub(crate) mod tiles;

pub use context::RenderContext;
pub use devices::calibrate::calibrate;
pub use devices::device_list::LostDevice;
pub use devices::engine::Engine;
pub use devices::worker_pool::WorkerPool;
pub use error::RenderError;
pub use exact::evaluator::{Evaluation, Evaluator, TilePlan};
pub use finish::Finish;
pub use job::{Delivery, FinishedCanvas, RenderOutcome, deliver, paint};
pub use store::canvas::picture_tensor;
pub use store::content::ContentImage;
pub use store::targets::{TargetStore, style_targets};
