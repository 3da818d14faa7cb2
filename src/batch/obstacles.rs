//! What stands in the way of a run before it begins: pictures of others, a folder that cannot be
//! written, a disk that is too small.
//!
//! The same checks are made by `impasto plan`, which makes nothing, and by every start of a run.

use std::path::{Path, PathBuf};

use super::job_match::JobMatch;
use crate::config::{Config, JobFile, RunSettings, WrittenNames, intermediate_path, written_files};
use crate::files;
use crate::journal::{self, JournalError, RunName, free_space, past_runs};
use crate::plan::{Job, Plan};

/// Why a run can neither start nor resume.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// The run directory.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A file that all pictures are made from.
    #[error("{}: cannot be read: {source}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A file that cannot be written or removed.
    #[error(transparent)]
    File(#[from] files::Error),
    /// Files are in the way that no run has made.
    #[error("{}", existing(.0))]
    Exists(Vec<PathBuf>),
}

fn existing(paths: &[PathBuf]) -> String {
    match paths {
        [one] => format!(
            "{} already exists; move it away, or set output.overwrite = true to replace it",
            one.display()
        ),
        many => {
            let list: Vec<String> =
                many.iter().map(|path| format!("\n  {}", path.display())).collect();
            format!(
                "these files already exist; move them away, or set output.overwrite = true to replace them:{}",
                list.concat()
            )
        }
    }
}

/// What would keep a run of `plan` from beginning or resuming now; `restart` asks for a new run.
/// Nothing is made on disk, and no lock is taken.
///
/// # Errors
/// When the newest run cannot be read.
pub fn obstacles(
    config: &Config,
    plan: &Plan,
    restart: bool,
) -> Result<Vec<PrepareError>, PrepareError> {
    let output = &config.run.output.directory;
    let newest = RunName::new(&config.file, output).newest_directory();
    let newest = newest.filter(|directory| !restart && directory.join("plan.json").exists());
    let (jobs, used) = match newest {
        None => (plan.jobs.clone(), 0),
        Some(directory) => {
            let run = journal::open(&directory)?;
            let pending = plan.jobs.iter().filter_map(|job| {
                match JobMatch::of(job, &run.jobs, &run.status) {
                    JobMatch::Finished(_) => None,
                    JobMatch::Pending { job, .. } => Some(*job),
                    JobMatch::New => Some(job.clone()),
                }
            });
            (pending.collect(), used_space(&directory))
        }
    };
    if jobs.is_empty() {
        return Ok(refuse_existing_sheets(config).err().into_iter().collect());
    }
    let written = past_runs(&config.file, output).written;
    let checks = [
        refuse_existing(&jobs, &plan.run, &written),
        refuse_existing_sheets(config),
        files::check_writable(output).map_err(PrepareError::from),
        refuse_small_disk(output, &jobs, used),
    ];
    Ok(checks.into_iter().filter_map(Result::err).collect())
}

/// Refuses files in the way of `jobs` that no run has written: the name of one says what `written`
/// knows.
///
/// # Errors
/// [`PrepareError::Exists`]; a folder in the place of a picture.
pub(super) fn refuse_existing(
    jobs: &[Job],
    settings: &RunSettings,
    written: &WrittenNames,
) -> Result<(), PrepareError> {
    let mut existing = Vec::new();
    for job in jobs {
        let overwrite = job.settings.output.overwrite;
        for (kind, path) in job_files(job, settings) {
            let Ok(found) = std::fs::symlink_metadata(&path) else { continue };
            if found.is_dir() && kind != Some(JobFile::Tiles) {
                return Err(files::Error::Directory { path }.into());
            }
            let is_own = kind != Some(JobFile::Picture)
                && path.file_name().is_some_and(|name| written.contains(name));
            if !overwrite && !is_own {
                existing.push(path);
            }
        }
    }
    if existing.is_empty() { Ok(()) } else { Err(PrepareError::Exists(existing)) }
}

/// Refuses files in the place of the contact sheets that no run has written.
///
/// # Errors
/// [`PrepareError::Exists`]; a folder in the place of a sheet.
pub(super) fn refuse_existing_sheets(config: &Config) -> Result<(), PrepareError> {
    let written = || past_runs(&config.file, &config.run.output.directory).written;
    let overwrite = config.variants.iter().all(|variant| variant.settings.output.overwrite);
    let mut existing = Vec::new();
    for path in config.contact_sheets() {
        let Ok(found) = std::fs::symlink_metadata(&path) else { continue };
        if found.is_dir() {
            return Err(files::Error::Directory { path }.into());
        }
        if !overwrite && !path.file_name().is_some_and(|name| written().contains(name)) {
            existing.push(path);
        }
    }
    if existing.is_empty() { Ok(()) } else { Err(PrepareError::Exists(existing)) }
}

/// Every file that a job writes beside its checkpoints; intermediate pictures have no kind.
pub(super) fn job_files(job: &Job, settings: &RunSettings) -> Vec<(Option<JobFile>, PathBuf)> {
    let files = written_files(&job.output, &job.settings.output).into_iter();
    let mut files: Vec<_> = files.map(|(kind, path)| (Some(kind), path)).collect();
    let every = settings.watch.save_every as usize;
    for (number, level) in job.levels.iter().enumerate() {
        let path = |evaluation| intermediate_path(&job.output, number, evaluation);
        files.extend(level.saved_evaluations(every).map(|evaluation| (None, path(evaluation))));
    }
    files
}

/// Checkpoints of the largest job and all pictures must fit on the disk; `used` bytes are the run's
/// own already.
///
/// # Errors
/// [`JournalError::NoSpace`].
pub(super) fn refuse_small_disk(
    directory: &Path,
    jobs: &[Job],
    used: u64,
) -> Result<(), PrepareError> {
    let checkpoints = jobs.iter().map(Job::checkpoint_bytes).max().unwrap_or(0);
    let needed =
        checkpoints.saturating_sub(used).saturating_add(jobs.iter().map(Job::picture_bytes).sum());
    match free_space(directory) {
        Some(free) if free < needed => {
            Err(JournalError::NoSpace { directory: directory.into(), free, needed }.into())
        }
        _ => Ok(()),
    }
}

/// Bytes that the checkpoints of a run hold.
pub(super) fn used_space(directory: &Path) -> u64 {
    fn size(directory: &Path) -> u64 {
        let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
        entries
            .map(|entry| match entry.metadata() {
                Ok(found) if found.is_dir() => size(&entry.path()),
                found => found.map_or(0, |found| found.len()),
            })
            .sum()
    }
    size(&directory.join("checkpoints"))
}
