//! Pipeline files: from TOML to checked settings, with every problem reported at once.
//!
//! The path of a setting: the text of a file, parsed with the place of every value (`source`,
//! `tree`); merged over the files that it `extends` (`load`); with each `[[variant]]` laid over it
//! (`variants`), and `--set key=value` over that (`overrides`); unknown keys reported (`unknown`);
//! every key read by its row (`table`, `reader`, `values`, `settings`); combinations checked
//! (`rules`). Nothing is created on disk.
//!
//! Owns the names of keys, their ranges and their defaults, save those that a preset or the planner
//! decides: such settings are `None` here. Does not open pictures: it only checks that files exist.
//!
//! # How to add a setting
//!
//! 1. Add a row to its table in `settings/` (the head of `table.rs` explains rows). A new table is
//!    one more `settings!` and one line in `tables!` of `settings/mod.rs`: in `RunSettings` if all
//!    pictures of a run share it, in `Settings` if a variant may set it.
//! 2. A new type implements `SettingValue`; a choice between words is made by `choice!`, and an enum
//!    of a module below gets its words in `choice.rs`.
//! 3. What it excludes, or where it has no effect, goes into `rules.rs`.
//! 4. Add a line to `KEYS` in `tests/keys.rs`: a value, how it is listed, and a value that is
//!    refused.
//! 5. `UPDATE_DOCS=1 cargo test --release --lib config` writes its line into docs/pipeline.md.
//!
//! `--set`, variants, `extends`, suggestions for misspelt keys, the fingerprint of a run and the
//! recipe inside a picture follow from the row. The code that needs the value takes the value, not
//! the settings.

mod choice;
mod listing;
mod load;
mod name;
mod overrides;
mod paths;
mod problem;
mod reader;
mod rules;
mod schema;
mod settings;
mod source;
mod table;
#[cfg(test)]
mod tests;
mod text;
mod tree;
mod unknown;
mod values;
mod variants;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use choice::Choice;
pub use listing::Listed;
pub use name::{BadName, NameParts, NameTemplate};
pub use problem::{Problem, Problems};
pub use rules::{LevelMode, without_effect};
pub use schema::Effect;
pub use settings::*;
pub use values::OrAuto;

use load::Loader;
use reader::Reader;
use source::{Origin, Source};
use table::Section;
use tree::Table;

/// A checked pipeline.
#[derive(Clone, Debug)]
pub struct Config {
    /// The pipeline file, as it was named.
    pub file: PathBuf,
    /// What all pictures share.
    pub run: RunSettings,
    /// Its variants in the order of the file; one without a name if the file has none.
    pub variants: Vec<Variant>,
    /// Settings that are sound and have no effect.
    pub warnings: Vec<Problem>,
}

/// Photographs, and how each of them becomes a picture.
#[derive(Clone, Debug)]
pub struct Variant {
    /// Name that `{variant}` stands for; unlike those of all other variants, whatever the case of
    /// its letters.
    pub name: Option<String>,
    /// The photographs.
    pub input: Input,
    /// How each of them becomes a picture.
    pub settings: Settings,
}

/// A picture that the pipeline makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutputFile {
    /// Index into [`Config::variants`].
    pub variant: usize,
    /// Index into the content images of that variant.
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
        for (number, variant) in self.variants.iter().enumerate() {
            let paths = variant.paths(&self.run.output.directory).enumerate();
            outputs.extend(paths.map(|(content, path)| OutputFile {
                variant: number,
                content,
                path,
            }));
        }
        outputs
    }
}

impl Variant {
    /// What `{style}` stands for: the stems of the styles' files, joined by `+`.
    pub fn style_name(&self) -> String {
        let stems: Vec<_> = self.settings.styles.iter().map(|style| stem(&style.image)).collect();
        stems.join("+")
    }

