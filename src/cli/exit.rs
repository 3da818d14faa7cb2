//! Exit codes, and failures that lead to them.

use std::fmt;
use std::path::PathBuf;
use std::process::ExitCode;

use super::say::complain;
use crate::batch::PrepareError;
use crate::config::Problems;
use crate::journal::JournalError;
use crate::network::{NetworkError, WeightsError};
use crate::render::RenderError;

/// How the program ends. The numbers are a contract with scripts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// 0: all done.
    Done,
    /// 1: a fault of the program or the machine.
    Internal,
    /// 2: the command line was not understood.
    Usage,
    /// 3: the pipeline's settings are wrong.
    Configuration,
    /// 4: a picture, the weights or another file cannot be read or written.
    Inputs,
    /// 5: some jobs failed, the others are done.
    SomeFailed,
    /// 6: what the pictures are made from changed since the run began.
    Changed,
    /// 7: another process works on the run.
    Locked,
    /// 130: interrupted, and resumable.
    Interrupted,
}

impl Exit {
    /// The number.
    pub fn code(self) -> u8 {
        match self {
            Exit::Done => 0,
            Exit::Internal => 1,
            Exit::Usage => 2,
            Exit::Configuration => 3,
            Exit::Inputs => 4,
            Exit::SomeFailed => 5,
            Exit::Changed => 6,
            Exit::Locked => 7,
            Exit::Interrupted => 130,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        exit.code().into()
    }
}

/// Why a command could not be carried out.
#[derive(Debug)]
pub enum Failure {
    /// Flags that contradict each other, in words.
    Usage(String),
    /// The pipeline's settings, with all their problems.
    Config(Problems),
    /// Settings that are fine by themselves and wrong here, in words.
    Settings(String),
    /// An unusable input or output, in words.
    Input(String),
    /// A run directory that cannot be used.
    Journal(JournalError),
    /// Something that should not happen, in words.
    Internal(String),
}

impl Failure {
    /// The exit code it leads to.
    pub fn exit(&self) -> Exit {
        match self {
            Failure::Usage(_) => Exit::Usage,
            Failure::Config(_) | Failure::Settings(_) => Exit::Configuration,
            Failure::Input(_) => Exit::Inputs,
            Failure::Journal(JournalError::Changed { .. }) => Exit::Changed,
            Failure::Journal(JournalError::Locked { .. }) => Exit::Locked,
            Failure::Journal(JournalError::File(_)) => Exit::Internal,
            Failure::Journal(_) => Exit::Inputs,
            Failure::Internal(_) => Exit::Internal,
        }
    }

    /// Tells the user on standard error.
    pub fn print(&self) {
        match self {
            Failure::Config(problems) => problems
                .iter()
                .for_each(|problem| complain!("{:?}", miette::Report::new(problem.clone()))),
            Failure::Usage(message)
            | Failure::Settings(message)
            | Failure::Input(message)
            | Failure::Internal(message) => complain!("error: {message}"),
            Failure::Journal(error) => complain!("error: {error}"),
        }
    }

    /// A file that cannot be written.
    pub fn write(path: impl Into<PathBuf>, error: impl fmt::Display) -> Self {
        Failure::Input(format!("cannot write {}: {error}", path.into().display()))
    }
}

impl From<Problems> for Failure {
    fn from(problems: Problems) -> Self {
        Failure::Config(problems)
    }
}

impl From<JournalError> for Failure {
    fn from(error: JournalError) -> Self {
        Failure::Journal(error)
    }
}

impl From<PrepareError> for Failure {
    fn from(error: PrepareError) -> Self {
        match error {
            PrepareError::Journal(JournalError::File(error)) | PrepareError::File(error) => {
                error.into()
            }
            PrepareError::Journal(error) => error.into(),
            PrepareError::Unreadable { .. } => Failure::Input(error.to_string()),
            PrepareError::Exists(_) => Failure::Settings(error.to_string()),
        }
    }
}

impl From<crate::image::Error> for Failure {
    fn from(error: crate::image::Error) -> Self {
        Failure::Input(error.to_string())
    }
}

impl From<WeightsError> for Failure {
    fn from(error: WeightsError) -> Self {
        Failure::Input(error.to_string())
    }
}

impl From<crate::files::Error> for Failure {
    fn from(error: crate::files::Error) -> Self {
        Failure::Input(error.to_string())
    }
}

impl From<NetworkError> for Failure {
    fn from(error: NetworkError) -> Self {
        match error {
            NetworkError::NoCells { .. } | NetworkError::Shape { .. } => {
                Failure::Input(error.to_string())
            }
            _ => Failure::Internal(error.to_string()),
        }
    }
}

impl From<candle_core::Error> for Failure {
    fn from(error: candle_core::Error) -> Self {
        NetworkError::from(error).into()
    }
}

impl From<RenderError> for Failure {
    fn from(error: RenderError) -> Self {
        match error {
            RenderError::Network(error) => error.into(),
            RenderError::Journal(error) => error.into(),
            RenderError::Broken(_) => Failure::Internal(error.to_string()),
            RenderError::NotFinite { .. } | RenderError::TileNotFinite { .. } => {
                Failure::Settings(error.to_string())
            }
            _ => Failure::Input(error.to_string()),
        }
    }
}
