//! How far a job is, and what is kept of it on the way.

use candle_core::Tensor;

use crate::event::Watcher;
use crate::event::{Event, Losses};
use crate::journal::Checkpoints;
use crate::journal::checkpoint::{Snapshot, Stage};
use crate::optimise::{ExactF64, Optimiser, State};
use crate::plan::Job;
use crate::planes::Shape;
use crate::render::error::RenderError;
use crate::render::store::stage::Canvas;

/// Where the pyramid stands, and where that is written down.
#[derive(Default)]
pub(super) struct Progress<'c> {
    /// Evaluations done in all levels.
    pub(super) evaluations: usize,
    /// The losses of the best canvas so far.
    pub(super) losses: Losses,
    /// Whether a stop was asked for before the end.
    pub(super) interrupted: bool,
    /// Where the job's state is kept; nowhere when the run has no directory.
    pub(super) checkpoints: Option<&'c mut Checkpoints>,
}

/// What a level begins with.
pub(super) enum Start {
    /// A canvas of the level's size.
    Canvas(Canvas),
    /// An optimiser in the middle of the level.
    Within(Within),
}

impl Start {
    /// The picture that it is.
    pub(super) fn into_canvas(self) -> Canvas {
        match self {
            Start::Canvas(canvas) => canvas,
            Start::Within(within) => Canvas::Memory(within.optimiser.best_point().clone()),
        }
    }
}

/// The middle of a level in exact mode.
pub(super) struct Within {
    /// The optimiser, as it was.
    pub(super) optimiser: Optimiser,
    /// Evaluations done in the level.
    pub(super) evaluation: usize,
    /// The lowest loss in it.
    pub(super) best: f64,
}

/// Where a job resumes.
pub(super) struct ResumePoint {
    /// The level to resume, which may be one behind the last.
    pub(super) level: usize,
    /// The result of the level below, unless the work resumes within a level.
    pub(super) canvas: Option<Canvas>,
    /// The middle of that level.
    pub(super) within: Option<Within>,
}

impl<'c> Progress<'c> {
    /// Nothing done yet, to be kept in `checkpoints`.
    pub(super) fn new(checkpoints: Option<&'c mut Checkpoints>) -> Self {
        Self { checkpoints, ..Self::default() }
    }

    /// Resumes the job from its last checkpoint, if there is one, and reports it.
    ///
    /// # Errors
    /// When checkpoints cannot be read.
    pub(super) fn resume(
        &mut self,
        job: &Job,
        watcher: &mut Watcher<'_>,
    ) -> Result<Option<ResumePoint>, RenderError> {
        let Some(checkpoints) = &mut self.checkpoints else { return Ok(None) };
        let snapshot = checkpoints
            .load(&mut |message| watcher.listener.on_event(&Event::Warning { message }))?;
        let Some(snapshot) = snapshot else { return Ok(None) };
        let (evaluations, losses) = (snapshot.evaluations, snapshot.losses);
        let level = snapshot.stage.next_level();
        let Some(resumed) = resumed(job, snapshot, checkpoints)? else {
            let message = format!(
                "{}: the checkpoint does not fit the plan; the picture starts from the beginning",
                job.name
            );
            watcher.listener.on_event(&Event::Warning { message });
            return Ok(None);
        };
        (self.evaluations, self.losses) = (evaluations, losses);
        // Where all levels are over, only the writing is left.
        let (level, evaluation) = match job.levels.get(level) {
            Some(_) => (level, resumed.within.as_ref().map_or(0, |within| within.evaluation)),
            None => (job.levels.len() - 1, job.levels.last().map_or(0, |level| level.evaluations)),
        };
        let below: f64 = job.levels[..level].iter().map(|level| level.work()).sum();
        let here = (job.levels[level].width * job.levels[level].height * evaluation) as f64 * 1e-6;
        watcher.listener.on_event(&Event::JobResumed {
            job: job.index,
            level,
            evaluation,
            evaluations,
            done: below + here,
        });
        Ok(Some(resumed))
    }

