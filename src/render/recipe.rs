//! How a picture was made, in words that go into its file: a pipeline that makes it again.

use std::path::Path;

use crate::config::{Effect, Input, Listed, RunSettings};
use crate::plan::{Execution, Job, Level};

/// A pipeline as TOML: every setting of the job and its run that affects the picture, paths as seen from the original
/// pipeline's folder. Its comments say what a pipeline cannot: program, file, the network's hash,
/// and what the memory decided.
pub fn recipe(job: &Job, run: &RunSettings, weights: &str) -> String {
    let folder = job.pipeline.parent().unwrap_or(Path::new(""));
    let pipeline = job
        .pipeline
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .replace(char::is_control, " ");
    let variant = job.variant.as_ref().map(|name| format!(" ({name})")).unwrap_or_default();
    let levels: Vec<String> = job.levels.iter().map(describe).collect();
    let (version, preset) = (env!("CARGO_PKG_VERSION"), job.settings.objective.preset);
    let mut text = format!(
        "# impasto {version}: {pipeline}{variant}, preset {preset}, {}\n# weights sha256 {weights}\n# levels: {}\n",
        job.framing,
        levels.join("; ")
    );
    let input = Input { content: vec![job.content.clone()] };
    let made = |one: &Listed| matches!(one.effect, Effect::Pixels | Effect::Input);
    let mut style = None;
    // Dotted keys first: what follows a style's head would belong to it.
    let listings = [input.listing(folder), job.settings.listing(folder), run.listing(folder)];
    let (of_styles, others): (Vec<_>, Vec<_>) =
        listings.into_iter().flatten().filter(made).partition(|one| one.key.starts_with("style."));
    // A brace in a file's name would be a placeholder.
    if !job.name.contains(['{', '}']) {
        text.push_str(&format!("output.name = {:?}\n", job.name));
    }
    others
        .iter()
        .for_each(|Listed { key, value, .. }| text.push_str(&format!("{key} = {value}\n")));
    for Listed { key, value, .. } in &of_styles {
        let Some((index, name)) = key.strip_prefix("style.").and_then(|rest| rest.split_once('.'))
        else {
            continue;
        };
        if style != Some(index) {
            text.push_str("[[style]]\n");
            style = Some(index);
        }
        text.push_str(&format!("{name} = {value}\n"));
    }
    text
}

/// A level's size, evaluations and mode.
fn describe(level: &Level) -> String {
    let mode = match level.execution {
        Execution::Exact { core, history, .. } => format!("exact, core {core}, history {history}"),
        Execution::Blocks(v) => format!(
            "blocks, core {}, {} rounds of {}, history {}",
            v.core, v.rounds, v.visit, v.history
        ),
        Execution::Feathered(v) => format!(
            "feathered, core {}, {} rounds of {}, history {}",
            v.core, v.rounds, v.visit, v.history
        ),
    };
    format!("{}x{} px, {} evaluations, {mode}", level.width, level.height, level.evaluations)
}
