//! Reading: one file per way of decoding, all of them giving a [`Header`] first and pixels on
//! demand.

mod chunks;
mod jpeg;
mod other;
mod png;
mod sniff;
mod tiff;

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use super::assemble::{Alpha, Assembler};
use super::colour::{Model, ToWorking};
use super::{ColourKind, Error, Format, Limits, Orientation, Picture, Probe, SourceInfo, exif};

/// What a file says before its pixels.
#[derive(Debug, Clone)]
struct Header {
    format: Format,
    /// Stored width and height in pixels, before the orientation.
    size: (u32, u32),
    colour: ColourKind,
    bit_depth: u8,
    alpha: bool,
    frames: usize,
    icc: Option<Vec<u8>>,
    exif: Option<Vec<u8>>,
    xmp: Option<Vec<u8>>,
    /// Stored horizontal and vertical dots per inch.
    dpi: Option<(f64, f64)>,
    orientation: Orientation,
    /// Whether a JPEG says that an Adobe program wrote it.
    adobe: bool,
    /// Bytes that decoding takes beside the planes.
    decoder_bytes: u64,
    notes: Vec<String>,
}

impl Header {
    fn new(
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
            exif: None,
            xmp: None,
            dpi: None,
            orientation: Orientation::UPRIGHT,
            adobe: false,
            decoder_bytes: 0,
            notes: Vec::new(),
        }
    }

    /// Takes orientation and, where the format itself states none, resolution from the EXIF blob.
    fn adopt_exif(&mut self) {
        if let Some(blob) = &self.exif {
            self.orientation = exif::orientation(blob);
            self.dpi = self.dpi.or_else(|| exif::dpi(blob));
        }
    }

    fn pixels(&self) -> u64 {
        u64::from(self.size.0) * u64::from(self.size.1)
    }

    /// Bytes that decoding takes at its highest: planes, alpha with the work on it, and the
    /// decoder's own.
    fn decode_bytes(&self) -> u64 {
        let planes = if self.alpha { 4 + 4 } else { 3 };
        self.pixels().saturating_mul(4 * planes).saturating_add(self.decoder_bytes)
    }

    fn probe(&self) -> Probe {
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
    fn assembler(&mut self, path: &Path, model: Model, alpha: Alpha) -> Result<Assembler, Error> {
        let (to_working, note) = ToWorking::new(model, self.icc.as_deref())
            .map_err(|reason| Error::Cmyk { path: path.to_path_buf(), reason })?;
        self.notes.extend(note);
        Ok(Assembler::new(self.size, self.orientation, model, alpha, to_working))
    }
}

/// A file opened for reading, and what its first bytes say it is.
struct Source<'a> {
    path: &'a Path,
    format: Format,
    length: u64,
    reader: BufReader<File>,
}

impl<'a> Source<'a> {
    fn open(path: &'a Path) -> Result<Self, Error> {
        let failed = |source: std::io::Error| match source.kind() {
            std::io::ErrorKind::NotFound => Error::Missing { path: path.to_path_buf() },
            _ => Error::Read { path: path.to_path_buf(), source },
        };
        let about = std::fs::metadata(path).map_err(failed)?;
        if about.is_dir() {
            return Err(Error::Directory { path: path.to_path_buf() });
        }
        if !about.is_file() {
            // A pipe or device would block or never end.
            return Err(Error::NotAPicture { path: path.to_path_buf() });
        }
        if about.len() == 0 {
            return Err(Error::Empty { path: path.to_path_buf() });
        }
        let mut file = File::open(path).map_err(failed)?;
        let mut head = Vec::with_capacity(sniff::HEAD);
        file.by_ref().take(sniff::HEAD as u64).read_to_end(&mut head).map_err(failed)?;
        file.seek(SeekFrom::Start(0)).map_err(failed)?;
        let format = sniff::sniff(path, &head)?;
        Ok(Source {
            path,
            format,
            length: about.len(),
            reader: BufReader::with_capacity(1 << 16, file),
        })
    }

    /// An input/output error as the picture's: the end of the file is truncation.
    fn io(&self, source: std::io::Error) -> Error {
        io_error(self.path, self.format, source)
    }

