//! `impasto run`.

use std::collections::BTreeSet;
use std::io::IsTerminal;

use tracing_subscriber::filter::Targets;
use tracing_subscriber::prelude::*;

use super::args::RunArguments;
use super::progress::{Bar, Bars, Lines};
use super::say::{complain, say};
use super::watch::{JsonLines, LossLog};
use super::{Exit, Failure};
use super::{budget, devices, table};
use crate::batch::{self, Collection, JobError, Summary};
use crate::config::{self, Config, OutputFile};
use crate::event::CancellationToken;
use crate::event::Listeners;
use crate::event::Watcher;
use crate::image::Limits;
use crate::journal::RunStatus;
use crate::network::Weights;
use crate::plan::{Plan, PlanError};

/// `impasto run`.
pub fn run(arguments: &RunArguments) -> Result<Exit, Failure> {
    let config = config::load(&arguments.pipeline, &arguments.overrides)?;
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
    let weights = weights(&config)?;
    let mut collection = batch::prepare(&config, plan, weights.sha256(), arguments.restart)?;
    if collection.pending().is_empty() {
        return Ok(nothing_left(&collection, unplanned.len(), arguments));
    }
    let mut engine = devices.engine(weights)?;

    let cancellation = CancellationToken::new();
    watch_signals(&cancellation)
        .map_err(|e| Failure::Internal(format!("cannot listen for Ctrl-C: {e}")))?;
    let limited = budget::limited(&cancellation, &config.run.budget);
    let bars = Bars::new(std::io::stderr().is_terminal() && !arguments.json && !arguments.quiet);
    start_log(arguments.verbose, arguments.quiet, bars.clone());
    let mut listeners = Listeners::new();
    listeners.add(LossLog::new(config.run.watch.print_every));
    match (arguments.json, arguments.quiet) {
        (true, _) => listeners.add(JsonLines),
        (_, true) => {}
        _ if bars.is_hidden() => listeners.add(Lines::new(collection.status())),
        _ => listeners.add(Bar::new(bars, collection.status())),
    }
    let summary = collection.run(
        &mut engine,
        &limits,
        &mut Watcher { listener: &mut listeners, cancellation: &limited },
    );
    drop(listeners);
    finish(summary, &collection, &unplanned, arguments, cancellation.is_cancelled())
}

/// Tells where the pictures are, and decides the exit code.
fn finish(
    summary: Summary,
    collection: &Collection,
    unplanned: &[(OutputFile, JobError)],
    arguments: &RunArguments,
    asked: bool,
) -> Result<Exit, Failure> {
    let talkative = !arguments.quiet && !arguments.json;
    let status = collection.status();
    if talkative {
        tell_pictures(&summary, &status, unplanned);
    }
    let again = resume_command(arguments);
    if let Some(error) = summary.broken {
        let failure = Failure::from(error);
        if talkative {
            complain!("what was done is kept; once the cause is gone, go on with: {again}");
        }
        failure.print();
        return Ok(Exit::Internal);
    }
    if summary.interrupted {
        if talkative {
            let why = if asked { "interrupted" } else { "the budget's time is up" };
            match &summary.partial {
                Some(path) => say!("{why}; the picture so far is {}", path.display()),
                None => say!("{why}"),
            }
            say!("go on with: {again}");
        }
        return Ok(Exit::Interrupted);
    }
    if arguments.quiet || arguments.json {
        summary.failed.iter().for_each(|(name, error)| complain!("error: {name}: {error}"));
    }
    let finished = status.jobs.values().filter(|job| job.is_finished()).count();
    Ok(match (summary.failed.len() + unplanned.len(), finished) {
        (0, _) => Exit::Done,
        (_, 0) => summary
            .failed
            .into_iter()
            .next()
            .map_or(Exit::Inputs, |(_, error)| Failure::from(error).exit()),
        _ => Exit::SomeFailed,
    })
}

/// The finished pictures' paths, or for a collection a table of all.
fn tell_pictures(summary: &Summary, status: &RunStatus, unplanned: &[(OutputFile, JobError)]) {
    if status.jobs.len() + unplanned.len() > 1 {
        say!("{}", table::table(status, unplanned));
    } else {
        summary.finished.iter().for_each(|(path, _)| say!("{}", path.display()));
    }
}

/// All pictures are there already.
fn nothing_left(collection: &Collection, unplanned: usize, arguments: &RunArguments) -> Exit {
    let status = collection.status();
    let gone = status
        .jobs
        .values()
        .filter(|job| job.output.as_ref().is_some_and(|path| !path.exists()))
        .count();
    if !arguments.quiet && !arguments.json {
        let pictures = |count: usize| {
            if count == 1 { "1 picture".to_string() } else { format!("{count} pictures") }
        };
        say!(
            "nothing to do: {} done in {}",
            pictures(status.jobs.len()),
            collection.directory().display()
        );
        if gone > 0 {
            say!(
                "{} of them no longer where it was painted to",
                if gone == 1 { "1 is".into() } else { format!("{gone} are") }
            );
        }
        say!("to paint again, use --restart");
    }
    if unplanned == 0 { Exit::Done } else { Exit::SomeFailed }
}

/// The command that goes on with this run.
fn resume_command(arguments: &RunArguments) -> String {
    let mut words =
        vec!["impasto".to_string(), "run".into(), quoted(&arguments.pipeline.to_string_lossy())];
    words.extend(arguments.overrides.iter().flat_map(|pair| ["--set".to_string(), quoted(pair)]));
    words.join(" ")
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.into()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

/// Reports settings that have no effect.
pub(super) fn warn(config: &Config, plan: &Plan) {
    for warning in &config.warnings {
        complain!("{:?}", miette::Report::new(warning.clone()));
    }
    plan.warnings().iter().for_each(|words| complain!("warning: {words}"));
}

pub(super) fn report_unplanned(unplanned: &[(OutputFile, JobError)]) {
    // One bad photograph may stand behind several outputs; it is told once.
    let reasons: BTreeSet<String> = unplanned.iter().map(|(_, error)| error.to_string()).collect();
    reasons.iter().for_each(|reason| complain!("error: {reason}"));
}

/// The exit code of a run of which nothing can be done: the settings' fault when only memory is
/// wanting.
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

/// The weights that the pipeline names, or those inside.
pub(super) fn weights(config: &Config) -> Result<Weights, Failure> {
    match &config.run.network.weights {
        None => Ok(Weights::embedded()?),
        Some(path) => Ok(Weights::open(path)?),
    }
}

/// Ctrl-C and SIGTERM ask to stop; a second one ends the program at once.
fn watch_signals(cancellation: &CancellationToken) -> std::io::Result<()> {
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        signal_hook::flag::register_conditional_shutdown(
            signal,
            i32::from(Exit::Interrupted.code()),
            cancellation.flag(),
        )?;
        signal_hook::flag::register(signal, cancellation.flag())?;
    }
    Ok(())
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
