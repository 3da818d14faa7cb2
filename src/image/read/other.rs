//! The formats that are read whole through the image crate: WebP, BMP, GIF, PNM, TGA, QOI, HDR,
//! EXR, farbfeld.

use std::io::{BufRead, Seek, SeekFrom};
use std::path::Path;

use image::error::UnsupportedErrorKind;
use image::{ColorType, ExtendedColorType, ImageDecoder, ImageError, ImageFormat, ImageReader};

use super::{Header, Source, unsupported};
use crate::image::assemble::{Alpha, Assembler};
use crate::image::colour::Model;
use crate::image::{ColourKind, Error, Format, Limits, exif};

/// A command that converts most kinds.
const CONVERT: &str = "convert it first, for example: magick {} picture.png";

/// Rows converted at a time.
const BAND: usize = 64;

fn decoder<'s>(source: &'s mut Source, max_bytes: u64) -> Result<impl ImageDecoder + 's, Error> {
    let format = match source.format {
        Format::WebP => ImageFormat::WebP,
        Format::Bmp => ImageFormat::Bmp,
        Format::Gif => ImageFormat::Gif,
        Format::Pnm => ImageFormat::Pnm,
        Format::Tga => ImageFormat::Tga,
        Format::Qoi => ImageFormat::Qoi,
        Format::Hdr => ImageFormat::Hdr,
        Format::Exr => ImageFormat::OpenExr,
        Format::Farbfeld => ImageFormat::Farbfeld,
        Format::Png => ImageFormat::Png,
        Format::Jpeg => ImageFormat::Jpeg,
        Format::Tiff => ImageFormat::Tiff,
    };
    let (path, kind) = (source.path, source.format);
    let mut limits = image::Limits::no_limits();
    limits.max_alloc = Some(max_bytes);
    let mut reader = ImageReader::with_format(&mut source.reader, format);
    reader.limits(limits);
    reader.into_decoder().map_err(|e| failure(path, kind, e))
}

pub(super) fn header(source: &mut Source) -> Result<Header, Error> {
    let frames = match source.format {
        Format::Gif => gif_frames(&mut source.reader).map_err(|e| source.io(e))?,
        Format::WebP => webp_frames(&mut source.reader).map_err(|e| source.io(e))?,
        _ => 1,
    };
    source.reader.seek(SeekFrom::Start(0)).map_err(|e| source.io(e))?;
    let (path, format) = (source.path, source.format);
    // The header is read without a limit on pixels: the size is what it has to say.
    let mut decoder = decoder(source, u64::MAX)?;
    let colour = decoder.color_type();
    let stored = decoder.original_color_type();
    let kind = match stored {
        ExtendedColorType::Rgb1
        | ExtendedColorType::L1
        | ExtendedColorType::L2
        | ExtendedColorType::L4 => ColourKind::Grey,
        _ if colour.has_color() => ColourKind::Rgb,
        _ => ColourKind::Grey,
    };
    let per_channel = u16::from(colour.bytes_per_pixel()) * 8 / u16::from(colour.channel_count());
    let mut header =
        Header::new(format, decoder.dimensions(), kind, per_channel as u8, colour.has_alpha());
    let fail = |e| failure(path, format, e);
    header.frames = frames;
    header.icc = decoder.icc_profile().map_err(fail)?;
    header.exif = decoder.exif_metadata().map_err(fail)?.as_deref().and_then(exif::blob);
    header.xmp = decoder.xmp_metadata().map_err(fail)?;
    // Raw pixels, and as much again for what decoders keep beside them.
    header.decoder_bytes = decoder.total_bytes().saturating_mul(2);
    Ok(header)
}

pub(super) fn pixels(
    source: &mut Source,
    header: &mut Header,
    limits: &Limits,
) -> Result<Assembler, Error> {
    let (path, format) = (source.path, source.format);
    let decoder = decoder(source, limits.max_bytes)?;
    let colour = decoder.color_type();
    let linear = matches!(format, Format::Hdr | Format::Exr);
    let model = match (colour.has_color(), linear) {
        (true, true) => Model::LinearRgb,
        (true, false) => Model::Rgb,
        (false, _) => Model::Grey,
    };
    let alpha = match (colour.has_alpha(), format) {
        (false, _) => Alpha::None,
        // OpenEXR's colours are associated by definition.
        (true, Format::Exr) => Alpha::Associated,
        (true, _) => Alpha::Straight,
    };
    let mut assembler = header.assembler(path, model, alpha)?;
    let size = usize::try_from(decoder.total_bytes()).unwrap_or(usize::MAX);
    let (width, height) = decoder.dimensions();
    let mut raw = vec![0u8; size];
    decoder.read_image(&mut raw).map_err(|e| failure(path, format, e))?;
    let row = width as usize * usize::from(colour.bytes_per_pixel());
    let mut samples = Vec::new();
    for (y, band) in (0..height).step_by(BAND).zip(raw.chunks(row * BAND)) {
        unpack(band, colour, &mut samples);
        assembler.put((0, y), width as usize, &mut samples);
    }
    Ok(assembler)
}

