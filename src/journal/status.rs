//! Where every job of a run stands, worked out from its events.
//!
//! The same account serves the bars on the terminal, `impasto status`, the table at a run's end,
//! and the decision what is left to do.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::event::{Event, Losses};
use crate::files::FileId;
use crate::plan::JobRecord;

/// What has become of a job.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum JobState {
    /// Its turn has not come.
    #[default]
    Waiting,
    /// It is being painted, or was when its process died.
    Running,
    /// It was stopped, and a later run resumes it.
    Interrupted,
    /// Its picture is there.
    Finished,
    /// It could not be made.
    Failed,
}

impl JobState {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            JobState::Waiting => "waiting",
            JobState::Running => "running",
            JobState::Interrupted => "interrupted",
            JobState::Finished => "finished",
            JobState::Failed => "failed",
        }
    }
}

/// Where one job stands.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct JobStatus {
    /// The output's file name.
    pub name: String,
    /// What has become of it.
    pub state: JobState,
    /// Width and height of the finished picture, px.
    pub size: (usize, usize),
    /// Levels of its pyramid.
    pub levels: usize,
    /// The level in work, from 0.
    pub level: usize,
    /// Width and height of the picture at that level, px.
    pub level_size: (usize, usize),
    /// Megapixels of the level's canvas, its guard band included.
    #[serde(skip)]
    level_work: f64,
    /// Evaluations done in that level.
    pub evaluation: usize,
    /// Evaluations planned for it.
    pub evaluations: usize,
    /// Evaluations done in all levels.
    pub total_evaluations: usize,
    /// The latest losses.
    pub losses: Option<Losses>,
    /// Seconds of work so far, all attempts and nights together.
    pub seconds: f64,
    /// Seconds of one megapixel-evaluation, lately.
    pub speed: Option<f64>,
    /// Megapixel-evaluations of the whole job.
    pub work: f64,
    /// Megapixel-evaluations done.
    pub done: f64,
    /// When its latest event happened, seconds since 1970.
    pub last_event: f64,
    /// When its last checkpoint was made, seconds since 1970.
    pub checkpoint: Option<f64>,
    /// The finished picture.
    pub output: Option<FileId>,
    /// A picture that was being written under its final name, whether or not it came to an end.
    pub writing: Option<FileId>,
    /// Why it could not be made.
    pub reason: Option<String>,
    /// How often it was started.
    pub attempts: usize,
    /// Evaluations done in all levels when this one began.
    #[serde(skip)]
    before_level: usize,
    /// Megapixel-evaluations done when this level began.
    #[serde(skip)]
    done_before_level: f64,
}

impl JobStatus {
    /// Whether its picture is there.
    pub fn is_finished(&self) -> bool {
        self.state == JobState::Finished
    }

    /// The same with another state.
    pub fn now(self, state: JobState) -> Self {
        Self { state, ..self }
    }

    fn worked(&mut self, at: f64, seconds: f64, work: f64) {
        self.last_event = at;
        self.seconds += seconds;
        if work > 0.0 {
            let now = seconds / work;
            self.speed = Some(self.speed.map_or(now, |speed| 0.8 * speed + 0.2 * now));
        }
    }
}

/// Where all jobs of a run stand.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RunStatus {
    /// The jobs by number.
    pub jobs: BTreeMap<usize, JobStatus>,
    /// The job that was last worked on.
    pub current: Option<usize>,
    /// What computes, in words.
    pub devices: Vec<String>,
    /// What decides how they round; empty before the first start.
    pub arithmetic: String,
}

impl RunStatus {
    /// Fills in what plans know and events do not say.
    pub fn describe(&mut self, jobs: &[JobRecord]) {
        for job in jobs {
            let status = self.jobs.entry(job.index).or_default();
            status.name.clone_from(&job.name);
            (status.size, status.levels) =
                ((job.framing.width, job.framing.height), job.levels.len());
            status.work = job.work();
            if status.is_finished() {
                status.done = status.work;
            }
        }
    }

    /// Forgets the jobs that `keep` does not name.
    pub fn retain(&mut self, keep: impl Fn(usize) -> bool) {
        self.jobs.retain(|job, _| keep(*job));
    }

    /// Megapixel-evaluations of all jobs that can still be, or have been, done.
    pub fn work(&self) -> f64 {
        self.jobs.values().map(|job| job.work).sum()
    }

    /// Megapixel-evaluations that need not be done any more; a failed job takes its share with it.
    pub fn done(&self) -> f64 {
        self.jobs
            .values()
            .map(
                |job| if job.state == JobState::Failed { job.work } else { job.done.min(job.work) },
            )
            .sum()
    }

    /// Seconds of one megapixel-evaluation: of the job in work, or of those before it.
    pub fn speed(&self) -> Option<f64> {
        let current = self.current.and_then(|job| self.jobs.get(&job)?.speed);
        current.or_else(|| {
            let known: Vec<f64> = self.jobs.values().filter_map(|job| job.speed).collect();
            (!known.is_empty()).then(|| known.iter().sum::<f64>() / known.len() as f64)
        })
    }

