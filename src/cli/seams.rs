//! `impasto seams`: whether a picture shows the tiles it was made of.

use serde_json::json;

use super::args::SeamsArguments;
use super::pictures;
use super::say::say;
use super::{Exit, Failure};
use crate::files::path_text;
use crate::image::Limits;
use crate::render::picture_tensor;
use crate::report::seams::{Boundaries, LINES, Seams, measure};
use crate::resources::Memory;
use crate::tensor::HostView;

/// `impasto seams`.
pub fn seams(arguments: &SeamsArguments) -> Result<Exit, Failure> {
    let limits = Limits::bytes(Memory::ask(0.0, 1).bytes);
    let picture = pictures::decode(&arguments.image, &limits)?;
    let (width, height) = (picture.width as usize, picture.height as usize);
    let content = match &arguments.content {
        Some(path) => Some(picture_tensor(&pictures::decode(path, &limits)?, width, height)?),
        None => None,
    };
    let view = content.as_ref().map(HostView::new).transpose()?;
    let found = measure(
        &picture.pixels,
        (width, height),
        view.as_ref().map(HostView::values),
        (arguments.core_px, arguments.guard_px),
    );
    let Some(found) = found else {
        return Err(Failure::Settings(format!(
            "{} measures {width}x{height} px; cores of {} px have no boundaries in it that are {LINES} px from its border",
            arguments.image.display(),
            arguments.core_px
        )));
    };
    if arguments.json {
        say!(
            "{:#}",
            json!({ "image": path_text(&arguments.image), "core-px": arguments.core_px, "grid": found.grid, "control": found.control })
        );
    } else {
        print_table(&found, arguments.content.is_some());
    }
    Ok(Exit::Done)
}

fn print_table(found: &Seams, less_content: bool) {
    say!("{:<22} {:>12} {:>12}", "", "tile grid", "control grid");
    let row = |name: &str, value: fn(&Boundaries) -> f64| {
        say!("{name:<22} {:>12.3} {:>12.3}", value(&found.grid), value(&found.control));
    };
    say!("{:<22} {:>12} {:>12}", "boundaries", found.grid.count, found.control.count);
    row("difference, worst", |b| b.worst_ratio);
    row("difference, mean", |b| b.mean_ratio);
    row("colour step, worst", |b| b.worst_step);
    row("colour step, mean", |b| b.mean_step);
    say!();
    say!(
        "difference: mean |difference| across a boundary over the median of the {LINES} lines on each side; 1 is no seam"
    );
    let less = if less_content { ", less the photograph's own" } else { "" };
    say!(
        "colour step: distance in Lab between the means of small squares on both sides{less}; the worst is at {}",
        found.grid.worst_at
    );
}
