//! When two names may be one file, and how long a name may be.
//!
//! File systems differ: some do not distinguish `A.png` from `a.png`, some compose accents otherwise, and a
//! folder may be reached by several paths. A [`NameKey`] is the same for two names whenever they may
//! be one on some file system, so that what is checked here also holds where the files are moved to.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use unicode_normalization::UnicodeNormalization;

use super::identity::{canonical, canonical_name, name_text};
use super::temporary;

/// A folder that exists, whatever path leads to it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum FolderKey {
    /// The system's own number of it.
    Number(FileNumber),
    /// Its canonical path, where the system has no numbers.
    Path(PathBuf),
}

impl FolderKey {
    /// The key of a folder.
    pub fn of(folder: &Path) -> Self {
        match FileNumber::of(folder) {
            Some(number) => FolderKey::Number(number),
            None => FolderKey::Path(canonical(folder)),
        }
    }
}

/// The system's number of a file: the same under each of its names, hard links too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileNumber {
    device: u64,
    inode: u64,
}

impl FileNumber {
    /// The number of the file that a path leads to; nothing where there is none or the system has no
    /// numbers.
    #[cfg(unix)]
    pub fn of(path: &Path) -> Option<Self> {
        use std::os::unix::fs::MetadataExt;
        let found = std::fs::metadata(path).ok()?;
        Some(Self { device: found.dev(), inode: found.ino() })
    }

    /// The number of the file that a path leads to; nothing where there is none or the system has no
    /// numbers.
    #[cfg(not(unix))]
    pub fn of(_: &Path) -> Option<Self> {
        None
    }
}

/// What two names have in common when they may be one on some file system: the folder, and the rest
/// but for the case of letters and the composition of accents.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct NameKey {
    folder: FolderKey,
    rest: String,
}

/// Makes keys, and looks at each folder once.
#[derive(Debug, Default)]
pub struct NameKeys {
    folders: HashMap<PathBuf, (FolderKey, Vec<String>)>,
}

impl NameKeys {
    /// The key of a name, whose file and folders need not exist.
    pub fn of(&mut self, path: &Path) -> NameKey {
        let path = canonical_name(path);
        let parent = path.parent().unwrap_or(&path);
        let (folder, missing) =
            self.folders.entry(parent.to_path_buf()).or_insert_with_key(|parent| existing(parent));
        let name = path.file_name().map(folded);
        let rest: Vec<String> = missing.iter().cloned().chain(name).collect();
        NameKey { folder: folder.clone(), rest: rest.join("/") }
    }
}

/// The nearest folder that exists, and the names from there on.
fn existing(folder: &Path) -> (FolderKey, Vec<String>) {
    let mut missing = Vec::new();
    for ancestor in folder.ancestors() {
        if ancestor.is_dir() {
            missing.reverse();
            return (FolderKey::of(ancestor), missing);
        }
        missing.extend(ancestor.file_name().map(folded));
    }
    missing.reverse();
    (FolderKey::Path(PathBuf::new()), missing)
}

fn folded(name: &OsStr) -> String {
    name_text(name).to_lowercase().nfc().collect()
}

/// Bytes that a file's name may have where no file system says otherwise.
const USUAL_LENGTH: usize = 255;

/// Bytes that the name of a file in `folder` may have, or UTF-16 units where those are more; see
/// [`temporary_length`].
pub fn longest_name(folder: &Path) -> usize {
    #[cfg(unix)]
    {
        let folder = canonical(folder);
        let there = folder.ancestors().find(|path| path.is_dir());
        let found = there.and_then(|there| rustix::fs::statvfs(there).ok());
        found.map_or(USUAL_LENGTH, |found| (found.f_namemax as usize).min(USUAL_LENGTH))
    }
    #[cfg(not(unix))]
    {
        let _ = folder;
        USUAL_LENGTH
    }
}

/// Length of the name that a file of this name has while it is written: `.NAME.RANDOM.tmp`. It is in
/// bytes, or in UTF-16 units where those are more, which some file systems count (NTFS, HFS+ with
/// accents apart from their letters).
pub fn temporary_length(name: &OsStr) -> usize {
    let units = name_text(name).nfd().map(char::len_utf16).sum();
    ".".len() + name.len().max(units) + ".".len() + temporary::RANDOM + temporary::SUFFIX.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_may_be_one_have_one_key() {
        let root = tempfile::tempdir().expect("a folder");
        let path = |name: &str| root.path().join(name);
        std::fs::create_dir(path("a")).expect("made");
        let mut keys = NameKeys::default();
        let mut same = |one: &str, other: &str| keys.of(&path(one)) == keys.of(&path(other));
        assert!(same("a/x.png", "a/../a/X.PNG"));
        assert!(same("new/deep/x.png", "New/Deep/x.png"));
        assert!(same("a/caf\u{e9}.png", "a/CAFE\u{301}.png"));
        assert!(!same("a/x.png", "x.png"));
        assert!(!same("a/x.png", "a/y.png"));
        assert!(!same("new/x.png", "new/deep/x.png"));
    }

    #[cfg(unix)]
    #[test]
    fn a_folder_has_one_key_whatever_leads_to_it() {
        use std::ffi::OsStr;
        use std::os::unix::ffi::OsStrExt;
        let root = tempfile::tempdir().expect("a folder");
        let path = |name: &str| root.path().join(name);
        std::fs::create_dir(path("a")).expect("made");
        std::fs::write(path("a/x.png"), "x").expect("written");
        std::os::unix::fs::symlink(path("a"), path("link")).expect("linked");
        std::fs::hard_link(path("a/x.png"), path("hard.png")).expect("linked");
        let mut keys = NameKeys::default();
        assert_eq!(keys.of(&path("link/y.png")), keys.of(&path("a/y.png")));
        assert_eq!(FolderKey::of(&path("link")), FolderKey::of(&path("a")));
        assert_eq!(FileNumber::of(&path("hard.png")), FileNumber::of(&path("link/x.png")));
        assert!(FileNumber::of(&path("none")).is_none());
        // Two bytes that are no text are two names.
        let name = |byte: u8| path("a").join(OsStr::from_bytes(&[b'n', byte]));
        assert_ne!(keys.of(&name(0xe8)), keys.of(&name(0xe9)));
    }

    #[test]
    fn a_temporary_name_is_as_long_as_it_is_said() {
        let root = tempfile::tempdir().expect("a folder");
        let name = OsStr::new("picture.png");
        let file = super::super::AtomicFile::create(&root.path().join(name), Default::default())
            .expect("made");
        let entry =
            std::fs::read_dir(root.path()).expect("read").next().expect("one").expect("one");
        assert_eq!(entry.file_name().len(), temporary_length(name));
        drop(file);
        let length =
            |name: &str| temporary_length(OsStr::new(name)) - ".".len() - ".random.tmp".len();
        assert_eq!(length("é画"), 5, "bytes");
        assert_eq!(length("\u{390}"), 3, "a letter and two accents, and two bytes");
        assert!((100..=255).contains(&longest_name(&root.path().join("not/there"))));
    }
}
