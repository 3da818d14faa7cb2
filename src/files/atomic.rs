//! Files that appear under their final name whole, or not at all.

use std::fs;
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use super::directories::{create_directories, directory_of, sync_directory};
use super::error::Error;
use super::temporary;

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
        let prefix = temporary::prefix(path)?;
        match fs::symlink_metadata(path) {
            Ok(metadata) if metadata.is_dir() => {
                return Err(Error::Directory { path: path.to_path_buf() });
            }
            Ok(_) if overwrite == Overwrite::Refuse => {
                return Err(Error::Exists { path: path.to_path_buf() });
            }
            _ => {}
        }
        let directory = directory_of(path);
        create_directories(directory)?;
        let mut builder = tempfile::Builder::new();
        builder.prefix(&prefix).suffix(temporary::SUFFIX).rand_bytes(temporary::RANDOM);
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
