//! Where pictures go: their names and those of the files beside them, and whether each may be
//! written.
//!
//! No picture and no companion of one may take the place of a file that the pipeline reads, of
//! another picture, or of its companion, whatever path leads there and on whatever file system.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::{Path, PathBuf};

use super::companions::{
    intermediate_path, partial_path, picture_of_intermediate, preview_path, pyramid_folder,
    pyramid_path, stem,
};
use super::name::NameParts;
use super::problem::Problem;
use super::settings::{Output, ViewerTiles};
use super::source::Origin;
use super::{Config, Variant};
use crate::files::{
    FileNumber, NameKey, NameKeys, NamedFile, canonical, longest_name, temporary_length,
};
use crate::image;

/// A picture that the pipeline makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutputFile {
    /// Index into [`Config::variants`].
    pub variant: usize,
    /// Index into that variant's [`content`](super::Input::content).
    pub content: usize,
    /// What `{index}` stands for in its name, from 1.
    pub number: usize,
    /// Where the picture goes.
    pub path: PathBuf,
}

impl Config {
    /// Every picture, variant by variant in the order of the content. No two have the same path,
    /// nor paths that differ only in the case of letters.
    pub fn outputs(&self) -> Vec<OutputFile> {
        let mut outputs = Vec::new();
        for (index, variant) in self.variants.iter().enumerate() {
            let numbers = self.numbers(variant);
            let content = variant.input.content.iter().zip(numbers).enumerate();
            outputs.extend(content.map(|(content, (file, number))| OutputFile {
                variant: index,
                content,
                number,
                path: variant.output(&self.run.output.directory, file, number),
            }));
        }
        outputs
    }

    /// What `{index}` stands for, by content: a content image keeps the number that it has in the
    /// pipeline's newest run, so that what is added later changes no name; the others follow.
    fn numbers(&self, variant: &Variant) -> Vec<usize> {
        let known = |file: &NamedFile| {
            self.past.numbers.get(&(variant.name.clone(), file.id.clone())).copied()
        };
        let known: Vec<Option<usize>> = variant.input.content.iter().map(known).collect();
        let of_variant = self.past.numbers.iter().filter(|((name, _), _)| *name == variant.name);
        let mut last = of_variant.map(|(_, number)| *number).max().unwrap_or(0);
        let mut next = || {
            last += 1;
            last
        };
        known.into_iter().map(|number| number.unwrap_or_else(&mut next)).collect()
    }
}

impl Variant {
    /// What `{style}` stands for: the stems of the styles' files, joined by `+`.
    pub fn style_name(&self) -> OsString {
        let stems: Vec<_> = self.settings.styles.iter().map(|style| stem(&style.image)).collect();
        stems.join(OsStr::new("+"))
    }

    /// Where the picture of a content image goes.
    fn output(&self, directory: &Path, content: &Path, number: usize) -> PathBuf {
        let template = self.settings.name_template(self.name.is_some());
        let name = template.fill(&NameParts {
            content: stem(content),
            extension: content.extension().unwrap_or_default(),
            style: &self.style_name(),
            variant: self.name.as_deref().unwrap_or_default(),
            index: number,
        });
        super::paths::normalise(&directory.join(name))
    }
}

/// What a file is that a job writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// The finished picture.
    Picture,
    /// The picture of an interrupted job.
    Partial,
    /// A small JPEG of it.
    Preview,
    /// The description of its Deep Zoom tiles.
    Description,
    /// The folder of its Deep Zoom tiles.
    Tiles,
}

impl fmt::Display for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Written::Picture => "picture",
            Written::Partial => "partial picture",
            Written::Preview => "preview",
            Written::Description => "Deep Zoom description",
            Written::Tiles => "folder of Deep Zoom tiles",
        })
    }
}

/// The files that a job of these settings writes, but for its intermediate pictures. A preview is
/// also written after each level of a pyramid that is not the last.
pub fn written_files(output: &Path, settings: &Output) -> Vec<(Written, PathBuf)> {
    let mut files = vec![
        (Written::Picture, output.to_path_buf()),
        (Written::Partial, partial_path(output)),
        (Written::Preview, preview_path(output)),
    ];
    if settings.pyramid == ViewerTiles::Dzi {
        files.push((Written::Description, pyramid_path(output)));
        files.push((Written::Tiles, pyramid_folder(output)));
    }
    files
}

/// How many problems of names are reported in full.
const SHOWN: usize = 5;

/// Reports every picture that may not be written under its name. `sources` are the pipeline's own
/// files, `origins` what decides the names of each variant.
pub(super) fn check(
    config: &Config,
    sources: &[PathBuf],
    origins: &[Origin],
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
    claims: HashMap<NameKey, (usize, Written)>,
    /// Bytes that names may have, by folder.
    lengths: HashMap<PathBuf, usize>,
    readable: HashMap<PathBuf, bool>,
}

