//! The one who leads a run: takes job after job, records what happens before it is told, and goes
//! on past failures.

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::Summary;
use super::prefetch::Prefetch;
use super::share::at_once;
use super::write_behind::{Finished, WriteBehind};
use crate::config::RunSettings;
use crate::event::CancellationToken;
use crate::event::{Event, Listener, Losses, Watcher};
use crate::files;
use crate::image::Limits;
use crate::journal::{Checkpoints, LockedRun};
use crate::plan::Job;
use crate::render::{
    ContentImage, Engine, FinishedCanvas, RenderContext, RenderError, RenderOutcome, TargetStore,
    paint,
};

/// Leads a run. Everything that is told passes through it: it is first recorded, then heard by the
/// others.
pub(super) struct Scheduler<'a> {
    /// What all jobs share.
    pub(super) settings: &'a RunSettings,
    pub(super) jobs: &'a [Job],
    /// Bytes of memory that the run keeps to.
    pub(super) memory: u64,
    run: Option<&'a mut LockedRun>,
    pub(super) limits: &'a Limits,
    listener: &'a mut dyn Listener,
    pub(super) cancellation: &'a CancellationToken,
    /// Places in `jobs` that are still to be done, and how often each has failed.
    queue: VecDeque<(usize, u32)>,
    prefetch: Prefetch,
    write_behind: WriteBehind,
    done: BTreeMap<usize, Losses>,
    failed: BTreeMap<usize, RenderError>,
    /// What ended the run for all jobs.
    broken: Option<RenderError>,
    pub(super) interrupted: bool,
    /// Pictures of the whole run, its megapixel-evaluations, and those that are done.
    extent: (usize, f64, f64),
}

impl<'a> Scheduler<'a> {
    /// A run of `jobs`, recorded in `run` if there is one.
    pub(super) fn new(
        settings: &'a RunSettings,
        jobs: &'a [Job],
        memory: u64,
        run: Option<&'a mut LockedRun>,
        limits: &'a Limits,
        watcher: &'a mut Watcher<'_>,
    ) -> Self {
        Self {
            settings,
            jobs,
            memory,
            run,
            limits,
            listener: &mut *watcher.listener,
            cancellation: watcher.cancellation,
            queue: (0..jobs.len()).map(|place| (place, 0)).collect(),
            prefetch: Prefetch::default(),
            write_behind: WriteBehind::default(),
            done: BTreeMap::new(),
            failed: BTreeMap::new(),
            broken: None,
            interrupted: false,
            extent: (jobs.len(), jobs.iter().map(Job::work).sum(), 0.0),
        }
    }

    /// Tells that the run is more than what is left of it.
    pub(super) fn with_extent(self, pictures: usize, work: f64, done: f64) -> Self {
        Self { extent: (pictures, work, done), ..self }
    }

    /// Does the jobs, as far as it gets.
    pub(super) fn run(mut self, engine: &mut Engine) -> Summary {
        let (jobs, work, done) = self.extent;
        self.warn_of_another_machine(engine);
        self.warn_of_directories();
        self.on_event(&Event::RunStarted { jobs, devices: engine.devices(), work, done });
        let targets = Mutex::new(TargetStore::new());
        let mut partial = None;
        let (count, words) = at_once(self.settings, self.jobs, engine.threads(), self.memory);
        words.into_iter().for_each(|message| self.tell(&Event::Warning { message }));
        if count > 1 {
            match self.share(count, engine, &targets) {
                Ok(path) => partial = path,
                Err(error) => self.tell(&Event::Warning {
                    message: format!("pictures cannot share the machine: {error}"),
                }),
            }
        }
        while self.broken.is_none() && !self.interrupted {
            let Some((place, failures)) = self.next() else {
                // A picture that cannot be written may put its job back into the queue.
                self.settle(true);
                if self.queue.is_empty() || self.interrupted { break } else { continue }
            };
            match self.job(place, failures, engine, &targets) {
                Ok(Some(path)) => (self.interrupted, partial) = (true, Some(path)),
                Ok(None) => {}
                Err(error) => self.fail(place, failures, error),
            }
        }
        self.settle(true);
        let name = |place: usize| self.jobs[place].name.clone();
        Summary {
            finished: self
                .done
                .iter()
                .map(|(place, losses)| (self.jobs[*place].output.clone(), *losses))
                .collect(),
            failed: self.failed.into_iter().map(|(place, error)| (name(place), error)).collect(),
            interrupted: self.interrupted && self.broken.is_none(),
            partial,
            broken: self.broken,
        }
    }

    /// The next job's place in the list and how often it has failed; nothing when none is left or
    /// somebody said stop.
    pub(super) fn next(&mut self) -> Option<(usize, u32)> {
        if self.broken.is_some() || self.queue.is_empty() {
            return None;
        }
        if self.cancellation.is_cancelled() {
            self.interrupted = true;
            return None;
        }
        self.queue.pop_front()
    }

    /// Tells that a job begins.
    pub(super) fn start(&mut self, place: usize) {
        let job = &self.jobs[place];
        self.on_event(&Event::JobStarted {
            job: job.index,
            name: job.name.clone(),
            levels: job.levels.len(),
            work: job.work(),
        });
    }

