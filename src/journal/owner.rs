//! Which process works in a run directory, in words.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The process that works in a run directory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// Its number; 0 when it could not be read.
    pub pid: u32,
    /// The machine's name, empty when unknown.
    pub host: String,
}

impl Owner {
    /// This process.
    pub(super) fn this_process() -> Self {
        #[cfg(unix)]
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        #[cfg(not(unix))]
        let host = std::env::var("COMPUTERNAME").unwrap_or_default();
        Self { pid: std::process::id(), host }
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.pid, self.host.as_str()) {
            (0, _) => f.write_str("another process"),
            (pid, "") => write!(f, "process {pid}"),
            (pid, host) => write!(f, "process {pid} on {host}"),
        }
    }
}
