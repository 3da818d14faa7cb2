//! The scheduler of a run: takes job after job and continues past failures.
//!
//! It owns the order of things and nothing else: turns are in the [`Queue`], what happens goes
//! through the [`Recorder`], content is read ahead by [`Prefetch`], pictures are written behind by
//! [`WriteBehind`], and several small pictures at once are painted by [`workers`].

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::mpsc::Receiver;
use std::time::Instant;

use super::prefetch::Prefetch;
use super::queue::{Queue, Turn};
use super::recorder::Recorder;
use super::workers::{self, Assignment, Message, Outcome, WorkerContext, parallel_jobs};
use super::write_behind::{PaintedJob, WriteBehind};
use super::{FailedJob, Summary};
use crate::config::RunSettings;
use crate::event::{CancellationToken, Event, Listener, Losses, Watcher};
use crate::files::{self, Digests, NamedFile};
use crate::image::Limits;
use crate::journal::LockedRun;
use crate::plan::{Job, Plan, memory_of_one};
use crate::render::{
    ContentImage, Engine, FinishedCanvas, RenderContext, RenderError, RenderOutcome, TargetStore,
    paint,
};

/// What a run is in numbers, the parts that earlier starts have done included.
#[derive(Clone, Copy, Debug)]
pub(super) struct Extent {
    /// Pictures of the whole run.
    pub(super) jobs: usize,
    /// Its megapixel-evaluations.
    pub(super) work: f64,
    /// Those that are done.
    pub(super) done: f64,
}

/// A run in progress.
pub(super) struct Scheduler<'a> {
    jobs: &'a [Job],
    settings: &'a RunSettings,
    /// Bytes of memory that the run keeps to.
    memory: u64,
    limits: &'a Limits,
    digests: &'a Digests,
    cancellation: &'a CancellationToken,
    recorder: Recorder<'a>,
    queue: Queue,
    prefetch: Prefetch<'a>,
    write_behind: WriteBehind,
    finished: BTreeMap<usize, Losses>,
    failed: BTreeMap<usize, RenderError>,
    interrupted: bool,
    /// The picture so far of a job that was interrupted.
    partial: Option<NamedFile>,
}

impl<'a> Scheduler<'a> {
    /// The jobs of `plan`, recorded in `run` if there is one. Their files have to stay like
    /// `digests`, where those are known.
    pub(super) fn new(
        plan: &'a Plan,
        run: Option<&'a mut LockedRun>,
        digests: &'a Digests,
        limits: &'a Limits,
        watcher: &'a mut Watcher<'_>,
    ) -> Self {
        let (jobs, settings, cancellation) = (&plan.jobs, &plan.run, watcher.cancellation);
        Self {
            jobs,
            settings,
            memory: plan.memory.bytes,
            limits,
            digests,
            cancellation,
            recorder: Recorder::new(run, settings, &mut *watcher.listener, cancellation),
            queue: Queue::of(jobs.len()),
            prefetch: Prefetch::new(digests),
            write_behind: WriteBehind::default(),
            finished: BTreeMap::new(),
            failed: BTreeMap::new(),
            interrupted: false,
            partial: None,
        }
    }

    /// Does the jobs, as far as it gets.
    pub(super) fn run(mut self, extent: Extent, engine: &mut Engine) -> Summary {
        self.warn_of_another_machine(engine);
        self.warn_of_directories();
        let Extent { jobs, work, done } = extent;
        let (devices, arithmetic) = (engine.devices(), engine.arithmetic());
        self.on_event(&Event::RunStarted { jobs, devices, arithmetic, work, done });
        let targets = Mutex::new(TargetStore::new(self.digests));
        let (count, words) = parallel_jobs(self.settings, self.jobs, engine.threads(), self.memory);
        words.into_iter().for_each(|message| self.recorder.warn(message));
        if count > 1
            && let Err(error) = self.paint_at_once(count, engine, &targets)
        {
            self.recorder.warn(format!("pictures cannot share the machine: {error}"));
        }
        while !self.recorder.has_failed() && !self.interrupted {
            let Some(turn) = self.next() else {
                // A picture that cannot be written may give its job another turn.
                self.settle(true);
                if self.queue.is_empty() || self.interrupted { break } else { continue }
            };
            if let Err(error) = self.paint_next(turn, engine, &targets) {
                self.fail(turn, error);
            }
        }
        self.settle(true);
        self.summary()
    }

