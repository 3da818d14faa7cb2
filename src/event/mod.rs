//! What happens during the work, reported to listeners.
//!
//! The library never prints: the terminal's progress bar, the JSON lines, the log and the journal
//! are all listeners of these events. One thread owns the listeners; workers report to it.

mod cancellation;

use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::files::FileId;

pub use cancellation::CancellationToken;

/// The moment at which something happens: seconds since 1970 by the machine's clock.
pub fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |time| time.as_secs_f64())
}

/// The weighted terms of the loss at one evaluation, and their sum. JSON has no word for a value
/// that is not finite: it is null there and comes back as not a number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Losses {
    /// Distance to the content image's features.
    #[serde(deserialize_with = "number")]
    pub content: f64,
    /// Distance to the style images' Gram matrices, means and deviations.
    #[serde(deserialize_with = "number")]
    pub style: f64,
    /// Total variation.
    #[serde(deserialize_with = "number")]
    pub variation: f64,
    /// What the optimiser sees: the sum of the three.
    #[serde(deserialize_with = "number")]
    pub total: f64,
}

/// A number, or null for one that is not finite.
fn number<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    Ok(Option::<f64>::deserialize(deserializer)?.unwrap_or(f64::NAN))
}

impl Losses {
    /// Builds the sum from its terms.
    pub fn new(content: f64, style: f64, variation: f64) -> Self {
        Self { content, style, variation, total: content + style + variation }
    }

    /// Whether every term is a number.
    pub fn is_finite(&self) -> bool {
        self.total.is_finite()
    }
}

/// Where a style's statistics came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TargetOrigin {
    /// Computed now, from the picture.
    Computed,
    /// Read from the cache on disk.
    Cached,
    /// Still in memory from a job before.
    Shared,
}

/// One thing that happened. In JSON every event is an object whose `event` key names its kind. Files
/// are given by their identity: as seen from the pipeline's folder, wherever the program was started
/// from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case", rename_all_fields = "kebab-case")]
pub enum Event {
    /// The run begins.
    RunStarted {
        /// How many pictures are to be made.
        jobs: usize,
        /// What computes them, in words.
        devices: Vec<String>,
        /// What decides how they round.
        arithmetic: String,
        /// Megapixel-evaluations of the whole run: the unit of its progress.
        work: f64,
        /// Megapixel-evaluations that an earlier start of the run has done.
        #[serde(default)]
        done: f64,
    },
    /// One picture begins.
    JobStarted {
        /// The job's number, from 0.
        job: usize,
        /// The job's name: its output's file name.
        name: String,
        /// Levels of the pyramid.
        levels: usize,
        /// Megapixel-evaluations of this job.
        work: f64,
    },
    /// A picture resumes from a checkpoint.
    JobResumed {
        /// The job's number.
        job: usize,
        /// The level that it resumes in, from 0.
        level: usize,
        /// Evaluations done in that level.
        evaluation: usize,
        /// Evaluations done in all levels.
        evaluations: usize,
        /// Megapixel-evaluations done.
        done: f64,
    },
    /// A style's statistics are available.
    Targets {
        /// The style's file.
        style: FileId,
        /// Size at which the style was looked at, px.
        width: usize,
        /// Size at which the style was looked at, px.
        height: usize,
        /// Where they came from.
        origin: TargetOrigin,
        /// Seconds it took.
        seconds: f64,
    },
    /// A level of the pyramid begins.
    LevelStarted {
        /// The job's number.
        job: usize,
        /// The level's number, from 0 (the smallest).
        level: usize,
        /// How many levels there are.
        levels: usize,
        /// Width of the picture, px.
        width: usize,
        /// Height of the picture, px.
        height: usize,
        /// Pixels of the canvas, its guard band included.
        #[serde(default)]
        canvas_pixels: usize,
        /// Evaluations planned for this level.
        evaluations: usize,
        /// Tiles that one evaluation takes.
        tiles: usize,
    },
    /// The loss and its gradient were computed once.
    Evaluated {
        /// The job's number.
        job: usize,
        /// The level's number.
        level: usize,
        /// Evaluations done in this level, this one included.
        evaluation: usize,
        /// The losses at this point.
        losses: Losses,
        /// Seconds since the evaluation before.
        seconds: f64,
    },
    /// A step led to a loss that is not a number or far above the best: the optimiser went back.
    StepRejected {
        /// The job's number.
        job: usize,
        /// The level's number.
        level: usize,
        /// The evaluation that was rejected.
        evaluation: usize,
        /// Its loss (null in JSON when not finite).
        loss: Option<f64>,
    },
    /// A tile failed for memory: it, or in exact mode every tile from here on, is computed in
    /// smaller pieces, with the same result.
    CoreHalved {
        /// The job's number.
        job: usize,
        /// The level's number.
        level: usize,
        /// The tile of a round; nothing in exact mode.
        tile: Option<usize>,
        /// Side of the cores from here on, px.
        core: usize,
    },
    /// A device failed and computes no more; the others do its tiles.
    DeviceLost {
        /// The device, in words.
        device: String,
        /// What it said.
        reason: String,
        /// Workers that are left.
        left: usize,
    },
    /// One tile's visit in a round of blocks or feathered mode is over.
    TileFinished {
        /// The job's number.
        job: usize,
        /// The level's number.
        level: usize,
        /// The round's number, from 1.
        round: usize,
        /// The tile's number in this round's layout, from 0, row by row.
        tile: usize,
        /// Tiles of this round.
        tiles: usize,
        /// Evaluations of the visit.
        evaluations: usize,
        /// Seconds of the visit.
        seconds: f64,
    },
    /// A round of blocks or feathered mode is over: its tiles are blended.
    RoundFinished {
        /// The job's number.
        job: usize,
        /// The level's number.
        level: usize,
        /// The round's number, from 1.
        round: usize,
        /// Rounds of this level.
        rounds: usize,
        /// The whole image's losses after the round.
        losses: Losses,
        /// Seconds of the round, its measurement included.
        seconds: f64,
    },
    /// What a job needs to resume from here is durable.
    Checkpointed {
        /// The job's number.
        job: usize,
        /// The level's number.
        level: usize,
        /// Evaluations done in the level.
        evaluation: usize,
        /// Bytes that were written.
        bytes: u64,
        /// Seconds it took.
        seconds: f64,
    },
    /// The finished picture is about to be written under its final name.
    Writing {
        /// The job's number.
        job: usize,
        /// The file.
        path: FileId,
    },
    /// A picture of the work so far was written.
    Saved {
        /// The job's number.
        job: usize,
        /// The file.
        path: FileId,
    },
    /// The contact sheet of the run is about to be written.
    ContactSheet {
        /// The file.
        path: FileId,
    },
    /// One picture is finished.
    JobFinished {
        /// The job's number.
        job: usize,
        /// The finished picture.
        path: FileId,
        /// Its width, px.
        width: usize,
        /// Its height, px.
        height: usize,
        /// Evaluations done in all levels.
        evaluations: usize,
        /// The last losses.
        losses: Losses,
        /// Seconds from start to end.
        seconds: f64,
    },
    /// One picture could not be made; the others continue.
    JobFailed {
        /// The job's number.
        job: usize,
        /// The job's name.
        name: String,
        /// Why, in words.
        reason: String,
        /// Whether it is tried again.
        #[serde(default)]
        retrying: bool,
    },
    /// The work was stopped before its end.
    Interrupted {
        /// The job's number.
        job: usize,
        /// Where the picture so far was written, if it was.
        path: Option<FileId>,
    },
    /// Something the user should know; the work continues.
    Warning {
        /// What it is.
        message: String,
    },
}

