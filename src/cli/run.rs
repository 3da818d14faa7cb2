//! `impasto run`.

use std::collections::BTreeSet;
use std::io::IsTerminal;
use std::path::PathBuf;

use indicatif::{ProgressBar, ProgressDrawTarget};

use super::args::{Arguments, RunArguments};
use super::progress::{Bar, Lines};
use super::say::{complain, say};
use super::watch::{JsonLines, LossLog};
use super::{Exit, Failure};
use crate::batch::{self, JobError, Summary};
use crate::config::{self, Config, DeviceName, Devices, OutputFile};
use crate::event::Listeners;
use crate::image::Limits;
use crate::network::{Weights, cpu};
use crate::plan::{Plan, PlanError, not_yet};
use crate::render::Watcher;
use crate::stop::Stop;

/// `impasto run`.
pub fn run(arguments: &RunArguments, global: &Arguments) -> Result<Exit, Failure> {
    let config = config::load(&arguments.pipeline, &arguments.overrides)?;
    let (plan, unplanned) = batch::plan(&config);
    report_unplanned(&unplanned);
    if plan.jobs.is_empty() {
        return Ok(nothing_planned(&unplanned));
    }
    if !arguments.quiet {
        warn_not_yet(&config);
    }
    refuse_existing(&plan)?;
    refuse_devices(&config)?;
    let weights = weights(&config)?;
    let compute = &config.variants[0].settings.compute;
    let mut engine = super::engine(weights, precision(compute.precision)?, compute.threads)?;

    let stop = Stop::new();
    watch_signals(&stop).map_err(|e| Failure::Internal(format!("cannot listen for Ctrl-C: {e}")))?;
    let bar = progress_bar(arguments);
    start_log(global.verbose, bar.clone());
    let mut listeners = Listeners::new();
    listeners.add(LossLog::new(&plan));
    match (arguments.json, arguments.quiet) {
        (true, _) => listeners.add(JsonLines),
        (_, true) => {}
        _ if bar.is_hidden() => listeners.add(Lines::new()),
        _ => listeners.add(Bar::new(bar)),
    }
    let mut watcher = Watcher { listener: &mut listeners, stop: &stop };
    let summary = batch::run(&plan, &mut engine, &Limits::default(), &mut watcher);
    drop(listeners);
    Ok(finish(summary, unplanned.len(), arguments))
}

/// Tells where the pictures are, and decides the exit code.
fn finish(summary: Summary, unplanned: usize, arguments: &RunArguments) -> Exit {
    let talkative = !arguments.quiet && !arguments.json;
    if talkative {
        for (path, _) in &summary.finished {
            say!("{}", path.display());
        }
    }
    if let Some(path) = &summary.interrupted {
        if talkative {
            say!("interrupted; the picture so far is {}", path.display());
        }
        return Exit::Interrupted;
    }
    if arguments.quiet || arguments.json {
        summary.failed.iter().for_each(|(name, error)| complain!("error: {name}: {error}"));
    }
    match (summary.failed.len() + unplanned, summary.finished.len()) {
        (0, _) => Exit::Done,
        (_, 0) => summary.failed.into_iter().next().map_or(Exit::Inputs, |(_, error)| Failure::from(error).exit()),
        _ => Exit::SomeFailed,
    }
}

pub(super) fn report_unplanned(unplanned: &[(OutputFile, JobError)]) {
    // One bad photograph may stand behind several outputs; it is told once.
    let reasons: BTreeSet<String> = unplanned.iter().map(|(_, error)| error.to_string()).collect();
    reasons.iter().for_each(|reason| complain!("error: {reason}"));
}

/// The exit code of a run of which nothing can be done: the settings' fault when only memory is wanting.
pub(super) fn nothing_planned(unplanned: &[(OutputFile, JobError)]) -> Exit {
    let memory = |error: &JobError| matches!(error, JobError::Plan(PlanError::Memory { .. }));
    if unplanned.iter().all(|(_, error)| memory(error)) { Exit::Configuration } else { Exit::Inputs }
}