/// Native-endian samples as floats: integers to 0..1, floats as they are.
fn unpack(raw: &[u8], colour: ColorType, samples: &mut Vec<f32>) {
    samples.clear();
    match colour.bytes_per_pixel() / colour.channel_count() {
        1 => samples.extend(raw.iter().map(|b| f32::from(*b) / 255.0)),
        2 => samples.extend(
            raw.chunks_exact(2).map(|b| f32::from(u16::from_ne_bytes([b[0], b[1]])) / 65535.0),
        ),
        _ => samples
            .extend(raw.chunks_exact(4).map(|b| f32::from_ne_bytes([b[0], b[1], b[2], b[3]]))),
    }
}

fn failure(path: &Path, format: Format, error: ImageError) -> Error {
    let malformed = |detail: String| Error::Malformed { path: path.to_path_buf(), format, detail };
    match error {
        ImageError::IoError(e) => super::io_error(path, format, e),
        ImageError::Unsupported(e) => {
            let what = match e.kind() {
                UnsupportedErrorKind::Color(colour) => format!("{colour:?} pixels"),
                UnsupportedErrorKind::GenericFeature(feature) => feature,
                _ => e.to_string(),
            };
            unsupported(path, format, what, CONVERT)
        }
        ImageError::Decoding(e) => {
            let mut cause: Option<&dyn std::error::Error> = Some(&e);
            while let Some(inner) = cause {
                let io = inner.downcast_ref::<std::io::Error>();
                if io.is_some_and(|io| io.kind() == std::io::ErrorKind::UnexpectedEof) {
                    return Error::Truncated { path: path.to_path_buf(), format };
                }
                cause = inner.source();
            }
            let reason = std::error::Error::source(&e).map_or(e.to_string(), ToString::to_string);
            if format == Format::Exr && reason.contains("does not contain") {
                return unsupported(path, format, "other channels than RGB", CONVERT);
            }
            // The image crate does not pass on that these two are no damage (EXR, WebP).
            let unread = ["not supported: ", "Unsupported feature: "];
            match unread.iter().find_map(|words| reason.strip_prefix(words)) {
                Some(what) => unsupported(path, format, what, CONVERT),
                None => malformed(reason),
            }
        }
        other => malformed(other.to_string()),
    }
}

/// Counts a GIF's frames by its blocks, without unpacking them. A file that stops early has the
/// frames seen so far.
fn gif_frames(reader: &mut (impl BufRead + Seek)) -> std::io::Result<usize> {
    let mut screen = [0u8; 13];
    reader.read_exact(&mut screen)?;
    let table = |flags: u8| if flags & 0x80 != 0 { 3i64 << ((flags & 7) + 1) } else { 0 };
    reader.seek_relative(table(screen[10]))?;
    let mut frames = 0;
    let mut byte = [0u8; 1];
    while reader.read_exact(&mut byte).is_ok() {
        match byte[0] {
            0x21 => {
                reader.seek_relative(1)?;
            }
            0x2c => {
                let mut descriptor = [0u8; 9];
                if reader.read_exact(&mut descriptor).is_err() {
                    break;
                }
                frames += 1;
                reader.seek_relative(table(descriptor[8]) + 1)?;
            }
            _ => break,
        }
        // Sub-blocks, up to an empty one.
        while reader.read_exact(&mut byte).is_ok() && byte[0] != 0 {
            reader.seek_relative(i64::from(byte[0]))?;
        }
    }
    Ok(frames)
}

/// Counts a WebP's frames: `ANMF` chunks, or one still.
fn webp_frames(reader: &mut (impl BufRead + Seek)) -> std::io::Result<usize> {
    reader.seek_relative(12)?;
    let mut frames = 0;
    let mut chunk = [0u8; 8];
    while reader.read_exact(&mut chunk).is_ok() {
        if chunk.starts_with(b"ANMF") {
            frames += 1;
        }
        let size = u32::from_le_bytes([chunk[4], chunk[5], chunk[6], chunk[7]]);
        reader.seek_relative(i64::from(size) + i64::from(size & 1))?;
    }
    Ok(frames.max(1))
}