impl Event {
    /// The number of the job that it is about.
    pub fn job(&self) -> Option<usize> {
        match self {
            Event::JobStarted { job, .. }
            | Event::JobResumed { job, .. }
            | Event::LevelStarted { job, .. }
            | Event::Evaluated { job, .. }
            | Event::StepRejected { job, .. }
            | Event::CoreHalved { job, .. }
            | Event::TileFinished { job, .. }
            | Event::RoundFinished { job, .. }
            | Event::Checkpointed { job, .. }
            | Event::Writing { job, .. }
            | Event::Saved { job, .. }
            | Event::JobFinished { job, .. }
            | Event::JobFailed { job, .. }
            | Event::Interrupted { job, .. } => Some(*job),
            Event::RunStarted { .. }
            | Event::Targets { .. }
            | Event::DeviceLost { .. }
            | Event::ContactSheet { .. }
            | Event::Warning { .. } => None,
        }
    }
}

/// A receiver of events. Closures over `&Event` are listeners.
pub trait Listener {
    /// Called once for each event, in order, from one thread.
    fn on_event(&mut self, event: &Event);
}

impl<F: FnMut(&Event)> Listener for F {
    fn on_event(&mut self, event: &Event) {
        self(event);
    }
}

/// Several listeners as one; each hears every event, in the order of the list.
#[derive(Default)]
pub struct Listeners<'a>(Vec<Box<dyn Listener + 'a>>);

impl<'a> Listeners<'a> {
    /// No listener.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a listener.
    pub fn add(&mut self, listener: impl Listener + 'a) {
        self.0.push(Box::new(listener));
    }
}

impl Listener for Listeners<'_> {
    fn on_event(&mut self, event: &Event) {
        for listener in &mut self.0 {
            listener.on_event(event);
        }
    }
}

/// Who receives a job's events, and who may cancel it.
pub struct Watcher<'a> {
    /// Receives every event.
    pub listener: &'a mut dyn Listener,
    /// Asked after every evaluation.
    pub cancellation: &'a CancellationToken,
}

impl Watcher<'_> {
    /// Tells the listener what the user should know.
    pub fn warn(&mut self, message: String) {
        self.listener.on_event(&Event::Warning { message });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_survive_json() {
        let event = Event::Evaluated {
            job: 0,
            level: 1,
            evaluation: 3,
            losses: Losses::new(1.0, 2.0, 0.5),
            seconds: 0.25,
        };
        let text = serde_json::to_string(&event).expect("an event is plain data");
        assert!(text.contains(r#""event":"evaluated""#), "{text}");
        assert_eq!(serde_json::from_str::<Event>(&text).expect("what we wrote"), event);
    }
}
