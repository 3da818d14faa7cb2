//! Everything that happens in a run: first recorded, then reported.

use std::path::Path;
use std::time::Duration;

use crate::config::RunSettings;
use crate::event::{CancellationToken, Event, Listener};
use crate::journal::{Checkpoints, LockedRun, RunStatus};
use crate::plan::Job;
use crate::render::RenderError;

/// Writes events into the run's journal, if it has one, and passes them on.
pub(super) struct Recorder<'a> {
    run: Option<&'a mut LockedRun>,
    settings: &'a RunSettings,
    listener: &'a mut dyn Listener,
    cancellation: &'a CancellationToken,
    /// What ended the run for all jobs.
    fatal: Option<RenderError>,
}

impl<'a> Recorder<'a> {
    pub(super) fn new(
        run: Option<&'a mut LockedRun>,
        settings: &'a RunSettings,
        listener: &'a mut dyn Listener,
        cancellation: &'a CancellationToken,
    ) -> Self {
        Self { run, settings, listener, cancellation, fatal: None }
    }

    /// Whether something ended the run for all jobs, such as a full disk.
    pub(super) fn has_failed(&self) -> bool {
        self.fatal.is_some()
    }

    /// Ends the run for all jobs.
    pub(super) fn fail(&mut self, error: RenderError) {
        self.fatal.get_or_insert(error);
        self.cancellation.cancel();
    }

    /// What ended the run for all jobs.
    pub(super) fn into_failure(self) -> Option<RenderError> {
        self.fatal
    }

    /// The run directory, if the run has one.
    pub(super) fn directory(&self) -> Option<&Path> {
        self.run.as_ref().map(|run| run.directory())
    }

    /// Where the run stands, if it is recorded.
    pub(super) fn status(&self) -> Option<&RunStatus> {
        self.run.as_ref().map(|run| run.status())
    }

    /// The checkpoints of a job, if they are kept.
    pub(super) fn checkpoints(&self, job: &Job) -> Option<Checkpoints> {
        let every = Duration::from_secs(self.settings.checkpoint.every_seconds.into());
        self.run.as_ref().map(|run| run.checkpoints(job.index, every))
    }

    pub(super) fn warn(&mut self, message: String) {
        self.on_event(&Event::Warning { message });
    }
}

impl Listener for Recorder<'_> {
    fn on_event(&mut self, event: &Event) {
        if self.fatal.is_none()
            && let Some(run) = &mut self.run
            && let Err(error) = run.record(event)
        {
            // Work that cannot be recorded would be lost: it stops as if somebody had asked for it.
            self.fail(error.into());
        }
        self.listener.on_event(event);
    }
}
