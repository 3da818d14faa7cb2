//! What a person sees while the work goes on: a bar on a terminal, plain lines elsewhere.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::say::complain;
use super::style::{duration, loss};
use crate::event::{Event, Listener, Losses};

/// Plain lines are at least this far apart.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// Where the work stands, kept up to date from events.
#[derive(Default)]
struct Standing {
    jobs: usize,
    job: usize,
    name: String,
    levels: usize,
    level: usize,
    size: (usize, usize),
    evaluations: usize,
    evaluation: usize,
    losses: Losses,
    /// Megapixel-evaluations: all, done, and done by finished jobs.
    work: f64,
    done: f64,
    job_work: f64,
    before_job: f64,
    /// Seconds of evaluations so far.
    seconds: f64,
}

impl Standing {
    fn hear(&mut self, event: &Event) {
        match event {
            Event::RunStarted { jobs, work, .. } => (self.jobs, self.work) = (*jobs, *work),
            Event::JobStarted { job, name, levels, work } => {
                (self.job, self.levels, self.job_work) = (*job, *levels, *work);
                self.name.clone_from(name);
                self.before_job = self.done;
            }
            Event::LevelStarted { level, width, height, evaluations, .. } => {
                (self.level, self.size, self.evaluations, self.evaluation) = (*level, (*width, *height), *evaluations, 0);
            }
            Event::Evaluated { evaluation, losses, seconds, .. } => {
                (self.evaluation, self.losses) = (*evaluation, *losses);
                self.done += (self.size.0 * self.size.1) as f64 * 1e-6;
                self.seconds += seconds;
            }
            Event::TileFinished { round, tile, tiles, evaluations, seconds, .. } => {
                self.evaluation = (round - 1) * evaluations + evaluations * (tile + 1) / tiles;
                self.done += (self.size.0 * self.size.1 * evaluations) as f64 * 1e-6 / *tiles as f64;
                self.seconds += seconds;
            }
            Event::RoundFinished { losses, .. } => self.losses = *losses,
            // A job that ends early (failed, or nothing left to do) takes its whole share with it.
            Event::JobFinished { .. } | Event::JobFailed { .. } => self.done = self.before_job + self.job_work,
            _ => {}
        }
    }

    fn left(&self) -> String {
        if self.evaluation < 2 || self.done <= 0.0 {
            return "estimating".into();
        }
        duration(self.seconds / self.done * (self.work - self.done))
    }

    fn line(&self) -> String {
        let job = if self.jobs > 1 { format!("{} ({}/{})  ", self.name, self.job + 1, self.jobs) } else { String::new() };
        format!(
            "{job}level {}/{} {}x{}  evaluation {}/{}  content {}  style {}  variation {}  left {}",
            self.level + 1,
            self.levels,
            self.size.0,
            self.size.1,
            self.evaluation,
            self.evaluations,
            loss(self.losses.content),
            loss(self.losses.style),
            loss(self.losses.variation),
            self.left()
        )
    }
}

/// A progress bar on standard error.
pub struct Bar {
    bar: ProgressBar,
    standing: Standing,
}

impl Bar {
    /// A bar that has not begun. The log writes through the same handle, so that its lines and the bar do not mix.
    pub fn new(bar: ProgressBar) -> Self {
        let style =
            ProgressStyle::with_template("{bar:28.cyan/blue} {percent:>3}%  {wide_msg}").unwrap_or_else(|_| ProgressStyle::default_bar());
        bar.set_style(style);
        Self { bar, standing: Standing::default() }
    }
}

impl Listener for Bar {
    fn hear(&mut self, event: &Event) {
        self.standing.hear(event);
        match event {
            Event::RunStarted { devices, .. } => self.bar.println(format!("computing on {}", devices.join(", "))),
            Event::Warning { message } => self.bar.println(format!("warning: {message}")),
            Event::StepRejected { evaluation, .. } => {
                self.bar.println(format!("evaluation {evaluation} went astray; back to the best picture so far"));
            }
            Event::CoreHalved { core, .. } => self.bar.println(format!("no memory for a tile; computing in tiles of {core} px")),
            Event::JobFailed { name, reason, .. } => self.bar.println(format!("{name}: {reason}")),
            Event::Saved { path, .. } => self.bar.println(format!("saved {}", path.display())),
            _ => {}
        }
        self.bar.set_length((self.standing.work * 1e3) as u64);
        self.bar.set_position((self.standing.done * 1e3) as u64);
        self.bar.set_message(self.standing.line());
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// Plain lines on standard error, for logs and pipes.
pub struct Lines {
    standing: Standing,
    last: Option<Instant>,
}

impl Lines {
    /// Nothing said yet.
    pub fn new() -> Self {
        Self { standing: Standing::default(), last: None }
    }
}

impl Listener for Lines {
    fn hear(&mut self, event: &Event) {
        self.standing.hear(event);
        match event {
            Event::RunStarted { devices, .. } => complain!("computing on {}", devices.join(", ")),
            Event::Warning { message } => complain!("warning: {message}"),
            Event::StepRejected { evaluation, .. } => {
                complain!("evaluation {evaluation} went astray; back to the best picture so far");
            }
            Event::CoreHalved { core, .. } => complain!("no memory for a tile; computing in tiles of {core} px"),
            Event::JobFailed { name, reason, .. } => complain!("{name}: {reason}"),
            Event::Saved { path, .. } => complain!("saved {}", path.display()),
            Event::Evaluated { .. } | Event::TileFinished { .. } => {
                let due = self.last.is_none_or(|last| last.elapsed() >= LINE_EVERY);
                if due || self.standing.evaluation == self.standing.evaluations {
                    self.last = Some(Instant::now());
                    complain!("{}", self.standing.line());
                }
            }
            _ => {}
        }
    }
}
