//! JPEG: the head by walking its segments, the pixels by jpeg-decoder.

mod head;
mod stream;

use std::io::Read;
use std::path::Path;

use jpeg_decoder::{ColorTransform, Decoder, UnsupportedFeature};

use self::head::{Frame, Head};
use self::stream::{BAITED, Stream};
use super::{Header, Source, unsupported};
use crate::image::assemble::{Alpha, Assembler};
use crate::image::colour::Model;
use crate::image::{ColourKind, Error, Format, exif};

/// Rows converted at a time.
const BAND: usize = 64;

/// A command that decodes what libjpeg-turbo alone does.
const DJPEG: &str =
    "convert it first with libjpeg-turbo 3 or later, for example: djpeg -outfile picture.ppm {}";

pub(super) fn header(source: &mut Source) -> Result<Header, Error> {
    let mut head = Head::read(&mut source.reader).map_err(|e| source.io(e))?;
    let Some(mut frame) = head.frame.clone() else {
        return Err(source.malformed("no frame header before its first scan"));
    };
    readable(&frame).map_err(|(what, advice)| source.unsupported(what, advice))?;
    if frame.height == 0 {
        let found = head::height_behind_scan(&mut source.reader);
        frame.height = match found {
            Err(e) if e.kind() != std::io::ErrorKind::UnexpectedEof => return Err(source.io(e)),
            other => other.unwrap_or(0),
        };
    }
    let colour = match frame.components.len() {
        1 => ColourKind::Grey,
        4 => ColourKind::Cmyk,
        _ => ColourKind::Rgb,
    };
    let size = (u32::from(frame.width), u32::from(frame.height));
    let mut header = Header::new(Format::Jpeg, size, colour, frame.precision, false);
    match head.profile() {
        Ok(icc) => header.icc = icc,
        Err(note) => header.notes.push(note.to_owned()),
    }
    header.exif = head.exif.as_deref().and_then(exif::blob);
    header.xmp = head.xmp;
    header.comment = head.comment;
    header.dpi = head.jfif_dpi;
    // The file twice; the planes and the interleaved bytes; for progressive files every coefficient
    // as 16 bits.
    let per_sample = if frame.is_progressive() || frame.is_lossless() { 4 } else { 2 };
    let samples = header.pixels().saturating_mul(frame.components.len() as u64 * per_sample);
    header.decoder_bytes =
        samples.saturating_add(samples / 8).saturating_add(source.length.saturating_mul(2));
    Ok(header)
}

/// What a frame has that is not read, and what to do about it.
fn readable(frame: &Frame) -> Result<(), (String, &'static str)> {
    let refuse = |what: &str, advice| Err((what.to_owned(), advice));
    let kinds = (frame.marker, frame.precision, frame.components.len());
    match kinds {
        (0xc9 | 0xca, ..) => refuse(
            "arithmetic coding",
            "recode it without loss first, for example: jpegtran -outfile huffman.jpg {}",
        ),
        (0xcb, ..) => refuse("lossless compression with arithmetic coding", DJPEG),
        (0xc5..=0xc7 | 0xcd..=0xcf, ..) => refuse("hierarchical compression", DJPEG),
        (0xf7, ..) => {
            refuse("JPEG-LS compression", "convert it first, for example: ffmpeg -i {} picture.png")
        }
        (0xc3, 8, 1 | 3) | (0xc0..=0xc2, 8, 1 | 3 | 4) => Ok(()),
        (0xc3, ..) => refuse("lossless compression", DJPEG),
        (_, bits, 1 | 3 | 4) => Err((format!("{bits} bits a channel, where 8 are read"), DJPEG)),
        (.., components) => Err((format!("{components} components"), DJPEG)),
    }
}

/// What a stream's scans have that is not read.
fn unreadable_scans(frame: &Frame, stream: &Stream) -> Option<&'static str> {
    let several = frame.components.len() > 1;
    let unread = several && !stream.alone.iter().all(|id| frame.is_read_alone(*id));
    unread.then_some("scans of single components and sampling factors of 2 beside 4, or the like")
}

/// What the decoder makes of the frame's components, by the rules of libjpeg.
fn transform(frame: &Frame, head: &Head) -> ColorTransform {
    let ids: Vec<u8> = frame.components.iter().map(|c| c.id).collect();
    match (ids.as_slice(), head.adobe) {
        ([_], _) => ColorTransform::Grayscale,
        (_, _) if frame.is_lossless() => ColorTransform::RGB,
        ([_, _, _], _) if head.jfif => ColorTransform::YCbCr,
        ([_, _, _], Some(0)) | ([b'R', b'G', b'B'], None) => ColorTransform::RGB,
        ([_, _, _], _) => ColorTransform::YCbCr,
        (_, None | Some(0)) => ColorTransform::CMYK,
        (_, Some(_)) => ColorTransform::YCCK,
    }
}

