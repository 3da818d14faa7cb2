//! Everything about an output but its pixels: format, depth, colours, metadata.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::image::colour::{FromWorking, Intent};
use crate::image::{Error, SourceInfo, icc};

/// A format that can be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum OutputFormat {
    /// PNG, 8 or 16 bits a channel.
    Png,
    /// TIFF, 8 or 16 bits a channel; BigTIFF where the pixels may not fit in 4 GiB.
    Tiff,
    /// JPEG, 8 bits, alpha laid over white, at most 65535 pixels a side; chroma at full resolution
    /// (4:4:4).
    Jpeg,
}

impl OutputFormat {
    /// Every value.
    pub const ALL: &'static [Self] = &[Self::Png, Self::Tiff, Self::Jpeg];

    /// The word for it: what serde writes.
    pub fn word(self) -> &'static str {
        match self {
            Self::Png => "png",
            Self::Tiff => "tiff",
            Self::Jpeg => "jpeg",
        }
    }

    /// By the extension of a name: `png`, `tif`, `tiff`, `jpg`, `jpeg`, in any case.
    pub fn from_path(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
            "png" => Some(OutputFormat::Png),
            "tif" | "tiff" => Some(OutputFormat::Tiff),
            "jpg" | "jpeg" => Some(OutputFormat::Jpeg),
            _ => None,
        }
    }

    /// Why a picture of `width` x `height` pixels does not fit the format, in words; nothing when
    /// it does.
    pub fn size_problem(self, width: u32, height: u32) -> Option<String> {
        if width == 0 || height == 0 {
            return Some(format!("a picture of {width} x {height} pixels cannot be written"));
        }
        let (name, most, advice) = match self {
            OutputFormat::Jpeg => ("JPEG", 65_535, "; use PNG or TIFF"),
            OutputFormat::Png => ("PNG", i32::MAX as u32, ""),
            OutputFormat::Tiff => return None,
        };
        let fits = width <= most && height <= most;
        (!fits).then(|| {
            format!("{name} holds at most {most} pixels a side, this is {width} x {height}{advice}")
        })
    }
}

/// Lossless compression of pixels. JPEG has its own and ignores this.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Compression {
    /// Deflate with differencing (PNG: with its filters).
    #[default]
    Deflate,
    /// LZW with differencing; TIFF only.
    Lzw,
    /// None.
    None,
}

impl Compression {
    /// Every value.
    pub const ALL: &'static [Self] = &[Self::Deflate, Self::Lzw, Self::None];

    /// The word for it in settings: what serde writes.
    pub fn word(self) -> &'static str {
        match self {
            Self::Deflate => "deflate",
            Self::Lzw => "lzw",
            Self::None => "none",
        }
    }
}

/// The colour space of the output.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum OutputProfile {
    /// sRGB, the working space: pixels are not converted; a small sRGB profile is embedded.
    #[default]
    Srgb,
    /// The RGB profile in these bytes (the photograph's own, or a file's): pixels are converted,
    /// the profile embedded.
    Icc(Vec<u8>),
}

impl OutputProfile {
    /// From an ICC file, checked to be an RGB profile that can be written to.
    ///
    /// # Errors
    ///
    /// [`Error::Profile`] naming the file when it cannot be read or used.
    pub fn from_file(path: &Path) -> Result<Self, Error> {
        let failed = |reason| Error::Profile { name: path.display().to_string(), reason };
        let bytes = std::fs::read(path).map_err(|e| failed(e.to_string()))?;
        OutputProfile::from_icc(bytes).map_err(failed)
    }

    /// From a profile's bytes.
    ///
    /// # Errors
    ///
    /// Why it cannot be written to: only RGB profiles can.
    pub fn from_icc(bytes: Vec<u8>) -> Result<Self, String> {
        FromWorking::new(Some(&bytes), Intent::default())?;
        Ok(OutputProfile::Icc(bytes))
    }

    /// The profile's bytes.
    pub(super) fn icc(&self) -> &[u8] {
        match self {
            OutputProfile::Srgb => icc::SRGB,
            OutputProfile::Icc(bytes) => bytes,
        }
    }
}

