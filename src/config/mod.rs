//! Pipeline files: from TOML to checked settings, with every problem told at once.
//!
//! The way of a setting: the text of a file, parsed with the place of every value (`source`,
//! `tree`); merged over the files that it `extends` (`load`); with each `[[variant]]` laid over it,
//! and `--set key=value` over that (`overrides`); its keys known (`shape`, `schema`); read and
//! checked by table ([`Settings`], `reader`). Nothing is created on disk.
//!
//! Owns the names of keys, their ranges and their defaults, save those that a preset or the planner
//! decides: such settings are `None` here. Does not open pictures: that a file exists is all that
//! is asked of it.

mod choice;
mod listing;
mod load;
mod name;
mod overrides;
mod paths;
mod problem;
mod reader;
mod schema;
mod settings;
mod shape;
mod source;
#[cfg(test)]
mod tests;
mod tree;
mod variants;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use choice::Choice;
pub use listing::Listed;
pub use name::{BadName, Format, NameParts, NameTemplate};
pub use problem::{Problem, Problems};
pub use schema::Effect;
pub use settings::*;

use load::Loader;
use reader::Reader;
use source::{Origin, Source};
use tree::{Node, Table};

/// A checked pipeline.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Config {
    /// The pipeline file, as it was named.
    pub file: PathBuf,
    /// Its variants in the order of the file; one without a name if the file has none.
    pub variants: Vec<Variant>,
}

/// One way of painting the photographs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Variant {
    /// Name that `{variant}` stands for; unlike those of all other variants, whatever the case of
    /// its letters.
    pub name: Option<String>,
    /// The settings.
    pub settings: Settings,
}

/// A picture that the pipeline makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutputFile {
    /// Index into [`Config::variants`].
    pub variant: usize,
    /// Index into that variant's [`Input::content`].
    pub content: usize,
    /// Where the picture goes.
    pub path: PathBuf,
}

impl Config {
    /// The folder of the pipeline file.
    pub fn directory(&self) -> &Path {
        self.file.parent().unwrap_or(Path::new(""))
    }

    /// Every picture, variant by variant in the order of the content. No two have the same path,
    /// nor paths that differ only in the case of letters.
    pub fn outputs(&self) -> Vec<OutputFile> {
        let mut outputs = Vec::new();
        for (variant, one) in self.variants.iter().enumerate() {
            outputs.extend(one.paths().enumerate().map(|(content, path)| OutputFile {
                variant,
                content,
                path,
            }));
        }
        outputs
    }
}

impl Variant {
    /// The settings as a list of keys and values, in a fixed order; paths as seen from `base`, the
    /// pipeline's folder.
    pub fn listing(&self, base: &Path) -> Vec<Listed> {
        self.settings.listing(base)
    }

    /// What `{style}` stands for: the stems of the styles' files, joined by `+`.
    pub fn style_name(&self) -> String {
        let stems: Vec<_> = self.settings.styles.iter().map(|style| stem(&style.image)).collect();
        stems.join("+")
    }

    fn paths(&self) -> impl Iterator<Item = PathBuf> {
        let Output { directory, name, .. } = &self.settings.output;
        let style = self.style_name();
        let variant = self.name.as_deref().unwrap_or_default();
        self.settings.input.content.iter().enumerate().map(move |(at, content)| {
            let names =
                NameParts { content: &stem(content), style: &style, variant, index: at + 1 };
            paths::normalise(&directory.join(name.fill(&names)))
        })
    }
}

fn stem(path: &Path) -> String {
    path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default()
}

