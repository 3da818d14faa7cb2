//! `--set key=value`: single keys from the command line, which win over every file.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use toml::de::DeValue;

use super::load::Loader;
use super::problem::Problem;
use super::settings::SIZE_KEYS;
use super::source::{COMMAND_LINE, Origin, Source};
use super::text::shorten;
use super::tree::{self, Node, Table, Value};

/// One override: the parts of its key, and its value.
pub(crate) struct Override {
    pub(crate) parts: Vec<String>,
    pub(crate) node: Node,
}

impl Override {
    /// Whether it is for the tree before its variants and its grid are split off.
    fn is_of_pictures(&self) -> bool {
        matches!(self.parts[0].as_str(), "variant" | "grid")
    }
}

/// The overrides of `variant.*` and `grid.*`, and the others.
pub(crate) fn split(overrides: Vec<Override>) -> (Vec<Override>, Vec<Override>) {
    overrides.into_iter().partition(Override::is_of_pictures)
}

/// Reads the arguments of `--set`. They make one text, a line each, in which problems are shown;
/// its paths are relative to the current directory, where they were typed.
pub(crate) fn read(loader: &mut Loader, arguments: &[String]) -> Vec<Override> {
    let lines: Vec<_> =
        arguments.iter().map(|argument| argument.replace(['\n', '\r'], " ")).collect();
    let source = loader.source(COMMAND_LINE, &lines.join("\n"), Path::new(""));
    let mut overrides = Vec::new();
    let mut start = 0;
    for line in &lines {
        match read_line(&source, line, start) {
            Ok(one) => overrides.push(one),
            Err(problem) => loader.problems.push(problem),
        }
        start += line.len() + 1;
    }
    overrides
}

fn read_line(source: &Arc<Source>, line: &str, start: usize) -> Result<Override, Problem> {
    let whole = || Origin::new(source, start..start + line.len());
    let help = "`--set` takes key=value, such as output.long-side-px=1024";
    let Some((key, value)) = line.split_once('=') else {
        return Err(Problem::new(format!("`{}` sets nothing", shorten(line)))
            .help(help)
            .at(&whole(), "no `=`"));
    };
    let parts: Vec<_> = key.split('.').map(|part| part.trim().to_owned()).collect();
    if parts.len() < 2 || parts.len() > 8 || parts.iter().any(String::is_empty) {
        return Err(Problem::new(format!("`{}` is no key", shorten(key)))
            .help(help)
            .at(&whole(), "not `table.key`"));
    }
    let key = Origin::new(source, start..start + key.trim_end().len());
    let text = value.trim();
    let offset = start + (line.len() - value.len()) + (value.len() - value.trim_start().len());
    Ok(Override { parts, node: read_value(source, text, offset..offset + text.len(), key) })
}

/// The value as TOML, or as a bare string if it is no TOML.
fn read_value(source: &Arc<Source>, text: &str, span: Range<usize>, key: Origin) -> Node {
    match DeValue::parse(text) {
        Ok(value) => Node::new(source, span.start, Some(key), &value),
        Err(_) => {
            Node { key, origin: Origin::new(source, span), value: Value::Text(text.to_owned()) }
        }
    }
}

/// Lays the overrides on the tree.
pub(crate) fn apply(tree: &mut Table, overrides: &[Override], problems: &mut Vec<Problem>) {
    tree::drop_other_groups(tree, &SIZE_KEYS, |key| {
        overrides.iter().any(|one| one.parts == [key.table, &key.name()])
    });
    for one in overrides {
        if let Err(problem) = set(tree, &one.parts, &one.node) {
            problems.push(problem);
        }
    }
}

fn set(table: &mut Table, parts: &[String], node: &Node) -> Result<(), Problem> {
    let [first, rest @ ..] = parts else { return Ok(()) };
    if rest.is_empty() {
        table.insert(first.clone(), node.clone());
        return Ok(());
    }
    let empty = || Node {
        key: node.key.clone(),
        origin: node.key.clone(),
        value: Value::Table(Table::new()),
    };
    set_below(table.entry(first.clone()).or_insert_with(empty), first, rest, node)
}

/// Sets `parts` in the value of `name`: a table, or one item of an array. An array of one needs no
/// number.
fn set_below(below: &mut Node, name: &str, parts: &[String], node: &Node) -> Result<(), Problem> {
    match &mut below.value {
        Value::Table(table) => set(table, parts, node),
        Value::Array(items) => {
            let count = items.len();
            let (index, parts) = match parts {
                [number, rest @ ..] if number.parse::<usize>().is_ok() => {
                    (number.parse().unwrap_or(0), rest)
                }
                parts => (if count == 1 { 0 } else { count }, parts),
            };
            match items.get_mut(index) {
                Some(item) if parts.is_empty() => {
                    *item = node.clone();
                    Ok(())
                }
                Some(item) => set_below(item, name, parts, node),
                None => {
                    let problem = Problem::new(format!("`{name}` is an array of {count}"));
                    Err(problem
                        .help(format!("name one by its number from 0, as in {name}.0.key"))
                        .at(&node.key, "which one?"))
                }
            }
        }
        value => {
            let message = format!("`{name}` is {}, so it has no keys", value.kind());
            Err(Problem::new(message).at(&node.key, "no such key"))
        }
    }
}
