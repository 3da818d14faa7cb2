//! Which file a path means: a file has one identity, however its path is spelled.
//!
//! A path can be relative to any directory, lead through links, or be absolute. Its [`FileId`] is
//! the canonical path, written relative to the pipeline's own canonical folder, its [`Home`]: it is
//! the same from every working directory, and stays the same when a folder is moved as a whole.
//! Plans, journals, events and comparisons use it and nothing else; opening a file and naming it in
//! a message use the path as it was given, which a [`NamedFile`] keeps beside its identity.
//!
//! # Text
//!
//! An identity is written with `/` between its parts. A name need not be UTF-8, so that a byte that
//! is no text, and a control character, is written `\xHH`, and a backslash `\\`: the text is valid
//! everywhere and gives the same name again.

use std::ffi::{OsStr, OsString};
use std::fmt::{self, Write as _};
use std::ops::Deref;
use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The canonical path of a file, relative to the folder of the pipeline that names it; absolute
/// where no relative path leads there (another drive).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId(PathBuf);

impl FileId {
    /// The path that the identity is: relative to the pipeline's [`Home`].
    pub fn as_path(&self) -> &Path {
        &self.0
    }
}

impl fmt::Display for FileId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&path_text(&self.0))
    }
}

impl Serialize for FileId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for FileId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let name = os_string(&text)
            .ok_or_else(|| serde::de::Error::custom(format!("`{text}` is no path")))?;
        Ok(Self(name.into()))
    }
}

/// The canonical folder of a pipeline: what identities are relative to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Home(PathBuf);

impl Home {
    /// The folder of a pipeline file. Where the file is a link, it is the folder of the file that
    /// the link leads to.
    pub fn of(pipeline: &Path) -> Self {
        let pipeline = canonical(pipeline);
        Self(pipeline.parent().map_or_else(|| pipeline.clone(), Path::to_path_buf))
    }

    /// The folder itself.
    pub fn at(folder: &Path) -> Self {
        Self(canonical(folder))
    }

    /// The folder's canonical path.
    pub fn as_path(&self) -> &Path {
        &self.0
    }

    /// The identity of a file or folder, links followed.
    pub fn id(&self, path: &Path) -> FileId {
        self.relative(canonical(path))
    }

    /// The identity of the name itself, whether or not it is a link to another file: what is
    /// written under this name replaces the link.
    pub fn id_of_name(&self, path: &Path) -> FileId {
        self.relative(canonical_name(path))
    }

    /// A file that is read: its path, and which file it is.
    pub fn input(&self, path: PathBuf) -> NamedFile {
        let id = self.id(&path);
        NamedFile { path, id }
    }

    /// A file that is written: its path, and which name it is.
    pub fn output(&self, path: PathBuf) -> NamedFile {
        let id = self.id_of_name(&path);
        NamedFile { path, id }
    }

    /// Where the file of an identity is.
    pub fn locate(&self, id: &FileId) -> PathBuf {
        normalised(&self.0.join(&id.0))
    }

    fn relative(&self, canonical: PathBuf) -> FileId {
        FileId(relative(&self.0, &canonical))
    }
}

/// A file: its path as it was given, which opens it, and its identity, which tells it from others.
#[derive(Clone, Debug)]
pub struct NamedFile {
    /// The path as it was given; messages show it.
    pub path: PathBuf,
    /// Which file it is.
    pub id: FileId,
}

impl NamedFile {
    /// The file beside this one whose path `name` makes from this one's, such as a preview's from a
    /// picture's.
    pub fn beside(&self, name: impl Fn(&Path) -> PathBuf) -> Self {
        Self { path: name(&self.path), id: FileId(name(&self.id.0)) }
    }
}

impl PartialEq for NamedFile {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Deref for NamedFile {
    type Target = Path;

    fn deref(&self) -> &Path {
        &self.path
    }
}

impl AsRef<Path> for NamedFile {
    fn as_ref(&self) -> &Path {
        &self.path
    }
}

/// The identity: a path as it was given is of this process alone.
impl Serialize for NamedFile {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.id.serialize(serializer)
    }
}

