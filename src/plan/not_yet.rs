//! Keys that a pipeline may hold and that this version does not act on: told, never silently ignored.

use crate::config::{ParallelJobs, Settings};

/// The keys of `settings` that differ from their defaults and have no effect yet, each with a word on what to expect.
pub fn not_yet(settings: &Settings) -> Vec<&'static str> {
    let found = [
        (settings.budget.until.is_some() || settings.budget.hours.is_some(), "budget: the run goes on to its end"),
        (settings.batch.retries != 1, "batch.retries: a picture that fails is not tried again"),
        (matches!(settings.batch.parallel_jobs, ParallelJobs::Count(n) if n > 1), "batch.parallel-jobs: pictures are made one by one"),
        (settings.checkpoint.every_seconds != 60, "checkpoint.every-seconds: no checkpoints are written"),
    ];
    found.into_iter().filter(|(set, _)| *set).map(|(_, word)| word).collect()
}
