//! A level in rounds of visits, in blocks or feathered mode.

use crate::event::{Event, Watcher};
use crate::plan::Visits;
use crate::render::error::RenderError;
use crate::render::level::LevelRun;
use crate::render::progress::{Progress, Start};
use crate::render::rounds::run::Rounds;
use crate::render::rounds::visits::{Context, Kind, RoundContext};
use crate::render::store::stage::Canvas;
use crate::tiling::CanvasFile;

impl LevelRun<'_> {
    /// Optimises the canvas in rounds and returns what the last whole round left.
    pub(crate) fn climb_in_rounds(
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
        let context = RoundContext {
            kind,
            workers: &self.workers,
            spec: &self.job.spec,
            targets: &self.style,
            photograph: &photograph,
            visits,
            context: Context::default(),
            learning_rate: self.job.settings.optimise.learning_rate.unwrap_or(1.0),
        };
        self.announce(visits.rounds * visits.visit, context.layout(0).len(), watcher);
        let rounds =
            Rounds { context: &context, scratch: files, job: self.job.index, level: self.number };
        let mut note = |message| watcher.listener.on_event(&Event::Warning { message });
        let resume_point = rounds.resume_point(start, &mut note)?;
        let done = rounds.run_from(resume_point, watcher)?;
        progress.evaluations += done.rounds * visits.visit;
        progress.losses = done.losses;
        progress.interrupted = done.interrupted;
        photograph.remove()?;
        Ok(done.canvas)
    }
}
