//! Typed reading of the merged tree: every read that fails leaves a problem behind and goes on.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::choice::Choice;
use super::paths;
use super::problem::Problem;
use super::schema::{self, Accepts};
use super::settings::LayerWeights;
use super::source::{Origin, Source};
use super::tree::{Node, Table, Value};
use crate::files::Home;
use crate::network::Layer;

/// Reads one variant's tree.
pub(crate) struct Reader<'a> {
    root: &'a Table,
    /// The style that `style.*` keys are read from at present.
    style: Option<usize>,
    /// Where problems point that are about what is not there.
    main: &'a std::sync::Arc<Source>,
    /// The pipeline's folder: what the identities of files are relative to.
    pub(crate) identities: &'a Home,
    /// What is worth a line and no problem.
    pub(crate) notes: Vec<String>,
    /// What was found so far, here and by whoever came before.
    pub(crate) problems: &'a mut Vec<Problem>,
    /// Set if some text could not be parsed: what is missing may be in the part that was not
    /// understood.
    pub(crate) torn: bool,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(
        root: &'a Table,
        main: &'a std::sync::Arc<Source>,
        identities: &'a Home,
        torn: bool,
        problems: &'a mut Vec<Problem>,
    ) -> Reader<'a> {
        Reader { root, style: None, main, identities, notes: Vec::new(), problems, torn }
    }

    /// The folder of the pipeline file.
    pub(crate) fn home(&self) -> &Path {
        &self.main.directory
    }

    /// The styles: one table, or an array of tables.
    fn styles(&self) -> Vec<&'a Table> {
        match self.root.get("style").map(|node| &node.value) {
            Some(Value::Table(table)) => vec![table],
            Some(Value::Array(items)) => items.iter().filter_map(Node::table).collect(),
            _ => Vec::new(),
        }
    }

    pub(crate) fn style_count(&self) -> usize {
        self.styles().len()
    }

    /// From here on `style.*` keys are those of style `index`.
    pub(crate) fn enter_style(&mut self, index: usize) {
        self.style = Some(index);
    }

    pub(crate) fn leave_style(&mut self) {
        self.style = None;
    }

    fn node(&self, path: &str) -> Option<&'a Node> {
        let (table, key) = path.split_once('.')?;
        if table == "style" {
            return self.styles().get(self.style?)?.get(key);
        }
        self.root.get(table)?.table()?.get(key)
    }

    /// Where the key's value stands; `None` if the key is not there.
    pub(crate) fn origin(&self, path: &str) -> Option<Origin> {
        self.node(path).map(|node| node.origin.clone())
    }

    /// Whether a problem was found within the place.
    pub(crate) fn has_problem_at(&self, origin: Option<&Origin>) -> bool {
        origin.is_some_and(|origin| self.problems.iter().any(|problem| problem.touches(origin)))
    }

    /// A bad value of a key; the help says what the key accepts.
    pub(crate) fn bad(
        &mut self,
        path: &str,
        origin: Option<Origin>,
        message: impl Into<String>,
        label: impl Into<String>,
    ) {
        let accepts = schema::find(path).accepts.text();
        let help = if accepts.is_empty() { accepts } else { format!("`{path}` takes {accepts}") };
        self.tell(Problem::new(message).help(help), origin, label);
    }

    /// A problem at a place, or at the pipeline's first line if there is none.
    pub(crate) fn tell(
        &mut self,
        problem: Problem,
        origin: Option<Origin>,
        label: impl Into<String>,
    ) {
        let origin = origin.unwrap_or_else(|| Origin::first_line(self.main));
        self.problems.push(problem.at(&origin, label));
    }

    /// A required key that is not there.
    pub(crate) fn missing(&mut self, table: &str, key: &str, message: &str) {
        let header = match (table, self.style) {
            ("style", Some(index)) => self.root.get("style").map(|node| match node.items() {
                Some(items) => items
                    .iter()
                    .filter(|item| item.table().is_some())
                    .nth(index)
                    .unwrap_or(node)
                    .key
                    .clone(),
                None => node.key.clone(),
            }),
            _ => self.root.get(table).map(|node| node.key.clone()),
        };
        // A table of a wrong kind has been told of; that its keys are missing follows from it.
        let value =
            self.root.get(table).filter(|node| node.table().is_none() && self.style.is_none());
        if self.torn
            || self.has_problem_at(header.as_ref())
            || self.has_problem_at(value.map(|node| &node.origin))
        {
            return;
        }
        let place = match (&header, table) {
            (Some(_), _) => format!("`{key}` belongs here"),
            (None, "style") => {
                "nothing in this file or those it extends names a [[style]]".to_owned()
            }
            (None, _) => format!("nothing in this file or those it extends has a table [{table}]"),
        };
        self.bad(&format!("{table}.{key}"), header, message, place);
    }

    /// Keys that exclude each other, underlined together.
    pub(crate) fn contradiction(&mut self, message: &str, keys: &[&str], help: &str) {
        let nodes =
            keys.iter().filter_map(|path| Some((path.rsplit_once('.')?.1, self.node(path)?)));
        let mut places: Vec<_> = nodes.map(|(name, node)| (name, node.key.clone())).collect();
        places.sort_by_key(|(_, origin)| (origin.source.rank, origin.span.start));
        let problem =
            places.iter().fold(Problem::new(message).help(help), |problem, (name, origin)| {
                problem.at(origin, format!("`{name}`"))
            });
        self.problems.push(problem);
    }

    fn wrong_type(&mut self, path: &str, node: &Node) {
        let message = format!("`{path}` is {}", node.value.kind());
        self.bad(path, Some(node.origin.clone()), message, "of the wrong kind");
    }

    fn number_of(&mut self, path: &str, node: &Node) -> Option<f64> {
        let number = match node.value {
            Value::Float(number) => number,
            Value::Integer(number) => number as f64,
            Value::HugeInteger => f64::INFINITY,
            _ => {
                self.wrong_type(path, node);
                return None;
            }
        };
        if !schema::find(path).accepts.holds(number) {
            let label = if number.is_finite() { "out of range" } else { "not finite" };
            self.bad(path, Some(node.origin.clone()), format!("`{path}` is {number}"), label);
            return None;
        }
        Some(number)
    }

    fn whole_of<T: TryFrom<u64>>(&mut self, path: &str, node: &Node) -> Option<T> {
        let number = match node.value {
            Value::Integer(number) => Some(number),
            Value::HugeInteger => None,
            Value::Float(number) => {
                self.bad(
                    path,
                    Some(node.origin.clone()),
                    format!("`{path}` is {number}"),
                    "not a whole number",
                );
                return None;
            }
            _ => {
                self.wrong_type(path, node);
                return None;
            }
        };
        let (least, most) = schema::find(path).accepts.whole_range().unwrap_or((0, u64::MAX));
        let fitting = number
            .and_then(|number| u64::try_from(number).ok())
            .filter(|number| (least..=most).contains(number));
        let value = fitting.and_then(|number| T::try_from(number).ok());
        if value.is_none() {
            let message = number.map_or(format!("`{path}` is beyond all bounds"), |number| {
                format!("`{path}` is {number}")
            });
            self.bad(path, Some(node.origin.clone()), message, "out of range");
        }
        value
    }

    /// A number in the key's range.
    pub(crate) fn number(&mut self, path: &str) -> Option<f64> {
        let node = self.node(path)?;
        self.number_of(path, node)
    }

    /// A whole number in the key's range.
    pub(crate) fn integer<T: TryFrom<u64>>(&mut self, path: &str) -> Option<T> {
        let node = self.node(path)?;
        self.whole_of(path, node)
    }

    /// One whole number or an array of them; empty if any is bad.
    pub(crate) fn integers(&mut self, path: &str) -> Option<Vec<u32>> {
        let node = self.node(path)?;
        match node.items() {
            None => self.whole_of(path, node).map(|number| vec![number]),
            Some(items) => {
                let numbers: Vec<_> = items.iter().map(|item| self.whole_of(path, item)).collect();
                Some(numbers.into_iter().collect::<Option<_>>().unwrap_or_default())
            }
        }
    }

    /// Two numbers from 0 to 1.
    pub(crate) fn pair(&mut self, path: &str) -> Option<[f64; 2]> {
        let node = self.node(path)?;
        let number = |node: &Node| match node.value {
            Value::Float(number) => Some(number),
            Value::Integer(number) => Some(number as f64),
            _ => None,
        };
        let numbers: Option<Vec<_>> =
            node.items().and_then(|items| items.iter().map(number).collect());
        match numbers.as_deref() {
            Some(&[x, y]) if (0.0..=1.0).contains(&x) && (0.0..=1.0).contains(&y) => Some([x, y]),
            _ => {
                let message = format!("`{path}` is not two numbers from 0 to 1");
                self.bad(path, Some(node.origin.clone()), message, "not a point of the picture");
                None
            }
        }
    }

    /// true or false.
    pub(crate) fn boolean(&mut self, path: &str) -> Option<bool> {
        let node = self.node(path)?;
        if let Value::Boolean(boolean) = node.value {
            return Some(boolean);
        }
        self.wrong_type(path, node);
        None
    }

    /// One of the words of `T`.
    pub(crate) fn choice<T: Choice>(&mut self, path: &str) -> Option<T> {
        let node = self.node(path)?;
        let words: Vec<_> = T::ALL.iter().map(|choice| choice.word()).collect();
        let listed: Vec<_> = words.iter().map(|word| format!("\"{word}\"")).collect();
        let help = format!("`{path}` takes {}", listed.join(", "));
        let Some(text) = node.text() else {
            let problem = Problem::new(format!("`{path}` is {}", node.value.kind())).help(help);
            self.tell(problem, Some(node.origin.clone()), "of the wrong kind");
            return None;
        };
        let found = T::ALL.iter().copied().find(|choice| choice.word() == text);
        if found.is_none() {
            let label = match schema::nearest(text, words) {
                Some(word) => format!("did you mean \"{word}\"?"),
                None => "not one of the accepted words".to_owned(),
            };
            let problem = Problem::new(format!("`{path}` is \"{}\"", shorten(text))).help(help);
            self.tell(problem, Some(node.origin.clone()), label);
        }
        found
    }

    /// Whether the value is the word "auto".
    pub(crate) fn is_auto(&self, path: &str) -> bool {
        self.node(path).and_then(Node::text) == Some("auto")
    }

    /// A string and its place.
    pub(crate) fn text(&mut self, path: &str) -> Option<(String, Origin)> {
        let node = self.node(path)?;
        if let Some(text) = node.text() {
            return Some((text.to_owned(), node.origin.clone()));
        }
        self.wrong_type(path, node);
        None
    }

    /// A string, or a time as TOML writes it without quotes.
    pub(crate) fn text_or_time(&mut self, path: &str) -> Option<(String, Origin)> {
        let node = self.node(path)?;
        match &node.value {
            Value::Time(time) => Some((time.clone(), node.origin.clone())),
            _ => self.text(path),
        }
    }

    /// A string or an array of strings, each with its place; at least one, or there is a problem.
    pub(crate) fn strings(&mut self, path: &str) -> Option<Vec<(String, Origin)>> {
        let node = self.node(path)?;
        let mut texts = Vec::new();
        for item in node.items().unwrap_or(std::slice::from_ref(node)) {
            match item.text() {
                Some(text) => texts.push((text.to_owned(), item.origin.clone())),
                None => self.wrong_type(path, item),
            }
        }
        if node.items().is_some_and(<[Node]>::is_empty) {
            self.bad(
                path,
                Some(node.origin.clone()),
                format!("`{path}` is empty"),
                "at least one is needed",
            );
        }
        Some(texts)
    }

    /// The path of a file that exists.
    pub(crate) fn existing_file(&mut self, path: &str) -> Option<PathBuf> {
        let (text, origin) = self.text(path)?;
        let file = paths::resolve(&origin.source.directory, &text);
        let message = match std::fs::metadata(&file) {
            _ if text.is_empty() => format!("`{path}` is empty"),
            Ok(found) if found.is_dir() => format!("`{}` is a folder", file.display()),
            Ok(_) => return Some(file),
            Err(error) => format!("cannot find `{}`: {}", file.display(), paths::reason(&error)),
        };
        self.bad(path, Some(origin), message, "not a file");
        None
    }

    /// The path of a folder that may be made later.
    pub(crate) fn directory(&mut self, path: &str, default: &str) -> PathBuf {
        let Some((text, origin)) = self.text(path) else {
            return paths::resolve(self.home(), default);
        };
        let folder = paths::resolve(&origin.source.directory, &text);
        if std::fs::metadata(&folder).is_ok_and(|found| !found.is_dir()) {
            self.bad(
                path,
                Some(origin),
                format!("`{}` is a file", folder.display()),
                "not a folder",
            );
        } else if text.is_empty() || text.contains('\0') {
            self.bad(path, Some(origin), format!("`{path}` is no path"), "not a folder");
        } else if let Some(reason) = paths::unknown_home(&text) {
            self.bad(path, Some(origin), reason, "not a folder that is known");
        }
        folder
    }

    /// Layers with weights: an array of names, or a table from names to weights.
    pub(crate) fn layers(&mut self, path: &str) -> Option<LayerWeights> {
        let node = self.node(path)?;
        let mut weights = BTreeMap::new();
        match &node.value {
            Value::Array(items) => {
                for item in items {
                    match item.text() {
                        Some(name) => self.add_layer(path, &mut weights, name, &item.origin, 1.0),
                        None => self.wrong_type(path, item),
                    }
                }
            }
            Value::Table(table) => {
                for (name, item) in table {
                    let weight = self.layer_weight(path, item).unwrap_or(1.0);
                    self.add_layer(path, &mut weights, name, &item.key, weight);
                }
            }
            _ => self.wrong_type(path, node),
        }
        let no_layer = match &node.value {
            Value::Array(items) => items.is_empty(),
            Value::Table(table) => table.is_empty(),
            _ => false,
        };
        if no_layer {
            let weight = path.replace("layers", "weight");
            let problem = Problem::new(format!("`{path}` is empty"))
                .help(format!("to leave the term out, set `{weight} = 0`"));
            self.tell(problem, Some(node.origin.clone()), "at least one layer");
        }
        Some(LayerWeights(weights))
    }

    fn layer_weight(&mut self, path: &str, item: &Node) -> Option<f64> {
        let number = match item.value {
            Value::Float(number) => number,
            Value::Integer(number) => number as f64,
            _ => {
                self.wrong_type(path, item);
                return None;
            }
        };
        if !Accepts::Number(0.0, f64::MAX).holds(number) {
            let problem = Problem::new(format!("a layer's weight is {number}"))
                .help("a weight is a finite number, 0 or more");
            self.tell(problem, Some(item.origin.clone()), "out of range");
        }
        Some(number)
    }

    fn add_layer(
        &mut self,
        path: &str,
        weights: &mut BTreeMap<Layer, f64>,
        name: &str,
        origin: &Origin,
        weight: f64,
    ) {
        match Layer::parse(name) {
            Some(layer) => {
                if weights.insert(layer, weight).is_some() {
                    self.bad(
                        path,
                        Some(origin.clone()),
                        format!("`{layer}` is named twice"),
                        "again",
                    );
                }
            }
            None => {
                let names: Vec<_> = Layer::ALL.iter().map(Layer::to_string).collect();
                let label = match schema::nearest(name, names.iter().map(String::as_str)) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => "not a layer".to_owned(),
                };
                self.bad(
                    path,
                    Some(origin.clone()),
                    format!("`{}` is no layer", shorten(name)),
                    label,
                );
            }
        }
    }
}

/// At most the first 60 characters, for quoting in a message.
pub(crate) fn shorten(text: &str) -> String {
    let line: String =
        text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).take(60).collect();
    if line.chars().count() < text.chars().count() { line + "…" } else { line }
}
