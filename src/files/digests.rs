//! The digests of a run's files, against which they are checked whenever they are decoded.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::digest::sha256_of_file;
use super::identity::canonical;

/// The SHA-256 of files, each computed once: what the files of a run have to stay like. Clones share
/// what is known.
#[derive(Clone, Debug, Default)]
pub struct Digests(Arc<HashMap<PathBuf, String>>);

impl Digests {
    /// The digest of a file, computed now if it is the first time.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn of(&mut self, path: &Path) -> io::Result<&str> {
        let key = canonical(path);
        if !self.0.contains_key(&key) {
            let digest = sha256_of_file(path)?;
            Arc::make_mut(&mut self.0).insert(key.clone(), digest);
        }
        Ok(&self.0[&key])
    }

    /// The digest of a file, if it has been computed.
    pub fn known(&self, path: &Path) -> Option<&str> {
        self.0.get(&canonical(path)).map(String::as_str)
    }

    /// Whether a file has other bytes than those of its digest; a file without a digest has not.
    /// Asked after the file was decoded, it says whether those were the bytes that were decoded: a
    /// file that is replaced while it is read has other bytes afterwards.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn has_changed(&self, path: &Path) -> io::Result<bool> {
        match self.known(path) {
            Some(known) => Ok(sha256_of_file(path)? != known),
            None => Ok(false),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_changes_is_noticed_under_each_of_its_paths() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a");
        std::fs::write(&path, b"abc").expect("written");
        let mut digests = Digests::default();
        assert!(!digests.has_changed(&path).expect("read"), "it has no digest");
        let before = digests.of(&path).expect("read").to_owned();
        assert!(!digests.has_changed(&path).expect("read"));
        std::fs::write(&path, b"abd").expect("written");
        assert_eq!(digests.of(&path).expect("read"), before, "computed once");
        let other_path = folder.path().join(".").join("a");
        assert!(digests.has_changed(&other_path).expect("read"));
    }
}