    fn paths(&self, directory: &Path) -> impl Iterator<Item = PathBuf> {
        let template = self.settings.name_template(self.name.is_some());
        let style = self.style_name();
        let variant = self.name.as_deref().unwrap_or_default();
        self.input.content.iter().enumerate().map(move |(at, content)| {
            let names =
                NameParts { content: &stem(content), style: &style, variant, index: at + 1 };
            paths::normalise(&directory.join(template.fill(&names)))
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
/// All problems of the pipeline. What cannot be known because a text is missing or could not be
/// parsed is not reported.
pub fn load(path: &Path, overrides: &[String]) -> Result<Config, Problems> {
    let mut loader = Loader::default();
    let name = path.display().to_string();
    let Some((mut tree, main)) = loader.load(path, None) else {
        return Err(Problems::new(name, loader.problems));
    };
    let overrides = overrides::read(&mut loader, overrides);
    let Loader { mut problems, syntax, incomplete, .. } = loader;
    overrides::apply(&mut tree, &overrides, true, &mut problems);
    let variants = variants::split(&mut tree, &mut problems);
    let run = {
        let mut tree = tree.clone();
        overrides::apply(&mut tree, &overrides, false, &mut problems);
        read_run(&mut Reader::new(&tree, &main, incomplete, &mut problems))
    };
    let mut config = Config { file: path.to_owned(), run, variants: Vec::new(), warnings: vec![] };
    let mut origins = Vec::new();
    for variants::VariantTable { name, table } in variants {
        let mut merged = tree.clone();
        tree::merge(&mut merged, table, &SIZE_KEYS);
        overrides::apply(&mut merged, &overrides, false, &mut problems);
        unknown::check(&merged, &mut problems);
        let reader = Reader::new(&merged, &main, incomplete, &mut problems);
        let variant = read_variant(reader, &config.run, name);
        origins.push(name_origin(&merged, &main));
        config.variants.push(variant);
    }
    let (warnings, mut problems): (Vec<_>, Vec<_>) =
        problems.into_iter().partition(Problem::is_warning);
    if problems.is_empty() && syntax.is_empty() {
        check_outputs(&config, &origins, &mut problems);
    }
    if problems.is_empty() && syntax.is_empty() {
        config.warnings = problem::in_order(warnings);
        Ok(config)
    } else {
        Err(Problems::with_syntax(name, problems, syntax))
    }
}

fn read_run(reader: &mut Reader<'_>) -> RunSettings {
    let mut run = RunSettings::read(reader);
    if !reader.is_given(&OutputFolder::directory) {
        run.output.directory = paths::normalise(&reader.home().join(&run.output.directory));
    }
    rules::check_run(reader, &run);
    run
}

fn read_variant(reader: Reader<'_>, run: &RunSettings, name: Option<String>) -> Variant {
    let mut reader = reader.excluding(&run.output.directory);
    let (input, mut settings) = (Input::read(&mut reader), Settings::read(&mut reader));
    rules::check_picture(&mut reader, run, &settings, name.is_some());
    settings.complete();
    Variant { name, input, settings }
}

/// What decides the names of a variant's pictures: the template, else the content.
fn name_origin(tree: &Table, main: &Arc<Source>) -> Origin {
    let value = |table: &str, key: &str| Some(tree.get(table)?.table()?.get(key)?.origin.clone());
    value("output", "name")
        .or_else(|| value("input", "content"))
        .unwrap_or_else(|| Origin::first_line(main))
}

/// How many clashes of names are reported in full.
const CLASHES_TOLD: usize = 5;

/// The pictures' names must differ on any file system, and no picture may take the place of one it
/// is made from.
fn check_outputs(config: &Config, origins: &[Origin], problems: &mut Vec<Problem>) {
    let mut taken: BTreeMap<String, OutputFile> = BTreeMap::new();
    let mut clashes = 0;
    for output in config.outputs() {
        let Variant { input, settings, .. } = &config.variants[output.variant];
        let content = &input.content[output.content];
        let origin = &origins[output.variant];
        let from = |of: &OutputFile| describe(config, of);
        let own = input.content.iter().chain(settings.styles.iter().map(|style| &style.image));
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
    let Variant { name, input, .. } = &config.variants[output.variant];
    let content = input.content[output.content].display();
    match name {
        Some(name) => format!("`{content}` ({name})"),
        None => format!("`{content}`"),
    }
}
