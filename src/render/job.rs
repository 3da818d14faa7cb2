//! One job from the photograph to the finished file.

use std::path::PathBuf;
use std::time::Instant;

use candle_core::Tensor;

use super::canvas::{framed, picture_tensor, resized, starting_canvas};
use super::engine::Engine;
use super::error::RenderError;
use super::finish::{partial_path, write_canvas};
use super::level::{LevelRun, Workshop};
use super::targets::TargetStore;
use crate::event::{Event, Listener, Losses};
use crate::image::{self, Limits};
use crate::plan::Job;
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
    let content = image::decode(&job.content, limits)?;
    for note in &content.source.notes {
        watcher.listener.hear(&Event::Warning { message: format!("{}: {note}", job.content.display()) });
    }
    let content = framed(content, &job.framing);
    let mut progress = Progress::default();
    let mut workshop = Workshop { engine, targets, limits };
    let mut canvas: Option<Tensor> = None;
    for (number, level) in job.levels.iter().enumerate() {
        let photograph = picture_tensor(&content, level.width, level.height)?;
        let start = match canvas.take() {
            Some(below) => resized(&below, level.width, level.height)?,
            None => starting_canvas(&job.settings.start, &photograph, limits)?,
        };
        let run = LevelRun::prepare(job, number, &photograph, &content, &mut workshop, watcher)?;
        canvas = Some(run.climb(start, watcher, &mut progress)?);
        if progress.interrupted {
            break;
        }
    }
    let canvas = canvas.expect("a pyramid has at least one level");
    let path = if progress.interrupted { partial_path(&job.output) } else { job.output.clone() };
    write_canvas(&canvas, &content, job, &path, progress.interrupted || job.settings.output.overwrite)?;
    if progress.interrupted {
        watcher.listener.hear(&Event::Interrupted { job: job.index, path: Some(path.clone()) });
        return Ok(Rendered::Interrupted { path });
    }
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
