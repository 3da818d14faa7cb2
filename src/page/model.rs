//! The run as the page shows it, in JSON.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::curves::{Curve, Curves};
use super::images::{Order, Scale, Subject, Zoom, ZoomSource};
use super::recipe::{larger_command, recipe, resume_command};
use crate::config::{partial_path, preview_path};
use crate::event::{Event, Losses, now};
use crate::files::{FileId, name_text, path_text};
use crate::image::Limits;
use crate::journal::{JobState, JobStatus, JournalError, RunReader, RunSnapshot, level_preview};
use crate::plan::{Framing, JobRecord};
use crate::render::RenderError;

/// Warnings that are kept to be shown.
const WARNINGS: usize = 50;

/// A run, read again and again, as the page shows it.
#[derive(Debug)]
pub struct Page {
    reader: RunReader,
    curves: Curves,
    warnings: Vec<String>,
    version: u64,
}

impl Page {
    /// The page of a run directory.
    ///
    /// # Errors
    /// When there is no run, or its files are damaged or of another version.
    pub fn open(directory: &Path) -> Result<Self, JournalError> {
        let reader = RunReader::open(directory)?;
        let mut page = Self { reader, curves: Curves::default(), warnings: Vec::new(), version: 0 };
        page.advance()?;
        Ok(page)
    }

    /// Reads what is new of the run.
    ///
    /// # Errors
    /// When its events are damaged or of another version.
    pub fn advance(&mut self) -> Result<(), JournalError> {
        let Self { reader, curves, warnings, version } = self;
        let changed = reader.advance(&mut |_, event| {
            curves.on_event(event);
            warnings.extend(warning(event));
        })?;
        warnings.drain(..warnings.len().saturating_sub(WARNINGS));
        *version += u64::from(changed);
        Ok(())
    }

    /// Counts what has changed since the page was opened.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The run as it was last read.
    pub fn run(&self) -> &RunSnapshot {
        self.reader.snapshot()
    }

    /// Every job that counts, with where it stands.
    pub(super) fn jobs(&self) -> impl Iterator<Item = (&JobRecord, &JobStatus)> {
        let run = self.run();
        run.jobs.iter().filter_map(|job| Some((job, run.status.jobs.get(&job.index)?)))
    }

    /// The job of a number, if it counts.
    pub(super) fn job(&self, number: usize) -> Option<(&JobRecord, &JobStatus)> {
        let run = self.run();
        let status = run.status.jobs.get(&number)?;
        // Numbers follow the order of the jobs.
        let job = run.jobs.get(number).filter(|job| job.index == number);
        Some((job.or_else(|| run.jobs.iter().find(|job| job.index == number))?, status))
    }

    /// By job, the first one that shows the same part of the same content image: variants share the
    /// view of their photograph.
    pub(super) fn first_with_content(&self) -> HashMap<usize, usize> {
        let mut seen: HashMap<(&FileId, [u64; 4], [usize; 3]), usize> = HashMap::new();
        let mut first = HashMap::new();
        for (job, _) in self.jobs() {
            let Framing { crop, width, height, guard, .. } = &job.framing;
            let part = (&job.content, crop.map(f64::to_bits), [*width, *height, *guard]);
            first.insert(job.index, *seen.entry(part).or_insert(job.index));
        }
        first
    }

    /// The subjects of all style images, each once.
    pub(super) fn styles(&self) -> HashMap<FileId, Subject> {
        let mut subjects = HashMap::new();
        for (job, _) in self.jobs() {
            for (number, id) in styles(job).into_iter().enumerate() {
                subjects.entry(id).or_insert(Subject::Style(job.index, number));
            }
        }
        subjects
    }

