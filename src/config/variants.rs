//! `[[variant]]`: tables that each override keys for a picture of their own.

use super::problem::Problem;
use super::settings::is_of_run;
use super::text::shorten;
use super::tree::{Node, Table, Value};

/// The most variants of one pipeline.
const MOST_VARIANTS: usize = 1000;

/// The longest name, in bytes: it becomes part of a file's name.
const LONGEST_NAME: usize = 80;

const NAME_HELP: &str = "`name` is part of file names: up to 80 bytes, none of `/`, `\\`, `:`, `{`, `}` or control characters, no dot in front";

const FORM_HELP: &str = "write [[variant]] once for each";

/// A variant before its settings are read: the keys that it overrides.
pub(crate) struct VariantTable {
    pub(crate) name: Option<String>,
    pub(crate) table: Table,
}

/// Takes the variants out of the tree; one without a name and without keys if there is none.
pub(crate) fn split(tree: &mut Table, problems: &mut Vec<Problem>) -> Vec<VariantTable> {
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
    for top in ["extends", "variant"] {
        if let Some(node) = table.remove(top) {
            let problem = Problem::new(format!("a variant has no key `{top}`"))
                .help("`extends` and [[variant]] stand at the top of a file");
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
