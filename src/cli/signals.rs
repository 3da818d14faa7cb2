//! Signals that ask a run to stop.

use signal_hook::consts::{SIGINT, SIGTERM};

use super::Exit;
use crate::event::CancellationToken;

/// Ctrl-C, SIGTERM and, when the terminal is closed, SIGHUP ask to stop; a second one ends the program
/// at once.
///
/// # Errors
/// When the system refuses a handler.
pub fn watch(cancellation: &CancellationToken) -> std::io::Result<()> {
    for signal in [SIGINT, SIGTERM].into_iter().chain(hangup()) {
        signal_hook::flag::register_conditional_shutdown(
            signal,
            i32::from(Exit::Interrupted.code()),
            cancellation.flag(),
        )?;
        signal_hook::flag::register(signal, cancellation.flag())?;
    }
    Ok(())
}

/// The signal of a terminal that is closed, where there is one and the program is to stop for it.
#[cfg(unix)]
fn hangup() -> Option<i32> {
    (!ignores_hangup()).then_some(signal_hook::consts::SIGHUP)
}

#[cfg(not(unix))]
fn hangup() -> Option<i32> {
    None
}

/// Whether the program was started to survive its terminal, as `nohup` does. Where the system does
/// not say, a program without a terminal is taken to be.
#[cfg(unix)]
fn ignores_hangup() -> bool {
    use std::io::IsTerminal;
    let ignored = std::fs::read_to_string("/proc/self/status").ok().and_then(|status| {
        let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"))?;
        u64::from_str_radix(mask.trim(), 16).ok()
    });
    match ignored {
        Some(mask) => mask & 1 << (signal_hook::consts::SIGHUP - 1) != 0,
        None => !(std::io::stdin().is_terminal() || std::io::stderr().is_terminal()),
    }
}
