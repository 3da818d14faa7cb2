//! `[output]` and `[color]`: where finished pictures go and in what form.

use std::path::PathBuf;

use super::Size;
use super::size;
use crate::config::choice::choice;
use crate::config::listing::Listing;
use crate::config::name::{Format, NameTemplate};
use crate::config::reader::Reader;
use crate::units::{Dpi, Mm};

choice! {
    /// How a photograph of one shape meets a print of another.
    Fit {
        /// The whole photograph, inside the given sides.
        Contain = "contain",
        /// The given sides filled, what juts out cut off.
        Cover = "cover",
        /// The given sides, stretched to.
        Exact = "exact",
    }
}

choice! {
    /// Whose colours the picture has.
    ColorFrom {
        /// Those of the style, as they come out of the optimisation.
        Style = "style",
        /// The result's luma with the photograph's chroma.
        Content = "content",
    }
}

/// Bits of each channel in the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BitDepth {
    /// 256 levels.
    #[default]
    Eight,
    /// 65536 levels; PNG and TIFF only.
    Sixteen,
}

impl BitDepth {
    /// The number of bits.
    pub fn bits(self) -> u8 {
        match self {
            BitDepth::Eight => 8,
            BitDepth::Sixteen => 16,
        }
    }
}

choice! {
    /// Lossless compression of a TIFF; PNG is always deflated.
    Compression {
        /// Deflate (zlib).
        Deflate = "deflate",
        /// LZW.
        Lzw = "lzw",
        /// None.
        None = "none",
    }
}

choice! {
    /// What becomes of the photograph's EXIF and XMP.
    MetadataFrom {
        /// Carried over, orientation and size brought up to date.
        Keep = "keep",
        /// Nothing is written, the record of how the picture was made neither.
        None = "none",
    }
}

choice! {
    /// A companion for viewers that load a picture piece by piece.
    Companion {
        /// None.
        None = "none",
        /// Deep Zoom tiles beside the picture.
        Dzi = "dzi",
    }
}

/// `[output]`: where finished pictures go, how large and in what format.
#[derive(Clone, Debug, PartialEq)]
pub struct Output {
    /// `directory`: default `renders` beside the pipeline file. It need not exist.
    pub directory: PathBuf,
    /// `name`: of each picture, with placeholders; the extension chooses the format.
    pub name: NameTemplate,
    /// `long-side-px`, `width-mm` and `height-mm`, `size`, or `scale`; default `scale = 1.0`.
    pub size: Size,
    /// `dpi`: the resolution written into the file, 1 to 10000. `None`: none was asked for. Sizes
    /// on paper always have one ([`Size::dpi`]), 300 by default.
    pub dpi: Option<Dpi>,
    /// `fit`: default `contain`.
    pub fit: Fit,
    /// `crop-focus`: the point of the photograph that `cover` keeps in view, as shares of width and
    /// height, each 0 to 1; default the middle.
    pub crop_focus: [f64; 2],
    /// `bleed-mm`: extra picture on each side, in millimetres, 0 to 100; default 0.
    pub bleed: Mm,
    /// `overwrite`: whether a picture that exists is replaced; default false.
    pub overwrite: bool,
    /// `color`: default `style`.
    pub color: ColorFrom,
    /// `bit-depth`: 8 or 16; default 8.
    pub bit_depth: BitDepth,
    /// `compression`: default `deflate`.
    pub compression: Compression,
    /// `quality`: of a JPEG, 1 to 100; default 92.
    pub quality: u8,
    /// `dither`: whether 8-bit output is dithered; default true.
    pub dither: bool,
    /// `metadata`: default `keep`.
    pub metadata: MetadataFrom,
    /// `pyramid`: default `none`.
    pub pyramid: Companion,
    /// `preview`: whether a JPEG preview is written beside the picture; default false.
    pub preview: bool,
}

impl Output {
    /// `styled`: there is a style to name; `variant`: there are variants to tell apart.
    pub(super) fn read(reader: &mut Reader<'_>, styled: bool, variant: bool) -> Output {
        let name = NameTemplate::read(reader, styled, variant);
        let bit_depth = read_bit_depth(reader, name.format()).unwrap_or_default();
        let (size, dpi) = size::read(reader);
        Output {
            directory: reader.directory("output.directory", "renders"),
            name,
            size,
            dpi,
            fit: reader.choice("output.fit").unwrap_or_default(),
            crop_focus: reader.pair("output.crop-focus").unwrap_or([0.5, 0.5]),
            bleed: Mm(reader.number("output.bleed-mm").unwrap_or(0.0)),
            overwrite: reader.boolean("output.overwrite").unwrap_or(false),
            color: reader.choice("output.color").unwrap_or_default(),
            bit_depth,
            compression: reader.choice("output.compression").unwrap_or_default(),
            quality: reader.integer("output.quality").unwrap_or(92),
            dither: reader.boolean("output.dither").unwrap_or(true),
            metadata: reader.choice("output.metadata").unwrap_or_default(),
            pyramid: reader.choice("output.pyramid").unwrap_or_default(),
            preview: reader.boolean("output.preview").unwrap_or(false),
        }
    }

