//! The files beside a picture: what they are called, and which of them runs have written.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use crate::files::FileId;

pub(crate) fn stem(path: &Path) -> &OsStr {
    path.file_stem().unwrap_or_default()
}

/// `NAME.partial.EXT` beside the output: where an interrupted job leaves its picture.
pub fn partial_path(output: &Path) -> PathBuf {
    beside(output, "partial")
}

/// `NAME.level-2-0100.EXT` beside the output: an intermediate picture. `level` counts from 0.
pub fn intermediate_path(output: &Path, level: usize, evaluation: usize) -> PathBuf {
    beside(output, &format!("level-{}-{evaluation:04}", level + 1))
}

/// `NAME.preview.jpg` beside the output: a small picture to look at.
pub fn preview_path(output: &Path) -> PathBuf {
    output.with_extension("preview.jpg")
}

/// `NAME.dzi` beside the output: describes its Deep Zoom tiles.
pub fn pyramid_path(output: &Path) -> PathBuf {
    output.with_extension("dzi")
}

/// `NAME_files` beside the output: the folder of its Deep Zoom tiles.
pub fn pyramid_folder(output: &Path) -> PathBuf {
    let mut name = stem(output).to_os_string();
    name.push("_files");
    output.with_file_name(name)
}

/// `PIPELINE.contact-sheet.png` and `PIPELINE.contact-sheet.jpg` in the output directory: all
/// pictures of a pipeline's run.
pub(super) fn contact_sheet_paths(pipeline: &Path, directory: &Path) -> Vec<PathBuf> {
    let path = |extension: &str| {
        let mut name = stem(pipeline).to_os_string();
        name.push(".contact-sheet.");
        name.push(extension);
        super::paths::normalise(&directory.join(name))
    };
    ["png", "jpg"].map(path).into()
}

fn beside(output: &Path, word: &str) -> PathBuf {
    let mut extension = OsString::from(word);
    extension.push(".");
    extension.push(output.extension().unwrap_or_default());
    output.with_extension(extension)
}

/// The picture that a path of the form of [`intermediate_path`] is of.
pub(crate) fn picture_of_intermediate(path: &Path) -> Option<PathBuf> {
    let level = Path::new(path.file_stem()?);
    let mut parts = level.extension()?.to_str()?.strip_prefix("level-")?.split('-');
    let is_number = |part: Option<&str>| {
        part.is_some_and(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()))
    };
    let fits = is_number(parts.next()) && is_number(parts.next()) && parts.next().is_none();
    let mut name = level.file_stem().filter(|_| fits)?.to_os_string();
    name.push(".");
    name.push(path.extension()?);
    Some(path.with_file_name(name))
}

/// What earlier runs into an output directory have left, as far as it matters to a pipeline.
#[derive(Clone, Debug, Default)]
pub struct PastRuns {
    /// What runs have written there.
    pub written: WrittenNames,
    /// The numbers of content images, by variant, in the pipeline's newest run.
    pub numbers: BTreeMap<(Option<String>, FileId), usize>,
}

/// The names of pictures, companions and folders that runs have written into an output directory.
#[derive(Clone, Debug, Default)]
pub struct WrittenNames {
    names: BTreeSet<OsString>,
    /// Pictures of jobs.
    pictures: BTreeSet<OsString>,
}

impl WrittenNames {
    /// Adds a file's name.
    pub fn add(&mut self, name: impl IntoIterator<Item = OsString>) {
        self.names.extend(name);
    }

    /// Adds what a job may have written beside its picture. The picture itself is not added: it
    /// appears at the end.
    pub fn add_job(&mut self, picture: &OsStr) {
        let picture = Path::new(picture);
        let beside = [partial_path, preview_path, pyramid_path, pyramid_folder];
        self.names.extend(beside.map(|path| path(picture).into_os_string()));
        self.pictures.insert(picture.into());
    }

    /// Whether runs have written a file or folder of this name.
    pub fn contains(&self, name: &OsStr) -> bool {
        let intermediate = || picture_of_intermediate(Path::new(name)).map(PathBuf::into_os_string);
        self.names.contains(name)
            || intermediate().is_some_and(|name| self.pictures.contains(&name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn companions_lie_beside_their_picture_under_names_of_their_own() {
        let output = Path::new("out/cat.v2.tiff");
        let shown = |path: PathBuf| path.display().to_string();
        assert_eq!(shown(partial_path(output)), "out/cat.v2.partial.tiff");
        assert_eq!(shown(preview_path(output)), "out/cat.v2.preview.jpg");
        assert_eq!(shown(pyramid_path(output)), "out/cat.v2.dzi");
        assert_eq!(shown(pyramid_folder(output)), "out/cat.v2_files");
        let intermediate = intermediate_path(output, 1, 100);
        assert_eq!(picture_of_intermediate(&intermediate).as_deref(), Some(output));
        assert_eq!(shown(intermediate), "out/cat.v2.level-2-0100.tiff");
        for other in ["cat.png", "level-1-2.png", "cat.level-1.png", "cat.level-1-x.png"] {
            assert_eq!(picture_of_intermediate(Path::new(other)), None, "{other}");
        }
    }

    #[test]
    fn a_job_leaves_companions_and_not_yet_itself() {
        let mut written = WrittenNames::default();
        written.add_job(OsStr::new("cat.png"));
        let is_written = |written: &WrittenNames, name: &str| written.contains(OsStr::new(name));
        for name in
            ["cat.partial.png", "cat.preview.jpg", "cat.dzi", "cat_files", "cat.level-1-0002.png"]
        {
            assert!(is_written(&written, name), "{name}");
        }
        for name in ["cat.png", "cat.level-1-0002.jpg", "dog.partial.png", "cat.jpg"] {
            assert!(!is_written(&written, name), "{name}");
        }
        written.add([OsString::from("cat.png")]);
        assert!(is_written(&written, "cat.png"));
    }
}
