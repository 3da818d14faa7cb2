//! The plan's file, `plan.json`: written once, when a run begins, and never again.
//!
//! Format 1: an object with `format`, `program`, `begun` (seconds since 1970), `plan` and
//! `fingerprint`.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::error::JournalError;
use super::fingerprint::Fingerprint;
use crate::event::now;
use crate::files::{self, Overwrite};
use crate::plan::Plan;

/// The format that is written.
const FORMAT: u32 = 1;

/// What a run was begun with.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Recorded {
    format: u32,
    /// The program that began it.
    pub program: String,
    /// When it began, seconds since 1970.
    pub begun: f64,
    /// What is to be done.
    pub plan: Plan,
    /// What the pictures depend on.
    pub fingerprint: Fingerprint,
}

impl Recorded {
    /// A run that begins now.
    pub(super) fn new(plan: Plan, fingerprint: Fingerprint) -> Self {
        Self {
            format: FORMAT,
            program: format!("impasto {}", env!("CARGO_PKG_VERSION")),
            begun: now(),
            plan,
            fingerprint,
        }
    }

    /// Writes it to `path`, whole or not at all.
    pub(super) fn write(&self, path: &Path) -> Result<(), JournalError> {
        let text = serde_json::to_vec_pretty(self).expect("a plan is plain data");
        files::write(path, &text, Overwrite::Refuse)?;
        Ok(())
    }

    /// Reads it; nothing when the run had no time to write it.
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
        if head.format > FORMAT {
            return Err(JournalError::Newer {
                path: path.into(),
                found: head.format,
                known: FORMAT,
            });
        }
        serde_json::from_slice(&text).map(Some).map_err(damaged)
    }
}
