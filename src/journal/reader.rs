//! A run directory, to read without its lock: once, or again and again while a process works in it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::error::JournalError;
use super::lock::current_owner;
use super::log::{self, Replay};
use super::owner::Owner;
use super::plan_file::PlanFile;
use super::status::{JobState, JobStatus, RunStatus};
use crate::event::Event;
use crate::files::Home;
use crate::plan::JobRecord;

/// What can be read of a run without its lock.
#[derive(Debug)]
pub struct RunSnapshot {
    /// The run directory.
    pub directory: PathBuf,
    /// The pipeline's folder: what the identities of files are relative to.
    pub home: Home,
    /// The pipeline's file name, as [`crate::files::name_text`] writes it.
    pub pipeline: String,
    /// The settings that all jobs share, by table and key, as a pipeline has them.
    pub settings: serde_json::Value,
    /// All jobs, those that were added later at the end.
    pub jobs: Vec<JobRecord>,
    /// Where they stand.
    pub status: RunStatus,
    /// When the run began, seconds since 1970.
    pub started: f64,
    /// The process that works in it now.
    pub owner: Option<Owner>,
}

impl RunSnapshot {
    /// What a job's state is, now that it is known whether anybody works on the run.
    pub fn state(&self, job: &JobStatus) -> JobState {
        match (job.state, &self.owner) {
            (JobState::Running, None) => JobState::Interrupted,
            (state, _) => state,
        }
    }

    /// The state of the whole run: `running`, `finished`, `finished-with-failures` or
    /// `interrupted`.
    pub fn overall_state(&self) -> &'static str {
        let states = || self.status.jobs.values().map(|job| job.state);
        match &self.owner {
            Some(_) => "running",
            None if states().all(|state| state == JobState::Finished) => "finished",
            None if states()
                .all(|state| matches!(state, JobState::Finished | JobState::Failed)) =>
            {
                "finished-with-failures"
            }
            None => "interrupted",
        }
    }
}

/// Reads a run directory, whether or not somebody works in it.
///
/// # Errors
/// When there is no run, or its files are damaged or of another version.
pub fn open(directory: &Path) -> Result<RunSnapshot, JournalError> {
    let mut reader = RunReader::open(directory)?;
    reader.advance(&mut |_, _| {})?;
    Ok(reader.snapshot)
}

/// Reads a run directory again and again: the plan once, and of the events what is new. It asks for
/// no lock that a process at work has, and a line that is not whole yet waits for the next reading.
#[derive(Debug)]
pub struct RunReader {
    snapshot: RunSnapshot,
    replay: Replay,
}

impl RunReader {
    /// Reads the plan. The events are read by [`RunReader::advance`].
    ///
    /// # Errors
    /// When there is no run, or its plan is damaged or of another version.
    pub fn open(directory: &Path) -> Result<Self, JournalError> {
        let no_run = || JournalError::NoRun { path: directory.into() };
        let plan = PlanFile::read(&directory.join("plan.json"))?.ok_or_else(no_run)?;
        let mut snapshot = RunSnapshot {
            directory: directory.into(),
            home: plan.home(directory),
            pipeline: plan.pipeline,
            settings: plan.run,
            jobs: plan.jobs,
            status: RunStatus::default(),
            started: plan.started,
            owner: None,
        };
        snapshot.status.describe(&snapshot.jobs);
        Ok(Self { snapshot, replay: Replay::default() })
    }

    /// Reads the events that are new, and shows each with its time, in seconds since 1970, to
    /// `on_event`. Returns whether anything has changed.
    ///
    /// # Errors
    /// When the events cannot be read, are damaged, or are of another version.
    pub fn advance(&mut self, on_event: &mut dyn FnMut(f64, &Event)) -> Result<bool, JournalError> {
        let Self { snapshot, replay } = self;
        // Whether it is being worked on is asked first: what is read afterwards is then at least as
        // new.
        let owner = current_owner(&snapshot.directory);
        let before = replay.lines;
        log::read_on(&snapshot.directory.join("events.jsonl"), replay, on_event)?;
        let changed = replay.lines > before || owner != snapshot.owner;
        snapshot.owner = owner;
        if changed {
            snapshot.jobs.append(&mut replay.added);
            snapshot.status = replay.status.clone();
            snapshot.status.describe(&snapshot.jobs);
            let counts = snapshot.latest_jobs();
            snapshot.status.retain(|job| counts.contains(&job));
        }
        Ok(changed)
    }

    /// The run as it was last read.
    pub fn snapshot(&self) -> &RunSnapshot {
        &self.snapshot
    }
}

impl RunSnapshot {
    /// The jobs that count: one that was added in the place of another is the one that does.
    fn latest_jobs(&self) -> BTreeSet<usize> {
        let mut latest = std::collections::HashMap::new();
        for job in &self.jobs {
            latest.insert((&job.content, &job.variant), job.index);
        }
        latest.into_values().collect()
    }
}
