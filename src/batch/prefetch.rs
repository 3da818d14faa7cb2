//! Photographs decoded ahead: while one picture is in its last level, the next one's photograph is
//! read.

use std::thread::JoinHandle;

use crate::image::Limits;
use crate::plan::Job;
use crate::render::{ContentImage, RenderError};

/// At most one photograph that is being read.
#[derive(Default)]
pub(super) struct Prefetch {
    reading: Option<(usize, JoinHandle<Result<ContentImage, RenderError>>)>,
}

impl Prefetch {
    /// Begins to read the photograph of a job, unless one is being read or `room` bytes of memory
    /// are not enough for it.
    pub(super) fn begin(&mut self, job: &Job, room: u64) {
        if self.reading.is_some() || job.reading_bytes > room {
            return;
        }
        let (own, limits) = (job.clone(), Limits::bytes(room));
        let thread = std::thread::Builder::new()
            .name("impasto-reader".into())
            .spawn(move || open(&own, &limits));
        // Without a thread it is read when its turn comes.
        self.reading = thread.ok().map(|thread| (job.index, thread));
    }

    /// The photograph of a job: the one that was read, or read now.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(super) fn take(&mut self, job: &Job, limits: &Limits) -> Result<ContentImage, RenderError> {
        match self.reading.take() {
            Some((index, thread)) if index == job.index => {
                thread.join().unwrap_or_else(|_| open(job, limits))
            }
            _ => open(job, limits),
        }
    }
}

fn open(job: &Job, limits: &Limits) -> Result<ContentImage, RenderError> {
    ContentImage::open(&job.content, &job.framing, limits)
}
