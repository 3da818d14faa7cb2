//! One job from the content image to the finished file.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use crate::config::{partial_path, preview_path};
use crate::event::{CancellationToken, Event, Losses, Watcher};
use crate::files::{self, NamedFile};
use crate::image::Encoding;
use crate::journal::Checkpoints;
use crate::plan::{Job, Level};
use crate::render::context::RenderContext;
use crate::render::error::RenderError;
use crate::render::finish::Finish;
use crate::render::level::LevelRun;
use crate::render::progress::{Progress, ResumePoint, Start};
use crate::render::store::canvas::{resized, starting_canvas};
use crate::render::store::content::ContentImage;
use crate::render::store::stage::{Canvas, resized_file, written_by_bands};
use crate::render::store::unchanged::refuse_changed;

/// A canvas that is ready to be written, and what it took.
pub struct FinishedCanvas {
    /// The pixels.
    pub canvas: Canvas,
    /// Evaluations in all levels.
    pub evaluations: usize,
    /// Its losses.
    pub losses: Losses,
    /// How its picture is encoded.
    encoding: Encoding,
    /// The folder that a canvas in a file lies in, where no run directory keeps it.
    _files: Option<tempfile::TempDir>,
}

/// How painting ended.
pub enum RenderOutcome {
    /// The last level is over.
    Finished(Box<FinishedCanvas>),
    /// Stopped on request; the picture so far lies beside the final name.
    Interrupted {
        /// The picture so far.
        partial: NamedFile,
    },
}

/// Climbs the pyramid of `job`, painted from `content`, from where `checkpoints` left it, and keeps
/// in them what a resumed run needs.
///
/// # Errors
/// When an input cannot be read or has changed, a file cannot be written, or the computation fails.
pub fn paint(
    job: &Job,
    content: &ContentImage,
    context: &mut RenderContext<'_>,
    checkpoints: Option<&mut Checkpoints>,
    watcher: &mut Watcher<'_>,
) -> Result<RenderOutcome, RenderError> {
    // What cannot be written is reported before the work and not after it.
    let finish = Finish::new(job, context.settings, content, context.engine.weights().sha256())?;
    if let Some(profile) = job.settings.color.output_profile.path() {
        refuse_changed(profile, context.digests)?;
    }
    for note in content.source().notes.iter().chain(finish.warnings()) {
        watcher.warn(format!("{}: {note}", job.content.display()));
    }
    let (mut climb, first) = Climb::start(job, content, &finish, checkpoints, watcher)?;
    for number in first..job.levels.len() {
        if let ControlFlow::Break(so_far) = climb.level(number, context, watcher)? {
            return interrupted(job, &finish, &so_far, watcher);
        }
    }
    let Climb { below, progress, scratch, .. } = climb;
    Ok(RenderOutcome::Finished(Box::new(FinishedCanvas {
        canvas: below.ok_or(RenderError::Broken("a picture has no level"))?,
        evaluations: progress.evaluations,
        losses: progress.losses,
        encoding: finish.into_encoding(),
        _files: scratch,
    })))
}

/// Leaves the picture so far beside the final name.
fn interrupted(
    job: &Job,
    finish: &Finish<'_>,
    canvas: &Canvas,
    watcher: &mut Watcher<'_>,
) -> Result<RenderOutcome, RenderError> {
    let partial = job.output.beside(partial_path);
    finish.write(canvas, &partial)?;
    let path = Some(partial.id.clone());
    watcher.listener.on_event(&Event::Interrupted { job: job.index, path });
    Ok(RenderOutcome::Interrupted { partial })
}

/// A job on its way from level to level.
struct Climb<'a> {
    job: &'a Job,
    content: &'a ContentImage,
    finish: &'a Finish<'a>,
    progress: Progress<'a>,
    /// The result of the level below.
    below: Option<Canvas>,
    /// Where to begin in the next level, if the job was interrupted within it.
    resumed: Option<Start>,
    /// Where levels in rounds have their files, if the run has no directory.
    scratch: Option<tempfile::TempDir>,
}

impl<'a> Climb<'a> {
    /// A job where its checkpoints left it, and the number of its next level.
    fn start(
        job: &'a Job,
        content: &'a ContentImage,
        finish: &'a Finish<'a>,
        checkpoints: Option<&'a mut Checkpoints>,
        watcher: &mut Watcher<'_>,
    ) -> Result<(Self, usize), RenderError> {
        let mut progress = Progress::new(checkpoints);
        let at = progress.resume(job, watcher)?;
        let ResumePoint { level: first, canvas: below, within } =
            at.unwrap_or(ResumePoint { level: 0, canvas: None, within: None });
        let in_rounds = job.levels.iter().any(Level::runs_in_rounds);
        let scratch = match progress.checkpoints {
            None if in_rounds => Some(files::temporary_directory(&job.output)?),
            _ => None,
        };
        let resumed = within.map(Start::Within);
        Ok((Self { job, content, finish, progress, below, resumed, scratch }, first))
    }