    /// The resolution of the picture on paper: `dpi`, or that of a size on paper. A bleed in
    /// millimetres needs one and has 300 where none is said. `None`: the picture has pixels alone.
    pub fn resolution(&self) -> Option<Dpi> {
        self.dpi.or(self.size.dpi()).or((self.bleed.0 > 0.0).then_some(size::DEFAULT_DPI))
    }

    pub(super) fn list(&self, list: &mut Listing) {
        list.path("output.directory", Some(&self.directory));
        list.text("output.name", &self.name);
        self.size.list(list);
        list.optional("output.dpi", self.dpi.map(|dpi| dpi.0));
        list.text("output.fit", self.fit);
        list.values("output.crop-focus", &self.crop_focus);
        list.value("output.bleed-mm", self.bleed.0);
        list.value("output.overwrite", self.overwrite);
        list.text("output.color", self.color);
        list.value("output.bit-depth", self.bit_depth.bits());
        list.text("output.compression", self.compression);
        list.value("output.quality", self.quality);
        list.value("output.dither", self.dither);
        list.text("output.metadata", self.metadata);
        list.text("output.pyramid", self.pyramid);
        list.value("output.preview", self.preview);
    }
}

fn read_bit_depth(reader: &mut Reader<'_>, format: Format) -> Option<BitDepth> {
    const KEY: &str = "output.bit-depth";
    match reader.integer::<u8>(KEY)? {
        8 => Some(BitDepth::Eight),
        16 => {
            if format == Format::Jpeg {
                let message = "a JPEG has 8 bits a channel, and `output.bit-depth` is 16";
                reader.contradiction(
                    message,
                    &["output.bit-depth", "output.name"],
                    "end the name in .png or .tiff, or set `bit-depth = 8`",
                );
            }
            Some(BitDepth::Sixteen)
        }
        other => {
            let origin = reader.origin(KEY);
            let message = format!("`output.bit-depth` is {other}");
            reader.bad(KEY, origin, message, "neither 8 nor 16");
            None
        }
    }
}

choice! {
    /// The colour space of the canvas.
    WorkingSpace {
        /// sRGB.
        Srgb = "srgb",
    }
}

choice! {
    /// How colours outside the output's space are brought into it.
    Intent {
        /// Colours inside stay, those outside move to the nearest; white is the paper's.
        RelativeColorimetric = "relative-colorimetric",
        /// All colours move a little, so that their relations stay.
        Perceptual = "perceptual",
    }
}

/// The ICC profile of the finished picture.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum OutputProfile {
    /// sRGB.
    #[default]
    Srgb,
    /// The photograph's own; sRGB where it has none.
    Input,
    /// The profile in this file.
    File(PathBuf),
}

/// `[color]`: colour spaces.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Color {
    /// `working-space`: default and only `srgb`.
    pub working_space: WorkingSpace,
    /// `output-profile`: `"srgb"` (default), `"input"` or the path of an ICC profile.
    pub output_profile: OutputProfile,
    /// `intent`: default `relative-colorimetric`.
    pub intent: Intent,
}

impl Color {
    pub(super) fn read(reader: &mut Reader<'_>) -> Color {
        const PROFILE: &str = "color.output-profile";
        let output_profile = match reader.text(PROFILE) {
            Some((word, _)) if word == "srgb" => OutputProfile::Srgb,
            Some((word, _)) if word == "input" => OutputProfile::Input,
            Some(_) => reader.existing_file(PROFILE).map(OutputProfile::File).unwrap_or_default(),
            None => OutputProfile::Srgb,
        };
        Color {
            working_space: reader.choice("color.working-space").unwrap_or_default(),
            output_profile,
            intent: reader.choice("color.intent").unwrap_or_default(),
        }
    }

    pub(super) fn list(&self, list: &mut Listing) {
        list.text("color.working-space", self.working_space);
        match &self.output_profile {
            OutputProfile::Srgb => list.text("color.output-profile", "srgb"),
            OutputProfile::Input => list.text("color.output-profile", "input"),
            OutputProfile::File(path) => list.path("color.output-profile", Some(path)),
        }
        list.text("color.intent", self.intent);
    }
}
