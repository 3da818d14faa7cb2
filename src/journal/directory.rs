//! Where runs lie and what they are called.
//!
//! The runs of a pipeline are `<output.directory>/.impasto/<stem>-<hash>-<number>`: the pipeline
//! file's name, eight hex digits of the hash of its path as seen from the output directory, and a
//! number from 1. The newest is the one that is resumed. The path is relative and canonical, so that
//! every spelling of it, and a folder that is moved as a whole, finds the same runs.

use std::path::{Path, PathBuf};

use crate::files::{canonical, path_text, relative, sha256};

/// The folder beside the pictures that holds runs.
const FOLDER: &str = ".impasto";

/// What the runs of one pipeline are called, and where they lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunName {
    folder: PathBuf,
    prefix: String,
}

impl RunName {
    /// The runs of `pipeline` whose pictures go to `output`.
    pub fn new(pipeline: &Path, output: &Path) -> Self {
        let pipeline = canonical(pipeline);
        let stem: String =
            pipeline.file_stem().unwrap_or_default().to_string_lossy().chars().take(60).collect();
        let from_output = relative(&canonical(output), &pipeline);
        let hash = &sha256(path_text(&from_output).as_bytes())[..8];
        Self { folder: output.join(FOLDER), prefix: format!("{stem}-{hash}-") }
    }

    /// The directory of run `number`.
    pub fn directory(&self, number: u32) -> PathBuf {
        self.folder.join(format!("{}{number:03}", self.prefix))
    }

    /// The highest number that is taken.
    pub fn newest(&self) -> Option<u32> {
        let names = std::fs::read_dir(&self.folder).ok()?;
        let number = |name: &str| name.strip_prefix(&self.prefix)?.parse::<u32>().ok();
        names.filter_map(|entry| number(&entry.ok()?.file_name().to_string_lossy())).max()
    }

    /// The newest run's directory, if there is one.
    pub fn newest_directory(&self) -> Option<PathBuf> {
        self.newest().map(|number| self.directory(number))
    }
}

/// All run directories under an output directory, the one that was worked on last at the end.
pub fn runs(output: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(output.join(FOLDER)) else { return vec![] };
    let mut found: Vec<_> = entries
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let changed = path.join("events.jsonl").metadata().ok()?.modified().ok()?;
            Some((changed, path))
        })
        .collect();
    found.sort();
    found.into_iter().map(|(_, path)| path).collect()
}

/// The run that `path` means: a run directory, or an output directory whose latest run it is.
pub fn find(path: &Path) -> Option<PathBuf> {
    if path.join("plan.json").is_file() {
        return Some(path.to_path_buf());
    }
    runs(path).pop().or_else(|| {
        path.parent()
            .filter(|_| path.file_name().is_some_and(|name| name == FOLDER))
            .and_then(|p| runs(p).pop())
    })
}

/// Where a run keeps the preview of a finished level, both counted from 0: it stays when the picture is
/// there.
pub fn level_preview(run: &Path, job: usize, level: usize) -> PathBuf {
    run.join("previews").join(format!("job-{:04}-level-{}.jpg", job + 1, level + 1))
}

/// Bytes that may still be written where `directory` is or will be; nothing where the system does
/// not say.
pub fn free_space(directory: &Path) -> Option<u64> {
    #[cfg(unix)]
    {
        let there = directory.ancestors().find(|path| path.exists()).unwrap_or(Path::new("."));
        let there = if there.as_os_str().is_empty() { Path::new(".") } else { there };
        let found = rustix::fs::statvfs(there).ok()?;
        Some(found.f_bavail.saturating_mul(found.f_frsize))
    }
    #[cfg(not(unix))]
    {
        let _ = directory;
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moved_folder_finds_its_runs_and_two_pipelines_do_not_share_theirs() {
        let folder = tempfile::tempdir().unwrap();
        let name = |root: &str, file: &str| {
            RunName::new(
                &folder.path().join(root).join(file),
                &folder.path().join(root).join("out"),
            )
        };
        assert_eq!(name("a", "p.toml").prefix, name("b", "p.toml").prefix);
        assert_ne!(name("a", "p.toml").prefix, name("a", "sub/p.toml").prefix);
        let runs = name("a", "p.toml");
        assert_eq!(runs.newest(), None);
        for number in [1, 9, 10] {
            std::fs::create_dir_all(runs.directory(number)).unwrap();
        }
        assert_eq!(runs.newest_directory(), Some(runs.directory(10)));
        assert_eq!(name("a", "q.toml").newest(), None);
    }
}
