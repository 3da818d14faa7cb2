//! The run directory: what makes a night's work last.
//!
//! `<output.directory>/.impasto/<run>/` holds `plan.json` (written once), `events.jsonl`
//! (append-only), `lock`, `checkpoints/` and `previews/`. Every durable step has one order: the data is written
//! and synced, then the event is appended and synced. So what an event says is there, and what is
//! there without an event is done again.
//!
//! Only [`LockedRun`] can write, and only the process that has the lock has one. Reading needs no
//! lock: [`open`] serves `status` during a run. Each format is owned by one file, which says its
//! version and its history: the plan by `plan_file`, the events by `log`, manifests of checkpoints
//! by `checkpoint::manifest`, vectors and canvases by [`crate::planes`].

pub mod checkpoint;
mod directory;
mod error;
mod fingerprint;
mod lock;
mod log;
mod owner;
mod past;
mod plan_file;
mod reader;
mod run;
mod status;
mod thinning;

pub use checkpoint::Checkpoints;
pub use directory::{RunName, find, free_space, level_preview, runs};
pub use error::JournalError;
pub use fingerprint::{ALGORITHM, Change, Fingerprint, UnreadableFile};
pub use lock::{Locking, current_owner};
pub use log::{BadLine, Line, Record, Replay, replay};
pub use owner::Owner;
pub use past::past_runs;
pub use reader::{RunReader, RunSnapshot, open};
pub use run::LockedRun;
pub use status::{JobState, JobStatus, RunStatus};
