//! Writing: rows go in from top to bottom, a finished file appears at the end.
//!
//! [`Writer`] converts sRGB rows to the output's profile, makes integers of them and hands them to
//! the format's own row writer. It holds a few rows (for TIFF: strips) whatever the picture's size.

mod encoding;
mod jpeg;
mod png;
mod preview;
mod pyramid;
mod quantise;
mod tiff;

use std::io::Write as _;
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::colour::{FromWorking, over_white};
use super::{Error, exif, xmp};
use crate::files::{AtomicFile, Overwrite};
pub use encoding::{Compression, Encoding, OutputFormat, OutputProfile};
pub use preview::PreviewWriter;
pub use pyramid::{PyramidWriter, Tiling};
use quantise::Quantiser;

/// What made a picture, in the words that go into its file.
pub(crate) const SOFTWARE: &str = concat!("impasto ", env!("CARGO_PKG_VERSION"));

/// What a recipe begins with (see [`Encoding::recipe`]), by which it is found again.
pub(crate) const RECIPE_HEAD: &str = "# impasto ";

/// Pixels converted at once: enough for every thread, few beside the canvas.
const BAND_PIXELS: usize = 1 << 18;

/// What the format's own writers need to know.
struct Job {
    width: u32,
    height: u32,
    /// Channels of a pixel: 3, or 4 with alpha.
    channels: usize,
    encoding: Encoding,
    /// The profile to embed.
    icc: Vec<u8>,
}

/// A format's row writer. Rows are interleaved; 16-bit samples come as numbers, 8-bit ones in the
/// low byte.
trait RowSink: Send {
    fn write(&mut self, row: &[u16]) -> std::io::Result<()>;
    fn finish(self: Box<Self>) -> std::io::Result<AtomicFile>;
}

/// Some rows of a planar picture: for each channel the same number of whole rows, display-coded
/// sRGB 0..1.
#[derive(Debug, Clone, Copy)]
pub struct Rows<'a> {
    /// Red, green, blue.
    pub colours: [&'a [f32]; 3],
    /// Alpha, 0 transparent .. 1 opaque; given exactly when [`Encoding::alpha`] is set.
    pub alpha: Option<&'a [f32]>,
}

/// A picture being written, row by row from the top.
///
/// The file appears under its final name at [`Writer::finish`]; a writer that is dropped leaves
/// nothing behind.
pub struct Writer {
    sink: Box<dyn RowSink>,
    path: PathBuf,
    width: usize,
    height: u32,
    row: u32,
    alpha: bool,
    converter: Converter,
}

/// From rows of the canvas to samples of the file.
struct Converter {
    width: usize,
    /// Alpha is laid over white.
    flatten: bool,
    from_working: FromWorking,
    quantiser: Quantiser,
}

impl Converter {
    /// Row `y` of `rows`, whose first is the picture's row `first`, as the format's samples.
    fn samples(&self, rows: &Rows, y: usize, first: u32) -> Vec<u16> {
        let range = y * self.width..(y + 1) * self.width;
        let [r, g, b] = rows.colours.map(|c| &c[range.clone()]);
        let alpha = rows.alpha.map(|a| &a[range]);
        let mut pixels = Vec::with_capacity(3 * self.width);
        for x in 0..self.width {
            let opacity = alpha.filter(|_| self.flatten).map_or(1.0, |alpha| alpha[x]);
            pixels.extend([r[x], g[x], b[x]].map(|v| over_white(v, opacity)));
        }
        self.from_working.run(&mut pixels);
        self.quantiser.row(&pixels, alpha.filter(|_| !self.flatten), first + y as u32)
    }
}