    /// Estimate of the seconds to the end of the run.
    pub fn seconds_left(&self) -> Option<f64> {
        self.speed().map(|speed| speed * (self.work() - self.done()).max(0.0))
    }

    /// The job in work.
    pub fn current(&self) -> Option<&JobStatus> {
        self.jobs.get(&self.current?)
    }

    fn job(&mut self, job: usize, at: f64) -> &mut JobStatus {
        let status = self.jobs.entry(job).or_default();
        status.last_event = at;
        status
    }

    /// Takes an event into account that happened `at`, in seconds since 1970.
    pub fn on_event(&mut self, at: f64, event: &Event) {
        match event {
            Event::RunStarted { devices, arithmetic, .. } => {
                self.devices.clone_from(devices);
                self.arithmetic.clone_from(arithmetic);
            }
            Event::JobStarted { job, name, levels, work } => {
                self.current = Some(*job);
                let job = self.job(*job, at);
                (job.state, job.reason) = (JobState::Running, None);
                (job.levels, job.work) = (*levels, *work);
                job.name.clone_from(name);
                (job.level, job.evaluation, job.total_evaluations, job.before_level) = (0, 0, 0, 0);
                (job.done, job.done_before_level) = (0.0, 0.0);
                job.attempts += 1;
            }
            Event::JobResumed { job, level, evaluation, evaluations, done } => {
                let job = self.job(*job, at);
                (job.level, job.evaluation, job.total_evaluations, job.done) =
                    (*level, *evaluation, *evaluations, *done);
                job.before_level = evaluations.saturating_sub(*evaluation);
            }
            Event::LevelStarted {
                job, level, width, height, canvas_pixels, evaluations, ..
            } => {
                self.current = Some(*job);
                let job = self.job(*job, at);
                // Evaluations of this level that a checkpoint brought along stay.
                let resumed = if job.level == *level { job.evaluation } else { 0 };
                // Earlier builds had no guard band and did not say.
                let work = (*canvas_pixels).max(width.saturating_mul(*height)) as f64 * 1e-6;
                job.level_work = work;
                (job.level, job.level_size, job.evaluations, job.evaluation) =
                    (*level, (*width, *height), *evaluations, resumed);
                job.before_level = job.total_evaluations.saturating_sub(resumed);
                job.done_before_level = job.done - resumed as f64 * work;
            }
            Event::Evaluated { job, evaluation, losses, seconds, .. } => {
                self.current = Some(*job);
                let job = self.job(*job, at);
                let work = job.level_work;
                // It stands for those before it that the journal does not hold.
                let count = evaluation.saturating_sub(job.evaluation).max(1);
                (job.evaluation, job.losses) = (*evaluation, Some(*losses));
                job.total_evaluations = job.before_level.saturating_add(*evaluation);
                job.done = job.done_before_level + *evaluation as f64 * work;
                job.worked(at, *seconds, work * count as f64);
            }
            Event::TileFinished { job, round, tile, tiles, evaluations, seconds, .. } => {
                self.current = Some(*job);
                let job = self.job(*job, at);
                let visits = (round.saturating_sub(1)) as f64
                    + (*tile as f64 + 1.0) / (*tiles).max(1) as f64;
                let pixels = job.level_work;
                job.evaluation = (visits * *evaluations as f64) as usize;
                job.total_evaluations = job.before_level.saturating_add(job.evaluation);
                job.done = job.done_before_level + visits * *evaluations as f64 * pixels;
                job.worked(at, *seconds, pixels * *evaluations as f64 / (*tiles).max(1) as f64);
                job.checkpoint = Some(at);
            }
            Event::RoundFinished { job, losses, .. } => self.job(*job, at).losses = Some(*losses),
            Event::Checkpointed { job, .. } => self.job(*job, at).checkpoint = Some(at),
            Event::Writing { job, path } => self.job(*job, at).writing = Some(path.clone()),
            Event::JobFinished { job, path, width, height, evaluations, losses, .. } => {
                let job = self.job(*job, at);
                (job.state, job.output) = (JobState::Finished, Some(path.clone()));
                (job.size, job.total_evaluations, job.losses) =
                    ((*width, *height), *evaluations, Some(*losses));
                job.done = job.work;
            }
            Event::JobFailed { job, name, reason, retrying } => {
                let job = self.job(*job, at);
                job.name.clone_from(name);
                job.reason = Some(reason.clone());
                if !retrying {
                    job.state = JobState::Failed;
                }
            }
            Event::Interrupted { job, .. } => self.job(*job, at).state = JobState::Interrupted,
            Event::StepRejected { .. }
            | Event::CoreHalved { .. }
            | Event::DeviceLost { .. }
            | Event::Targets { .. }
            | Event::Saved { .. }
            | Event::ContactSheet { .. }
            | Event::Warning { .. } => {}
        }
    }
}
