//! Inputs that have to stay as they were when the run began.

use std::path::Path;

use crate::files::Digests;
use crate::image;
use crate::render::error::RenderError;

/// Refuses a file that has just been decoded and is not the one that the run began with.
///
/// # Errors
/// When it has other bytes, or cannot be read.
pub fn refuse_changed(path: &Path, digests: &Digests) -> Result<(), RenderError> {
    match digests.has_changed(path) {
        Ok(false) => Ok(()),
        Ok(true) => Err(RenderError::InputChanged { path: path.to_path_buf() }),
        Err(source) => Err(image::Error::Read { path: path.to_path_buf(), source }.into()),
    }
}
