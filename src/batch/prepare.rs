//! From a plan to a run: a new one, or the newest, resumed where it ended.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::job_match::JobMatch;
use super::obstacles::{
    PrepareError, job_files, refuse_existing, refuse_existing_sheets, refuse_small_disk, used_space,
};
use super::scheduler::{Extent, Scheduler};
use super::{FailedJob, Summary};
use crate::config::Config;
use crate::event::{Event, Watcher};
use crate::files::{self, Digests};
use crate::image::{self, Limits};
use crate::journal::{
    Change, Fingerprint, JobStatus, JournalError, LockedRun, Locking, RunName, RunStatus, past_runs,
};
use crate::plan::{Job, JobRecord, Plan};
use crate::render::{Engine, RenderError};

/// How [`prepare`] starts or resumes a run.
#[derive(Default)]
pub struct PrepareOptions<'a> {
    /// Begin a new run beside those that are there, instead of resuming the newest.
    pub restart: bool,
    /// What to do where the file system has no locks.
    pub locking: Locking,
    /// Called with how many content images have been read, of how many: reading a large collection
    /// takes a while.
    pub on_read: Option<&'a mut dyn FnMut(usize, usize)>,
}

/// A run that is ready to be worked on: locked, compared with what it began with, and with space on
/// the disk.
#[derive(Debug)]
pub struct Collection {
    run: LockedRun,
    digests: Digests,
    /// What is left to do.
    pending: Plan,
    /// Numbers of all jobs that the pipeline asks for now.
    wanted: BTreeSet<usize>,
    /// Jobs whose content cannot be read to its end.
    unreadable: Vec<FailedJob>,
}

/// Resumes the newest run of the configuration's pipeline, or begins one when there is none or
/// `options` says so. Nothing is made on disk before everything is checked. `weights` is their
/// SHA-256.
///
/// # Errors
/// When another process works on the run, what it depends on has changed, files are in the way, or
/// the disk is too small for its checkpoints.
pub fn prepare(
    config: &Config,
    plan: Plan,
    weights: &str,
    mut options: PrepareOptions<'_>,
) -> Result<Collection, PrepareError> {
    let output = &config.run.output.directory;
    let name = RunName::new(&config.file, output);
    refuse_existing_sheets(config)?;
    let mut digests = Digests::default();
    let (jobs, unreadable) = read_content(plan.jobs, &mut digests, options.on_read.take());
    let now = Fingerprint::take(config, jobs.iter().map(|job| &job.content), weights, &mut digests)
        .map_err(|(path, source)| PrepareError::Unreadable { path, source })?;
    let locking = options.locking;
    let newest = if options.restart { None } else { LockedRun::resume(&name, locking)? };
    let plan = Plan { jobs, ..plan };
    let (run, pending, wanted) = match newest {
        Some(run) => resume(config, run, &plan, &now)?,
        None => begin(config, &name, &plan, now, locking)?,
    };
    let pending = Plan { jobs: pending, ..plan };
    Ok(Collection { run, digests, pending, wanted, unreadable })
}

/// The jobs whose content can be read to its end, and the others. One of these is no reason to
/// leave the rest.
fn read_content(
    jobs: Vec<Job>,
    digests: &mut Digests,
    mut on_read: Option<&mut dyn FnMut(usize, usize)>,
) -> (Vec<Job>, Vec<FailedJob>) {
    let (count, mut readable, mut unreadable) = (jobs.len(), Vec::new(), Vec::new());
    for (read, job) in jobs.into_iter().enumerate() {
        match digests.of(&job.content) {
            Ok(_) => readable.push(job),
            Err(source) => {
                let path = job.content.path.clone();
                let error = RenderError::from(image::Error::Read { path, source });
                unreadable.push(FailedJob { name: job.name, error });
            }
        }
        if let Some(on_read) = &mut on_read {
            on_read(read + 1, count);
        }
    }
    // Numbers follow each other without gaps.
    readable.iter_mut().zip(0..).for_each(|(job, index)| job.index = index);
    (readable, unreadable)
}

/// A locked run, the jobs that are left, and the numbers of all that the pipeline asks for.
type PreparedRun = (LockedRun, Vec<Job>, BTreeSet<usize>);

fn begin(
    config: &Config,
    name: &RunName,
    plan: &Plan,
    now: Fingerprint,
    locking: Locking,
) -> Result<PreparedRun, PrepareError> {
    check(&plan.jobs, config, &config.run.output.directory, 0)?;
    let run = LockedRun::begin(name, plan, now, locking)?;
    remove_leftovers(plan)?;
    let wanted = (0..plan.jobs.len()).collect();
    Ok((run, plan.jobs.clone(), wanted))
}

