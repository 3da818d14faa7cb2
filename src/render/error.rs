//! What can stop one picture from being made.

use std::path::{Path, PathBuf};

use crate::journal::JournalError;
use crate::memory::NoMemory;
use crate::network::{NetworkError, WeightsError};
use crate::planes::PlaneError;

/// Why a picture could not be made.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    /// A content or style image could not be read, or the result not written.
    #[error(transparent)]
    Image(#[from] crate::image::Error),
    /// A file could not be written.
    #[error(transparent)]
    File(#[from] crate::files::Error),
    /// The weights are unusable.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// A sweep failed.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// The content image changed between planning and rendering.
    #[error("{} measured {}x{} px when the run was planned and measures {}x{} px now", .path.display(), .planned.0, .planned.1, .found.0, .found.1)]
    ContentChanged {
        /// The content image.
        path: PathBuf,
        /// Width and height in the plan.
        planned: (usize, usize),
        /// Width and height now.
        found: (usize, usize),
    },
    /// An input has other bytes than those that the run began with.
    #[error(
        "{} was changed or replaced during the run; run again when it stays as it is",
        .path.display()
    )]
    InputChanged {
        /// The file.
        path: PathBuf,
    },
    /// What must last could not be written down.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The system gives no more threads.
    #[error("the system gives no more threads")]
    NoThreads,
    /// Somebody asked to stop.
    #[error("stopped on request")]
    Cancelled,
    /// Something that should not happen.
    #[error("{0}: this is a fault of the program")]
    Broken(&'static str),
    /// A canvas on disk could not be used.
    #[error(transparent)]
    Planes(#[from] PlaneError),
    /// The loss of a tile is not a number where its visit begins.
    #[error("the loss of the tile at ({left}, {top}) is not a finite number at the start of its visit", left = .area.left, top = .area.top)]
    TileNotFinite {
        /// The tile's free pixels.
        area: crate::geometry::Rect,
    },
    /// The loss is not a number where the optimisation begins.
    #[error(
        "the loss is not a finite number at the start of level {level}: check the weights of the objective"
    )]
    NotFinite {
        /// The level's number, from 1.
        level: usize,
    },
}

impl RenderError {
    /// Whether another attempt may go better: not for what is wrong with the picture or the
    /// settings themselves.
    pub fn is_worth_retrying(&self) -> bool {
        match self {
            RenderError::Image(crate::image::Error::Memory { .. }) => true,
            RenderError::Image(error) => io_error(error).is_some(),
            RenderError::ContentChanged { .. }
            | RenderError::InputChanged { .. }
            | RenderError::NotFinite { .. }
            | RenderError::TileNotFinite { .. } => false,
            RenderError::Weights(_) => false,
            _ => true,
        }
    }

    /// Whether `output` is there all the same, whole and under its name: only what came after failed.
    pub fn is_of_delivered(&self, output: &Path) -> bool {
        use crate::files::Error::Unsynced;
        use crate::image;
        let (RenderError::File(error) | RenderError::Image(image::Error::File(error))) = self
        else {
            return false;
        };
        matches!(error, Unsynced { path, .. } if path == output)
    }

    /// Whether somebody asked to stop: no failure.
    pub fn is_cancelled(&self) -> bool {
        matches!(self, RenderError::Cancelled)
    }

    /// Whether memory was short: smaller tiles may do.
    pub fn is_out_of_memory(&self) -> bool {
        match self {
            RenderError::Network(error) => error.is_out_of_memory(),
            RenderError::Planes(PlaneError::Memory(_)) => true,
            _ => false,
        }
    }

    /// Whether no other picture can be painted either before the cause is gone: the disk is full, or
    /// the system refuses a file that must not be lost.
    pub fn ends_the_run(&self) -> bool {
        use std::io::ErrorKind::{QuotaExceeded, StorageFull};
        let full = io_error(self).is_some_and(|e| matches!(e.kind(), StorageFull | QuotaExceeded));
        let unreadable = matches!(
            self,
            RenderError::Journal(JournalError::Checkpoint(_))
                | RenderError::Planes(PlaneError::Io { .. })
        );
        full || unreadable
    }
}

/// What the system said, if it was the system that refused.
fn io_error<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a std::io::Error> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        cause = error.source();
    }
    None
}

impl From<NoMemory> for RenderError {
    fn from(error: NoMemory) -> Self {
        NetworkError::from(error).into()
    }
}

impl From<candle_core::Error> for RenderError {
    fn from(error: candle_core::Error) -> Self {
        NetworkError::from(error).into()
    }
}
