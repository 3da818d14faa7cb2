//! The content images that paths, folders and globs name: each once, and none that a run has made.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::companions::WrittenNames;
use super::glob::{Complaint, MOST_MATCHES, PatternPart, Walk, is_glob, split};
use super::paths::{reason, resolve, text, unknown_home};
use super::source::Origin;
use super::text::shorten;
use crate::files::{FileId, Home, NamedFile, canonical, canonical_name, path_text};

/// Extensions by which folders and globs distinguish pictures from other files. Formats that cannot be
/// decoded are among them: leaving a photograph out without a word would be worse than the error
/// that says how to convert it.
const PICTURES: [&str; 33] = [
    "png", "apng", "jpg", "jpeg", "jpe", "jfif", "tif", "tiff", "webp", "bmp", "gif", "ppm", "pgm",
    "pbm", "pnm", "pam", "tga", "qoi", "exr", "hdr", "ff", "avif", "heic", "heif", "jxl", "dng",
    "cr2", "cr3", "nef", "arw", "raf", "orf", "rw2",
];

/// Extensions that are named when files are left out.
const MOST_NAMED: usize = 5;

/// Files that are no content, though a folder or glob names them.
#[derive(Clone, Copy)]
pub(crate) struct Exclusion<'a> {
    /// The canonical path of where finished pictures go.
    pub(crate) output: &'a Path,
    /// What runs have written there.
    pub(crate) written: &'a WrittenNames,
}

/// What patterns name.
#[derive(Default)]
pub(crate) struct Expansion {
    /// The content images, in the order of their names as seen from the pipeline's folder, each
    /// once.
    pub(crate) content: Vec<NamedFile>,
    /// What was left out that may be missed, a line each.
    pub(crate) notes: Vec<String>,
}

/// The content images that the patterns name. Files below the output directory are left out of
/// folders and globs, and where the pattern itself points there, those that runs have written: last
/// night's prints are not tonight's photographs.
///
/// A pattern that names none is reported to `complain`, with a message and a label.
pub(crate) fn expand(
    patterns: &[(String, Origin)],
    home: &Home,
    exclusion: Option<Exclusion<'_>>,
    complain: &mut dyn FnMut(&Origin, String, &'static str),
) -> Expansion {
    let (mut notes, mut by_name) = (Vec::new(), BTreeMap::new());
    for (text, origin) in patterns {
        match matches(&origin.source.directory, text, exclusion, &mut notes) {
            Ok(paths) => paths.into_iter().for_each(|path| {
                by_name.entry(home.id_of_name(&path)).or_insert(path);
            }),
            Err((message, label)) => complain(origin, message, label),
        }
    }
    Expansion { content: each_once(home, by_name), notes }
}

/// Of all names of a file its own is taken, else the first link to it.
fn each_once(home: &Home, by_name: BTreeMap<FileId, PathBuf>) -> Vec<NamedFile> {
    let named: Vec<(FileId, NamedFile)> =
        by_name.into_iter().map(|(name, path)| (name, home.input(path))).collect();
    let mut seen: HashSet<FileId> = named
        .iter()
        .filter(|(name, file)| *name == file.id)
        .map(|(name, _)| name.clone())
        .collect();
    let taken =
        named.into_iter().filter(|(name, file)| *name == file.id || seen.insert(file.id.clone()));
    taken.map(|(_, file)| file).collect()
}

fn matches(
    directory: &Path,
    text: &str,
    exclusion: Option<Exclusion<'_>>,
    notes: &mut Vec<String>,
) -> Result<Vec<PathBuf>, Complaint> {
    if text.is_empty() {
        return Err(("a path in `input.content` is empty".to_owned(), "no path"));
    }
    let path = resolve(directory, text);
    let (base, parts) = match std::fs::metadata(&path) {
        Ok(metadata) if metadata.is_dir() => (path, vec![PatternPart::new("*")?]),
        // A file is taken at its word even if its name looks like a glob.
        Ok(_) => return Ok(vec![path]),
        Err(_) if is_glob(text) => split(directory, text)?,
        Err(error) => {
            let shown = shorten(&path.display().to_string());
            let why = unknown_home(text).unwrap_or_else(|| reason(&error));
            return Err((format!("cannot find `{shown}`: {why}"), "no such file"));
        }
    };
    let mut walk = Walk::new(&parts);
    walk.folder(&base, 0);
    if walk.found.len() > MOST_MATCHES {
        let message = format!("`{}` matches more than {MOST_MATCHES} files", shorten(text));
        return Err((message, "too many"));
    }
    if let Some(reason) = walk.unreadable.remove(&base) {
        return Err((format!("cannot read `{}`: {reason}", base.display()), "not readable"));
    }
    let base = canonical(&base);
    let asked_for = exclusion.is_some_and(|exclusion| base.starts_with(exclusion.output));
    let found = std::mem::take(&mut walk.found);
    let (pictures, others): (Vec<_>, Vec<_>) = found.into_iter().partition(|path| is_picture(path));
    let count = pictures.len();
    let keep = |paths: Vec<PathBuf>| -> Vec<PathBuf> {
        let is_left_out =
            |path: &PathBuf| exclusion.is_some_and(|exclusion| exclusion.covers(path, asked_for));
        paths.into_iter().filter(|path| !is_left_out(path)).collect()
    };
    let (kept, others) = (keep(pictures), keep(others));
    note(&shorten(text), &walk, &others, notes);
    match kept.is_empty() {
        true if count > 0 => {
            let pattern = shorten(text);
            let message = match asked_for {
                true => format!("`{pattern}` names only pictures that runs have painted"),
                false => format!(
                    "`{pattern}` names only files in `output.directory`, which are no photographs"
                ),
            };
            Err((message, "no photographs"))
        }
        true if is_glob(text) => {
            Err((format!("no picture matches `{}`", shorten(text)), "matches nothing"))
        }
        true => Err((format!("there is no picture in `{}`", shorten(text)), "an empty folder")),
        false => Ok(kept),
    }
}

impl Exclusion<'_> {
    /// Whether a file is left out; `asked_for` if the pattern itself points into the output
    /// directory.
    fn covers(&self, path: &Path, asked_for: bool) -> bool {
        let name = canonical_name(path);
        let Ok(below) = name.strip_prefix(self.output) else { return false };
        let first = below.components().next().map(|first| first.as_os_str());
        !asked_for || first.is_some_and(|first| self.written.contains(first))
    }
}

