//! One level of the pyramid: from its first canvas to its best.

use std::path::Path;
use std::sync::PoisonError;

use crate::event::Event;
use crate::event::Watcher;
use crate::objective::StyleTargets;
use crate::plan::{Execution, Job, Level};
use crate::render::context::RenderContext;
use crate::render::devices::engine::Engine;
use crate::render::devices::worker_pool::WorkerPool;
use crate::render::error::RenderError;
use crate::render::finish::Finish;
use crate::render::progress::{Progress, Start};
use crate::render::rounds::visits::Kind;
use crate::render::store::stage::Canvas;

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
    /// Who computes the tiles.
    pub(super) workers: WorkerPool<'static>,
    /// The paintings' statistics at the level's size.
    pub(super) style: StyleTargets,
}

impl<'a> LevelRun<'a> {
    /// Brings network and style targets to hand for level `number` of `job`.
    ///
    /// # Errors
    /// When a painting cannot be read or the device fails.
    pub(super) fn prepare(
        job: &'a Job,
        number: usize,
        finish: &'a Finish<'a>,
        files: Option<&'a Path>,
        context: &'a mut RenderContext<'_>,
        watcher: &mut Watcher<'_>,
    ) -> Result<Self, RenderError> {
        let RenderContext { engine, targets, limits, .. } = context;
        let level = &job.levels[number];
        let workers = engine.worker_pool(job.spec.deepest(), job.spec.pooling)?;
        let network = job
            .spec
            .deepest()
            .map(|deepest| engine.network(deepest, job.spec.pooling))
            .transpose()?;
        let style = match &network {
            Some(network) if job.spec.style_taps().next().is_some() => {
                let size = (level.width, level.height);
                // Entries are only added whole: a store that a panic left behind is as good as
                // before.
                let mut targets = targets.lock().unwrap_or_else(PoisonError::into_inner);
                targets.blend(job, size, engine, network.as_ref(), limits, watcher.listener)?
            }
            _ => StyleTargets::default(),
        };
        Ok(Self { job, number, finish, files, engine, workers, style })
    }

    /// The level in numbers.
    pub(super) fn level(&self) -> &'a Level {
        &self.job.levels[self.number]
    }

    /// Optimises the level from `start` on and returns its canvas; the photograph is at the level's
    /// size as well.
    ///
    /// # Errors
    /// When the computation fails or a file cannot be written.
    pub(super) fn climb(
        self,
        photograph: Canvas,
        start: Start,
        watcher: &mut Watcher<'_>,
        progress: &mut Progress<'_>,
    ) -> Result<Canvas, RenderError> {
        match self.level().execution {
            Execution::Exact { core, history, keep } => self
                .climb_exact((core, history, keep), photograph, start, watcher, progress)
                .map(Canvas::Memory),
            Execution::Blocks(visits) => self
                .climb_in_rounds(Kind::Blocks, visits, photograph, start, watcher, progress)
                .map(Canvas::File),
            Execution::Feathered(visits) => self
                .climb_in_rounds(Kind::Feathered, visits, photograph, start, watcher, progress)
                .map(Canvas::File),
        }
    }

    /// Tells that the level begins.
    pub(crate) fn announce(&self, evaluations: usize, tiles: usize, watcher: &mut Watcher<'_>) {
        let Level { width, height, .. } = *self.level();
        let (job, level, levels) = (self.job.index, self.number, self.job.levels.len());
        watcher.listener.on_event(&Event::LevelStarted {
            job,
            level,
            levels,
            width,
            height,
            evaluations,
            tiles,
        });
    }
}
