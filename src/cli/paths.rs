//! Files of a run as a person at the terminal wants to see them.

use std::path::{Path, PathBuf};

use super::Failure;
use crate::config;
use crate::files::{FileId, Home, canonical, path_text, relative};
use crate::journal::{self, JournalError, RunName};

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

/// The run of a run directory, an output directory or a pipeline file.
pub fn run_directory(path: &Path) -> Result<PathBuf, Failure> {
    let no_run = || Failure::Journal(JournalError::NoRun { path: path.into() });
    if !path.is_file() {
        return journal::find(path).ok_or_else(no_run);
    }
    let name = RunName::new(path, &config::output_directory(path)?);
    name.newest_directory().ok_or_else(no_run)
}
