//! Tables and keys that do not exist, and the known ones that are nearest to them.

use super::problem::Problem;
use super::schema::{Key, TableKeys};
use super::settings::{keys_of, tables};
use super::text::{nearest, shorten};
use super::tree::{Node, Table, Value};

/// Reports every table and key that is not known, and every table that is none.
pub(crate) fn check(root: &Table, problems: &mut Vec<Problem>) {
    let tables = tables();
    for (name, node) in root {
        let Some(table) = tables.iter().find(|table| table.name == name) else {
            problems.push(unknown_table(name, node, &tables));
            continue;
        };
        match &node.value {
            Value::Table(keys) => check_keys(name, keys, problems),
            Value::Array(items) if table.repeated => check_items(name, items, problems),
            value => {
                let problem = Problem::new(format!("`{name}` is {}", value.kind()));
                let help = format!("`{name}` is a table: {}", table.header());
                problems.push(problem.help(help).at(&node.key, "not a table"));
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
                let help = format!("write [[{name}]] once for each");
                problems.push(problem.help(help).at(&item.origin, "not a table"));
            }
        }
    }
}

fn check_keys(name: &str, table: &Table, problems: &mut Vec<Problem>) {
    let keys: Vec<_> = keys_of(name).map(Key::name).collect();
    for (key, node) in table.iter().filter(|(key, _)| !keys.contains(key)) {
        let label = match (nearest(key, keys.iter()), table_with(key)) {
            (_, Some(table)) => format!("belongs in {}", table.header()),
            (Some(near), None) => format!("did you mean `{near}`?"),
            (None, None) => "unknown key".to_owned(),
        };
        let problem = Problem::new(format!("[{name}] has no key `{}`", shorten(key)));
        let help = format!("keys of [{name}]: {}", keys.join(", "));
        problems.push(problem.help(help).at(&node.key, label));
    }
}

fn unknown_table(name: &str, node: &Node, tables: &[TableKeys]) -> Problem {
    let names: Vec<_> = tables.iter().map(|table| table.name).collect();
    let words = names.iter().copied().chain(["variant", "grid", "extends"]);
    let label = match (nearest(name, words).filter(|near| near != name), table_with(name)) {
        (_, Some(table)) => format!("belongs in {}", table.header()),
        (Some(near), None) => format!("did you mean `{near}`?"),
        (None, None) => "unknown".to_owned(),
    };
    let what = if node.table().is_some() { "table" } else { "key" };
    Problem::new(format!("there is no {what} `{}`", shorten(name)))
        .help(format!("tables: {}, variant, grid; and the key extends", names.join(", ")))
        .at(&node.key, label)
}

/// The first table that has a key of this name.
fn table_with(key: &str) -> Option<TableKeys> {
    tables().into_iter().find(|table| keys_of(table.name).any(|known| known.name() == key))
}
