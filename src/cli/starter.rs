//! `impasto init`: a commented pipeline to start from.

use std::path::PathBuf;

use super::args::InitArguments;
use super::say::say;
use super::{Exit, Failure};
use crate::files::{self, Overwrite};

const STARTER: &str = include_str!("starter.toml");

/// `impasto init`.
pub fn init(arguments: &InitArguments) -> Result<Exit, Failure> {
    let directory = arguments.directory.clone().unwrap_or_else(|| PathBuf::from("."));
    let path = directory.join("pipeline.toml");
    files::write(&path, STARTER.as_bytes(), Overwrite::Refuse)?;
    say!("{}", path.display());
    say!(
        "Put a photograph and a painting beside it, name them in it, and: impasto run {}",
        path.display()
    );
    Ok(Exit::Done)
}
