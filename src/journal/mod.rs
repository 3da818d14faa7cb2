//! The run directory: what makes a night's work last.
//!
//! `<output.directory>/.impasto/<run>/` holds `plan.json` (written once), `events.jsonl`
//! (append-only), `lock` and `checkpoints/`. Every durable step has one order: the data is written
//! and synced, then the event is appended and synced. So what an event tells is there, and what is
//! there without an event is done again.
//!
//! Only [`LockedRun`] can write, and only whoever holds the lock has one. Reading needs no lock:
//! [`open`] serves `status` while a run goes on. Each format is owned by one file, which tells its
//! version and its history: the plan by `recorded`, the events by `log`, manifests of checkpoints
//! by `checkpoint::manifest`, vectors and canvases by [`crate::planes`].

pub mod checkpoint;
mod directory;
mod error;
mod fingerprint;
mod lock;
mod log;
mod recorded;
mod run;
mod status;

pub use checkpoint::Checkpoints;
pub use directory::{RunName, find, room, runs};
pub use error::JournalError;
pub use fingerprint::{ALGORITHM, Change, Fingerprint};
pub use lock::{Holder, holder};
pub use log::{BadLine, Line, Record, Replay, replay};
pub use recorded::Recorded;
pub use run::{LockedRun, Reading, open};
pub use status::{JobState, JobStatus, RunStatus};