/// The path from the root, links followed as far as there are files.
pub fn canonical(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    let mut missing = Vec::new();
    for ancestor in path.ancestors() {
        if let Ok(found) = dunce::canonicalize(ancestor) {
            return missing.into_iter().rev().fold(found, with);
        }
        missing.extend(ancestor.components().next_back());
    }
    path
}

/// The canonical path of a name: links are followed to its folder, and not from there.
pub fn canonical_name(path: &Path) -> PathBuf {
    match (path.parent(), path.file_name()) {
        (Some(parent), Some(name)) => {
            let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
            canonical(parent).join(name)
        }
        _ => canonical(path),
    }
}

/// `path` as seen from `base`, both canonical.
pub fn relative(base: &Path, path: &Path) -> PathBuf {
    match pathdiff::diff_paths(path, base) {
        Some(found) if found.as_os_str().is_empty() => PathBuf::from("."),
        Some(found) => found,
        None => path.to_path_buf(),
    }
}

fn with(mut path: PathBuf, part: Component<'_>) -> PathBuf {
    match part {
        Component::ParentDir => drop(path.pop()),
        Component::CurDir => {}
        part => path.push(part),
    }
    path
}

/// A canonical path with a relative one behind it, without `..`.
fn normalised(path: &Path) -> PathBuf {
    path.components().fold(PathBuf::new(), with)
}

/// A path as text; see the head of this file.
pub fn path_text(path: &Path) -> String {
    let mut text = String::new();
    for part in path.components() {
        if part == Component::RootDir {
            text.push('/');
            continue;
        }
        if !text.is_empty() && !text.ends_with('/') {
            text.push('/');
        }
        text.push_str(&name_text(part.as_os_str()));
    }
    text
}

/// A file's name as text; see the head of this file.
pub fn name_text(name: &OsStr) -> String {
    let mut text = String::new();
    for chunk in name.as_encoded_bytes().utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\\' => text.push_str("\\\\"),
                c if c.is_ascii_control() => escape(&mut text, c as u8),
                c => text.push(c),
            }
        }
        chunk.invalid().iter().for_each(|byte| escape(&mut text, *byte));
    }
    text
}

fn escape(text: &mut String, byte: u8) {
    // Writing into a String does not fail.
    let _ = write!(text, "\\x{byte:02X}");
}

/// The name or path that a text stands for; nothing when it is not one of ours.
fn os_string(text: &str) -> Option<OsString> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        bytes.extend_from_slice(&rest.as_bytes()[..at]);
        let after = &rest[at + 1..];
        if let Some(after) = after.strip_prefix('\\') {
            bytes.push(b'\\');
            rest = after;
        } else {
            let digits = after.strip_prefix('x')?.get(..2)?;
            let digits = Some(digits).filter(|two| two.bytes().all(|b| b.is_ascii_hexdigit()))?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = &after[3..];
        }
    }
    bytes.extend_from_slice(rest.as_bytes());
    Some(from_bytes(bytes))
}

#[cfg(unix)]
fn from_bytes(bytes: Vec<u8>) -> OsString {
    std::os::unix::ffi::OsStringExt::from_vec(bytes)
}