    fn malformed(&self, detail: impl Into<String>) -> Error {
        Error::Malformed {
            path: self.path.to_path_buf(),
            format: self.format,
            detail: detail.into(),
        }
    }

    fn header(&mut self) -> Result<Header, Error> {
        let header = match self.format {
            Format::Png => png::header(self),
            Format::Jpeg => jpeg::header(self),
            Format::Tiff => tiff::header(self),
            _ => other::header(self),
        }?;
        if header.size.0 == 0 || header.size.1 == 0 {
            let (width, height) = header.size;
            return Err(Error::ZeroSized {
                path: self.path.to_path_buf(),
                format: self.format,
                width,
                height,
            });
        }
        self.reader.seek(SeekFrom::Start(0)).map_err(|e| self.io(e))?;
        Ok(header)
    }
}

fn io_error(path: &Path, format: Format, source: std::io::Error) -> Error {
    match source.kind() {
        std::io::ErrorKind::UnexpectedEof => Error::Truncated { path: path.to_path_buf(), format },
        // Decoders wrap what they dislike in these kinds; the file system does not use them for
        // regular files.
        std::io::ErrorKind::InvalidData
        | std::io::ErrorKind::InvalidInput
        | std::io::ErrorKind::Other => {
            Error::Malformed { path: path.to_path_buf(), format, detail: source.to_string() }
        }
        _ => Error::Read { path: path.to_path_buf(), source },
    }
}

/// Reads a picture's header: size as seen, colour, depth, frames, resolution. No pixel is decoded,
/// so that it is quick and safe for pictures of any size.
///
/// # Errors
///
/// Any [`Error`] about the file; an animation is no error here, only in [`decode`].
pub fn probe(path: &Path) -> Result<Probe, Error> {
    let mut source = Source::open(path)?;
    let guarded = guard(path, source.format, || source.header())?;
    Ok(guarded.probe())
}

/// Decodes a picture: orientation applied, colours converted to sRGB by its embedded profile (none
/// means sRGB).
///
/// Colour under transparent pixels is replaced by that of the nearest visible ones (see
/// [`Picture::pixels`]); float files are clamped to 0..1. A TIFF of several pages gives its first,
/// with a note.
///
/// # Errors
///
/// Any [`Error`] about the file: [`Error::Animated`], [`Error::TooLarge`] before anything large is
/// allocated, [`Error::Cmyk`] where a CMYK picture cannot be converted, [`Error::Truncated`],
/// [`Error::Malformed`]...
pub fn decode(path: &Path, limits: &Limits) -> Result<Picture, Error> {
    let mut source = Source::open(path)?;
    let format = source.format;
    guard(path, format, || {
        let mut header = source.header()?;
        if header.frames > 1 && format != Format::Tiff {
            return Err(Error::Animated {
                path: path.to_path_buf(),
                format,
                frames: header.frames,
            });
        }
        let needed = header.decode_bytes();
        if needed > limits.max_bytes {
            let (width, height) = header.orientation.oriented(header.size.0, header.size.1);
            return Err(Error::TooLarge {
                path: path.to_path_buf(),
                width,
                height,
                needed,
                limit: limits.max_bytes,
            });
        }
        let assembler = match format {
            Format::Png => png::pixels(&mut source, &mut header, limits),
            Format::Jpeg => jpeg::pixels(&mut source, &mut header),
            Format::Tiff => tiff::pixels(&mut source, &mut header, limits),
            _ => other::pixels(&mut source, &mut header, limits),
        }?;
        let (pixels, alpha) = assembler.finish(header.orientation);
        let probe = header.probe();
        let Header { icc, exif, xmp, notes, .. } = header;
        let source = SourceInfo { probe, icc, exif, xmp, notes };
        Ok(Picture {
            width: source.probe.width,
            height: source.probe.height,
            pixels,
            alpha,
            source,
        })
    })
}

/// Runs a decoder so that a panic inside it, which only a bug in it could cause, is an error about
/// this file.
fn guard<T>(
    path: &Path,
    format: Format,
    work: impl FnOnce() -> Result<T, Error>,
) -> Result<T, Error> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).unwrap_or_else(|_| {
        let detail = "the decoder gave up on it".to_owned();
        Err(Error::Malformed { path: path.to_path_buf(), format, detail })
    })
}
