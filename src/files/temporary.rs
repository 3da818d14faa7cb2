//! Names of what is being written, `.NAME.RANDOM.tmp` beside the final name, and what dead
//! processes leave under such names.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;

use super::directories::{create_directories, directory_of};
use super::error::Error;

/// What the name of everything temporary ends with.
pub(super) const SUFFIX: &str = ".tmp";
/// Random characters before that.
pub(super) const RANDOM: usize = 6;

/// What the name of everything temporary for `path` begins with.
pub(super) fn prefix(path: &Path) -> Result<OsString, Error> {
    let name = path.file_name().ok_or_else(|| Error::NoName { path: path.to_path_buf() })?;
    let mut prefix = OsString::from(".");
    prefix.push(name);
    prefix.push(".");
    Ok(prefix)
}

/// Creates a directory beside `path` for what becomes `path`, or is needed while it is made. It is
/// removed with its content when its owner goes.
///
/// # Errors
///
/// [`Error::Io`] when it cannot be created.
pub fn temporary_directory(path: &Path) -> Result<TempDir, Error> {
    let (prefix, directory) = (prefix(path)?, directory_of(path));
    create_directories(directory)?;
    let mut builder = tempfile::Builder::new();
    builder.prefix(&prefix).suffix(SUFFIX).rand_bytes(RANDOM);
    builder.tempdir_in(directory).map_err(Error::io("create a directory in", directory))
}

/// Removes the temporary files and directories that dead processes have left for these final
/// names. Nobody else may be writing them now.
///
/// # Errors
///
/// [`Error::Io`] when one cannot be removed.
pub fn remove_leftovers(paths: &[PathBuf]) -> Result<(), Error> {
    let mut names: BTreeMap<&Path, BTreeSet<&[u8]>> = BTreeMap::new();
    for path in paths {
        let name = path.file_name().map(OsStr::as_encoded_bytes);
        names.entry(directory_of(path)).or_default().extend(name);
    }
    names.into_iter().try_for_each(|(directory, names)| {
        remove_temporary(directory, |name, _| names.contains(name))
    })
}

/// Removes everything temporary in a directory that belongs to the caller alone.
///
/// # Errors
///
/// [`Error::Io`] when something cannot be removed.
pub fn remove_all_leftovers(directory: &Path) -> Result<(), Error> {
    remove_temporary(directory, |_, _| true)
}

/// Removes what is temporary in a directory that many processes write, and was last written longer
/// ago than `age`: nobody writes a file for so long.
///
/// # Errors
///
/// [`Error::Io`] when something cannot be removed.
pub fn remove_old_leftovers(directory: &Path, age: Duration) -> Result<(), Error> {
    remove_temporary(directory, |_, entry| {
        let written = entry.metadata().and_then(|metadata| metadata.modified());
        written.is_ok_and(|moment| moment.elapsed().is_ok_and(|passed| passed > age))
    })
}

/// Removes what is temporary in a directory and is `lost`, judged by its final name and its entry.
fn remove_temporary(
    directory: &Path,
    lost: impl Fn(&[u8], &fs::DirEntry) -> bool,
) -> Result<(), Error> {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let name = entry.file_name();
        if final_name(name.as_encoded_bytes()).is_some_and(|name| lost(name, &entry)) {
            let path = entry.path();
            let is_directory = entry.file_type().is_ok_and(|kind| kind.is_dir());
            let removed =
                if is_directory { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
            removed.map_err(Error::io("remove", &path))?;
        }
    }
    Ok(())
}

/// The final name of what has the temporary name `name`.
fn final_name(name: &[u8]) -> Option<&[u8]> {
    let inside = name.strip_prefix(b".")?.strip_suffix(SUFFIX.as_bytes())?;
    let dot = inside.iter().rposition(|byte| *byte == b'.')?;
    let (name, random) = (&inside[..dot], &inside[dot + 1..]);
    let is_random = random.len() == RANDOM && random.iter().all(u8::is_ascii_alphanumeric);
    (is_random && !name.is_empty()).then_some(name)
}