/// Elsewhere names are text, but for oddities that no file can be made to have on purpose.
#[cfg(not(unix))]
fn from_bytes(bytes: Vec<u8>) -> OsString {
    String::from_utf8_lossy(&bytes).into_owned().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> FileId {
        FileId(text.into())
    }

    #[test]
    fn identities_are_seen_from_the_pipelines_folder() {
        let root = tempfile::tempdir().expect("a folder");
        let path = |name: &str| root.path().join(name);
        std::fs::create_dir_all(path("pipelines/deep")).expect("made");
        std::fs::create_dir(path("photos")).expect("made");
        for name in ["pipelines/p.toml", "photos/a.png"] {
            std::fs::write(path(name), "").expect("written");
        }
        let home = Home::of(&path("pipelines/p.toml"));
        assert_eq!(home.id(&path("photos/a.png")), id("../photos/a.png"));
        assert_eq!(home.id(&path("pipelines/deep/../../photos/./a.png")), id("../photos/a.png"));
        assert_eq!(home.id(&path("pipelines")), id("."));
        assert_eq!(home.id(&path("renders/new/../a.png")), id("../renders/a.png"));
        assert_eq!(home.locate(&id("../photos/a.png")), canonical(&path("photos/a.png")));
        assert_eq!(home, Home::at(&path("pipelines")));
    }

    #[cfg(unix)]
    #[test]
    fn links_lead_to_one_identity_and_a_name_is_its_own() {
        use std::os::unix::fs::symlink;
        let root = tempfile::tempdir().expect("a folder");
        let path = |name: &str| root.path().join(name);
        std::fs::create_dir(path("photos")).expect("made");
        std::fs::write(path("photos/a.png"), "").expect("written");
        std::fs::write(path("p.toml"), "").expect("written");
        symlink(path("photos"), path("folder")).expect("linked");
        symlink(path("photos/a.png"), path("file.png")).expect("linked");
        symlink(path("nowhere"), path("broken.png")).expect("linked");
        symlink(root.path(), path("photos/root")).expect("linked");
        let home = Home::of(&path("photos/root/p.toml"));
        assert_eq!(home, Home::of(&path("p.toml")));
        for name in ["folder/a.png", "file.png", "photos/root/photos/a.png"] {
            assert_eq!(home.id(&path(name)), id("photos/a.png"), "{name}");
        }
        assert_eq!(home.id_of_name(&path("file.png")), id("file.png"));
        assert_eq!(home.id_of_name(&path("folder/b.png")), id("photos/b.png"));
        assert_eq!(home.id(&path("broken.png")), id("broken.png"));
    }

    #[test]
    fn a_companion_has_an_identity_beside_its_picture() {
        let root = tempfile::tempdir().expect("a folder");
        std::fs::write(root.path().join("p.toml"), "").expect("written");
        let home = Home::of(&root.path().join("p.toml"));
        let picture = home.output(root.path().join("out/a.png"));
        let preview = picture.beside(|path| path.with_extension("preview.jpg"));
        assert_eq!(preview.id, id("out/a.preview.jpg"));
        assert_eq!(preview.path, root.path().join("out/a.preview.jpg"));
    }

    #[cfg(unix)]
    #[test]
    fn any_name_survives_as_text() {
        use std::os::unix::ffi::OsStrExt;
        let names: [(&[u8], &str); 6] = [
            (b"caf\xe9.jpg", r"caf\xE9.jpg"),
            (b"a\\xE9", r"a\\xE9"),
            ("é 画.png".as_bytes(), "é 画.png"),
            (b"two\nlines\x7f", r"two\x0Alines\x7F"),
            (b"\xff\xfe/\xc3", r"\xFF\xFE/\xC3"),
            (b"/a/b", "/a/b"),
        ];
        for (bytes, text) in names {
            let id = FileId(OsStr::from_bytes(bytes).into());
            assert_eq!(id.to_string(), text);
            let json = serde_json::to_string(&id).expect("text");
            assert_eq!(serde_json::from_str::<FileId>(&json).expect("a path"), id);
        }
        for text in [r"\", r"\x", r"\x0", r"\n", r"\xzz", r"\x+F", "\\x\u{e9}1"] {
            assert_eq!(os_string(text), None, "{text:?}");
        }
    }

    proptest::proptest! {
        #[cfg(unix)]
        #[test]
        fn any_bytes_survive_as_text(bytes in proptest::collection::vec(1u8.., 0..40)) {
            let name = from_bytes(bytes);
            proptest::prop_assert_eq!(os_string(&name_text(&name)), Some(name));
        }
    }
}
