//! What can go wrong with a run directory.

use std::path::{Path, PathBuf};

use super::fingerprint::Change;
use super::lock::Holder;
use crate::format;
use crate::planes::PlaneError;

/// Why a run directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// Another process works in it.
    #[error("{} is being worked on by {holder}; `impasto status` shows how far it is", .directory.display())]
    Locked {
        /// The run directory.
        directory: PathBuf,
        /// The process.
        holder: Holder,
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
    #[error("{}: {reason}; `impasto run --restart` begins anew beside it", .path.display())]
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
    /// There is no run here.
    #[error("{}: no run of impasto is here", .path.display())]
    NoRun {
        /// Where one was looked for.
        path: PathBuf,
    },
    /// The disk has too little room for the checkpoints.
    #[error(
        "{} has {} of disk space free and the run needs up to {}: free some, or choose another output.directory",
        .directory.display(),
        format::bytes(*.free),
        format::bytes(*.needed)
    )]
    NoRoom {
        /// Where the room is wanted.
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
        "what the pictures are made from has changed since {} was begun:{}\ntake it back to go on, or begin anew with `--restart`, which deletes nothing",
        directory.display(),
        list.concat()
    )
}
