//! A level in rounds of visits, in blocks or feathered mode.

use super::LevelRun;
use crate::plan::Visits;
use crate::render::error::RenderError;
use crate::render::job::Watcher;
use crate::render::progress::{Progress, Start};
use crate::render::rounds::Rounds;
use crate::render::stage::Canvas;
use crate::render::visits::{Context, Kind, Scene};
use crate::tiling::CanvasFile;

impl LevelRun<'_> {
    /// Optimises the canvas in rounds and returns what the last whole round left.
    pub(super) fn climb_in_rounds(
        self,
        kind: Kind,
        visits: Visits,
        photograph: Canvas,
        start: Start,
        watcher: &mut Watcher<'_>,
        progress: &mut Progress<'_>,
    ) -> Result<CanvasFile, RenderError> {
        let start = match start {
            Start::Canvas(canvas) => canvas,
            Start::Within(within) => Canvas::Memory(within.optimiser.best_point().clone()),
        };
        let files = self.files.expect("a level in rounds is given a place for its files");
        let photograph = photograph
            .into_file(&files.join(format!("level-{}-photograph.canvas", self.number + 1)))?;
        let scene = Scene {
            kind,
            team: &self.team,
            spec: &self.job.spec,
            targets: &self.style,
            photograph: &photograph,
            visits,
            context: Context::default(),
            learning_rate: self.job.settings.optimise.learning_rate.unwrap_or(1.0),
        };
        self.announce(visits.rounds * visits.visit, scene.layout(0).len(), watcher);
        let rounds =
            Rounds { scene: &scene, scratch: files, job: self.job.index, level: self.number };
        let done = rounds.run_from(rounds.standing(start)?, watcher)?;
        progress.evaluations += done.rounds * visits.visit;
        progress.losses = done.losses;
        progress.interrupted = done.interrupted;
        photograph.remove()?;
        Ok(done.canvas)
    }
}
