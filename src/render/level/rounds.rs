//! A level in rounds of visits, in blocks or feathered mode.

use std::path::Path;

use candle_core::Tensor;

use super::LevelRun;
use crate::files;
use crate::geometry::Rect;
use crate::plan::Visits;
use crate::render::error::RenderError;
use crate::render::job::{Progress, Watcher};
use crate::render::rounds::{Rounds, Scratch};
use crate::render::visits::{Context, Kind, Scene};
use crate::tensor::HostView;
use crate::tiling::{Pixels, Planes};

impl LevelRun<'_> {
    /// Optimises the canvas in rounds and returns what the last whole round left.
    pub(super) fn climb_in_rounds(
        self,
        kind: Kind,
        visits: Visits,
        start: &Tensor,
        watcher: &mut Watcher<'_>,
        progress: &mut Progress,
    ) -> Result<Tensor, RenderError> {
        let (job, size) = (self.job, (self.level().width, self.level().height));
        let view = HostView::new(self.photograph)?;
        let scene = Scene {
            kind,
            network: self.network.as_deref(),
            spec: &job.spec,
            targets: &self.style,
            photograph: &Planes::new(size, view.values())?,
            visits,
            context: Context::default(),
            learning_rate: job.settings.optimise.learning_rate.unwrap_or(1.0),
        };
        self.announce(visits.rounds * visits.visit, scene.layout(0).len(), watcher);
        let directory = job.output.parent().filter(|d| !d.as_os_str().is_empty()).unwrap_or(Path::new("."));
        files::create_directories(directory)?;
        let scratch = Scratch::new(directory)?;
        let rounds = Rounds { scene: &scene, engine: self.engine, workers: 1, scratch: scratch.path(), job: job.index, level: self.number };
        let canvas = rounds.start(HostView::new(start)?.values())?;
        let done = rounds.run(canvas, watcher)?;
        progress.evaluations += done.rounds * visits.visit;
        progress.losses = done.losses;
        progress.interrupted = done.interrupted;
        let whole = Rect::whole(size.0, size.1);
        Ok(Tensor::from_vec(done.canvas.read(whole)?, (3, size.1, size.0), start.device())?)
    }
}
