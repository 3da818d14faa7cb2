//! `[[variant]]`: tables that each override keys for a picture of their own.

use super::Node;
use super::Table;
use super::problem::Problem;
use super::reader::shorten;
use super::tree::Value;

/// The most variants of one pipeline.
const MOST_VARIANTS: usize = 1000;

/// The longest name, in bytes: it becomes part of a file's name.
const LONGEST_NAME: usize = 80;

const HELP: &str = "`name` is part of file names: up to 80 bytes, none of `/`, `\\`, `:`, `{`, `}` or control characters, no dot in front";

/// A variant before its settings are read.
pub(crate) struct Raw {
    pub(crate) name: Option<String>,
    pub(crate) table: Table,
}

/// Takes the variants out of the tree; one without a name and without keys if there is none.
pub(crate) fn split(tree: &mut Table, problems: &mut Vec<Problem>) -> Vec<Raw> {
    let unnamed = || vec![Raw { name: None, table: Table::new() }];
    let Some(node) = tree.remove("variant") else {
        return unnamed();
    };
    let key = node.key.clone();
    let items = match node.value {
        Value::Array(items) => items,
        Value::Table(_) => vec![node],
        other => {
            let problem = Problem::new(format!("`variant` is {}", other.kind()));
            problems
                .push(problem.help("write [[variant]] once for each").at(&node.key, "not a table"));
            return unnamed();
        }
    };
    if items.len() > MOST_VARIANTS {
        problems
            .push(Problem::new(format!("more than {MOST_VARIANTS} variants")).at(&key, "too many"));
        return unnamed();
    }
    let mut raw: Vec<Raw> = Vec::new();
    for item in items {
        let Node { key, origin, value } = item;
        let Value::Table(mut table) = value else {
            let problem = Problem::new(format!("a variant is {}", value.kind()));
            problems
                .push(problem.help("write [[variant]] once for each").at(&origin, "not a table"));
            continue;
        };
        for key in ["extends", "variant"] {
            if let Some(node) = table.remove(key) {
                let problem = Problem::new(format!("a variant has no key `{key}`"));
                problems.push(
                    problem
                        .help("`extends` and [[variant]] stand at the top of a file")
                        .at(&node.key, "not in a variant"),
                );
            }
        }
        let name = match table.remove("name") {
            None => {
                problems.push(
                    Problem::new("a variant has no `name`")
                        .help(HELP)
                        .at(&key, "`name` belongs here"),
                );
                format!("unnamed {}", raw.len())
            }
            Some(node) => check_name(&node, &raw, problems)
                .unwrap_or_else(|| format!("unnamed {}", raw.len())),
        };
        raw.push(Raw { name: Some(name), table });
    }
    if raw.is_empty() { unnamed() } else { raw }
}

fn check_name(node: &Node, before: &[Raw], problems: &mut Vec<Problem>) -> Option<String> {
    let Some(name) = node.text() else {
        problems.push(
            Problem::new(format!("`name` is {}", node.value.kind()))
                .help(HELP)
                .at(&node.origin, "of the wrong kind"),
        );
        return None;
    };
    let bad = name.contains(['/', '\\', ':', '{', '}'])
        || name.chars().any(char::is_control)
        || name.starts_with('.');
    if bad || name.trim().is_empty() || name.len() > LONGEST_NAME {
        let problem = Problem::new(format!("`{}` is no name for a variant", shorten(name)));
        problems.push(problem.help(HELP).at(&node.origin, "not a name"));
        return None;
    }
    let lower = name.to_lowercase();
    if before
        .iter()
        .any(|other| other.name.as_ref().is_some_and(|other| other.to_lowercase() == lower))
    {
        let problem = Problem::new(format!("two variants are called `{name}`"));
        problems.push(
            problem
                .help("names must differ in more than the case of letters")
                .at(&node.origin, "the second one"),
        );
    }
    Some(name.to_owned())
}
