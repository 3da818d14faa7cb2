//! The types that settings have: how each is read, listed and described.
//!
//! Types that belong to one setting alone are beside their table in `settings/`.

use std::fmt::Debug;
use std::path::{Path, PathBuf};

use super::choice::Choice;
use super::content::{Expansion, expand, pattern};
use super::paths;
use super::reader::{Entry, SettingValue};
use super::schema::Accepts;
use super::source::Origin;
use super::text::{nearest, quote, shorten};
use super::tree::Value;
use crate::files::NamedFile;
use crate::units::{Dpi, Mm, Paper, Px};

/// A value that the program may choose itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OrAuto<T> {
    /// `"auto"`.
    #[default]
    Auto,
    /// This one.
    Value(T),
}

impl<T: SettingValue> SettingValue for OrAuto<T> {
    fn describe(accepts: Accepts) -> String {
        format!("`\"auto\"` or {}", T::describe(accepts))
    }

    fn read(entry: &mut Entry<'_, '_>) -> Option<Self> {
        let is_auto = entry.node().text() == Some("auto");
        if is_auto { Some(OrAuto::Auto) } else { T::read(entry).map(OrAuto::Value) }
    }

    fn toml(&self, relative: &dyn Fn(&Path) -> PathBuf) -> Option<String> {
        match self {
            OrAuto::Auto => Some(quote("auto")),
            OrAuto::Value(value) => value.toml(relative),
        }
    }
}

/// A value that may be left out: then a later stage decides.
impl<T: SettingValue> SettingValue for Option<T> {
    fn describe(accepts: Accepts) -> String {
        T::describe(accepts)
    }

    fn read(entry: &mut Entry<'_, '_>) -> Option<Self> {
        T::read(entry).map(Some)
    }

    fn toml(&self, relative: &dyn Fn(&Path) -> PathBuf) -> Option<String> {
        self.as_ref()?.toml(relative)
    }

    fn file(&self) -> Option<&Path> {
        self.as_ref()?.file()
    }
}

/// A number or boolean as TOML: `Debug` writes floats always as floats.
fn plain(value: &impl Debug) -> Option<String> {
    Some(format!("{value:?}"))
}

impl SettingValue for f64 {
    fn read(entry: &mut Entry<'_, '_>) -> Option<Self> {
        entry.number()
    }

    fn toml(&self, _: &dyn Fn(&Path) -> PathBuf) -> Option<String> {
        plain(self)
    }
}

/// Whole numbers.
macro_rules! whole {
    ($($type:ty),+) => {
        $(impl SettingValue for $type {
            fn read(entry: &mut Entry<'_, '_>) -> Option<Self> {
                entry.whole()
            }

            fn toml(&self, _: &dyn Fn(&Path) -> PathBuf) -> Option<String> {
                plain(self)
            }
        })+
    };
}

whole!(u8, u32, u64, usize);

/// Units: read and listed as the numbers in them.
macro_rules! unit {
    ($($type:ident),+) => {
        $(impl SettingValue for $type {
            fn read(entry: &mut Entry<'_, '_>) -> Option<Self> {
                SettingValue::read(entry).map($type)
            }

            fn toml(&self, relative: &dyn Fn(&Path) -> PathBuf) -> Option<String> {
                self.0.toml(relative)
            }
        })+
    };
}

unit!(Px, Mm, Dpi);

impl SettingValue for bool {
    fn describe(_: Accepts) -> String {
        "`true` or `false`".to_owned()
    }

    fn read(entry: &mut Entry<'_, '_>) -> Option<Self> {
        if let Value::Boolean(boolean) = entry.node().value {
            return Some(boolean);
        }
        entry.wrong_kind();
        None
    }

    fn toml(&self, _: &dyn Fn(&Path) -> PathBuf) -> Option<String> {
        plain(self)
    }
}

impl<T: Choice> SettingValue for T {
    fn describe(_: Accepts) -> String {
        let words: Vec<_> = T::words().map(|word| format!("`\"{word}\"`")).collect();
        words.join(", ")
    }

    fn read(entry: &mut Entry<'_, '_>) -> Option<Self> {
        let text = entry.text()?;
        let choice = T::from_word(text);
        if choice.is_none() {
            let label = match nearest(text, T::words()) {
                Some(word) => format!("did you mean \"{word}\"?"),
                None => "not one of the accepted words".to_owned(),
            };
            entry.reject(format!("`{}` is \"{}\"", entry.path(), shorten(text)), label);
        }
        choice
    }

    fn toml(&self, _: &dyn Fn(&Path) -> PathBuf) -> Option<String> {
        Some(quote(self.word()))
    }
}

