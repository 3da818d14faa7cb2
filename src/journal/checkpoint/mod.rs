//! Checkpoints: what a job needs to continue as if it had never been stopped.
//!
//! A checkpoint is a manifest and the vectors that it names, each vector in a file of its own
//! ([`crate::planes`]). Only vectors that are new are written: of a hundred curvature pairs of
//! L-BFGS, those of the last minute. The manifest is written last and atomically, so a checkpoint is
//! there whole or not at all; only then do older files go. The one before the newest stays, and so
//! does the end of the level below.
//!
//! A checkpoint is lost by damage alone: a file that is gone or whose checksums are wrong. It is
//! passed over, with a warning, and the best that is left is used. When the system refuses to read
//! a file (a share that is away, a permission, no memory), or another version of the program wrote
//! it, the run ends with that reason, and everything stays.

mod manifest;
mod store;

pub use manifest::{FileSeal, Manifest, ManifestError, Stage, parse_manifest};
pub use store::{Checkpoints, Cost, Snapshot};
