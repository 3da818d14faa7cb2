//! Where a run stands, in words: the parts of the bars' lines, the plain lines and the status.

use crate::format::{duration, loss};
use crate::journal::{JobState, JobStatus, RunStatus};

/// Between two parts of a line.
const GAP: &str = "  ";

/// The picture in work, what matters most first: evaluation, level, losses and name.
pub fn job_parts(job: &JobStatus) -> Vec<String> {
    let (width, height) = job.level_size;
    let losses = job.losses.unwrap_or_default();
    vec![
        format!("evaluation {}/{}", job.evaluation, job.evaluations),
        format!("level {}/{} {width}x{height}", job.level + 1, job.levels),
        format!("loss {}", loss(losses.total)),
        job.name.clone(),
        format!("content {}", loss(losses.content)),
        format!("style {}", loss(losses.style)),
        format!("variation {}", loss(losses.variation)),
    ]
}

/// The whole run, what matters most first: time left, pictures, megapixel-evaluations.
pub fn run_parts(status: &RunStatus) -> Vec<String> {
    let over = status
        .jobs
        .values()
        .filter(|job| matches!(job.state, JobState::Finished | JobState::Failed))
        .count();
    let left = status.seconds_left().map_or_else(|| "estimating".into(), duration);
    vec![
        format!("left {left}"),
        format!("{over}/{} pictures", status.jobs.len()),
        format!("{:.1}/{:.1} Mpx-evaluations", status.done(), status.work()),
    ]
}

/// All parts on one line.
pub fn joined(parts: &[String]) -> String {
    parts.join(GAP)
}

/// The parts that fit `columns` of a terminal on one line, in their order: one that is too long gives
/// its place to those behind it. The first is always there.
pub fn fitting(parts: &[String], columns: usize) -> String {
    let mut line = String::new();
    for part in parts {
        if line.is_empty() {
            line.push_str(part);
        } else if measure(&line) + GAP.len() + measure(part) <= columns {
            line.extend([GAP, part]);
        }
    }
    line
}

/// Columns that a text takes.
fn measure(text: &str) -> usize {
    console::measure_text_width(text)
}
