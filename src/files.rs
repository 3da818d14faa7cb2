//! Atomic file writing: a file appears under its final name whole, or not at all.
//!
//! Owns temporary files, renaming and syncing. It knows nothing of what is in a file; pictures are
//! written by [`crate::image`], through [`AtomicFile`].
//!
//! The order is always the same: a temporary file in the destination's own directory (so that the
//! rename stays on one file system), the data, `fsync` of the file, the rename, `fsync` of the
//! directory. A process that dies at any point leaves the old file or the new one under the final
//! name, and at worst a hidden `.NAME.XXXXXX.tmp` beside it.

mod digest;
mod digests;
mod identity;
mod names;
mod probe;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use tempfile::{Builder, NamedTempFile};

pub use digest::{hex, sha256, sha256_of_file};
pub use digests::Digests;
pub use identity::{
    FileId, Home, NamedFile, canonical, canonical_name, name_text, path_text, relative,
};
pub use names::{FileNumber, FolderKey, NameKey, NameKeys, longest_name, temporary_length};
pub use probe::{check_writable, probe};

/// What to do when a file of the final name is already there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Overwrite {
    /// Refuse. The rename itself refuses, so that of two processes racing for one name exactly one
    /// wins.
    #[default]
    Refuse,
    /// Replace it atomically.
    Allow,
}

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
    fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
        let path = path.to_path_buf();
        move |source| Error::Io { action, path, source }
    }
}

/// A file being written that does not exist under its final name until [`AtomicFile::commit`].
///
/// Dropped without a commit, it leaves nothing behind. Writes are buffered.
#[derive(Debug)]
pub struct AtomicFile {
    inner: BufWriter<NamedTempFile>,
    path: PathBuf,
    overwrite: Overwrite,
}

impl AtomicFile {
    /// Opens a temporary file beside `path`, whose directory is created if it is missing.
    ///
    /// # Errors
    ///
    /// [`Error::Exists`] at once, before any work is done, when `path` exists and `overwrite`
    /// refuses (the commit checks again); [`Error::Directory`]; [`Error::Io`] when the directory
    /// cannot be written.
    pub fn create(path: &Path, overwrite: Overwrite) -> Result<Self, Error> {
        let name = path.file_name().ok_or_else(|| Error::NoName { path: path.to_path_buf() })?;
        match fs::symlink_metadata(path) {
            Ok(found) if found.is_dir() => {
                return Err(Error::Directory { path: path.to_path_buf() });
            }
            Ok(_) if overwrite == Overwrite::Refuse => {
                return Err(Error::Exists { path: path.to_path_buf() });
            }
            _ => {}
        }
        let directory = directory_of(path);
        create_directories(directory)?;
        let mut prefix = std::ffi::OsString::from(".");
        prefix.push(name);
        prefix.push(".");
        let mut builder = Builder::new();
        builder.prefix(&prefix).suffix(".tmp");
        // A picture is as readable as any other new file: the process's umask decides, not the 0600
        // of secret files.
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let file =
            builder.tempfile_in(directory).map_err(Error::io("create a file in", directory))?;
        Ok(AtomicFile {
            inner: BufWriter::with_capacity(1 << 18, file),
            path: path.to_path_buf(),
            overwrite,
        })
    }

    /// The final name.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Syncs the data, gives the file its final name and syncs the directory. Returns the final
    /// name.
    ///
    /// # Errors
    ///
    /// [`Error::Exists`] when a file of that name has appeared meanwhile and may not be replaced;
    /// [`Error::Io`]. After these the temporary file is removed and the destination is untouched.
    /// [`Error::Unsynced`] when the file has its final name and only the directory's sync failed.
    pub fn commit(self) -> Result<PathBuf, Error> {
        let AtomicFile { inner, path, overwrite } = self;
        let file = inner.into_inner().map_err(|e| Error::io("write", &path)(e.into_error()))?;
        file.as_file().sync_all().map_err(Error::io("sync", &path))?;
        let renamed = match overwrite {
            Overwrite::Allow => file.persist(&path),
            Overwrite::Refuse => file.persist_noclobber(&path),
        };
        match renamed {
            Ok(_) => {}
            Err(e) if e.error.kind() == io::ErrorKind::AlreadyExists => {
                return Err(Error::Exists { path });
            }
            Err(e) => return Err(Error::io("rename a finished file to", &path)(e.error)),
        }
        match sync_directory(directory_of(&path)) {
            Err(Error::Io { source, .. }) => Err(Error::Unsynced { path, source }),
            synced => synced.map(|()| path),
        }
    }
}

impl Write for AtomicFile {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.inner.write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl Seek for AtomicFile {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.inner.seek(to)
    }
}

/// Writes `bytes` to `path` atomically; see [`AtomicFile`].
///
/// # Errors
///
/// As [`AtomicFile::create`] and [`AtomicFile::commit`].
pub fn write(path: &Path, bytes: &[u8], overwrite: Overwrite) -> Result<PathBuf, Error> {
    let mut file = AtomicFile::create(path, overwrite)?;
    file.write_all(bytes).map_err(Error::io("write", path))?;
    file.commit()
}

/// Removes what [`AtomicFile`]s of these final names have left behind in processes that died.
/// Nobody else may be writing them now.
///
/// # Errors
///
/// [`Error::Io`] when a leftover cannot be removed.
pub fn remove_leftovers(paths: &[PathBuf]) -> Result<(), Error> {
    let mut names: BTreeMap<&Path, BTreeSet<&OsStr>> = BTreeMap::new();
    for path in paths {
        names.entry(directory_of(path)).or_default().extend(path.file_name());
    }
    for (directory, names) in names {
        for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
            let found = entry.file_name();
            let final_name = || {
                found
                    .to_str()?
                    .strip_prefix('.')?
                    .strip_suffix(".tmp")?
                    .rsplit_once('.')
                    .map(|(name, _)| name)
            };
            if final_name().is_some_and(|name| names.contains(OsStr::new(name))) {
                fs::remove_file(entry.path()).map_err(Error::io("remove", &entry.path()))?;
            }
        }
    }
    Ok(())
}

/// Creates a directory and its missing parents, and makes their names durable.
///
/// # Errors
///
/// [`Error::Io`] when the system refuses, for instance because a file is in the way.
pub fn create_directories(directory: &Path) -> Result<(), Error> {
    if directory.is_dir() {
        return Ok(());
    }
    fs::create_dir_all(directory).map_err(Error::io("create the directory", directory))?;
    sync_directory(directory_of(directory))
}

/// Makes the names in a directory durable (`fsync` of the directory). Does nothing where the system
/// has no such call.
///
/// # Errors
///
/// [`Error::Io`] when the directory cannot be opened or synced.
pub fn sync_directory(directory: &Path) -> Result<(), Error> {
    if cfg!(unix) {
        File::open(directory)
            .and_then(|d| d.sync_all())
            .map_err(Error::io("sync the directory", directory))?;
    }
    Ok(())
}

/// The directory that holds `path`: `.` for a bare name.
fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        Some(_) => Path::new("."),
        None => path,
    }
}
