//! One process for each run directory.
//!
//! The lock is the system's own on the file `lock`, so that it ends with its process however that
//! ends: a file left behind by a dead process is simply taken over. What is in the file only serves
//! to say who owns it.
//!
//! Some network file systems have no locks. Then a run ends with an error that says so, unless the
//! user vouches that no other process works on it ([`Locking::IfPossible`]).

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::error::JournalError;
use super::owner::Owner;

/// How often a lock is tried again, 20 ms apart: somebody who only asks who owns it has it for a
/// moment.
const ATTEMPTS: usize = 5;

/// What to do where the file system has no locks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Locking {
    /// Refuse: two processes in one run directory would damage it.
    #[default]
    Required,
    /// Work without one. A lock that another process has is respected all the same.
    IfPossible,
}

/// The lock of a run directory, held until it is dropped.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock of `directory`.
    ///
    /// # Errors
    /// [`JournalError::Locked`] when a living process has it; [`JournalError::NoLocks`] when the
    /// file system has none and one is required; when the file cannot be made.
    pub(super) fn take(directory: &Path, locking: Locking) -> Result<Self, JournalError> {
        Self::take_by(File::try_lock, directory, locking)
    }

    fn take_by(
        try_lock: impl Fn(&File) -> Result<(), TryLockError>,
        directory: &Path,
        locking: Locking,
    ) -> Result<Self, JournalError> {
        let path = path(directory);
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(JournalError::io("open", &path))?;
        let mut locked = try_lock(&file);
        for _ in 0..ATTEMPTS {
            if !matches!(locked, Err(TryLockError::WouldBlock)) {
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
            locked = try_lock(&file);
        }
        match locked {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(JournalError::Locked {
                    directory: directory.into(),
                    owner: read(&mut file).unwrap_or_default(),
                });
            }
            Err(TryLockError::Error(source)) if has_no_locks(&source) => {
                if locking == Locking::Required {
                    return Err(JournalError::NoLocks { path, source });
                }
            }
            Err(TryLockError::Error(source)) => {
                return Err(JournalError::io("lock", &path)(source));
            }
        }
        let text = serde_json::to_string(&Owner::this_process()).unwrap_or_default();
        let written = file
            .set_len(0)
            .and_then(|()| file.seek(SeekFrom::Start(0)))
            .and_then(|_| writeln!(file, "{text}"));
        // On a full disk the lock holds all the same; it only cannot say who owns it.
        drop(written);
        Ok(Self { _file: file })
    }
}

/// Whether this is how a file system says that it has no locks (NFS without its lock daemon, 9p,
/// Lustre, some FUSE file systems).
fn has_no_locks(error: &io::Error) -> bool {
    #[cfg(unix)]
    {
        use rustix::io::Errno;
        let refusals = [Errno::NOLCK, Errno::NOSYS, Errno::NOTSUP, Errno::OPNOTSUPP, Errno::INVAL];
        let errno = error.raw_os_error();
        refusals.iter().any(|refusal| errno == Some(refusal.raw_os_error()))
    }
    #[cfg(not(unix))]
    {
        error.kind() == io::ErrorKind::Unsupported
    }
}

/// The living process that works in `directory`, if one does and the file system has locks.
pub fn current_owner(directory: &Path) -> Option<Owner> {
    let mut file = File::open(path(directory)).ok()?;
    match file.try_lock_shared() {
        Err(TryLockError::WouldBlock) => Some(read(&mut file).unwrap_or_default()),
        _ => None,
    }
}

fn path(directory: &Path) -> PathBuf {
    directory.join("lock")
}

fn read(file: &mut File) -> Option<Owner> {
    let mut text = String::new();
    file.seek(SeekFrom::Start(0)).ok()?;
    file.take(4096).read_to_string(&mut text).ok()?;
    serde_json::from_str(&text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(directory: &Path) -> Result<Lock, JournalError> {
        Lock::take(directory, Locking::Required)
    }

    #[test]
    fn one_process_has_it_and_others_are_told_which() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(path(folder.path()), "{\"pid\":1,\"host\":\"gone\"}").unwrap();
        assert_eq!(current_owner(folder.path()), None, "a file that nobody has locked");
        let lock = take(folder.path()).unwrap();
        assert_eq!(current_owner(folder.path()).unwrap().pid, std::process::id());
        for locking in [Locking::Required, Locking::IfPossible] {
            let refused = Lock::take(folder.path(), locking).unwrap_err();
            assert!(
                matches!(&refused, JournalError::Locked { owner, .. } if owner.pid == std::process::id()),
                "{refused}"
            );
        }
        drop(lock);
        take(folder.path()).unwrap();
    }

    #[cfg(unix)]
    #[test]
    fn a_file_system_without_locks_is_named_and_there_is_a_way_on() {
        use rustix::io::Errno;
        let folder = tempfile::tempdir().unwrap();
        let take = |errno: Errno, locking| {
            let refuse = move |_: &File| Err(TryLockError::Error(errno.into()));
            Lock::take_by(refuse, folder.path(), locking)
        };
        for errno in [Errno::NOLCK, Errno::NOSYS, Errno::NOTSUP, Errno::OPNOTSUPP] {
            let words = take(errno, Locking::Required).unwrap_err().to_string();
            for word in ["network file system", "--no-lock", "output.directory"] {
                assert!(words.contains(word), "no `{word}` in: {words}");
            }
            take(errno, Locking::IfPossible).unwrap();
        }
        let broken = take(Errno::IO, Locking::IfPossible).unwrap_err();
        assert!(matches!(broken, JournalError::File(_)), "{broken}");
    }
}
