//! The checked settings as a flat list of keys and values, for fingerprints, for the recipes inside
//! pictures, and to say what changed.

use std::path::{Path, PathBuf};

use super::reader::SettingValue;
use super::schema::{Effect, Key};
use crate::files::Home;

/// One checked setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedSetting {
    /// `table.key`; of styles `style.N.key`, counted from 0.
    pub key: String,
    /// The value as TOML. Paths are the files' identities: relative to the pipeline's folder, so
    /// that the list is the same from everywhere and after a move.
    pub value: String,
    /// What the value changes.
    pub effect: Effect,
    /// The file that the value names, if it names a single one.
    pub file: Option<PathBuf>,
}

/// A list in the making. A setting without a value is not listed.
pub(crate) struct Listing {
    home: Home,
    list: Vec<ListedSetting>,
}

impl Listing {
    pub(crate) fn new(home: &Home) -> Listing {
        Listing { home: home.clone(), list: Vec::new() }
    }

    pub(crate) fn into_list(self) -> Vec<ListedSetting> {
        self.list
    }

    /// Adds the value of `key` in `table`: the table's name, and its number if there are several.
    pub(crate) fn add(&mut self, table: &str, key: &Key, value: &impl SettingValue) {
        let Some(text) = value.toml(&|path| self.home.id(path).as_path().to_owned()) else {
            return;
        };
        let file = value.file().map(Path::to_owned);
        // Of a key that takes a path or a word, only the path names an input.
        let effect = match (key.effect, &file) {
            (Effect::Pixels, Some(_)) => Effect::Input,
            (effect, _) => effect,
        };
        let key = format!("{table}.{}", key.name());
        self.list.push(ListedSetting { key, value: text, effect, file });
    }
}

/// The settings as JSON: an object for each table, an array of objects for the styles.
pub fn json_of(list: &[ListedSetting]) -> serde_json::Value {
    let mut document = toml::Table::new();
    for ListedSetting { key, value, .. } in list {
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

    fn listed(key: &str, value: &str) -> ListedSetting {
        ListedSetting {
            key: key.to_owned(),
            value: value.to_owned(),
            effect: Effect::Pixels,
            file: None,
        }
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
}
