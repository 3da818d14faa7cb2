//! `[input]`, `[[style]]` and `[start]`: the pictures that a picture is made from.

use std::path::{Path, PathBuf};

use crate::config::choice::choice;
use crate::config::listing::{ListedSetting, Listing};
use crate::config::table::{Section, settings};
use crate::files::{Home, NamedFile};

settings! {
    /// `[input]`: the photographs.
    Input = "input" {
        /// The photographs. A folder stands for the pictures in it. In a glob, `**` stands for
        /// folders of any depth, `{a,b}` for either text, and `.jpg` matches `.JPG` as well. Folders
        /// and globs leave out hidden files, what is in an `output.directory` below, and what runs
        /// have written, see docs/runs.md. The list is sorted, each picture once.
        content: Vec<NamedFile> = Vec::new() => "required", Input;
    }
}

impl Input {
    /// The list of its keys and values; files by their identity as seen from `home`, the pipeline's
    /// folder.
    pub fn listing(&self, home: &Home) -> Vec<ListedSetting> {
        let mut list = Listing::new(home);
        self.list(&mut list);
        list.into_list()
    }
}

settings! {
    /// `[[style]]`: one painting; several are blended by weight.
    Style = "style" {
        /// The painting.
        image: PathBuf = PathBuf::new() => "required", Input, File("a picture");
        /// The painting's share among the styles.
        weight: f64 = 1.0, Pixels, Above(0.0, f64::MAX);
        /// Size of the painting's strokes relative to the print.
        scale: f64 = 1.0, Pixels, Number(0.05, 20.0);
    }
}

choice! {
    /// What the canvas is before noise is mixed in.
    StartFrom {
        /// The photograph.
        Content = "content",
        /// Nothing but noise.
        Noise = "noise",
        /// Another picture, brought to the canvas's size.
        Image = "image",
    }
}

settings! {
    /// `[start]`: the canvas before the first evaluation.
    Start = "start" {
        /// What the canvas is at first.
        from: StartFrom = StartFrom::Content, Pixels;
        /// The picture to start from, with `from = "image"`.
        image: Option<PathBuf> = None, Input, File("a picture");
        /// Share of noise mixed into the start: 0 is none, 1 is nothing else. With
        /// `from = "noise"` it is 1.
        noise_ratio: f64 = 0.0, Pixels, Number(0.0, 1.0);
        /// Seed of the noise.
        seed: u64 = 0, Pixels, Whole(0, u64::MAX);
    }
}

impl Start {
    /// The picture that the canvas starts from, if it is not the photograph.
    pub fn picture(&self) -> Option<&Path> {
        self.image.as_deref().filter(|_| self.from == StartFrom::Image)
    }

    /// Fills in what the keys imply.
    pub(super) fn complete(&mut self) {
        if self.from == StartFrom::Noise {
            self.noise_ratio = 1.0;
        }
        if self.from != StartFrom::Image {
            self.image = None;
        }
    }
}
