//! One job from the photograph to the finished file.

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use crate::event::{Event, Losses, Watcher};
use crate::files;
use crate::image::Limits;
use crate::journal::Checkpoints;
use crate::plan::{Job, Level};
use crate::render::devices::engine::Engine;
use crate::render::error::RenderError;
use crate::render::finish::{Finish, partial_path};
use crate::render::level::LevelRun;
use crate::render::progress::{Progress, Resumed, Start};
use crate::render::store::canvas::{resized, starting_canvas};
use crate::render::store::content::ContentImage;
use crate::render::store::stage::{Canvas, written_by_bands};
use crate::render::store::targets::TargetStore;

/// What a job is painted with, shared by all jobs of a run.
pub struct RenderContext<'a> {
    /// What computes.
    pub engine: &'a mut Engine,
    /// Statistics of paintings that are already there.
    pub targets: &'a Mutex<TargetStore>,
    /// How large pictures may be.
    pub limits: &'a Limits,
}

/// A canvas that is ready to be written, and what it took.
pub struct FinishedCanvas {
    /// The pixels.
    pub canvas: Canvas,
    /// Evaluations in all levels.
    pub evaluations: usize,
    /// Its losses.
    pub losses: Losses,
    /// The folder that a canvas in a file lies in, where no run directory keeps it.
    _files: Option<tempfile::TempDir>,
}

/// How painting ended.
pub enum RenderOutcome {
    /// The last level is over.
    Finished(FinishedCanvas),
    /// Stopped on request; the picture so far lies beside the final name.
    Interrupted {
        /// The picture so far.
        path: PathBuf,
    },
}

/// Climbs the pyramid of `job`, painted from `photograph`, from where `checkpoints` left it, and
/// keeps in them what it takes to go on.
///
/// # Errors
/// When an input cannot be read, a file not be written, or the computation fails.
pub fn paint(
    job: &Job,
    photograph: &ContentImage,
    context: &mut RenderContext<'_>,
    checkpoints: Option<&mut Checkpoints>,
    watcher: &mut Watcher<'_>,
) -> Result<RenderOutcome, RenderError> {
    // What cannot be written is told before the work and not after it.
    let finish = Finish::new(job, photograph, context.engine.weights().sha256())?;
    for note in photograph.source().notes.iter().chain(finish.warnings()) {
        watcher
            .listener
            .on_event(&Event::Warning { message: format!("{}: {note}", job.content.display()) });
    }
    let mut progress = Progress::new(checkpoints);
    let resumed = progress.resume(job, watcher)?;
    let Resumed { level: first, mut canvas, mut within } =
        resumed.unwrap_or(Resumed { level: 0, canvas: None, within: None });
    let kept = progress.checkpoints.is_some();
    let scratch = if !kept && job.levels.iter().any(Level::runs_in_rounds) {
        Some(files::temporary_directory(&job.output)?)
    } else {
        None
    };
    for (number, level) in job.levels.iter().enumerate().skip(first) {
        // A level in rounds finds its canvases in files and leaves its own in one.
        let files = match (&scratch, &progress.checkpoints) {
            _ if !level.runs_in_rounds() => None,
            (_, Some(checkpoints)) => Some(checkpoints.level_directory(number)?),
            (scratch, None) => scratch.as_ref().map(|scratch| scratch.path().to_path_buf()),
        };
        let content = photograph_at(photograph, number, level, files.as_deref())?;
        let start = match (within.take(), canvas.take()) {
            (Some(within), _) => Start::Within(within),
            (None, Some(below)) => {
                Start::Canvas(enlarged(below, number, level, files.as_deref(), kept)?)
            }
            (None, None) => {
                let size = (level.width, level.height);
                Start::Canvas(
                    starting_canvas(&job.settings.start, photograph, size, context.limits)
                        .map(Canvas::Memory)?,
                )
            }
        };
        let run = LevelRun::prepare(job, number, &finish, files.as_deref(), context, watcher)?;
        let result = run.climb(content, start, watcher, &mut progress)?;
        if progress.interrupted {
            let path = partial_path(&job.output);
            finish.write(&result, &path)?;
            watcher
                .listener
                .on_event(&Event::Interrupted { job: job.index, path: Some(path.clone()) });
            return Ok(RenderOutcome::Interrupted { path });
        }
        // A level shows what the print will look like, long before it is there.
        if number + 1 < job.levels.len() {
            let path = finish.write_preview(&result)?;
            watcher.listener.on_event(&Event::Saved { job: job.index, path });
        }
        progress.keep_level(job, number, &result, watcher)?;
        canvas = Some(result);
    }
    let canvas = canvas.expect("a pyramid has at least one level");
    Ok(RenderOutcome::Finished(FinishedCanvas {
        canvas,
        evaluations: progress.evaluations,
        losses: progress.losses,
        _files: scratch,
    }))
}

/// Writes a finished canvas, painted by the network of the hash `weights`, under the job's name,
/// with its companions, which are returned; and removes the picture that an interruption left
/// beside it.
///
/// # Errors
/// When a file cannot be written. Nothing appears under the output's name then.
pub fn deliver(
    job: &Job,
    photograph: &ContentImage,
    painting: &FinishedCanvas,
    weights: &str,
) -> Result<Vec<PathBuf>, RenderError> {
    let finish = Finish::new(job, photograph, weights)?;
    let companions = finish.complete(&painting.canvas)?;
    finish.drop_preview()?;
    // It may well not be there, and a picture that is finished is not undone for it.
    let _ = std::fs::remove_file(partial_path(&job.output));
    Ok(companions)
}

/// The photograph at a level's size: in a file of `files` where the level wants it there.
fn photograph_at(
    photograph: &ContentImage,
    number: usize,
    level: &Level,
    files: Option<&Path>,
) -> Result<Canvas, RenderError> {
    let size = (level.width, level.height);
    let Some(files) = files else { return Ok(Canvas::Memory(photograph.tensor(size.0, size.1)?)) };
    let path = files.join(format!("level-{}-photograph.canvas", number + 1));
    let file =
        written_by_bands(size, &path, |top, rows| Ok(photograph.rows(size, top..top + rows)))?;
    Ok(Canvas::File(file))
}

/// The canvas of the level below at a level's size; below, it goes unless it is `kept`.
fn enlarged(
    below: Canvas,
    number: usize,
    level: &Level,
    files: Option<&Path>,
    kept: bool,
) -> Result<Canvas, RenderError> {
    let size = (level.width, level.height);
    match files {
        Some(files) => {
            let start = below
                .resized_file(size, &files.join(format!("level-{}-start.canvas", number + 1)))?;
            if !kept {
                below.remove()?;
            }
            Ok(Canvas::File(start))
        }
        None => Ok(Canvas::Memory(resized(&below.into_tensor()?, size.0, size.1)?)),
    }
}
