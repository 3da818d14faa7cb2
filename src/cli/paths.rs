//! Files of a run as a person at the terminal wants to see them.

use std::path::Path;

use crate::files::{FileId, Home, canonical, path_text, relative};

/// Where a file is, as seen from the current directory or from the root, whichever is shorter.
pub fn shown(home: &Home, id: &FileId) -> String {
    near(&home.locate(id))
}

/// [`shown`], of a path.
pub fn near(path: &Path) -> String {
    let path = canonical(path);
    let (absolute, seen) =
        (path_text(&path), path_text(&relative(&canonical(Path::new(".")), &path)));
    if seen.len() < absolute.len() { seen } else { absolute }
}
