//! A run directory, to read and, under its lock, to write.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::checkpoint::Checkpoints;
use super::directory::RunName;
use super::error::JournalError;
use super::fingerprint::Fingerprint;
use super::lock::{Holder, Lock, holder};
use super::log::{self, Log, Record, Replay};
use super::recorded::Recorded;
use super::status::RunStatus;
use crate::event::{Event, now};
use crate::files;
use crate::plan::Job;

/// What can be read of a run without its lock.
#[derive(Debug)]
pub struct Reading {
    /// The run directory.
    pub directory: PathBuf,
    /// All jobs, those that joined later at the end.
    pub jobs: Vec<Job>,
    /// Where they stand.
    pub status: RunStatus,
    /// When the run began, seconds since 1970.
    pub begun: f64,
    /// The process that works in it now.
    pub holder: Option<Holder>,
}

/// Reads a run directory, whether or not somebody works in it.
///
/// # Errors
/// When there is no run, or its files are damaged or of a later version.
pub fn open(directory: &Path) -> Result<Reading, JournalError> {
    // Whether it is being worked on is asked first: what is read afterwards is then at least as
    // new.
    let holder = holder(directory);
    let no_run = || JournalError::NoRun { path: directory.into() };
    let recorded = Recorded::read(&directory.join("plan.json"))?.ok_or_else(no_run)?;
    let replay = log::read(&directory.join("events.jsonl"))?;
    let (begun, jobs) = (recorded.begun, [recorded.plan.jobs, replay.joined].concat());
    let mut status = replay.status;
    status.expect(&jobs);
    // A job that joined in the place of another is the one that counts.
    let last = |job: &Job| {
        jobs.iter()
            .rfind(|other| other.content == job.content && other.variant == job.variant)
            .map(|job| job.index)
    };
    let counts: BTreeSet<usize> = jobs.iter().filter_map(last).collect();
    status.retain(|job| counts.contains(&job));
    Ok(Reading { directory: directory.into(), jobs, status, begun, holder })
}

/// A run directory that this process, and no other, may write.
#[derive(Debug)]
pub struct LockedRun {
    directory: PathBuf,
    lock: Arc<Lock>,
    log: Log,
    jobs: Vec<Job>,
    fingerprint: Fingerprint,
    status: RunStatus,
}

impl LockedRun {
    /// Takes up the newest run of this name; nothing when there is none, or when it ended before
    /// its plan was written.
    ///
    /// # Errors
    /// [`JournalError::Locked`] when another process works in it; when it is damaged.
    pub fn resume(name: &RunName) -> Result<Option<Self>, JournalError> {
        let Some(directory) = name.newest_directory() else { return Ok(None) };
        let lock = Arc::new(Lock::take(&directory)?);
        let Some(recorded) = Recorded::read(&directory.join("plan.json"))? else { return Ok(None) };
        let path = directory.join("events.jsonl");
        let replay = log::read(&path)?;
        let log = Log::open(&path, &replay)?;
        let Replay { mut status, joined, fingerprint, .. } = replay;
        let jobs = [recorded.plan.jobs, joined].concat();
        status.expect(&jobs);
        Ok(Some(Self {
            directory,
            lock,
            log,
            jobs,
            fingerprint: fingerprint.unwrap_or(recorded.fingerprint),
            status,
        }))
    }

    /// Begins a new run beside those that are there.
    ///
    /// # Errors
    /// [`JournalError::Locked`] when the newest of them is being worked on; when the directory
    /// cannot be written.
    pub fn begin(
        name: &RunName,
        plan: crate::plan::Plan,
        fingerprint: Fingerprint,
    ) -> Result<Self, JournalError> {
        // While the older run is held here nobody else begins one.
        let newest = name.newest();
        let older = newest.map(|number| Lock::take(&name.directory(number))).transpose()?;
        let unwritten = newest.filter(|number| !name.directory(*number).join("plan.json").exists());
        let (directory, lock) = match (unwritten, older) {
            (Some(number), Some(lock)) => (name.directory(number), lock),
            _ => {
                let directory = name.directory(newest.unwrap_or(0) + 1);
                files::create_directories(&directory)?;
                let lock = Lock::take(&directory)?;
                (directory, lock)
            }
        };
        let recorded = Recorded::new(plan, fingerprint);
        recorded.write(&directory.join("plan.json"))?;
        let log = Log::open(&directory.join("events.jsonl"), &Replay::default())?;
        files::sync_directory(&directory)?;
        let mut status = RunStatus::default();
        status.expect(&recorded.plan.jobs);
        let Recorded { plan, fingerprint, .. } = recorded;
        Ok(Self { directory, lock: Arc::new(lock), log, jobs: plan.jobs, fingerprint, status })
    }

    /// Where it is.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The jobs as they were planned, those that joined later at the end.
    pub fn jobs(&self) -> &[Job] {
        &self.jobs
    }

    /// What the pictures depend on.
    pub fn fingerprint(&self) -> &Fingerprint {
        &self.fingerprint
    }

    /// Where the jobs stand.
    pub fn status(&self) -> &RunStatus {
        &self.status
    }

    /// Adds jobs, whose numbers must follow those that are there.
    ///
    /// # Errors
    /// When the journal cannot be written.
    pub fn join(&mut self, jobs: Vec<Job>, fingerprint: Fingerprint) -> Result<(), JournalError> {
        self.log
            .append(&Record::Joined { jobs: jobs.clone(), fingerprint: fingerprint.clone() })?;
        self.jobs.extend(jobs);
        self.status.expect(&self.jobs);
        self.fingerprint = fingerprint;
        Ok(())
    }

    /// Records an event; what must last is on the disk when this returns.
    ///
    /// # Errors
    /// When the journal cannot be written.
    pub fn record(&mut self, event: &Event) -> Result<(), JournalError> {
        self.log.append(&Record::Event(event.clone()))?;
        self.status.on_event(now(), event);
        Ok(())
    }

    /// The checkpoints of a job, which are written at most every `every`.
    pub fn checkpoints(&self, job: usize, every: Duration) -> Checkpoints {
        let directory = self.directory.join("checkpoints").join(format!("job-{:04}", job + 1));
        Checkpoints::new(directory, every, Arc::clone(&self.lock))
    }
}
