//! `impasto completions` and `impasto man`: what shells and `man` know of the commands, made from
//! the command line's grammar.

use clap::CommandFactory;

use super::args::{Arguments, CompletionsArguments, ManArguments};
use super::say::bytes;
use super::{Exit, Failure};

/// `impasto completions`.
pub fn completions(arguments: &CompletionsArguments) -> Result<Exit, Failure> {
    let mut command = Arguments::command();
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut command, "impasto", &mut script);
    bytes(&script);
    Ok(Exit::Done)
}

/// `impasto man`.
pub fn man(arguments: &ManArguments) -> Result<Exit, Failure> {
    let command = Arguments::command();
    match &arguments.out {
        Some(directory) => clap_mangen::generate_to(command, directory)
            .map_err(|error| Failure::write(directory, error))?,
        None => {
            let mut page = Vec::new();
            let rendered = clap_mangen::Man::new(command).render(&mut page);
            rendered.map_err(|error| Failure::Internal(error.to_string()))?;
            bytes(&page);
        }
    }
    Ok(Exit::Done)
}
