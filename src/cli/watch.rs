//! Listeners for machines and for the log.

use super::say::say;
use crate::event::{Event, Listener, Losses};

/// Every event as one JSON object on a line of standard output.
pub struct JsonLines;

impl Listener for JsonLines {
    fn on_event(&mut self, event: &Event) {
        if let Ok(line) = serde_json::to_string(event) {
            say!("{line}");
        }
    }
}

/// What is logged of a run: levels, paintings and, as `watch.print-every` asks for them, losses.
pub struct LossLog {
    /// Evaluations between two lines of losses; 0: none.
    every: usize,
}

impl LossLog {
    /// Logs the losses after every so many evaluations and after every round; 0: never.
    pub fn new(every: u32) -> Self {
        Self { every: every as usize }
    }
}

/// Logs losses; the target lets them through without `-v`.
fn log_losses(job: usize, level: usize, when: &str, losses: &Losses) {
    tracing::info!(
        target: "impasto::losses",
        job,
        level,
        "{when}: content loss {:.6e}, style loss {:.6e}, variation loss {:.6e}, total {:.6e}",
        losses.content,
        losses.style,
        losses.variation,
        losses.total
    );
}

impl Listener for LossLog {
    fn on_event(&mut self, event: &Event) {
        match event {
            Event::Evaluated { job, level, evaluation, losses, .. }
                if self.every > 0 && evaluation.is_multiple_of(self.every) =>
            {
                log_losses(*job, *level, &format!("iteration {evaluation}"), losses);
            }
            Event::RoundFinished { job, level, round, losses, .. } if self.every > 0 => {
                log_losses(*job, *level, &format!("round {round}"), losses);
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
