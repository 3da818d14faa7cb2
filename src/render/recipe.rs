//! How a picture was made, in words that go into its file: a pipeline that makes it again.

use crate::config::{Effect, Input, ListedSetting, NameTemplate, RunSettings, quote};
use crate::image::RECIPE_HEAD;
use crate::plan::{Execution, Job, Level};

/// A pipeline as TOML: every setting of the job and its run that affects the picture, files by their
/// identity as seen from the original pipeline's folder. Its comments say what a pipeline cannot:
/// program, file, the network's hash, and what the memory decided.
pub fn recipe(job: &Job, run: &RunSettings, weights: &str) -> String {
    // A comment ends at a line's end, and holds no control characters.
    let plain = |name: &str| name.replace(char::is_control, " ");
    let pipeline = plain(&job.pipeline.file_name().unwrap_or_default().to_string_lossy());
    let variant = job.variant.as_deref().map(|name| format!(" ({})", plain(name)));
    let variant = variant.unwrap_or_default();
    let levels: Vec<String> = job.levels.iter().map(|level| describe(job, level)).collect();
    let (version, preset) = (env!("CARGO_PKG_VERSION"), job.settings.objective.preset);
    let mut text = format!(
        "{RECIPE_HEAD}{version}: {pipeline}{variant}, preset {preset}, {}\n# weights sha256 {weights}\n# levels: {}\n",
        job.framing,
        levels.join("; ")
    );
    let input = Input { content: vec![job.content.clone()] };
    let made = |one: &ListedSetting| matches!(one.effect, Effect::Pixels | Effect::Input);
    let mut style = None;
    // Dotted keys first: what follows a style's head would belong to it.
    let listings =
        [input.listing(&job.home), job.settings.listing(&job.home), run.listing(&job.home)];
    let (of_styles, others): (Vec<_>, Vec<_>) =
        listings.into_iter().flatten().filter(made).partition(|one| one.key.starts_with("style."));
    // A brace would be a placeholder, and some names of files are none for `output.name`.
    if !job.name.contains(['{', '}']) && NameTemplate::parse(&job.name).is_ok() {
        text.push_str(&format!("output.name = {}\n", quote(&job.name)));
    }
    others
        .iter()
        .for_each(|ListedSetting { key, value, .. }| text.push_str(&format!("{key} = {value}\n")));
    for ListedSetting { key, value, .. } in &of_styles {
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
fn describe(job: &Job, level: &Level) -> String {
    let (width, height) = job.picture_size(level);
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
    format!("{width}x{height} px, {} evaluations, {mode}", level.evaluations)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use proptest::prelude::*;

    use super::*;
    use crate::plan::{Source, Sources, plan_job};

    /// A job of a small pipeline, and the settings of its run.
    fn job() -> (Job, RunSettings) {
        let folder = tempfile::tempdir().expect("a folder");
        for name in ["content.png", "style.png"] {
            std::fs::write(folder.path().join(name), "").expect("written");
        }
        let pipeline = folder.path().join("pipeline.toml");
        let text = "input.content = 'content.png'\nstyle.image = 'style.png'";
        std::fs::write(&pipeline, text).expect("written");
        let config = crate::config::load(&pipeline, &[]).expect("a pipeline");
        let source = Source::plain(640, 480);
        let sources = Sources { content: source, styles: vec![source], start: None };
        let job = plan_job(&config, &config.outputs()[0], 0, &sources, 8 << 30).expect("a job");
        (job, config.run)
    }

    fn name() -> impl Strategy<Value = String> {
        let names = proptest::collection::vec(any::<char>(), 1..12);
        let text = |characters: Vec<char>| characters.into_iter().collect::<String>();
        let is_name = |name: &String| !name.contains(['/', '\0']) && name != "." && name != "..";
        names.prop_map(text).prop_filter("a file may have this name", is_name)
    }

    proptest! {
        #[test]
        fn a_recipe_is_toml_whatever_its_files_are_called(
            content in name(), style in name(), picture in name(), pipeline in name(),
            variant in name(),
        ) {
            let (mut job, run) = job();
            let here = |name: &str| job.home.as_path().join(name);
            let (content_path, style_path) = (here(&content), here(&style));
            job.content = job.home.input(content_path);
            job.settings.styles[0].image = style_path;
            job.pipeline = PathBuf::from(pipeline);
            job.name = picture;
            job.variant = Some(variant);
            let text = recipe(&job, &run, "00");
            let table: toml::Table = text.parse().map_err(|error| {
                TestCaseError::fail(format!("{error}\n{text}"))
            })?;
            // A tilde in front would be the home folder.
            let named = |name: String| if name.starts_with('~') { "./".to_owned() + &name } else { name };
            prop_assert_eq!(table["input"]["content"][0].as_str(), Some(&*named(content)));
            prop_assert_eq!(table["style"][0]["image"].as_str(), Some(&*named(style)));
        }
    }
}
