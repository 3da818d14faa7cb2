//! Names of finished pictures: a template with placeholders, checked once and filled for each
//! picture.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::{Path, PathBuf};

use super::reader::{Entry, SettingValue};
use super::schema::Accepts;
use super::text::{nearest, quote, shorten};
use crate::image::OutputFormat;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Placeholder {
    Content,
    Extension,
    Style,
    Variant,
    Grid,
    Index,
}

const PLACEHOLDERS: [(&str, Placeholder); 6] = [
    ("content", Placeholder::Content),
    ("extension", Placeholder::Extension),
    ("style", Placeholder::Style),
    ("variant", Placeholder::Variant),
    ("grid", Placeholder::Grid),
    ("index", Placeholder::Index),
];

#[derive(Clone, Debug, PartialEq, Eq)]
enum TemplatePart {
    Text(String),
    Fill(Placeholder),
}

/// A file name with placeholders, such as `{content}-{style}.png`; its extension is that of a known
/// format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameTemplate {
    parts: Vec<TemplatePart>,
    format: OutputFormat,
}

/// What the placeholders of a name stand for. Names of files need not be UTF-8.
#[derive(Clone, Copy, Debug)]
pub struct NameParts<'a> {
    /// Stem of the content image's file.
    pub content: &'a OsStr,
    /// Extension of the content image's file; empty if it has none.
    pub extension: &'a OsStr,
    /// Stems of the styles' files, joined by `+`.
    pub style: &'a OsStr,
    /// Name of the variant; empty if it has none.
    pub variant: &'a str,
    /// Name of the combination of the grid; empty if there is none.
    pub grid: &'a str,
    /// Number of the content image, counted from 1; written with at least four digits.
    pub index: usize,
}

/// Why a text is no template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadName {
    /// It has a separator, a control character, or begins with a dot or a space.
    #[error(
        "a file name has no `/`, `\\`, `:` or control characters and does not begin with a dot or a space"
    )]
    Characters,
    /// A brace without its partner.
    #[error("a `{{` or `}}` stands alone")]
    Brace,
    /// A placeholder that does not exist.
    #[error("`{{{0}}}` is no placeholder")]
    Placeholder(String),
    /// No extension, or that of another format.
    #[error("the extension is not one of a known format")]
    Extension,
}

impl NameTemplate {
    /// Reads a template.
    ///
    /// # Errors
    ///
    /// [`BadName`] says which rule the text breaks.
    pub fn parse(text: &str) -> Result<NameTemplate, BadName> {
        if text.contains(['/', '\\', ':'])
            || text.chars().any(char::is_control)
            || text.starts_with(['.', ' '])
        {
            return Err(BadName::Characters);
        }
        let (stem, extension) = text.rsplit_once('.').ok_or(BadName::Extension)?;
        let mut parts = Vec::new();
        let mut rest = stem;
        while let Some(start) = rest.find(['{', '}']) {
            let (before, braced) = rest.split_at(start);
            let (name, after) = braced
                .strip_prefix('{')
                .and_then(|inner| inner.split_once('}'))
                .ok_or(BadName::Brace)?;
            let known = PLACEHOLDERS.iter().find(|(word, _)| *word == name);
            let (_, placeholder) = known.ok_or_else(|| BadName::Placeholder(shorten(name)))?;
            parts.extend([TemplatePart::Text(before.to_owned()), TemplatePart::Fill(*placeholder)]);
            rest = after;
        }
        let format = OutputFormat::from_path(Path::new(text))
            .filter(|_| !stem.is_empty())
            .ok_or(BadName::Extension)?;
        parts.push(TemplatePart::Text(format!("{rest}.{extension}")));
        parts.retain(|part| *part != TemplatePart::Text(String::new()));
        Ok(NameTemplate { parts, format })
    }

    /// The template of a pipeline that names none: as many placeholders as its pictures need to have different names.
    pub(super) fn standard(styled: bool, variant: bool, grid: bool) -> NameTemplate {
        let text = |text: &str| TemplatePart::Text(text.to_owned());
        let mut parts = vec![TemplatePart::Fill(Placeholder::Content)];
        if styled {
            parts.extend([text("-"), TemplatePart::Fill(Placeholder::Style)]);
        }
        if variant {
            parts.extend([text("-"), TemplatePart::Fill(Placeholder::Variant)]);
        }
        if grid {
            parts.extend([text("-"), TemplatePart::Fill(Placeholder::Grid)]);
        }
        parts.push(text(".png"));
        NameTemplate { parts, format: OutputFormat::Png }
    }

    /// Whether `{style}` is in the name.
    pub(super) fn uses_style(&self) -> bool {
        self.parts.contains(&TemplatePart::Fill(Placeholder::Style))
    }

    /// Whether `{variant}` is in the name.
    pub(super) fn uses_variant(&self) -> bool {
        self.parts.contains(&TemplatePart::Fill(Placeholder::Variant))
    }

    /// Whether `{grid}` is in the name.
    pub(super) fn uses_grid(&self) -> bool {
        self.parts.contains(&TemplatePart::Fill(Placeholder::Grid))
    }

    /// The format that the extension chooses.
    pub fn format(&self) -> OutputFormat {
        self.format
    }