/// The files that the pipeline reads.
struct Originals {
    names: HashMap<NameKey, PathBuf>,
    numbers: HashMap<FileNumber, PathBuf>,
    /// Their canonical paths.
    paths: Vec<PathBuf>,
}

impl Originals {
    fn new(config: &Config, sources: &[PathBuf], keys: &mut NameKeys) -> Self {
        let variants = config.variants.iter();
        let files: BTreeSet<&Path> = variants
            .flat_map(read_files)
            .chain(config.run.network.weights.as_deref())
            .chain(sources.iter().map(PathBuf::as_path))
            .collect();
        let mut originals =
            Originals { names: HashMap::new(), numbers: HashMap::new(), paths: Vec::new() };
        for file in files {
            let target = canonical(file);
            // A link is as precious as what it leads to.
            for path in [file, target.as_path()] {
                originals.names.insert(keys.of(path), file.to_path_buf());
            }
            originals.numbers.extend(FileNumber::of(file).map(|number| (number, file.into())));
            originals.paths.push(target);
        }
        originals
    }

    /// The original whose place a file would take.
    fn taken_by(&self, kind: Written, path: &Path, key: &NameKey) -> Option<&Path> {
        let number = || FileNumber::of(path).and_then(|number| self.numbers.get(&number));
        let inside = || {
            let folder = (kind == Written::Tiles).then(|| canonical(path))?;
            self.paths.iter().find(|original| original.starts_with(&folder))
        };
        self.names.get(key).or_else(number).or_else(inside).map(PathBuf::as_path)
    }
}

/// Every file that the pictures of a variant are made from.
fn read_files(variant: &Variant) -> Vec<&Path> {
    let Variant { input, settings, .. } = variant;
    let mut files: Vec<&Path> = input.content.iter().map(|file| &**file).collect();
    files.extend(settings.styles.iter().map(|style| style.image.as_path()));
    files.extend(settings.start.picture());
    files.extend(settings.color.output_profile.path());
    files
}

impl<'a> Check<'a> {
    fn new(config: &'a Config, sources: &[PathBuf], outputs: &'a [OutputFile]) -> Self {
        let mut keys = NameKeys::default();
        let originals = Originals::new(config, sources, &mut keys);
        let (claims, lengths, readable) = Default::default();
        Self { config, outputs, keys, originals, claims, lengths, readable }
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
            if let Some(original) = self.originals.taken_by(*kind, path, &key) {
                let original = original.to_path_buf();
                return self
                    .is_readable(at)
                    .then(|| self.of_original(at, *kind, &original, origin));
            }
            if let Some((other, other_kind)) = self.claims.get(&key).copied() {
                // What cannot be read is never painted, and stands in nobody's way.
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

    fn of_original(&self, at: usize, kind: Written, original: &Path, origin: &Origin) -> Problem {
        let shown = original.display();
        let place = match kind {
            Written::Tiles => format!("replace the folder of the input `{shown}`"),
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
        kinds: (Written, Written),
        path: &Path,
        origin: &Origin,
    ) -> Problem {
        let (shown, one, other) = (path.display(), self.describe(one), self.describe(other));
        let message = match kinds {
            (Written::Picture, Written::Picture) => {
                format!("{one} and {other} would both become `{shown}`")
            }
            (first, second) => {
                format!("the {first} of {one} and the {second} of {other} would both be `{shown}`")
            }
        };
        let help = "tell them apart in `output.name` by {content}, {extension}, {style}, {variant} or {index}";
        Problem::new(message).help(help).at(origin, "not unique")
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
    fn length(
        &mut self,
        at: usize,
        files: &[(Written, PathBuf)],
        origin: &Origin,
    ) -> Option<Problem> {
        let mut longest: Vec<PathBuf> = files.iter().map(|(_, path)| path.clone()).collect();
        let picture = &self.outputs[at].path;
        if self.saves() {
            longest.push(intermediate_path(picture, 98, 9999));
        }
        let length = |path: &PathBuf| {
            path.file_name().map_or(0, |name| temporary_length(&name.to_os_string()))
        };
        let longest = longest.iter().map(length).max()?;
        let directory = &self.config.run.output.directory;
        let most = self.lengths.entry(directory.clone()).or_insert_with(|| longest_name(directory));
        let over = longest.checked_sub(*most).filter(|over| *over > 0)?;
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
            .filter(|(_, (_, kind))| *kind == Written::Picture && self.saves())
            .map(|(key, _)| key.clone())
            .collect();
        if pictures.is_empty() {
            return Vec::new();
        }
        let mut found = Vec::new();
        let originals = self.originals.names.values().chain(&self.originals.paths);
        let originals: BTreeSet<PathBuf> = originals.cloned().collect();
        let outputs = self.outputs.iter().map(|output| output.path.clone());
        let names =
            originals.into_iter().map(|path| (path, true)).chain(outputs.map(|path| (path, false)));
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
