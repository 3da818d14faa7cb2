//! What all runs into an output directory have left there.
//!
//! Read leniently: a run of another format, or one that is damaged, still says what its pictures are
//! called.

use std::ffi::OsString;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use super::directory::{RunName, runs};
use super::log;
use crate::config::{PastRuns, WrittenNames};
use crate::files::FileId;

/// What earlier runs into `output` have written there, and the numbers that the newest run of
/// `pipeline` has given to content images.
pub fn past_runs(pipeline: &Path, output: &Path) -> PastRuns {
    let mut past = PastRuns::default();
    for directory in runs(output) {
        Run::read(&directory).add_names(&mut past.written);
    }
    if let Some(newest) = RunName::new(pipeline, output).newest_directory() {
        for job in Run::read(&newest).jobs {
            if let (Some(content), Some(number)) = (job.content, job.number) {
                past.numbers.insert((job.variant, content), number);
            }
        }
    }
    past
}

/// The part of a job that says what its picture is called.
#[derive(Deserialize)]
struct Job {
    output: FileId,
    #[serde(default)]
    content: Option<FileId>,
    #[serde(default)]
    variant: Option<String>,
    #[serde(default)]
    number: Option<usize>,
}

#[derive(Default)]
struct Run {
    jobs: Vec<Job>,
    events: Vec<Value>,
}

impl Run {
    fn read(directory: &Path) -> Self {
        let mut run = Self::default();
        let plan = std::fs::read(directory.join("plan.json")).unwrap_or_default();
        let plan: Value = serde_json::from_slice(&plan).unwrap_or_default();
        // Format 1 had the jobs one level deeper.
        run.add_jobs(plan.get("jobs").or_else(|| plan.get("plan")?.get("jobs")));
        let events = std::fs::read(directory.join("events.jsonl")).unwrap_or_default();
        for line in events.split_inclusive(|byte| *byte == b'\n') {
            let Ok(body) = log::body(line) else { continue };
            let Ok(line) = serde_json::from_str::<Value>(&format!("{body}}}")) else { continue };
            let record = &line["record"];
            run.add_jobs(record.get("added").or_else(|| record.get("joined")).map(|r| &r["jobs"]));
            run.events.extend(record.get("event").cloned());
        }
        run
    }

    fn add_jobs(&mut self, jobs: Option<&Value>) {
        let jobs = jobs.and_then(Value::as_array).into_iter().flatten();
        self.jobs.extend(jobs.filter_map(|job| Job::deserialize(job).ok()));
    }

    /// The names of what was written: all that its events name, and what its jobs write beside their
    /// pictures, of which a death may have kept no record. Nothing of that name was there when the
    /// job was planned.
    fn add_names(&self, written: &mut WrittenNames) {
        let name = |id: &FileId| id.as_path().file_name().map(OsString::from);
        for output in self.jobs.iter().filter_map(|job| name(&job.output)) {
            written.add_job(&output);
        }
        for event in &self.events {
            if let Some("writing" | "saved" | "job-finished" | "interrupted" | "contact-sheet") =
                event["event"].as_str()
            {
                let path = event.get("path").and_then(|path| FileId::deserialize(path).ok());
                written.add(path.as_ref().and_then(name));
            }
        }
    }
}
