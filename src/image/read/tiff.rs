//! TIFF and BigTIFF: strip by strip, tile by tile, so that a picture of any size is held once.

use std::io::BufReader;

use tiff::decoder::ifd::Value;
use tiff::decoder::{ChunkType, Decoder, DecodingResult, IfdDecoder};
use tiff::tags::{ByteOrder, PhotometricInterpretation, Tag, Type, ValueBuffer};
use tiff::{ColorType, TiffError, TiffFormatError};

use super::chunks::Chunks;
use super::{Header, Source};
use crate::image::assemble::{Alpha, Assembler};
use crate::image::colour::Model;
use crate::image::exif::{CARRIED, Groups};
use crate::image::ifd::Field;
use crate::image::{ColourKind, Error, Format, Limits, Orientation};

pub(super) type FileDecoder<'s> = Decoder<&'s mut BufReader<std::fs::File>>;

/// Bytes that one tag's values may take: profiles run to some megabytes. The decoder holds numbers
/// in 32 bytes each and allocates as many as a tag claims, so that this must be small while the
/// header is read.
const TAG_BYTES: usize = 64 << 20;

/// Bytes of a field that is worth carrying.
const MAX_FIELD_BYTES: usize = 1 << 16;

/// Pages looked at before counting stops.
const MAX_PAGES: usize = 10_000;

fn open<'s>(source: &'s mut Source, max_bytes: u64) -> Result<FileDecoder<'s>, Error> {
    let path = source.path;
    let decoder = Decoder::new(&mut source.reader).map_err(|e| failure(path, e))?;
    let mut limits = tiff::decoder::Limits::default();
    let bytes = usize::try_from(max_bytes).unwrap_or(usize::MAX);
    limits.decoding_buffer_size = bytes;
    limits.intermediate_buffer_size = bytes;
    limits.ifd_value_size = TAG_BYTES;
    Ok(decoder.with_limits(limits))
}

/// How pixels are stored.
#[derive(Debug, Clone, Copy)]
pub(super) struct Layout {
    colour: ColourKind,
    model: Model,
    alpha: Alpha,
    pub(super) bits: u8,
    /// Channels that a chunk gives for a pixel, all planes together.
    pub(super) channels: usize,
    pub(super) planar: bool,
    /// Luma and two chromas, as JPEG inside TIFF has them.
    luma_chroma: bool,
}

fn layout(decoder: &mut FileDecoder, path: &std::path::Path) -> Result<Layout, Error> {
    let fail = |e| failure(path, e);
    let unsupported = |detail: String| Error::Unsupported {
        path: path.to_path_buf(),
        format: Format::Tiff,
        detail,
    };
    let photometric =
        decoder.find_tag_unsigned::<u16>(Tag::PhotometricInterpretation).map_err(fail)?;
    if photometric == Some(PhotometricInterpretation::RGBPalette.to_u16()) {
        return Err(unsupported("a palette; save it as RGB".to_owned()));
    }
    let extra =
        decoder.find_tag_unsigned_vec::<u16>(Tag::ExtraSamples).map_err(fail)?.unwrap_or_default();
    let planar =
        decoder.find_tag_unsigned::<u16>(Tag::PlanarConfiguration).map_err(fail)? == Some(2);
    let associated = |alpha: bool| match (alpha, extra.first()) {
        (false, _) => Alpha::None,
        (true, Some(1)) => Alpha::Associated,
        (true, _) => Alpha::Straight,
    };
    let colour_type = decoder.colortype().map_err(fail)?;
    let (colour, model, alpha) = match colour_type {
        ColorType::Gray(_) => (ColourKind::Grey, Model::Grey, false),
        ColorType::Multiband { num_samples: 2, .. } if matches!(extra.first(), Some(1 | 2)) => {
            (ColourKind::Grey, Model::Grey, true)
        }
        ColorType::RGB(_) => (ColourKind::Rgb, Model::Rgb, false),
        ColorType::RGBA(_) => (ColourKind::Rgb, Model::Rgb, true),
        ColorType::CMYK(_) => (ColourKind::Cmyk, Model::Cmyk, false),
        ColorType::CMYKA(_) => (ColourKind::Cmyk, Model::Cmyk, true),
        ColorType::YCbCr(8) => (ColourKind::Rgb, Model::Rgb, false),
        other => return Err(unsupported(format!("{other:?} pixels; save it as RGB or grey"))),
    };
    let bits = colour_type.bit_depth();
    let packed = bits < 8 && colour == ColourKind::Grey;
    if !packed && !matches!(bits, 8 | 16 | 32 | 64) {
        return Err(unsupported(format!("{bits} bits a channel; save it with 8 or 16")));
    }
    let channels = model.channels() + usize::from(alpha);
    let luma_chroma = matches!(colour_type, ColorType::YCbCr(_));
    let layout =
        Layout { colour, model, alpha: associated(alpha), bits, channels, planar, luma_chroma };
    let stored = decoder.find_tag_unsigned::<u16>(Tag::SamplesPerPixel).map_err(fail)?.unwrap_or(1);
    let predictor = decoder.find_tag_unsigned::<u16>(Tag::Predictor).map_err(fail)?.unwrap_or(1);
    if usize::from(stored) > channels
        && predictor != 1
        && !planar
        && Chunks::find(decoder, &layout).is_none()
    {
        // The decoder would undo the differences across the wrong distance (tiff 0.11.3).
        return Err(unsupported(
            "extra channels with differencing; save it without the extra channels".to_owned(),
        ));
    }
    Ok(layout)
}

