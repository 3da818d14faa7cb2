//! Globs: the files that a pattern names.
//!
//! A glob is walked part by part, and each folder at most once for each part, whatever links lead
//! to it: links that lead in a circle, or from every folder to every other, cost no more than the
//! folders there are. (Walkers of whole trees stop at a link to a folder above and not at links
//! between siblings, and read every folder below where a pattern wants one.)

use std::collections::{BTreeMap, HashSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use globset::{GlobBuilder, GlobMatcher};

use super::paths::{normalise, reason, resolve};
use super::text::shorten;
use crate::files::FolderKey;

/// The most files that one pattern may name.
pub(crate) const MOST_MATCHES: usize = 1_000_000;

/// What is wrong with a pattern: a message and a label.
pub(crate) type Complaint = (String, &'static str);

/// Whether a text has wildcards.
pub(crate) fn is_glob(text: &str) -> bool {
    text.contains(['*', '?', '[', '{'])
}

/// The folder that a glob begins in, as far as its parts are no globs or there is such a folder, and
/// the parts from there on.
pub(crate) fn split(
    directory: &Path,
    text: &str,
) -> Result<(PathBuf, Vec<PatternPart>), Complaint> {
    let mut texts: Vec<&str> = text.split(std::path::is_separator).collect();
    let mut fixed = 0;
    while fixed + 1 < texts.len() {
        let so_far = texts[..=fixed].join("/");
        let is_there = || resolve(directory, &so_far).is_dir();
        if is_glob(texts[fixed]) && !is_there() {
            break;
        }
        fixed += 1;
    }
    let rest = texts.split_off(fixed);
    let base = texts.join("/");
    let base = match texts.first() {
        None => normalise(directory),
        Some(&"") if texts.len() == 1 => PathBuf::from("/"),
        Some(_) => resolve(directory, &base),
    };
    let mut parts = Vec::new();
    for part in rest.into_iter().filter(|part| !part.is_empty() && *part != ".") {
        parts.push(PatternPart::new(part)?);
    }
    if matches!(parts.last(), Some(PatternPart::AnyDepth)) {
        parts.push(PatternPart::new("*")?);
    }
    Ok((base, parts))
}

/// A part of a glob: what the names of one level match.
pub(crate) enum PatternPart {
    /// `**`: any number of folders.
    AnyDepth,
    /// The folder above.
    Above,
    /// A name with or without wildcards. `.JPG` is a `.jpg`; what begins with a dot is hidden, and
    /// so are the run directories.
    Name { text: String, matcher: GlobMatcher },
}

impl PatternPart {
    pub(crate) fn new(text: &str) -> Result<PatternPart, Complaint> {
        match text {
            "**" => return Ok(PatternPart::AnyDepth),
            ".." => return Ok(PatternPart::Above),
            _ => {}
        }
        let glob = GlobBuilder::new(text).case_insensitive(true).literal_separator(true).build();
        let bad = |error: globset::Error| {
            (format!("`{}` is no glob: {}", shorten(text), error.kind()), "not a glob")
        };
        Ok(PatternPart::Name {
            text: text.to_owned(),
            matcher: glob.map_err(bad)?.compile_matcher(),
        })
    }
}

/// A walk through the folders that a glob names.
pub(crate) struct Walk<'a> {
    parts: &'a [PatternPart],
    /// Folders that have been read, and for which part.
    seen: HashSet<(FolderKey, usize)>,
    /// Files that match, in no order.
    pub(crate) found: Vec<PathBuf>,
    /// Links that match and lead to what is not there.
    pub(crate) broken: Vec<PathBuf>,
    /// What cannot be read, and why.
    pub(crate) unreadable: BTreeMap<PathBuf, String>,
}

impl<'a> Walk<'a> {
    pub(crate) fn new(parts: &'a [PatternPart]) -> Self {
        let (seen, found, broken, unreadable) = Default::default();
        Self { parts, seen, found, broken, unreadable }
    }

    /// Takes what matches the parts from `at` on in `folder`.
    pub(crate) fn folder(&mut self, folder: &Path, at: usize) {
        let (parts, is_last) = (self.parts, at + 1 == self.parts.len());
        let fresh =
            self.found.len() <= MOST_MATCHES && self.seen.insert((FolderKey::of(folder), at));
        let Some(part) = parts.get(at).filter(|_| fresh) else { return };
        match part {
            PatternPart::Above => self.folder(&normalise(&folder.join("..")), at + 1),
            PatternPart::Name { text, .. } if !is_last && folder.join(text).is_dir() => {
                self.folder(&folder.join(text), at + 1);
            }
            PatternPart::Name { text, matcher } => {
                let hidden = text.starts_with('.');
                for (name, path) in self.entries(folder, hidden) {
                    if matcher.is_match(&name) {
                        self.entry(path, at + 1);
                    }
                }
            }
            PatternPart::AnyDepth => {
                self.folder(folder, at + 1);
                for (_, path) in self.entries(folder, false) {
                    if path.is_dir() {
                        self.folder(&path, at);
                    }
                }
            }
        }
    }

    /// An entry that matches the part before `at`.
    fn entry(&mut self, path: PathBuf, at: usize) {
        let is_last = at == self.parts.len();
        match std::fs::metadata(&path) {
            Ok(found) if found.is_dir() && !is_last => self.folder(&path, at),
            Ok(found) if found.is_file() && is_last => self.found.push(normalise(&path)),
            Ok(_) => {}
            Err(_) if is_last && path.is_symlink() => self.broken.push(normalise(&path)),
            Err(error) => drop(self.unreadable.insert(path, reason(&error))),
        }
    }

    /// The names in a folder, sorted, with their paths.
    fn entries(&mut self, folder: &Path, hidden: bool) -> Vec<(OsString, PathBuf)> {
        let read = std::fs::read_dir(folder).and_then(|entries| {
            entries.map(|entry| Ok(entry?.file_name())).collect::<std::io::Result<Vec<_>>>()
        });
        let mut names = read.unwrap_or_else(|error| {
            self.unreadable.insert(folder.to_path_buf(), reason(&error));
            Vec::new()
        });
        names.retain(|name| hidden || !name.as_encoded_bytes().starts_with(b"."));
        names.sort();
        names.into_iter().map(|name| (name.clone(), folder.join(name))).collect()
    }
}
