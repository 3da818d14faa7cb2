//! The files that a pipeline reads, whatever path leads to them: they are never replaced.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use super::outputs::JobFile;
use super::{Config, Variant};
use crate::files::{FileNumber, NameKey, NameKeys, canonical};

/// The files that the pipeline reads.
pub(super) struct Originals {
    names: HashMap<NameKey, PathBuf>,
    numbers: HashMap<FileNumber, PathBuf>,
    /// Their canonical paths.
    paths: Vec<PathBuf>,
}

impl Originals {
    pub(super) fn new(config: &Config, sources: &[PathBuf], keys: &mut NameKeys) -> Self {
        let variants = config.variants.iter();
        let files: BTreeSet<&Path> = variants
            .flat_map(read_files)
            .chain(config.run.network.weights.as_deref())
            .chain(sources.iter().map(PathBuf::as_path))
            .collect();
        let mut originals =
            Originals { names: HashMap::new(), numbers: HashMap::new(), paths: Vec::new() };
        for file in files {
            let target = canonical(file);
            // A link is as precious as what it leads to.
            for path in [file, target.as_path()] {
                originals.names.insert(keys.of(path), file.to_path_buf());
            }
            originals.numbers.extend(FileNumber::of(file).map(|number| (number, file.into())));
            originals.paths.push(target);
        }
        originals
    }

    /// The original whose place a file would take.
    pub(super) fn replaced_by(&self, kind: JobFile, path: &Path, key: &NameKey) -> Option<&Path> {
        let number = || FileNumber::of(path).and_then(|number| self.numbers.get(&number));
        let inside = || {
            let folder = (kind == JobFile::Tiles).then(|| canonical(path))?;
            self.paths.iter().find(|original| original.starts_with(&folder))
        };
        self.names.get(key).or_else(number).or_else(inside).map(PathBuf::as_path)
    }

    /// Every path of them: as they were given, and as they are.
    pub(super) fn all(&self) -> BTreeSet<PathBuf> {
        self.names.values().chain(&self.paths).cloned().collect()
    }
}

/// Every file that the pictures of a variant are made from.
fn read_files(variant: &Variant) -> Vec<&Path> {
    let Variant { input, settings, .. } = variant;
    let mut files: Vec<&Path> = input.content.iter().map(|file| &**file).collect();
    files.extend(settings.styles.iter().map(|style| style.image.as_path()));
    files.extend(settings.start.picture());
    files.extend(settings.color.output_profile.path());
    files
}