pub(super) fn header(source: &mut Source) -> Result<Header, Error> {
    let path = source.path;
    let fail = |e| failure(path, e);
    let mut decoder = open(source, TAG_BYTES as u64)?;
    let size = decoder.dimensions().map_err(fail)?;
    if decoder.find_tag(Tag::Unknown(50706)).map_err(fail)?.is_some() {
        return Err(Error::Raw { path: path.to_path_buf(), kind: "DNG" });
    }
    let layout = layout(&mut decoder, path)?;
    let mut header =
        Header::new(Format::Tiff, size, layout.colour, layout.bits, layout.alpha != Alpha::None);
    // Tags that cannot be read are as good as absent: the picture is still one.
    let mut bytes = |tag: u16| {
        fields(&mut decoder.image_ifd(), &[tag], TAG_BYTES, |_| true).pop().map(|field| field.bytes)
    };
    header.icc = bytes(Tag::IccProfile.to_u16());
    header.xmp = bytes(700);
    let orientation =
        decoder.find_tag_unsigned::<u32>(Tag::Orientation).ok().flatten().unwrap_or(1);
    header.orientation = Orientation::from_exif(orientation);
    header.dpi = resolution(&mut decoder);
    header.exif = exif_blob(&mut decoder);
    // The decoded chunk, beside it its floats, and what is compressed of it.
    let (w, h) = decoder.chunk_dimensions();
    let (w, h) = (u64::from(w.min(size.0)), u64::from(h.min(size.1)));
    let stored =
        decoder.find_tag_unsigned::<u16>(Tag::SamplesPerPixel).ok().flatten().map_or(0, u64::from);
    let chunk = w.saturating_mul(h).saturating_mul(stored.max(layout.channels as u64));
    header.decoder_bytes =
        chunk.saturating_mul(u64::from(layout.bits).div_ceil(8) * 2).saturating_add(1 << 20);
    header.frames = pages(&mut decoder);
    if header.frames > 1 {
        header.notes.push(format!("the first of {} pages is used", header.frames));
    }
    Ok(header)
}

/// Pages of full size in the chain of directories; copies at lower resolution do not count.
fn pages(decoder: &mut FileDecoder) -> usize {
    let mut count = 1;
    for _ in 0..MAX_PAGES {
        if !decoder.more_images() || decoder.next_image().is_err() {
            break;
        }
        let reduced =
            decoder.find_tag_unsigned::<u32>(Tag::NewSubfileType).ok().flatten().unwrap_or(0) & 1;
        count += usize::from(reduced == 0);
    }
    count
}

/// The photograph's fields, as the blob that other formats carry.
fn exif_blob(decoder: &mut FileDecoder) -> Option<Vec<u8>> {
    let main = fields(&mut decoder.image_ifd(), &CARRIED, MAX_FIELD_BYTES, |_| true);
    let mut groups = Groups { main, ..Groups::default() };
    for (pointer, group) in
        [(Tag::ExifDirectory, &mut groups.exif), (Tag::GpsDirectory, &mut groups.gps)]
    {
        let at = decoder.find_tag(pointer).ok().flatten().and_then(|v| v.into_ifd_pointer().ok());
        if let Some(directory) = at.and_then(|at| decoder.read_directory(at).ok()) {
            let tags: Vec<u16> = directory.iter().map(|(tag, _)| tag.to_u16()).collect();
            *group = fields(
                &mut decoder.read_directory_tags(&directory),
                &tags,
                MAX_FIELD_BYTES,
                Groups::movable,
            );
        }
    }
    groups.to_blob()
}