    /// Computes a level. It breaks with the picture so far when a stop was requested.
    fn level(
        &mut self,
        number: usize,
        context: &mut RenderContext<'_>,
        watcher: &mut Watcher<'_>,
    ) -> Result<ControlFlow<Canvas>, RenderError> {
        let files = self.files(number)?;
        let files = files.as_deref();
        let start = match self.level_start(number, files, context, watcher) {
            Err(error) if error.is_cancelled() => {
                return self.below.take().map(ControlFlow::Break).ok_or(error);
            }
            start => start?,
        };
        let content = self.level_content(number, files, watcher.cancellation);
        let prepared = content.and_then(|content| {
            let (job, finish) = (self.job, self.finish);
            let run = LevelRun::prepare(job, number, finish, files, &content, context, watcher)?;
            Ok((content, run))
        });
        let (content, run) = match prepared {
            Err(error) if error.is_cancelled() => {
                return Ok(ControlFlow::Break(start.into_canvas()));
            }
            prepared => prepared?,
        };
        let canvas = run.climb(content, start, watcher, &mut self.progress)?;
        if self.progress.interrupted {
            return Ok(ControlFlow::Break(canvas));
        }
        // A level shows what the print will look like, long before it is there.
        if number + 1 < self.job.levels.len() {
            let preview = self.finish.write_preview(&canvas)?;
            if let Some(checkpoints) = &self.progress.checkpoints
                && let Err(error) = checkpoints.keep_preview(self.job.index, number, &preview)
            {
                watcher.warn(error.to_string());
            }
            watcher.listener.on_event(&Event::Saved { job: self.job.index, path: preview.id });
        }
        self.progress.keep_level(self.job, number, &canvas, watcher)?;
        self.below = Some(canvas);
        Ok(ControlFlow::Continue(()))
    }

    /// Where a level in rounds finds its canvases and leaves its own.
    fn files(&self, number: usize) -> Result<Option<PathBuf>, RenderError> {
        if !self.job.levels[number].runs_in_rounds() {
            return Ok(None);
        }
        Ok(match &self.progress.checkpoints {
            Some(checkpoints) => Some(checkpoints.level_directory(number)?),
            None => self.scratch.as_ref().map(|scratch| scratch.path().to_path_buf()),
        })
    }

    /// What a level begins with: its own middle, the result of the level below, or the first canvas.
    fn level_start(
        &mut self,
        number: usize,
        files: Option<&Path>,
        context: &RenderContext<'_>,
        watcher: &mut Watcher<'_>,
    ) -> Result<Start, RenderError> {
        if let Some(start) = self.resumed.take() {
            return Ok(start);
        }
        let level = &self.job.levels[number];
        let canvas = match &self.below {
            Some(below) => enlarged(below, number, level, files, watcher.cancellation)?,
            None => Canvas::Memory(self.first_canvas(level, context, watcher)?),
        };
        if let Some(below) = self.below.take()
            && self.progress.checkpoints.is_none()
        {
            below.remove()?;
        }
        Ok(Start::Canvas(canvas))
    }

    /// The canvas before the first evaluation.
    fn first_canvas(
        &self,
        level: &Level,
        context: &RenderContext<'_>,
        watcher: &mut Watcher<'_>,
    ) -> Result<candle_core::Tensor, RenderError> {
        let (start, size) = (&self.job.settings.start, (level.width, level.height));
        let content = (self.content, &self.job.framing);
        let (canvas, notes) = starting_canvas(start, content, size, context.limits)?;
        if let Some(picture) = start.picture() {
            refuse_changed(picture, context.digests)?;
        }
        notes.into_iter().for_each(|note| watcher.warn(note));
        Ok(canvas)
    }

    /// The content at a level's size: in a file of `files` where the level wants it there.
    fn level_content(
        &self,
        number: usize,
        files: Option<&Path>,
        cancellation: &CancellationToken,
    ) -> Result<Canvas, RenderError> {
        let Level { width, height, .. } = self.job.levels[number];
        let Some(files) = files else {
            return Ok(Canvas::Memory(self.content.tensor(width, height)?));
        };
        let path = files.join(format!("level-{}-content.canvas", number + 1));
        let band = |top, rows| Ok(self.content.rows((width, height), top..top + rows));
        Ok(Canvas::File(written_by_bands((width, height), &path, cancellation, band)?))
    }
}

