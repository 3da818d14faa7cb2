//! Pipeline files: from TOML to checked settings, with every problem reported at once.
//!
//! The path of a setting: the text of a file, parsed with the place of every value (`source`,
//! `tree`); merged over the files that it `extends` (`load`); with each `[[variant]]` and each
//! combination of the `[grid]` laid over it (`variants`, `grid`), between the two the look of a
//! picture (`like`), and `--set key=value` over that (`overrides`); unknown keys reported (`unknown`);
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
mod companions;
mod content;
mod glob;
mod grid;
mod like;
mod listing;
mod load;
mod name;
mod originals;
mod output_check;
mod outputs;
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

use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use choice::Choice;
pub use companions::{
    PastRuns, WrittenNames, intermediate_path, partial_path, preview_path, pyramid_folder,
    pyramid_path,
};
pub use grid::{Axis, Combination, GRID_SIDE};
pub use like::{Like, look_of};
pub use listing::{ListedSetting, json_of};
pub use name::{BadName, NameParts, NameTemplate};
pub use outputs::{JobFile, OutputFile, written_files};
pub use problem::{Problem, Problems};
pub use rules::{LevelMode, without_effect};
pub use schema::Effect;
pub use settings::*;
pub use text::quote;
pub use values::OrAuto;

use crate::files::{Home, canonical};
use content::Exclusion;
use like::Recipe;
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
    /// Its folder: what the identities of files are relative to.
    pub home: Home,
    /// What all pictures share.
    pub run: RunSettings,
    /// Its variants in the order of the file, each in all combinations of the grid; one without a
    /// name if the file has none.
    pub variants: Vec<Variant>,
    /// The keys of its grid; empty if it has none.
    pub grid: Vec<Axis>,
    /// Settings that are sound and have no effect.
    pub warnings: Vec<Problem>,
    /// What folders and globs hold that is left out and may be missed, a line each.
    pub notes: Vec<String>,
    /// What earlier runs have left.
    pub past: PastRuns,
}

/// Photographs, and how each of them becomes a picture.
#[derive(Clone, Debug)]
pub struct Variant {
    /// Its name in the run: those of variant and grid. Unlike those of all others, whatever the case
    /// of its letters.
    pub name: Option<String>,
    /// Name that `{variant}` stands for.
    pub variant: Option<String>,
    /// The combination of the grid.
    pub combination: Option<Combination>,
    /// Whether the pipeline says no size, and its pictures have that of grids ([`GRID_SIDE`]).
    pub has_grid_size: bool,
    /// The photographs.
    pub input: Input,
    /// How each of them becomes a picture.
    pub settings: Settings,
}

/// Reads and checks a pipeline file; `overrides` are `key=value` each.
///
/// It knows nothing of earlier runs, whose pictures may lie among the photographs:
/// [`crate::batch::load`] does.
///
/// # Errors
///
/// All problems of the pipeline. What cannot be known because a text is missing or could not be
/// parsed is not reported.
pub fn load(path: &Path, overrides: &[String]) -> Result<Config, Problems> {
    load_after(path, overrides, None, &|_, _| PastRuns::default())
}

/// [`load`], with the look of a finished picture, and with what `past` says of earlier runs of a
/// pipeline into an output directory.
///
/// # Errors
///
/// As [`load`].
pub fn load_after(
    path: &Path,
    overrides: &[String],
    like: Option<&Like>,
    past: &dyn Fn(&Path, &Path) -> PastRuns,
) -> Result<Config, Problems> {
    let mut loader = Loader::default();
    let name = path.display().to_string();
    let Some((mut tree, main)) = loader.load(path, None) else {
        return Err(Problems::new(name, loader.problems));
    };
    let overrides = overrides::read(&mut loader, overrides);
    let look = like.map(|like| Recipe::read(&mut loader, like));
    let Loader { mut problems, syntax, incomplete, files, .. } = loader;
    let (of_pictures, overrides) = overrides::split(overrides);
    overrides::apply(&mut tree, &of_pictures, &mut problems);
    let (pictures, grid) = variants::split(&mut tree, &overrides, &mut problems);
    let home = Home::of(path);
    let (run, sheet) = {
        let mut tree = tree.clone();
        overrides::apply(&mut tree, &overrides, &mut problems);
        let mut reader = Reader::new(&tree, &main, &home, incomplete, &mut problems);
        let run = read_run(&mut reader);
        (run, reader.node(&OutputFolder::contact_sheet).map(|node| node.origin.clone()))
    };
    let past = past(path, &run.output.directory);
    let output = canonical(&run.output.directory);
    let exclusion = Exclusion { output: &output, written: &past.written };
    let (mut parts, mut origins, mut notes) = (Vec::new(), Vec::new(), Vec::new());
    for variants::PictureTable { variant, combination, table, set } in pictures {
        let mut merged = tree.clone();
        tree::merge(&mut merged, table, &SIZE_KEYS);
        if let Some(look) = &look {
            look.apply(&mut merged, &mut problems, &mut notes);
        }
        overrides::apply(&mut merged, &set, &mut problems);
        overrides::apply(&mut merged, &overrides, &mut problems);
        unknown::check(&merged, &mut problems);
        let reader = Reader::new(&merged, &main, &home, incomplete, &mut problems);
        let mut reader = reader.excluding(exclusion);
        parts.push(read_variant(&mut reader, &run, variant, combination));
        notes.append(&mut reader.notes);
        origins.push(name_origin(&merged, &main));
    }
    notes.sort();
    notes.dedup();
    let (warnings, mut problems): (Vec<_>, Vec<_>) =
        problems.into_iter().partition(Problem::is_warning);
    let warnings = problem::in_order(warnings);
    let file = path.to_owned();
    let grid = grid.axes();
    let config = Config { file, home, run, variants: parts, grid, warnings, notes, past };
    if problems.is_empty() && syntax.is_empty() {
        output_check::check(&config, &files, &origins, sheet.as_ref(), &mut problems);
    }
    if problems.is_empty() && syntax.is_empty() {
        Ok(config)
    } else {
        Err(Problems::with_syntax(name, problems, syntax))
    }
}

