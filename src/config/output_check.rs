//! Whether each picture and each file beside it may be written.
//!
//! No picture and no companion of one may take the place of a file that the pipeline reads, of
//! another picture, or of its companion, whatever path leads there and on whatever file system.

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::companions::{intermediate_path, picture_of_intermediate};
use super::originals::Originals;
use super::outputs::{JobFile, OutputFile, written_files};
use super::problem::Problem;
use super::source::Origin;
use super::{Config, Variant};
use crate::files::{NameKey, NameKeys, longest_name, temporary_length};
use crate::image;

/// How many problems of names are reported in full.
const SHOWN: usize = 5;

/// Reports every picture that may not be written under its name. `sources` are the pipeline's own
/// files, `origins` what decides the names of each variant, `sheet` what asks for contact sheets.
pub(super) fn check(
    config: &Config,
    sources: &[PathBuf],
    origins: &[Origin],
    sheet: Option<&Origin>,
    problems: &mut Vec<Problem>,
) {
    let outputs = config.outputs();
    let mut check = Check::new(config, sources, &outputs);
    let mut found: Vec<(usize, Problem)> = (0..outputs.len())
        .filter_map(|at| {
            let problem = check.problem(at, &origins[outputs[at].variant])?;
            Some((at, problem))
        })
        .collect();
    found.extend(check.intermediates(origins));
    problems.extend(sheet.and_then(|origin| check.sheets(origin)));
    let count = found.len();
    problems.extend(found.into_iter().take(SHOWN).map(|(_, problem)| problem));
    if count > SHOWN {
        let message = format!("{} more pictures have no name of their own", count - SHOWN);
        problems.push(Problem::new(message).at(&origins[0], "these names"));
    }
}

struct Check<'a> {
    config: &'a Config,
    outputs: &'a [OutputFile],
    keys: NameKeys,
    originals: Originals,
    /// What is written, by which output and as what.
    claims: HashMap<NameKey, (usize, JobFile)>,
    /// The longest name that a file may have.
    longest: usize,
    readable: HashMap<PathBuf, bool>,
}

impl<'a> Check<'a> {
    fn new(config: &'a Config, sources: &[PathBuf], outputs: &'a [OutputFile]) -> Self {
        let mut keys = NameKeys::default();
        let originals = Originals::new(config, sources, &mut keys);
        let longest = longest_name(&config.run.output.directory);
        let (claims, readable) = Default::default();
        Self { config, outputs, keys, originals, claims, longest, readable }
    }

