//! `impasto report` and `impasto view`: a run as a page.

use std::net::SocketAddr;
use std::process::{Command, Stdio};

use super::args::{ReportArguments, ViewArguments};
use super::paths::run_directory;
use super::say::{complain, say};
use super::{Exit, Failure, signals};
use crate::event::CancellationToken;
use crate::image::Limits;
use crate::page::{Page, ReportError, Server, write_report};
use crate::resources::Memory;

/// How much less than a run the view asks of the processors.
#[cfg(unix)]
const NICENESS: i32 = 10;

/// `impasto report`.
pub fn report(arguments: &ReportArguments) -> Result<Exit, Failure> {
    let directory = run_directory(&arguments.run)?;
    let page = Page::open(&directory)?;
    let out = arguments.out.clone().unwrap_or_else(|| directory.join("report"));
    let report = write_report(&page, &out, &limits()).map_err(|error| match error {
        ReportError::Json(_) => Failure::Internal(error.to_string()),
        error => Failure::Input(error.to_string()),
    })?;
    report.missing.iter().for_each(|reason| complain!("warning: not shown: {reason}"));
    say!("{}", report.page.display());
    Ok(Exit::Done)
}

/// `impasto view`.
pub fn view(arguments: &ViewArguments) -> Result<Exit, Failure> {
    let page = Page::open(&run_directory(&arguments.run)?)?;
    let address = SocketAddr::new(arguments.bind, arguments.port);
    let server = Server::bind(page, address, limits()).map_err(|error| {
        Failure::Input(format!("cannot listen at {address}: {error}; --port 0 takes a free port"))
    })?;
    let cancellation = CancellationToken::new();
    signals::watch(&cancellation)
        .map_err(|error| Failure::Internal(format!("cannot listen for Ctrl-C: {error}")))?;
    // A run beside it comes first.
    #[cfg(unix)]
    let _ = rustix::process::nice(NICENESS);
    let url = format!("http://{}/", server.address().unwrap_or(address));
    say!("{url}");
    if !arguments.bind.is_loopback() {
        complain!("warning: everybody who reaches {address} sees the pictures");
    }
    if arguments.open && !open(&url) {
        complain!("warning: no browser could be started; open the address above");
    }
    server.serve(&cancellation);
    Ok(Exit::Done)
}

/// What making a picture of the page may take of the memory.
pub(super) fn limits() -> Limits {
    Limits::bytes(Memory::ask(0.0, 1).bytes)
}

/// Has the system open an address in the browser.
fn open(url: &str) -> bool {
    let (program, arguments): (&str, &[&str]) = if cfg!(target_os = "macos") {
        ("open", &[])
    } else if cfg!(windows) {
        ("rundll32", &["url.dll,FileProtocolHandler"])
    } else {
        ("xdg-open", &[])
    };
    let mut command = Command::new(program);
    command.args(arguments).arg(url).stdin(Stdio::null()).stdout(Stdio::null());
    command.stderr(Stdio::null()).spawn().is_ok()
}