    /// The run in one view. `live` says that it is asked for again.
    pub(super) fn overview(&self, live: bool) -> Overview<'_> {
        let (run, status) = (self.run(), &self.run().status);
        let levels = run.jobs.iter().flat_map(|job| &job.levels);
        let (first, subjects) = (self.first_with_content(), self.styles());
        let pictures = self.jobs().map(|(job, status)| {
            self.line(job, status, first.get(&job.index).copied().unwrap_or(job.index), &subjects)
        });
        Overview {
            problem: None,
            pictures: pictures.collect(),
            live,
            version: self.version,
            name: run.directory.file_name().map(name_text).unwrap_or_default(),
            directory: path_text(&run.directory),
            pipeline: &run.pipeline,
            state: run.overall_state(),
            process: run.owner.as_ref().map(ToString::to_string),
            started: run.started,
            now: now(),
            work: status.work(),
            done: status.done(),
            seconds: status.jobs.values().map(|job| job.seconds).sum(),
            seconds_left: status.seconds_left(),
            devices: &status.devices,
            arithmetic: &status.arithmetic,
            memory: levels.map(|level| level.memory_bytes).max().unwrap_or(0),
            warnings: &self.warnings,
            resume: resume_command(run),
        }
    }

    fn line(
        &self,
        job: &JobRecord,
        status: &JobStatus,
        content: usize,
        subjects: &HashMap<FileId, Subject>,
    ) -> Line {
        let run = self.run();
        let state = run.state(status);
        let shown = self.shown(job, status);
        let styles = styles(job);
        Line {
            job: job.index,
            name: job.name.clone(),
            state,
            content: file_name(&job.content),
            styles: styles.iter().map(file_name).collect(),
            variant: job.variant.clone(),
            width: job.framing.width,
            height: job.framing.height,
            level: status.level,
            levels: job.levels.len(),
            evaluation: status.evaluation,
            evaluations: status.evaluations,
            total_evaluations: status.total_evaluations,
            part: if status.work > 0.0 { (status.done / status.work).min(1.0) } else { 0.0 },
            losses: status.losses,
            seconds: status.seconds,
            seconds_left: status
                .speed
                .filter(|_| matches!(state, JobState::Running | JobState::Interrupted))
                .map(|speed| speed * (status.work - status.done).max(0.0)),
            reason: status.reason.clone().filter(|_| !status.is_finished()),
            content_thumb: Subject::Content(content).url(Scale::Thumb),
            content_view: Subject::Content(content).url(Scale::View),
            style_thumbs: styles
                .iter()
                .filter_map(|id| Some(subjects.get(id)?.url(Scale::Thumb)))
                .collect(),
            thumb: shown.map(|subject| subject.url(Scale::Thumb)),
            view: shown.map(|subject| subject.url(Scale::View)),
            stamp: match (shown, state) {
                (Some(Subject::Level(_, level)), _) => (status.attempts * 1000 + level) as u64,
                (_, JobState::Running) => status.attempts as u64,
                _ => (status.last_event * 1e3) as u64,
            },
        }
    }

    /// The picture that stands for a job: its result, or how far it is.
    pub(super) fn shown(&self, job: &JobRecord, status: &JobStatus) -> Option<Subject> {
        if status.is_finished() {
            return Some(Subject::Result(job.index));
        }
        if status.attempts == 0 {
            return None;
        }
        let last = (0..job.levels.len()).rev().find(|level| self.level(job, *level).is_some());
        match last {
            Some(level) => Some(Subject::Level(job.index, level)),
            None => self.so_far(job).map(|_| Subject::Result(job.index)),
        }
    }

    /// The view of the picture that was worked on last, made in `folder`; nothing when there is none.
    pub fn latest_view(
        &self,
        folder: &Path,
        limits: &Limits,
    ) -> Option<Result<PathBuf, RenderError>> {
        let shown = |(job, status): (&JobRecord, &JobStatus)| {
            Some((status.last_event, self.shown(job, status)?))
        };
        let latest = self.jobs().filter_map(shown).max_by(|a, b| a.0.total_cmp(&b.0));
        let (_, subject) = latest?;
        Some(self.order(subject)?.make(folder, subject, Scale::View, limits))
    }

    /// The preview of a finished level, where it was kept.
    fn level(&self, job: &JobRecord, level: usize) -> Option<PathBuf> {
        let path = level_preview(&self.run().directory, job.index, level);
        path.is_file().then_some(path)
    }

    /// A picture of a job that is not finished.
    fn so_far(&self, job: &JobRecord) -> Option<PathBuf> {
        let output = self.run().home.locate(&job.output);
        [preview_path(&output), partial_path(&output)].into_iter().find(|path| path.is_file())
    }

    /// The file of a finished picture.
    pub(super) fn output(&self, job: &JobRecord, status: &JobStatus) -> Option<PathBuf> {
        let output = status.output.as_ref().filter(|_| status.is_finished())?;
        debug_assert_eq!(output, &job.output);
        Some(self.run().home.locate(output))
    }

    /// How the view of a subject is made; nothing when there is nothing to show.
    pub(super) fn order(&self, subject: Subject) -> Option<Order> {
        let (job, _) = self.job(subject.job())?;
        let framing = matches!(subject, Subject::Content(_)).then_some(job.framing);
        Some(Order::new(self.file(subject)?, framing))
    }

    /// The file that shows a subject.
    fn file(&self, subject: Subject) -> Option<PathBuf> {
        let (job, status) = self.job(subject.job())?;
        let home = &self.run().home;
        match subject {
            Subject::Content(_) => Some(home.locate(&job.content)),
            Subject::Style(_, number) => styles(job).get(number).map(|id| home.locate(id)),
            Subject::Level(_, level) => self.level(job, level),
            Subject::Result(_) => self.output(job, status).or_else(|| self.so_far(job)),
        }
    }

    /// All about one picture. `zoom` says where its pixels are found.
    pub(super) fn picture(
        &self,
        number: usize,
        zoom: &dyn Fn(&JobRecord, ZoomSource) -> Zoom,
    ) -> Option<PictureView<'_>> {
        let (job, status) = self.job(number)?;
        let run = self.run();
        let output = self.output(job, status);
        let finished = output.as_deref().filter(|path| path.is_file());
        let levels = job.levels.iter().enumerate().map(|(number, level)| {
            let inside = job.framing.picture_in((level.width, level.height));
            let kept = self.level(job, number).is_some();
            LevelView {
                width: inside.width,
                height: inside.height,
                evaluations: level.evaluations,
                execution: serde_json::to_value(level.execution).unwrap_or_default(),
                reason: &level.reason,
                memory: level.memory_bytes,
                thumb: kept.then(|| Subject::Level(job.index, number).url(Scale::Thumb)),
                view: kept.then(|| Subject::Level(job.index, number).url(Scale::View)),
            }
        });
        Some(PictureView {
            job: job.index,
            version: self.version,
            print: job.framing.print,
            bleed: job.framing.bleed,
            guard: job.framing.guard,
            content_size: job.framing.content,
            file: path_text(&run.home.locate(&job.output)),
            levels: levels.collect(),
            curve: self.curves.of(number),
            settings: &job.settings,
            recipe: recipe(run, job),
            resume: resume_command(run),
            larger: larger_command(run, job).filter(|_| status.is_finished()),
            zoom: finished.map(|path| zoom(job, ZoomSource::of(path, &job.framing))),
        })
    }
}