/// The fields of a directory among `tags` that can be read, are no longer than `longest` bytes and
/// are kept.
fn fields(
    directory: &mut IfdDecoder,
    tags: &[u16],
    longest: usize,
    keep: fn(u16) -> bool,
) -> Vec<Field> {
    let mut found = Vec::new();
    for tag in tags.iter().copied().filter(|t| keep(*t)) {
        let mut value = ValueBuffer::empty(Type::BYTE);
        if let Ok(Some(_)) = directory.find_tag_buf(Tag::from_u16_exhaustive(tag), &mut value) {
            value.set_byte_order(ByteOrder::LittleEndian);
            let bytes = value.as_bytes();
            if !bytes.is_empty() && bytes.len() <= longest {
                found.push(Field::raw(tag, value.data_type().to_u16(), bytes));
            }
        }
    }
    found
}

fn resolution(decoder: &mut FileDecoder) -> Option<(f64, f64)> {
    let per_inch =
        match decoder.find_tag_unsigned::<u16>(Tag::ResolutionUnit).ok().flatten().unwrap_or(2) {
            2 => 1.0,
            3 => 2.54,
            _ => return None,
        };
    let mut read = |tag| match decoder.find_tag(tag).ok().flatten()? {
        Value::Rational(n, d) if d > 0 => Some(f64::from(n) / f64::from(d)),
        other => other.into_f64().ok(),
    };
    let (x, y) = (read(Tag::XResolution)?, read(Tag::YResolution)?);
    (x.is_finite() && y.is_finite() && x > 0.0 && y > 0.0).then_some((x * per_inch, y * per_inch))
}

pub(super) fn pixels(
    source: &mut Source,
    header: &mut Header,
    limits: &Limits,
) -> Result<Assembler, Error> {
    let path = source.path;
    let fail = |e| failure(path, e);
    let mut decoder = open(source, limits.max_bytes)?;
    let layout = layout(&mut decoder, path)?;
    let mut assembler = header.assembler(path, layout.model, layout.alpha)?;
    let (width, height) = header.size;
    let (chunk_width, chunk_height) = decoder.chunk_dimensions();
    let own = Chunks::find(&mut decoder, &layout);
    let tiled = matches!(decoder.get_chunk_type(), ChunkType::Tile);
    let across = match decoder.get_chunk_type() {
        ChunkType::Strip => 1,
        ChunkType::Tile => width.div_ceil(chunk_width),
    };
    let down = height.div_ceil(chunk_height);
    let planes = if layout.planar { layout.channels as u32 } else { 1 };
    let malformed = |detail: &str| Error::Malformed {
        path: path.to_path_buf(),
        format: Format::Tiff,
        detail: detail.into(),
    };
    let per_plane = across.checked_mul(down).ok_or_else(|| malformed("too many tiles"))?;
    let mut decoded: Vec<DecodingResult> = Vec::new();
    for index in 0..per_plane {
        let (x0, y0) = (index % across * chunk_width, index / across * chunk_height);
        let used_width = chunk_width.min(width - x0) as usize;
        let used_height = chunk_height.min(height - y0) as usize;
        decoded.clear();
        for plane in 0..planes {
            let chunk = plane.checked_mul(per_plane).and_then(|n| n.checked_add(index));
            let chunk = chunk.ok_or_else(|| malformed("too many tiles"))?;
            decoded.push(match &own {
                Some(chunks) => {
                    // Tiles are stored whole, strips as far as the picture goes.
                    let rows = if tiled { chunk_height as usize } else { used_height };
                    let read = chunks.read(&mut decoder, chunk as usize, used_width, rows);
                    read.map_err(|e| super::io_error(path, Format::Tiff, e))?
                }
                None => decoder.read_chunk(chunk).map_err(fail)?,
            });
        }
        let mut row_samples = Vec::new();
        // Some rows at a time, so that a file of one single strip is not held three times.
        let rows_at_once = (1usize << 20).div_ceil(used_width * layout.channels).min(used_height);
        for first in (0..used_height).step_by(rows_at_once) {
            row_samples.clear();
            for y in first..(first + rows_at_once).min(used_height) {
                unpack_row(&decoded, y, used_width, layout, &mut row_samples)
                    .map_err(|d| malformed(&d))?;
            }
            if layout.luma_chroma {
                row_samples.chunks_exact_mut(3).for_each(rgb_from_luma_chroma);
            }
            assembler.put((x0, y0 + first as u32), used_width, &mut row_samples);
        }
    }
    Ok(assembler)
}

