//! impasto turns photographs into poster-size paintings: neural style transfer (Gatys, Ecker and
//! Bethge 2015) whose loss is computed exactly over tiles, so that a picture of any size is one
//! picture.
//!
//! # From a pipeline to a picture
//!
//! The program is a thin shell around these calls. The library prints nothing: it tells a listener
//! what happens.
//!
//! ```
//! use impasto::event::{Event, Watcher};
//! use impasto::image::Limits;
//! use impasto::network::{Isa, Precision, Weights};
//! use impasto::render::{Engine};
//! use impasto::event::CancellationToken;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let folder = tempfile::tempdir()?;
//! let samples = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("samples");
//! let pipeline = folder.path().join("pipeline.toml");
//! std::fs::write(
//!     &pipeline,
//!     format!(
//!         r#"
//!         input.content = '{}'
//!         style.image = '{}'
//!         output = {{ directory = "renders", long-side-px = 96 }}
//!         pyramid.evaluations = 5
//!         "#,
//!         samples.join("content/chelsea.png").display(),
//!         samples.join("style/starry_night.png").display(),
//!     ),
//! )?;
//!
//! // Settings, checked as a whole; then numbers: one job for each picture.
//! let config = impasto::config::load(&pipeline, &[]).map_err(|problems| format!("{problems:?}"))?;
//! let (plan, unusable) = impasto::batch::plan(&config);
//! assert!(unusable.is_empty());
//! assert_eq!((plan.jobs[0].framing.width, plan.jobs[0].framing.height), (96, 64));
//!
//! // What computes, who listens, and who may stop it.
//! let pool = rayon::ThreadPoolBuilder::new().build()?;
//! let mut engine = Engine::new(Weights::embedded()?, Isa::detect(), Precision::Float32, pool);
//! let mut losses = Vec::new();
//! let mut listener = |event: &Event| {
//!     if let Event::Evaluated { losses: found, .. } = event {
//!         losses.push(found.total);
//!     }
//! };
//! let stop = CancellationToken::new();
//! let mut watcher = Watcher { listener: &mut listener, cancellation: &stop };
//! let summary = impasto::batch::run(&plan, &mut engine, &Limits::default(), &mut watcher);
//!
//! assert!(summary.finished[0].0.ends_with("renders/chelsea-starry_night.png"));
//! assert_eq!(losses.len(), 5);
//! assert!(losses[4] < losses[0]);
//! # Ok(())
//! # }
//! ```
//!
//! # The house
//!
//! A module imports only from floors below its own; `tests/floors.rs` keeps this true.
//!
//! ```text
//! 8 cli                                     commands, progress, exit codes
//! 7 batch report                            many jobs, past failures; what pictures show
//! 6 render                                  one job: pyramid, levels, sweeps over tiles
//! 5 journal                                 run directories: lock, plan, events, checkpoints
//! 4 plan                                    settings and probes to numbers; pure
//! 3 objective config                        losses over the network; TOML, checked
//! 2 image tiling network optimise           pictures; grids; VGG19; L-BFGS and Adam
//! 1 kernels planes resources                vector instructions; planes of floats on disk; limits
//! 0 units geometry event files format random tensor
//! ```

pub mod batch;
pub mod cli;
pub mod config;
pub mod event;
pub mod files;
pub mod format;
pub mod geometry;
pub mod image;
pub mod journal;
#[allow(
    unsafe_code,
    reason = "vector instructions and uninitialised buffers, behind safe functions"
)]
mod kernels;
pub mod network;
pub mod objective;
pub mod optimise;
pub mod plan;
pub mod planes;
pub mod random;
pub mod render;
pub mod report;
pub mod resources;
pub mod tensor;
pub mod tiling;
pub mod units;

/// What the tests and benchmarks of this package reach into. It is no part of the interface and
/// changes without notice.
#[doc(hidden)]
pub mod internal {
    pub use crate::kernels::{buffer, convolve, gram, map, winograd};
    pub use crate::render::rounds::context::{RoundContext, TileObjective};
    pub use crate::render::rounds::run::{RoundState, Rounds, store as store_tile};
    pub use crate::render::rounds::visit::TileResult;
    pub use crate::render::store::canvas::resized;
    pub use crate::render::store::stage::{Canvas, resized_file};
    pub use crate::render::store::targets::tensor_targets;
}
