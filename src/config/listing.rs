//! The checked settings as a flat list of keys and values, for fingerprints and for telling what
//! changed.

use std::fmt::{Debug, Display};
use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::schema::{self, Effect};
use super::settings::LayerWeights;

/// One checked setting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed {
    /// `table.key`; of styles `style.N.key`, counted from 0.
    pub key: String,
    /// The value as TOML. Paths are relative to the pipeline file where they can be, so that a
    /// moved folder lists the same.
    pub value: String,
    /// What the value changes.
    pub effect: Effect,
}

/// A list in the making. Settings that are `None` are not listed.
pub(crate) struct Listing {
    base: PathBuf,
    list: Vec<Listed>,
}

impl Listing {
    pub(crate) fn new(base: &Path) -> Listing {
        Listing { base: base.to_owned(), list: Vec::new() }
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
            let relative = relative(&self.base, path);
            self.push(key, quote(&relative.to_string_lossy()));
            if let Some(last) = self.list.last_mut()
                && last.effect == Effect::Pixels
            {
                last.effect = Effect::Input;
            }
        }
    }

    pub(crate) fn paths(&mut self, key: &str, paths: &[PathBuf]) {
        let base = self.base.clone();
        self.texts(
            key,
            paths.iter().map(|path| relative(&base, path).to_string_lossy().into_owned()),
        );
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
fn quote(text: &str) -> String {
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

/// `path` as seen from `base`, if both are relative or both absolute and `base` goes up nowhere;
/// else `path`.
fn relative(base: &Path, path: &Path) -> PathBuf {
    let common =
        base.components().zip(path.components()).take_while(|(one, other)| one == other).count();
    let up: Vec<_> = base.components().skip(common).collect();
    let named = up.iter().all(|part| matches!(part, Component::Normal(_)));
    if base.is_absolute() != path.is_absolute() || !named {
        return path.to_owned();
    }
    let down = path.components().skip(common).map(Component::as_os_str);
    up.iter().map(|_| Component::ParentDir.as_os_str()).chain(down).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_seen_from_the_pipeline() {
        assert_eq!(relative(Path::new("a/b"), Path::new("a/c/d.png")), Path::new("../c/d.png"));
        assert_eq!(relative(Path::new(""), Path::new("c/d.png")), Path::new("c/d.png"));
        assert_eq!(relative(Path::new("a"), Path::new("/d.png")), Path::new("/d.png"));
        assert_eq!(relative(Path::new("../a"), Path::new("d.png")), Path::new("d.png"));
        assert_eq!(relative(Path::new("/x/a"), Path::new("/x/a/d.png")), Path::new("d.png"));
    }

    #[test]
    fn texts_are_quoted_as_toml_reads_them() {
        let text = "a \"b\" \\ \n \u{7f} é";
        let table: toml::Table = format!("x = {}", quote(text)).parse().expect("TOML");
        assert_eq!(table["x"].as_str(), Some(text));
    }
}
