//! Printing that survives a reader who has left: `impasto weights info | head -1` is no fault.
//!
//! `println!` and `eprintln!` panic when the other end of a pipe is closed. The commands print
//! through these two instead; what nobody reads is dropped, and the exit code still tells how the
//! command went.

use std::fmt::Arguments;
use std::io::Write;

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

/// What `say!` calls.
pub(super) fn output(line: Arguments<'_>) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

/// Prints bytes on standard output as they are.
pub(super) fn bytes(bytes: &[u8]) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(bytes).and_then(|()| out.flush());
}

/// What `complain!` calls.
pub(super) fn error(line: Arguments<'_>) {
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}