/// Rec. 601 over the full range, as in JFIF.
fn rgb_from_luma_chroma(p: &mut [f32]) {
    let (y, cb, cr) = (p[0], p[1] - 128.0 / 255.0, p[2] - 128.0 / 255.0);
    p.copy_from_slice(&[y + 1.402 * cr, y - 0.344_136 * cb - 0.714_136 * cr, y + 1.772 * cb]);
}

/// One row of a chunk as floats, 0..1 for integers; planes are interleaved.
fn unpack_row(
    planes: &[DecodingResult],
    y: usize,
    width: usize,
    layout: Layout,
    to: &mut Vec<f32>,
) -> Result<(), String> {
    let start = to.len();
    let per_plane = if layout.planar { 1 } else { layout.channels };
    to.resize(start + width * layout.channels, 0.0);
    let row = &mut to[start..];
    for (p, plane) in planes.iter().enumerate() {
        let n = width * per_plane;
        let short = || "a strip or tile is shorter than its size says".to_owned();
        let mut fill = |values: &mut dyn Iterator<Item = f32>| {
            let step = if layout.planar { layout.channels } else { 1 };
            for (to, v) in row.iter_mut().skip(p).step_by(step).zip(values) {
                *to = v;
            }
        };
        macro_rules! copy {
            ($data:expr, $convert:expr) => {{
                let row = $data.get(y * n..(y + 1) * n).ok_or_else(short)?;
                fill(&mut row.iter().map($convert));
            }};
        }
        match plane {
            DecodingResult::U8(data) if layout.bits < 8 => {
                let bits = usize::from(layout.bits);
                let stride = (n * bits).div_ceil(8);
                let row = data.get(y * stride..(y + 1) * stride).ok_or_else(short)?;
                let top = ((1u16 << bits) - 1) as u8;
                fill(&mut (0..n).map(|i| {
                    let at = i * bits;
                    let shift = 8usize.saturating_sub(bits + at % 8);
                    f32::from((row[at / 8] >> shift) & top) / f32::from(top)
                }));
            }
            DecodingResult::U8(data) => copy!(data, |v| f32::from(*v) / 255.0),
            DecodingResult::U16(data) => copy!(data, |v| f32::from(*v) / 65535.0),
            DecodingResult::U32(data) => {
                copy!(data, |v| (f64::from(*v) / f64::from(u32::MAX)) as f32)
            }
            DecodingResult::U64(data) => copy!(data, |v| (*v as f64 / u64::MAX as f64) as f32),
            DecodingResult::F16(data) => copy!(data, |v| v.to_f32()),
            DecodingResult::F32(data) => copy!(data, |v| *v),
            DecodingResult::F64(data) => copy!(data, |v| *v as f32),
            _ => return Err("its pixels are signed integers".to_owned()),
        }
    }
    Ok(())
}

fn failure(path: &std::path::Path, error: TiffError) -> Error {
    let path_buf = path.to_path_buf();
    let format = Format::Tiff;
    match error {
        TiffError::IoError(e) => super::io_error(path, format, e),
        TiffError::UnsupportedError(e) => {
            Error::Unsupported { path: path_buf, format, detail: e.to_string() }
        }
        TiffError::FormatError(TiffFormatError::InvalidDimensions(width, height)) => {
            Error::ZeroSized { path: path_buf, format, width, height }
        }
        TiffError::FormatError(e) => {
            Error::Malformed { path: path_buf, format, detail: e.to_string() }
        }
        TiffError::LimitsExceeded => Error::Malformed {
            path: path_buf,
            format,
            detail: "it unpacks to more memory than is allowed".to_owned(),
        },
        other => Error::Malformed { path: path_buf, format, detail: other.to_string() },
    }
}
