//! Where a run stands, in words: the bars' and the status's lines.

use crate::format::{duration, loss};
use crate::journal::{JobState, JobStatus, RunStatus};

/// The picture in work: level, evaluation and losses.
pub fn line(job: &JobStatus) -> String {
    let losses = job.losses.unwrap_or_default();
    format!(
        "{}  level {}/{} {}x{}  evaluation {}/{}  content {}  style {}  variation {}",
        job.name,
        job.level + 1,
        job.levels,
        job.level_size.0,
        job.level_size.1,
        job.evaluation,
        job.evaluations,
        loss(losses.content),
        loss(losses.style),
        loss(losses.variation),
    )
}

/// The whole run: pictures, megapixel-evaluations, time left.
pub fn overall(status: &RunStatus) -> String {
    let over = status
        .jobs
        .values()
        .filter(|job| matches!(job.state, JobState::Finished | JobState::Failed))
        .count();
    let left = status.seconds_left().map_or_else(|| "estimating".into(), duration);
    format!(
        "{over}/{} pictures  {:.1}/{:.1} Mpx-evaluations  left {left}",
        status.jobs.len(),
        status.done(),
        status.work()
    )
}