/// Tells of keys that have no effect yet, each once.
fn warn_not_yet(config: &Config) {
    let words: BTreeSet<&str> = config.variants.iter().flat_map(|variant| not_yet(&variant.settings)).collect();
    words.iter().for_each(|word| complain!("warning: not done in this version: {word}"));
}

/// GPUs are named by pipelines of builds that have them.
fn refuse_devices(config: &Config) -> Result<(), Failure> {
    let gpu = |variant: &config::Variant| match &variant.settings.compute.devices {
        Devices::List(names) => names.iter().copied().find(|name| *name != DeviceName::Cpu),
        Devices::Auto => None,
    };
    match config.variants.iter().find_map(gpu) {
        Some(name) => {
            Err(Failure::Settings(format!("compute.devices names {name}; this version computes on the CPU alone: \"auto\" or [\"cpu\"]")))
        }
        None => Ok(()),
    }
}

fn refuse_existing(plan: &Plan) -> Result<(), Failure> {
    let existing: Vec<String> = plan
        .jobs
        .iter()
        .filter(|job| !job.settings.output.overwrite && job.output.exists())
        .map(|job| job.output.display().to_string())
        .collect();
    match existing.as_slice() {
        [] => Ok(()),
        [one] => Err(Failure::Settings(format!("{one} already exists; move it away, or set output.overwrite = true to replace it"))),
        many => Err(Failure::Settings(format!(
            "these pictures already exist; move them away, or set output.overwrite = true to replace them:\n  {}",
            many.join("\n  ")
        ))),
    }
}

/// The weights that the pipeline names, or those inside. Variants share one network.
pub(super) fn weights(config: &Config) -> Result<Weights, Failure> {
    let paths: BTreeSet<Option<&PathBuf>> = config.variants.iter().map(|v| v.settings.network.weights.as_ref()).collect();
    match paths.into_iter().collect::<Vec<_>>().as_slice() {
        [] | [None] => Ok(Weights::embedded()?),
        [Some(path)] => Ok(Weights::open(path)?),
        _ => Err(Failure::Settings("variants name different network.weights; a pipeline renders with one network".into())),
    }
}

pub(super) fn precision(precision: config::Precision) -> Result<cpu::Precision, Failure> {
    match precision {
        config::Precision::Float32 => Ok(cpu::Precision::Float32),
        config::Precision::Bfloat16 => Ok(cpu::Precision::Bfloat16),
        config::Precision::Tf32 => {
            Err(Failure::Settings("compute.precision is tf32, which only GPUs have; the CPU takes float32 and bfloat16".into()))
        }
    }
}

/// Ctrl-C and SIGTERM ask to stop; a second one ends the program at once.
fn watch_signals(stop: &Stop) -> std::io::Result<()> {
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        signal_hook::flag::register_conditional_shutdown(signal, i32::from(Exit::Interrupted.code()), stop.flag())?;
        signal_hook::flag::register(signal, stop.flag())?;
    }
    Ok(())
}

fn progress_bar(arguments: &RunArguments) -> ProgressBar {
    let shown = std::io::stderr().is_terminal() && !arguments.json && !arguments.quiet;
    ProgressBar::with_draw_target(Some(1), if shown { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() })
}

/// Starts the log on standard error: warnings, and more with `-v`; `RUST_LOG` decides when it is set.
pub fn start_log(verbose: u8, bar: ProgressBar) {
    let level = match verbose {
        0 => "warn",
        1 => "impasto=info",
        2 => "impasto=debug",
        _ => "trace",
    };
    let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(level));
    let writer = move || LogWriter { bar: bar.clone() };
    // A log that is already there (in tests) stays.
    let _ = tracing_subscriber::fmt().with_env_filter(filter).with_target(false).with_writer(writer).try_init();
}

/// Writes log lines above the bar.
struct LogWriter {
    bar: ProgressBar,
}

impl std::io::Write for LogWriter {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.bar.suspend(|| std::io::stderr().write(bytes))
    }

    fn flush(&mut self) -> std::io::Result<()> {
        std::io::stderr().flush()
    }
}
