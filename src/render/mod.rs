//! One picture from start to end: pyramid, levels, sweeps over tiles.
//!
//! Owns the rendering of a [`crate::plan::Job`]; it sees neither command line nor pipeline file,
//! reports to a listener and watches a [`crate::event::CancellationToken`].
//!
//! - [`devices`]: who computes. The engine, its worker pool, and how tiles are handed out.
//! - [`store`]: what is computed on. Canvases in memory and in files, content images, style targets.
//! - [`exact`]: one optimiser moves the whole canvas; tiles are units of computing only.
//! - [`rounds`]: blocks and feathered mode, where every tile has an optimiser of its own.
//! - `level`, `job`: a level of the pyramid in any mode, and the climb from the first to the last.
//! - `finish`, `recipe`: the finished canvas becomes a print and its companions.

mod context;
pub mod devices;
mod error;
pub mod exact;
mod finish;
mod job;
mod level;
mod progress;
mod recipe;
pub mod rounds;
pub mod store;

pub use context::RenderContext;
pub use devices::calibrate::calibrate;
pub use devices::device_list::Lost;
pub use devices::engine::Engine;
pub use devices::gpu::{Gpu, gpu, gpus};
pub use devices::worker_pool::WorkerPool;
pub use error::RenderError;
pub use exact::sweep::{Evaluation, Sweep, TapLoss};
pub use finish::Finish;
pub use job::{Delivery, FinishedCanvas, RenderOutcome, deliver, paint};
pub use rounds::run::{Progress as RoundsProgress, ResumePoint, Rounds, store as store_tile};
pub use rounds::visits::{Context, ImageStatistics, Kind, RoundContext, TileResult};
pub use store::canvas::{picture_tensor, resized};
pub use store::content::ContentImage;
pub use store::scaled::Scaled;
pub use store::stage::{Canvas, resized_file, written_by_bands};
pub use store::targets::{TargetStore, pixel_targets, style_targets, tensor_targets};
