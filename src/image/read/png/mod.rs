//! PNG: what it says by walking its chunks, the pixels row by row where it is not interlaced.

mod chunks;

use png::{BitDepth, ColorType, Decoder, DecodingError, Reader, Transformations};

use self::chunks::Chunks;
use super::{Header, Input, Source};
use crate::image::assemble::{Alpha, Assembler};
use crate::image::colour::Model;
use crate::image::colour::described::{self, CodePoints};
use crate::image::{ColourKind, Error, Limits};

/// Rows converted at a time.
const BAND: u32 = 64;

/// Bytes that the decoder may take for the head.
const HEADER_BYTES: usize = 64 << 20;

fn open<'s, 'a>(
    source: &'s mut Source<'a>,
    bytes: usize,
) -> Result<Reader<&'s mut Input<'a>>, Error> {
    let (path, format) = (source.path, source.format);
    let mut decoder = Decoder::new_with_limits(&mut source.reader, png::Limits { bytes });
    decoder.set_transformations(Transformations::EXPAND);
    // Both are read by walking the chunks.
    decoder.set_ignore_text_chunk(true);
    decoder.set_ignore_iccp_chunk(true);
    decoder.read_info().map_err(|e| failure(path, format, e))
}

pub(super) fn header(source: &mut Source) -> Result<Header, Error> {
    let chunks = Chunks::read(&mut source.reader).map_err(|e| source.io(e))?;
    let (path, format) = (source.path, source.format);
    if let Some((width, height)) = chunks.size.filter(|(width, height)| *width == 0 || *height == 0)
    {
        return Err(Error::ZeroSized { path: path.to_path_buf(), format, width, height });
    }
    source.reader.rewind().map_err(|e| source.io(e))?;
    let reader = open(source, HEADER_BYTES)?;
    let info = reader.info();
    let colour = match info.color_type {
        ColorType::Grayscale | ColorType::GrayscaleAlpha => ColourKind::Grey,
        ColorType::Indexed => ColourKind::Palette,
        ColorType::Rgb | ColorType::Rgba => ColourKind::Rgb,
    };
    let alpha = matches!(info.color_type, ColorType::GrayscaleAlpha | ColorType::Rgba)
        || info.trns.is_some();
    let size = (info.width, info.height);
    let mut header = Header::new(format, size, colour, info.bit_depth as u8, alpha);
    let channels = if colour == ColourKind::Grey { 1 } else { 3 } + u64::from(alpha);
    let raw = channels * if info.bit_depth == BitDepth::Sixteen { 2 } else { 1 };
    header.decoder_bytes = if info.interlaced { header.pixels().saturating_mul(raw) } else { 0 };
    // A band of rows as bytes, floats, and floats again.
    header.decoder_bytes += u64::from(info.width) * u64::from(BAND) * 40;
    header.frames = chunks.frames;
    header.dpi = chunks.per_metre.map(|(x, y)| (f64::from(x) * 0.0254, f64::from(y) * 0.0254));
    drop(reader);
    colours(source, &mut header, chunks)?;
    Ok(header)
}

/// The colours, by what counts most of what the file says: code points, a profile, "sRGB",
/// chromaticities and gamma (PNG, third edition, section 4.3).
fn colours(source: &Source, header: &mut Header, chunks: Chunks) -> Result<(), Error> {
    let grey = header.colour == ColourKind::Grey;
    (header.exif, header.xmp, header.notes) = (chunks.exif, chunks.xmp, chunks.notes);
    header.comment = chunks.comment;
    if let Some([primaries, transfer, matrix]) = chunks.code_points {
        match described::code_points(primaries, transfer, grey) {
            CodePoints::Hdr(curve) => {
                return Err(super::hdr(source.path, source.format, curve));
            }
            CodePoints::Srgb if matrix == 0 => {
                header.srgb = true;
                return Ok(());
            }
            CodePoints::Profile(icc) if matrix == 0 => {
                header.icc = Some(icc);
                return Ok(());
            }
            _ => header.notes.push(format!(
                "its colours are given by code points that are not known here ({primaries}, {transfer}, {matrix}), which are ignored"
            )),
        }
    }
    header.icc = chunks.icc;
    header.srgb = chunks.srgb;
    if header.icc.is_some() || header.srgb {
        return Ok(());
    }
    if let Some(gamma) = chunks.gamma {
        let rgb = || described::rgb(chunks.chromaticities, gamma);
        header.icc = if grey { described::grey(gamma) } else { rgb() };
        header.srgb = header.icc.is_none();
    } else if !grey && described::rgb(chunks.chromaticities, described::SRGB_GAMMA).is_some() {
        header
            .notes
            .push("its primaries (cHRM) are ignored, because it states no gamma".to_owned());
    }
    Ok(())
}

pub(super) fn pixels(
    source: &mut Source,
    header: &mut Header,
    limits: &Limits,
) -> Result<Assembler, Error> {
    let (path, format) = (source.path, source.format);
    let bytes = usize::try_from(limits.max_bytes).unwrap_or(usize::MAX).max(HEADER_BYTES);
    let mut reader = open(source, bytes)?;
    let (colour, depth) = reader.output_color_type();
    let (model, alpha) = match colour {
        ColorType::Grayscale => (Model::Grey, Alpha::None),
        ColorType::GrayscaleAlpha => (Model::Grey, Alpha::Straight),
        ColorType::Rgb | ColorType::Indexed => (Model::Rgb, Alpha::None),
        ColorType::Rgba => (Model::Rgb, Alpha::Straight),
    };
    // The profile has to fit these channels: palettes are expanded to RGB.
    let mut assembler = header.assembler(path, model, alpha)?;
    let (width, height) = (reader.info().width, reader.info().height);
    let sixteen = depth == BitDepth::Sixteen;
    let fail = |e| failure(path, format, e);
    let mut samples = Vec::new();
    let mut band = 0;
    let mut place = |y: u32, row: &[u8]| {
        unpack(row, sixteen, &mut samples);
        if y + 1 == height || y + 1 - band == BAND {
            assembler.put((0, band), width as usize, &mut samples);
            samples.clear();
            band = y + 1;
        }
    };
    if reader.info().interlaced {
        let size =
            reader.output_buffer_size().ok_or_else(|| fail(DecodingError::LimitsExceeded))?;
        let mut buffer = vec![0u8; size];
        let line = reader.next_frame(&mut buffer).map_err(fail)?.line_size;
        (0..height).zip(buffer.chunks_exact(line)).for_each(|(y, row)| place(y, row));
    } else {
        for y in 0..height {
            let row = reader.next_row().map_err(fail)?;
            let row = row.ok_or_else(|| Error::Truncated { path: path.to_path_buf(), format })?;
            place(y, row.data());
        }
    }
    Ok(assembler)
}

/// Appends a row's bytes as 0..1.
fn unpack(row: &[u8], sixteen: bool, samples: &mut Vec<f32>) {
    if sixteen {
        samples.extend(
            row.chunks_exact(2).map(|b| f32::from(u16::from_be_bytes([b[0], b[1]])) / 65535.0),
        );
    } else {
        samples.extend(row.iter().map(|b| f32::from(*b) / 255.0));
    }
}

fn failure(path: &std::path::Path, format: crate::image::Format, error: DecodingError) -> Error {
    match error {
        DecodingError::IoError(e) => super::io_error(path, format, e),
        DecodingError::LimitsExceeded => Error::Malformed {
            path: path.to_path_buf(),
            format,
            detail: "its chunks unpack to more memory than is allowed".to_owned(),
        },
        other => Error::Malformed { path: path.to_path_buf(), format, detail: other.to_string() },
    }
}
