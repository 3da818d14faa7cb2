//! `impasto status`: how far a run is, asked from outside.

use std::path::Path;
use std::time::Duration;

use serde::Serialize;

use super::args::StatusArguments;
use super::paths::{run_directory, shown};
use super::say::{complain, say};
use super::status_line::{joined, run_parts};
use super::{Exit, Failure, terminal_picture, view};
use crate::event::now;
use crate::files::path_text;
use crate::format::{duration, loss};
use crate::journal::{self, JobState, JobStatus, RunSnapshot};
use crate::page::Page;

/// Between two looks of `--watch`.
const WATCH_EVERY: Duration = Duration::from_secs(2);

/// `impasto status`.
pub fn status(arguments: &StatusArguments) -> Result<Exit, Failure> {
    let directory = run_directory(&arguments.run)?;
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
        if arguments.picture {
            show_picture(&directory)?;
        }
        if !arguments.watch || snapshot.owner.is_none() {
            return Ok(Exit::Done);
        }
        std::thread::sleep(WATCH_EVERY);
        say!();
    }
}

/// Shows the picture in work, or the last one.
fn show_picture(directory: &Path) -> Result<(), Failure> {
    let folder = tempfile::tempdir()
        .map_err(|error| Failure::Internal(format!("there is no temporary folder: {error}")))?;
    match Page::open(directory)?.latest_view(folder.path(), &view::limits()) {
        Some(view) => terminal_picture::show(&view?),
        None => complain!("there is no picture yet: the first is kept at the end of a level"),
    }
    Ok(())
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
            status: status.clone().now(snapshot.state(status)),
        };
        Self {
            directory: path_text(&snapshot.directory),
            started: snapshot.started,
            process: snapshot.owner.as_ref().map(|owner| owner.pid),
            host: snapshot.owner.as_ref().map(|owner| owner.host.as_str()),
            state: snapshot.overall_state(),
            work: status.work(),
            done: status.done(),
            seconds_left: status.seconds_left(),
            devices: &status.devices,
            jobs: status.jobs.iter().map(job).collect(),
        }
    }
}

fn print(snapshot: &RunSnapshot) {
    let status = &snapshot.status;
    say!("{}", snapshot.directory.display());
    let who = snapshot.owner.as_ref().map_or_else(String::new, |owner| format!(" by {owner}"));
    say!("{}{who}  {}", snapshot.overall_state().replace('-', " "), joined(&run_parts(status)));
    let width = status.jobs.values().map(|job| job.name.chars().count()).max().unwrap_or(0);
    for job in status.jobs.values() {
        say!(
            "  {:<width$}  {:<11}  {}",
            job.name,
            snapshot.state(job).word(),
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
