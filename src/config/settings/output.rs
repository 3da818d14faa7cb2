//! `[output]` and `[color]`: where finished pictures go and in what form.

use std::path::{Path, PathBuf};

use super::size::{DEFAULT_DPI, Size};
use crate::config::choice::choice;
use crate::config::name::NameTemplate;
use crate::config::reader::{Entry, SettingValue};
use crate::config::schema::{Accepts, Key};
use crate::config::table::settings;
use crate::config::text::quote;
use crate::image::{Compression, Intent};
use crate::units::{Dpi, Mm, Paper, Px};

settings! {
    /// The part of `[output]` that all pictures of a run share.
    OutputFolder = "output" {
        /// Where finished pictures go. The folder is made when it is needed.
        directory: PathBuf = PathBuf::from("renders") => "`renders` beside the pipeline",
            Destination, Folder;
        /// Whether a contact sheet shows all pictures of the run, in rows and columns headed by what
        /// they differ in: `PIPELINE.contact-sheet.png` and `.jpg` in the output directory. See
        /// docs/looks.md.
        contact_sheet: bool = false, Nothing;
    }
}

choice! {
    /// How a photograph of one shape meets a print of another.
    Fit {
        /// The whole photograph, inside the given sides.
        Contain = "contain",
        /// The given sides filled, the rest of the photograph cut off.
        Cover = "cover",
        /// Stretched to the given sides.
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

choice! {
    /// What becomes of the photograph's EXIF and XMP.
    MetadataFrom {
        /// Carried over without the place, orientation and size brought up to date.
        Keep = "keep",
        /// Carried over with the place where the photograph was taken (GPS).
        All = "all",
        /// Nothing is written, and no record of how the picture was made either.
        None = "none",
    }
}

choice! {
    /// Files for viewers that load a picture piece by piece.
    ViewerTiles {
        /// None.
        None = "none",
        /// Deep Zoom tiles beside the picture.
        Dzi = "dzi",
    }
}

settings! {
    /// `[output]`: how large finished pictures are and in what format.
    Output = "output" {
        /// Name of each picture. `{content}` and `{style}` are the files' names without extension,
        /// `{extension}` is the photograph's extension, `{variant}` the variant's name, `{grid}` the
        /// values of a grid, `{index}` the photograph's number. The extension of the name itself chooses the format. Names must
        /// differ in more than the case of letters.
        name: Option<NameTemplate> = None => "`{content}-{style}.png`, and `-{variant}` or `-{grid}` before `.png` where there are any",
            Destination;
        /// Longer side in pixels.
        long_side_px: Option<Px> = None, Pixels, Whole(16, 200_000);
        /// Width on paper.
        width_mm: Option<Mm> = None, Pixels, Above(0.0, 10_000.0);
        /// Height on paper.
        height_mm: Option<Mm> = None, Pixels, Above(0.0, 10_000.0);
        /// A sheet of paper, turned as the photograph is.
        size: Option<Paper> = None, Pixels;
        /// Factor on the photograph's own pixels.
        scale: Option<f64> = None => "`1.0`, if no other key says the size; with a `[grid]`, `long-side-px = 512`", Pixels, Number(0.01, 100.0);
        /// Pixels per inch. With a size in pixels it says how large the print is, and is written
        /// into the file.
        dpi: Option<Dpi> = None => "300 for sizes on paper and with `bleed-mm`", Pixels, Number(1.0, 10_000.0);
        /// If both width and height are given: the whole photograph inside them, filled and cut, or
        /// stretched.
        fit: Fit = Fit::Contain, Pixels;
        /// Point of the photograph that `fit = "cover"` keeps in view, from the left and from the
        /// top.
        crop_focus: [f64; 2] = [0.5, 0.5], Pixels;
        /// Extra picture on each side, for the knife of the print shop: the canvas grows by it. It
        /// shows more of the photograph where a cut leaves some, and then its mirror image. The
        /// print inside stays as it is.
        bleed_mm: Mm = Mm(0.0), Pixels, Number(0.0, 100.0);
        /// Whether a band around the picture is painted with it and then cut off: about 1.5 % of
        /// its sides, at most 6 % more pixels at any level. It takes the discoloured line that the
        /// network leaves along every border. The picture has the size that was asked for.
        guard_band: bool = true, Pixels;
        /// Whether a picture that exists is replaced.
        overwrite: bool = false, Nothing;
        /// Whose colours: `content` keeps the photograph's chroma.
        color: ColorFrom = ColorFrom::Style, Pixels;
        /// Bits of each channel. A JPEG has 8.
        bit_depth: u8 = 8, Pixels, OneOf(&[8, 16]);
        /// Compression of a TIFF. A PNG is always deflated.
        compression: Compression = Compression::Deflate, Pixels;
        /// Quality of a JPEG. Its chroma has full resolution (4:4:4), and white is laid under
        /// transparency.
        quality: u8 = 92, Pixels, Whole(1, 100);
        /// Whether 8-bit pictures are dithered.
        dither: bool = true, Pixels;
        /// Whether the photograph's EXIF and XMP, and a pipeline that makes the picture again, are
        /// written into the picture. `keep` leaves out the place where the photograph was taken
        /// (GPS), `all` keeps it.
        metadata: MetadataFrom = MetadataFrom::Keep, Pixels;
        /// Deep Zoom tiles for a viewer in a web page: `NAME.dzi` and `NAME_files` beside the
        /// picture.
        pyramid: ViewerTiles = ViewerTiles::None, Pixels;
        /// A JPEG of the finished picture beside it, with at most 1600 px on its long side:
        /// `NAME.preview.jpg`. While a picture of several levels is computed, the last finished
        /// level is always there under this name; without this key it is removed when the picture
        /// is finished.
        preview: bool = false, Pixels;
    }
}

/// Keys that exclude each other, as each says the size; `width-mm` and `height-mm` go together.
pub(crate) const SIZE_KEYS: [&[&Key]; 4] = [
    &[&Output::long_side_px],
    &[&Output::width_mm, &Output::height_mm],
    &[&Output::size],
    &[&Output::scale],
];

impl Output {
    /// The size of the finished picture.
    pub fn print_size(&self) -> Size {
        let dpi = self.dpi.unwrap_or(DEFAULT_DPI);
        let (width, height) = (self.width_mm, self.height_mm);
        if let Some(side) = self.long_side_px {
            Size::LongSide(side)
        } else if width.is_some() || height.is_some() {
            Size::Print { width, height, dpi }
        } else if let Some(paper) = self.size {
            Size::Paper { paper, dpi }
        } else {
            Size::Scale(self.scale.unwrap_or(1.0))
        }
    }

    /// The resolution of the picture on paper: `dpi`, or that of a size on paper. A bleed in
    /// millimetres needs one and has 300 where none is given. `None`: the picture has pixels alone.
    pub fn resolution(&self) -> Option<Dpi> {
        let needed = self.print_size().is_on_paper() || self.bleed_mm.0 > 0.0;
        self.dpi.or(needed.then_some(DEFAULT_DPI))
    }

    /// Fills in what the keys imply.
    pub(super) fn complete(&mut self) {
        match self.print_size() {
            Size::Print { dpi, .. } | Size::Paper { dpi, .. } => self.dpi = Some(dpi),
            Size::Scale(scale) => self.scale = Some(scale),
            Size::LongSide(_) => {}
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

/// Where the ICC profile of the finished picture comes from.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum ProfileSource {
    /// sRGB.
    #[default]
    Srgb,
    /// The photograph's own; sRGB where it has none.
    Input,
    /// The profile in this file.
    File(PathBuf),
}

impl ProfileSource {
    /// The file that it names, if it names one.
    pub fn path(&self) -> Option<&Path> {
        match self {
            ProfileSource::File(path) => Some(path),
            ProfileSource::Srgb | ProfileSource::Input => None,
        }
    }
}

impl SettingValue for ProfileSource {
    fn describe(_: Accepts) -> String {
        "`\"srgb\"`, `\"input\"` or the path of an ICC profile".to_owned()
    }

    fn read(entry: &mut Entry<'_, '_>) -> Option<Self> {
        match entry.node().text() {
            Some("srgb") => Some(ProfileSource::Srgb),
            Some("input") => Some(ProfileSource::Input),
            _ => PathBuf::read(entry).map(ProfileSource::File),
        }
    }

    fn toml(&self, relative: &dyn Fn(&Path) -> PathBuf) -> Option<String> {
        match self {
            ProfileSource::Srgb => Some(quote("srgb")),
            ProfileSource::Input => Some(quote("input")),
            ProfileSource::File(path) => path.toml(relative),
        }
    }

    fn file(&self) -> Option<&Path> {
        self.path()
    }
}

settings! {
    /// `[color]`: colour spaces.
    Color = "color" {
        /// Colour space of the canvas.
        working_space: WorkingSpace = WorkingSpace::Srgb, Pixels;
        /// Colour profile of the finished picture. `input` is the photograph's own, if it has one
        /// for RGB.
        output_profile: ProfileSource = ProfileSource::Srgb, Pixels;
        /// How colours outside the profile are brought into it.
        intent: Intent = Intent::RelativeColorimetric, Pixels;
    }
}
