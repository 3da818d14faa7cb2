//! One process for each run directory.
//!
//! The lock is the system's own on the file `lock`, so that it ends with its process however that
//! ends: a file left behind by a dead process is simply taken over. What is in the file only serves
//! to tell who holds it.

use std::fmt;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::error::JournalError;

/// How often a lock is tried again, 20 ms apart: somebody who only asks who holds it has it for a
/// moment.
const PATIENCE: usize = 5;

/// The process that holds a run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// Its number; 0 when it could not be read.
    pub pid: u32,
    /// The machine's name, empty when unknown.
    pub host: String,
}

impl Holder {
    fn own() -> Self {
        #[cfg(unix)]
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        #[cfg(not(unix))]
        let host = std::env::var("COMPUTERNAME").unwrap_or_default();
        Self { pid: std::process::id(), host }
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.pid, self.host.as_str()) {
            (0, _) => f.write_str("another process"),
            (pid, "") => write!(f, "process {pid}"),
            (pid, host) => write!(f, "process {pid} on {host}"),
        }
    }
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
    /// [`JournalError::Locked`] when a living process holds it; when the file cannot be made.
    pub(super) fn take(directory: &Path) -> Result<Self, JournalError> {
        let path = path(directory);
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(JournalError::io("open", &path))?;
        let mut locked = file.try_lock();
        for _ in 0..PATIENCE {
            if !matches!(locked, Err(TryLockError::WouldBlock)) {
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
            locked = file.try_lock();
        }
        match locked {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(JournalError::Locked {
                    directory: directory.into(),
                    holder: read(&mut file).unwrap_or_default(),
                });
            }
            Err(TryLockError::Error(source)) => {
                return Err(JournalError::io("lock", &path)(source));
            }
        }
        let text = serde_json::to_string(&Holder::own()).unwrap_or_default();
        let written = file
            .set_len(0)
            .and_then(|()| file.seek(SeekFrom::Start(0)))
            .and_then(|_| writeln!(file, "{text}"));
        // On a full disk the lock holds all the same; it only cannot tell by whom.
        drop(written);
        Ok(Self { _file: file })
    }
}

/// The living process that works in `directory`, if one does.
pub fn holder(directory: &Path) -> Option<Holder> {
    let mut file = File::open(path(directory)).ok()?;
    match file.try_lock_shared() {
        Ok(()) => None,
        Err(_) => Some(read(&mut file).unwrap_or_default()),
    }
}

fn path(directory: &Path) -> PathBuf {
    directory.join("lock")
}

fn read(file: &mut File) -> Option<Holder> {
    let mut text = String::new();
    file.seek(SeekFrom::Start(0)).ok()?;
    file.take(4096).read_to_string(&mut text).ok()?;
    serde_json::from_str(&text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_holds_it_and_others_are_told_who() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(path(folder.path()), "{\"pid\":1,\"host\":\"gone\"}").unwrap();
        assert_eq!(holder(folder.path()), None, "a file that nobody holds is no lock");
        let lock = Lock::take(folder.path()).unwrap();
        assert_eq!(holder(folder.path()).unwrap().pid, std::process::id());
        let refused = Lock::take(folder.path()).unwrap_err();
        assert!(
            matches!(&refused, JournalError::Locked { holder, .. } if holder.pid == std::process::id()),
            "{refused}"
        );
        drop(lock);
        Lock::take(folder.path()).unwrap();
    }
}
