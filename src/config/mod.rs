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
mod companions;
mod content;
mod glob;
mod listing;
mod load;
mod name;
mod outputs;
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

pub use choice::Choice;
pub use companions::{
    PastRuns, WrittenNames, intermediate_path, partial_path, preview_path, pyramid_folder,
    pyramid_path,
};
pub use listing::{Listed, json_of, quote};
pub use name::{BadName, Format, NameParts, NameTemplate};
pub use outputs::{OutputFile, Written, written_files};
pub use problem::{Problem, Problems};
pub use schema::Effect;
pub use settings::*;

use crate::files::Home;
use load::Loader;
use reader::Reader;
use source::{Origin, Source};
use tree::{Node, Table};

/// A checked pipeline.
#[derive(Clone, Debug)]
pub struct Config {
    /// The pipeline file, as it was named.
    pub file: PathBuf,
    /// Its folder: what the identities of files are relative to.
    pub home: Home,
    /// Its variants in the order of the file; one without a name if the file has none.
    pub variants: Vec<Variant>,
    /// What folders and globs hold that is left out and may be missed, a line each.
    pub notes: Vec<String>,
    /// What earlier runs have left.
    pub past: PastRuns,
}

/// One way of painting the photographs.
#[derive(Clone, Debug, PartialEq)]
pub struct Variant {
    /// Name that `{variant}` stands for; unlike those of all other variants, whatever the case of
    /// its letters.
    pub name: Option<String>,
    /// The settings.
    pub settings: Settings,
}

/// Reads and checks a pipeline file; `overrides` are `key=value` each.
///
/// It knows nothing of earlier runs, whose pictures may lie among the photographs:
/// [`crate::batch::load`] does.
///
/// # Errors
///
/// All problems of the pipeline. What cannot be known because a text is torn or missing is not
/// complained of.
pub fn load(path: &Path, overrides: &[String]) -> Result<Config, Problems> {
    load_after(path, overrides, &|_, _| PastRuns::default())
}

/// [`load`], with what `past` says of earlier runs of a pipeline into an output directory.
///
/// # Errors
///
/// As [`load`].
pub fn load_after(
    path: &Path,
    overrides: &[String],
    past: &dyn Fn(&Path, &Path) -> PastRuns,
) -> Result<Config, Problems> {
    let mut loader = Loader::default();
    let name = path.display().to_string();
    let Some((mut tree, main)) = loader.load(path, None) else {
        return Err(Problems::new(name, loader.problems));
    };
    let overrides = overrides::read(&mut loader, overrides);
    let Loader { mut problems, syntax, torn, files, .. } = loader;
    overrides::apply(&mut tree, &overrides, true, &mut problems);
    let variants = variants::split(&mut tree, &mut problems);
    let home = Home::of(path);
    let mut config = Config {
        file: path.to_owned(),
        home: home.clone(),
        variants: Vec::new(),
        notes: Vec::new(),
        past: PastRuns::default(),
    };
    let mut origins = Vec::new();
    let mut past_runs = BTreeMap::new();
    for variants::Raw { name, table } in variants {
        let mut merged = tree.clone();
        tree::merge(&mut merged, table, &WAYS);
        overrides::apply(&mut merged, &overrides, false, &mut problems);
        shape::check(&merged, &mut problems);
        let mut reader = Reader::new(&merged, &main, &home, torn, &mut problems);
        let mut written = |output: &Path| {
            let runs = past_runs.entry(output.to_path_buf()).or_insert_with(|| past(path, output));
            runs.written.clone()
        };
        let settings = Settings::read(&mut reader, name.is_some(), &mut written);
        config.notes.append(&mut reader.notes);
        origins.push(name_origin(&merged, &main));
        config.variants.push(Variant { name, settings });
    }
    config.notes.sort();
    config.notes.dedup();
    // The runs of a pipeline lie in the output directory of its first variant.
    let directory = config.variants.first().map(|first| &first.settings.output.directory);
    config.past = directory.and_then(|path| past_runs.remove(path)).unwrap_or_default();
    if problems.is_empty() && syntax.is_empty() {
        outputs::check(&config, &files, &origins, &mut problems);
    }
    if problems.is_empty() && syntax.is_empty() {
        Ok(config)
    } else {
        Err(Problems::with_syntax(name, problems, syntax))
    }
}

/// Finds what runs have written into an output directory.
type FindWritten<'a> = dyn FnMut(&Path) -> WrittenNames + 'a;

/// What decides the names of a variant's pictures: the template, else the content.
fn name_origin(tree: &Table, main: &Arc<Source>) -> Origin {
    let value = |table: &str, key: &str| Some(tree.get(table)?.table()?.get(key)?.origin.clone());
    value("output", "name")
        .or_else(|| value("input", "content"))
        .unwrap_or_else(|| Origin::first_line(main))
}
