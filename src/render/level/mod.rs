//! One level of the pyramid: from its first canvas to its best.

mod exact;
mod rounds;

use std::sync::Arc;

use candle_core::Tensor;

use super::engine::Engine;
use super::error::RenderError;
use super::finish::Finish;
use super::job::{Progress, Watcher};
use super::targets::TargetStore;
use super::visits::Kind;
use crate::event::Event;
use crate::image::Limits;
use crate::network::Network;
use crate::objective::StyleTargets;
use crate::plan::{Execution, Job, Level};

/// A level that is about to be computed, whatever its mode.
pub(super) struct LevelRun<'a> {
    /// The job that the level is of.
    pub(super) job: &'a Job,
    /// The level's number, from 0 (the smallest).
    pub(super) number: usize,
    /// The photograph at the level's size, float32 `[3, H, W]`.
    pub(super) photograph: &'a Tensor,
    /// How pictures are written along the way.
    pub(super) finish: &'a Finish<'a>,
    /// Whose threads compute.
    pub(super) engine: &'a Engine,
    /// Computes; missing when only the variation counts.
    pub(super) network: Option<Arc<dyn Network>>,
    /// The paintings' statistics at the level's size.
    pub(super) style: StyleTargets,
}

/// What a level is prepared with, for all levels of a run.
pub(super) struct Workshop<'a> {
    /// What computes.
    pub(super) engine: &'a mut Engine,
    /// Statistics of paintings that are already there.
    pub(super) targets: &'a mut TargetStore,
    /// How large pictures may be.
    pub(super) limits: &'a Limits,
}

impl<'a> LevelRun<'a> {
    /// Brings network and style targets to hand for level `number` of `job`.
    ///
    /// # Errors
    /// When a painting cannot be read or the device fails.
    pub(super) fn prepare(
        job: &'a Job,
        number: usize,
        photograph: &'a Tensor,
        finish: &'a Finish<'a>,
        workshop: &'a mut Workshop<'_>,
        watcher: &mut Watcher<'_>,
    ) -> Result<Self, RenderError> {
        let Workshop { engine, targets, limits } = workshop;
        let level = &job.levels[number];
        let network = job.spec.deepest().map(|deepest| engine.network(deepest, job.spec.pooling)).transpose()?;
        let style = match &network {
            Some(network) if job.spec.style_taps().next().is_some() => {
                let size = (level.width, level.height);
                targets.blend(job, size, engine, network.as_ref(), limits, watcher.listener)?
            }
            _ => StyleTargets::default(),
        };
        Ok(Self { job, number, photograph, finish, engine, network, style })
    }

    /// The level in numbers.
    pub(super) fn level(&self) -> &'a Level {
        &self.job.levels[self.number]
    }

    /// Optimises the level from `start` on and returns its canvas, both float32 `[3, H, W]`.
    ///
    /// # Errors
    /// When the computation fails or a file cannot be written.
    pub(super) fn climb(self, start: Tensor, watcher: &mut Watcher<'_>, progress: &mut Progress) -> Result<Tensor, RenderError> {
        match self.level().execution {
            Execution::Exact { core, history } => self.climb_exact(core, history, start, watcher, progress),
            Execution::Blocks(visits) => self.climb_in_rounds(Kind::Blocks, visits, &start, watcher, progress),
            Execution::Feathered(visits) => self.climb_in_rounds(Kind::Feathered, visits, &start, watcher, progress),
        }
    }

    /// Tells that the level begins.
    fn announce(&self, evaluations: usize, tiles: usize, watcher: &mut Watcher<'_>) {
        let Level { width, height, .. } = *self.level();
        let (job, level, levels) = (self.job.index, self.number, self.job.levels.len());
        watcher.listener.hear(&Event::LevelStarted { job, level, levels, width, height, evaluations, tiles });
    }
}
