//! Typed reading of the merged tree: every read that fails leaves a problem behind, and the next key
//! is read.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::content::Exclusion;
use super::problem::Problem;
use super::schema::{Accepts, Key, TableKeys};
use super::source::{Origin, Source};
use super::tree::{Node, Table, Value};
use crate::files::Home;

/// A type that the value of a key can have.
pub(crate) trait SettingValue: Sized {
    /// The accepted values as Markdown, with TOML in backticks; `accepts` is what the key says.
    fn describe(accepts: Accepts) -> String {
        accepts.text()
    }

    /// The value of `entry`; `None` after a problem has been reported.
    fn read(entry: &mut Entry<'_, '_>) -> Option<Self>;

    /// The value as TOML, its paths as `relative` makes them; `None` if it is not set.
    fn toml(&self, relative: &dyn Fn(&Path) -> PathBuf) -> Option<String>;

    /// The file that the value names, if it names a single one.
    fn file(&self) -> Option<&Path> {
        None
    }
}

/// Where the keys of one table are read from.
pub(crate) struct Place<'a> {
    of: TableKeys,
    /// The values, if there is such a table.
    table: Option<&'a Table>,
    /// Where the table is named.
    header: Option<Origin>,
    /// The value of that name, if it is no table.
    other: Option<Origin>,
}

impl<'a> Place<'a> {
    fn new(of: TableKeys, node: Option<&'a Node>) -> Place<'a> {
        let table = node.and_then(Node::table);
        let other = node.filter(|_| table.is_none()).map(|node| node.origin.clone());
        Place { of, table, header: node.map(|node| node.key.clone()), other }
    }
}

/// Reads one tree.
pub(crate) struct Reader<'a> {
    root: &'a Table,
    /// The pipeline file: problems point there that are about what is missing.
    main: &'a Arc<Source>,
    /// Some text could not be parsed: what is missing may be in the part that was not understood.
    incomplete: bool,
    /// The pipeline's folder: what the identities of files are relative to.
    home: &'a Home,
    /// What is no photograph, once it is known.
    exclusion: Option<Exclusion<'a>>,
    /// What was left out of the photographs and may be missed, a line each.
    pub(crate) notes: Vec<String>,
    problems: &'a mut Vec<Problem>,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(
        root: &'a Table,
        main: &'a Arc<Source>,
        home: &'a Home,
        incomplete: bool,
        problems: &'a mut Vec<Problem>,
    ) -> Reader<'a> {
        let (exclusion, notes) = (None, Vec::new());
        Reader { root, main, incomplete, home, exclusion, notes, problems }
    }

    /// Leaves files out of what folders and globs name.
    pub(crate) fn excluding(self, exclusion: Exclusion<'a>) -> Reader<'a> {
        Reader { exclusion: Some(exclusion), ..self }
    }

    /// The folder of the pipeline file, as paths in it are resolved.
    pub(crate) fn folder(&self) -> &'a Path {
        &self.main.directory
    }

    /// Whether what is missing may be in a text that was not understood.
    pub(crate) fn is_incomplete(&self) -> bool {
        self.incomplete
    }

    /// Where the keys of a table are, of which there is at most one.
    pub(crate) fn place(&self, of: TableKeys) -> Place<'a> {
        Place::new(of, self.root.get(of.name))
    }

    /// Where the keys of each table are, of which there may be several.
    pub(crate) fn places(&self, of: TableKeys) -> Vec<Place<'a>> {
        let tables = self.tables(of.name);
        tables.into_iter().map(|node| Place::new(of, Some(node))).collect()
    }

    /// Each `[[name]]`, or `[name]`.
    fn tables(&self, name: &str) -> Vec<&'a Node> {
        let nodes = self
            .root
            .get(name)
            .map_or(&[][..], |node| node.items().unwrap_or(std::slice::from_ref(node)));
        nodes.iter().filter(|node| node.table().is_some()).collect()
    }

    /// The value of `key` at `place`; where it is missing or bad, `default` stands in, so that the
    /// other keys are checked as well.
    pub(crate) fn value<T: SettingValue>(
        &mut self,
        place: &Place<'_>,
        key: &'static Key,
        default: T,
    ) -> T {
        match place.table.and_then(|table| table.get(&key.name())) {
            Some(node) => T::read(&mut Entry { reader: self, key, node }).unwrap_or(default),
            None => {
                if key.is_required() {
                    self.missing(place, key, format!("`{}` is missing", key.path()));
                }
                default
            }
        }
    }

    /// The value of a key; of several tables, the first one's.
    pub(crate) fn node(&self, key: &Key) -> Option<&'a Node> {
        self.tables(key.table).first()?.table()?.get(&key.name())
    }

    /// Whether the key is there.
    pub(crate) fn is_given(&self, key: &Key) -> bool {
        self.node(key).is_some()
    }

    /// Whether the pipeline file itself or `--set` gives the key, and not a file that is extended.
    pub(crate) fn is_own(&self, key: &Key) -> bool {
        self.node(key).is_some_and(|node| {
            let source = &node.origin.source;
            Arc::ptr_eq(source, self.main) || source.is_command_line()
        })
    }

    /// Whether a problem was found within the place.
    pub(crate) fn has_problem_at(&self, origin: Option<&Origin>) -> bool {
        origin.is_some_and(|origin| self.problems.iter().any(|problem| problem.touches(origin)))
    }

    /// A problem at a place, or at the pipeline's first line if there is none.
    pub(crate) fn report(
        &mut self,
        problem: Problem,
        origin: Option<&Origin>,
        label: impl Into<String>,
    ) {
        let first = || Origin::first_line(self.main);
        let origin = origin.cloned().unwrap_or_else(first);
        self.problems.push(problem.at(&origin, label));
    }

    /// A bad value of a key; the help says what the key accepts.
    pub(crate) fn reject(
        &mut self,
        key: &Key,
        origin: Option<&Origin>,
        message: impl Into<String>,
        label: impl Into<String>,
    ) {
        self.report(Problem::new(message).help(key.help()), origin, label);
    }

    /// A key that is needed and not there.
    pub(crate) fn missing(&mut self, place: &Place<'_>, key: &Key, message: impl Into<String>) {
        // A table of a wrong kind has been reported; that its keys are missing follows from it.
        if self.incomplete
            || self.has_problem_at(place.header.as_ref())
            || self.has_problem_at(place.other.as_ref())
        {
            return;
        }
        let label = match &place.header {
            Some(_) => format!("`{}` belongs here", key.name()),
            None => format!("there is no {} here or in the extended files", place.of.header()),
        };
        self.reject(key, place.header.as_ref(), message, label);
    }

    /// A problem or warning about several keys; those that are given are underlined in one report.
    pub(crate) fn report_together(&mut self, problem: Problem, keys: &[&Key]) {
        let mut places: Vec<_> =
            keys.iter().filter_map(|key| Some((key.name(), self.node(key)?.key.clone()))).collect();
        places.sort_by_key(|(_, origin)| (origin.source.rank, origin.span.start));
        if places.is_empty() {
            return self.report(problem, None, "");
        }
        let problem = places
            .iter()
            .fold(problem, |problem, (name, origin)| problem.at(origin, format!("`{name}`")));
        self.problems.push(problem);
    }
}

