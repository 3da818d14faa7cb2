//! The checked settings as a flat list of keys and values, for fingerprints and for telling what
//! changed.

use std::fmt::{Debug, Display};
use std::path::Path;

use super::schema::{self, Effect};
use super::settings::LayerWeights;
use crate::files::{FileId, Home, NamedFile};

/// One checked setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// `table.key`; of styles `style.N.key`, counted from 0.
    pub key: String,
    /// The value as TOML. Paths are the files' identities: relative to the pipeline's folder, so
    /// that it lists the same from everywhere and after it is moved.
    pub value: String,
    /// What the value changes.
    pub effect: Effect,
}

/// A list in the making. Settings that are `None` are not listed.
pub(crate) struct Listing {
    home: Home,
    list: Vec<Listed>,
}

impl Listing {
    pub(crate) fn new(home: &Home) -> Listing {
        Listing { home: home.clone(), list: Vec::new() }
    }

    pub(crate) fn into_list(self) -> Vec<Listed> {
        self.list
    }

    fn push(&mut self, key: &str, value: String) {
        let of_style = key.strip_prefix("style.").and_then(|rest| rest.split_once('.'));
        let effect = match of_style {
            Some((_, name)) => schema::find(&format!("style.{name}")).effect,
            None => schema::find(key).effect,
        };
        self.list.push(Listed { key: key.to_owned(), value, effect });
    }

    /// A number or boolean: `Debug` writes them as TOML does, floats always as floats.
    pub(crate) fn value(&mut self, key: &str, value: impl Debug) {
        self.push(key, format!("{value:?}"));
    }

    pub(crate) fn values(&mut self, key: &str, values: &[impl Debug]) {
        self.push(key, format!("{values:?}"));
    }

    pub(crate) fn optional(&mut self, key: &str, value: Option<impl Debug>) {
        if let Some(value) = value {
            self.value(key, value);
        }
    }

    pub(crate) fn text(&mut self, key: &str, text: impl Display) {
        self.push(key, quote(&text.to_string()));
    }

    pub(crate) fn texts(&mut self, key: &str, texts: impl Iterator<Item = String>) {
        let texts: Vec<_> = texts.map(|text| quote(&text)).collect();
        self.push(key, format!("[{}]", texts.join(", ")));
    }

    /// A path; of a key that holds a path or a word, only the path names an input.
    pub(crate) fn path(&mut self, key: &str, path: Option<&Path>) {
        if let Some(path) = path {
            let id = self.home.id(path);
            self.push(key, quote(&id.as_path().to_string_lossy()));
            if let Some(last) = self.list.last_mut()
                && last.effect == Effect::Pixels
            {
                last.effect = Effect::Input;
            }
        }
    }

    /// Files that a path, folder or glob names.
    pub(crate) fn files(&mut self, key: &str, files: &[NamedFile]) {
        self.texts(key, files.iter().map(|file| pattern(&file.id)));
    }

    pub(crate) fn layers(&mut self, key: &str, layers: Option<&LayerWeights>) {
        if let Some(LayerWeights(layers)) = layers {
            let items: Vec<_> =
                layers.iter().map(|(layer, weight)| format!("{layer} = {weight:?}")).collect();
            self.push(key, format!("{{ {} }}", items.join(", ")));
        }
    }
}

/// A basic TOML string.
pub fn quote(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => quoted.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// A pattern that names one file: its path, or where that is not UTF-8 and TOML cannot hold it, a
/// glob with `?` in the place of each byte that is no text and of each backslash.
fn pattern(id: &FileId) -> String {
    if let Some(text) = id.as_path().to_str() {
        return text.to_owned();
    }
    let mut glob = String::new();
    for chunk in id.as_path().as_os_str().as_encoded_bytes().utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '*' | '[' | ']' | '{' | '}' => glob.extend(['[', c, ']']),
                '\\' => glob.push('?'),
                c => glob.push(c),
            }
        }
        glob.extend(chunk.invalid().iter().map(|_| '?'));
    }
    glob
}

/// The settings as JSON: an object for each table, an array of objects for the styles.
pub fn json_of(list: &[Listed]) -> serde_json::Value {
    let mut document = toml::Table::new();
    for Listed { key, value, .. } in list {
        // What is listed is TOML, so that nothing is left out here.
        let Ok(mut parsed) = format!("value = {value}").parse::<toml::Table>() else { continue };
        let Some(value) = parsed.remove("value") else { continue };
        let parts: Vec<&str> = key.split('.').collect();
        match parts[..] {
            [table, key] => {
                let table = document.entry(table).or_insert_with(|| toml::Table::new().into());
                table.as_table_mut().and_then(|table| table.insert(key.into(), value));
            }
            [table, number, key] => {
                let tables = document.entry(table).or_insert_with(|| toml::Value::Array(vec![]));
                let (Some(tables), Ok(number)) = (tables.as_array_mut(), number.parse::<usize>())
                else {
                    continue;
                };
                if tables.len() <= number {
                    tables.resize(number + 1, toml::Table::new().into());
                }
                tables[number].as_table_mut().and_then(|table| table.insert(key.into(), value));
            }
            _ => {}
        }
    }
    serde_json::to_value(document).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(key: &str, value: &str) -> Listed {
        Listed { key: key.to_owned(), value: value.to_owned(), effect: Effect::Pixels }
    }

    #[test]
    fn settings_as_json_have_the_shape_of_a_pipeline() {
        let list = [
            listed("style.0.image", "\"a.png\""),
            listed("style.0.weight", "2.0"),
            listed("style.1.image", "\"b.png\""),
            listed("pyramid.evaluations", "[600, 200]"),
            listed("objective.style-layers", "{ relu1_1 = 1.0 }"),
        ];
        let expected = serde_json::json!({
            "style": [{ "image": "a.png", "weight": 2.0 }, { "image": "b.png" }],
            "pyramid": { "evaluations": [600, 200] },
            "objective": { "style-layers": { "relu1_1": 1.0 } },
        });
        assert_eq!(json_of(&list), expected);
    }

    #[test]
    fn texts_are_quoted_as_toml_reads_them() {
        let text = "a \"b\" \\ \n \u{7f} é";
        let table: toml::Table = format!("x = {}", quote(text)).parse().expect("TOML");
        assert_eq!(table["x"].as_str(), Some(text));
    }
}