fn is_picture(path: &Path) -> bool {
    let extension = path.extension().and_then(OsStr::to_str).unwrap_or_default();
    PICTURES.iter().any(|known| extension.eq_ignore_ascii_case(known))
}

/// Notes what a walk found and is left out: what is not there or cannot be read, and `others`, which
/// are no pictures by their extension.
fn note(pattern: &str, walk: &Walk<'_>, others: &[PathBuf], notes: &mut Vec<String>) {
    let left_out =
        |path: &Path, reason: &str| format!("`{}` is left out: {reason}", path_text(path));
    let broken = walk.broken.iter();
    notes.extend(broken.map(|path| left_out(path, "it is a link to what is not there")));
    let unreadable = walk.unreadable.iter();
    notes
        .extend(unreadable.map(|(path, why)| left_out(path, &format!("it cannot be read: {why}"))));
    match others {
        [] => {}
        [one] => notes.push(left_out(one, "its extension is none of a picture")),
        many => notes.push(format!(
            "`{pattern}`: {} files are left out whose extension is none of a picture ({})",
            many.len(),
            extensions(many)
        )),
    }
}

fn extensions(paths: &[PathBuf]) -> String {
    let extension = |path: &PathBuf| match path.extension() {
        Some(extension) => format!(".{}", extension.to_string_lossy().to_lowercase()),
        None => "no extension".to_owned(),
    };
    let kinds: BTreeSet<String> = paths.iter().map(extension).collect();
    let more = if kinds.len() > MOST_NAMED { ", …" } else { "" };
    let named: Vec<String> = kinds.into_iter().take(MOST_NAMED).collect();
    named.join(", ") + more
}

