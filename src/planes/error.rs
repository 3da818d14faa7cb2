//! Why planes could not be written or read.

use std::io;
use std::path::{Path, PathBuf};

use super::head::Shape;
use crate::geometry::Rect;
use crate::memory::NoMemory;

/// Why planes could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum PlaneError {
    /// The system refused: the file may be as good as ever.
    #[error("cannot {action} {}: {source}", .path.display())]
    Io {
        /// What was being done: a verb.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The file could not be made or renamed.
    #[error(transparent)]
    File(#[from] crate::files::Error),
    /// The file is not what was written: torn, cut short, changed, or another's.
    #[error("{} is damaged: {reason}", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The file was written by another version of the program.
    #[error("{} has the format {format}, which another version of impasto wrote; this one reads `impasto-planes` 1", .path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// Its format's name.
        format: String,
    },
    /// The system has no memory for what is read.
    #[error(transparent)]
    Memory(#[from] NoMemory),
    /// A rectangle outside the planes, or values that do not fill it: a mistake of the program.
    #[error("{width}x{height} px at ({left}, {top}) with {values} values do not fit planes of {shape}", width = .rect.width, height = .rect.height, left = .rect.left, top = .rect.top)]
    Outside {
        /// What was asked for.
        rect: Rect,
        /// Values given or expected.
        values: usize,
        /// The planes.
        shape: Shape,
    },
}

impl PlaneError {
    /// The error of `action` on `path`, for `map_err`.
    pub(super) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> PlaneError {
        let path = path.to_path_buf();
        move |source| PlaneError::Io { action, path, source }
    }

    /// Damage, for `map_err`.
    pub(super) fn damaged(path: &Path, reason: impl Into<String>) -> PlaneError {
        PlaneError::Damaged { path: path.to_path_buf(), reason: reason.into() }
    }

    /// Whether there is no such file.
    pub fn is_missing(&self) -> bool {
        matches!(self, PlaneError::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }

    /// Whether the file is lost: damaged or gone. Every other error may pass.
    pub fn is_loss(&self) -> bool {
        matches!(self, PlaneError::Damaged { .. }) || self.is_missing()
    }
}
