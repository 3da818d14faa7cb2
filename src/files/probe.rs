//! Whether files can be written where a run is going to write them, asked before the night.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use tempfile::Builder;

use super::{Error, canonical};

/// What probes are called.
const PREFIX: &str = ".impasto-probe.";

/// Whether the system allows files in a folder, or where it is going to be made. Nothing is made.
///
/// # Errors
/// [`Error::Io`] with the system's reason.
pub fn check_writable(folder: &Path) -> Result<(), Error> {
    #[cfg(unix)]
    {
        use rustix::fs::{Access, access};
        let there = existing(folder);
        let found = access(&there, Access::WRITE_OK | Access::EXEC_OK);
        found.map_err(|errno| Error::io("create a file in", &there)(errno.into()))
    }
    #[cfg(not(unix))]
    {
        let _ = folder;
        Ok(())
    }
}

/// Tries whether a file can be made in a folder, or where it is going to be made, and where
/// `must_not_replace`, whether it can be given a name without replacing one that is there: some
/// shares cannot.
///
/// # Errors
/// [`Error::Io`] when no file can be made, [`Error::NoExclusiveRename`].
pub fn probe(folder: &Path, must_not_replace: bool) -> Result<(), Error> {
    let there = existing(folder);
    let made = Builder::new().prefix(PREFIX).suffix(".tmp").tempfile_in(&there);
    let file = made.map_err(Error::io("create a file in", &there))?;
    if !must_not_replace {
        return Ok(());
    }
    let name = file.path().with_extension("renamed.tmp");
    match file.persist_noclobber(&name) {
        Ok(_) => fs::remove_file(&name).map_err(Error::io("remove", &name)),
        Err(error) => Err(refusal(there, error.error)),
    }
}

fn refusal(folder: PathBuf, source: io::Error) -> Error {
    match source.kind() {
        io::ErrorKind::Unsupported
        | io::ErrorKind::InvalidInput
        | io::ErrorKind::PermissionDenied => Error::NoExclusiveRename { folder, source },
        _ => Error::Io { action: "rename a file in", path: folder, source },
    }
}

/// The nearest folder that exists.
fn existing(folder: &Path) -> PathBuf {
    let folder = canonical(folder);
    let found = folder.ancestors().find(|path| path.is_dir()).map(Path::to_path_buf);
    found.unwrap_or(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_probe_leaves_nothing_behind() {
        let root = tempfile::tempdir().expect("a folder");
        let folder = root.path().join("not/there");
        check_writable(&folder).expect("may be made");
        probe(&folder, true).expect("may be made");
        assert_eq!(fs::read_dir(root.path()).expect("read").count(), 0);
    }

    #[test]
    fn a_share_that_cannot_rename_without_replacing_is_named_with_a_way_on() {
        for kind in [io::ErrorKind::Unsupported, io::ErrorKind::PermissionDenied] {
            let words = refusal("share".into(), kind.into()).to_string();
            assert!(words.contains("share") && words.contains("output.overwrite"), "{words}");
        }
        let full = refusal("share".into(), io::ErrorKind::StorageFull.into());
        assert!(matches!(full, Error::Io { .. }), "{full}");
    }
}
