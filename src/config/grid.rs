//! `[grid]`: keys with lists of values. Every combination of them is laid over every variant, as
//! `--set` lays its keys over a pipeline.

use std::collections::BTreeSet;
use std::path::Path;

use super::overrides::Override;
use super::problem::Problem;
use super::schema::Accepts;
use super::settings::{is_of_run, keys_of};
use super::source::Origin;
use super::text::shorten;
use super::tree::{Node, Table, Value};
use crate::files::name_text;
use crate::units::Px;

/// The long side of a grid's pictures whose pipeline says no size: enough to judge a look.
pub const GRID_SIDE: Px = Px(512);

/// The longest name of a combination, in bytes: it becomes part of a file's name.
const LONGEST_NAME: usize = 80;

/// The longest value in such a name, in characters.
const LONGEST_VALUE: usize = 24;

const FORM_HELP: &str = "write a list of values for each key, such as `objective.look = [\"faithful\", \"bold\"]`, without quotes around the key";

/// A key of a `[grid]` and its values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Axis {
    /// `table.key`.
    pub key: String,
    /// The values in words, in the order of the file.
    pub values: Vec<String>,
}

/// One combination of a grid's values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Combination {
    /// What `{grid}` stands for.
    pub name: String,
    /// The number of each axis's value, from 0.
    pub at: Vec<usize>,
}

/// A key of the grid before its values are read.
struct AxisNode {
    parts: Vec<String>,
    key: Origin,
    values: Vec<Node>,
    /// Each value in words.
    words: Vec<String>,
}

/// What the `[grid]` of a pipeline lists.
#[derive(Default)]
pub(crate) struct Grid {
    axes: Vec<AxisNode>,
    /// Where the grid is.
    origin: Option<Origin>,
}

impl Grid {
    /// Takes the grid out of the tree; one without keys if there is none.
    pub(crate) fn split(tree: &mut Table, problems: &mut Vec<Problem>) -> Self {
        let Some(node) = tree.remove("grid") else { return Self::default() };
        let mut grid = Self { axes: Vec::new(), origin: Some(node.key.clone()) };
        match node.value {
            Value::Table(table) => grid.read(vec![], table, problems),
            other => {
                let problem = Problem::new(format!("`grid` is {}", other.kind()));
                problems.push(problem.help(FORM_HELP).at(&node.key, "not a table"));
            }
        }
        // In the order in which they are written, by which the contact sheet has them.
        grid.axes.sort_by_key(|axis| (axis.key.source.rank, axis.key.span.start));
        grid
    }

    /// Reads the keys of `table`, which `above` leads to.
    fn read(&mut self, above: Vec<String>, table: Table, problems: &mut Vec<Problem>) {
        for (name, node) in table {
            let parts: Vec<String> = above.iter().cloned().chain([name]).collect();
            // A table, or one of several styles by its number.
            let is_table = match &parts[..] {
                [_] => true,
                [table, number] => table == "style" && number.parse::<usize>().is_ok(),
                _ => false,
            };
            match node.value {
                Value::Table(below) if is_table => self.read(parts, below, problems),
                Value::Array(values) if !is_table => {
                    self.axes.extend(axis(parts, node.key, node.origin, values, problems));
                }
                other => {
                    let path = shorten(&parts.join("."));
                    let message = match is_table {
                        true => format!("`{path}` in [grid] is no key of a table"),
                        false => format!("`{path}` in [grid] is {}, not a list", other.kind()),
                    };
                    let label = if is_table { "not `table.key`" } else { "not a list" };
                    problems.push(Problem::new(message).help(FORM_HELP).at(&node.key, label));
                }
            }
        }
    }

    /// The keys and their values in words.
    pub(crate) fn axes(&self) -> Vec<Axis> {
        let axis = |axis: &AxisNode| Axis { key: axis.path(), values: axis.words.clone() };
        self.axes.iter().map(axis).collect()
    }

    /// The combinations, the last key's values next to each other, each with what it sets; a single
    /// one that sets nothing if there is no grid. No more than `most`.
    pub(crate) fn combinations(
        &self,
        most: usize,
        problems: &mut Vec<Problem>,
    ) -> Vec<(Option<Combination>, Vec<Override>)> {
        let counts: Vec<usize> = self.axes.iter().map(|axis| axis.values.len()).collect();
        let count = counts.iter().try_fold(1usize, |product, count| product.checked_mul(*count));
        if let Some(origin) = &self.origin
            && count.is_none_or(|count| count > most)
        {
            let product: Vec<String> = counts.iter().map(usize::to_string).collect();
            let message = format!("[grid] has {} combinations", product.join(" x "));
            let help = format!("list fewer values: at most {most} combinations fit here");
            problems.push(Problem::new(message).help(help).at(origin, "too many"));
            return vec![(None, vec![])];
        }
        if self.axes.is_empty() {
            return vec![(None, vec![])];
        }
        let names = names(&self.axes);
        (0..count.unwrap_or(0))
            .map(|number| {
                let at = digits(number, &counts);
                let set = self.axes.iter().zip(&at).map(|(axis, at)| axis.set(*at)).collect();
                let parts: Vec<&str> =
                    names.iter().zip(&at).map(|(names, at)| names[*at].as_str()).collect();
                (Some(Combination { name: parts.join("_"), at }), set)
            })
            .collect()
    }

