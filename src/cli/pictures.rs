//! Pictures that a command looks at by itself.

use std::path::Path;

use super::say::complain;
use crate::image::{self, Error, Limits, Picture};

/// Decodes a picture, and reports what its decoder has to say of it.
///
/// # Errors
/// As [`image::decode`].
pub fn decode(path: &Path, limits: &Limits) -> Result<Picture, Error> {
    let picture = image::decode(path, limits)?;
    for note in &picture.source.notes {
        complain!("warning: {}: {note}", path.display());
    }
    Ok(picture)
}