impl Writer {
    /// Opens a writer for a picture of `width` x `height` pixels that will be at `path`; its
    /// directory is created if it is missing.
    ///
    /// # Errors
    ///
    /// [`Error::Encoding`] for what [`Encoding::problem`] says, [`Error::Profile`] for a profile
    /// that is no usable RGB profile, [`Error::File`] when `path` exists and may not be replaced or
    /// its directory cannot be written.
    pub fn create(
        path: &Path,
        width: u32,
        height: u32,
        encoding: &Encoding,
        overwrite: Overwrite,
    ) -> Result<Self, Error> {
        if let Some(reason) = encoding.problem(width, height) {
            return Err(Error::Encoding { path: path.to_path_buf(), reason });
        }
        let of_profile =
            |reason| Error::Profile { name: "the output's colour profile".to_owned(), reason };
        let icc = encoding.profile.icc().to_vec();
        let wanted = (encoding.profile != OutputProfile::Srgb).then_some(icc.as_slice());
        let from_working = FromWorking::new(wanted, encoding.intent).map_err(of_profile)?;
        let mut encoding = encoding.clone();
        let facts = exif::Facts {
            size: (width, height),
            dpi: encoding.dpi,
            srgb: encoding.profile == OutputProfile::Srgb,
            place: encoding.place,
        };
        encoding.exif = encoding.exif.and_then(|blob| exif::refreshed(&blob, facts));
        encoding.xmp = encoding.xmp.and_then(|packet| xmp::refreshed(&packet, facts));
        let quantiser = Quantiser::new(encoding.bit_depth, encoding.dither, encoding.seed);
        let (alpha, flatten) =
            (encoding.alpha, encoding.alpha && encoding.format == OutputFormat::Jpeg);
        let channels = if alpha && !flatten { 4 } else { 3 };
        let file = AtomicFile::create(path, overwrite)?;
        let format = encoding.format;
        let job = Job { width, height, channels, encoding, icc };
        let failed = |source| Error::Write { path: path.to_path_buf(), source };
        let sink = match format {
            OutputFormat::Png => png::start(job, file).map_err(failed)?,
            OutputFormat::Tiff => tiff::start(job, file).map_err(failed)?,
            OutputFormat::Jpeg => jpeg::start(job, file).map_err(failed)?,
        };
        Ok(Writer {
            sink,
            path: path.to_path_buf(),
            width: width as usize,
            height,
            row: 0,
            alpha,
            converter: Converter { width: width as usize, flatten, from_working, quantiser },
        })
    }

    /// Writes the next rows: any whole number of them. They are converted side by side on rayon's
    /// threads.
    ///
    /// # Errors
    ///
    /// [`Error::Rows`] when they do not fit the picture, [`Error::Write`] when the disk is full or
    /// the like.
    pub fn write_rows(&mut self, rows: Rows) -> Result<(), Error> {
        let count = self.check(&rows)?;
        let (top, converter) = (self.row, &self.converter);
        let at_once = BAND_PIXELS.div_ceil(self.width);
        for first in (0..count).step_by(at_once) {
            let band = first..(first + at_once).min(count);
            let samples: Vec<Vec<u16>> =
                band.into_par_iter().map(|y| converter.samples(&rows, y, top)).collect();
            for row in samples {
                self.sink
                    .write(&row)
                    .map_err(|source| Error::Write { path: self.path.clone(), source })?;
                self.row += 1;
            }
        }
        Ok(())
    }

    /// How many rows there are in `rows`.
    fn check(&self, rows: &Rows) -> Result<usize, Error> {
        let n = rows.colours[0].len();
        let same =
            rows.colours.iter().all(|c| c.len() == n) && rows.alpha.is_none_or(|a| a.len() == n);
        let reason = if !same || !n.is_multiple_of(self.width) {
            format!("rows of {} pixels are expected, with as many for every channel", self.width)
        } else if rows.alpha.is_some() != self.alpha {
            "alpha must come with the rows exactly when the encoding says so".to_owned()
        } else if n / self.width > (self.height - self.row) as usize {
            format!("more rows than the picture's {}", self.height)
        } else {
            return Ok(n / self.width);
        };
        Err(Error::Rows { path: self.path.clone(), reason })
    }

    /// Completes the file, syncs it and gives it its final name. Returns that name.
    ///
    /// # Errors
    ///
    /// [`Error::Rows`] when rows are missing, [`Error::Write`], and [`Error::File`] when the name
    /// has been taken meanwhile. On an error nothing appears.
    pub fn finish(self) -> Result<PathBuf, Error> {
        if self.row != self.height {
            let reason = format!("{} of {} rows were written", self.row, self.height);
            return Err(Error::Rows { path: self.path, reason });
        }
        let path = self.path;
        let mut file =
            self.sink.finish().map_err(|source| Error::Write { path: path.clone(), source })?;
        file.flush().map_err(|source| Error::Write { path, source })?;
        Ok(file.commit()?)
    }
}

/// Writes a picture that is in memory: `pixels` `[3, H, W]`, `alpha` `[H, W]`; [`Encoding::alpha`]
/// follows `alpha`.
///
/// # Errors
///
/// As [`Writer`].
pub fn encode_picture(
    path: &Path,
    (width, height): (u32, u32),
    pixels: &[f32],
    alpha: Option<&[f32]>,
    encoding: &Encoding,
    overwrite: Overwrite,
) -> Result<PathBuf, Error> {
    let plane = width as usize * height as usize;
    if pixels.len() != plane * 3 || alpha.is_some_and(|a| a.len() != plane) {
        let reason = format!("{} values are not three planes of {width} x {height}", pixels.len());
        return Err(Error::Rows { path: path.to_path_buf(), reason });
    }
    let mut encoding = encoding.clone();
    encoding.alpha = alpha.is_some();
    let mut writer = Writer::create(path, width, height, &encoding, overwrite)?;
    let (r, rest) = pixels.split_at(plane);
    let (g, b) = rest.split_at(plane);
    writer.write_rows(Rows { colours: [r, g, b], alpha })?;
    writer.finish()
}
