//! One job from the photograph to the finished file.

use std::path::{Path, PathBuf};
use std::time::Instant;

use super::canvas::{resized, starting_canvas};
use super::engine::Engine;
use super::error::RenderError;
use super::finish::{Finish, partial_path};
use super::level::{LevelRun, Workshop};
use super::photograph::Photograph;
use super::rounds::Scratch;
use super::stage::{Beginning, Canvas, written_by_bands};
use super::targets::TargetStore;
use crate::event::{Event, Listener, Losses};
use crate::image::Limits;
use crate::plan::{Job, Level};
use crate::stop::Stop;

/// Who is told what happens, and who may ask to stop.
pub struct Watcher<'a> {
    /// Hears every event.
    pub listener: &'a mut dyn Listener,
    /// Looked at after every evaluation.
    pub stop: &'a Stop,
}

/// How a job ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Rendered {
    /// The picture is there.
    Finished {
        /// The file.
        path: PathBuf,
        /// Evaluations in all levels.
        evaluations: usize,
        /// The last losses.
        losses: Losses,
    },
    /// Stopped on request; the picture so far lies beside the final name.
    Interrupted {
        /// The picture so far.
        path: PathBuf,
    },
}

/// Where the pyramid stands.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// Evaluations done in all levels.
    pub(super) evaluations: usize,
    /// The losses of the best canvas so far.
    pub(super) losses: Losses,
    /// Whether a stop was asked for before the end.
    pub(super) interrupted: bool,
}

/// Renders `job`: climbs the pyramid and writes the picture.
///
/// # Errors
/// When an input cannot be read, the output not written, or the computation fails. Nothing appears under the output's
/// name then.
pub fn render(
    job: &Job,
    engine: &mut Engine,
    targets: &mut TargetStore,
    limits: &Limits,
    watcher: &mut Watcher<'_>,
) -> Result<Rendered, RenderError> {
    let started = Instant::now();
    watcher.listener.hear(&Event::JobStarted { job: job.index, name: job.name.clone(), levels: job.levels.len(), work: job.work() });
    let photograph = Photograph::open(&job.content, &job.framing, limits)?;
    let finish = Finish::new(job, &photograph, engine.weights().sha256())?;
    for note in photograph.source().notes.iter().chain(finish.warnings()) {
        watcher.listener.hear(&Event::Warning { message: format!("{}: {note}", job.content.display()) });
    }
    let mut progress = Progress::default();
    let mut workshop = Workshop { engine, targets, limits };
    let scratch = if job.levels.iter().any(Level::runs_in_rounds) { Some(Scratch::beside(&job.output)?) } else { None };
    let mut canvas: Option<Canvas> = None;
    for (number, level) in job.levels.iter().enumerate() {
        // A level in rounds finds its canvases in files and leaves its own in one.
        let files = scratch.as_ref().map(Scratch::path).filter(|_| level.runs_in_rounds());
        let content = photograph_at(&photograph, number, level, files)?;
        let start = match canvas.take() {
            Some(below) => enlarged(below, number, level, files)?,
            None => starting_canvas(&job.settings.start, &photograph, (level.width, level.height), limits).map(Canvas::Memory)?,
        };
        let run = LevelRun::prepare(job, number, &finish, files, &mut workshop, watcher)?;
        let done = run.climb(Beginning { photograph: content, start }, watcher, &mut progress)?;
        // A level shows what the print will look like, long before it is there.
        if number + 1 < job.levels.len() {
            let path = finish.write_preview(&done)?;
            watcher.listener.hear(&Event::Saved { job: job.index, path });
        }
        canvas = Some(done);
        if progress.interrupted {
            break;
        }
    }
    let canvas = canvas.expect("a pyramid has at least one level");
    if progress.interrupted {
        let path = partial_path(&job.output);
        finish.write(&canvas, &path)?;
        watcher.listener.hear(&Event::Interrupted { job: job.index, path: Some(path.clone()) });
        return Ok(Rendered::Interrupted { path });
    }
    for path in finish.complete(&canvas)? {
        watcher.listener.hear(&Event::Saved { job: job.index, path });
    }
    finish.drop_preview()?;
    let path = job.output.clone();
    watcher.listener.hear(&Event::JobFinished {
        job: job.index,
        path: path.clone(),
        width: job.framing.width,
        height: job.framing.height,
        evaluations: progress.evaluations,
        losses: progress.losses,
        seconds: started.elapsed().as_secs_f64(),
    });
    Ok(Rendered::Finished { path, evaluations: progress.evaluations, losses: progress.losses })
}

/// The photograph at a level's size: in a file of `files` where the level wants it there.
fn photograph_at(photograph: &Photograph, number: usize, level: &Level, files: Option<&Path>) -> Result<Canvas, RenderError> {
    let size = (level.width, level.height);
    let Some(files) = files else { return Ok(Canvas::Memory(photograph.tensor(size.0, size.1)?)) };
    let path = files.join(format!("level-{}-photograph.canvas", number + 1));
    let file = written_by_bands(size, &path, |top, rows| Ok(photograph.rows(size, top..top + rows)))?;
    Ok(Canvas::File(file))
}

/// The canvas of the level below at a level's size.
fn enlarged(below: Canvas, number: usize, level: &Level, files: Option<&Path>) -> Result<Canvas, RenderError> {
    let size = (level.width, level.height);
    match files {
        Some(files) => {
            let start = below.resized_file(size, &files.join(format!("level-{}-start.canvas", number + 1)))?;
            below.remove()?;
            Ok(Canvas::File(start))
        }
        None => Ok(Canvas::Memory(resized(&below.into_tensor()?, size.0, size.1)?)),
    }
}
