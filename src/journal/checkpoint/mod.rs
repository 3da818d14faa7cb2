//! Checkpoints: what a job needs to go on as if it had never been stopped.
//!
//! A checkpoint is a manifest and the vectors that it names, each vector in a file of its own. Only
//! vectors that are new are written: of a hundred curvature pairs of L-BFGS, those of the last
//! minute. The manifest is written last and atomically, so a checkpoint is there whole or not at
//! all; only then do older files go. The one before the newest stays, and so does the end of the
//! level below: a checkpoint whose checksums are wrong is passed over, with a word, and the work
//! goes on from the best that is left.

mod manifest;
mod seal;
mod store;
mod vector;

pub use manifest::{Manifest, Stage, VectorFile, parse_manifest};
pub use seal::{is_sealed, remove_sealed, seal};
pub use store::{Checkpoints, Loaded, Saved, Snapshot};
pub use vector::parse_header;
