//! The contact sheet at the end of a run.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::args::RunArguments;
use super::paths::near;
use super::say::{complain, say};
use super::watch::JsonLines;
use super::{Exit, Failure};
use crate::batch::Collection;
use crate::config::{Config, OutputFile};
use crate::event::{Event, Listener};
use crate::files::name_text;
use crate::image::Limits;
use crate::report::sheet::Sheet;

/// Writes the contact sheet, if the pipeline asks for one and `painted` says that pictures are new,
/// or it is missing or older than what it shows.
pub fn write(
    config: &Config,
    collection: &mut Collection,
    painted: bool,
    limits: &Limits,
    arguments: &RunArguments,
) -> Exit {
    let paths = config.contact_sheets();
    if paths.is_empty() || !(painted || is_stale(config, &paths)) {
        return Exit::Done;
    }
    match draw(config, collection, &paths, limits, arguments.json) {
        Ok(()) => {
            if !arguments.quiet && !arguments.json {
                let shown: Vec<String> = paths.iter().map(|path| near(path)).collect();
                say!("contact sheet: {}", shown.join(", "));
            }
            Exit::Done
        }
        Err(failure) => {
            complain!("error: the contact sheet is not written");
            failure.print();
            Exit::SomeFailed
        }
    }
}

fn draw(
    config: &Config,
    collection: &mut Collection,
    paths: &[PathBuf],
    limits: &Limits,
    json: bool,
) -> Result<(), Failure> {
    let status = collection.status();
    let state = |output: &OutputFile| {
        let name = output.path.file_name().map(name_text).unwrap_or_default();
        match status.jobs.values().find(|job| job.name == name) {
            Some(job) if job.is_finished() => None,
            Some(job) => Some(job.state.word().to_owned()),
            None => Some("failed".to_owned()),
        }
    };
    let sheet = Sheet::of(config, state);
    // Recorded first: a file that a run has written is known as its own.
    for path in paths {
        let event = Event::ContactSheet { path: config.home.output(path.clone()).id };
        collection.record(&event)?;
        if json {
            JsonLines.on_event(&event);
        }
    }
    sheet.write(paths, limits).map_err(|error| Failure::Input(error.to_string()))
}

/// Whether a sheet is missing, or older than the pipeline or a picture.
fn is_stale(config: &Config, paths: &[PathBuf]) -> bool {
    let time = |path: &Path| fs::metadata(path).and_then(|found| found.modified()).ok();
    let Some(oldest) = paths.iter().map(|path| time(path)).min().flatten() else { return true };
    let outputs = config.outputs().into_iter().map(|output| output.path);
    let shown = outputs.chain([config.file.clone()]).filter_map(|path| time(&path));
    shown.max().is_some_and(|newest: SystemTime| newest > oldest)
}
