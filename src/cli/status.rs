//! `impasto status`: how far a run is, asked from outside.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;

use super::args::StatusArguments;
use super::paths::shown;
use super::say::say;
use super::status_line::{joined, run_parts};
use super::{Exit, Failure};
use crate::config;
use crate::event::now;
use crate::files::path_text;
use crate::format::{duration, loss};
use crate::journal::{self, JobState, JobStatus, JournalError, RunName, RunSnapshot};

/// Between two looks of `--watch`.
const WATCH_EVERY: Duration = Duration::from_secs(2);

/// `impasto status`.
pub fn status(arguments: &StatusArguments) -> Result<Exit, Failure> {
    let directory = directory(&arguments.run)?;
    loop {
        let snapshot = journal::open(&directory)?;
        if arguments.json {
            let status = Status::new(&snapshot);
            say!(
                "{}",
                serde_json::to_string_pretty(&status)
                    .map_err(|error| Failure::Internal(error.to_string()))?
            );
        } else {
            print(&snapshot);
        }
        if !arguments.watch || snapshot.owner.is_none() {
            return Ok(Exit::Done);
        }
        std::thread::sleep(WATCH_EVERY);
        say!();
    }
}

/// The run of a run directory, an output directory or a pipeline file.
fn directory(path: &Path) -> Result<PathBuf, Failure> {
    let no_run = || Failure::Journal(JournalError::NoRun { path: path.into() });
    if !path.is_file() {
        return journal::find(path).ok_or_else(no_run);
    }
    let name = RunName::new(path, &config::output_directory(path)?);
    name.newest_directory().ok_or_else(no_run)
}

/// What `--json` prints.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Status<'a> {
    directory: String,
    started: f64,
    /// The process that works on it, if one does.
    process: Option<u32>,
    host: Option<&'a str>,
    state: &'static str,
    /// Megapixel-evaluations.
    work: f64,
    done: f64,
    /// Estimate of the seconds to the end.
    seconds_left: Option<f64>,
    devices: &'a [String],
    jobs: Vec<JobReport>,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct JobReport {
    job: usize,
    seconds_left: Option<f64>,
    /// Seconds since its last checkpoint.
    checkpoint_age: Option<f64>,
    /// Its state is the one now: a job that no process works on is not running.
    #[serde(flatten)]
    status: JobStatus,
}

impl<'a> Status<'a> {
    fn new(snapshot: &'a RunSnapshot) -> Self {
        let status = &snapshot.status;
        let job = |(job, status): (&usize, &JobStatus)| JobReport {
            job: *job,
            seconds_left: status
                .speed
                .filter(|_| !status.is_finished())
                .map(|speed| speed * (status.work - status.done).max(0.0)),
            checkpoint_age: status.checkpoint.map(|at| (now() - at).max(0.0)),
            status: status.clone().now(state(status, snapshot)),
        };
        Self {
            directory: path_text(&snapshot.directory),
            started: snapshot.started,
            process: snapshot.owner.as_ref().map(|owner| owner.pid),
            host: snapshot.owner.as_ref().map(|owner| owner.host.as_str()),
            state: overall_state(snapshot),
            work: status.work(),
            done: status.done(),
            seconds_left: status.seconds_left(),
            devices: &status.devices,
            jobs: status.jobs.iter().map(job).collect(),
        }
    }
}

/// What a job's state is, now that it is known whether anybody works on the run.
fn state(job: &JobStatus, snapshot: &RunSnapshot) -> JobState {
    match (job.state, &snapshot.owner) {
        (JobState::Running, None) => JobState::Interrupted,
        (state, _) => state,
    }
}

/// The state of the whole run, as `--json` writes it.
fn overall_state(snapshot: &RunSnapshot) -> &'static str {
    let states = || snapshot.status.jobs.values().map(|job| job.state);
    match &snapshot.owner {
        Some(_) => "running",
        None if states().all(|state| state == JobState::Finished) => "finished",
        None if states().all(|state| matches!(state, JobState::Finished | JobState::Failed)) => {
            "finished-with-failures"
        }
        None => "interrupted",
    }
}

fn print(snapshot: &RunSnapshot) {
    let status = &snapshot.status;
    say!("{}", snapshot.directory.display());
    let who = snapshot.owner.as_ref().map_or_else(String::new, |owner| format!(" by {owner}"));
    say!("{}{who}  {}", overall_state(snapshot).replace('-', " "), joined(&run_parts(status)));
    let width = status.jobs.values().map(|job| job.name.chars().count()).max().unwrap_or(0);
    for job in status.jobs.values() {
        say!(
            "  {:<width$}  {:<11}  {}",
            job.name,
            state(job, snapshot).word(),
            details(job, snapshot)
        );
    }
}

/// What there is to say of a job beside its state.
fn details(job: &JobStatus, snapshot: &RunSnapshot) -> String {
    let mut parts = Vec::new();
    match job.state {
        JobState::Waiting => {}
        JobState::Finished => {
            parts.push(format!("{}x{}", job.size.0, job.size.1));
            parts.push(format!("{} evaluations", job.total_evaluations));
        }
        // None of it has been painted.
        _ if job.evaluations == 0 => {}
        _ => {
            parts.push(format!(
                "level {}/{} {}x{}",
                job.level + 1,
                job.levels,
                job.level_size.0,
                job.level_size.1
            ));
            parts.push(format!("evaluation {}/{}", job.evaluation, job.evaluations));
        }
    }
    if let Some(losses) = job.losses {
        parts.push(format!("content {}  style {}", loss(losses.content), loss(losses.style)));
    }
    if let Some(speed) = job.speed {
        parts.push(format!("{speed:.2} s/Mpx-evaluation"));
        if !matches!(job.state, JobState::Finished | JobState::Failed) {
            parts.push(format!("left {}", duration(speed * (job.work - job.done).max(0.0))));
        }
    }
    if let Some(at) = job.checkpoint.filter(|_| !job.is_finished()) {
        parts.push(format!("checkpoint {} ago", duration(now() - at)));
    }
    if job.seconds > 0.0 {
        parts.push(duration(job.seconds));
    }
    parts.extend(job.reason.clone().filter(|_| !job.is_finished()));
    let output = job.output.as_ref().filter(|_| job.is_finished());
    parts.extend(output.map(|output| shown(&snapshot.home, output)));
    parts.join("  ")
}
