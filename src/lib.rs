//! impasto turns photographs into poster-size paintings: neural style transfer (Gatys, Ecker and
//! Bethge 2015) whose loss is computed exactly over tiles, so that a picture of any size is one
//! picture.
//!
//! # From a pipeline to a picture
//!
//! The program is a thin shell around these calls. The library prints nothing: it reports to a
//! listener.
//!
//! ```
//! use impasto::event::{CancellationToken, Event, Watcher};
//! use impasto::{Engine, Isa, Precision, Weights, batch, config, image::Limits};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let samples = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("samples");
//! # let pipeline = folder.path().join("pipeline.toml");
//! # let content = samples.join("content/chelsea.png").display().to_string();
//! # let style = samples.join("style/starry_night.png").display().to_string();
//! // A pipeline file names a content image and a style image.
//! std::fs::write(
//!     &pipeline,
//!     format!(
//!         r#"
//!         input.content = '{content}'
//!         style.image = '{style}'
//!         output = {{ directory = "renders", long-side-px = 96 }}
//!         pyramid.evaluations = 5
//!         "#
//!     ),
//! )?;
//!
//! // Settings, checked as a whole; then numbers: one job for each picture.
//! let config = config::load(&pipeline, &[])?;
//! let (plan, unusable) = batch::plan(&config);
//! assert!(unusable.is_empty());
//! assert_eq!((plan.jobs[0].framing.width, plan.jobs[0].framing.height), (96, 64));
//!
//! // What computes, who listens, and what may stop it.
//! let threads = rayon::ThreadPoolBuilder::new().build()?;
//! let mut engine =
//!     Engine::new(Weights::embedded()?, Isa::detect(), Precision::Float32, threads);
//! let mut losses = Vec::new();
//! let mut listener = |event: &Event| {
//!     if let Event::Evaluated { losses: found, .. } = event {
//!         losses.push(found.total);
//!     }
//! };
//! let cancellation = CancellationToken::new();
//! let mut watcher = Watcher { listener: &mut listener, cancellation: &cancellation };
//! let summary = batch::run(&plan, &mut engine, &Limits::default(), &mut watcher);
//!
//! assert!(summary.finished[0].0.ends_with("renders/chelsea-starry_night.png"));
//! assert_eq!(losses.len(), 5);
//! assert!(losses[4] < losses[0]);
//! # Ok(())
//! # }
//! ```
//!
//! [`batch::prepare`] does the same in a run directory, from which an interrupted run resumes;
//! [`journal`] reads such a directory. `examples/` has four short programs.
//!
//! # Words
//!
//! | word | meaning |
//! |---|---|
//! | content, style | the image that says *what* is in the picture, and the one that says *how* it is painted |
//! | canvas | the picture in work: RGB, `[3, H, W]`, float32, values 0..1, display-coded sRGB |
//! | tap | a layer of the network whose features a term of the loss compares |
//! | cell | one position of a layer's feature map; a cell of relu5_1 covers 16x16 px |
//! | Gram matrix | `mean(F F^T)` over the cells of a tap: how strongly each pair of features occurs together |
//! | evaluation | one value of the loss and its gradient with respect to the canvas |
//! | level | one size of the pyramid; each is about twice as large as the one below |
//! | tile | a rectangle of the canvas that is computed at once: a core and a margin |
//! | core | the part of a tile that counts; the cores cover the canvas without overlap |
//! | margin | the pixels around a core that its features, or its gradient, depend on |
//! | sweep | one pass over all tiles |
//! | round, visit | blocks and feathered mode: every tile optimised once from one snapshot, and the work on one tile |
//! | history, pairs | the last steps and changes of the gradient, from which L-BFGS learns the curvature |
//!
//! # The house
//!
//! A module imports only from floors below its own, and no file is in a circle of imports;
//! `tests/floors.rs` keeps this true. `docs/architecture.md` walks a picture through it. What is not
//! shown on these pages may change in any version.
//!
//! ```text
//! 8 cli                                     commands, progress, exit codes
//! 7 batch report page                       many jobs, past failures; what pictures show; the page of a run
//! 6 render                                  one job: pyramid, levels, sweeps over tiles
//! 5 journal                                 run directories: lock, plan, events, checkpoints
//! 4 plan                                    settings and probes to numbers; pure
//! 3 objective config                        losses over the network; TOML, checked
//! 2 image tiling network optimise           pictures; grids; VGG19; L-BFGS and Adam
//! 1 kernels event planes resources          vector instructions; events; planes of floats on disk; limits
//! 0 units geometry files format memory random tensor
//! ```

pub mod batch;
#[doc(hidden)]
pub mod cli;
pub mod config;
pub mod event;
#[doc(hidden)]
pub mod files;
#[doc(hidden)]
pub mod format;
#[doc(hidden)]
pub mod geometry;
pub mod image;
pub mod journal;
#[allow(
    unsafe_code,
    reason = "vector instructions and uninitialised buffers, behind safe functions"
)]
mod kernels;
#[doc(hidden)]
pub mod memory;
#[doc(hidden)]
pub mod network;
#[doc(hidden)]
pub mod objective;
#[doc(hidden)]
pub mod optimise;
#[doc(hidden)]
pub mod page;
pub mod plan;
#[doc(hidden)]
pub mod planes;
#[doc(hidden)]
pub mod random;
#[doc(hidden)]
pub mod render;
#[doc(hidden)]
pub mod report;
#[doc(hidden)]
pub mod resources;
#[doc(hidden)]
pub mod tensor;
#[doc(hidden)]
pub mod tiling;
#[doc(hidden)]
pub mod units;

pub use files::{FileId, Home, NamedFile};
pub use network::{Isa, Precision, Weights, WeightsError};
pub use render::{Engine, RenderError};

/// What the tests and benchmarks of this package reach into. It is no part of the interface and
/// changes without notice.
#[doc(hidden)]
pub mod internal {
    pub use crate::kernels::{buffer, convolve, gram, map, winograd};
    pub use crate::render::rounds::context::{
        RoundContext, TileContext, TileObjective, in_content_units,
    };
    pub use crate::render::rounds::run::{RoundState, Rounds, store as store_tile};
    pub use crate::render::rounds::visit::TileResult;
    pub use crate::render::store::canvas::resized;
    pub use crate::render::store::stage::{Canvas, resized_file};
    pub use crate::render::store::targets::tensor_targets;
}
