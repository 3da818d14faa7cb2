//! A run directory, to write under its lock.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::checkpoint::Checkpoints;
use super::directory::RunName;
use super::error::JournalError;
use super::fingerprint::Fingerprint;
use super::lock::{Lock, Locking};
use super::log::{self, Log, Record, Replay};
use super::plan_file::PlanFile;
use super::status::RunStatus;
use super::thinning::Thinning;
use crate::event::{Event, now};
use crate::files;
use crate::plan::{JobRecord, Plan};

/// A run directory that this process, and no other, may write.
#[derive(Debug)]
pub struct LockedRun {
    directory: PathBuf,
    lock: Arc<Lock>,
    log: Log,
    thinning: Thinning,
    jobs: Vec<JobRecord>,
    fingerprint: Fingerprint,
    status: RunStatus,
}

impl LockedRun {
    /// Opens the newest run of this name; nothing when there is none, or when it ended before its
    /// plan was written.
    ///
    /// # Errors
    /// [`JournalError::Locked`] when another process works in it; when it is damaged.
    pub fn resume(name: &RunName, locking: Locking) -> Result<Option<Self>, JournalError> {
        let Some(directory) = name.newest_directory() else { return Ok(None) };
        let lock = Arc::new(Lock::take(&directory, locking)?);
        let Some(plan) = PlanFile::read(&directory.join("plan.json"))? else { return Ok(None) };
        let path = directory.join("events.jsonl");
        let replay = log::read(&path)?;
        let log = Log::open(&path, &replay)?;
        let Replay { mut status, added, fingerprint, .. } = replay;
        let jobs = [plan.jobs, added].concat();
        status.describe(&jobs);
        let fingerprint = fingerprint.unwrap_or(plan.fingerprint);
        let thinning = Thinning::default();
        Ok(Some(Self { directory, lock, log, thinning, jobs, fingerprint, status }))
    }

    /// Begins a new run beside those that are there.
    ///
    /// # Errors
    /// [`JournalError::Locked`] when the newest of them is being worked on; when the directory
    /// cannot be written.
    pub fn begin(
        name: &RunName,
        plan: &Plan,
        fingerprint: Fingerprint,
        locking: Locking,
    ) -> Result<Self, JournalError> {
        // While this process holds the older run's lock, no other process starts one.
        let newest = name.newest();
        let older =
            newest.map(|number| Lock::take(&name.directory(number), locking)).transpose()?;
        let unwritten = newest.filter(|number| !name.directory(*number).join("plan.json").exists());
        let (directory, lock) = match (unwritten, older) {
            (Some(number), Some(lock)) => (name.directory(number), lock),
            _ => {
                let directory = name.directory(newest.unwrap_or(0) + 1);
                files::create_directories(&directory)?;
                let lock = Lock::take(&directory, locking)?;
                (directory, lock)
            }
        };
        let plan = PlanFile::new(&directory, plan, fingerprint);
        plan.write(&directory.join("plan.json"))?;
        let log = Log::open(&directory.join("events.jsonl"), &Replay::default())?;
        files::sync_directory(&directory)?;
        let mut status = RunStatus::default();
        status.describe(&plan.jobs);
        let PlanFile { jobs, fingerprint, .. } = plan;
        let (lock, thinning) = (Arc::new(lock), Thinning::default());
        Ok(Self { directory, lock, log, thinning, jobs, fingerprint, status })
    }

    /// Where it is.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The jobs as they were planned, those that were added later at the end.
    pub fn jobs(&self) -> &[JobRecord] {
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
    pub fn add(
        &mut self,
        jobs: Vec<JobRecord>,
        fingerprint: Fingerprint,
    ) -> Result<(), JournalError> {
        self.log.append(&Record::Added { jobs: jobs.clone(), fingerprint: fingerprint.clone() })?;
        self.jobs.extend(jobs);
        self.status.describe(&self.jobs);
        self.fingerprint = fingerprint;
        Ok(())
    }

    /// Records an event; what must last is on the disk when this returns.
    ///
    /// # Errors
    /// When the journal cannot be written.
    pub fn record(&mut self, event: &Event) -> Result<(), JournalError> {
        for event in self.thinning.add(event) {
            self.log.append(&Record::Event(event))?;
        }
        self.status.on_event(now(), event);
        Ok(())
    }

    /// The checkpoints of a job, which are written at most every `every`.
    pub fn checkpoints(&self, job: usize, every: Duration) -> Checkpoints {
        let directory = self.directory.join("checkpoints").join(format!("job-{:04}", job + 1));
        Checkpoints::new(directory, every, Arc::clone(&self.lock))
    }
}
