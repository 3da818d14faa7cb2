//! A level in rounds of visits, in blocks or feathered mode.

use crate::event::{Event, Watcher};
use crate::render::error::RenderError;
use crate::render::level::LevelRun;
use crate::render::progress::{Progress, Start};
use crate::render::rounds::context::{RoundContext, TileContext};
use crate::render::rounds::run::{RoundState, Rounds};
use crate::render::store::stage::Canvas;
use crate::tiling::CanvasFile;

impl LevelRun<'_> {
    /// Optimises the canvas in rounds and returns what the last whole round left.
    pub(crate) fn climb_in_rounds(
        self,
        content: Canvas,
        start: Start,
        watcher: &mut Watcher<'_>,
        progress: &mut Progress<'_>,
    ) -> Result<CanvasFile, RenderError> {
        let (Some(files), Some((mode, visits))) = (self.files, self.level().execution.rounds())
        else {
            return Err(RenderError::Broken("a level in rounds without a place for its files"));
        };
        let content =
            content.into_file(&files.join(format!("level-{}-content.canvas", self.number + 1)))?;
        let context = RoundContext {
            mode,
            workers: &self.workers,
            spec: &self.spec,
            targets: &self.style,
            content: &content,
            visits,
            context: TileContext::Features,
            method: self.method(visits.history),
        };
        self.announce(visits.rounds * visits.visit, context.layout(0).count(), watcher);
        let rounds =
            Rounds { context: &context, scratch: files, job: self.job.index, level: self.number };
        let mut note = |message| watcher.listener.on_event(&Event::Warning { message });
        let mut state = rounds.resume(start.into_canvas(), &mut note)?;
        match self.climb_rounds(&rounds, &mut state, watcher) {
            Err(error) if error.is_cancelled() => progress.interrupted = true,
            done => done?,
        }
        progress.evaluations += state.round * visits.visit;
        if let Some(measured) = &state.measured {
            progress.losses = measured.losses();
        }
        content.remove()?;
        Ok(state.canvas)
    }

    /// Does the rounds that are left. A request to stop is the error [`RenderError::Cancelled`].
    fn climb_rounds(
        &self,
        rounds: &Rounds<'_>,
        state: &mut RoundState,
        watcher: &mut Watcher<'_>,
    ) -> Result<(), RenderError> {
        let visits = rounds.context.visits;
        while state.round < visits.rounds {
            rounds.advance(state, watcher)?;
            let evaluations = state.round * visits.visit;
            if self.saves_after(evaluations) {
                self.save(&state.canvas, evaluations, watcher)?;
            }
        }
        rounds.measured(state)?;
        Ok(())
    }
}
