//! Content images decoded ahead: while one picture is in its last level, the next one's content is
//! read.

use std::thread::JoinHandle;

use crate::files::Digests;
use crate::image::Limits;
use crate::plan::Job;
use crate::render::{ContentImage, RenderError};

/// At most one content image that is being read.
pub(super) struct Prefetch<'a> {
    digests: &'a Digests,
    reading: Option<(usize, JoinHandle<Result<ContentImage, RenderError>>)>,
}

impl<'a> Prefetch<'a> {
    pub(super) fn new(digests: &'a Digests) -> Self {
        Self { digests, reading: None }
    }

    /// Begins to read the content of a job, unless one is being read or `memory` bytes are not
    /// enough for it.
    pub(super) fn begin(&mut self, job: &Job, memory: u64) {
        if self.reading.is_some() || job.reading_bytes > memory {
            return;
        }
        let (own, limits, digests) = (job.clone(), Limits::bytes(memory), self.digests.clone());
        let thread = std::thread::Builder::new()
            .name("impasto-reader".into())
            .spawn(move || ContentImage::of(&own, &limits, &digests));
        // Without a thread it is read when its turn comes.
        self.reading = thread.ok().map(|thread| (job.index, thread));
    }

    /// The content of a job, read ahead or now.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(super) fn take(&mut self, job: &Job, limits: &Limits) -> Result<ContentImage, RenderError> {
        let read_now = || ContentImage::of(job, limits, self.digests);
        match self.reading.take() {
            Some((index, thread)) if index == job.index => {
                thread.join().unwrap_or_else(|_| read_now())
            }
            _ => read_now(),
        }
    }
}
