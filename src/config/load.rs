//! From files to one merged tree: reading, `extends`, and what can be understood of a text with a
//! syntax error.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use toml::de::DeTable;

use super::paths;
use super::problem::Problem;
use super::settings::SIZE_KEYS;
use super::source::{Origin, Source, read_text};
use super::text::shorten;
use super::tree::{self, Node, Table};

/// The most files that one pipeline may be made of; a diamond of `extends` could otherwise double
/// with every file.
const MOST_FILES: usize = 256;

/// Reads files and keeps the problems that it finds in them.
#[derive(Default)]
pub(crate) struct Loader {
    /// Texts read so far.
    count: usize,
    pub(crate) problems: Vec<Problem>,
    /// Errors of TOML's grammar.
    pub(crate) syntax: Vec<Problem>,
    /// Some text could not be parsed as a whole: what is missing may be in it.
    pub(crate) incomplete: bool,
    /// Every file that was read.
    pub(crate) files: Vec<PathBuf>,
    /// The files that extend the one being read, outermost first, as the system knows them.
    chain: Vec<PathBuf>,
}

impl Loader {
    /// The merged tree of a file and all that it extends, with the file's own text. `None` if it
    /// cannot be read.
    ///
    /// `asked` is where another file's `extends` names this one.
    pub(crate) fn load(
        &mut self,
        path: &Path,
        asked: Option<&Origin>,
    ) -> Option<(Table, Arc<Source>)> {
        let name = path.display().to_string();
        let text = match read_text(path) {
            Ok(text) => text,
            Err(error) => {
                self.refuse(
                    format!("cannot read `{name}`: {}", paths::reason(&error)),
                    asked,
                    "not readable",
                );
                return None;
            }
        };
        self.files.push(path.to_owned());
        let source = self.source(&name, &text, &paths::folder_of(path));
        let mut own = self.parse(&source);
        let Some(extends) = own.remove("extends") else {
            return Some((own, source));
        };
        // A path that was just read can be resolved, or else it only fails to be recognised in a
        // circle.
        self.chain.push(path.canonicalize().unwrap_or_else(|_| path.to_owned()));
        let mut merged = Table::new();
        for base in self.extended(&extends) {
            tree::merge(&mut merged, base, &SIZE_KEYS);
        }
        self.chain.pop();
        tree::merge(&mut merged, own, &SIZE_KEYS);
        Some((merged, source))
    }

    /// A new text, ranked after those before it.
    pub(crate) fn source(&mut self, name: &str, text: &str, directory: &Path) -> Arc<Source> {
        self.count += 1;
        Source::new(self.count, name, text, directory)
    }

    fn refuse(&mut self, message: String, at: Option<&Origin>, label: &str) {
        // What is missing may be in the file that was not read.
        self.incomplete = true;
        let problem = Problem::new(message);
        self.problems.push(match at {
            Some(origin) => problem.at(origin, label),
            None => problem,
        });
    }

    /// The trees of the files that `extends` names, in order.
    fn extended(&mut self, extends: &Node) -> Vec<Table> {
        let mut trees = Vec::new();
        for item in extends.items().unwrap_or(std::slice::from_ref(extends)) {
            let Some(text) = item.text() else {
                let problem = Problem::new(format!("`extends` is {}", item.value.kind()));
                let help = "`extends` takes the path of a pipeline file or an array of paths, relative to this file";
                self.problems.push(problem.help(help).at(&item.origin, "of the wrong kind"));
                continue;
            };
            let path = paths::resolve(&item.origin.source.directory, text);
            if path.canonicalize().is_ok_and(|real| self.chain.contains(&real)) {
                self.refuse(
                    format!("`{}` extends itself", shorten(text)),
                    Some(&item.origin),
                    "leads back to this file",
                );
            } else if self.count >= MOST_FILES {
                self.refuse(
                    format!("more than {MOST_FILES} files are extended"),
                    Some(&item.origin),
                    "one too many",
                );
                break;
            } else if let Some((tree, _)) = self.load(&path, Some(&item.origin)) {
                trees.push(tree);
            }
        }
        trees
    }

    /// The tree of one text. Every syntax error becomes a problem; what could be understood is
    /// kept, so that it is checked too.
    pub(crate) fn parse(&mut self, source: &Arc<Source>) -> Table {
        let (document, errors) = DeTable::parse_recoverable(source.text());
        for error in errors {
            self.incomplete = true;
            let origin = error
                .span()
                .map_or_else(|| Origin::first_line(source), |span| Origin::new(source, span));
            let message = format!("not TOML: {}", error.message().trim());
            self.syntax.push(Problem::new(message).at(&origin, "here"));
        }
        tree::read_table(source, 0, document.get_ref())
    }
}