/// What an event says that the user should know.
fn warning(event: &Event) -> Option<String> {
    match event {
        Event::Warning { message } => Some(message.clone()),
        Event::DeviceLost { device, reason, .. } => Some(format!("{device}: {reason}")),
        Event::JobFailed { name, reason, retrying: true, .. } => {
            Some(format!("{name}: {reason}; it is tried again"))
        }
        _ => None,
    }
}

/// The style images of a job.
fn styles(job: &JobRecord) -> Vec<FileId> {
    let styles = job.settings.get("style").and_then(Value::as_array).into_iter().flatten();
    styles.filter_map(|style| FileId::deserialize(style.get("image")?).ok()).collect()
}

fn file_name(id: &FileId) -> String {
    id.as_path().file_name().map(name_text).unwrap_or_default()
}

/// The run in one view.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Overview<'a> {
    /// Why the run can no longer be read, in words.
    pub problem: Option<String>,
    live: bool,
    version: u64,
    name: String,
    directory: String,
    pipeline: &'a str,
    state: &'static str,
    /// The process at work, in words.
    process: Option<String>,
    /// Seconds since 1970.
    started: f64,
    now: f64,
    /// Megapixel-evaluations.
    work: f64,
    done: f64,
    /// Seconds of work so far.
    seconds: f64,
    seconds_left: Option<f64>,
    devices: &'a [String],
    arithmetic: &'a str,
    /// The most bytes that a level was planned with.
    memory: u64,
    warnings: &'a [String],
    resume: String,
    pictures: Vec<Line>,
}

/// One picture among the others.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    job: usize,
    name: String,
    state: JobState,
    content: String,
    styles: Vec<String>,
    variant: Option<String>,
    width: usize,
    height: usize,
    level: usize,
    levels: usize,
    evaluation: usize,
    evaluations: usize,
    total_evaluations: usize,
    /// The part of its work that is done.
    part: f64,
    losses: Option<Losses>,
    seconds: f64,
    seconds_left: Option<f64>,
    reason: Option<String>,
    content_thumb: String,
    content_view: String,
    style_thumbs: Vec<String>,
    thumb: Option<String>,
    view: Option<String>,
    /// Changes when the picture may have changed.
    stamp: u64,
}

/// All about one picture that its line does not say.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PictureView<'a> {
    job: usize,
    version: u64,
    print: Option<crate::plan::Print>,
    bleed: usize,
    guard: usize,
    content_size: [usize; 2],
    file: String,
    levels: Vec<LevelView<'a>>,
    curve: Option<&'a Curve>,
    settings: &'a Value,
    recipe: String,
    resume: String,
    larger: Option<String>,
    zoom: Option<Zoom>,
}

/// A level of a picture.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct LevelView<'a> {
    width: usize,
    height: usize,
    evaluations: usize,
    execution: Value,
    reason: &'a str,
    memory: u64,
    thumb: Option<String>,
    view: Option<String>,
}
