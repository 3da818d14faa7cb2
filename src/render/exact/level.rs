//! A level in exact mode: one optimiser moves the whole canvas.

use std::time::Instant;

use candle_core::{Device, Tensor};

use crate::event::{Event, Losses, Watcher};
use crate::memory;
use crate::optimise::{Outcome, Step};
use crate::render::devices::worker_pool::report_lost;
use crate::render::error::RenderError;
use crate::render::exact::evaluator::{Evaluator, TilePlan};
use crate::render::level::LevelRun;
use crate::render::progress::{Progress, Start, Within};
use crate::render::store::stage::Canvas;
use crate::tiling::Grid;

/// Vectors of the canvas's size that the optimiser needs for a step beside those that it keeps.
const STEP: usize = 2;

impl LevelRun<'_> {
    /// Optimises the whole canvas and returns the best that was found.
    pub(crate) fn climb_exact(
        self,
        (tiles, history): (TilePlan, usize),
        content: Canvas,
        start: Start,
        watcher: &mut Watcher<'_>,
        progress: &mut Progress<'_>,
    ) -> Result<Tensor, RenderError> {
        let level = self.level();
        self.announce(level.evaluations, self.tile_count(tiles.core), watcher);
        // Where the canvas, its gradients and the optimiser's vectors are.
        let home = if level.held_on_gpu { self.engine.home() } else { Device::Cpu };
        let mut climb = Climb::new(&self, start, history, &home)?;
        match self.climb_from(
            &mut climb,
            tiles,
            content.into_tensor()?.to_device(&home)?,
            watcher,
            progress,
        ) {
            Err(error) if error.is_cancelled() => {
                progress.interrupted = true;
                climb.checkpoint(&self, watcher, progress)?;
            }
            done => done?,
        }
        climb.best()
    }

    /// Evaluates and moves on until the level is over. A request to stop is the error
    /// [`RenderError::Cancelled`].
    fn climb_from(
        &self,
        climb: &mut Climb,
        tiles: TilePlan,
        content: Tensor,
        watcher: &mut Watcher<'_>,
        progress: &mut Progress<'_>,
    ) -> Result<(), RenderError> {
        let (workers, targets) = (self.workers.clone(), self.style.clone());
        let mut evaluator = Evaluator::new(workers, &self.spec, targets, &content, tiles)?;
        // The content's features are all that is needed from here on.
        drop(content);
        self.report_halving(self.longest(tiles.core), &evaluator, watcher);
        while climb.at.evaluation < self.level().evaluations {
            let (step, losses) = climb.evaluate(self, &mut evaluator, watcher)?;
            progress.evaluations += 1;
            climb.report(self, &step, losses, watcher, progress);
            match step.outcome {
                Outcome::Accepted | Outcome::Rejected => {}
                Outcome::Stationary => break,
                Outcome::Hopeless => return Err(RenderError::NotFinite { level: self.number + 1 }),
            }
            // The end of a level is kept by itself.
            if climb.at.evaluation < self.level().evaluations {
                climb.save_so_far(self, watcher)?;
                if progress.is_due() {
                    climb.checkpoint(self, watcher, progress)?;
                }
            }
        }
        Ok(())
    }

    /// A core, or the canvas's longer side where that is less.
    fn longest(&self, core: usize) -> usize {
        core.min(self.level().width.max(self.level().height))
    }

    fn tile_count(&self, core: usize) -> usize {
        Grid::new(self.level().width, self.level().height, core).count()
    }

    fn report_halving(&self, before: usize, evaluator: &Evaluator<'_>, watcher: &mut Watcher<'_>) {
        if evaluator.core() < before {
            let (job, level, core) = (self.job.index, self.number, evaluator.core());
            watcher.listener.on_event(&Event::CoreHalved { job, level, tile: None, core });
        }
    }
}

/// How far a level is, and what of that is on disk.
struct Climb {
    at: Within,
    /// The evaluation of the last checkpoint, or of the start.
    kept: usize,
    /// When the last evaluation was over.
    last: Instant,
}