    fn variant(&self, at: usize) -> &'a Variant {
        &self.config.variants[self.outputs[at].variant]
    }

    fn content(&self, at: usize) -> &'a Path {
        &self.variant(at).input.content[self.outputs[at].content]
    }

    /// Whether pictures are saved on the way.
    fn saves(&self) -> bool {
        self.config.run.watch.save_every > 0
    }

    /// Whether a picture can be made of this content image at all. Only one whose name is not its
    /// own is looked into.
    fn is_readable(&mut self, at: usize) -> bool {
        let content = self.content(at);
        let probe = || image::probe(content).is_ok();
        *self.readable.entry(content.to_path_buf()).or_insert_with(probe)
    }

    /// What is wrong with the names of an output; the names are its own from here on if nothing is.
    fn problem(&mut self, at: usize, origin: &Origin) -> Option<Problem> {
        let output = &self.outputs[at];
        let files = written_files(&output.path, &self.variant(at).settings.output);
        let mut claims = Vec::with_capacity(files.len());
        for (kind, path) in &files {
            let key = self.keys.of(path);
            if let Some(original) = self.originals.replaced_by(*kind, path, &key) {
                let original = original.to_path_buf();
                return self
                    .is_readable(at)
                    .then(|| self.of_original(at, *kind, &original, origin));
            }
            if let Some((other, other_kind)) = self.claims.get(&key).copied() {
                // What cannot be read is never painted, and blocks no other picture.
                if !self.is_readable(at) {
                    return None;
                }
                if self.is_readable(other) {
                    let kinds = (other_kind, *kind);
                    return Some(self.of_another((other, at), kinds, path, origin));
                }
            }
            claims.push((key, (at, *kind)));
        }
        if let Some(problem) = self.length(at, &files, origin) {
            return Some(problem);
        }
        self.claims.extend(claims);
        None
    }

    fn of_original(&self, at: usize, kind: JobFile, original: &Path, origin: &Origin) -> Problem {
        let shown = original.display();
        let place = match kind {
            JobFile::Tiles => format!("replace the folder of the input `{shown}`"),
            _ => format!("take the place of the input `{shown}`"),
        };
        let message = format!("the {kind} of `{}` would {place}", self.content(at).display());
        Problem::new(message)
            .help("choose another `output.directory` or `output.name`")
            .at(origin, "the name of an input")
    }

    fn of_another(
        &self,
        (one, other): (usize, usize),
        kinds: (JobFile, JobFile),
        path: &Path,
        origin: &Origin,
    ) -> Problem {
        let (shown, one, other) = (path.display(), self.describe(one), self.describe(other));
        let message = match kinds {
            (JobFile::Picture, JobFile::Picture) => {
                format!("{one} and {other} would both become `{shown}`")
            }
            (first, second) => {
                format!("the {first} of {one} and the {second} of {other} would both be `{shown}`")
            }
        };
        let help = "tell them apart in `output.name` by {content}, {extension}, {style}, {variant}, {grid} or {index}";
        Problem::new(message).help(help).at(origin, "not unique")
    }

    /// What is wrong with the names of the contact sheets.
    fn sheets(&mut self, origin: &Origin) -> Option<Problem> {
        for path in self.config.contact_sheets() {
            let (key, shown) = (self.keys.of(&path), path.display());
            let original = self.originals.replaced_by(JobFile::Picture, &path, &key);
            let message = if let Some(original) = original {
                format!(
                    "the contact sheet would take the place of the input `{}`",
                    original.display()
                )
            } else if let Some((other, kind)) = self.claims.get(&key) {
                format!(
                    "the contact sheet and the {kind} of {} would both be `{shown}`",
                    self.describe(*other)
                )
            } else if path.file_name().is_some_and(|name| temporary_length(name) > self.longest) {
                format!("the name of the contact sheet is too long: `{shown}`")
            } else {
                continue;
            };
            let help = "the sheet is called as the pipeline's file; rename one of the two, or choose another `output.directory`";
            return Some(Problem::new(message).help(help).at(origin, "the contact sheet"));
        }
        None
    }

    /// A picture in words: its content image and its variant.
    fn describe(&self, at: usize) -> String {
        let content = self.content(at).display();
        match &self.variant(at).name {
            Some(name) => format!("`{content}` ({name})"),
            None => format!("`{content}`"),
        }
    }

    /// Whether the names of an output are too long, while they are written too.
    fn length(&self, at: usize, files: &[(JobFile, PathBuf)], origin: &Origin) -> Option<Problem> {
        let mut written: Vec<PathBuf> = files.iter().map(|(_, path)| path.clone()).collect();
        let picture = &self.outputs[at].path;
        if self.saves() {
            written.push(intermediate_path(picture, 98, 9999));
        }
        let names = written.iter().filter_map(|path| path.file_name());
        let longest = names.map(temporary_length).max()?;
        let over = longest.checked_sub(self.longest).filter(|over| *over > 0)?;
        let own = picture.file_name().map_or(0, OsStr::len);
        let message = format!(
            "the name of the picture of `{}` has {own} bytes; with what is written beside it, {} fit",
            self.content(at).display(),
            own.saturating_sub(over)
        );
        Some(Problem::new(message).help("choose a shorter `output.name`").at(origin, "too long"))
    }

    /// Intermediate pictures that would take the place of an original or of another's file.
    fn intermediates(&mut self, origins: &[Origin]) -> Vec<(usize, Problem)> {
        let pictures: HashSet<NameKey> = self
            .claims
            .iter()
            .filter(|(_, (_, kind))| *kind == JobFile::Picture && self.saves())
            .map(|(key, _)| key.clone())
            .collect();
        if pictures.is_empty() {
            return Vec::new();
        }
        let mut found = Vec::new();
        let outputs = self.outputs.iter().map(|output| output.path.clone());
        let originals = self.originals.all().into_iter().map(|path| (path, true));
        let names = originals.chain(outputs.map(|path| (path, false)));
        for (path, is_original) in names {
            let Some(picture) = picture_of_intermediate(&path) else { continue };
            let key = self.keys.of(&picture);
            let Some((at, _)) = self.claims.get(&key).copied().filter(|_| pictures.contains(&key))
            else {
                continue;
            };
            let what = if is_original { "input" } else { "picture" };
            let message = format!(
                "an intermediate picture of {} could take the place of the {what} `{}`",
                self.describe(at),
                path.display()
            );
            let problem = Problem::new(message)
                .help(
                    "choose another `output.directory` or `output.name`, or `watch.save-every = 0`",
                )
                .at(&origins[self.outputs[at].variant], "not unique");
            found.push((at, problem));
        }
        found
    }
}
