//! From a plan to a run: begun anew, or taken up where it was left.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::Summary;
use super::scheduler::Scheduler;
use crate::config::{Config, RunSettings};
use crate::event::Watcher;
use crate::files;
use crate::image::Limits;
use crate::journal::{
    Change, Fingerprint, JobStatus, JournalError, LockedRun, RunName, RunStatus, room,
};
use crate::plan::{Job, Plan};
use crate::render::{Engine, intermediate_path, partial_path, preview_path, pyramid_path};

/// Why a run can neither be begun nor taken up.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// The run directory.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A file that the pictures are made from.
    #[error("{}: cannot be read: {source}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A file of an earlier start that is in the way.
    #[error(transparent)]
    File(#[from] files::Error),
    /// Pictures are in the way that this run has not made.
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
                "these pictures already exist; move them away, or set output.overwrite = true to replace them:{}",
                list.concat()
            )
        }
    }
}

/// A run that is ready to be worked on: locked, compared with what it began with, and with room on
/// the disk.
#[derive(Debug)]
pub struct Collection {
    run: LockedRun,
    /// Bytes of memory that the plan keeps to.
    memory: u64,
    /// What all jobs share.
    settings: RunSettings,
    pending: Vec<Job>,
    /// Numbers of all jobs that the pipeline asks for now.
    asked: BTreeSet<usize>,
    resumed: bool,
}

/// Takes up the newest run of the configuration's pipeline, or begins one when there is none or
/// `restart` says so. Nothing is made on disk before everything is checked. `weights` is their
/// SHA-256.
///
/// # Errors
/// When another process works on the run, what it depends on has changed, pictures are in the way,
/// or the disk is too small for its checkpoints.
pub fn prepare(
    config: &Config,
    plan: Plan,
    weights: &str,
    restart: bool,
) -> Result<Collection, PrepareError> {
    let output = &config.run.output.directory;
    let name = RunName::new(&config.file, output);
    let photographs: Vec<&Path> = plan.jobs.iter().map(|job| job.content.as_path()).collect();
    let now = Fingerprint::take(config, photographs, weights)
        .map_err(|(path, source)| PrepareError::Unreadable { path, source })?;
    let old = if restart { None } else { LockedRun::resume(&name)? };
    let Some(mut run) = old else {
        refuse_existing(&plan.jobs)?;
        refuse_small_disk(output, &plan.jobs, 0)?;
        let recorded = Plan {
            jobs: plan.jobs.iter().map(|job| as_recorded(job, config)).collect(),
            ..plan.clone()
        };
        let run = LockedRun::begin(&name, recorded, now)?;
        return Ok(Collection {
            run,
            memory: plan.memory.bytes,
            settings: plan.run,
            asked: (0..plan.jobs.len()).collect(),
            pending: plan.jobs,
            resumed: false,
        });
    };
    let mut changes = run.fingerprint().changes(&now);
    let (mut jobs, mut joining) = (Vec::new(), Vec::new());
    for job in plan.jobs {
        match taken_up(&run, job, config, &now) {
            Ok(job) => jobs.push(job),
            Err(Left::Changed(change)) => changes.push(change),
            Err(Left::New(job)) => joining.push(*job),
        }
    }
    if !changes.is_empty() {
        return Err(JournalError::Changed { directory: run.directory().into(), changes }.into());
    }
    for (job, number) in joining.iter_mut().zip(run.jobs().len()..) {
        job.index = number;
    }
    let joined: Vec<Job> = joining.iter().map(|job| as_recorded(job, config)).collect();
    jobs.extend(joining);
    let asked: BTreeSet<usize> = jobs.iter().map(|job| job.index).collect();
    let finished =
        |job: &Job| run.status().jobs.get(&job.index).is_some_and(JobStatus::is_finished);
    // A death right after a picture was recorded as finished leaves what it was made from.
    for job in jobs.iter().filter(|job| finished(job)) {
        run.checkpoints(job.index, std::time::Duration::ZERO).clear()?;
    }
    let mut pending: Vec<Job> = jobs.into_iter().filter(|job| !finished(job)).collect();
    pending.sort_by_key(|job| job.index);
    // One while a picture is written leaves a part of it.
    let every = plan.run.watch.save_every as usize;
    let names: Vec<PathBuf> = pending.iter().flat_map(|job| written(job, every)).collect();
    files::remove_leftovers(&names)?;
    refuse_existing(&pending)?;
    let used = |job: &Job| run.checkpoints(job.index, std::time::Duration::ZERO).used();
    refuse_small_disk(run.directory(), &pending, pending.iter().map(used).sum())?;
    if !joined.is_empty() {
        let fingerprint = run.fingerprint().clone().joined(&now);
        run.join(joined, fingerprint)?;
    }
    let (memory, settings) = (plan.memory.bytes, plan.run);
    Ok(Collection { run, memory, settings, pending, asked, resumed: true })
}

