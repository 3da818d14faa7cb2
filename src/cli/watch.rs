//! Listeners for machines and for the log.

use std::collections::BTreeMap;

use super::say::say;
use crate::event::{Event, Listener};
use crate::plan::Job;

/// Every event as one JSON object on a line of standard output.
pub struct JsonLines;

impl Listener for JsonLines {
    fn on_event(&mut self, event: &Event) {
        if let Ok(line) = serde_json::to_string(event) {
            say!("{line}");
        }
    }
}

/// Losses in the log, every `watch.print-every` evaluations of each job.
pub struct LossLog {
    /// By the job's number.
    every: BTreeMap<usize, u32>,
}

impl LossLog {
    /// Takes each job's interval from its settings.
    pub fn new(jobs: &[Job]) -> Self {
        Self { every: jobs.iter().map(|job| (job.index, job.settings.watch.print_every)).collect() }
    }
}

impl Listener for LossLog {
    fn on_event(&mut self, event: &Event) {
        match event {
            Event::Evaluated { job, level, evaluation, losses, .. } => {
                let every = self.every.get(job).copied().unwrap_or(0) as usize;
                if every > 0 && evaluation.is_multiple_of(every) {
                    tracing::info!(
                        job,
                        level,
                        "iteration {evaluation}: content loss {:.6e}, style loss {:.6e}, variation loss {:.6e}, total {:.6e}",
                        losses.content,
                        losses.style,
                        losses.variation,
                        losses.total
                    );
                }
            }
            Event::Targets { style, width, height, origin, seconds } => {
                tracing::info!("style {} at {width}x{height}: {origin:?} in {seconds:.2} s", style);
            }
            Event::LevelStarted { level, levels, width, height, evaluations, tiles, .. } => {
                tracing::info!(
                    "level {}/{levels}: {width}x{height}, {evaluations} evaluations, {tiles} tiles",
                    level + 1
                );
            }
            _ => {}
        }
    }
}
