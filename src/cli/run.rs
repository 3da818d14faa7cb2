//! `impasto run`.

use std::collections::BTreeSet;
use std::io::IsTerminal;
use std::path::Path;
use std::time::{Duration, Instant};

use tracing_subscriber::filter::Targets;
use tracing_subscriber::prelude::*;

use super::args::RunArguments;
use super::paths::near;
use super::progress::{Bar, Bars, Lines};
use super::say::{complain, say};
use super::watch::{JsonLines, LossLog};
use super::{Exit, Failure};
use super::{budget, devices, sheet, signals, table};
use crate::batch::{self, Collection, JobError, PrepareOptions, Summary};
use crate::config::{Config, Like, MetadataFrom, OutputFile, Variant};
use crate::event::CancellationToken;
use crate::event::Listeners;
use crate::event::Watcher;
use crate::files::{Home, name_text};
use crate::image::{self, Limits};
use crate::journal::{Locking, RunStatus};
use crate::page::quoted;
use crate::plan::{Job, Plan, PlanError, small_scans};

/// Reading the content images is reported when it takes longer than this, and again as often.
const READING: Duration = Duration::from_secs(2);

/// `impasto run`.
pub fn run(arguments: &RunArguments) -> Result<Exit, Failure> {
    let config = load(&arguments.pipeline, &arguments.overrides, arguments.like.as_deref())?;
    let devices = devices::choose(&config)?;
    devices.check()?;
    let (plan, unplanned) = batch::plan_on(&config, devices.for_plan());
    if !arguments.quiet {
        warn(&config, &plan);
    }
    report_unplanned(&unplanned);
    if plan.jobs.is_empty() {
        return Ok(nothing_planned(&unplanned));
    }
    // What is too large to be decoded has been refused with the plan.
    let limits = Limits::bytes(plan.memory.bytes);
    let weights = devices::weights(&config)?;
    let mut report_reading = report_reading(arguments.quiet || arguments.json);
    let options = PrepareOptions {
        restart: arguments.restart,
        locking: if arguments.no_lock { Locking::IfPossible } else { Locking::Required },
        on_read: Some(&mut report_reading),
    };
    let mut collection = batch::prepare(&config, plan, weights.sha256(), options)?;
    if collection.pending().is_empty() {
        let exit = nothing_left(&collection, unplanned.len(), arguments);
        let sheet = sheet::write(&config, &mut collection, false, &limits, arguments);
        return Ok(if exit == Exit::Done { sheet } else { exit });
    }
    if !arguments.quiet {
        warn_of_small_scans(collection.pending());
    }
    if !arguments.quiet && !arguments.json {
        let directory = quoted(&collection.directory().to_string_lossy());
        complain!("to see it in the browser: impasto view {directory} --open");
    }
    let mut engine = devices.engine(weights)?;

    let cancellation = CancellationToken::new();
    signals::watch(&cancellation)
        .map_err(|e| Failure::Internal(format!("cannot listen for Ctrl-C: {e}")))?;
    let limited = budget::limited(&cancellation, &config.run.budget);
    let bars = Bars::new(std::io::stderr().is_terminal() && !arguments.json && !arguments.quiet);
    start_log(arguments.verbose, arguments.quiet, bars.clone());
    let mut listeners = Listeners::new();
    listeners.add(LossLog::new(config.run.watch.print_every));
    match (arguments.json, arguments.quiet) {
        (true, _) => listeners.add(JsonLines),
        (_, true) => {}
        _ if bars.is_hidden() => {
            listeners.add(Lines::new(collection.status(), config.home.clone()));
        }
        _ => listeners.add(Bar::new(bars, collection.status(), config.home.clone())),
    }
    let summary = collection.run(
        &mut engine,
        &limits,
        &mut Watcher { listener: &mut listeners, cancellation: &limited },
    );
    drop(listeners);
    let stopped_by_hand = cancellation.is_cancelled();
    let is_over = summary.fatal.is_none() && !summary.interrupted;
    let end = End { summary, status: collection.status(), unplanned, home: config.home.clone() };
    let chosen = end.summary.finished.first().map(|(path, _)| path.clone());
    let exit = end.report(arguments, stopped_by_hand);
    let sheet = match is_over {
        true => sheet::write(&config, &mut collection, true, &limits, arguments),
        false => Exit::Done,
    };
    if let Some(picture) = chosen.filter(|_| is_over && !arguments.quiet && !arguments.json) {
        show_way_to_print(&config, &picture);
    }
    Ok(if exit == Exit::Done { sheet } else { exit })
}

