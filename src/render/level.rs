//! One level of the pyramid: from its first canvas to its best.

use std::path::Path;
use std::sync::PoisonError;

use crate::config::{self, intermediate_path};
use crate::event::{Event, Watcher};
use crate::objective::{Spec, StyleTargets};
use crate::optimise::Method;
use crate::plan::{Execution, Job, Level, margins};
use crate::render::context::RenderContext;
use crate::render::devices::engine::Engine;
use crate::render::devices::worker_pool::WorkerPool;
use crate::render::error::RenderError;
use crate::render::exact::evaluator::TilePlan;
use crate::render::finish::Finish;
use crate::render::progress::{Progress, Start};
use crate::render::rounds::context::in_content_units;
use crate::render::store::stage::Canvas;
use crate::tiling::Pixels;

/// Adam's step by default, in canvas values: about 5 of 255.
const ADAM_RATE: f64 = 0.02;

/// A level that is about to be computed, whatever its mode.
pub(super) struct LevelRun<'a> {
    /// The job that the level is of.
    pub(super) job: &'a Job,
    /// The level's number, from 0 (the smallest).
    pub(super) number: usize,
    /// How pictures are written along the way.
    pub(super) finish: &'a Finish<'a>,
    /// Where a level in rounds keeps its canvases and tiles.
    pub(super) files: Option<&'a Path>,
    /// Whose threads compute.
    pub(super) engine: &'a Engine,
    /// Who computes the tiles, until a stop is requested.
    pub(super) workers: WorkerPool<'static>,
    /// The loss at this level.
    pub(super) spec: Spec,
    /// The style's statistics at the level's size, or at that of a tap's octave.
    pub(super) style: StyleTargets,
    /// Evaluations after which a picture of the work so far is saved.
    saved: Vec<usize>,
}

impl<'a> LevelRun<'a> {
    /// Prepares network, loss and style targets for level `number` of `job`, whose content is
    /// `content` at the level's size.
    ///
    /// # Errors
    /// When a style image cannot be read, the device fails, or a stop was requested.
    pub(super) fn prepare(
        job: &'a Job,
        number: usize,
        finish: &'a Finish<'a>,
        files: Option<&'a Path>,
        content: &Canvas,
        context: &'a mut RenderContext<'_>,
        watcher: &mut Watcher<'_>,
    ) -> Result<Self, RenderError> {
        let RenderContext { engine, targets, limits, settings, .. } = context;
        let level = &job.levels[number];
        let cancellation = watcher.cancellation.clone();
        let workers = engine.worker_pool(job.spec.deepest(), job.spec.pooling)?;
        let workers = workers.watching(cancellation);
        let network = job
            .spec
            .deepest()
            .map(|deepest| engine.network(deepest, job.spec.pooling))
            .transpose()?;
        let spec = job.spec_at(number);
        let style = match &network {
            Some(network) if spec.style_taps().next().is_some() => {
                let size = (level.width, level.height);
                // Entries are only added whole: a store that a panic left behind is as good as
                // before.
                let mut targets = targets.lock().unwrap_or_else(PoisonError::into_inner);
                targets.blend((job, &spec), size, engine, network.as_ref(), limits, watcher)?
            }
            _ => StyleTargets::default(),
        };
        // Exact mode holds the content's features and takes their squares there.
        let spec = match level.execution.rounds() {
            Some((_, visits)) => in_content_units(&spec, &workers, content, visits.core)?,
            None => spec,
        };
        let saved = level.saved_evaluations(settings.watch.save_every as usize).collect();
        Ok(Self { job, number, finish, files, engine, workers, spec, style, saved })
    }

    /// The level in numbers.
    pub(super) fn level(&self) -> &'a Level {
        &self.job.levels[self.number]
    }

    /// Optimises the level from `start` on and returns its canvas; `content` is the content image at
    /// the level's size. A request to stop ends it early, with [`Progress::interrupted`] set.
    ///
    /// # Errors
    /// When the computation fails or a file cannot be written.
    pub(super) fn climb(
        self,
        content: Canvas,
        start: Start,
        watcher: &mut Watcher<'_>,
        progress: &mut Progress<'_>,
    ) -> Result<Canvas, RenderError> {
        match self.level().execution {
            Execution::Exact { core, history, keep } => {
                let tiles =
                    TilePlan { core, keep, margins: margins(&self.job.settings, &self.job.spec) };
                self.climb_exact((tiles, history), content, start, watcher, progress)
                    .map(Canvas::Memory)
            }
            Execution::Blocks(_) | Execution::Feathered(_) => {
                self.climb_in_rounds(content, start, watcher, progress).map(Canvas::File)
            }
        }
    }

    /// Reports that the level begins.
    pub(super) fn announce(&self, evaluations: usize, tiles: usize, watcher: &mut Watcher<'_>) {
        let Level { width, height, .. } = *self.level();
        let canvas_pixels = width * height;
        let (width, height) = self.job.picture_size(self.level());
        watcher.listener.on_event(&Event::LevelStarted {
            job: self.job.index,
            level: self.number,
            levels: self.job.levels.len(),
            width,
            height,
            canvas_pixels,
            evaluations,
            tiles,
        });
    }

    /// The optimiser that the settings ask for; L-BFGS keeps `history` pairs.
    pub(super) fn method(&self, history: usize) -> Method {
        let settings = &self.job.settings.optimise;
        match settings.method {
            config::Method::Lbfgs => {
                Method::Lbfgs { history, rate: settings.learning_rate.unwrap_or(1.0) }
            }
            config::Method::Adam => {
                Method::Adam { rate: settings.learning_rate.unwrap_or(ADAM_RATE) }
            }
        }
    }

    /// Whether a picture of the work so far is saved after `evaluation`.
    pub(super) fn saves_after(&self, evaluation: usize) -> bool {
        self.saved.contains(&evaluation)
    }

    /// Writes a picture of the work so far.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn save(
        &self,
        canvas: &dyn Pixels,
        evaluation: usize,
        watcher: &mut Watcher<'_>,
    ) -> Result<(), RenderError> {
        let file = self.job.output.beside(|path| intermediate_path(path, self.number, evaluation));
        self.finish.write(canvas, &file)?;
        watcher.listener.on_event(&Event::Saved { job: self.job.index, path: file.id });
        Ok(())
    }
}
