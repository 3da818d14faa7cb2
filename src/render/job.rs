//! One job from the photograph to the finished file.

use std::path::{Path, PathBuf};
use std::time::Instant;

use candle_core::Tensor;

use super::canvas::{framed, picture_tensor, resized, starting_canvas};
use super::engine::Engine;
use super::error::RenderError;
use super::finish::{intermediate_path, partial_path, write_canvas};
use super::rounds::{Rounds, Scratch};
use super::sweep::Sweep;
use super::targets::TargetStore;
use super::visits::{Context, Kind, Scene};
use crate::config::Method;
use crate::event::{Event, Listener, Losses};
use crate::files;
use crate::geometry::Rect;
use crate::image::{self, Limits, Picture};
use crate::objective::StyleTargets;
use crate::optimise::{Adam, Lbfgs, Optimiser, Outcome};
use crate::plan::{Execution, Job, Level};
use crate::stop::Stop;
use crate::tensor::HostView;
use crate::tiling::{Grid, Pixels, Planes};

/// Adam's step unless told otherwise, in canvas values: about 5 of 255.
const LEARNING_RATE: f64 = 0.02;

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
struct Progress {
    evaluations: usize,
    losses: Losses,
    interrupted: bool,
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
    let mut progress = Progress { evaluations: 0, losses: Losses::default(), interrupted: false };
    let mut canvas: Option<Tensor> = None;
    for (number, level) in job.levels.iter().enumerate() {
        let photograph = picture_tensor(&content, level.width, level.height)?;
        let start = match canvas.take() {
            Some(below) => resized(&below, level.width, level.height)?,
            None => starting_canvas(&job.settings.start, &photograph, limits)?,
        };
        canvas = Some(climb(job, number, level, start, &photograph, &content, engine, targets, limits, watcher, &mut progress)?);
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

/// Optimises one level and returns its canvas.
#[expect(clippy::too_many_arguments, reason = "split when the level gets a state of its own")]
fn climb(
    job: &Job,
    number: usize,
    level: &Level,
    start: Tensor,
    photograph: &Tensor,
    content: &Picture,
    engine: &mut Engine,
    targets: &mut TargetStore,
    limits: &Limits,
    watcher: &mut Watcher<'_>,
    progress: &mut Progress,
) -> Result<Tensor, RenderError> {
    let (width, height) = (level.width, level.height);
    let network = job.spec.deepest().map(|deepest| engine.network(deepest, job.spec.pooling)).transpose()?;
    let style = match &network {
        Some(network) if job.spec.style_taps().next().is_some() => {
            targets.blend(job, (width, height), engine, network.as_ref(), limits, watcher.listener)?
        }
        _ => StyleTargets::default(),
    };
    let (core, history) = match level.execution {
        Execution::Exact { core, history } => (core, history),
        Execution::Blocks(visits) | Execution::Feathered(visits) => {
            let kind = if matches!(level.execution, Execution::Blocks(_)) { Kind::Blocks } else { Kind::Feathered };
            let (view, network) = (HostView::new(photograph)?, network.as_deref());
            let learning_rate = job.settings.optimise.learning_rate.unwrap_or(1.0);
            let photograph = &Planes::new((width, height), view.values())?;
            let context = Context::default();
            let scene = Scene { kind, network, spec: &job.spec, targets: &style, photograph, visits, context, learning_rate };
            return climb_in_rounds(job, number, &scene, &start, engine, watcher, progress);
        }
    };
    let grid = Grid::new(width, height, core);
    watcher.listener.hear(&Event::LevelStarted {
        job: job.index,
        level: number,
        levels: job.levels.len(),
        width,
        height,
        evaluations: level.evaluations,
        tiles: grid.len(),
    });
    let sweep = engine.install(|| Sweep::new(network.as_deref(), &job.spec, style, Some(photograph), grid))?;
    let mut optimiser = optimiser(job, start, history);
    let mut last = Instant::now();
    // The level's result is its best point, and the losses told at the end are that point's.
    let mut best = f64::INFINITY;
    for evaluation in 1..=level.evaluations {
        if watcher.stop.is_raised() {
            progress.interrupted = true;
            break;
        }
        let mut losses = Losses::default();
        let step = engine.install(|| {
            optimiser.step(|canvas| -> Result<_, RenderError> {
                let evaluated = sweep.evaluate(canvas)?;
                losses = evaluated.losses;
                Ok((losses.total, evaluated.gradient))
            })
        })?;
        progress.evaluations += 1;
        let seconds = last.elapsed().as_secs_f64();
        last = Instant::now();
        watcher.listener.hear(&Event::Evaluated { job: job.index, level: number, evaluation, losses, seconds });
        if step.outcome != Outcome::Rejected && losses.total <= best {
            best = losses.total;
            progress.losses = losses;
        }
        match step.outcome {
            Outcome::Accepted => {}
            Outcome::Rejected => {
                let loss = step.loss.is_finite().then_some(step.loss);
                watcher.listener.hear(&Event::StepRejected { job: job.index, level: number, evaluation, loss });
            }
            Outcome::Stationary => break,
            Outcome::Hopeless => return Err(RenderError::NotFinite { level: number + 1 }),
        }
        let every = job.settings.watch.save_every as usize;
        if every > 0 && evaluation.is_multiple_of(every) && evaluation < level.evaluations {
            let path = intermediate_path(&job.output, number, evaluation);
            write_canvas(optimiser.best_point(), content, job, &path, true)?;
            watcher.listener.hear(&Event::Saved { job: job.index, path });
        }
    }
    Ok(optimiser.best_point().clone())
}

/// Optimises one level in rounds of visits and returns its canvas.
fn climb_in_rounds(
    job: &Job,
    number: usize,
    scene: &Scene<'_>,
    start: &Tensor,
    engine: &Engine,
    watcher: &mut Watcher<'_>,
    progress: &mut Progress,
) -> Result<Tensor, RenderError> {
    let (width, height) = scene.photograph.size();
    watcher.listener.hear(&Event::LevelStarted {
        job: job.index,
        level: number,
        levels: job.levels.len(),
        width,
        height,
        evaluations: scene.visits.rounds * scene.visits.visit,
        tiles: scene.layout(0).len(),
    });
    let directory = job.output.parent().filter(|d| !d.as_os_str().is_empty()).unwrap_or(Path::new("."));
    files::create_directories(directory)?;
    let scratch = Scratch::new(directory)?;
    let rounds = Rounds { scene, engine, workers: 1, scratch: scratch.path(), job: job.index, level: number };
    let canvas = rounds.start(HostView::new(start)?.values())?;
    let done = rounds.run(canvas, watcher)?;
    progress.evaluations += done.rounds * scene.visits.visit;
    progress.losses = done.losses;
    progress.interrupted = done.interrupted;
    let whole = Rect::whole(width, height);
    Ok(Tensor::from_vec(done.canvas.read(whole)?, (3, height, width), start.device())?)
}

fn optimiser(job: &Job, start: Tensor, history: usize) -> Optimiser {
    let settings = &job.settings.optimise;
    match settings.method {
        Method::Lbfgs => Optimiser::Lbfgs(Lbfgs::new(start, history).with_learning_rate(settings.learning_rate.unwrap_or(1.0))),
        Method::Adam => Optimiser::Adam(Adam::new(start, settings.learning_rate.unwrap_or(LEARNING_RATE))),
    }
}
