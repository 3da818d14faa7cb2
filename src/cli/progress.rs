//! What a person sees during the work: two bars on a terminal, plain lines elsewhere.

use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::paths::shown;
use super::say::complain;
use super::status_line::{line, overall};
use crate::event::{Event, Listener, now};
use crate::files::Home;
use crate::journal::RunStatus;

/// Plain lines are at least this far apart.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// The place of the bars on standard error. The log writes through the same handle, so that its
/// lines and the bars do not mix.
#[derive(Clone)]
pub struct Bars(MultiProgress);

impl Bars {
    /// Bars that are shown or, off a terminal, not.
    pub fn new(shown: bool) -> Self {
        Self(MultiProgress::with_draw_target(if shown {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        }))
    }

    /// Whether nobody sees them.
    pub fn is_hidden(&self) -> bool {
        self.0.is_hidden()
    }

    /// Does `work` while the bars are off the screen.
    pub fn suspend<R>(&self, work: impl FnOnce() -> R) -> R {
        self.0.suspend(work)
    }
}

/// What is worth a line of its own, wherever it is printed.
fn remark(event: &Event, home: &Home) -> Option<String> {
    match event {
        Event::RunStarted { devices, .. } => Some(format!("computing on {}", devices.join(", "))),
        Event::Warning { message } => Some(format!("warning: {message}")),
        Event::JobResumed { level, evaluation, .. } => {
            Some(format!("resuming at level {}, evaluation {evaluation}", level + 1))
        }
        Event::StepRejected { evaluation, .. } => {
            Some(format!("evaluation {evaluation} went astray; back to the best picture so far"))
        }
        Event::CoreHalved { core, .. } => {
            Some(format!("no memory for a tile; computing in tiles of {core} px"))
        }
        Event::DeviceLost { device, reason, left } => {
            let left =
                if *left == 1 { "1 worker goes".into() } else { format!("{left} workers go") };
            Some(format!("warning: {device} failed and computes no more; {left} on: {reason}"))
        }
        Event::JobFailed { name, reason, retrying, .. } => Some(format!(
            "{name}: {reason}{}",
            if *retrying { "; it will be tried again" } else { "" }
        )),
        Event::Saved { path, .. } => Some(format!("saved {}", shown(home, path))),
        _ => None,
    }
}

/// Two bars: the whole run, and the picture in work.
pub struct Bar {
    bars: Bars,
    run: ProgressBar,
    job: ProgressBar,
    status: RunStatus,
    home: Home,
}

impl Bar {
    /// Bars that begin where the run stands.
    pub fn new(bars: Bars, status: RunStatus, home: Home) -> Self {
        let style = |template: &str| {
            ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
        };
        let run = bars.0.add(
            ProgressBar::new(1).with_style(style("{bar:28.green/blue} {percent:>3}%  {wide_msg}")),
        );
        let job = bars.0.add(
            ProgressBar::new(1).with_style(style("{bar:28.cyan/blue} {percent:>3}%  {wide_msg}")),
        );
        Self { bars, run, job, status, home }
    }
}

impl Listener for Bar {
    fn on_event(&mut self, event: &Event) {
        self.status.on_event(now(), event);
        if let Some(remark) = remark(event, &self.home) {
            // A line above bars that are not drawn would be lost.
            let _ = self.bars.0.println(remark);
        }
        let thousandths = |work: f64| (work * 1e3) as u64;
        self.run.set_length(thousandths(self.status.work()));
        self.run.set_position(thousandths(self.status.done()));
        self.run.set_message(overall(&self.status));
        if let Some(job) = self.status.current() {
            self.job.set_length(thousandths(job.work));
            self.job.set_position(thousandths(job.done));
            self.job.set_message(line(job));
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.job.finish_and_clear();
        self.run.finish_and_clear();
    }
}

/// Plain lines on standard error, for logs and pipes.
pub struct Lines {
    status: RunStatus,
    home: Home,
    last: Option<Instant>,
}

impl Lines {
    /// Nothing said yet of a run that stands so.
    pub fn new(status: RunStatus, home: Home) -> Self {
        Self { status, home, last: None }
    }
}

impl Listener for Lines {
    fn on_event(&mut self, event: &Event) {
        self.status.on_event(now(), event);
        if let Some(remark) = remark(event, &self.home) {
            complain!("{remark}");
        }
        let (Event::Evaluated { .. } | Event::TileFinished { .. }) = event else { return };
        let Some(job) = self.status.current() else { return };
        let due = self.last.is_none_or(|last| last.elapsed() >= LINE_EVERY);
        if due || job.evaluation == job.evaluations {
            self.last = Some(Instant::now());
            complain!("{}  {}", line(job), overall(&self.status));
        }
    }
}
