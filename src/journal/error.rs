//! What can go wrong with a run directory.

use std::path::{Path, PathBuf};

use super::fingerprint::Change;
use super::owner::Owner;
use crate::format;
use crate::planes::PlaneError;

/// Why a run directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// Another process works in it.
    #[error("{} is being worked on by {owner}; `impasto status` shows how far it is", .directory.display())]
    Locked {
        /// The run directory.
        directory: PathBuf,
        /// The process.
        owner: Owner,
    },
    /// The file system has no locks.
    #[error(
        "cannot lock {}: {source}; is it on a network file system? Choose an output.directory on another disk, or run with --no-lock if no other process works on this run",
        .path.display()
    )]
    NoLocks {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// What the pictures are made from is not what the run began with.
    #[error("{}", changed(.directory, .changes))]
    Changed {
        /// The run directory.
        directory: PathBuf,
        /// What changed; at least one entry.
        changes: Vec<Change>,
    },
    /// A file of the directory is damaged.
    #[error("{}: {reason}; `impasto run --restart` begins a new run beside it", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A file was written by a later version of the program.
    #[error("{} has format {found} and this program knows formats up to {known}: it was made by a newer impasto", .path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// The latest format that is known.
        known: u32,
    },
    /// A file was written by an earlier version of the program, in a form that is read no more.
    #[error(
        "{} has format {found}, of an older impasto: finish the run with that version, or begin a new run beside it with `impasto run --restart`",
        .path.display()
    )]
    Older {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u32,
    },
    /// There is no run here.
    #[error("{}: no run of impasto is here", .path.display())]
    NoRun {
        /// Where one was looked for.
        path: PathBuf,
    },
    /// The disk has too little space for the checkpoints.
    #[error(
        "{} has {} of disk space free and the run needs up to {}: free some, or choose another output.directory",
        .directory.display(),
        format::bytes(*.free),
        format::bytes(*.needed)
    )]
    NoSpace {
        /// Where the space is needed.
        directory: PathBuf,
        /// Bytes free.
        free: u64,
        /// Bytes needed.
        needed: u64,
    },
    /// A file could not be written.
    #[error(transparent)]
    File(#[from] crate::files::Error),
    /// A checkpoint could not be read or written. None is removed: it may be as good as ever.
    #[error("{error}{advice}", error = .0, advice = checkpoint_advice(.0))]
    Checkpoint(#[from] PlaneError),
}

impl JournalError {
    pub(super) fn io(
        action: &'static str,
        path: &Path,
    ) -> impl FnOnce(std::io::Error) -> JournalError {
        let path = path.to_path_buf();
        move |source| JournalError::File(crate::files::Error::Io { action, path, source })
    }
}

/// What to do about a checkpoint that is there and cannot be used.
fn checkpoint_advice(error: &PlaneError) -> &'static str {
    match error {
        PlaneError::Format { .. } => {
            "; finish the run with that version, or start over with `--restart`, which deletes nothing"
        }
        _ => "; the checkpoints are kept: run again when the cause is gone",
    }
}

fn changed(directory: &Path, changes: &[Change]) -> String {
    let list: Vec<String> = changes.iter().map(|change| format!("\n  {change}")).collect();
    format!(
        "what the pictures are made from has changed since the run {} began:{}\nundo the changes to resume it, or begin a new run with `--restart`, which deletes nothing",
        directory.display(),
        list.concat()
    )
}
