//! Whether a tree has only tables and keys that exist.

use super::problem::Problem;
use super::reader::shorten;
use super::schema;
use super::tree::{Node, Table, Value};

/// Tells of every table and key that is not known, and of every table that is none.
pub(crate) fn check(root: &Table, problems: &mut Vec<Problem>) {
    let tables = schema::tables();
    for (name, node) in root {
        if !tables.contains(&name.as_str()) {
            problems.push(unknown_table(name, node, &tables));
            continue;
        }
        match &node.value {
            Value::Table(table) => check_keys(name, table, problems),
            Value::Array(items) if name == "style" => check_items(name, items, problems),
            value => {
                let header =
                    if name == "style" { "[[style]]".to_owned() } else { format!("[{name}]") };
                let problem = Problem::new(format!("`{name}` is {}", value.kind()));
                problems.push(
                    problem
                        .help(format!("`{name}` is a table: {header}"))
                        .at(&node.key, "not a table"),
                );
            }
        }
    }
}

fn check_items(name: &str, items: &[Node], problems: &mut Vec<Problem>) {
    for item in items {
        match item.table() {
            Some(table) => check_keys(name, table, problems),
            None => {
                let problem = Problem::new(format!("an item of `{name}` is {}", item.value.kind()));
                problems.push(
                    problem
                        .help(format!("write [[{name}]] once for each"))
                        .at(&item.origin, "not a table"),
                );
            }
        }
    }
}

fn check_keys(name: &str, table: &Table, problems: &mut Vec<Problem>) {
    let keys = schema::keys_of(name);
    for (key, node) in table {
        if keys.contains(&key.as_str()) {
            continue;
        }
        let elsewhere = schema::tables_with(key);
        let label = match (schema::nearest(key, keys.iter().copied()), elsewhere.as_slice()) {
            (_, [table, ..]) => format!("belongs in [{table}]"),
            (Some(near), []) => format!("did you mean `{near}`?"),
            (None, []) => "unknown key".to_owned(),
        };
        let problem = Problem::new(format!("[{name}] has no key `{}`", shorten(key)));
        problems.push(
            problem.help(format!("keys of [{name}]: {}", keys.join(", "))).at(&node.key, label),
        );
    }
}

fn unknown_table(name: &str, node: &Node, tables: &[&str]) -> Problem {
    let nearest = schema::nearest(name, tables.iter().copied().chain(["variant", "extends"]))
        .filter(|near| *near != name);
    let label = match (nearest, schema::tables_with(name).as_slice()) {
        (_, [table, ..]) => format!("belongs in [{table}]"),
        (Some(near), []) => format!("did you mean `{near}`?"),
        (None, []) => "unknown".to_owned(),
    };
    let what = if node.table().is_some() { "table" } else { "key" };
    Problem::new(format!("there is no {what} `{}`", shorten(name)))
        .help(format!("tables: {}, variant; and the key extends", tables.join(", ")))
        .at(&node.key, label)
}
