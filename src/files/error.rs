//! Why a file could not be written.

use std::io;
use std::path::{Path, PathBuf};

/// Why a file could not be written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The destination exists and may not be replaced.
    #[error("{} already exists and may not be overwritten", path.display())]
    Exists {
        /// The destination.
        path: PathBuf,
    },
    /// The destination is a directory.
    #[error("{} is a directory, not a file", path.display())]
    Directory {
        /// The destination.
        path: PathBuf,
    },
    /// The destination has no file name (`/`, `..`).
    #[error("{} does not name a file", path.display())]
    NoName {
        /// The destination.
        path: PathBuf,
    },
    /// The file is there, whole and under its final name, but the system could not make the name
    /// durable: a power cut may undo it.
    #[error("{} is written, but its directory could not be synced: {source}", path.display())]
    Unsynced {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The file system cannot give a file a name without replacing one that is there.
    #[error(
        "{} is on a file system that cannot rename a file without replacing another: {source}; set output.overwrite = true, or choose another output.directory",
        folder.display()
    )]
    NoExclusiveRename {
        /// The folder.
        folder: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The system refused.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was being done: a verb.
        action: &'static str,
        /// The file or directory that it was done to.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
}

impl Error {
    /// The error of `action` on `path`, for `map_err`.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
        let path = path.to_path_buf();
        move |source| Error::Io { action, path, source }
    }
}