/// The output directory of a pipeline. Nothing else of the pipeline needs to be sound, and no file
/// that it names has to be there.
///
/// # Errors
///
/// The problems of what says where the output directory is.
pub fn output_directory(path: &Path) -> Result<PathBuf, Problems> {
    let mut loader = Loader::default();
    let name = path.display().to_string();
    let Some((tree, main)) = loader.load(path, None) else {
        return Err(Problems::new(name, loader.problems));
    };
    let Loader { problems: unread, syntax, incomplete, .. } = loader;
    let (home, mut problems) = (Home::of(path), Vec::new());
    let mut reader = Reader::new(&tree, &main, &home, incomplete, &mut problems);
    let output = read_output_folder(&mut reader);
    // What was not understood may say where it is.
    if incomplete && !reader.is_own(&OutputFolder::directory) {
        problems.extend(unread);
        return Err(Problems::with_syntax(name, problems, syntax));
    }
    if problems.is_empty() { Ok(output.directory) } else { Err(Problems::new(name, problems)) }
}

fn read_run(reader: &mut Reader<'_>) -> RunSettings {
    let mut run = RunSettings::read(reader);
    run.output.directory = beside_pipeline(reader, run.output.directory);
    rules::check_run(reader, &run);
    run
}

fn read_output_folder(reader: &mut Reader<'_>) -> OutputFolder {
    let output: OutputFolder = Section::read(reader);
    OutputFolder { directory: beside_pipeline(reader, output.directory), ..output }
}

/// The output directory; one that is not given lies in the pipeline's folder.
fn beside_pipeline(reader: &Reader<'_>, directory: PathBuf) -> PathBuf {
    if reader.is_given(&OutputFolder::directory) {
        directory
    } else {
        paths::normalise(&reader.folder().join(directory))
    }
}

fn read_variant(
    reader: &mut Reader<'_>,
    run: &RunSettings,
    variant: Option<String>,
    combination: Option<Combination>,
) -> Variant {
    let (input, mut settings) = (Input::read(reader), Settings::read(reader));
    let parts = PictureParts { variant: variant.is_some(), grid: combination.is_some() };
    rules::check_picture(reader, run, &settings, parts);
    let has_size = SIZE_KEYS.concat().iter().any(|key| reader.is_given(key));
    let has_grid_size = combination.is_some() && !has_size;
    if has_grid_size {
        settings.output.long_side_px = Some(GRID_SIDE);
    }
    settings.complete();
    let names =
        [variant.as_deref(), combination.as_ref().map(|combination| combination.name.as_str())];
    let names: Vec<&str> = names.into_iter().flatten().collect();
    let name = (!names.is_empty()).then(|| names.join(" "));
    Variant { name, variant, combination, has_grid_size, input, settings }
}

/// What decides the names of a variant's pictures: the template, else the content.
fn name_origin(tree: &Table, main: &Arc<Source>) -> Origin {
    let value = |table: &str, key: &str| Some(tree.get(table)?.table()?.get(key)?.origin.clone());
    value("output", "name")
        .or_else(|| value("input", "content"))
        .unwrap_or_else(|| Origin::first_line(main))
}
