//! PNG: row by row where it is not interlaced.

use png::{BitDepth, ColorType, Decoder, DecodingError, Reader, Transformations, Unit};

use super::{Header, Source};
use crate::image::assemble::{Alpha, Assembler};
use crate::image::colour::Model;
use crate::image::{ColourKind, Error, Limits};

/// Rows converted at a time.
const BAND: u32 = 64;

/// Bytes that a header may take: text and profiles unpack into memory.
const HEADER_BYTES: usize = 64 << 20;

type FileReader<'s> = &'s mut std::io::BufReader<std::fs::File>;

fn open<'s>(source: &'s mut Source, bytes: usize) -> Result<Reader<FileReader<'s>>, Error> {
    let (path, format) = (source.path, source.format);
    let mut decoder = Decoder::new_with_limits(&mut source.reader, png::Limits { bytes });
    decoder.set_transformations(Transformations::EXPAND);
    decoder.read_info().map_err(|e| failure(path, format, e))
}

pub(super) fn header(source: &mut Source) -> Result<Header, Error> {
    let (path, format) = (source.path, source.format);
    let reader = match open(source, HEADER_BYTES) {
        Err(Error::Malformed { detail, .. })
            if detail.contains("has zero") || detail.contains("dimensions") =>
        {
            return Err(Error::ZeroSized { path: path.to_path_buf(), format, width: 0, height: 0 });
        }
        other => other?,
    };
    let info = reader.info();
    let colour = match info.color_type {
        ColorType::Grayscale | ColorType::GrayscaleAlpha => ColourKind::Grey,
        ColorType::Indexed => ColourKind::Palette,
        ColorType::Rgb | ColorType::Rgba => ColourKind::Rgb,
    };
    let alpha = matches!(info.color_type, ColorType::GrayscaleAlpha | ColorType::Rgba)
        || info.trns.is_some();
    let mut header =
        Header::new(format, (info.width, info.height), colour, info.bit_depth as u8, alpha);
    header.frames = info.animation_control.map_or(1, |a| a.num_frames.max(1) as usize);
    header.icc = info.icc_profile.as_ref().map(|icc| icc.to_vec());
    header.exif = info.exif_metadata.as_ref().map(|exif| exif.to_vec());
    header.xmp = info
        .utf8_text
        .iter()
        .find(|t| t.keyword == "XML:com.adobe.xmp")
        .and_then(|t| t.get_text().ok())
        .map(String::into_bytes);
    header.dpi = info
        .pixel_dims
        .filter(|d| matches!(d.unit, Unit::Meter) && d.xppu > 0 && d.yppu > 0)
        .map(|d| (f64::from(d.xppu) * 0.0254, f64::from(d.yppu) * 0.0254));
    header.adopt_exif();
    let channels = if colour == ColourKind::Grey { 1 } else { 3 } + u64::from(alpha);
    let raw = channels * if info.bit_depth == BitDepth::Sixteen { 2 } else { 1 };
    header.decoder_bytes = if info.interlaced { header.pixels().saturating_mul(raw) } else { 0 };
    // A band of rows as bytes, floats, and floats again.
    header.decoder_bytes += u64::from(info.width) * u64::from(BAND) * 40;
    Ok(header)
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
    // A grey profile on colour pixels, and the reverse, is told apart here: palettes are expanded
    // to RGB.
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
