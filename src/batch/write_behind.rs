//! Pictures encoded behind the work: while the next one is painted, the finished one is written.

use std::thread::JoinHandle;
use std::time::Instant;

use super::queue::Turn;
use crate::event::Losses;
use crate::files;
use crate::plan::Job;
use crate::render::{ContentImage, Delivery, FinishedCanvas, RenderError, deliver};

/// At most one picture that is being written.
#[derive(Default)]
pub(super) struct WriteBehind {
    writing: Option<(PaintedJob, JoinHandle<Result<Delivery, RenderError>>)>,
}

/// A painted job whose picture is being written, or was.
pub(super) struct PaintedJob {
    /// The job's turn.
    pub(super) turn: Turn,
    /// Evaluations in all levels.
    pub(super) evaluations: usize,
    /// The canvas's losses.
    pub(super) losses: Losses,
    /// When the job was started.
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
        content: ContentImage,
        canvas: FinishedCanvas,
        painted: PaintedJob,
    ) -> Result<(), RenderError> {
        let own = job.clone();
        let write = move || deliver(&own, &content, &canvas);
        let refused = |source| files::Error::Io {
            action: "start a thread to write",
            path: job.output.path.clone(),
            source,
        };
        let thread = std::thread::Builder::new()
            .name("impasto-writer".into())
            .spawn(write)
            .map_err(refused)?;
        self.writing = Some((painted, thread));
        Ok(())
    }

    /// Bytes of memory that the picture in work takes.
    pub(super) fn bytes(&self) -> u64 {
        self.writing.as_ref().map_or(0, |(painted, _)| painted.bytes)
    }

    /// The picture that was being written and what came of it; nothing when none is, or, unless
    /// `wait`, when it is not there yet.
    pub(super) fn settle(
        &mut self,
        wait: bool,
    ) -> Option<(PaintedJob, Result<Delivery, RenderError>)> {
        let (_, thread) = self.writing.as_ref()?;
        if !wait && !thread.is_finished() {
            return None;
        }
        let (painted, thread) = self.writing.take()?;
        let result = thread
            .join()
            .unwrap_or_else(|_| Err(RenderError::Broken("the encoder stopped unexpectedly")));
        Some((painted, result))
    }
}
