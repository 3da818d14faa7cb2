//! One job from the photograph to the finished file.

use std::path::{Path, PathBuf};

use crate::config::RunSettings;
use crate::event::{CancellationToken, Event, Losses, Watcher};
use crate::files;
use crate::journal::Checkpoints;
use crate::plan::{Job, Level};
use crate::render::context::RenderContext;
use crate::render::error::RenderError;
use crate::render::finish::{Finish, partial_path};
use crate::render::level::LevelRun;
use crate::render::progress::{Progress, ResumePoint, Start};
use crate::render::store::canvas::{resized, starting_canvas};
use crate::render::store::content::ContentImage;
use crate::render::store::stage::{Canvas, resized_file, written_by_bands};

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
    let finish = Finish::new(job, context.settings, photograph, context.engine.weights().sha256())?;
    for note in photograph.source().notes.iter().chain(finish.warnings()) {
        watcher
            .listener
            .on_event(&Event::Warning { message: format!("{}: {note}", job.content.display()) });
    }
    let mut progress = Progress::new(checkpoints);
    let resumed = progress.resume(job, watcher)?;
    let ResumePoint { level: first, mut canvas, mut within } =
        resumed.unwrap_or(ResumePoint { level: 0, canvas: None, within: None });
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
        let start = match (within.take(), canvas.take()) {
            (Some(within), _) => Start::Within(within),
            (None, Some(below)) => {
                match enlarged(&below, number, level, files.as_deref(), watcher.cancellation) {
                    Err(error) if error.is_cancelled() => {
                        return interrupted(job, &finish, &below, watcher);
                    }
                    larger => {
                        let larger = larger?;
                        if !kept {
                            below.remove()?;
                        }
                        Start::Canvas(larger)
                    }
                }
            }
            (None, None) => {
                let size = (level.width, level.height);
                Start::Canvas(
                    starting_canvas(&job.settings.start, photograph, size, context.limits)
                        .map(Canvas::Memory)?,
                )
            }
        };
        let content = content_at(photograph, number, level, files.as_deref(), watcher.cancellation);
        let prepared = content.and_then(|content| {
            let files = files.as_deref();
            Ok((content, LevelRun::prepare(job, number, &finish, files, context, watcher)?))
        });
        let (content, run) = match prepared {
            Err(error) if error.is_cancelled() => {
                return interrupted(job, &finish, &start.into_canvas(), watcher);
            }
            prepared => prepared?,
        };
        let result = run.climb(content, start, watcher, &mut progress)?;
        if progress.interrupted {
            return interrupted(job, &finish, &result, watcher);
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
    settings: &RunSettings,
    photograph: &ContentImage,
    painting: &FinishedCanvas,
    weights: &str,
) -> Result<Vec<PathBuf>, RenderError> {
    let finish = Finish::new(job, settings, photograph, weights)?;
    let companions = finish.complete(&painting.canvas)?;
    finish.drop_preview()?;
    // It may well not be there, and a picture that is finished is not undone for it.
    let _ = std::fs::remove_file(partial_path(&job.output));
    Ok(companions)
}

/// Leaves the picture so far beside the final name.
fn interrupted(
    job: &Job,
    finish: &Finish<'_>,
    canvas: &Canvas,
    watcher: &mut Watcher<'_>,
) -> Result<RenderOutcome, RenderError> {
    let path = partial_path(&job.output);
    finish.write(canvas, &path)?;
    watcher.listener.on_event(&Event::Interrupted { job: job.index, path: Some(path.clone()) });
    Ok(RenderOutcome::Interrupted { path })
}

/// The content at a level's size: in a file of `files` where the level wants it there.
fn content_at(
    content: &ContentImage,
    number: usize,
    level: &Level,
    files: Option<&Path>,
    cancellation: &CancellationToken,
) -> Result<Canvas, RenderError> {
    let size = (level.width, level.height);
    let Some(files) = files else { return Ok(Canvas::Memory(content.tensor(size.0, size.1)?)) };
    let path = files.join(format!("level-{}-content.canvas", number + 1));
    let band = |top, rows| Ok(content.rows(size, top..top + rows));
    Ok(Canvas::File(written_by_bands(size, &path, cancellation, band)?))
}

/// The canvas of the level below at a level's size.
fn enlarged(
    below: &Canvas,
    number: usize,
    level: &Level,
    files: Option<&Path>,
    cancellation: &CancellationToken,
) -> Result<Canvas, RenderError> {
    let size = (level.width, level.height);
    match files {
        Some(files) => {
            let path = files.join(format!("level-{}-start.canvas", number + 1));
            Ok(Canvas::File(resized_file(below, size, &path, cancellation)?))
        }
        None => Ok(Canvas::Memory(resized(&below.tensor()?, size.0, size.1)?)),
    }
}
