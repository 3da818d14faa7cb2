//! Paths as pipeline files write them: relative to the file that says them, with folders and globs
//! for many pictures.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io;
use std::path::{Component, Path, PathBuf};

use glob::{MatchOptions, Pattern};

use super::source::Origin;
use super::text::shorten;

/// Extensions by which folders and globs tell pictures from other files. Formats that cannot be
/// decoded are among them: leaving a photograph out without a word would be worse than the error
/// that says how to convert it.
const PICTURES: [&str; 33] = [
    "png", "apng", "jpg", "jpeg", "jpe", "jfif", "tif", "tiff", "webp", "bmp", "gif", "ppm", "pgm",
    "pbm", "pnm", "pam", "tga", "qoi", "exr", "hdr", "ff", "avif", "heic", "heif", "jxl", "dng",
    "cr2", "cr3", "nef", "arw", "raf", "orf", "rw2",
];

/// The most pictures that one pattern may name.
const MOST_MATCHES: usize = 1_000_000;

/// `.JPG` is a `.jpg`; what begins with a dot is hidden, and so are the run directories.
const OPTIONS: MatchOptions = MatchOptions {
    case_sensitive: false,
    require_literal_separator: true,
    require_literal_leading_dot: true,
};

/// `text` as a path seen from `directory`, without needless `.` and `..`.
pub(crate) fn resolve(directory: &Path, text: &str) -> PathBuf {
    normalise(&directory.join(text))
}

/// Takes out `.` and each `..` together with the folder before it, unless that folder is a link:
/// then `..` leads elsewhere.
pub(crate) fn normalise(path: &Path) -> PathBuf {
    let mut clean = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => match clean.components().next_back() {
                Some(Component::Normal(_)) if !clean.is_symlink() => {
                    clean.pop();
                }
                Some(Component::RootDir) => {}
                _ => clean.push(".."),
            },
            part => clean.push(part),
        }
    }
    if clean.as_os_str().is_empty() { PathBuf::from(".") } else { clean }
}

/// Why a file could not be had, in words that are the same on every system where they can be.
pub(crate) fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "there is no such file".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        _ => error.to_string(),
    }
}

/// The pictures that the patterns name, sorted, each once. Files below `output` are left out of
/// folders and globs, unless the pattern itself points there: last night's prints are not tonight's
/// photographs.
///
/// A pattern that names none is reported to `complain`, with a message and a label.
pub(crate) fn expand(
    patterns: &[(String, Origin)],
    output: &Path,
    complain: &mut dyn FnMut(&Origin, String, &'static str),
) -> Vec<PathBuf> {
    let mut found = BTreeSet::new();
    for (text, origin) in patterns {
        match matches(&origin.source.directory, text, output) {
            Ok(paths) => found.extend(paths),
            Err((message, label)) => complain(origin, message, label),
        }
    }
    found.into_iter().collect()
}

type Complaint = (String, &'static str);

fn matches(directory: &Path, text: &str, output: &Path) -> Result<Vec<PathBuf>, Complaint> {
    if text.is_empty() {
        return Err(("a path in `input.content` is empty".to_owned(), "no path"));
    }
    let path = resolve(directory, text);
    let is_glob = |part: &str| part.contains(['*', '?', '[']);
    let (base, found) = match std::fs::metadata(&path) {
        Ok(metadata) if metadata.is_dir() => (path.clone(), folder(&path)?),
        // A file is taken at its word even if its name looks like a glob.
        Ok(_) => return Ok(vec![path]),
        Err(_) if is_glob(text) => {
            let cut = text
                .find(['*', '?', '['])
                .and_then(|meta| text[..meta].rfind('/'))
                .map_or(0, |slash| slash + 1);
            let base = resolve(directory, &text[..cut]);
            let found = glob(&base, &text[cut..])?;
            (base, found)
        }
        Err(error) => {
            return Err((
                format!(
                    "cannot find `{}`: {}",
                    shorten(&path.display().to_string()),
                    reason(&error)
                ),
                "no such file",
            ));
        }
    };
    let asked_for = base.starts_with(output);
    let ours = |path: &PathBuf| path.starts_with(output) && output != Path::new(".");
    let below = output != base;
    let kept: Vec<_> = found
        .into_iter()
        .filter(|path| is_picture(path) && (asked_for || !below || !ours(path)))
        .collect();
    match kept.is_empty() {
        true if is_glob(text) => {
            Err((format!("no picture matches `{}`", shorten(text)), "matches nothing"))
        }
        true => Err((format!("there is no picture in `{}`", path.display()), "an empty folder")),
        false => Ok(kept),
    }
}

fn is_picture(path: &Path) -> bool {
    let extension = path.extension().and_then(OsStr::to_str).unwrap_or_default();
    PICTURES.iter().any(|known| extension.eq_ignore_ascii_case(known))
}

/// The files of a folder that are not hidden.
fn folder(path: &Path) -> Result<Vec<PathBuf>, Complaint> {
    let complaint = |error: io::Error| {
        (format!("cannot read `{}`: {}", path.display(), reason(&error)), "not readable")
    };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path).map_err(complaint)? {
        let file = entry.map_err(complaint)?.path();
        let hidden = file.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if !hidden && file.is_file() {
            files.push(normalise(&file));
        }
    }
    Ok(files)
}

fn glob(base: &Path, pattern: &str) -> Result<Vec<PathBuf>, Complaint> {
    let base = base
        .to_str()
        .ok_or_else(|| ("the folder's name is not UTF-8".to_owned(), "globs need UTF-8 names"))?;
    let whole = if base == "." {
        pattern.to_owned()
    } else {
        format!("{}/{pattern}", Pattern::escape(base.trim_end_matches('/')))
    };
    let bad = |error: glob::PatternError| {
        (format!("`{}` is no glob: {}", shorten(pattern), error.msg), "not a glob")
    };
    let mut files = Vec::new();
    for found in glob::glob_with(&whole, OPTIONS).map_err(bad)? {
        let file = found.map_err(|error| {
            (
                format!("cannot read `{}`: {}", error.path().display(), reason(error.error())),
                "not readable",
            )
        })?;
        if file.is_file() {
            files.push(normalise(&file));
        }
        if files.len() > MOST_MATCHES {
            return Err((
                format!("`{}` matches more than {MOST_MATCHES} pictures", shorten(pattern)),
                "too many",
            ));
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn needless_parts_are_taken_out() {
        for (text, clean) in [
            ("a/./b", "a/b"),
            ("a/../b", "b"),
            ("../../a", "../../a"),
            ("/../a", "/a"),
            ("a/..", "."),
            ("", "."),
        ] {
            assert_eq!(normalise(Path::new(text)), Path::new(clean), "{text:?}");
        }
    }

    #[test]
    #[cfg(unix)]
    fn the_parent_of_a_link_is_the_systems() {
        let root = tempfile::tempdir().expect("temporary folder");
        std::fs::create_dir_all(root.path().join("far/inner")).expect("made");
        std::os::unix::fs::symlink(root.path().join("far/inner"), root.path().join("link"))
            .expect("linked");
        std::fs::write(root.path().join("far/x.png"), "").expect("written");
        assert!(resolve(root.path(), "link/../x.png").exists());
    }
}