    /// Reports the keys that something else sets too: `what` in words, and the keys that it sets.
    pub(crate) fn refuse_others(
        &self,
        what: &str,
        set: impl Fn(&[String]) -> Option<Origin>,
        problems: &mut Vec<Problem>,
    ) {
        for axis in &self.axes {
            if let Some(origin) = set(&axis.parts) {
                let path = axis.path();
                let problem = Problem::new(format!("{what} sets `{path}`, which [grid] lists"))
                    .help("one of the two would have no effect; leave one out");
                problems.push(problem.at(&origin, "set here").at(&axis.key, "listed here"));
            }
        }
    }
}

impl AxisNode {
    fn path(&self) -> String {
        self.parts.join(".")
    }

    /// The value `at`, as `--set` would set it.
    fn set(&self, at: usize) -> Override {
        let node = Node { key: self.key.clone(), ..self.values[at].clone() };
        Override { parts: self.parts.clone(), node }
    }
}

/// One key with its values, if they are sound.
fn axis(
    parts: Vec<String>,
    key: Origin,
    origin: Origin,
    values: Vec<Node>,
    problems: &mut Vec<Problem>,
) -> Option<AxisNode> {
    let (table, name) = (parts.first()?, parts.last()?);
    let path = parts.join(".");
    if is_of_run(table, name) {
        let problem = Problem::new(format!("`{path}` holds for the whole run"))
            .help(format!("set `{path}` outside of [grid], once for all pictures"));
        problems.push(problem.at(&key, "not in a grid"));
        return None;
    }
    if values.is_empty() {
        let problem = Problem::new(format!("`{path}` in [grid] lists no value")).help(FORM_HELP);
        problems.push(problem.at(&origin, "empty"));
        return None;
    }
    let is_file =
        keys_of(table).any(|key| key.name() == *name && matches!(key.accepts, Accepts::File(_)));
    let mut seen = BTreeSet::new();
    for value in &values {
        // A file is told by its path, whatever it is called on the sheet.
        if !seen.insert(words(&value.value)) {
            let message = format!("`{path}` in [grid] lists a value twice");
            problems.push(Problem::new(message).at(&value.origin, "the second one"));
        }
    }
    let words = values.iter().map(|value| match value.text() {
        Some(path) if is_file => stem(path),
        _ => words(&value.value),
    });
    let words = words.collect();
    Some(AxisNode { parts, key, values, words })
}

fn stem(path: &str) -> String {
    Path::new(path).file_stem().map_or_else(|| path.to_owned(), name_text)
}

/// A value in words: short, and the same for the same value.
fn words(value: &Value) -> String {
    match value {
        Value::Text(text) | Value::Time(text) => text.clone(),
        Value::Integer(number) if number.unsigned_abs() < 100_000 => number.to_string(),
        Value::Integer(number) => format!("{number:e}"),
        Value::HugeInteger => "a huge number".to_owned(),
        Value::Float(number) => match number.abs() {
            0.0 => "0".to_owned(),
            0.001..100_000.0 => number.to_string(),
            _ => format!("{number:e}"),
        },
        Value::Boolean(boolean) => boolean.to_string(),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(|item| words(&item.value)).collect();
            items.join("+")
        }
        Value::Table(table) => {
            let items = table.iter().map(|(name, node)| format!("{name}={}", words(&node.value)));
            items.collect::<Vec<_>>().join("+")
        }
    }
}

/// The part of `{grid}` for each value of each key: the key's last word and the value. Values whose
/// names would be alike, or that together would be too long, are numbered from 1.
fn names(axes: &[AxisNode]) -> Vec<Vec<String>> {
    let last = |axis: &AxisNode| axis.parts.last().cloned().unwrap_or_default();
    let key = |axis: &AxisNode| {
        let is_own = axes.iter().filter(|other| last(other) == last(axis)).count() == 1;
        if is_own { last(axis) } else { axis.path() }
    };
    let of_axis = |axis: &AxisNode, numbered: bool| {
        let values: Vec<String> = axis.words.iter().map(|words| plain(words)).collect();
        let distinct: BTreeSet<String> = values.iter().map(|value| value.to_lowercase()).collect();
        let numbered = numbered || distinct.len() < values.len() || distinct.contains("");
        let value = |(at, value)| if numbered { format!("{}", at + 1) } else { value };
        let name = |value: String| format!("{}-{value}", plain(&key(axis)));
        values.into_iter().enumerate().map(value).map(name).collect::<Vec<String>>()
    };
    let names = |numbered: bool| axes.iter().map(|axis| of_axis(axis, numbered)).collect();
    let named: Vec<Vec<String>> = names(false);
    let longest = |names: &Vec<String>| names.iter().map(String::len).max().unwrap_or(0) + 1;
    if named.iter().map(longest).sum::<usize>() > LONGEST_NAME { names(true) } else { named }
}

/// The letters, digits and a few signs of a text that are safe in a file's name everywhere.
fn plain(text: &str) -> String {
    let safe = |c: char| if c.is_alphanumeric() || "-+._=".contains(c) { c } else { '-' };
    let text: String = text.chars().map(safe).take(LONGEST_VALUE).collect();
    text.trim_matches(['.', '-']).to_owned()
}

/// The digits of `number`, of which the last changes fastest and each counts up to its `counts`.
fn digits(number: usize, counts: &[usize]) -> Vec<usize> {
    let mut rest = number;
    let mut digits: Vec<usize> = counts
        .iter()
        .rev()
        .map(|count| {
            let digit = rest % count;
            rest /= count;
            digit
        })
        .collect();
    digits.reverse();
    digits
}