    /// Whether it is time to keep the middle of a level.
    pub(super) fn is_due(&self) -> bool {
        self.checkpoints.as_ref().is_some_and(|checkpoints| checkpoints.due())
    }

    /// Keeps the middle of a level in exact mode.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn keep_within(
        &mut self,
        job: &Job,
        level: usize,
        (evaluation, best): (usize, f64),
        optimiser: &Optimiser,
        watcher: &mut Watcher<'_>,
    ) -> Result<(), RenderError> {
        let State { scalars, vectors } = optimiser.state();
        let stage = Stage::Exact { level, evaluation, best: ExactF64(best), optimiser: scalars };
        self.keep(job, (level, evaluation), stage, vectors, watcher)
    }

    /// Keeps a level's result, and lets go of the files of the level below.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn keep_level(
        &mut self,
        job: &Job,
        level: usize,
        canvas: &Canvas,
        watcher: &mut Watcher<'_>,
    ) -> Result<(), RenderError> {
        let Some(checkpoints) = &self.checkpoints else { return Ok(()) };
        let (canvas, vectors) = match canvas {
            Canvas::Memory(tensor) => (None, vec![tensor.clone()]),
            Canvas::File(file) => (Some(checkpoints.seal_of(file)?), vec![]),
        };
        let evaluation = job.levels[level].evaluations;
        self.keep(job, (level, evaluation), Stage::LevelDone { level, canvas }, vectors, watcher)?;
        if let (Some(checkpoints), Some(below)) = (&self.checkpoints, level.checked_sub(1)) {
            checkpoints.clear_level(below)?;
        }
        Ok(())
    }

    fn keep(
        &mut self,
        job: &Job,
        (level, evaluation): (usize, usize),
        stage: Stage,
        vectors: Vec<Tensor>,
        watcher: &mut Watcher<'_>,
    ) -> Result<(), RenderError> {
        let Some(checkpoints) = &mut self.checkpoints else { return Ok(()) };
        let saved = checkpoints.save(&Snapshot {
            stage,
            evaluations: self.evaluations,
            losses: self.losses,
            vectors,
        })?;
        let (bytes, seconds) = (saved.bytes, saved.seconds);
        watcher.listener.on_event(&Event::Checkpointed {
            job: job.index,
            level,
            evaluation,
            bytes,
            seconds,
        });
        Ok(())
    }
}

/// What a checkpoint holds, if it belongs to this job's plan.
fn resumed(
    job: &Job,
    snapshot: Snapshot,
    checkpoints: &Checkpoints,
) -> Result<Option<ResumePoint>, RenderError> {
    let Snapshot { stage, mut vectors, .. } = snapshot;
    let next = stage.next_level();
    let planned = |number: usize| job.levels.get(number).map(|level| (level.width, level.height));
    let of_level = |number: usize, vectors: &[Tensor]| {
        planned(number).is_some_and(|(width, height)| {
            vectors.iter().all(|vector| vector.dims() == [3, height, width])
        })
    };
    let done = |canvas| ResumePoint { level: next, canvas: Some(canvas), within: None };
    Ok(match stage {
        Stage::Exact { level, evaluation, best, optimiser } => {
            let whole = of_level(level, &vectors) && evaluation <= job.levels[level].evaluations;
            let optimiser =
                Optimiser::restore(State { scalars: optimiser, vectors }).filter(|_| whole);
            let within = |optimiser| Within { optimiser, evaluation, best: best.0 };
            optimiser.map(|optimiser| ResumePoint {
                level,
                canvas: None,
                within: Some(within(optimiser)),
            })
        }
        Stage::LevelDone { level, canvas: Some(sealed) } => {
            let canvas = checkpoints.open(&sealed)?;
            let whole = planned(level).map(Shape::canvas) == Some(canvas.shape());
            whole.then(|| done(Canvas::File(canvas)))
        }
        Stage::LevelDone { level, canvas: None } => {
            let whole = of_level(level, &vectors) && vectors.len() == 1;
            vectors.pop().filter(|_| whole).map(|canvas| done(Canvas::Memory(canvas)))
        }
    })
}
