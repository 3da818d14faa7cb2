//! What a person sees during the work: two bars on a terminal, plain lines elsewhere.

use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::paths::shown;
use super::say::complain;
use super::status_line::{fitting, job_parts, joined, run_parts};
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

/// Columns of a line beside its bar and its words: a space, the percentage and two spaces.
const BESIDE_BAR: usize = 7;

/// Columns of a bar on a terminal with so many: most of a narrow one is left to the words.
fn bar_columns(columns: usize) -> usize {
    (columns / 8).clamp(4, 28)
}

/// Columns of the terminal on standard error; 80 where it does not say.
fn terminal_columns() -> usize {
    console::Term::stderr().size().1.into()
}

/// Two bars: the whole run, and the picture in work.
pub struct Bar {
    bars: Bars,
    run: ProgressBar,
    job: ProgressBar,
    status: RunStatus,
    home: Home,
    /// Asks how wide the terminal is.
    columns: fn() -> usize,
    /// How wide it was when the bars were last drawn.
    drawn: usize,
}

impl Bar {
    /// Bars that begin where the run stands.
    pub fn new(bars: Bars, status: RunStatus, home: Home) -> Self {
        Self::on(bars, status, home, terminal_columns)
    }

    fn on(bars: Bars, status: RunStatus, home: Home, columns: fn() -> usize) -> Self {
        let run = bars.0.add(ProgressBar::new(1));
        let job = bars.0.add(ProgressBar::new(1));
        Self { bars, run, job, status, home, columns, drawn: 0 }
    }

    /// Fits the bars to a terminal of so many columns.
    fn fit(&mut self, columns: usize) {
        if self.drawn == columns {
            return;
        }
        self.drawn = columns;
        for (bar, colour) in [(&self.run, "green"), (&self.job, "cyan")] {
            let length = bar_columns(columns);
            let template = format!("{{bar:{length}.{colour}/blue}} {{percent:>3}}%  {{wide_msg}}");
            let style = ProgressStyle::with_template(&template);
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        }
    }
}

impl Listener for Bar {
    fn on_event(&mut self, event: &Event) {
        self.status.on_event(now(), event);
        if let Some(remark) = remark(event, &self.home) {
            // A line above bars that are not drawn would be lost.
            let _ = self.bars.0.println(remark);
        }
        let columns = (self.columns)();
        self.fit(columns);
        let words = columns.saturating_sub(bar_columns(columns) + BESIDE_BAR);
        let thousandths = |work: f64| (work * 1e3) as u64;
        self.run.set_length(thousandths(self.status.work()));
        self.run.set_position(thousandths(self.status.done()));
        self.run.set_message(fitting(&run_parts(&self.status), words));
        if let Some(job) = self.status.current() {
            self.job.set_length(thousandths(job.work));
            self.job.set_position(thousandths(job.done));
            self.job.set_message(fitting(&job_parts(job), words));
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
            let parts = [job_parts(job), run_parts(&self.status)].concat();
            complain!("{}", joined(&parts));
        }
    }
}

#[cfg(test)]
mod tests {
    use indicatif::{InMemoryTerm, TermLike};

    use super::*;
    use crate::event::Losses;

    /// What a terminal of so many columns shows of a long night's run.
    fn shown_on(columns: fn() -> usize) -> Vec<String> {
        let terminal = InMemoryTerm::new(6, columns() as u16);
        let target = ProgressDrawTarget::term_like(Box::new(terminal.clone()));
        let bars = Bars(MultiProgress::with_draw_target(target));
        let mut status = RunStatus::default();
        for job in 0..120 {
            let waiting = Event::JobStarted { job, name: String::new(), levels: 4, work: 9e4 };
            status.on_event(0.0, &waiting);
        }
        let mut bar = Bar::on(bars, status, Home::of(std::path::Path::new("p.toml")), columns);
        let (job, level, width, height) = (7, 3, 10_800, 7200);
        let name = "a-photograph-with-a-long-name-the-starry-night.tiff".to_owned();
        bar.on_event(&Event::JobStarted { job, name, levels: 4, work: 9e4 });
        let started = Event::LevelStarted {
            job,
            level,
            levels: 4,
            width,
            height,
            canvas_pixels: width * height,
            evaluations: 300,
            tiles: 9,
        };
        bar.on_event(&started);
        // A bar is drawn at most so often.
        std::thread::sleep(Duration::from_millis(200));
        let losses = Losses::new(1.234e6, 5.678e6, 0.0);
        for evaluation in 1..=12 {
            bar.on_event(&Event::Evaluated { job, level, evaluation, losses, seconds: 1000.0 });
        }
        bar.run.force_draw();
        bar.job.force_draw();
        assert_eq!(usize::from(terminal.width()), columns());
        terminal.contents().lines().map(str::to_owned).collect()
    }

    #[test]
    fn bars_of_narrow_terminals_show_the_time_left_and_the_evaluation() {
        for columns in [(|| 60) as fn() -> usize, || 80, || 100, || 200] {
            let lines = shown_on(columns);
            let wide = columns();
            let [run, job] = lines.as_slice() else { panic!("two bars at {wide}: {lines:#?}") };
            assert!(run.contains("left 38576 h 54 min"), "{wide}: {run}");
            assert!(run.contains("0/120 pictures"), "{wide}: {run}");
            assert!(job.contains("evaluation 12/300  level 4/4 10800x7200"), "{wide}: {job}");
            assert_eq!(job.contains("loss 6.912e6"), wide >= 80, "{wide}: {job}");
            assert_eq!(job.contains("a-photograph-with"), wide >= 200, "{wide}: {job}");
            for line in [run, job] {
                let bar = line.chars().take_while(|c| "█▓▒░".contains(*c)).count();
                assert_eq!(bar, bar_columns(wide), "{line}");
                assert!(line.chars().count() <= wide, "{line}");
            }
        }
    }
}
