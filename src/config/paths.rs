//! Paths as pipeline files write them: relative to the file that says them, or from the home folder
//! with `~/`.

use std::io;
use std::path::{Component, Path, PathBuf};

/// `text` as a path seen from `directory`, without needless `.` and `..`.
pub(crate) fn resolve(directory: &Path, text: &str) -> PathBuf {
    normalise(&directory.join(from_home(text).unwrap_or_else(|| text.into())))
}

/// The path that a text with `~` or `~/` in front stands for, where there is a home folder.
fn from_home(text: &str) -> Option<PathBuf> {
    let rest = text.strip_prefix('~')?;
    let below = rest.strip_prefix(std::path::is_separator);
    let rest = if rest.is_empty() { rest } else { below? };
    let home = std::env::home_dir().filter(|home| !home.as_os_str().is_empty())?;
    Some(if rest.is_empty() { home } else { home.join(rest) })
}

/// Why a text with `~` in front names no folder; nothing for any other text.
pub(crate) fn unknown_home(text: &str) -> Option<String> {
    if !text.starts_with('~') || from_home(text).is_some() {
        return None;
    }
    let rest = text.trim_start_matches('~');
    Some(if rest.is_empty() || rest.starts_with(std::path::is_separator) {
        "there is no home folder that `~` could stand for: the variable HOME is not set".to_owned()
    } else {
        "`~` stands for your own home folder, as in `~/pictures`, and for nobody else's; a folder whose name begins with `~` is written `./~`".to_owned()
    })
}

/// The folder that the paths in a pipeline file are relative to: the file's own. Where the file is
/// a link, it is the folder of the file that the link leads to.
pub(crate) fn folder_of(file: &Path) -> PathBuf {
    let target = if file.is_symlink() { file.canonicalize().ok() } else { None };
    target.as_deref().unwrap_or(file).parent().unwrap_or(Path::new("")).to_path_buf()
}

/// A path as a pipeline file writes it. What is no UTF-8 is lost: no pipeline can say it.
pub(crate) fn text(path: &Path) -> String {
    let text = path.to_string_lossy();
    if text.starts_with('~') { format!("./{text}") } else { text.into_owned() }
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

    #[test]
    fn a_tilde_in_front_is_the_home_folder_and_nothing_else_is() {
        let home = std::env::home_dir().expect("whoever runs tests has one");
        let base = Path::new("base");
        assert_eq!(resolve(base, "~/a/../b"), normalise(&home.join("b")));
        assert_eq!(resolve(base, "~"), normalise(&home));
        for text in ["a~/b", "./~", "a/~/b"] {
            assert_eq!(resolve(base, text), normalise(&base.join(text)), "{text}");
            assert_eq!(unknown_home(text), None, "{text}");
        }
        assert_eq!(text(Path::new("~/a")), "./~/a");
        assert!(unknown_home("~somebody/a").is_some_and(|words| words.contains("./~")));
        assert_eq!(unknown_home("~/a"), None);
    }
}
