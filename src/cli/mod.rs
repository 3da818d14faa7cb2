//! The command line: arguments in, exit code out.
//!
//! Every command is a function of its parsed arguments that returns an [`Exit`] or a [`Failure`];
//! only this module and its children print.

mod args;
mod bench;
mod budget;
mod devices;
mod exit;
mod manual;
mod paths;
mod pictures;
mod plan;
mod progress;
mod run;
mod say;
mod score;
mod seams;
mod sheet;
mod signals;
mod starter;
mod status;
mod status_line;
mod table;
mod terminal_picture;
mod view;
mod watch;
mod weights;

use std::ffi::OsString;

use clap::Parser;

use crate::network::Weights;
use crate::network::{Isa, Precision};
use crate::render::Engine;
use crate::resources;
use args::{Arguments, Command, WeightsCommand};
pub use exit::{Exit, Failure};

/// Parses `arguments` (the program's name first), does what they say, and returns the exit code.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> Exit {
    let exit = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => dispatch(&arguments).unwrap_or_else(|failure| {
            failure.print();
            failure.exit()
        }),
        Err(error) if error.use_stderr() => {
            let _ = error.print();
            Exit::Usage
        }
        // Help and version come this way too, and are no failure.
        Err(help) => {
            say::note(help.print());
            Exit::Done
        }
    };
    match (exit, say::failure()) {
        (Exit::Done, Some(error)) => {
            say::complain!("error: cannot write to standard output: {error}");
            Exit::Internal
        }
        _ => exit,
    }
}

fn dispatch(arguments: &Arguments) -> Result<Exit, Failure> {
    match &arguments.command {
        Command::Run(command) => run::run(command),
        Command::Plan(command) => plan::plan(command),
        Command::Status(command) => status::status(command),
        Command::Report(command) => view::report(command),
        Command::View(command) => view::view(command),
        Command::Score(command) => score::score(command),
        Command::Seams(command) => seams::seams(command),
        Command::Bench(command) => bench::bench(command),
        Command::Init(command) => starter::init(command),
        Command::Completions(command) => manual::completions(command),
        Command::Man(command) => manual::man(command),
        Command::Weights { command: WeightsCommand::Import(command) } => weights::import(command),
        Command::Weights { command: WeightsCommand::Info(command) } => weights::info(command),
    }
}

/// The instruction set that `IMPASTO_ISA` names, or the best there is.
fn isa(precision: Precision) -> Result<Isa, Failure> {
    let isa = match std::env::var("IMPASTO_ISA") {
        Ok(name) => Isa::from_name(&name)
            .map_err(|error| Failure::Settings(format!("IMPASTO_ISA: {error}")))?,
        Err(_) => Isa::detect(),
    };
    if precision == Precision::Bfloat16 && !isa.has_bfloat16() {
        return Err(Failure::Settings(
            "the precision is bfloat16, which this processor has no products for; use float32"
                .into(),
        ));
    }
    Ok(isa)
}

/// A pool of `threads` threads; 0 takes all processors, and more than those are not taken.
fn pool(threads: usize) -> Result<rayon::ThreadPool, Failure> {
    let (threads, words) = resources::threads(threads);
    words.iter().for_each(|words| say::complain!("warning: {words}"));
    let builder = rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .thread_name(|i| format!("impasto-{i}"));
    builder.build().map_err(|error| Failure::Internal(format!("cannot start threads: {error}")))
}

/// An engine over `weights`.
fn engine(weights: Weights, precision: Precision, threads: usize) -> Result<Engine, Failure> {
    Ok(Engine::new(weights, isa(precision)?, precision, pool(threads)?))
}
