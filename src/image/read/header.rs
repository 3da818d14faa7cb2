//! What a file says before its pixels.

use std::path::Path;

use super::hdr;
use crate::image::assemble::{Alpha, Assembler, RowSink};
use crate::image::colour::{Model, Refusal, ToWorking, described};
use crate::image::exif::{self, ColourSpace};
use crate::image::{ColourKind, Error, Format, Orientation, Probe};

/// What a file says before its pixels.
pub(super) struct Header {
    pub format: Format,
    /// Stored width and height in pixels, before the orientation.
    pub size: (u32, u32),
    pub colour: ColourKind,
    pub bit_depth: u8,
    pub alpha: bool,
    pub frames: usize,
    /// The profile of its colours: the embedded one, or one made of what else the file says of
    /// them.
    pub icc: Option<Vec<u8>>,
    /// Whether the file says itself that its colours are sRGB.
    pub srgb: bool,
    pub exif: Option<Vec<u8>>,
    pub xmp: Option<Vec<u8>>,
    /// The comment: PNG's text of that keyword, JPEG's comment segments, TIFF's description.
    pub comment: Option<Vec<u8>>,
    /// Stored horizontal and vertical dots per inch.
    pub dpi: Option<(f64, f64)>,
    pub orientation: Orientation,
    /// Bytes that decoding takes beside the planes.
    pub decoder_bytes: u64,
    /// Whether whole rows come from the top, and not tiles.
    pub by_rows: bool,
    pub notes: Vec<String>,
    /// Takes the rows, where the picture is not wanted as a whole.
    pub sink: Option<RowSink>,
}

impl Header {
    pub fn new(
        format: Format,
        size: (u32, u32),
        colour: ColourKind,
        bit_depth: u8,
        alpha: bool,
    ) -> Self {
        Header {
            format,
            size,
            colour,
            bit_depth,
            alpha,
            frames: 1,
            icc: None,
            srgb: false,
            exif: None,
            xmp: None,
            comment: None,
            dpi: None,
            orientation: Orientation::UPRIGHT,
            decoder_bytes: 0,
            by_rows: true,
            notes: Vec::new(),
            sink: None,
        }
    }

    /// Takes orientation from the EXIF blob and, where the file states none by other means,
    /// resolution and colour space.
    pub fn adopt_exif(&mut self) {
        let Some(blob) = &self.exif else { return };
        if self.format != Format::Tiff {
            self.orientation = exif::orientation(blob);
            self.dpi = self.dpi.or_else(|| exif::dpi(blob));
            self.adopt_colour_space(exif::colour_space(blob));
        }
    }

    /// Takes the colour space that EXIF states, where nothing better is known.
    pub fn adopt_colour_space(&mut self, space: ColourSpace) {
        let colours = matches!(self.colour, ColourKind::Rgb | ColourKind::Palette);
        if !colours || self.icc.is_some() || self.srgb {
            return;
        }
        match space {
            ColourSpace::Srgb => {}
            ColourSpace::AdobeRgb => self.icc = described::adobe_rgb(),
            ColourSpace::Unknown => self.notes.push(
                "its EXIF says that its colours are not sRGB, but not what they are: they are taken as sRGB"
                    .to_owned(),
            ),
        }
    }

    pub fn pixels(&self) -> u64 {
        u64::from(self.size.0) * u64::from(self.size.1)
    }

    /// Bytes that decoding takes at its highest: planes, alpha with the work on it, and the
    /// decoder's own.
    pub fn decode_bytes(&self) -> u64 {
        let planes = if self.alpha { 4 + 4 } else { 3 };
        self.pixels().saturating_mul(4 * planes).saturating_add(self.decoder_bytes)
    }

    pub fn probe(&self) -> Probe {
        let (width, height) = self.orientation.oriented(self.size.0, self.size.1);
        let swap = |(x, y): (f64, f64)| if self.orientation.transposes() { (y, x) } else { (x, y) };
        Probe {
            width,
            height,
            format: self.format,
            colour: self.colour,
            bit_depth: self.bit_depth,
            has_alpha: self.alpha,
            frames: self.frames,
            icc: self.icc.is_some(),
            dpi: self.dpi.map(swap),
            orientation: self.orientation,
            decode_bytes: self.decode_bytes(),
        }
    }

    /// The assembler for this picture's pixels, of `model` with `alpha`.
    pub fn assembler(
        &mut self,
        path: &Path,
        model: Model,
        alpha: Alpha,
    ) -> Result<Assembler, Error> {
        let (to_working, note) =
            ToWorking::new(model, self.icc.as_deref()).map_err(|refusal| match refusal {
                Refusal::Cmyk(reason) => Error::Cmyk { path: path.to_path_buf(), reason },
                Refusal::Hdr(curve) => hdr(path, self.format, curve),
            })?;
        self.notes.extend(note);
        Ok(match self.sink.take() {
            Some(sink) => Assembler::of_rows(self.size, model, alpha, to_working, sink),
            None => Assembler::new(self.size, self.orientation, model, alpha, to_working),
        })
    }
}
