//! Directories: made with all their parents, and made durable.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use super::error::Error;

/// Creates a directory and its missing parents, and makes each new name durable.
///
/// # Errors
///
/// [`Error::Io`] when the system refuses, for instance because a file is in the way.
pub fn create_directories(directory: &Path) -> Result<(), Error> {
    let missing: Vec<&Path> = directory
        .ancestors()
        .take_while(|path| !path.as_os_str().is_empty() && !path.is_dir())
        .collect();
    for directory in missing.into_iter().rev() {
        match fs::create_dir(directory) {
            // Another process was faster.
            Err(_) if directory.is_dir() => {}
            made => made.map_err(Error::io("create the directory", directory))?,
        }
        sync_directory(directory_of(directory))?;
    }
    Ok(())
}

/// Makes the names in a directory durable (`fsync` of the directory). A file system that has no
/// such call keeps its names by other means: nothing is done there, and on systems without it.
///
/// # Errors
///
/// [`Error::Io`] when the directory cannot be opened or synced.
pub fn sync_directory(directory: &Path) -> Result<(), Error> {
    if !cfg!(unix) {
        return Ok(());
    }
    match File::open(directory).and_then(|directory| directory.sync_all()) {
        Err(error) if !has_no_sync(&error) => {
            Err(Error::io("sync the directory", directory)(error))
        }
        _ => Ok(()),
    }
}

/// Whether names in `directory` can be made durable: false where the file system has no such call.
pub fn syncs_directories(directory: &Path) -> bool {
    let synced = File::open(directory).and_then(|directory| directory.sync_all());
    !cfg!(unix) || !synced.is_err_and(|error| has_no_sync(&error))
}

/// Whether this is how a file system says that its directories cannot be synced (shares of virtual
/// machines, some FUSE file systems).
fn has_no_sync(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported)
}

/// Makes a directory, all files below it and their names durable.
///
/// # Errors
///
/// [`Error::Io`] when something below cannot be read or synced.
pub fn sync_tree(directory: &Path) -> Result<(), Error> {
    for entry in fs::read_dir(directory).map_err(Error::io("read the directory", directory))? {
        let path = entry.map_err(Error::io("read the directory", directory))?.path();
        if path.is_dir() {
            sync_tree(&path)?;
        } else {
            let synced = File::open(&path).and_then(|file| file.sync_all());
            synced.map_err(Error::io("sync", &path))?;
        }
    }
    sync_directory(directory)
}

/// The directory that holds `path`: `.` for a bare name.
pub(super) fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        Some(_) => Path::new("."),
        None => path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn a_file_system_that_cannot_sync_directories_is_no_error_and_a_broken_one_is() {
        use rustix::io::Errno;
        let refused = |errno: Errno| has_no_sync(&errno.into());
        for errno in [Errno::INVAL, Errno::NOTSUP, Errno::OPNOTSUPP, Errno::NOSYS] {
            assert!(refused(errno), "{errno:?}");
        }
        for errno in [Errno::IO, Errno::ACCESS, Errno::NOSPC, Errno::STALE] {
            assert!(!refused(errno), "{errno:?}");
        }
    }
}
