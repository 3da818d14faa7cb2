//! What is wrong with a pipeline: a message, the places, and what would be accepted.

use std::fmt;

use miette::{Diagnostic, LabeledSpan, SourceCode};

use super::source::Origin;

/// The most problems that are told: nobody reads more.
const MOST_TOLD: usize = 100;

/// One thing that is wrong, with the places in one text that show it.
#[derive(Debug, Clone)]
pub struct Problem {
    message: String,
    help: Option<String>,
    labels: Vec<(Origin, String)>,
}

impl Problem {
    pub(crate) fn new(message: impl Into<String>) -> Problem {
        Problem { message: message.into(), help: None, labels: Vec::new() }
    }

    /// What is accepted instead; several helps are joined.
    pub(crate) fn help(mut self, help: impl AsRef<str>) -> Problem {
        let help = help.as_ref();
        self.help = Some(match self.help.take() {
            Some(before) if !help.is_empty() => format!("{before}; {help}"),
            Some(before) => before,
            None => help.to_owned(),
        });
        self.help = self.help.filter(|text| !text.is_empty());
        self
    }

    /// A place that shows the problem. A report shows one text, so a place in another one than the
    /// first is told in words.
    pub(crate) fn at(mut self, origin: &Origin, label: impl Into<String>) -> Problem {
        let label = label.into();
        match self.labels.first() {
            Some((first, _)) if !first.same_source(origin) => {
                let place = format!("{label} in {}", origin.place());
                self.help(place)
            }
            _ => {
                self.labels.push((origin.clone(), label));
                self
            }
        }
    }

    /// What is wrong, as a lower-case fragment without its place.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What would be accepted.
    pub fn advice(&self) -> Option<&str> {
        self.help.as_deref()
    }

    /// The name of the text that the problem is in: a file's path or `--set`. `None` if the file
    /// itself could not be read.
    pub fn file(&self) -> Option<&str> {
        self.labels.first().map(|(origin, _)| origin.source.named.name())
    }

    /// The line of the first place, counted from 1.
    pub fn line(&self) -> Option<usize> {
        self.labels.first().map(|(origin, _)| origin.line())
    }

    /// Whether any of the places touches `origin`.
    pub(crate) fn touches(&self, origin: &Origin) -> bool {
        self.labels.iter().any(|(label, _)| label.touches(origin))
    }

    /// The first place.
    pub(crate) fn origin(&self) -> Option<&Origin> {
        self.labels.first().map(|(origin, _)| origin)
    }

    /// Order of listing: by text, then by place.
    fn rank(&self) -> (Option<usize>, usize) {
        let origin = self.origin();
        (origin.map(|o| o.source.rank), origin.map_or(0, |o| o.span.start))
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Problem {}

impl Diagnostic for Problem {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.help.as_ref().map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.origin().map(|origin| &origin.source.named as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let labels = self.labels.iter().map(|(origin, label)| {
            let label = (!label.is_empty()).then(|| label.clone());
            LabeledSpan::new(label, origin.span.start, origin.span.len())
        });
        (!self.labels.is_empty()).then(|| Box::new(labels) as Box<dyn Iterator<Item = LabeledSpan>>)
    }
}

/// Everything that is wrong with a pipeline, found in one go; at least one problem.
#[derive(Debug, Clone)]
pub struct Problems {
    file: String,
    list: Vec<Problem>,
}

impl Problems {
    /// Sorts the problems by place and drops repetitions: variants share most of their text.
    pub(crate) fn new(file: String, mut list: Vec<Problem>) -> Problems {
        list.sort_by_key(Problem::rank);
        let mut kept: Vec<Problem> = Vec::with_capacity(list.len());
        for problem in list {
            let known = kept.iter().rev().take_while(|other| other.rank() == problem.rank());
            if known.into_iter().all(|other| other.message != problem.message) {
                kept.push(problem);
            }
        }
        if kept.len() > MOST_TOLD {
            kept.truncate(MOST_TOLD);
            kept.push(Problem::new("there are more problems; these are the first hundred"));
        }
        Problems { file, list: kept }
    }

    /// Like [`Problems::new`], for texts that could not be parsed as a whole. What was found wrong
    /// in lines that are not TOML is an echo of that and left out.
    pub(crate) fn with_syntax(
        file: String,
        mut found: Vec<Problem>,
        mut syntax: Vec<Problem>,
    ) -> Problems {
        let place = |problem: &Problem| Some((problem.origin()?.source.rank, problem.line()?));
        found.sort_by_key(Problem::rank);
        syntax.truncate(MOST_TOLD);
        let torn: Vec<_> = syntax.iter().filter_map(place).collect();
        if !torn.is_empty() {
            // Finding the line of a problem takes time, and more than these are not told.
            found.truncate(MOST_TOLD * 4);
            found.retain(|problem| place(problem).is_none_or(|place| !torn.contains(&place)));
        }
        found.append(&mut syntax);
        Problems::new(file, found)
    }

    /// The problems, by file and line.
    pub fn iter(&self) -> std::slice::Iter<'_, Problem> {
        self.list.iter()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there is none, which does not happen in what [`load`](super::load) returns.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }
}

impl<'a> IntoIterator for &'a Problems {
    type Item = &'a Problem;
    type IntoIter = std::slice::Iter<'a, Problem>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.list.len() {
            1 => write!(f, "a problem in `{}`", self.file),
            count => write!(f, "{count} problems in `{}`", self.file),
        }
    }
}

impl std::error::Error for Problems {}

impl Diagnostic for Problems {
    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn Diagnostic> + 'a>> {
        Some(Box::new(self.list.iter().map(|problem| problem as &dyn Diagnostic)))
    }
}
