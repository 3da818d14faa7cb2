//! Reading: one file or folder a way of decoding, all of them giving a [`Header`] first and pixels
//! on demand.

mod guard;
mod header;
mod jpeg;
mod other;
mod png;
mod sniff;
mod tiff;

use std::cell::RefCell;
use std::fs::File;
use std::io::{BufRead, BufReader, Cursor, Read, Seek, SeekFrom};
use std::path::Path;
use std::rc::Rc;

pub use guard::silence_decoder_panics;
use header::Header;

use super::assemble::Assembler;
use super::write::{RECIPE_HEAD, Rows};
use super::{Error, Format, Limits, Orientation, Picture, Probe, SourceInfo};
use crate::memory;

/// What a picture's bytes are read from.
trait Bytes: BufRead + Seek {}

impl<T: BufRead + Seek> Bytes for T {}

/// A file or bytes in memory.
type Input<'a> = Box<dyn Bytes + 'a>;

/// A file opened for reading, and what its first bytes say it is.
struct Source<'a> {
    path: &'a Path,
    format: Format,
    length: u64,
    reader: Input<'a>,
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
        let file = BufReader::with_capacity(1 << 16, File::open(path).map_err(failed)?);
        Source::new(path, about.len(), Box::new(file))
    }

    fn new(path: &'a Path, length: u64, mut reader: Input<'a>) -> Result<Self, Error> {
        if length == 0 {
            return Err(Error::Empty { path: path.to_path_buf() });
        }
        let failed = |source| Error::Read { path: path.to_path_buf(), source };
        let mut head = Vec::with_capacity(sniff::HEAD);
        reader.by_ref().take(sniff::HEAD as u64).read_to_end(&mut head).map_err(failed)?;
        reader.seek(SeekFrom::Start(0)).map_err(failed)?;
        let format = sniff::sniff(path, &head)?;
        Ok(Source { path, format, length, reader })
    }

    /// An input/output error as the picture's: the end of the file is truncation.
    fn io(&self, source: std::io::Error) -> Error {
        io_error(self.path, self.format, source)
    }

    fn truncated(&self) -> Error {
        Error::Truncated { path: self.path.to_path_buf(), format: self.format }
    }

    fn malformed(&self, detail: impl Into<String>) -> Error {
        Error::Malformed {
            path: self.path.to_path_buf(),
            format: self.format,
            detail: detail.into(),
        }
    }

    /// The error for a kind of file that is not read; `advice` is a command with `{}` for the path.
    fn unsupported(&self, what: impl Into<String>, advice: &str) -> Error {
        unsupported(self.path, self.format, what, advice)
    }

    fn header(&mut self) -> Result<Header, Error> {
        let mut header = match self.format {
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
        header.adopt_exif();
        self.reader.seek(SeekFrom::Start(0)).map_err(|e| self.io(e))?;
        Ok(header)
    }

    /// The header of a still that may be decoded, which takes `needed` bytes.
    fn admit(&self, header: &Header, needed: u64, limits: &Limits) -> Result<(), Error> {
        let (path, format) = (self.path, self.format);
        if header.frames > 1 && format != Format::Tiff {
            let frames = header.frames;
            return Err(Error::Animated { path: path.to_path_buf(), format, frames });
        }
        if needed > limits.max_bytes {
            let (width, height) = header.orientation.oriented(header.size.0, header.size.1);
            let (path, limit) = (path.to_path_buf(), limits.max_bytes);
            return Err(Error::TooLarge { path, width, height, needed, limit });
        }
        // Decoders end the process where they get no memory.
        let short = |source| Error::Memory { path: path.to_path_buf(), source };
        memory::on_trial(usize::try_from(needed).unwrap_or(usize::MAX)).map_err(short)
    }

    fn assemble(&mut self, header: &mut Header, limits: &Limits) -> Result<Assembler, Error> {
        match self.format {
            Format::Png => png::pixels(self, header, limits),
            Format::Jpeg => jpeg::pixels(self, header),
            Format::Tiff => tiff::pixels(self, header),
            _ => other::pixels(self, header, limits),
        }
    }

    /// Hands the rows of a picture to what `create` makes for its size. A picture that is turned or
    /// in tiles is decoded whole before.
    fn rows<S: 'static>(
        &mut self,
        limits: &Limits,
        create: impl FnOnce((u32, u32)) -> Result<S, Error>,
        mut write: impl FnMut(&mut S, Rows<'_>) -> Result<(), Error> + 'static,
    ) -> Result<S, Error> {
        let mut header = self.header()?;
        if !header.by_rows || header.orientation != Orientation::UPRIGHT {
            let picture = self.picture(limits)?;
            let mut sink = create((picture.width, picture.height))?;
            let plane = picture.width as usize * picture.height as usize;
            let (red, others) = picture.pixels.split_at(plane);
            let (green, blue) = others.split_at(plane);
            let colours = [red, green, blue];
            write(&mut sink, Rows { colours, alpha: picture.alpha.as_deref() })?;
            return Ok(sink);
        }
        self.admit(&header, header.decoder_bytes, limits)?;
        // Decoders keep the sink, which is a stranger to them, and give it back with their end.
        let sink = Rc::new(RefCell::new(create(header.size)?));
        let shared = Rc::clone(&sink);
        header.sink = Some(Box::new(move |rows| write(&mut shared.borrow_mut(), rows)));
        self.assemble(&mut header, limits)?.finish_rows()?;
        drop(header);
        let sink = Rc::into_inner(sink).map(RefCell::into_inner);
        sink.ok_or_else(|| self.malformed("it was not read to its end"))
    }

    fn picture(&mut self, limits: &Limits) -> Result<Picture, Error> {
        let mut header = self.header()?;
        self.admit(&header, header.decode_bytes(), limits)?;
        let assembler = self.assemble(&mut header, limits)?;
        let (pixels, alpha) = assembler.finish(header.orientation);
        let probe = header.probe();
        let Header { icc, exif, xmp, notes, .. } = header;
        let source = SourceInfo { probe, icc, exif, xmp, notes };
        let (width, height) = (source.probe.width, source.probe.height);
        Ok(Picture { width, height, pixels, alpha, source })
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

fn unsupported(path: &Path, format: Format, what: impl Into<String>, advice: &str) -> Error {
    let advice = advice.replace("{}", &path.display().to_string());
    Error::Unsupported { path: path.to_path_buf(), format, what: what.into(), advice }
}

/// The error for a file with HDR brightness of the transfer function `curve`.
fn hdr(path: &Path, format: Format, curve: &str) -> Error {
    let transfer = if curve == "HLG" { "arib-std-b67" } else { "smpte2084" };
    let advice = format!(
        "convert it to SDR first, for example: ffmpeg -i {{}} -vf setparams=color_primaries=bt2020:color_trc={transfer}:colorspace=gbr,zscale=t=linear:npl=203,tonemap=hable,zscale=p=bt709:t=iec61966-2-1,format=rgb24 sdr.png"
    );
    unsupported(path, format, format!("HDR brightness ({curve})"), &advice)
}

/// Reads a picture's header: size as seen, colour, depth, frames, resolution. No pixel is decoded,
/// so that it is quick and safe for pictures of any size.
///
/// # Errors
///
/// Any [`Error`] about the file; an animation is no error here, only in [`decode`].
pub fn probe(path: &Path) -> Result<Probe, Error> {
    let mut source = Source::open(path)?;
    let guarded = guard::run(path, source.format, || source.header())?;
    Ok(guarded.probe())
}

/// The recipe that impasto wrote into a picture: a pipeline that makes it again. Nothing if there is
/// none.
///
/// # Errors
///
/// As [`probe`].
pub fn recipe(path: &Path) -> Result<Option<String>, Error> {
    let mut source = Source::open(path)?;
    let header = guard::run(path, source.format, || source.header())?;
    Ok(header.comment.and_then(|comment| recipe_in(&comment)))
}

/// The recipe in a comment: what stands before it is a caption or the program's name.
fn recipe_in(comment: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(comment).ok()?.trim_end_matches('\0');
    let starts = text.match_indices(RECIPE_HEAD).map(|(at, _)| at);
    let mut starts = starts.filter(|at| *at == 0 || text[..*at].ends_with('\n'));
    starts.next().map(|at| text[at..].to_owned())
}

/// Decodes a picture: orientation applied, colours converted to sRGB by its embedded profile or what
/// else the file says of them (nothing means sRGB).
///
/// Colour under transparent pixels is replaced by that of the nearest visible ones (see
/// [`Picture::pixels`]); float files are clamped to 0..1. A TIFF of several pages gives the first
/// that is no thumbnail, with a note.
///
/// # Errors
///
/// Any [`Error`] about the file: [`Error::Animated`], [`Error::TooLarge`] before anything large is
/// allocated, [`Error::Cmyk`] where a CMYK picture cannot be converted, [`Error::Truncated`],
/// [`Error::Malformed`]...
pub fn decode(path: &Path, limits: &Limits) -> Result<Picture, Error> {
    let mut source = Source::open(path)?;
    guard::run(path, source.format, || source.picture(limits))
}

/// Decodes a picture as [`decode`] does, and hands its rows from the top to what `create` makes for
/// its width and height. The picture is never held as a whole where its file allows it: upright PNGs
/// and TIFFs in strips; of a JPEG its bytes are. Transparent pixels have the colour of the file.
///
/// # Errors
///
/// As [`decode`], and those of `create` and `write`.
pub fn decode_rows<S: 'static>(
    path: &Path,
    limits: &Limits,
    create: impl FnOnce((u32, u32)) -> Result<S, Error>,
    write: impl FnMut(&mut S, Rows<'_>) -> Result<(), Error> + 'static,
) -> Result<S, Error> {
    let mut source = Source::open(path)?;
    guard::run(path, source.format, || source.rows(limits, create, write))
}

/// Decodes a picture from memory as [`decode`] does from a file; errors name it `path`, which need
/// not exist.
///
/// # Errors
///
/// As [`decode`].
pub fn decode_bytes(path: &Path, bytes: &[u8], limits: &Limits) -> Result<Picture, Error> {
    let mut source = Source::new(path, bytes.len() as u64, Box::new(Cursor::new(bytes)))?;
    guard::run(path, source.format, || source.picture(limits))
}
