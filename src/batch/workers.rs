//! Small pictures that share the machine: several are painted at once, each by a part of the
//! threads.
//!
//! A small picture cannot keep many threads busy. Measured on two cores (`impasto bench`, seconds
//! for an evaluation): at 128 px one picture takes 0.12 with two threads and as much with one, so
//! that two at once are done in half the time; at 256 px two at once take 0.68 of the time of one
//! after the other, at 512 px 0.86. What is painted is the same.

use std::sync::Mutex;
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::Instant;

use super::queue::Turn;
use crate::config::{OrAuto, RunSettings};
use crate::event::{CancellationToken, Event, Listener, Watcher};
use crate::files::Digests;
use crate::image::Limits;
use crate::journal::Checkpoints;
use crate::plan::{Job, together};
use crate::render::{
    ContentImage, Engine, RenderContext, RenderError, RenderOutcome, TargetStore, paint,
};

/// The largest canvas that counts as small, pixels.
const SMALL: usize = 512 * 512;

/// How many of `jobs` are to be painted at once with `threads` threads in `memory` bytes: as the
/// settings say, or, where all are small, as many as there are threads. Never more than the memory
/// holds; when that is fewer than the settings say, a warning.
pub(super) fn parallel_jobs(
    settings: &RunSettings,
    jobs: &[Job],
    threads: usize,
    memory: u64,
) -> (usize, Option<String>) {
    if jobs.is_empty() {
        return (1, None);
    }
    let most = together(jobs, memory).clamp(1, jobs.len());
    let count = match settings.batch.parallel_jobs {
        OrAuto::Value(count) => count as usize,
        OrAuto::Auto if jobs.iter().any(|job| job.framing.width * job.framing.height > SMALL) => 1,
        OrAuto::Auto => threads.min(most),
    };
    let count = count.clamp(1, jobs.len());
    let warning = (count > most).then(|| {
        format!("batch.parallel-jobs is {count}, and the memory holds {most} of these pictures")
    });
    (count.min(most), warning)
}

/// What every worker of a run works with.
#[derive(Clone, Copy)]
pub(super) struct WorkerContext<'a> {
    pub(super) jobs: &'a [Job],
    pub(super) settings: &'a RunSettings,
    pub(super) targets: &'a Mutex<TargetStore>,
    pub(super) limits: &'a Limits,
    pub(super) digests: &'a Digests,
    pub(super) cancellation: &'a CancellationToken,
}

/// A job for a worker.
pub(super) struct Assignment {
    pub(super) turn: Turn,
    pub(super) checkpoints: Option<Checkpoints>,
}

/// What came of a job.
pub(super) struct Outcome {
    pub(super) turn: Turn,
    pub(super) started: Instant,
    pub(super) result: Result<(RenderOutcome, ContentImage), RenderError>,
}

/// What workers send to the scheduler.
pub(super) enum Message {
    /// A worker asks for a job; one that gets no answer is done.
    Idle(Sender<Assignment>),
    /// Something happened.
    Event(Event),
    /// A job is painted, or failed.
    Done(Box<Outcome>),
}

/// Paints with every engine at once, and calls `schedule` with what the workers send. It returns
/// when all workers are done. The messages go with that call, even if it panics: a worker whose
/// question is among them is then done.
pub(super) fn paint_at_once<R>(
    engines: Vec<Engine>,
    shared: WorkerContext<'_>,
    schedule: impl FnOnce(Receiver<Message>) -> R,
) -> R {
    let (sender, messages) = mpsc::channel();
    std::thread::scope(|scope| {
        for engine in engines {
            let sender = sender.clone();
            scope.spawn(move || work(engine, shared, &sender));
        }
        drop(sender);
        schedule(messages)
    })
}

/// Sends events to the scheduler.
struct Reporter(Sender<Message>);

impl Listener for Reporter {
    fn on_event(&mut self, event: &Event) {
        // If nobody listens any more the run is over, and the work ends with its job.
        let _ = self.0.send(Message::Event(event.clone()));
    }
}

/// Asks for jobs and paints them, until there are none.
fn work(mut engine: Engine, shared: WorkerContext<'_>, sender: &Sender<Message>) {
    loop {
        let (reply, assigned) = mpsc::channel();
        if sender.send(Message::Idle(reply)).is_err() {
            return;
        }
        let Ok(Assignment { turn, checkpoints }) = assigned.recv() else { return };
        let started = Instant::now();
        let mut reporter = Reporter(sender.clone());
        let result = paint_job(&mut engine, shared, turn, checkpoints, &mut reporter);
        let outcome = Outcome { turn, started, result };
        if sender.send(Message::Done(Box::new(outcome))).is_err() {
            return;
        }
    }
}

fn paint_job(
    engine: &mut Engine,
    shared: WorkerContext<'_>,
    turn: Turn,
    mut checkpoints: Option<Checkpoints>,
    listener: &mut dyn Listener,
) -> Result<(RenderOutcome, ContentImage), RenderError> {
    let WorkerContext { jobs, settings, targets, limits, digests, cancellation } = shared;
    let job = &jobs[turn.place];
    let content = ContentImage::of(job, limits, digests)?;
    let mut context = RenderContext { engine, targets, limits, settings, digests };
    let mut watcher = Watcher { listener, cancellation };
    let painted = paint(job, &content, &mut context, checkpoints.as_mut(), &mut watcher)?;
    Ok((painted, content))
}
