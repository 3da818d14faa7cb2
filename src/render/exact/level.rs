//! A level in exact mode: one optimiser moves the whole canvas.

use std::time::Instant;

use candle_core::{Device, Tensor};

use crate::config::{Method, TilingMargins, intermediate_path};
use crate::event::Watcher;
use crate::event::{Event, Losses};
use crate::optimise::{Adam, Lbfgs, Optimiser, Outcome, Step};
use crate::plan::Job;
use crate::render::devices::worker_pool::tell_lost;
use crate::render::error::RenderError;
use crate::render::exact::sweep::Sweep;
use crate::render::level::LevelRun;
use crate::render::progress::{Progress, Start, Within};
use crate::render::store::stage::Canvas;
use crate::tiling::Grid;

/// Adam's step unless told otherwise, in canvas values: about 5 of 255.
const LEARNING_RATE: f64 = 0.02;

impl LevelRun<'_> {
    /// Optimises the whole canvas and returns the best that was found.
    pub(crate) fn climb_exact(
        self,
        (core, history, keep): (usize, usize, usize),
        photograph: Canvas,
        start: Start,
        watcher: &mut Watcher<'_>,
        progress: &mut Progress<'_>,
    ) -> Result<Tensor, RenderError> {
        let (job, level) = (self.job, self.level());
        let grid = Grid::new(level.width, level.height, core);
        self.announce(level.evaluations, grid.len(), watcher);
        // Where the canvas, its gradients and the optimiser's vectors are.
        let home = if level.held_on_gpu { self.engine.home() } else { Device::Cpu };
        let photograph = photograph.into_tensor()?.to_device(&home)?;
        let sweep = match job.settings.tiling.margins {
            TilingMargins::Exact => Sweep::by,
            TilingMargins::Bitwise => Sweep::bitwise,
        };
        let mut sweep =
            sweep(self.workers.clone(), &job.spec, self.style.clone(), Some(&photograph), grid)?
                .keeping(keep);
        // The photograph's features are all that is needed from here on.
        drop(photograph);
        self.tell_halving(core, &sweep, watcher);
        // The level's result is its best point, and the losses told at the end are that point's.
        let Within { mut optimiser, mut evaluation, mut best } = match start {
            Start::Within(Within { optimiser, evaluation, best }) => {
                Within { optimiser: optimiser.to_device(&home)?, evaluation, best }
            }
            Start::Canvas(canvas) => {
                let start = canvas.into_tensor()?.to_device(&home)?;
                Within {
                    optimiser: optimiser(job, start, history),
                    evaluation: 0,
                    best: f64::INFINITY,
                }
            }
        };
        let mut kept = evaluation;
        let mut last = Instant::now();
        while evaluation < level.evaluations {
            if watcher.cancellation.is_cancelled() {
                progress.interrupted = true;
                break;
            }
            let before = sweep.core();
            let (step, losses) = self.step(&mut sweep, &mut optimiser)?;
            self.tell_halving(before, &sweep, watcher);
            tell_lost(&self.workers, watcher);
            evaluation += 1;
            progress.evaluations += 1;
            let seconds = last.elapsed().as_secs_f64();
            last = Instant::now();
            if step.outcome != Outcome::Rejected && losses.total <= best {
                best = losses.total;
                progress.losses = losses;
            }
            watcher.listener.on_event(&Event::Evaluated {
                job: job.index,
                level: self.number,
                evaluation,
                losses,
                seconds,
            });
            match step.outcome {
                Outcome::Accepted => {}
                Outcome::Rejected => {
                    let loss = step.loss.is_finite().then_some(step.loss);
                    watcher.listener.on_event(&Event::StepRejected {
                        job: job.index,
                        level: self.number,
                        evaluation,
                        loss,
                    });
                }
                Outcome::Stationary => break,
                Outcome::Hopeless => return Err(RenderError::NotFinite { level: self.number + 1 }),
            }
            self.save_so_far(evaluation, &optimiser, watcher)?;
            // The end of a level is kept by itself.
            if evaluation < level.evaluations && progress.is_due() {
                progress.keep_within(job, self.number, (evaluation, best), &optimiser, watcher)?;
                kept = evaluation;
                // What was written down is no part of the next evaluation's time.
                last = Instant::now();
            }
        }
        if progress.interrupted && evaluation > kept {
            progress.keep_within(job, self.number, (evaluation, best), &optimiser, watcher)?;
        }
        Ok(optimiser.best_point().to_device(&Device::Cpu)?)
    }

    /// One evaluation, in smaller tiles where the memory wants them, and the step after it.
    fn step(
        &self,
        sweep: &mut Sweep<'_>,
        optimiser: &mut Optimiser,
    ) -> Result<(Step, Losses), RenderError> {
        let evaluated = sweep.evaluate_halving(optimiser.next_point())?;
        let losses = evaluated.losses;
        sweep.release();
        let step = self.engine.install(|| {
            optimiser.step(|_| Ok::<_, RenderError>((losses.total, evaluated.gradient.clone())))
        })?;
        Ok((step, losses))
    }

    fn tell_halving(&self, before: usize, sweep: &Sweep<'_>, watcher: &mut Watcher<'_>) {
        if sweep.core() < before {
            let (job, level, core) = (self.job.index, self.number, sweep.core());
            watcher.listener.on_event(&Event::CoreHalved { job, level, tile: None, core });
        }
    }

    /// Writes an intermediate picture where `watch.save-every` asks for one.
    fn save_so_far(
        &self,
        evaluation: usize,
        optimiser: &Optimiser,
        watcher: &mut Watcher<'_>,
    ) -> Result<(), RenderError> {
        let every = self.job.settings.watch.save_every as usize;
        if every > 0 && evaluation.is_multiple_of(every) && evaluation < self.level().evaluations {
            let output = &self.job.output;
            let file = output.beside(|path| intermediate_path(path, self.number, evaluation));
            self.finish.write_tensor(&optimiser.best_point().to_device(&Device::Cpu)?, &file)?;
            watcher.listener.on_event(&Event::Saved { job: self.job.index, path: file.id });
        }
        Ok(())
    }
}

fn optimiser(job: &Job, start: Tensor, history: usize) -> Optimiser {
    let settings = &job.settings.optimise;
    match settings.method {
        Method::Lbfgs => Optimiser::Lbfgs(
            Lbfgs::new(start, history).with_learning_rate(settings.learning_rate.unwrap_or(1.0)),
        ),
        Method::Adam => {
            Optimiser::Adam(Adam::new(start, settings.learning_rate.unwrap_or(LEARNING_RATE)))
        }
    }
}
