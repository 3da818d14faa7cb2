//! `[[variant]]`: tables that each override keys for a picture of their own, and their product with
//! the combinations of a `[grid]`.

use super::grid::{Combination, Grid};
use super::overrides::Override;
use super::problem::Problem;
use super::settings::is_of_run;
use super::source::Origin;
use super::text::shorten;
use super::tree::{Node, Table, Value};

/// The most variants of one pipeline, the combinations of its grid counted.
const MOST_VARIANTS: usize = 1000;

/// The longest name, in bytes: it becomes part of a file's name.
const LONGEST_NAME: usize = 80;

const NAME_HELP: &str = "`name` is part of file names: up to 80 bytes, none of `/`, `\\`, `:`, `{`, `}` or control characters, no dot in front";

const FORM_HELP: &str = "write [[variant]] once for each";

/// A variant before its settings are read: the keys that it overrides.
struct VariantTable {
    name: Option<String>,
    table: Table,
}

/// What makes a picture of its own of every photograph: a variant, a combination of the grid, or
/// both.
pub(crate) struct PictureTable {
    /// The variant's name.
    pub(crate) variant: Option<String>,
    /// The combination.
    pub(crate) combination: Option<Combination>,
    /// The keys that the variant overrides.
    pub(crate) table: Table,
    /// The keys that the combination sets over them.
    pub(crate) set: Vec<Override>,
}

/// Takes variants and grid out of the tree; one picture without a name and without keys if there is
/// none. `overrides` are those of the command line.
pub(crate) fn split(
    tree: &mut Table,
    overrides: &[Override],
    problems: &mut Vec<Problem>,
) -> (Vec<PictureTable>, Grid) {
    let variants = split_variants(tree, problems);
    let grid = Grid::split(tree, problems);
    let of_command_line = |parts: &[String]| {
        overrides.iter().find(|one| one.parts == parts).map(|one| one.node.key.clone())
    };
    grid.refuse_others("the command line", of_command_line, problems);
    for VariantTable { name, table } in &variants {
        let what = format!("the variant `{}`", name.as_deref().unwrap_or_default());
        grid.refuse_others(&what, |parts| key_at(table, parts), problems);
    }
    let most = MOST_VARIANTS / variants.len();
    let mut pictures = Vec::new();
    for VariantTable { name, table } in variants {
        let combinations = grid.combinations(most, problems).into_iter();
        pictures.extend(combinations.map(|(combination, set)| PictureTable {
            variant: name.clone(),
            combination,
            table: table.clone(),
            set,
        }));
    }
    (pictures, grid)
}

/// Where a table has the key that `parts` leads to.
fn key_at(table: &Table, parts: &[String]) -> Option<Origin> {
    let (first, rest) = parts.split_first()?;
    let node = table.get(first)?;
    if rest.is_empty() { Some(node.key.clone()) } else { key_at(node.table()?, rest) }
}

/// The variants; one without a name and without keys if there is none.
fn split_variants(tree: &mut Table, problems: &mut Vec<Problem>) -> Vec<VariantTable> {
    let unnamed = || vec![VariantTable { name: None, table: Table::new() }];
    let Some(node) = tree.remove("variant") else {
        return unnamed();
    };
    let key = node.key.clone();
    let items = match node.value {
        Value::Array(items) => items,
        Value::Table(_) => vec![node],
        other => {
            let problem = Problem::new(format!("`variant` is {}", other.kind()));
            problems.push(problem.help(FORM_HELP).at(&key, "not a table"));
            return unnamed();
        }
    };
    if items.len() > MOST_VARIANTS {
        let problem = Problem::new(format!("more than {MOST_VARIANTS} variants"));
        problems.push(problem.at(&key, "too many"));
        return unnamed();
    }
    let mut variants: Vec<VariantTable> = Vec::new();
    for item in items {
        if let Some(variant) = read(item, &variants, problems) {
            variants.push(variant);
        }
    }
    if variants.is_empty() { unnamed() } else { variants }
}

/// One variant, after those before it; nothing if it is no table.
fn read(item: Node, before: &[VariantTable], problems: &mut Vec<Problem>) -> Option<VariantTable> {
    let Node { key, origin, value } = item;
    let Value::Table(mut table) = value else {
        let problem = Problem::new(format!("a variant is {}", value.kind()));
        problems.push(problem.help(FORM_HELP).at(&origin, "not a table"));
        return None;
    };
    for top in ["extends", "variant", "grid"] {
        if let Some(node) = table.remove(top) {
            let problem = Problem::new(format!("a variant has no key `{top}`"))
                .help("`extends`, [[variant]] and [grid] stand at the top of a file");
            problems.push(problem.at(&node.key, "not in a variant"));
        }
    }
    let name = match table.remove("name") {
        Some(node) => checked_name(&node, before, problems),
        None => {
            let problem = Problem::new("a variant has no `name`").help(NAME_HELP);
            problems.push(problem.at(&key, "`name` belongs here"));
            None
        }
    };
    refuse_run_settings(&mut table, problems);
    let name = name.unwrap_or_else(|| format!("unnamed {}", before.len()));
    Some(VariantTable { name: Some(name), table })
}

/// Takes out the keys that hold for the whole run, each with a problem.
fn refuse_run_settings(variant: &mut Table, problems: &mut Vec<Problem>) {
    for (table, node) in variant {
        let Value::Table(keys) = &mut node.value else { continue };
        for (name, node) in keys.extract_if(.., |key, _| is_of_run(table, key)) {
            let problem = Problem::new(format!("`{table}.{name}` holds for the whole run")).help(
                format!("set `{table}.{name}` outside of [[variant]], once for all variants"),
            );
            problems.push(problem.at(&node.key, "not in a variant"));
        }
    }
}

fn checked_name(
    node: &Node,
    before: &[VariantTable],
    problems: &mut Vec<Problem>,
) -> Option<String> {
    let Some(name) = node.text() else {
        let problem = Problem::new(format!("`name` is {}", node.value.kind())).help(NAME_HELP);
        problems.push(problem.at(&node.origin, "of the wrong kind"));
        return None;
    };
    let bad = name.contains(['/', '\\', ':', '{', '}'])
        || name.chars().any(char::is_control)
        || name.starts_with('.');
    if bad || name.trim().is_empty() || name.len() > LONGEST_NAME {
        let problem = Problem::new(format!("`{}` is no name for a variant", shorten(name)));
        problems.push(problem.help(NAME_HELP).at(&node.origin, "not a name"));
        return None;
    }
    let lower = name.to_lowercase();
    let mut names = before.iter().filter_map(|other| other.name.as_ref());
    if names.any(|other| other.to_lowercase() == lower) {
        let problem = Problem::new(format!("two variants are called `{name}`"))
            .help("names must differ in more than the case of letters");
        problems.push(problem.at(&node.origin, "the second one"));
    }
    Some(name.to_owned())
}