/// Reads and checks a pipeline file; `overrides` are `key=value` each.
///
/// # Errors
///
/// All problems of the pipeline. What cannot be known because a text is torn or missing is not
/// complained of.
pub fn load(path: &Path, overrides: &[String]) -> Result<Config, Problems> {
    let mut loader = Loader::default();
    let name = path.display().to_string();
    let Some((mut tree, main)) = loader.load(path, None) else {
        return Err(Problems::new(name, loader.problems));
    };
    let overrides = overrides::read(&mut loader, overrides);
    let Loader { mut problems, syntax, torn, .. } = loader;
    overrides::apply(&mut tree, &overrides, true, &mut problems);
    let variants = variants::split(&mut tree, &mut problems);
    let mut config = Config { file: path.to_owned(), variants: Vec::new() };
    let mut origins = Vec::new();
    for variants::Raw { name, table } in variants {
        let mut merged = tree.clone();
        tree::merge(&mut merged, table, &WAYS);
        overrides::apply(&mut merged, &overrides, false, &mut problems);
        shape::check(&merged, &mut problems);
        let mut reader = Reader::new(&merged, &main, torn, &mut problems);
        let settings = Settings::read(&mut reader, name.is_some());
        origins.push(name_origin(&merged, &main));
        config.variants.push(Variant { name, settings });
    }
    if problems.is_empty() && syntax.is_empty() {
        check_outputs(&config, &origins, &mut problems);
    }
    if problems.is_empty() && syntax.is_empty() {
        Ok(config)
    } else {
        Err(Problems::with_syntax(name, problems, syntax))
    }
}

/// What decides the names of a variant's pictures: the template, else the content.
fn name_origin(tree: &Table, main: &Arc<Source>) -> Origin {
    let value = |table: &str, key: &str| Some(tree.get(table)?.table()?.get(key)?.origin.clone());
    value("output", "name")
        .or_else(|| value("input", "content"))
        .unwrap_or_else(|| Origin::first_line(main))
}

/// How many clashes of names are told in full.
const CLASHES_TOLD: usize = 5;

/// Names must tell pictures apart on any file system, and no picture may take the place of one it
/// is made from.
fn check_outputs(config: &Config, origins: &[Origin], problems: &mut Vec<Problem>) {
    let mut taken: BTreeMap<String, OutputFile> = BTreeMap::new();
    let mut clashes = 0;
    for output in config.outputs() {
        let settings = &config.variants[output.variant].settings;
        let content = &settings.input.content[output.content];
        let origin = &origins[output.variant];
        let from = |of: &OutputFile| describe(config, of);
        let own =
            settings.input.content.iter().chain(settings.styles.iter().map(|style| &style.image));
        let shown = output.path.display().to_string();
        let long = output.path.file_name().is_some_and(|name| name.len() > 240);
        let problem = if let Some(other) = taken.get(&shown.to_lowercase()) {
            let message =
                format!("{} and {} would both become `{shown}`", from(other), from(&output));
            Problem::new(message)
                .help(
                    "tell them apart in `output.name` by {content}, {style}, {variant} or {index}",
                )
                .at(origin, "not unique")
        } else if own.into_iter().any(|input| *input == output.path) {
            let message = format!(
                "the picture of `{}` would take the place of the input `{shown}`",
                content.display()
            );
            Problem::new(message)
                .help("choose another `output.directory` or `output.name`")
                .at(origin, "the name of an input")
        } else if long {
            let message = format!(
                "the name of the picture of `{}` has more than 240 bytes",
                content.display()
            );
            Problem::new(message).help("choose a shorter `output.name`").at(origin, "too long")
        } else {
            taken.insert(shown.to_lowercase(), output);
            continue;
        };
        clashes += 1;
        if clashes <= CLASHES_TOLD {
            problems.push(problem);
        }
    }
    if clashes > CLASHES_TOLD {
        let message = format!("{} more pictures have no name of their own", clashes - CLASHES_TOLD);
        problems.push(Problem::new(message).at(&origins[0], "these names"));
    }
}

/// A picture in words: its photograph and its variant.
fn describe(config: &Config, output: &OutputFile) -> String {
    let Variant { name, settings } = &config.variants[output.variant];
    let content = settings.input.content[output.content].display();
    match name {
        Some(name) => format!("`{content}` ({name})"),
        None => format!("`{content}`"),
    }
}