pub(super) fn pixels(source: &mut Source, header: &mut Header) -> Result<Assembler, Error> {
    let mut file = Vec::with_capacity(usize::try_from(source.length).unwrap_or(0));
    source.reader.read_to_end(&mut file).map_err(|e| source.io(e))?;
    let head = Head::read(&mut file.as_slice()).map_err(|e| source.io(e))?;
    let Some(frame) = &head.frame else {
        return Err(source.malformed("no frame header before its first scan"));
    };
    let (width, height) = header.size;
    let stream = Stream::new(&file, b"", height as u16);
    drop(file);
    let model = match frame.components.len() {
        1 => Model::Grey,
        4 => Model::Cmyk,
        _ => Model::Rgb,
    };
    let mut assembler = header.assembler(source.path, model, Alpha::None)?;
    // A progressive file is a picture before its last scans, and a poor one; a decoder says nothing.
    if !stream.complete {
        return Err(source.truncated());
    }
    if let Some(what) = unreadable_scans(frame, &stream) {
        return Err(source.unsupported(what, DJPEG));
    }
    let pixels = decode(&stream.bytes, transform(frame, &head))
        .map_err(|e| failure(source.path, Format::Jpeg, e))?;
    if !stream.ends {
        header.notes.push("its end marker is missing; all of the picture is there".to_owned());
    }
    let row = width as usize * model.channels();
    if pixels.len() != row * height as usize {
        let (is, wanted) = (pixels.len(), row * height as usize);
        return Err(source.malformed(format!("{is} bytes were decoded instead of {wanted}")));
    }
    let mut samples = Vec::new();
    for (y, band) in (0..height).step_by(BAND).zip(pixels.chunks(row * BAND)) {
        samples.clear();
        samples.extend(band.iter().map(|b| f32::from(*b) / 255.0));
        assembler.put((0, y), width as usize, &mut samples);
    }
    Ok(assembler)
}

/// Decodes a stream to interleaved bytes: grey, RGB, or inks (0 = none), which every program stores
/// as what is left of the paper's white.
fn decode(stream: &[u8], transform: ColorTransform) -> Result<Vec<u8>, jpeg_decoder::Error> {
    let mut decoder = Decoder::new(stream);
    decoder.set_color_transform(transform);
    decoder.decode()
}

/// A JPEG that is a part of another picture, decoded.
pub(super) struct Part {
    pub width: usize,
    pub height: usize,
    pub samples: usize,
    /// Interleaved, row by row.
    pub pixels: Vec<u8>,
}

/// Why a part of another picture is not decoded, in words.
pub(super) enum PartError {
    /// It has something that is not read.
    Unsupported(String),
    Damaged(String),
}

/// Decodes a part of a TIFF, with `tables` for all of its parts. Its samples are as they are stored,
/// except that chroma of its own resolution, which is no RGB whatever the TIFF says, is made RGB
/// with its luma where they are not wanted `as_stored`.
///
/// # Errors
///
/// [`PartError::Unsupported`] for a kind of JPEG that is not read, [`PartError::Damaged`] otherwise.
pub(super) fn decode_part(file: &[u8], tables: &[u8], as_stored: bool) -> Result<Part, PartError> {
    let damaged = |reason: &str| PartError::Damaged(reason.to_owned());
    let head = Head::read(&mut &*file).map_err(|e| PartError::Damaged(e.to_string()))?;
    let frame = head.frame.ok_or_else(|| damaged("no frame header before its first scan"))?;
    readable(&frame).map_err(|(what, _)| PartError::Unsupported(what))?;
    let stream = Stream::new(file, tables, frame.height);
    if !stream.complete {
        return Err(damaged("it is cut short"));
    }
    if let Some(what) = unreadable_scans(&frame, &stream) {
        return Err(PartError::Unsupported(what.to_owned()));
    }
    let (width, height) = (usize::from(frame.width), usize::from(frame.height));
    let samples = frame.components.len();
    let transform = match samples {
        1 => ColorTransform::Grayscale,
        3 if !as_stored && !frame.is_evenly_sampled() => ColorTransform::YCbCr,
        3 => ColorTransform::RGB,
        _ => ColorTransform::CMYK,
    };
    let mut pixels = decode(&stream.bytes, transform).map_err(|e| match e {
        jpeg_decoder::Error::Format(reason) if is_cut(&reason) => damaged("it is cut short"),
        jpeg_decoder::Error::Unsupported(feature) => PartError::Unsupported(words(&feature)),
        other => PartError::Damaged(other.to_string()),
    })?;
    if samples == 4 {
        // The decoder takes them for what is left of the paper's white.
        pixels.iter_mut().for_each(|v| *v = 255 - *v);
    }
    if pixels.len() != width * height * samples {
        return Err(PartError::Damaged(format!("{} bytes were decoded", pixels.len())));
    }
    Ok(Part { width, height, samples, pixels })
}

/// Whether the decoder's reason says that data end too early.
fn is_cut(reason: &str) -> bool {
    reason.contains(BAITED)
        || reason.starts_with("no marker found where RST")
        || reason.contains("not all components have data")
}

fn failure(path: &Path, format: Format, error: jpeg_decoder::Error) -> Error {
    use jpeg_decoder::Error::{Format as Malformed, Internal, Io, Unsupported};
    match error {
        Io(error) => super::io_error(path, format, error),
        Malformed(reason) if is_cut(&reason) => {
            Error::Truncated { path: path.to_path_buf(), format }
        }
        Malformed(detail) => Error::Malformed { path: path.to_path_buf(), format, detail },
        Unsupported(feature) => unsupported(path, format, words(&feature), DJPEG),
        Internal(error) => {
            Error::Malformed { path: path.to_path_buf(), format, detail: error.to_string() }
        }
    }
}

/// What the decoder does not read.
fn words(feature: &UnsupportedFeature) -> String {
    match feature {
        UnsupportedFeature::Hierarchical => "hierarchical compression".to_owned(),
        UnsupportedFeature::ArithmeticEntropyCoding => "arithmetic coding".to_owned(),
        UnsupportedFeature::SamplePrecision(bits) => format!("{bits} bits a channel"),
        UnsupportedFeature::ComponentCount(count) => format!("{count} components"),
        UnsupportedFeature::DNL => "its height behind its first scan".to_owned(),
        UnsupportedFeature::SubsamplingRatio | UnsupportedFeature::NonIntegerSubsamplingRatio => {
            "sampling factors that do not divide each other".to_owned()
        }
        UnsupportedFeature::ColorTransform(_) => "a colour transform of another kind".to_owned(),
    }
}