/// Says how the look of one picture of a grid comes to the print.
fn show_way_to_print(config: &Config, picture: &Path) {
    let has_recipe = |variant: &Variant| variant.settings.output.metadata != MetadataFrom::None;
    if !config.grid.is_empty() && config.variants.iter().all(has_recipe) {
        let picture = quoted(&near(picture));
        say!("the look of one of them for a print: impasto run print.toml --like {picture}");
        say!(
            "(print.toml is a pipeline with the print's size; `impasto plan` with --like shows it before)"
        );
    }
}

/// Reads a pipeline, with the look of the picture `like` if there is one.
pub(super) fn load(
    pipeline: &Path,
    overrides: &[String],
    like: Option<&Path>,
) -> Result<Config, Failure> {
    let like = like.map(|picture| match image::recipe(picture)? {
        Some(recipe) => Ok(Like { picture: picture.into(), recipe }),
        None => Err(Failure::Input(format!(
            "{} holds no recipe: only pictures that impasto has written have one, and not with output.metadata = \"none\"",
            picture.display()
        ))),
    });
    Ok(batch::load_like(pipeline, overrides, like.transpose()?.as_ref())?)
}

/// How a run ended.
struct End {
    summary: Summary,
    status: RunStatus,
    unplanned: Vec<(OutputFile, JobError)>,
    home: Home,
}

impl End {
    /// Reports where the pictures are, and decides the exit code.
    fn report(self, arguments: &RunArguments, stopped_by_hand: bool) -> Exit {
        let talkative = !arguments.quiet && !arguments.json;
        if talkative {
            self.report_pictures();
        }
        let again = resume_command(arguments);
        let End { summary, status, unplanned, .. } = self;
        if let Some(error) = summary.fatal {
            if talkative {
                complain!("what was done is kept; once the cause is gone, resume with: {again}");
            }
            Failure::from(error).print();
            return Exit::Internal;
        }
        if summary.interrupted {
            if talkative {
                let why = if stopped_by_hand { "interrupted" } else { "the budget's time is up" };
                match &summary.partial {
                    Some(path) => say!("{why}; the picture so far is {}", path.display()),
                    None => say!("{why}"),
                }
                say!("resume with: {again}");
            }
            return Exit::Interrupted;
        }
        if !talkative {
            summary.failed.iter().for_each(|job| complain!("error: {}: {}", job.name, job.error));
        }
        let finished = status.jobs.values().filter(|job| job.is_finished()).count();
        match (summary.failed.len() + unplanned.len(), finished) {
            (0, _) => Exit::Done,
            (_, 0) => {
                let first = summary.failed.into_iter().next();
                first.map_or(Exit::Inputs, |job| Failure::from(job.error).exit())
            }
            _ => Exit::SomeFailed,
        }
    }

    /// The finished pictures' paths, or for a collection a table of all.
    fn report_pictures(&self) {
        let Self { summary, status, unplanned, home } = self;
        let unplanned = unplanned.iter().map(|(output, error)| {
            (output.path.file_name().map(name_text).unwrap_or_default(), error.to_string())
        });
        let known = |name: &str| status.jobs.values().any(|job| job.name == name);
        let unreadable = summary.failed.iter().filter(|job| !known(&job.name));
        let unreadable = unreadable.map(|job| (job.name.clone(), job.error.to_string()));
        let others: Vec<(String, String)> = unplanned.chain(unreadable).collect();
        if status.jobs.len() + others.len() > 1 {
            say!("{}", table::table(status, home, &others));
        } else {
            summary.finished.iter().for_each(|(path, _)| say!("{}", path.display()));
        }
    }
}

