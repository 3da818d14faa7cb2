//! `[input]`, `[[style]]`, `[start]` and `[network]`: the files a picture is made from.

use std::path::{Path, PathBuf};

use super::Objective;
use crate::config::FindWritten;
use crate::config::choice::Choice;
use crate::config::content::{Exclusion, expand};
use crate::config::listing::Listing;
use crate::config::reader::Reader;
use crate::config::source::Origin;
use crate::files::NamedFile;

/// `[input]`: the photographs.
#[derive(Clone, Debug, PartialEq)]
pub struct Input {
    /// `content`: every picture that the paths, folders and globs name; sorted, each once.
    /// Required.
    pub content: Vec<NamedFile>,
}

impl Input {
    pub(super) fn read(
        reader: &mut Reader<'_>,
        output: &Path,
        written: &mut FindWritten<'_>,
    ) -> Input {
        let content = match reader.strings("input.content") {
            Some(patterns) => {
                let (home, written) = (reader.identities.clone(), written(output));
                let exclusion = Exclusion { output, written: &written };
                let mut complain = |origin: &Origin, message, label| {
                    reader.bad("input.content", Some(origin.clone()), message, label);
                };
                let mut found = expand(&patterns, &home, &exclusion, &mut complain);
                reader.notes.append(&mut found.notes);
                found.content
            }
            None => {
                reader.missing("input", "content", "`input.content` is missing");
                Vec::new()
            }
        };
        Input { content }
    }

    pub(super) fn list(&self, list: &mut Listing) {
        list.files("input.content", &self.content);
    }
}

/// `[[style]]`: one painting; several are blended by weight.
#[derive(Clone, Debug, PartialEq)]
pub struct Style {
    /// `image`: the painting's file. Required.
    pub image: PathBuf,
    /// `weight`: its share among the styles, relative to their sum; above 0, default 1.
    pub weight: f64,
    /// `scale`: size of its strokes relative to the print; 0.05 to 20, default 1.
    pub scale: f64,
}

impl Style {
    pub(super) fn read_all(reader: &mut Reader<'_>, objective: &Objective) -> Vec<Style> {
        let count = reader.style_count();
        if count == 0 && objective.needs_style() {
            reader.missing("style", "image", "a style is missing");
        }
        (0..count).map(|index| Style::read(reader, index)).collect()
    }

    fn read(reader: &mut Reader<'_>, index: usize) -> Style {
        reader.enter_style(index);
        let image = reader.existing_file("style.image");
        if image.is_none() && reader.origin("style.image").is_none() {
            reader.missing("style", "image", "`style.image` is missing");
        }
        let style = Style {
            image: image.unwrap_or_default(),
            weight: reader.number("style.weight").unwrap_or(1.0),
            scale: reader.number("style.scale").unwrap_or(1.0),
        };
        reader.leave_style();
        style
    }

    pub(super) fn list(&self, index: usize, list: &mut Listing) {
        list.path(&format!("style.{index}.image"), Some(&self.image));
        list.value(&format!("style.{index}.weight"), self.weight);
        list.value(&format!("style.{index}.scale"), self.scale);
    }
}

/// What the canvas is before noise is mixed in.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum StartFrom {
    /// The photograph.
    #[default]
    Content,
    /// Nothing but noise.
    Noise,
    /// Another picture, brought to the canvas's size.
    Image(PathBuf),
}

/// `[start]`: the canvas before the first evaluation.
#[derive(Clone, Debug, PartialEq)]
pub struct Start {
    /// `from`, with `image`: what the canvas starts from; default `content`.
    pub from: StartFrom,
    /// `noise-ratio`: share of noise mixed in, 0 (none) to 1 (nothing else); default 0, and always
    /// 1 if the canvas starts from noise.
    pub noise_ratio: f64,
    /// `seed`: of the noise, 0 to 2^64 - 1; default 0.
    pub seed: u64,
}

crate::config::choice::choice! {
    /// The words of `start.from`.
    FromWord { Content = "content", Noise = "noise", Image = "image" }
}

impl Start {
    pub(super) fn read(reader: &mut Reader<'_>) -> Start {
        let image = reader.existing_file("start.image");
        let word = reader.choice::<FromWord>("start.from").unwrap_or_default();
        let ratio = reader.number("start.noise-ratio").unwrap_or(0.0);
        let seed = reader.integer("start.seed").unwrap_or(0);
        let (from, noise_ratio) = match (word, image) {
            (FromWord::Content, _) => (StartFrom::Content, ratio),
            (FromWord::Noise, _) => (StartFrom::Noise, 1.0),
            (FromWord::Image, Some(image)) => (StartFrom::Image(image), ratio),
            (FromWord::Image, None) => {
                if reader.origin("start.image").is_none() {
                    let origin = reader.origin("start.from");
                    let message = "`start.from` is \"image\" but `start.image` is missing";
                    reader.bad("start.image", origin, message, "which image?");
                }
                (StartFrom::Content, ratio)
            }
        };
        Start { from, noise_ratio, seed }
    }

    pub(super) fn list(&self, list: &mut Listing) {
        let (word, image) = match &self.from {
            StartFrom::Content => (FromWord::Content, None),
            StartFrom::Noise => (FromWord::Noise, None),
            StartFrom::Image(path) => (FromWord::Image, Some(path.as_path())),
        };
        list.text("start.from", word.word());
        list.path("start.image", image);
        list.value("start.noise-ratio", self.noise_ratio);
        list.value("start.seed", self.seed);
    }
}

/// `[network]`: the weights.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Network {
    /// `weights`: a safetensors file; `None`: the weights inside the program.
    pub weights: Option<PathBuf>,
}

impl Network {
    pub(super) fn read(reader: &mut Reader<'_>) -> Network {
        Network { weights: reader.existing_file("network.weights") }
    }

    pub(super) fn list(&self, list: &mut Listing) {
        list.path("network.weights", self.weights.as_deref());
    }
}
