//! One job from the photograph to the finished file.

use std::path::PathBuf;
use std::sync::Mutex;

use candle_core::Tensor;

use super::canvas::{resized, starting_canvas};
use super::engine::Engine;
use super::error::RenderError;
use super::finish::{Finish, partial_path};
use super::level::LevelRun;
use super::photograph::Photograph;
use super::progress::{Progress, Resumed, Start};
use super::targets::TargetStore;
use crate::event::{Event, Listener, Losses};
use crate::image::Limits;
use crate::journal::Checkpoints;
use crate::plan::Job;
use crate::stop::Stop;

/// Who is told what happens, and who may ask to stop.
pub struct Watcher<'a> {
    /// Hears every event.
    pub listener: &'a mut dyn Listener,
    /// Looked at after every evaluation.
    pub stop: &'a Stop,
}

/// What a job is painted with, shared by all jobs of a run.
pub struct Workshop<'a> {
    /// What computes.
    pub engine: &'a mut Engine,
    /// Statistics of paintings that are already there.
    pub targets: &'a Mutex<TargetStore>,
    /// How large pictures may be.
    pub limits: &'a Limits,
}

/// A canvas that is ready to be written, and what it took.
pub struct Canvas {
    /// The pixels, float32 `[3, H, W]`.
    pub pixels: Tensor,
    /// Evaluations in all levels.
    pub evaluations: usize,
    /// Its losses.
    pub losses: Losses,
}

/// How painting ended.
pub enum Painted {
    /// The last level is over.
    Finished(Canvas),
    /// Stopped on request; the picture so far lies beside the final name.
    Interrupted {
        /// The picture so far.
        path: PathBuf,
    },
}

/// Climbs the pyramid of `job`, painted from `photograph`, from where `checkpoints` left it, and keeps in them what
/// it takes to go on.
///
/// # Errors
/// When an input cannot be read, a file not be written, or the computation fails.
pub fn paint(
    job: &Job,
    photograph: &Photograph,
    workshop: &mut Workshop<'_>,
    checkpoints: Option<&mut Checkpoints>,
    watcher: &mut Watcher<'_>,
) -> Result<Painted, RenderError> {
    // What cannot be written is told before the work and not after it.
    let finish = Finish::new(job, photograph, workshop.engine.weights().sha256())?;
    for note in photograph.source().notes.iter().chain(finish.warnings()) {
        watcher.listener.hear(&Event::Warning { message: format!("{}: {note}", job.content.display()) });
    }
    let mut progress = Progress::new(checkpoints);
    let resumed = progress.resume(job, watcher)?;
    let Resumed { level: first, mut canvas, mut within } = resumed.unwrap_or(Resumed { level: 0, canvas: None, within: None });
    for (number, level) in job.levels.iter().enumerate().skip(first) {
        let photograph = photograph.tensor(level.width, level.height)?;
        let start = match (within.take(), canvas.take()) {
            (Some(within), _) => Start::Within(within),
            (None, Some(below)) => Start::Canvas(resized(&below, level.width, level.height)?),
            (None, None) => Start::Canvas(starting_canvas(&job.settings.start, &photograph, workshop.limits)?),
        };
        let run = LevelRun::prepare(job, number, &photograph, &finish, workshop, watcher)?;
        let result = run.climb(start, watcher, &mut progress)?;
        if progress.interrupted {
            let path = partial_path(&job.output);
            finish.write_tensor(&result, &path)?;
            watcher.listener.hear(&Event::Interrupted { job: job.index, path: Some(path.clone()) });
            return Ok(Painted::Interrupted { path });
        }
        // A level shows what the print will look like, long before it is there.
        if number + 1 < job.levels.len() {
            let path = finish.write_preview_tensor(&result)?;
            watcher.listener.hear(&Event::Saved { job: job.index, path });
        }
        progress.keep_level(job, number, &result, watcher)?;
        canvas = Some(result);
    }
    let pixels = canvas.expect("a pyramid has at least one level");
    Ok(Painted::Finished(Canvas { pixels, evaluations: progress.evaluations, losses: progress.losses }))
}

/// Writes a finished canvas, painted by the network of the hash `weights`, under the job's name, with its companions,
/// which are returned; and removes the picture that an interruption left beside it.
///
/// # Errors
/// When a file cannot be written. Nothing appears under the output's name then.
pub fn deliver(job: &Job, photograph: &Photograph, canvas: &Canvas, weights: &str) -> Result<Vec<PathBuf>, RenderError> {
    let finish = Finish::new(job, photograph, weights)?;
    let companions = finish.complete_tensor(&canvas.pixels)?;
    finish.drop_preview()?;
    // It may well not be there, and a picture that is finished is not undone for it.
    let _ = std::fs::remove_file(partial_path(&job.output));
    Ok(companions)
}