/// The value of a key, or an item of it, while it is read.
pub(crate) struct Entry<'e, 'a> {
    reader: &'e mut Reader<'a>,
    key: &'static Key,
    node: &'e Node,
}

impl<'e, 'a> Entry<'e, 'a> {
    /// What the key accepts.
    pub(crate) fn accepts(&self) -> Accepts {
        self.key.accepts
    }

    /// The key's path.
    pub(crate) fn path(&self) -> String {
        self.key.path()
    }

    pub(crate) fn node(&self) -> &'e Node {
        self.node
    }

    /// The same entry for a part of the value.
    pub(crate) fn part<'s>(&'s mut self, node: &'s Node) -> Entry<'s, 'a> {
        Entry { reader: self.reader, key: self.key, node }
    }

    /// The folder that paths in the value are relative to.
    pub(crate) fn directory(&self) -> &'e Path {
        &self.node.origin.source.directory
    }

    /// What identities are relative to, and what is no photograph.
    pub(crate) fn content_rules(&self) -> (&'a Home, Option<Exclusion<'a>>) {
        (self.reader.home, self.reader.exclusion)
    }

    /// Adds lines on what was left out of the photographs.
    pub(crate) fn note(&mut self, notes: Vec<String>) {
        self.reader.notes.extend(notes);
    }

    /// A bad value; the help says what the key accepts.
    pub(crate) fn reject(&mut self, message: impl Into<String>, label: impl Into<String>) {
        self.reader.reject(self.key, Some(&self.node.origin), message, label);
    }

    /// A problem of the value that has its own help.
    pub(crate) fn report(&mut self, problem: Problem, label: impl Into<String>) {
        self.reader.report(problem, Some(&self.node.origin), label);
    }

    /// A bad value at another place than the value's own.
    pub(crate) fn reject_at(
        &mut self,
        origin: &Origin,
        message: impl Into<String>,
        label: impl Into<String>,
    ) {
        self.reader.reject(self.key, Some(origin), message, label);
    }

    /// A value of a wrong type.
    pub(crate) fn wrong_kind(&mut self) {
        let message = format!("`{}` is {}", self.path(), self.node.value.kind());
        self.reject(message, "of the wrong kind");
    }

    /// A string.
    pub(crate) fn text(&mut self) -> Option<&'e str> {
        let text = self.node.text();
        if text.is_none() {
            self.wrong_kind();
        }
        text
    }

    /// A finite number in the key's range.
    pub(crate) fn number(&mut self) -> Option<f64> {
        let Some(number) = self.node.value.number() else {
            self.wrong_kind();
            return None;
        };
        if !self.accepts().holds(number) {
            let label = if number.is_finite() { "out of range" } else { "not finite" };
            self.reject(format!("`{}` is {number}", self.path()), label);
            return None;
        }
        Some(number)
    }

    /// A whole number in the key's range.
    pub(crate) fn whole<T: TryFrom<u64>>(&mut self) -> Option<T> {
        let path = self.path();
        let number = match self.node.value {
            Value::Integer(number) => number,
            Value::HugeInteger => {
                self.reject(format!("`{path}` is beyond all bounds"), "out of range");
                return None;
            }
            Value::Float(number) => {
                self.reject(format!("`{path}` is {number}"), "not a whole number");
                return None;
            }
            _ => {
                self.wrong_kind();
                return None;
            }
        };
        let fitting = u64::try_from(number).ok().filter(|&n| self.accepts().holds_whole(n));
        let value = fitting.and_then(|number| T::try_from(number).ok());
        if value.is_none() {
            let label = self.why_not(number);
            self.reject(format!("`{path}` is {number}"), label);
        }
        value
    }

    /// Why a whole number is not accepted.
    fn why_not(&self, number: i128) -> String {
        match self.accepts() {
            Accepts::Multiple(unit, least, most)
                if (i128::from(least)..=i128::from(most)).contains(&number) =>
            {
                let below = number - number % i128::from(unit);
                format!("no multiple of {unit}; {below} or {}?", below + i128::from(unit))
            }
            Accepts::OneOf(_) => "not one of the accepted numbers".to_owned(),
            _ => "out of range".to_owned(),
        }
    }
}