    /// Paints one job and hands its picture to the writer; returns the picture so far when it was
    /// interrupted.
    fn job(
        &mut self,
        place: usize,
        failures: u32,
        engine: &mut Engine,
        targets: &Mutex<TargetStore>,
    ) -> Result<Option<PathBuf>, RenderError> {
        let started = Instant::now();
        self.start(place);
        let job = &self.jobs[place];
        // A picture that is still being written has its part of the memory.
        if job.memory_bytes().saturating_add(self.write_behind.bytes()) > self.memory {
            self.settle(true);
        }
        let photograph = self.prefetch.take(job, self.limits)?;
        let mut checkpoints = self.checkpoints(job);
        let (settings, limits, cancellation) = (self.settings, self.limits, self.cancellation);
        let mut context = RenderContext { engine, targets, limits, settings };
        let painted = paint(
            job,
            &photograph,
            &mut context,
            checkpoints.as_mut(),
            &mut Watcher { listener: self, cancellation },
        )?;
        match painted {
            RenderOutcome::Interrupted { path } => Ok(Some(path)),
            RenderOutcome::Finished(painting) => {
                self.write(
                    place,
                    failures,
                    started,
                    photograph,
                    painting,
                    engine.weights().sha256(),
                )?;
                Ok(None)
            }
        }
    }

    /// Hands a finished canvas to the writer.
    pub(super) fn write(
        &mut self,
        place: usize,
        failures: u32,
        started: Instant,
        photograph: ContentImage,
        painting: FinishedCanvas,
        weights: &str,
    ) -> Result<(), RenderError> {
        let job = &self.jobs[place];
        self.settle(true);
        self.on_event(&Event::Writing { job: job.index, path: job.output.clone() });
        let finished = Finished {
            place,
            failures,
            evaluations: painting.evaluations,
            losses: painting.losses,
            started,
            bytes: job.writing_bytes(),
        };
        self.write_behind.begin(job, self.settings, photograph, painting, weights, finished)
    }

    /// Another processor's instructions round otherwise: a run that moves is worth a word.
    fn warn_of_another_machine(&mut self, engine: &Engine) {
        let kind = |devices: &[String]| {
            devices.first().and_then(|device| device.split(',').next().map(str::to_owned))
        };
        let before = self.run.as_ref().and_then(|run| kind(&run.status().devices));
        let now = kind(&engine.devices());
        if let (Some(before), Some(now)) = (before, now)
            && before != now
        {
            let message = format!(
                "the run was begun on {before}) and goes on on {now}): the last bits of colours may differ"
            );
            self.tell(&Event::Warning { message });
        }
    }

    /// A file system that cannot make names durable is worth a word: a power cut may undo a rename.
    fn warn_of_directories(&mut self) {
        let Some(run) = &self.run else { return };
        if !files::syncs_directories(run.directory()) {
            let message = format!(
                "the file system of {} cannot sync directories: a power cut may undo the last checkpoint or picture",
                run.directory().display()
            );
            self.tell(&Event::Warning { message });
        }
    }

    pub(super) fn checkpoints(&self, job: &Job) -> Option<Checkpoints> {
        let every = Duration::from_secs(self.settings.checkpoint.every_seconds.into());
        self.run.as_ref().map(|run| run.checkpoints(job.index, every))
    }

    /// Tells what came of the picture that was being written, if it is known or `wait` says so.
    pub(super) fn settle(&mut self, wait: bool) {
        let Some((finished, result)) = self.write_behind.settle(wait) else { return };
        let Finished { place, failures, evaluations, losses, started, .. } = finished;
        let job = &self.jobs[place];
        let companions = match result {
            Ok(companions) => companions,
            Err(error) => return self.fail(place, failures, error),
        };
        companions.into_iter().for_each(|path| self.tell(&Event::Saved { job: job.index, path }));
        self.done.insert(place, losses);
        let (path, seconds) = (job.output.clone(), started.elapsed().as_secs_f64());
        let (width, height) = (job.framing.width, job.framing.height);
        self.tell(&Event::JobFinished {
            job: job.index,
            path,
            width,
            height,
            evaluations,
            losses,
            seconds,
        });
        // Only when it is recorded that the picture is there may go what it was made from.
        if self.broken.is_none()
            && let Some(checkpoints) = self.checkpoints(job)
            && let Err(error) = checkpoints.clear()
        {
            self.tell(&Event::Warning { message: error.to_string() });
        }
    }

    /// Records a failure; the job's turn comes again where that may help.
    pub(super) fn fail(&mut self, place: usize, failures: u32, error: RenderError) {
        if self.broken.is_some() {
            return;
        }
        let job = &self.jobs[place];
        if error.ends_the_run() {
            self.broken = Some(error);
            return;
        }
        let retrying = failures < self.settings.batch.retries && error.is_worth_retrying();
        self.tell(&Event::JobFailed {
            job: job.index,
            name: job.name.clone(),
            reason: error.to_string(),
            retrying,
        });
        if retrying {
            self.queue.push_back((place, failures + 1));
        } else {
            self.failed.insert(place, error);
        }
    }

    /// Records an event, then tells it.
    fn tell(&mut self, event: &Event) {
        if self.broken.is_none()
            && let Some(run) = &mut self.run
            && let Err(error) = run.record(event)
        {
            // What cannot be recorded cannot be gone on with: the work stops as if somebody had
            // asked for it.
            self.broken = Some(error.into());
            self.cancellation.cancel();
        }
        self.listener.on_event(event);
    }
}

impl Listener for Scheduler<'_> {
    fn on_event(&mut self, event: &Event) {
        self.settle(false);
        self.tell(event);
        if let Event::LevelStarted { job, level, levels, .. } = event
            && level + 1 == *levels
            && let Some((next, _)) = self.queue.front()
            && let Some(job) = self.jobs.iter().find(|other| other.index == *job)
        {
            let taken = job.levels[*level].memory_bytes + self.write_behind.bytes();
            self.prefetch.begin(&self.jobs[*next], self.memory.saturating_sub(taken));
        }
    }
}