    /// The file name of one picture.
    pub fn fill(&self, names: &NameParts<'_>) -> OsString {
        let mut filled = OsString::new();
        for part in &self.parts {
            match part {
                TemplatePart::Text(text) => filled.push(text),
                TemplatePart::Fill(Placeholder::Content) => filled.push(names.content),
                TemplatePart::Fill(Placeholder::Extension) => filled.push(names.extension),
                TemplatePart::Fill(Placeholder::Style) => filled.push(names.style),
                TemplatePart::Fill(Placeholder::Variant) => filled.push(names.variant),
                TemplatePart::Fill(Placeholder::Grid) => filled.push(names.grid),
                TemplatePart::Fill(Placeholder::Index) => {
                    filled.push(format!("{:04}", names.index))
                }
            }
        }
        filled
    }
}

impl SettingValue for NameTemplate {
    fn describe(_: Accepts) -> String {
        "a file name that ends in `.png`, `.tiff`, `.tif`, `.jpg` or `.jpeg`, with `{content}`, `{extension}`, `{style}`, `{variant}`, `{grid}` and `{index}`"
            .to_owned()
    }

    fn read(entry: &mut Entry<'_, '_>) -> Option<Self> {
        let error = match NameTemplate::parse(entry.text()?) {
            Ok(template) => return Some(template),
            Err(error) => error,
        };
        let near = match &error {
            BadName::Placeholder(name) => nearest(name, PLACEHOLDERS.map(|(word, _)| word)),
            _ => None,
        };
        let label = near.map_or("not a name for pictures".to_owned(), |near| {
            format!("did you mean `{{{near}}}`?")
        });
        entry.reject(format!("`{}`: {error}", entry.path()), label);
        None
    }

    fn toml(&self, _: &dyn Fn(&Path) -> PathBuf) -> Option<String> {
        Some(quote(&self.to_string()))
    }
}

impl fmt::Display for NameTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.parts.iter().try_for_each(|part| match part {
            TemplatePart::Text(text) => f.write_str(text),
            TemplatePart::Fill(placeholder) => {
                let word = PLACEHOLDERS
                    .iter()
                    .find(|(_, known)| known == placeholder)
                    .map_or("", |(word, _)| word);
                write!(f, "{{{word}}}")
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> NameParts<'static> {
        NameParts {
            content: OsStr::new("cat"),
            extension: OsStr::new("JPG"),
            style: OsStr::new("night"),
            variant: "soft",
            grid: "look-bold",
            index: 7,
        }
    }

    #[test]
    fn placeholders_are_filled_and_written_again() {
        let template =
            NameTemplate::parse("{index}_{content}{style}-x-{variant}.v2.TIF").expect("a name");
        assert_eq!(template.fill(&names()), "0007_catnight-x-soft.v2.TIF");
        assert_eq!(template.format(), OutputFormat::Tiff);
        assert_eq!(template.to_string(), "{index}_{content}{style}-x-{variant}.v2.TIF");
        assert_eq!(NameTemplate::parse("all.jpeg").expect("a name").format(), OutputFormat::Jpeg);
        let template = NameTemplate::parse("{content}.{extension}.png").expect("a name");
        assert_eq!(template.fill(&names()), "cat.JPG.png");
        assert_eq!(template.to_string(), "{content}.{extension}.png");
    }

    #[cfg(unix)]
    #[test]
    fn a_name_that_is_no_text_is_kept() {
        use std::os::unix::ffi::OsStrExt;
        let content = OsStr::from_bytes(b"caf\xe9");
        let template = NameTemplate::parse("{content}-{style}.png").expect("a name");
        let filled = template.fill(&NameParts { content, ..names() });
        assert_eq!(filled.as_bytes(), b"caf\xe9-night.png");
    }

    #[test]
    fn standard_names_tell_apart_what_there_is() {
        assert_eq!(
            NameTemplate::standard(true, true, true).to_string(),
            "{content}-{style}-{variant}-{grid}.png"
        );
        let standard = |styled, grid| NameTemplate::standard(styled, false, grid);
        assert_eq!(standard(true, false).to_string(), "{content}-{style}.png");
        assert_eq!(standard(false, false).fill(&names()), "cat.png");
        assert_eq!(standard(true, true).fill(&names()), "cat-night-look-bold.png");
    }

    #[test]
    fn bad_names_say_which_rule_they_break() {
        for text in ["a/b.png", "..\\b.png", ".png", "c:x.png", "a\n.png", " a.png"] {
            assert_eq!(NameTemplate::parse(text), Err(BadName::Characters), "{text:?}");
        }
        for text in ["", "a", "a.gif", "a.png ", "a."] {
            assert_eq!(NameTemplate::parse(text), Err(BadName::Extension), "{text:?}");
        }
        for text in ["{content.png", "content}.png", "{{content}}.png"] {
            assert!(
                matches!(NameTemplate::parse(text), Err(BadName::Brace | BadName::Placeholder(_))),
                "{text:?}"
            );
        }
        assert_eq!(
            NameTemplate::parse("{photo}.png"),
            Err(BadName::Placeholder("photo".to_owned()))
        );
    }
}