impl Climb {
    fn new(
        run: &LevelRun<'_>,
        start: Start,
        history: usize,
        home: &Device,
    ) -> Result<Self, RenderError> {
        // The level's result is its best point, and the losses reported at the end are that point's.
        let at = match start {
            Start::Within(within) => {
                Within { optimiser: within.optimiser.to_device(home)?, ..within }
            }
            Start::Canvas(canvas) => Within {
                optimiser: run.method(history).start(canvas.into_tensor()?.to_device(home)?),
                evaluation: 0,
                best: f64::INFINITY,
            },
        };
        let kept = at.evaluation;
        Ok(Self { at, kept, last: Instant::now() })
    }

    /// One evaluation and the step after it.
    fn evaluate(
        &mut self,
        run: &LevelRun<'_>,
        evaluator: &mut Evaluator<'_>,
        watcher: &mut Watcher<'_>,
    ) -> Result<(Step, Losses), RenderError> {
        let (at, before) = (&mut self.at, evaluator.core());
        let evaluated = evaluator.evaluate(at.optimiser.next_point());
        run.report_halving(before, evaluator, watcher);
        report_lost(&run.workers, watcher);
        let evaluated = evaluated?;
        evaluator.release();
        let (total, gradient) = (evaluated.losses.total, evaluated.gradient);
        if gradient.device().is_cpu() {
            // candle ends the process where it gets no memory.
            let bytes = STEP * gradient.elem_count() * size_of::<f32>();
            if memory::on_trial(bytes).is_err() {
                run.workers.release();
                memory::on_trial(bytes)?;
            }
        }
        let step = run.engine.install(|| at.optimiser.advance(total, gradient))?;
        at.evaluation += 1;
        Ok((step, evaluated.losses))
    }

    /// Reports an evaluation and its step, and notes the losses of a new best point.
    fn report(
        &mut self,
        run: &LevelRun<'_>,
        step: &Step,
        losses: Losses,
        watcher: &mut Watcher<'_>,
        progress: &mut Progress<'_>,
    ) {
        let (job, level, evaluation) = (run.job.index, run.number, self.at.evaluation);
        let seconds = self.last.elapsed().as_secs_f64();
        self.last = Instant::now();
        let rejected = step.outcome == Outcome::Rejected;
        if !rejected && losses.total <= self.at.best {
            self.at.best = losses.total;
            progress.losses = losses;
        }
        let evaluated = Event::Evaluated { job, level, evaluation, losses, seconds };
        watcher.listener.on_event(&evaluated);
        if rejected {
            let loss = step.loss.is_finite().then_some(step.loss);
            watcher.listener.on_event(&Event::StepRejected { job, level, evaluation, loss });
        }
    }

    /// Writes an intermediate picture where `watch.save-every` asks for one.
    fn save_so_far(
        &self,
        run: &LevelRun<'_>,
        watcher: &mut Watcher<'_>,
    ) -> Result<(), RenderError> {
        let evaluation = self.at.evaluation;
        if run.saves_after(evaluation) {
            run.save(&Canvas::Memory(self.best()?), evaluation, watcher)?;
        }
        Ok(())
    }

    /// Writes the optimiser's state down, if it is not there already.
    fn checkpoint(
        &mut self,
        run: &LevelRun<'_>,
        watcher: &mut Watcher<'_>,
        progress: &mut Progress<'_>,
    ) -> Result<(), RenderError> {
        let Within { optimiser, evaluation, best } = &self.at;
        if *evaluation > self.kept {
            progress.keep_within(run.job, run.number, (*evaluation, *best), optimiser, watcher)?;
            self.kept = *evaluation;
        }
        // What was written down is no part of the next evaluation's time.
        self.last = Instant::now();
        Ok(())
    }

    fn best(&self) -> Result<Tensor, RenderError> {
        Ok(self.at.optimiser.best_point().to_device(&Device::Cpu)?)
    }
}