/// A file that exists, or a folder that may be made later.
impl SettingValue for PathBuf {
    fn read(entry: &mut Entry<'_, '_>) -> Option<Self> {
        let text = entry.text()?;
        let path = paths::resolve(entry.directory(), text);
        let shown = path.display();
        let found = std::fs::metadata(&path);
        let (message, label) = match (entry.accepts(), found) {
            (Accepts::Folder, Ok(found)) if !found.is_dir() => {
                (format!("`{shown}` is a file"), "not a folder")
            }
            (Accepts::Folder, _) if text.is_empty() || text.contains('\0') => {
                (format!("`{}` is no path", entry.path()), "not a folder")
            }
            (_, Err(_)) if let Some(reason) = paths::unknown_home(text) => (reason, "not a path"),
            (Accepts::Folder, _) => return Some(path),
            _ if text.is_empty() => (format!("`{}` is empty", entry.path()), "not a file"),
            (_, Ok(found)) if found.is_dir() => (format!("`{shown}` is a folder"), "not a file"),
            (_, Ok(_)) => return Some(path),
            (_, Err(error)) => {
                let reason = paths::reason(&error);
                (format!("cannot find `{shown}`: {reason}"), "not a file")
            }
        };
        entry.reject(message, label);
        None
    }

    fn toml(&self, relative: &dyn Fn(&Path) -> PathBuf) -> Option<String> {
        Some(quote(&paths::text(&relative(self))))
    }

    fn file(&self) -> Option<&Path> {
        Some(self)
    }
}

/// A sheet of paper.
impl SettingValue for Paper {
    fn describe(_: Accepts) -> String {
        "`\"A0\"` to `\"A6\"`, or a size such as `\"24x36in\"`, `\"30x40cm\"` or `\"300x400mm\"`"
            .to_owned()
    }

    fn read(entry: &mut Entry<'_, '_>) -> Option<Self> {
        let text = entry.text()?;
        let paper = Paper::parse(text).ok();
        if paper.is_none() {
            entry.reject(format!("`{}` is no paper size", shorten(text)), "not a size");
        }
        paper
    }

    fn toml(&self, _: &dyn Fn(&Path) -> PathBuf) -> Option<String> {
        Some(quote(&format!("{}x{}mm", self.short.0, self.long.0)))
    }
}

/// One whole number, or an array with at least one.
impl SettingValue for Vec<u32> {
    fn describe(accepts: Accepts) -> String {
        format!("{}, or an array of such numbers", accepts.text())
    }

    fn read(entry: &mut Entry<'_, '_>) -> Option<Self> {
        let Some(items) = entry.node().items() else {
            return entry.whole().map(|number| vec![number]);
        };
        if items.is_empty() {
            entry.reject(format!("`{}` is empty", entry.path()), "at least one is needed");
            return None;
        }
        // Every bad item is reported.
        let numbers: Vec<_> = items.iter().map(|item| entry.part(item).whole()).collect();
        numbers.into_iter().collect()
    }

    fn toml(&self, _: &dyn Fn(&Path) -> PathBuf) -> Option<String> {
        plain(self)
    }
}

/// A point: shares of width and height.
impl SettingValue for [f64; 2] {
    fn describe(_: Accepts) -> String {
        "two numbers from 0 to 1, such as `[0.5, 0.5]`".to_owned()
    }

    fn read(entry: &mut Entry<'_, '_>) -> Option<Self> {
        let items = entry.node().items().unwrap_or_default();
        let numbers: Option<Vec<_>> = items.iter().map(|item| item.value.number()).collect();
        let point = numbers.and_then(|numbers| <[f64; 2]>::try_from(numbers).ok());
        let point = point.filter(|point| point.iter().all(|share| (0.0..=1.0).contains(share)));
        if point.is_none() {
            let message = format!("`{}` is not two numbers from 0 to 1", entry.path());
            entry.reject(message, "not a point of the picture");
        }
        point
    }

    fn toml(&self, _: &dyn Fn(&Path) -> PathBuf) -> Option<String> {
        plain(self)
    }
}

/// The content images that paths, folders and globs name.
impl SettingValue for Vec<NamedFile> {
    fn describe(_: Accepts) -> String {
        "paths, folders or globs of pictures, such as `[\"photos/*.jpg\"]`".to_owned()
    }

    fn read(entry: &mut Entry<'_, '_>) -> Option<Self> {
        let patterns = texts(entry)?;
        let (home, exclusion) = entry.content_rules();
        let mut complain = |origin: &Origin, message, label| {
            entry.reject_at(origin, message, label);
        };
        let Expansion { content, notes } = expand(&patterns, home, exclusion, &mut complain);
        entry.note(notes);
        Some(content)
    }

    fn toml(&self, _: &dyn Fn(&Path) -> PathBuf) -> Option<String> {
        let items: Vec<_> = self.iter().map(|file| quote(&pattern(&file.id))).collect();
        Some(format!("[{}]", items.join(", ")))
    }
}

/// A string or an array of strings, each with its place; at least one, or there is a problem.
pub(crate) fn texts(entry: &mut Entry<'_, '_>) -> Option<Vec<(String, Origin)>> {
    let node = entry.node();
    if node.items().is_some_and(<[_]>::is_empty) {
        entry.reject(format!("`{}` is empty", entry.path()), "at least one is needed");
        return None;
    }
    let items = node.items().unwrap_or(std::slice::from_ref(node));
    let texts = items.iter().filter_map(|item| {
        let text = entry.part(item).text()?;
        Some((text.to_owned(), item.origin.clone()))
    });
    Some(texts.collect())
}
