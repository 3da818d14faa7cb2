//! Seals: a file of another format becomes part of a checkpoint by a seal beside it, `NAME.seal`.
//!
//! Format 1: a line `impasto-seal 1 CRC LENGTH`: the CRC-32 of the file's bytes, eight hexadecimal
//! digits, and their number. The seal is written when the file is durable; a file whose seal is
//! missing or does not fit is not whole.

use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::files::{self, Overwrite};
use crate::journal::error::JournalError;

/// Makes a file durable and seals it.
///
/// # Errors
/// When it cannot be read, synced or sealed.
pub fn seal(path: &Path) -> Result<(), JournalError> {
    // The data is on the disk before the seal that vouches for it.
    File::open(path).and_then(|file| file.sync_all()).map_err(JournalError::io("sync", path))?;
    let line = describe(path).map_err(JournalError::io("read", path))?;
    files::write(&seal_path(path), line.as_bytes(), Overwrite::Allow)?;
    Ok(())
}

/// Whether a file is there and is what was sealed.
pub fn is_sealed(path: &Path) -> bool {
    let Ok(told) = std::fs::read(seal_path(path)) else { return false };
    describe(path).is_ok_and(|line| line.as_bytes() == told)
}

/// Removes a file and its seal, the seal first.
///
/// # Errors
/// When one that is there cannot be removed.
pub fn remove_sealed(path: &Path) -> Result<(), JournalError> {
    for path in [seal_path(path), path.to_path_buf()] {
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(JournalError::io("remove", &path)(error));
            }
            _ => {}
        }
    }
    Ok(())
}

fn seal_path(path: &Path) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(".seal");
    name.into()
}

fn describe(path: &Path) -> std::io::Result<String> {
    let mut file = File::open(path)?;
    let (mut hasher, mut buffer, mut length) = (crc32fast::Hasher::new(), vec![0u8; 1 << 18], 0u64);
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(format!("impasto-seal 1 {:08x} {length}\n", hasher.finalize())),
            count => {
                hasher.update(&buffer[..count]);
                length += count as u64;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_sealed_is_sealed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tile.canvas");
        assert!(!is_sealed(&path));
        std::fs::write(&path, b"a tile").unwrap();
        assert!(!is_sealed(&path));
        seal(&path).unwrap();
        assert!(is_sealed(&path));
        for other in [&b"a tilf"[..], b"a til", b""] {
            std::fs::write(&path, other).unwrap();
            assert!(!is_sealed(&path));
        }
        remove_sealed(&path).unwrap();
        remove_sealed(&path).unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