impl Collection {
    /// What is left to do, in order.
    pub fn pending(&self) -> &[Job] {
        &self.pending
    }

    /// Where the jobs that the pipeline asks for stand.
    pub fn status(&self) -> RunStatus {
        let mut status = self.run.status().clone();
        status.retain(|job| self.asked.contains(&job));
        status
    }

    /// The run directory.
    pub fn directory(&self) -> &Path {
        self.run.directory()
    }

    /// Whether the run was begun earlier.
    pub fn is_resumed(&self) -> bool {
        self.resumed
    }

    /// Does what is left to do, as far as it gets.
    pub fn run(
        &mut self,
        engine: &mut Engine,
        limits: &Limits,
        watcher: &mut Watcher<'_>,
    ) -> Summary {
        let status = self.status();
        let (settings, memory, run) = (&self.settings, self.memory, Some(&mut self.run));
        let scheduler = Scheduler::new(settings, &self.pending, memory, run, limits, watcher);
        scheduler.with_extent(status.jobs.len(), status.work(), status.done()).run(engine)
    }
}

/// Why a job is not simply gone on with.
enum Left {
    Changed(Change),
    New(Box<Job>),
}

/// `job` with what its run decided for it, if it is one of the run's jobs: levels, modes and
/// histories move pixels, and the memory that decided them may be another tonight.
fn taken_up(
    run: &LockedRun,
    mut job: Job,
    config: &Config,
    now: &Fingerprint,
) -> Result<Job, Left> {
    let seen = seen(&job.content, config);
    // The last of its kind counts: it may have joined in the place of one whose photograph was of
    // no use.
    let Some(old) =
        run.jobs().iter().rfind(|old| old.content == seen && old.variant == job.variant)
    else {
        return Err(Left::New(Box::new(job)));
    };
    let status = run.status().jobs.get(&old.index);
    if let Some(change) = run.fingerprint().photograph_change(now, &seen) {
        // Nothing was painted from the photograph as it was: the one that is there now may take its
        // place.
        let untouched = status.is_none_or(|job| job.total_evaluations == 0 && !job.is_finished());
        return Err(if untouched { Left::New(Box::new(job)) } else { Left::Changed(change) });
    }
    if old.name != job.name {
        let what = format!("the name of the picture of {}", seen.display());
        return Err(Left::Changed(Change {
            what,
            old: Some(old.name.clone()),
            new: Some(job.name),
        }));
    }
    job.levels.clone_from(&old.levels);
    job.index = old.index;
    // A picture that this run was writing when it ended is its own, and may be written again.
    let writing = status.and_then(|status| status.writing.as_ref());
    if writing.and_then(|path| path.file_name()) == job.output.file_name() {
        job.settings.output.overwrite = true;
    }
    Ok(job)
}

/// The files that a job writes under names of its own, with a picture after `every` evaluations.
fn written(job: &Job, every: usize) -> Vec<PathBuf> {
    let output = &job.output;
    let mut paths =
        vec![output.clone(), partial_path(output), preview_path(output), pyramid_path(output)];
    for (number, level) in job.levels.iter().enumerate().filter(|_| every > 0) {
        // In rounds a picture is written after a round, in which some multiples may lie.
        let evaluations = match level.execution.rounds() {
            None => (every..level.evaluations).step_by(every),
            Some((_, visits)) => {
                (visits.visit..visits.rounds * visits.visit).step_by(visits.visit.max(1))
            }
        };
        paths.extend(evaluations.map(|count| intermediate_path(output, number, count)));
    }
    paths
}

/// A job as it is written into the run's plan: its photograph as seen from the pipeline's folder,
/// which may be moved.
fn as_recorded(job: &Job, config: &Config) -> Job {
    let content = seen(&job.content, config);
    Job { content, ..job.clone() }
}

fn seen(content: &Path, config: &Config) -> PathBuf {
    content.strip_prefix(config.directory()).unwrap_or(content).to_path_buf()
}

fn refuse_existing(jobs: &[Job]) -> Result<(), PrepareError> {
    let existing: Vec<PathBuf> = jobs
        .iter()
        .filter(|job| !job.settings.output.overwrite && job.output.exists())
        .map(|job| job.output.clone())
        .collect();
    if existing.is_empty() { Ok(()) } else { Err(PrepareError::Exists(existing)) }
}

/// Checkpoints of the largest job and all pictures must have room; `used` bytes are the run's own
/// already.
fn refuse_small_disk(directory: &Path, jobs: &[Job], used: u64) -> Result<(), PrepareError> {
    let checkpoints = jobs.iter().map(Job::checkpoint_bytes).max().unwrap_or(0);
    let needed =
        checkpoints.saturating_sub(used).saturating_add(jobs.iter().map(Job::picture_bytes).sum());
    match room(directory) {
        Some(free) if free < needed => {
            Err(JournalError::NoRoom { directory: directory.into(), free, needed }.into())
        }
        _ => Ok(()),
    }
}
