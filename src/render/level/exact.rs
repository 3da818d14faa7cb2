//! A level in exact mode: one optimiser moves the whole canvas.

use std::time::Instant;

use candle_core::Tensor;

use super::LevelRun;
use crate::config::Method;
use crate::event::{Event, Losses};
use crate::optimise::{Adam, Lbfgs, Optimiser, Outcome, Step};
use crate::plan::Job;
use crate::render::error::RenderError;
use crate::render::finish::intermediate_path;
use crate::render::job::{Progress, Watcher};
use crate::render::sweep::Sweep;
use crate::tiling::Grid;

/// Adam's step unless told otherwise, in canvas values: about 5 of 255.
const LEARNING_RATE: f64 = 0.02;

impl LevelRun<'_> {
    /// Optimises the whole canvas and returns the best that was found.
    pub(super) fn climb_exact(
        self,
        core: usize,
        history: usize,
        start: Tensor,
        watcher: &mut Watcher<'_>,
        progress: &mut Progress,
    ) -> Result<Tensor, RenderError> {
        let (job, level) = (self.job, self.level());
        let grid = Grid::new(level.width, level.height, core);
        self.announce(level.evaluations, grid.len(), watcher);
        let (network, style) = (self.network.as_deref(), self.style.clone());
        let sweep = self.engine.install(|| Sweep::new(network, &job.spec, style, Some(self.photograph), grid))?;
        let mut optimiser = optimiser(job, start, history);
        let mut last = Instant::now();
        // The level's result is its best point, and the losses told at the end are that point's.
        let mut best = f64::INFINITY;
        for evaluation in 1..=level.evaluations {
            if watcher.stop.is_raised() {
                progress.interrupted = true;
                break;
            }
            let (step, losses) = self.step(&sweep, &mut optimiser)?;
            progress.evaluations += 1;
            let seconds = last.elapsed().as_secs_f64();
            last = Instant::now();
            watcher.listener.hear(&Event::Evaluated { job: job.index, level: self.number, evaluation, losses, seconds });
            if step.outcome != Outcome::Rejected && losses.total <= best {
                best = losses.total;
                progress.losses = losses;
            }
            match step.outcome {
                Outcome::Accepted => {}
                Outcome::Rejected => {
                    let loss = step.loss.is_finite().then_some(step.loss);
                    watcher.listener.hear(&Event::StepRejected { job: job.index, level: self.number, evaluation, loss });
                }
                Outcome::Stationary => break,
                Outcome::Hopeless => return Err(RenderError::NotFinite { level: self.number + 1 }),
            }
            self.save_so_far(evaluation, &optimiser, watcher)?;
        }
        Ok(optimiser.best_point().clone())
    }

    /// One evaluation and the step after it.
    fn step(&self, sweep: &Sweep<'_>, optimiser: &mut Optimiser) -> Result<(Step, Losses), RenderError> {
        let mut losses = Losses::default();
        let step = self.engine.install(|| {
            optimiser.step(|canvas| -> Result<_, RenderError> {
                let evaluated = sweep.evaluate(canvas)?;
                losses = evaluated.losses;
                Ok((losses.total, evaluated.gradient))
            })
        })?;
        Ok((step, losses))
    }

    /// Writes an intermediate picture where `watch.save-every` asks for one.
    fn save_so_far(&self, evaluation: usize, optimiser: &Optimiser, watcher: &mut Watcher<'_>) -> Result<(), RenderError> {
        let every = self.job.settings.watch.save_every as usize;
        if every > 0 && evaluation.is_multiple_of(every) && evaluation < self.level().evaluations {
            let path = intermediate_path(&self.job.output, self.number, evaluation);
            self.finish.write_tensor(optimiser.best_point(), &path)?;
            watcher.listener.hear(&Event::Saved { job: self.job.index, path });
        }
        Ok(())
    }
}

fn optimiser(job: &Job, start: Tensor, history: usize) -> Optimiser {
    let settings = &job.settings.optimise;
    match settings.method {
        Method::Lbfgs => Optimiser::Lbfgs(Lbfgs::new(start, history).with_learning_rate(settings.learning_rate.unwrap_or(1.0))),
        Method::Adam => Optimiser::Adam(Adam::new(start, settings.learning_rate.unwrap_or(LEARNING_RATE))),
    }
}