/// Everything about an output but its pixels.
#[derive(Debug, Clone, PartialEq)]
pub struct Encoding {
    /// The format; see [`OutputFormat::from_path`].
    pub format: OutputFormat,
    /// Bits of one channel: 8, or 16 for PNG and TIFF.
    pub bit_depth: u8,
    /// How pixels are packed.
    pub compression: Compression,
    /// JPEG's quality, 1..=100.
    pub quality: u8,
    /// Dots per inch, for the resolution tags.
    pub dpi: Option<f64>,
    /// The colour space.
    pub profile: OutputProfile,
    /// How colours are brought into it.
    pub intent: Intent,
    /// Whether 8-bit outputs are dithered; a value that 8 bits hold exactly is never changed by it.
    pub dither: bool,
    /// Seed of the dither's pattern.
    pub seed: u64,
    /// EXIF blob of the photograph (see [`SourceInfo::exif`]), carried over: orientation, sizes and
    /// resolution made true, thumbnail dropped.
    pub exif: Option<Vec<u8>>,
    /// XMP packet of the photograph, carried over.
    pub xmp: Option<Vec<u8>>,
    /// Whether EXIF and XMP keep the place where the photograph was taken.
    pub place: bool,
    /// What made the picture, so that it can be made again: goes into PNG `iTXt` (Comment), TIFF
    /// ImageDescription and, after the program's name, JPEG's comment.
    pub recipe: String,
    /// Whether rows come with alpha. JPEG holds none: there the picture is laid over white.
    pub alpha: bool,
}

impl Encoding {
    /// The defaults for a format: 8 bits, Deflate, quality 95, sRGB, relative colorimetric,
    /// dithered, no metadata.
    pub fn new(format: OutputFormat) -> Self {
        Encoding {
            format,
            bit_depth: 8,
            compression: Compression::Deflate,
            quality: 95,
            dpi: None,
            profile: OutputProfile::Srgb,
            intent: Intent::default(),
            dither: true,
            seed: 0,
            exif: None,
            xmp: None,
            place: false,
            recipe: String::new(),
            alpha: false,
        }
    }

    /// Takes EXIF and XMP from a photograph.
    pub fn carry(mut self, source: &SourceInfo) -> Self {
        self.exif = source.exif.clone();
        self.xmp = source.xmp.clone();
        self
    }

    /// What is wrong with this encoding for a picture of `width` x `height`, in words; nothing when
    /// it can be written.
    pub fn problem(&self, width: u32, height: u32) -> Option<String> {
        let jpeg = self.format == OutputFormat::Jpeg;
        if let Some(reason) = self.format.size_problem(width, height) {
            Some(reason)
        } else if !matches!(self.bit_depth, 8 | 16) {
            Some(format!("{} bits a channel cannot be written; 8 and 16 can", self.bit_depth))
        } else if jpeg && self.bit_depth == 16 {
            Some("JPEG holds 8 bits a channel; use PNG or TIFF for 16".to_owned())
        } else if jpeg && !(1..=100).contains(&self.quality) {
            Some(format!("JPEG's quality is 1 to 100, not {}", self.quality))
        } else if self.format == OutputFormat::Png && self.compression == Compression::Lzw {
            Some("PNG knows no LZW; use deflate or none".to_owned())
        } else {
            match self.dpi {
                Some(dpi) if !(dpi.is_finite() && dpi > 0.0 && dpi <= 1e6) => {
                    Some(format!("{dpi} dots per inch are no resolution"))
                }
                _ => None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_those_that_serde_writes() {
        fn written(value: impl Serialize) -> String {
            serde_json::to_value(value).unwrap().as_str().unwrap().to_owned()
        }
        for format in OutputFormat::ALL {
            assert_eq!(written(format), format.word());
        }
        for compression in Compression::ALL {
            assert_eq!(written(compression), compression.word());
        }
        for intent in Intent::ALL {
            assert_eq!(written(intent), intent.word());
        }
    }
}
