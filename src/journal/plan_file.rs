//! The plan's file, `plan.json`: written once, when a run begins, and never again.
//!
//! An object with `format`, `program`, `started` (seconds since 1970), `home` (the pipeline's folder
//! as seen from the run directory), `pipeline` (the pipeline's file name), `run` (the settings that
//! all jobs share), `jobs` and `fingerprint`.
//! Files are given by their identity ([`FileId`]).
//!
//! Formats:
//! - 2: files by identity, `home`, numbers of content images.
//! - 1: paths as they were typed.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::error::JournalError;
use super::fingerprint::Fingerprint;
use crate::config::json_of;
use crate::event::now;
use crate::files::{self, FileId, Home, Overwrite, name_text};
use crate::plan::{JobRecord, Plan};

/// The format that is written, and the only one that is read.
const FORMAT: u32 = 2;

/// What a run began with.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct PlanFile {
    format: u32,
    /// The program that began it.
    program: String,
    /// When it began, seconds since 1970.
    pub(super) started: f64,
    /// The pipeline's folder as seen from the run directory.
    home: FileId,
    /// The pipeline's file name.
    pub(super) pipeline: String,
    /// The settings that all jobs share, by table and key, as a pipeline has them.
    pub(super) run: serde_json::Value,
    /// What is to be done.
    pub(super) jobs: Vec<JobRecord>,
    /// What the pictures depend on.
    pub(super) fingerprint: Fingerprint,
}

impl PlanFile {
    /// A run that begins now in `directory`.
    pub(super) fn new(directory: &Path, plan: &Plan, fingerprint: Fingerprint) -> Self {
        let home = Home::of(&plan.pipeline);
        Self {
            format: FORMAT,
            program: format!("impasto {}", env!("CARGO_PKG_VERSION")),
            started: now(),
            home: Home::at(directory).id(home.as_path()),
            pipeline: plan.pipeline.file_name().map(name_text).unwrap_or_default(),
            run: json_of(&plan.run.listing(&home)),
            jobs: plan.jobs.iter().map(JobRecord::from).collect(),
            fingerprint,
        }
    }

    /// The folder that identities are relative to, for a run in `directory`.
    pub(super) fn home(&self, directory: &Path) -> Home {
        Home::at(&Home::at(directory).locate(&self.home))
    }

    /// Writes it to `path`, whole or not at all.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn write(&self, path: &Path) -> Result<(), JournalError> {
        let text = serde_json::to_vec_pretty(self)
            .map_err(|error| JournalError::io("write", path)(error.into()))?;
        files::write(path, &text, Overwrite::Refuse)?;
        Ok(())
    }

    /// Reads it; nothing when the run had no time to write it.
    ///
    /// # Errors
    /// When it cannot be read, is damaged, or is of another format.
    pub(super) fn read(path: &Path) -> Result<Option<Self>, JournalError> {
        /// The part that every format has.
        #[derive(Deserialize)]
        struct Head {
            format: u32,
        }
        let text = match std::fs::read(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(JournalError::io("read", path)(error)),
        };
        let damaged = |error: serde_json::Error| JournalError::Damaged {
            path: path.into(),
            reason: error.to_string(),
        };
        let head: Head = serde_json::from_slice(&text).map_err(damaged)?;
        match head.format {
            found if found > FORMAT => {
                Err(JournalError::Newer { path: path.into(), found, known: FORMAT })
            }
            found if found < FORMAT => Err(JournalError::Older { path: path.into(), found }),
            _ => serde_json::from_slice(&text).map(Some).map_err(damaged),
        }
    }
}
