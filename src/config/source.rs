//! The texts that settings come from, and places in them.
//!
//! A setting keeps its [`Origin`] through merging, so that a problem found at the very end still
//! points at the file and the characters that caused it.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use miette::NamedSource;

/// The largest pipeline file that is read, in bytes. Real ones have a few thousand.
const LARGEST_FILE: u64 = 1 << 20;

/// The name of the text that the `--set` arguments make.
pub(crate) const COMMAND_LINE: &str = "--set";

/// One text: a file, or the `--set` arguments.
pub(crate) struct Source {
    /// Counts up in the order of loading; problems are listed in this order.
    pub(crate) rank: usize,
    /// The name and the text.
    pub(crate) named: NamedSource<Arc<str>>,
    /// What paths in the text are relative to; empty for the current directory.
    pub(crate) directory: PathBuf,
}

impl Source {
    /// A text that lies in `directory`.
    pub(crate) fn new(rank: usize, name: &str, text: &str, directory: &Path) -> Arc<Source> {
        let named = NamedSource::new(name, Arc::from(text));
        Arc::new(Source { rank, named, directory: directory.to_owned() })
    }

    /// Whether it is the `--set` arguments.
    pub(crate) fn is_command_line(&self) -> bool {
        self.named.name() == COMMAND_LINE
    }

    /// The text itself.
    pub(crate) fn text(&self) -> &str {
        self.named.inner()
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Source({})", self.named.name())
    }
}

/// Reads the text of a pipeline file.
///
/// # Errors
///
/// That of the system, and `InvalidData` for texts that are too long or not UTF-8.
pub(crate) fn read_text(path: &Path) -> io::Result<String> {
    let invalid = |message: &str| io::Error::new(io::ErrorKind::InvalidData, message);
    let file = File::open(path)?;
    if file.metadata()?.is_dir() {
        return Err(io::Error::new(io::ErrorKind::IsADirectory, "it is a folder"));
    }
    let mut bytes = Vec::new();
    file.take(LARGEST_FILE + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LARGEST_FILE {
        return Err(invalid("it is larger than 1 MiB"));
    }
    String::from_utf8(bytes).map_err(|_| invalid("it is not UTF-8 text"))
}

/// A stretch of a text, in bytes; always within it and on character boundaries.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    pub(crate) source: Arc<Source>,
    pub(crate) span: Range<usize>,
}

impl Origin {
    /// The given stretch, cut to what the text has.
    pub(crate) fn new(source: &Arc<Source>, span: Range<usize>) -> Origin {
        let text = source.text();
        let end = text.floor_char_boundary(span.end);
        let start = text.floor_char_boundary(span.start).min(end);
        Origin { source: Arc::clone(source), span: start..end }
    }

    /// The first line of a text: where problems point that are about what is not there.
    pub(crate) fn first_line(source: &Arc<Source>) -> Origin {
        let end = source.text().lines().next().map_or(0, str::len);
        Origin::new(source, 0..end)
    }

    /// Whether both lie in one text.
    pub(crate) fn same_source(&self, other: &Origin) -> bool {
        Arc::ptr_eq(&self.source, &other.source)
    }

    /// Whether this stretch and the other have a character in common, or are the same empty one.
    pub(crate) fn touches(&self, other: &Origin) -> bool {
        self.same_source(other)
            && (self.span == other.span
                || (self.span.start < other.span.end && other.span.start < self.span.end))
    }

    /// The line of the first character, counted from 1.
    pub(crate) fn line(&self) -> usize {
        1 + self.source.text()[..self.span.start].matches('\n').count()
    }

    /// `file:line`, for messages that speak of two files.
    pub(crate) fn place(&self) -> String {
        format!("{}:{}", self.source.named.name(), self.line())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stretches_are_cut_to_the_text_and_to_whole_characters() {
        let source = Source::new(0, "x", "aé\nb", Path::new(""));
        assert_eq!(Origin::new(&source, 2..99).span, 1..5);
        assert_eq!(Origin::new(&source, 50..60).span, 5..5);
        assert_eq!(Origin::new(&source, 4..5).line(), 2);
        assert_eq!(Origin::first_line(&source).span, 0..3);
    }

    #[test]
    fn folders_and_binary_files_are_refused_with_a_reason() {
        let folder = tempfile::tempdir().expect("temporary folder");
        assert!(read_text(folder.path()).is_err());
        let file = folder.path().join("x.toml");
        std::fs::write(&file, [0xff, 0xfe]).expect("written");
        let error = read_text(&file).expect_err("not UTF-8");
        assert_eq!(error.to_string(), "it is not UTF-8 text");
    }
}
