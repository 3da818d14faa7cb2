//! `--like PICTURE`: the look of a finished picture, from the recipe inside it, laid over a pipeline.
//!
//! A look is what a picture shares with a larger one of the same kind: the loss, the start, the
//! first level, how it is optimised, whose colours it has, and how large and heavy each painting's
//! strokes are. What is painted, how large, where it goes and on which machine stays the pipeline's.

use std::path::{Path, PathBuf};

use super::listing::ListedSetting;
use super::load::Loader;
use super::problem::Problem;
use super::schema::Key;
use super::settings::{Objective, Optimise, Output, Pyramid, Start, Style};
use super::table::SettingsTable;
use super::tree::{Node, Table, Value};
use super::unknown;
use crate::files::name_text;

/// A picture whose look is wanted.
#[derive(Clone, Debug)]
pub struct Like {
    /// The picture's file.
    pub picture: PathBuf,
    /// The recipe inside it.
    pub recipe: String,
}

/// The keys of a look, beside all of `[objective]` and those of each painting.
const KEYS: [&Key; 7] = [
    &Start::from,
    &Start::noise_ratio,
    &Start::seed,
    &Pyramid::short_side_px,
    &Optimise::method,
    &Optimise::learning_rate,
    &Output::color,
];

/// Those of each painting.
const STYLE_KEYS: [&Key; 2] = [&Style::weight, &Style::scale];

/// What the pipeline decides if it says it, as it decides the time, and the picture otherwise.
const YIELDING: &Key = &Pyramid::evaluations;

/// A recipe that was read: the tree of its settings.
pub(crate) struct Recipe {
    picture: String,
    tree: Table,
}

impl Recipe {
    /// Reads the recipe. What this program does not know of it is reported.
    pub(crate) fn read(loader: &mut Loader, like: &Like) -> Self {
        let picture = name_text(like.picture.file_name().unwrap_or(like.picture.as_os_str()));
        let name = format!("the recipe in {}", like.picture.display());
        let source = loader.source(&name, &like.recipe, Path::new(""));
        let tree = loader.parse(&source);
        let mut problems = Vec::new();
        unknown::check(&tree, &mut problems);
        let help = match version(&like.recipe) {
            Some(version) if version != env!("CARGO_PKG_VERSION") => {
                format!("{picture} was painted by impasto {version}")
            }
            _ => String::new(),
        };
        loader.problems.extend(problems.into_iter().map(|problem| problem.help(&help)));
        Self { picture, tree }
    }

    /// Lays the look over the settings of a picture: what it does not say, its picture had by
    /// default. What is worth a word goes into `notes`.
    pub(crate) fn apply(
        &self,
        tree: &mut Table,
        problems: &mut Vec<Problem>,
        notes: &mut Vec<String>,
    ) {
        let objective = Objective::TABLE.name;
        tree.remove(objective);
        tree.extend(self.tree.get(objective).map(|node| (objective.to_owned(), node.clone())));
        for key in KEYS {
            self.take(key, tree, true);
        }
        self.take(YIELDING, tree, false);
        self.apply_styles(tree, problems, notes);
    }

    /// Sets a key as the recipe has it; one that the tree has is replaced, or else stays.
    fn take(&self, key: &Key, tree: &mut Table, replace: bool) {
        if let Some(Node { value: Value::Table(below), .. }) = tree.get_mut(key.table)
            && replace
        {
            below.remove(&key.name());
        }
        let own = self.tree.get(key.table).and_then(Node::table);
        let Some(found) = own.and_then(|table| table.get(&key.name())) else { return };
        let below = tree.entry(key.table.to_owned()).or_insert_with(|| empty(found));
        if let Value::Table(below) = &mut below.value {
            below.entry(key.name()).or_insert_with(|| found.clone());
        }
    }

    /// Gives each painting of the pipeline the scale and the weight of the recipe's painting of the
    /// same number.
    fn apply_styles(&self, tree: &mut Table, problems: &mut Vec<Problem>, notes: &mut Vec<String>) {
        let name = Style::TABLE.name;
        let Some(own) = self.tree.get(name) else { return };
        let styles = own.items().unwrap_or(std::slice::from_ref(own));
        let Some(node) = tree.get_mut(name) else { return };
        let key = node.key.clone();
        let below: Vec<&mut Node> = match &mut node.value {
            Value::Array(items) => items.iter_mut().collect(),
            _ => vec![node],
        };
        if below.len() != styles.len() {
            let (there, here) = (paintings(styles.len()), paintings(below.len()));
            let problem = Problem::new(format!(
                "{} was painted after {there}, and the pipeline has {here}",
                self.picture
            ))
            .help("--like takes scale and weight of each painting from the picture, by its number");
            problems.push(problem.at(&key, here).at(&own.key, there));
            return;
        }
        for (node, style) in below.into_iter().zip(styles) {
            let (Value::Table(to), Some(from)) = (&mut node.value, style.table()) else { continue };
            for key in STYLE_KEYS {
                to.remove(&key.name());
                let found = from.get(&key.name()).cloned();
                to.extend(found.map(|value| (key.name(), value)));
            }
            let image = |table: &Table| {
                let path = table.get(&Style::image.name())?.text()?.to_owned();
                Path::new(&path).file_name().map(name_text)
            };
            if let (Some(here), Some(there)) = (image(to), image(from))
                && here != there
            {
                notes.push(format!(
                    "{} was painted after {there}; the look is taken to {here}, which the pipeline names",
                    self.picture
                ));
            }
        }
    }
}

/// The settings of a look among others.
pub fn look_of(settings: &[ListedSetting]) -> impl Iterator<Item = &ListedSetting> {
    let is_of = |path: &str| {
        let parts: Vec<&str> = path.split('.').collect();
        match parts[..] {
            [table, _, key] => STYLE_KEYS.iter().any(|k| k.table == table && k.name() == key),
            [table, key] => {
                let mut keys = KEYS.iter().chain([&YIELDING]);
                table == Objective::TABLE.name
                    || keys.any(|known| known.table == table && known.name() == key)
            }
            _ => false,
        }
    };
    settings.iter().filter(move |setting| is_of(&setting.key))
}

/// An empty table where another one is.
fn empty(at: &Node) -> Node {
    Node { key: at.key.clone(), origin: at.origin.clone(), value: Value::Table(Table::new()) }
}

fn paintings(count: usize) -> String {
    if count == 1 { "1 painting".into() } else { format!("{count} paintings") }
}

/// The version of the program that wrote a recipe.
fn version(recipe: &str) -> Option<&str> {
    recipe.strip_prefix("# impasto ")?.split([':', '\n']).next()
}
