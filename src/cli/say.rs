//! Printing that survives a reader who has left: `impasto weights info | head -1` is no fault.
//!
//! `println!` and `eprintln!` panic when the other end of a pipe is closed. The commands print
//! through these two instead; what nobody reads is dropped, and the exit code still says how the
//! command went. Anything else that keeps standard output from being written, such as a full disk, is
//! remembered until the command ends: its output is cut short, and [`failure`] says so.

use std::fmt::Arguments;
use std::io::{self, ErrorKind, Write};
use std::sync::OnceLock;

/// Prints a line on standard output.
macro_rules! say {
    () => { $crate::cli::say::output(format_args!("")) };
    ($($argument:tt)*) => { $crate::cli::say::output(format_args!($($argument)*)) };
}

/// Prints a line on standard error.
macro_rules! complain {
    ($($argument:tt)*) => { $crate::cli::say::error(format_args!($($argument)*)) };
}

pub(super) use {complain, say};

/// Why standard output could not be written, the first time.
static FAILURE: OnceLock<io::Error> = OnceLock::new();

/// What `say!` calls.
pub(super) fn output(line: Arguments<'_>) {
    let mut out = io::stdout().lock();
    note(writeln!(out, "{line}").and_then(|()| out.flush()));
}

/// Remembers that standard output could not be written, unless its reader has left.
pub(super) fn note(written: io::Result<()>) {
    if let Err(error) = written
        && error.kind() != ErrorKind::BrokenPipe
    {
        let _ = FAILURE.set(error);
    }
}

/// Prints bytes on standard output as they are.
pub(super) fn bytes(bytes: &[u8]) {
    let mut out = io::stdout().lock();
    note(out.write_all(bytes).and_then(|()| out.flush()));
}

/// What `complain!` calls.
pub(super) fn error(line: Arguments<'_>) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// Why standard output could not be written, if it could not.
pub(super) fn failure() -> Option<&'static io::Error> {
    FAILURE.get()
}
