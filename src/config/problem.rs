//! What is wrong with a pipeline: a message, the places, and what would be accepted.

use std::fmt;

use miette::{Diagnostic, LabeledSpan, Severity, SourceCode};

use super::source::Origin;

/// The most problems that are reported: nobody reads more.
const MOST_REPORTED: usize = 100;

/// One thing that is wrong, or, as a warning, of no effect; with the places in one text that show
/// it.
#[derive(Debug, Clone)]
pub struct Problem {
    message: String,
    help: Option<String>,
    labels: Vec<(Origin, String)>,
    severity: Severity,
}

impl Problem {
    pub(crate) fn new(message: impl Into<String>) -> Problem {
        let (help, labels, severity) = (None, Vec::new(), Severity::Error);
        Problem { message: message.into(), help, labels, severity }
    }

    /// A setting that is sound and does nothing.
    pub(crate) fn warning(message: impl Into<String>) -> Problem {
        Problem { severity: Severity::Warning, ..Problem::new(message) }
    }

    pub(crate) fn is_warning(&self) -> bool {
        self.severity == Severity::Warning
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
    /// first is named in words.
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

/// What is wrong, as a lower-case fragment without its place.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Problem {}

impl Diagnostic for Problem {
    fn severity(&self) -> Option<Severity> {
        Some(self.severity)
    }

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

/// Sorts problems by place and drops repetitions: variants share most of their text.
pub(crate) fn in_order(mut list: Vec<Problem>) -> Vec<Problem> {
    list.sort_by_key(Problem::rank);
    let mut kept: Vec<Problem> = Vec::with_capacity(list.len());
    for problem in list {
        let at_this_place = kept.iter().rev().take_while(|other| other.rank() == problem.rank());
        if at_this_place.into_iter().all(|other| other.message != problem.message) {
            kept.push(problem);
        }
    }
    kept
}

/// Everything that is wrong with a pipeline, found in one go; at least one problem.
#[derive(Debug, Clone)]
pub struct Problems {
    file: String,
    list: Vec<Problem>,
}

impl Problems {
    /// The problems of `file`, in order.
    pub(crate) fn new(file: String, list: Vec<Problem>) -> Problems {
        let mut list = in_order(list);
        if list.len() > MOST_REPORTED {
            list.truncate(MOST_REPORTED);
            list.push(Problem::new("there are more problems; these are the first hundred"));
        }
        Problems { file, list }
    }

    /// Like [`Problems::new`], for texts that could not be parsed as a whole. Problems in lines that
    /// are not TOML only repeat that, and are left out.
    pub(crate) fn with_syntax(
        file: String,
        mut found: Vec<Problem>,
        mut syntax: Vec<Problem>,
    ) -> Problems {
        let place = |problem: &Problem| {
            let origin = problem.origin()?;
            Some((origin.source.rank, origin.line()))
        };
        found.sort_by_key(Problem::rank);
        syntax.truncate(MOST_REPORTED);
        let broken: Vec<_> = syntax.iter().filter_map(place).collect();
        if !broken.is_empty() {
            // It takes time to find the line of a problem, and no more than these are reported.
            found.truncate(MOST_REPORTED * 4);
            found.retain(|problem| place(problem).is_none_or(|place| !broken.contains(&place)));
        }
        found.append(&mut syntax);
        Problems::new(file, found)
    }

    /// The problems, by file and line.
    pub fn iter(&self) -> std::slice::Iter<'_, Problem> {
        self.list.iter()
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