    fn summary(self) -> Summary {
        let job = |place: usize| &self.jobs[place];
        let fatal = self.recorder.into_failure();
        let failed = |(place, error)| FailedJob { name: job(place).name.clone(), error };
        Summary {
            finished: self
                .finished
                .iter()
                .map(|(place, losses)| (job(*place).output.path.clone(), *losses))
                .collect(),
            failed: self.failed.into_iter().map(failed).collect(),
            interrupted: self.interrupted && fatal.is_none(),
            partial: self.partial.map(|partial| partial.path),
            fatal,
        }
    }

    /// The next turn; nothing when none is left or the run is to stop.
    fn next(&mut self) -> Option<Turn> {
        if self.recorder.has_failed() || self.queue.is_empty() {
            return None;
        }
        if self.cancellation.is_cancelled() {
            self.interrupted = true;
            return None;
        }
        self.queue.take()
    }

    /// Reports that a job begins.
    fn start(&mut self, turn: Turn) {
        let job = &self.jobs[turn.place];
        self.on_event(&Event::JobStarted {
            job: job.index,
            name: job.name.clone(),
            levels: job.levels.len(),
            work: job.work(),
        });
    }

    /// Paints one job with all threads, and hands its picture to the writer.
    fn paint_next(
        &mut self,
        turn: Turn,
        engine: &mut Engine,
        targets: &Mutex<TargetStore>,
    ) -> Result<(), RenderError> {
        let started = Instant::now();
        self.start(turn);
        let job = &self.jobs[turn.place];
        // A picture that is still being written has its part of the memory.
        if job.memory_bytes().saturating_add(self.write_behind.bytes()) > self.memory {
            self.settle(true);
        }
        let content = self.prefetch.take(job, self.limits)?;
        let mut checkpoints = self.recorder.checkpoints(job);
        let (limits, digests, cancellation) = (self.limits, self.digests, self.cancellation);
        let settings = self.settings;
        let mut context = RenderContext { engine, targets, limits, settings, digests };
        let mut watcher = Watcher { listener: self, cancellation };
        let painted = paint(job, &content, &mut context, checkpoints.as_mut(), &mut watcher)?;
        self.painted(turn, started, painted, content)
    }

    /// Paints `count` jobs at once until none is left. Jobs that are to be tried again stay in the
    /// queue.
    ///
    /// # Errors
    /// When a network cannot be prepared or there are no threads.
    fn paint_at_once(
        &mut self,
        count: usize,
        engine: &mut Engine,
        targets: &Mutex<TargetStore>,
    ) -> Result<(), RenderError> {
        for job in self.jobs {
            // Prepared once, the networks are shared.
            job.spec
                .deepest()
                .map(|deepest| engine.network(deepest, job.spec.pooling))
                .transpose()?;
        }
        let engines = engine.shares(count)?;
        let Self { jobs, settings, digests, cancellation, .. } = *self;
        // Each has its part of the memory.
        let part = memory_of_one(self.memory, count, &jobs[0].spec);
        let limits = &Limits::bytes(self.limits.max_bytes.min(part));
        let shared = WorkerContext { jobs, settings, targets, limits, digests, cancellation };
        workers::paint_at_once(engines, shared, |messages| self.schedule(messages));
        Ok(())
    }

    /// Hands out jobs and takes in what comes of them, until all workers are done.
    fn schedule(&mut self, messages: Receiver<Message>) {
        for message in messages {
            match message {
                Message::Event(event) => self.on_event(&event),
                // A worker whose question is dropped is done.
                Message::Idle(reply) => {
                    // A picture that is being written still has its worker's part of the memory.
                    self.settle(true);
                    if let Some(turn) = self.next() {
                        self.start(turn);
                        let checkpoints = self.recorder.checkpoints(&self.jobs[turn.place]);
                        let _ = reply.send(Assignment { turn, checkpoints });
                    }
                }
                Message::Done(outcome) => {
                    let Outcome { turn, started, result } = *outcome;
                    let settled = result.and_then(|(painted, content)| {
                        self.painted(turn, started, painted, content)
                    });
                    if let Err(error) = settled {
                        self.fail(turn, error);
                    }
                }
            }
        }
    }

