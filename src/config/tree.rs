//! The merged tree of settings before they are checked: TOML values that know their place.

use std::collections::BTreeMap;
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::schema::Key;
use super::source::{Origin, Source};

/// A table: names to values.
pub(crate) type Table = BTreeMap<String, Node>;

/// A value and its place.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    /// The key's place; of an item of an array, the item's.
    pub(crate) key: Origin,
    /// The value's place.
    pub(crate) origin: Origin,
    pub(crate) value: Value,
}

/// A TOML value, numbers wide enough for every key.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Text(String),
    Integer(i128),
    /// An integer that not even 128 bits hold.
    HugeInteger,
    Float(f64),
    Boolean(bool),
    /// A date or time, as written.
    Time(String),
    Array(Vec<Node>),
    Table(Table),
}

impl Value {
    /// What the value is, for messages.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Value::Text(_) => "a string",
            Value::Integer(_) | Value::HugeInteger => "a whole number",
            Value::Float(_) => "a number",
            Value::Boolean(_) => "a boolean",
            Value::Time(_) => "a date or time",
            Value::Array(_) => "an array",
            Value::Table(_) => "a table",
        }
    }

    /// The number, if it is one; infinite if no integer type holds it.
    pub(crate) fn number(&self) -> Option<f64> {
        match self {
            Value::Float(number) => Some(*number),
            Value::Integer(number) => Some(*number as f64),
            Value::HugeInteger => Some(f64::INFINITY),
            _ => None,
        }
    }
}

impl Node {
    /// The table, if it is one.
    pub(crate) fn table(&self) -> Option<&Table> {
        match &self.value {
            Value::Table(table) => Some(table),
            _ => None,
        }
    }

    /// The items, if it is an array.
    pub(crate) fn items(&self) -> Option<&[Node]> {
        match &self.value {
            Value::Array(items) => Some(items),
            _ => None,
        }
    }

    /// The text, if it is one.
    pub(crate) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// A parsed value, moved by `offset` bytes in its text, under the key at `key`.
    pub(crate) fn new(
        source: &Arc<Source>,
        offset: usize,
        key: Option<Origin>,
        spanned: &Spanned<DeValue<'_>>,
    ) -> Node {
        let span = spanned.span();
        let origin = Origin::new(source, span.start + offset..span.end + offset);
        let key = key.unwrap_or_else(|| origin.clone());
        let value = match spanned.get_ref() {
            DeValue::String(text) => Value::Text(text.to_string()),
            DeValue::Integer(number) => i128::from_str_radix(number.as_str(), number.radix())
                .map_or(Value::HugeInteger, Value::Integer),
            // Whatever the parser let through as a float and is none is caught as "not finite".
            DeValue::Float(number) => Value::Float(number.as_str().parse().unwrap_or(f64::NAN)),
            DeValue::Boolean(boolean) => Value::Boolean(*boolean),
            DeValue::Datetime(time) => Value::Time(time.to_string()),
            DeValue::Array(items) => Value::Array(
                items.iter().map(|item| Node::new(source, offset, None, item)).collect(),
            ),
            DeValue::Table(table) => Value::Table(read_table(source, offset, table)),
        };
        Node { key, origin, value }
    }
}

/// A parsed table, moved by `offset` bytes in its text.
pub(crate) fn read_table(source: &Arc<Source>, offset: usize, table: &DeTable<'_>) -> Table {
    let mut nodes = Table::new();
    for (key, value) in table.iter() {
        let span = key.span();
        let origin = Origin::new(source, span.start + offset..span.end + offset);
        let node = Node::new(source, offset, Some(origin), value);
        nodes.insert(key.get_ref().to_string(), node);
    }
    nodes
}

/// Lays `over` on `under`: tables merge key by key, and so do the tables in a grid; everything else
/// replaces, a key's value as a whole. `exclusive` are groups of keys of which a later group drops the earlier groups.
pub(crate) fn merge(under: &mut Table, over: Table, exclusive: &[&[&Key]]) {
    drop_other_groups(under, exclusive, |key| {
        over.get(key.table).and_then(Node::table).is_some_and(|t| t.contains_key(&key.name()))
    });
    for (name, node) in over {
        match (under.get_mut(&name), node) {
            (
                Some(Node { value: Value::Table(below), key, origin }),
                Node { value: Value::Table(above), key: above_key, origin: above_origin },
            ) => {
                (*key, *origin) = (above_key, above_origin);
                if name == "grid" { merge(below, above, &[]) } else { below.extend(above) }
            }
            (_, node) => {
                under.insert(name, node);
            }
        }
    }
}

/// If any key of any group is `given`, removes from `tree` the groups of which none is.
pub(crate) fn drop_other_groups(
    tree: &mut Table,
    groups: &[&[&Key]],
    given: impl Fn(&Key) -> bool,
) {
    let is_given = |group: &&&[&Key]| group.iter().any(|key| given(key));
    let (later, earlier): (Vec<&&[&Key]>, Vec<_>) = groups.iter().partition(is_given);
    if later.is_empty() {
        return;
    }
    for key in earlier.into_iter().copied().flatten() {
        if let Some(Node { value: Value::Table(table), .. }) = tree.get_mut(key.table) {
            table.remove(&key.name());
        }
    }
}
