//! What the plan knows of the pictures that a job is made from: their headers.

use crate::image::Probe;

/// A picture's size and what reading it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Source {
    /// Width as seen, px.
    pub width: usize,
    /// Height as seen, px.
    pub height: usize,
    /// Whether it has alpha.
    pub alpha: bool,
    /// Bytes that decoding takes at its highest.
    pub decode_bytes: u64,
}

impl Source {
    /// An opaque picture whose decoder needs nothing beside the pixels it makes.
    pub fn plain(width: usize, height: usize) -> Self {
        Self { width, height, alpha: false, decode_bytes: 12 * (width * height) as u64 }
    }
}

impl From<&Probe> for Source {
    fn from(probe: &Probe) -> Self {
        let Probe { width, height, has_alpha, decode_bytes, .. } = *probe;
        Self { width: width as usize, height: height as usize, alpha: has_alpha, decode_bytes }
    }
}

/// The pictures that one job is made from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sources {
    /// The content image.
    pub content: Source,
    /// The style images, in the order of the settings.
    pub styles: Vec<Source>,
    /// The picture that the canvas starts from, where it is not the content image.
    pub start: Option<Source>,
}
