//! What reading gives: [`Probe`] from the header alone, [`Picture`] with its pixels.

use super::{Format, Orientation};

/// How a file stores colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ColourKind {
    /// One channel.
    Grey,
    /// Red, green, blue (JPEG's YCbCr counts as this).
    Rgb,
    /// Indices into a table of colours.
    Palette,
    /// Four inks.
    Cmyk,
}

/// What a picture's header says, without decoding a pixel.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Probe {
    /// Width in pixels as seen, after the orientation is applied.
    pub width: u32,
    /// Height in pixels as seen, after the orientation is applied.
    pub height: u32,
    /// The format, by its signature rather than by its name.
    pub format: Format,
    /// How colour is stored.
    pub colour: ColourKind,
    /// Bits of one channel.
    pub bit_depth: u8,
    /// Whether there is an alpha channel or a transparent palette entry.
    pub has_alpha: bool,
    /// Frames of an animation or pages of a TIFF; 1 for a still.
    pub frames: usize,
    /// Whether an ICC profile is embedded.
    pub icc: bool,
    /// Dots per inch as seen, horizontal and vertical, where the file states them.
    pub dpi: Option<(f64, f64)>,
    /// How the stored rows are turned; already applied in `width`, `height` and `dpi`.
    pub orientation: Orientation,
    /// Bytes of memory that [`decode`](super::decode) takes at its highest, the result included.
    pub decode_bytes: u64,
}

/// A decoded picture in the working space.
#[derive(Debug, Clone, PartialEq)]
pub struct Picture {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// `[3, H, W]`, planar R, G, B, display-coded sRGB, 0..1. Under transparent pixels lies the
    /// colour of the nearest visible ones, never what the file hid there.
    pub pixels: Vec<f32>,
    /// `[H, W]`, 0 transparent .. 1 opaque; none when every pixel is opaque.
    pub alpha: Option<Vec<f32>>,
    /// What the file said beside the pixels.
    pub source: SourceInfo,
}

/// What a picture's file said beside its pixels; enough to write another picture like it.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct SourceInfo {
    /// The header.
    pub probe: Probe,
    /// The embedded ICC profile.
    pub icc: Option<Vec<u8>>,
    /// The EXIF blob: a TIFF header with directories.
    pub exif: Option<Vec<u8>>,
    /// The XMP packet.
    pub xmp: Option<Vec<u8>>,
    /// Warnings: a profile that cannot be used, further pages that are not read.
    pub notes: Vec<String>,
}

/// What decoding may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of memory at the highest: decoded pixels and what the decoder needs beside them.
    pub max_bytes: u64,
}

impl Default for Limits {
    /// 8 GiB, whatever the machine has; a program gives what it may use.
    fn default() -> Self {
        Limits { max_bytes: 8 << 30 }
    }
}

impl Limits {
    /// A limit of `max_bytes`.
    pub fn bytes(max_bytes: u64) -> Self {
        Limits { max_bytes }
    }
}