/// A pattern that names one file: its path, or where that is not UTF-8 and TOML cannot hold it, a
/// glob with `?` in the place of each byte that is no text and of each backslash.
pub(crate) fn pattern(id: &FileId) -> String {
    if id.as_path().to_str().is_some() {
        return text(id.as_path());
    }
    let mut glob = String::new();
    for chunk in id.as_path().as_os_str().as_encoded_bytes().utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '*' | '[' | ']' | '{' | '}' => glob.extend(['[', c, ']']),
                '\\' => glob.push('?'),
                c => glob.push(c),
            }
        }
        glob.extend(chunk.invalid().iter().map(|_| '?'));
    }
    glob
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::*;

    /// The identities of what one pattern names in a folder, or what is wrong with it.
    fn named(root: &Path, text: &str, written: &[&str]) -> Result<Vec<String>, String> {
        let home = Home::at(root);
        let mut names = WrittenNames::default();
        names.add(written.iter().map(OsString::from));
        let output = canonical(&root.join("out"));
        let exclusion = Some(Exclusion { output: &output, written: &names });
        let paths = matches(root, text, exclusion, &mut vec![]).map_err(|(message, _)| message)?;
        let by_name = paths.into_iter().map(|path| (home.id_of_name(&path), path)).collect();
        Ok(each_once(&home, by_name)
            .iter()
            .map(|file| path_text(&relative_to(root, file)))
            .collect())
    }

    fn relative_to(root: &Path, file: &NamedFile) -> PathBuf {
        crate::files::relative(root, &file.path)
    }

    fn made(names: &[&str]) -> tempfile::TempDir {
        let root = tempfile::tempdir().expect("a folder");
        for name in names {
            let path = root.path().join(name);
            std::fs::create_dir_all(path.parent().expect("a parent")).expect("made");
            std::fs::write(path, "").expect("written");
        }
        root
    }

    #[test]
    fn globs_name_what_they_say() {
        let root = made(&[
            "a.jpg",
            "B.JPG",
            "c.png",
            "notes.txt",
            ".hidden.jpg",
            "deep/d.jpg",
            "deep/er/e.jpg",
            "deep/.git/f.jpg",
            "[2024]/g.jpg",
            "x{y}.jpg",
            "out/print.jpg",
        ]);
        let of = |text: &str| named(root.path(), text, &[]).expect("names some");
        assert_eq!(of("*.jpg"), ["B.JPG", "a.jpg", "x{y}.jpg"]);
        assert_eq!(of("."), ["B.JPG", "a.jpg", "c.png", "x{y}.jpg"]);
        assert_eq!(of("**/*.jpg").len(), 6);
        assert_eq!(of("**"), of("**/*"));
        assert_eq!(of("deep/**/*.jpg"), ["deep/d.jpg", "deep/er/e.jpg"]);
        assert_eq!(of("*/e?/*"), ["deep/er/e.jpg"]);
        assert_eq!(of("*.{jpg,png}"), ["B.JPG", "a.jpg", "c.png", "x{y}.jpg"]);
        assert_eq!(of("[2024]/*.jpg"), ["[2024]/g.jpg"]);
        assert_eq!(of("x{y}.jpg"), ["x{y}.jpg"]);
        assert_eq!(of("[ab].jpg"), ["B.JPG", "a.jpg"]);
        assert_eq!(of("deep/../*.png"), ["c.png"]);
        assert_eq!(of("deep/*/../*.jpg"), ["deep/d.jpg"]);
        assert_eq!(of(".hid*"), [".hidden.jpg"]);
        assert_eq!(of("out/*.jpg"), ["out/print.jpg"], "the pattern points there");
        for text in ["*.gif", "nowhere/*.jpg", "[", "a[", "*/notes.txt"] {
            assert!(named(root.path(), text, &[]).is_err(), "{text}");
        }
    }

    #[test]
    fn what_runs_have_written_is_no_content() {
        let root = made(&["a.jpg", "out/b.jpg", "out/b-s.jpg", "out/b-s_files/0/0_0.jpg"]);
        let written = ["b-s.jpg", "b-s_files"];
        let of = |text: &str| named(root.path(), text, &written);
        assert_eq!(of("out"), Ok(vec!["out/b.jpg".into()]));
        assert_eq!(of("out/**/*.jpg"), Ok(vec!["out/b.jpg".into()]));
        assert_eq!(of("**/*.jpg"), Ok(vec!["a.jpg".into()]));
        assert_eq!(of("out/b-s.jpg"), Ok(vec!["out/b-s.jpg".into()]), "named by itself");
        assert!(of("out/b-*.jpg").expect_err("nothing left").contains("runs have painted"));
    }

    #[cfg(unix)]
    #[test]
    fn links_are_followed_once_however_they_lead() {
        use std::os::unix::fs::symlink;
        let root = made(&["p/a.jpg", "p/sub/b.jpg"]);
        let path = |name: &str| root.path().join(name);
        for number in 0..12 {
            std::fs::create_dir_all(path(&format!("p/{number}"))).expect("made");
        }
        // Every folder leads to every other, and above.
        for (from, to) in (0..12).flat_map(|from| (0..12).map(move |to| (from, to))) {
            symlink(path(&format!("p/{to}")), path(&format!("p/{from}/to-{to}"))).expect("linked");
        }
        symlink(path("p"), path("p/sub/loop")).expect("linked");
        symlink("../a.jpg", path("p/sub/0-link.jpg")).expect("linked");
        let of = |text: &str| named(root.path(), text, &[]).expect("names some");
        let started = std::time::Instant::now();
        assert_eq!(of("p/**/*.jpg"), ["p/a.jpg", "p/sub/b.jpg"]);
        assert!(started.elapsed().as_secs() < 5, "{:?}", started.elapsed());
        assert_eq!(of("p/sub/*.jpg"), ["p/sub/0-link.jpg", "p/sub/b.jpg"], "named by the link");
        assert_eq!(of("p/sub/loop/*.jpg"), ["p/sub/loop/a.jpg"]);
    }

    #[cfg(unix)]
    #[test]
    fn what_is_left_out_is_said_in_a_line_each() {
        use std::os::unix::ffi::OsStrExt;
        let root = made(&["a.jpg", "b.txt", "c.xmp", "d.XMP"]);
        std::os::unix::fs::symlink("gone.jpg", root.path().join("broken.jpg")).expect("linked");
        std::fs::write(root.path().join(OsStr::from_bytes(b"caf\xe9.jpg")), "").expect("written");
        let mut notes = vec![];
        let found = matches(root.path(), ".", None, &mut notes).expect("pictures");
        assert_eq!(found.len(), 2);
        assert_eq!(notes.len(), 2, "{notes:?}");
        assert!(notes[0].contains("broken.jpg` is left out: it is a link"), "{notes:?}");
        assert!(notes[1].contains("3 files") && notes[1].contains("(.txt, .xmp)"), "{notes:?}");
    }
}
