//! The checked settings as a flat list of keys and values, for fingerprints, for the recipes inside
//! pictures, and to say what changed.

use std::path::{Component, Path, PathBuf};

use super::reader::SettingValue;
use super::schema::{Effect, Key};

/// One checked setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// `table.key`; of styles `style.N.key`, counted from 0.
    pub key: String,
    /// The value as TOML. Paths are relative to the pipeline's folder where they can be, so that a
    /// moved folder lists the same.
    pub value: String,
    /// What the value changes.
    pub effect: Effect,
    /// The file that the value names, if it names a single one.
    pub file: Option<PathBuf>,
}

/// A list in the making. A setting without a value is not listed.
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

    /// Adds the value of `key` in `table`: the table's name, and its number if there are several.
    pub(crate) fn add(&mut self, table: &str, key: &Key, value: &impl SettingValue) {
        let Some(text) = value.toml(&|path| relative(&self.base, path)) else { return };
        let file = value.file().map(Path::to_owned);
        // Of a key that takes a path or a word, only the path names an input.
        let effect = match (key.effect, &file) {
            (Effect::Pixels, Some(_)) => Effect::Input,
            (effect, _) => effect,
        };
        let key = format!("{table}.{}", key.name());
        self.list.push(Listed { key, value: text, effect, file });
    }
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
}