/// The canvas of the level below at a level's size.
fn enlarged(
    below: &Canvas,
    number: usize,
    level: &Level,
    files: Option<&Path>,
    cancellation: &CancellationToken,
) -> Result<Canvas, RenderError> {
    let size = (level.width, level.height);
    match files {
        Some(files) => {
            let path = files.join(format!("level-{}-start.canvas", number + 1));
            Ok(Canvas::File(resized_file(below, size, &path, cancellation)?))
        }
        None => Ok(Canvas::Memory(resized(&below.tensor()?, size.0, size.1)?)),
    }
}

/// A picture under its final name.
#[derive(Debug, Default)]
pub struct Delivery {
    /// What was written beside it.
    pub companions: Vec<NamedFile>,
    /// What failed once the picture was there.
    pub warnings: Vec<String>,
}

/// Writes a finished canvas under the job's name, with its companions, and removes the picture that
/// an interruption and the preview that the levels left beside it. The picture is delivered when it
/// has its name: what fails from there on is a warning.
///
/// # Errors
/// When a file cannot be written. Nothing appears under the output's name then.
pub fn deliver(
    job: &Job,
    content: &ContentImage,
    finished: &FinishedCanvas,
) -> Result<Delivery, RenderError> {
    let finish = Finish::with_encoding(job, content, finished.encoding.clone());
    let mut delivery = Delivery::default();
    match finish.complete(&finished.canvas) {
        Ok(companions) => delivery.companions = companions,
        Err(error) if error.is_of_delivered(&job.output) => {
            delivery.warnings.push(error.to_string());
        }
        Err(error) => return Err(error),
    }
    let mut needless = vec![partial_path(&job.output)];
    if !job.settings.output.preview && job.levels.len() > 1 {
        needless.push(preview_path(&job.output));
    }
    for path in needless {
        match std::fs::remove_file(&path) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                let error = files::Error::Io { action: "remove", path, source };
                delivery.warnings.push(error.to_string());
            }
            _ => {}
        }
    }
    Ok(delivery)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Limits;
    use crate::plan::{Source, Sources, plan_job};

    #[test]
    fn what_fails_when_the_picture_has_its_name_is_a_warning() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = |name: &str| folder.path().join(name);
        let photo =
            ::image::RgbImage::from_fn(192, 128, |x, y| ::image::Rgb([x as u8, y as u8, 9]));
        photo.save(file("photo.png")).expect("saved");
        let keys = "input.content = 'photo.png'\nstyle.image = 'photo.png'\noutput.scale = 1.0\n\
                    pyramid.short-side-px = 64";
        std::fs::write(file("pipeline.toml"), keys).expect("written");
        let config = crate::config::load(&file("pipeline.toml"), &[]).expect("a pipeline");
        let source = Source::plain(192, 128);
        let sources = Sources { content: source, styles: vec![source], start: None };
        let job = plan_job(&config, &config.outputs()[0], 0, &sources, 8 << 30).expect("a job");
        assert_eq!(job.levels.len(), 2, "a preview is left after the first level");

        let content = ContentImage::open(&job.content, &job.framing, &Limits::default());
        let content = content.expect("decoded");
        let encoding =
            Finish::new(&job, &config.run, &content, "00").expect("writable").into_encoding();
        let pixels = candle_core::Tensor::zeros(
            (3, 128, 192),
            candle_core::DType::F32,
            &candle_core::Device::Cpu,
        );
        let canvas = Canvas::Memory(pixels.expect("a canvas"));
        let (evaluations, losses) = (1, Losses::default());
        let finished = FinishedCanvas { canvas, evaluations, losses, encoding, _files: None };
        // What cannot be removed as a file.
        std::fs::create_dir_all(preview_path(&job.output)).expect("made");
        let delivery = deliver(&job, &content, &finished).expect("delivered");
        assert!(job.output.is_file());
        let [warning] = &delivery.warnings[..] else { panic!("{:?}", delivery.warnings) };
        assert!(warning.contains("preview"), "{warning}");

        // Before it has its name, it fails.
        let again = deliver(&job, &content, &finished).expect_err("a picture is in the way");
        assert!(!again.is_of_delivered(&job.output), "{again}");
        let unsynced = |path: &Path| files::Error::Unsynced {
            path: path.to_path_buf(),
            source: std::io::ErrorKind::Other.into(),
        };
        assert!(RenderError::from(unsynced(&job.output)).is_of_delivered(&job.output));
        let of_picture = RenderError::Image(unsynced(&job.output).into());
        assert!(of_picture.is_of_delivered(&job.output));
        let of_preview = RenderError::from(unsynced(&preview_path(&job.output)));
        assert!(!of_preview.is_of_delivered(&job.output), "its picture follows");
    }
}
