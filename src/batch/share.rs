//! Small pictures that share the machine: several are painted at once, each by a part of the
//! threads.
//!
//! A small picture cannot keep many threads busy. Measured on two cores (`impasto bench`, seconds
//! for an evaluation): at 128 px one picture takes 0.12 with two threads and as much with one, so
//! that two at once are done in half the time; at 256 px two at once take 0.69 of the time of one
//! after the other, at 512 px 0.87. What is painted is the same.

use std::sync::Mutex;
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::Instant;

use super::scheduler::Scheduler;
use crate::config::{OrAuto, RunSettings};
use crate::event::CancellationToken;
use crate::event::{Event, Listener, Watcher};
use crate::image::Limits;
use crate::journal::Checkpoints;
use crate::plan::{Job, memory_of_one, together};
use crate::render::{
    ContentImage, Engine, RenderContext, RenderError, RenderOutcome, TargetStore, paint,
};

/// The largest canvas that counts as small, pixels.
const SMALL: usize = 512 * 512;

/// How many of `jobs` are to be painted at once with `threads` threads in `memory` bytes: as the
/// settings say, or, where all are small, as many as there are threads. Never more than the memory
/// holds; when that is fewer than the settings say, the words to say so.
pub(super) fn at_once(
    settings: &RunSettings,
    jobs: &[Job],
    threads: usize,
    memory: u64,
) -> (usize, Option<String>) {
    if jobs.is_empty() {
        return (1, None);
    }
    let held = together(jobs, memory).clamp(1, jobs.len());
    let wanted = match settings.batch.parallel_jobs {
        OrAuto::Value(count) => count as usize,
        OrAuto::Auto if jobs.iter().any(|job| job.framing.width * job.framing.height > SMALL) => 1,
        OrAuto::Auto => threads.min(held),
    };
    let wanted = wanted.clamp(1, jobs.len());
    let words = (wanted > held).then(|| {
        format!("batch.parallel-jobs is {wanted}, and the memory holds {held} of these pictures")
    });
    (wanted.min(held), words)
}

/// A job for a worker.
struct Assignment {
    place: usize,
    failures: u32,
    checkpoints: Option<Checkpoints>,
}

/// What workers say to the one who leads the run.
enum Message {
    /// A worker asks for a job.
    Idle(Sender<Assignment>),
    /// Something happened.
    Event(Event),
    /// A job is painted, or failed.
    Done(Box<Done>),
}

/// What came of a job.
struct Done {
    place: usize,
    failures: u32,
    started: Instant,
    result: Result<(RenderOutcome, ContentImage), RenderError>,
}

/// Sends what it hears to the one who leads.
struct Post(Sender<Message>);

impl Listener for Post {
    fn on_event(&mut self, event: &Event) {
        // If nobody listens any more the run is over, and the work ends with its job.
        let _ = self.0.send(Message::Event(event.clone()));
    }
}

impl Scheduler<'_> {
    /// Paints `count` jobs at once until none is left. Jobs that are to be tried again stay in the
    /// queue. Returns the picture so far of one that was interrupted.
    ///
    /// # Errors
    /// When a network cannot be prepared or threads be had.
    pub(super) fn share(
        &mut self,
        count: usize,
        engine: &mut Engine,
        targets: &Mutex<TargetStore>,
    ) -> Result<Option<std::path::PathBuf>, RenderError> {
        for job in self.jobs {
            // Prepared once, the networks are shared.
            job.spec
                .deepest()
                .map(|deepest| engine.network(deepest, job.spec.pooling))
                .transpose()?;
        }
        let engines = engine.shares(count)?;
        let (settings, jobs, cancellation) = (self.settings, self.jobs, self.cancellation);
        // Each has its part of the memory.
        let part = memory_of_one(self.memory, count, &jobs[0].spec);
        let limits = &Limits::bytes(self.limits.max_bytes.min(part));
        let (sender, messages) = mpsc::channel();
        Ok(std::thread::scope(|scope| {
            for engine in engines {
                let post = sender.clone();
                scope.spawn(move || {
                    work(engine, settings, jobs, limits, targets, cancellation, &post)
                });
            }
            drop(sender);
            self.lead(messages, engine.weights().sha256())
        }))
    }

    /// Hands out jobs and takes in what comes of them, until all workers have gone. The box of
    /// messages goes with this call, even if it panics: a worker whose question lay in it then goes
    /// home.
    fn lead(&mut self, messages: Receiver<Message>, weights: &str) -> Option<std::path::PathBuf> {
        let mut partial = None;
        for message in messages {
            match message {
                Message::Event(event) => self.on_event(&event),
                // A worker whose question is dropped goes home.
                Message::Idle(reply) => {
                    // A picture that is being written still has its worker's part of the memory.
                    self.settle(true);
                    if let Some((place, failures)) = self.next() {
                        self.start(place);
                        let checkpoints = self.checkpoints(&self.jobs[place]);
                        let _ = reply.send(Assignment { place, failures, checkpoints });
                    }
                }
                Message::Done(done) => self.take(*done, weights, &mut partial),
            }
        }
        partial
    }

    /// Takes in what came of a job.
    fn take(&mut self, done: Done, weights: &str, partial: &mut Option<std::path::PathBuf>) {
        let Done { place, failures, started, result } = done;
        match result {
            Ok((RenderOutcome::Interrupted { path }, _)) => {
                self.interrupted = true;
                partial.get_or_insert(path);
            }
            Ok((RenderOutcome::Finished(painting), photograph)) => {
                if let Err(error) =
                    self.write(place, failures, started, photograph, painting, weights)
                {
                    self.fail(place, failures, error);
                }
            }
            Err(error) => self.fail(place, failures, error),
        }
    }
}

/// Asks for jobs and paints them, until there are none.
fn work(
    mut engine: Engine,
    settings: &RunSettings,
    jobs: &[Job],
    limits: &Limits,
    targets: &Mutex<TargetStore>,
    cancellation: &CancellationToken,
    post: &Sender<Message>,
) {
    loop {
        let (reply, assigned) = mpsc::channel();
        if post.send(Message::Idle(reply)).is_err() {
            return;
        }
        let Ok(Assignment { place, failures, mut checkpoints }) = assigned.recv() else { return };
        let (job, started) = (&jobs[place], Instant::now());
        let mut listener = Post(post.clone());
        let mut paint_it = || -> Result<_, RenderError> {
            let photograph = ContentImage::open(&job.content, &job.framing, limits)?;
            let mut context = RenderContext { engine: &mut engine, targets, limits, settings };
            let painted = paint(
                job,
                &photograph,
                &mut context,
                checkpoints.as_mut(),
                &mut Watcher { listener: &mut listener, cancellation },
            )?;
            Ok((painted, photograph))
        };
        let result = paint_it();
        if post.send(Message::Done(Box::new(Done { place, failures, started, result }))).is_err() {
            return;
        }
    }
}