/// Nothing can be painted: all pictures are there already, or cannot be read.
fn nothing_left(collection: &Collection, unplanned: usize, arguments: &RunArguments) -> Exit {
    for job in collection.unreadable() {
        complain!("error: {}: {}", job.name, job.error);
    }
    let count = collection.status().jobs.len();
    if count == 0 {
        return Exit::Inputs;
    }
    if !arguments.quiet && !arguments.json {
        let pictures = if count == 1 { "1 picture".into() } else { format!("{count} pictures") };
        say!("nothing to do: {pictures} done in {}", collection.directory().display());
        say!("to paint again, use --restart");
    }
    if unplanned + collection.unreadable().len() == 0 { Exit::Done } else { Exit::SomeFailed }
}

/// Says how far the reading of the content images is, when it takes long.
fn report_reading(quiet: bool) -> impl FnMut(usize, usize) {
    let mut last = Instant::now();
    move |read, count| {
        if !quiet && last.elapsed() >= READING {
            last = Instant::now();
            complain!("reading the photographs: {read} of {count}");
        }
    }
}

/// The command that resumes this run.
fn resume_command(arguments: &RunArguments) -> String {
    let mut words =
        vec!["impasto".to_string(), "run".into(), quoted(&arguments.pipeline.to_string_lossy())];
    words.extend(arguments.overrides.iter().flat_map(|pair| ["--set".to_string(), quoted(pair)]));
    words.extend(
        arguments.like.iter().flat_map(|like| ["--like".into(), quoted(&like.to_string_lossy())]),
    );
    words.extend(arguments.no_lock.then(|| "--no-lock".to_string()));
    words.join(" ")
}

/// Reports settings that have no effect, and what folders and globs hold that is not painted.
pub(super) fn warn(config: &Config, plan: &Plan) {
    config.notes.iter().for_each(|note| complain!("warning: {note}"));
    for warning in &config.warnings {
        complain!("{:?}", miette::Report::new(warning.clone()));
    }
    plan.warnings().iter().for_each(|words| complain!("warning: {words}"));
}

/// Reports paintings whose scans are too small for the pictures of `jobs`.
pub(super) fn warn_of_small_scans(jobs: &[Job]) {
    small_scans(jobs).iter().for_each(|words| complain!("warning: {words}"));
}

pub(super) fn report_unplanned(unplanned: &[(OutputFile, JobError)]) {
    // One bad photograph may stand behind several outputs; it is reported once.
    let reasons: BTreeSet<String> = unplanned.iter().map(|(_, error)| error.to_string()).collect();
    reasons.iter().for_each(|reason| complain!("error: {reason}"));
}

/// The exit code of a run of which nothing can be done: the settings' fault when only memory is
/// missing.
pub(super) fn nothing_planned(unplanned: &[(OutputFile, JobError)]) -> Exit {
    let memory = |error: &JobError| {
        matches!(error, JobError::Memory { .. } | JobError::Plan(PlanError::GpuMemory { .. }))
    };
    if unplanned.iter().all(|(_, error)| memory(error)) {
        Exit::Configuration
    } else {
        Exit::Inputs
    }
}

/// Starts the log on standard error: warnings and, unless `quiet`, the losses that
/// `watch.print-every` asks for; more with `-v`. `RUST_LOG` decides when it is set.
fn start_log(verbose: u8, quiet: bool, bars: Bars) {
    let level = match verbose {
        0 if quiet => "warn",
        0 => "warn,impasto::losses=info",
        1 => "impasto=info",
        2 => "impasto=debug",
        _ => "trace",
    };
    let asked = std::env::var("RUST_LOG").ok().and_then(|words| words.parse::<Targets>().ok());
    let targets = asked.unwrap_or_else(|| level.parse().expect("the levels above are well formed"));
    let writer = move || LogWriter { bars: bars.clone() };
    let lines = tracing_subscriber::fmt::layer()
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .with_writer(writer);
    // A log that is already there (in tests) stays.
    let _ = tracing_subscriber::registry().with(lines.with_filter(targets)).try_init();
}

/// Writes log lines above the bars.
struct LogWriter {
    bars: Bars,
}

impl std::io::Write for LogWriter {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.bars.suspend(|| std::io::stderr().write(bytes))
    }

    fn flush(&mut self) -> std::io::Result<()> {
        std::io::stderr().flush()
    }
}
