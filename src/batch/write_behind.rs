//! Pictures encoded behind the work: while the next one is painted, the finished one is written.

use std::path::PathBuf;
use std::thread::JoinHandle;
use std::time::Instant;

use crate::config::RunSettings;
use crate::files;
use crate::plan::Job;
use crate::render::{ContentImage, FinishedCanvas, RenderError, deliver};

/// What comes of writing: the picture's companions.
type Written = Result<Vec<PathBuf>, RenderError>;

/// At most one picture that is being written.
#[derive(Default)]
pub(super) struct WriteBehind {
    writing: Option<(Finished, JoinHandle<Written>)>,
}

/// A painted job whose picture is being written, or was.
pub(super) struct Finished {
    /// The job's place in the run's list.
    pub(super) place: usize,
    /// How often it had failed before.
    pub(super) failures: u32,
    /// Evaluations in all levels.
    pub(super) evaluations: usize,
    /// The canvas's losses.
    pub(super) losses: crate::event::Losses,
    /// When the job began.
    pub(super) started: Instant,
    /// Bytes of memory that writing its picture takes.
    pub(super) bytes: u64,
}

impl WriteBehind {
    /// Begins to write a picture. The one before must have been settled.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(super) fn begin(
        &mut self,
        job: &Job,
        settings: &RunSettings,
        photograph: ContentImage,
        painting: FinishedCanvas,
        weights: &str,
        finished: Finished,
    ) -> Result<(), RenderError> {
        let (own, settings, weights) = (job.clone(), settings.clone(), weights.to_owned());
        let write = move || deliver(&own, &settings, &photograph, &painting, &weights);
        let refused = |source| files::Error::Io {
            action: "start a thread to write",
            path: job.output.clone(),
            source,
        };
        let thread = std::thread::Builder::new()
            .name("impasto-writer".into())
            .spawn(write)
            .map_err(refused)?;
        self.writing = Some((finished, thread));
        Ok(())
    }

    /// Bytes of memory that the picture in work takes.
    pub(super) fn bytes(&self) -> u64 {
        self.writing.as_ref().map_or(0, |(finished, _)| finished.bytes)
    }

    /// The picture that was being written and what came of it; nothing when none is, or, unless
    /// `wait`, when it is not there yet.
    pub(super) fn settle(&mut self, wait: bool) -> Option<(Finished, Written)> {
        let (_, thread) = self.writing.as_ref()?;
        if !wait && !thread.is_finished() {
            return None;
        }
        let (finished, thread) = self.writing.take()?;
        let result = thread
            .join()
            .unwrap_or_else(|_| Err(RenderError::Broken("the encoder stopped unexpectedly")));
        Some((finished, result))
    }
}