    /// A job has been painted, or interrupted.
    fn painted(
        &mut self,
        turn: Turn,
        started: Instant,
        outcome: RenderOutcome,
        content: ContentImage,
    ) -> Result<(), RenderError> {
        match outcome {
            RenderOutcome::Interrupted { partial } => {
                self.interrupted = true;
                self.partial.get_or_insert(partial);
                Ok(())
            }
            RenderOutcome::Finished(canvas) => self.write(turn, started, content, *canvas),
        }
    }

    /// Hands a finished canvas to the writer.
    fn write(
        &mut self,
        turn: Turn,
        started: Instant,
        content: ContentImage,
        canvas: FinishedCanvas,
    ) -> Result<(), RenderError> {
        let job = &self.jobs[turn.place];
        self.settle(true);
        self.on_event(&Event::Writing { job: job.index, path: job.output.id.clone() });
        let FinishedCanvas { evaluations, losses, .. } = canvas;
        let bytes = job.writing_bytes();
        let painted = PaintedJob { turn, evaluations, losses, started, bytes };
        self.write_behind.begin(job, content, canvas, painted)
    }

    /// Reports what came of the picture that was being written, if it is known or `wait` says so.
    fn settle(&mut self, wait: bool) {
        let Some((painted, result)) = self.write_behind.settle(wait) else { return };
        let PaintedJob { turn, evaluations, losses, started, .. } = painted;
        let job = &self.jobs[turn.place];
        let delivery = match result {
            Ok(delivery) => delivery,
            Err(error) => return self.fail(turn, error),
        };
        for companion in delivery.companions {
            self.recorder.on_event(&Event::Saved { job: job.index, path: companion.id });
        }
        delivery.warnings.into_iter().for_each(|message| self.recorder.warn(message));
        self.finished.insert(turn.place, losses);
        self.recorder.on_event(&Event::JobFinished {
            job: job.index,
            path: job.output.id.clone(),
            width: job.framing.width,
            height: job.framing.height,
            evaluations,
            losses,
            seconds: started.elapsed().as_secs_f64(),
        });
        // Only when it is recorded that the picture is there may go what it was made from.
        if !self.recorder.has_failed()
            && let Some(checkpoints) = self.recorder.checkpoints(job)
            && let Err(error) = checkpoints.clear()
        {
            self.recorder.warn(error.to_string());
        }
    }

    /// Records a failure; the job gets another turn where that may help.
    fn fail(&mut self, turn: Turn, error: RenderError) {
        if self.recorder.has_failed() {
            return;
        }
        if error.ends_the_run() {
            return self.recorder.fail(error);
        }
        let job = &self.jobs[turn.place];
        let retrying = turn.failures < self.settings.batch.retries && error.is_worth_retrying();
        self.recorder.on_event(&Event::JobFailed {
            job: job.index,
            name: job.name.clone(),
            reason: error.to_string(),
            retrying,
        });
        if retrying {
            self.queue.retry(turn);
        } else {
            self.failed.insert(turn.place, error);
        }
    }

    /// Another processor's instructions round otherwise: a run that moves is worth a word.
    fn warn_of_another_machine(&mut self, engine: &Engine) {
        let Some(before) = self.recorder.status().filter(|status| !status.arithmetic.is_empty())
        else {
            return;
        };
        if before.arithmetic != engine.arithmetic() {
            let (before, now) = (before.devices.join(", "), engine.devices().join(", "));
            let words = "the last bits of colours may differ";
            self.recorder
                .warn(format!("the run began on {before} and continues on {now}: {words}"));
        }
    }

    /// A file system that cannot make names durable is worth a word: a power cut may undo a rename.
    fn warn_of_directories(&mut self) {
        let Some(directory) = self.recorder.directory() else { return };
        if !files::syncs_directories(directory) {
            let message = format!(
                "the file system of {} cannot sync directories: a power cut may undo the last checkpoint or picture",
                directory.display()
            );
            self.recorder.warn(message);
        }
    }
}

impl Listener for Scheduler<'_> {
    fn on_event(&mut self, event: &Event) {
        self.settle(false);
        self.recorder.on_event(event);
        if let Event::LevelStarted { job, level, levels, .. } = event
            && level + 1 == *levels
            && let Some(next) = self.queue.next_place()
            && let Some(job) = self.jobs.iter().find(|other| other.index == *job)
        {
            let used = job.levels[*level].memory_bytes + self.write_behind.bytes();
            self.prefetch.begin(&self.jobs[next], self.memory.saturating_sub(used));
        }
    }
}