fn resume(
    config: &Config,
    mut run: LockedRun,
    planned: &Plan,
    now: &Fingerprint,
) -> Result<PreparedRun, PrepareError> {
    let mut changes = run.fingerprint().changes(now);
    let (mut pending, mut wanted, mut added) = (Vec::new(), BTreeSet::new(), Vec::new());
    for job in &planned.jobs {
        let found = JobMatch::of(job, run.jobs(), run.status());
        let change = match &found {
            JobMatch::New => None,
            JobMatch::Finished(old) | JobMatch::Pending { old, .. } => {
                run.fingerprint().content_change(now, &job.content.id).or_else(|| renamed(job, old))
            }
        };
        match (found, change) {
            // Nothing is left of what was painted from the content as it was: the one that is there
            // now may take its place.
            (JobMatch::New, _) | (JobMatch::Pending { is_untouched: true, .. }, Some(_)) => {
                added.push(job.clone());
            }
            (_, Some(change)) => changes.push(change),
            (JobMatch::Finished(index), None) => drop(wanted.insert(index.index)),
            (JobMatch::Pending { job, .. }, None) => {
                wanted.insert(job.index);
                pending.push(*job);
            }
        }
    }
    if !changes.is_empty() {
        return Err(JournalError::Changed { directory: run.directory().into(), changes }.into());
    }
    for (job, index) in added.iter_mut().zip(run.jobs().len()..) {
        job.index = index;
        wanted.insert(index);
    }
    let records: Vec<JobRecord> = added.iter().map(JobRecord::from).collect();
    pending.extend(added);
    pending.sort_by_key(|job| job.index);
    clear_finished(&run, &wanted, &pending)?;
    // Another run of this pipeline may have ended while it wrote a picture that is finished by now.
    remove_leftovers(planned)?;
    check(&pending, config, run.directory(), used_space(run.directory()))?;
    if !records.is_empty() {
        let fingerprint = run.fingerprint().clone().with(now);
        run.add(records, fingerprint)?;
    }
    Ok((run, pending, wanted))
}

/// What the checks refuse before `jobs` begin.
fn check(jobs: &[Job], config: &Config, directory: &Path, used: u64) -> Result<(), PrepareError> {
    if jobs.is_empty() {
        return Ok(());
    }
    let output = &config.run.output.directory;
    refuse_existing(jobs, &config.run, &past_runs(&config.file, output).written)?;
    let must_not_replace = jobs.iter().any(|job| !job.settings.output.overwrite);
    files::probe(output, must_not_replace)?;
    refuse_small_disk(directory, jobs, used)
}

/// Removes the checkpoints of pictures that are there: a death right after one was recorded as
/// finished leaves them. Those of a picture that is gone are of no use either.
fn clear_finished(
    run: &LockedRun,
    wanted: &BTreeSet<usize>,
    pending: &[Job],
) -> Result<(), PrepareError> {
    let is_finished =
        |index: &usize| run.status().jobs.get(index).is_some_and(JobStatus::is_finished);
    let pending: BTreeSet<usize> = pending.iter().map(|job| job.index).collect();
    for index in wanted.union(&pending).filter(|index| is_finished(index)) {
        run.checkpoints(*index, Duration::ZERO).clear()?;
    }
    Ok(())
}

/// Removes what dead processes have left of pictures that they were writing.
fn remove_leftovers(plan: &Plan) -> Result<(), files::Error> {
    let written = plan.jobs.iter().flat_map(|job| job_files(job, &plan.run));
    let paths: Vec<PathBuf> = written.map(|(_, path)| path).collect();
    files::remove_leftovers(&paths)
}

fn renamed(job: &Job, old: &JobRecord) -> Option<Change> {
    let what = || format!("the name of the picture of {}", job.content.id);
    (old.name != job.name).then(|| Change {
        what: what(),
        old: Some(old.name.clone()),
        new: Some(job.name.clone()),
    })
}

impl Collection {
    /// What is left to do, in order.
    pub fn pending(&self) -> &[Job] {
        &self.pending.jobs
    }

    /// Jobs whose content cannot be read to its end.
    pub fn unreadable(&self) -> &[FailedJob] {
        &self.unreadable
    }

    /// Where the jobs that the pipeline asks for stand.
    pub fn status(&self) -> RunStatus {
        let mut status = self.run.status().clone();
        status.retain(|job| self.wanted.contains(&job));
        status
    }

    /// The run directory.
    pub fn directory(&self) -> &Path {
        self.run.directory()
    }

    /// Records something that happens beside the jobs.
    ///
    /// # Errors
    /// When the journal cannot be written.
    pub fn record(&mut self, event: &Event) -> Result<(), JournalError> {
        self.run.record(event)
    }

    /// Does what is left to do, as far as it gets.
    pub fn run(
        &mut self,
        engine: &mut Engine,
        limits: &Limits,
        watcher: &mut Watcher<'_>,
    ) -> Summary {
        let status = self.status();
        let extent = Extent { jobs: status.jobs.len(), work: status.work(), done: status.done() };
        let run = Some(&mut self.run);
        let scheduler = Scheduler::new(&self.pending, run, &self.digests, limits, watcher);
        let mut summary = scheduler.run(extent, engine);
        summary.failed.append(&mut self.unreadable);
        summary
    }
}
