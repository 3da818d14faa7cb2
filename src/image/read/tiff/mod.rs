//! TIFF and BigTIFF: strip by strip, tile by tile, so that a picture of any size is held once.

mod fields;
mod jpeg;
mod layout;
mod numbers;
mod page;
mod unpack;

use std::path::Path;

use self::fields::{Compression, Photometric};
use self::layout::Layout;
use self::numbers::Numbers;
use self::page::Page;
use super::{Header, Input, Source, unsupported};
use crate::image::assemble::Assembler;
use crate::image::exif::{self, CARRIED, Groups, tag};
use crate::image::ifd::{Directory, Field, Reader};
use crate::image::{Error, Format, Orientation};

/// Bytes that a profile or packet may take.
const TAG_BYTES: u64 = 64 << 20;

/// Bytes of a field that is worth carrying.
const FIELD_BYTES: u64 = 1 << 16;

/// Samples that are made numbers at a time.
const BAND_SAMPLES: usize = 1 << 20;

/// How far outside of 0..1 a colour is no rounding of lossy compression.
const STRAY: f32 = 0.125;

const XMP: u16 = 700;
const PROFILE: u16 = 34675;
const DNG_VERSION: u16 = 50706;

type FileReader<'s, 'a> = Reader<&'s mut Input<'a>>;

/// Why a TIFF is not read.
#[derive(Debug)]
enum Problem {
    Io(std::io::Error),
    Damaged(String),
    Unsupported {
        what: String,
        advice: &'static str,
    },
    ZeroSized((u32, u32)),
    /// A camera's raw pixels.
    Raw,
}

impl Problem {
    fn damaged(detail: impl Into<String>) -> Self {
        Problem::Damaged(detail.into())
    }

    fn unsupported(what: impl Into<String>, advice: &'static str) -> Self {
        Problem::Unsupported { what: what.into(), advice }
    }

    fn of(self, path: &Path) -> Error {
        let (format, path_buf) = (Format::Tiff, path.to_path_buf());
        match self {
            Problem::Io(e) => super::io_error(path, format, e),
            Problem::Damaged(detail) => Error::Malformed { path: path_buf, format, detail },
            Problem::Unsupported { what, advice } => unsupported(path, format, what, advice),
            Problem::ZeroSized((width, height)) => {
                Error::ZeroSized { path: path_buf, format, width, height }
            }
            Problem::Raw => Error::Raw { path: path_buf, kind: "raw pixels in a TIFF" },
        }
    }
}

impl From<std::io::Error> for Problem {
    fn from(error: std::io::Error) -> Self {
        Problem::Io(error)
    }
}

/// The picture's directory and how it stores its pixels.
fn open<'s, 'a>(source: &'s mut Source<'a>) -> Result<(FileReader<'s, 'a>, Page, Layout), Error> {
    let path = source.path;
    let found = Reader::new(&mut source.reader).map_err(Problem::from).and_then(|mut reader| {
        let page = Page::choose(&mut reader)?;
        let layout = Layout::read(&mut reader, &page.directory);
        Ok((reader, page, layout))
    });
    let (reader, page, layout) = found.map_err(|problem| problem.of(path))?;
    if page.first.find(DNG_VERSION).is_some() {
        return Err(Error::Raw { path: path.to_path_buf(), kind: "DNG" });
    }
    Ok((reader, page, layout.map_err(|problem| problem.of(path))?))
}

pub(super) fn header(source: &mut Source) -> Result<Header, Error> {
    let path = source.path;
    let (mut reader, page, layout) = open(source)?;
    let alpha = layout.wanted() > layout.colours();
    let bits = layout.bits as u8;
    let mut header = Header::new(Format::Tiff, layout.size, layout.kind(), bits, alpha);
    let Page { directory, first, count } = page;
    // What the picture's own directory does not say of the photograph, the first one may.
    let find = |tag: u16| directory.find(tag).or_else(|| first.find(tag));
    let bytes = |reader: &mut FileReader, tag| {
        find(tag).and_then(|e| reader.bytes(&e, TAG_BYTES)).filter(|bytes| !bytes.is_empty())
    };
    header.icc = directory.find(PROFILE).and_then(|e| reader.bytes(&e, TAG_BYTES));
    header.xmp = bytes(&mut reader, XMP);
    header.comment = bytes(&mut reader, tag::IMAGE_DESCRIPTION);
    let orientation = find(tag::ORIENTATION).and_then(|e| reader.first_number(&e)).unwrap_or(1);
    header.orientation = Orientation::from_exif(u32::try_from(orientation).unwrap_or(1));
    header.dpi = exif::resolution(&mut reader, &directory);
    let mut below = |tag| {
        let at = find(tag).and_then(|e| reader.first_number(&e));
        at.and_then(|at| reader.directory(at).ok()).unwrap_or_default()
    };
    let (exposure, place) = (below(tag::EXIF_IFD), below(tag::GPS_IFD));
    let entries = CARRIED.into_iter().filter_map(find).collect();
    let main = Directory { entries, ..Directory::default() };
    header.adopt_colour_space(exif::colour_space_in(&mut reader, &main, &exposure));
    let groups = Groups {
        main: fields(&mut reader, &main, |_| true),
        exif: fields(&mut reader, &exposure, Groups::movable),
        gps: fields(&mut reader, &place, |_| true),
    };
    header.exif = groups.to_blob();
    header.decoder_bytes = decoder_bytes(&layout)
        .ok_or_else(|| Problem::damaged("strips or tiles of impossible size").of(path))?;
    header.by_rows = layout.grid().0 == 1;
    header.frames = count;
    if count > 1 {
        header.notes.push(format!("the first of {count} pages is used"));
    }
    Ok(header)
}

/// Bytes that decoding takes beside the planes: strips or tiles unpacked and packed, of JPEG what its
/// decoder holds too, and some rows as numbers.
fn decoder_bytes(layout: &Layout) -> Option<u64> {
    let rows = u64::from(layout.rows(0));
    let chunk = layout.row_bytes().checked_mul(rows)?;
    let packed = layout.places.iter().map(|(_, length)| *length).max().unwrap_or(0);
    let planes = if layout.planar { layout.wanted() as u64 } else { 1 };
    let (beside, packed) = match layout.compression {
        Compression::None => (0, 0),
        Compression::Jpeg => (2, packed.checked_mul(2)?),
        _ => (0, packed),
    };
    let row = u64::from(layout.chunk.0).checked_mul(layout.samples as u64)?;
    let band = (BAND_SAMPLES as u64).min(row.checked_mul(rows)?).checked_add(row)?;
    chunk.checked_mul(planes + beside)?.checked_add(packed)?.checked_add(band.checked_mul(16)?)
}

/// The fields of a directory that can be read, are no longer than is worth carrying and are kept.
fn fields(reader: &mut FileReader, directory: &Directory, keep: fn(u16) -> bool) -> Vec<Field> {
    let kept = directory.entries.iter().filter(|e| keep(e.tag));
    kept.filter_map(|e| reader.field(e, FIELD_BYTES)).take(1024).collect()
}

pub(super) fn pixels(source: &mut Source, header: &mut Header) -> Result<Assembler, Error> {
    let path = source.path;
    let (mut reader, _, layout) = open(source)?;
    let mut assembler = header.assembler(path, layout.model(), layout.alpha)?;
    let (across, down) = layout.grid();
    let planes = if layout.planar { layout.wanted() } else { 1 };
    let per_plane = across as usize * down as usize;
    let mut strays = 0;
    for index in 0..per_plane {
        let (column, row) = (index as u32 % across, index as u32 / across);
        let (x0, y0) = (column * layout.chunk.0, row * layout.chunk.1);
        let used = (layout.chunk.0.min(layout.size.0 - x0), layout.chunk.1.min(layout.size.1 - y0));
        let mut chunks = Vec::with_capacity(planes);
        for plane in 0..planes {
            let unpacked = layout
                .places
                .get(plane * per_plane + index)
                .ok_or_else(|| Problem::damaged("a strip or tile is missing"))
                .and_then(|(at, length)| Ok(reader.read(*at, *length)?))
                .and_then(|packed| unpack::unpack(&layout, packed, layout.rows(row)));
            chunks.push(unpacked.map_err(|problem| problem.of(path))?);
        }
        strays += place(&layout, &chunks, (x0, y0), used, &mut assembler);
    }
    if strays > header.pixels() / 5 {
        return Err(Problem::unsupported(
            "pixels declared as luma and chroma (YCbCr) that cannot be: many lie far outside of RGB",
            "if they are RGB, say so in a copy of it: tiffset -s 262 2 copy.tif",
        )
        .of(path));
    }
    Ok(assembler)
}

/// Places the `used` pixels of a strip or tile, which `planes` hold, at `(x0, y0)`; some rows at a
/// time, so that a file of one single strip is not held three times. Returns how many of them lie
/// far outside of the colours that there are.
fn place(
    layout: &Layout,
    planes: &[Vec<u8>],
    (x0, y0): (u32, u32),
    used: (u32, u32),
    assembler: &mut Assembler,
) -> u64 {
    let (width, height) = (used.0 as usize, used.1 as usize);
    let (row_bytes, wanted, together) =
        (layout.row_bytes() as usize, layout.wanted(), layout.together());
    let mut numbers = Numbers::new(layout);
    let (mut row, mut pixel, mut samples) = (Vec::new(), vec![0.0; wanted], Vec::new());
    let as_stored = !layout.planar
        && together == wanted
        && matches!(
            layout.photometric,
            Photometric::BlackIsZero | Photometric::Rgb | Photometric::Cmyk
        );
    let mut strays = 0;
    let rows_at_once = BAND_SAMPLES.div_ceil(width * wanted).min(height);
    for top in (0..height).step_by(rows_at_once) {
        samples.clear();
        for y in top..(top + rows_at_once).min(height) {
            let bytes = y * row_bytes..(y + 1) * row_bytes;
            if as_stored {
                numbers.row(&planes[0][bytes], width, &mut samples);
                continue;
            }
            row.clear();
            for plane in planes {
                numbers.row(&plane[bytes.clone()], width, &mut row);
            }
            for x in 0..width {
                for (c, value) in pixel.iter_mut().enumerate() {
                    *value = row[if layout.planar { c * width + x } else { x * together + c }];
                }
                numbers::colours(layout, &pixel, &mut samples);
            }
        }
        if layout.photometric == Photometric::LumaChroma {
            let far = |v: &f32| *v < -STRAY || *v > 1.0 + STRAY;
            let pixels = samples.chunks_exact(assembler.channels());
            strays += pixels.filter(|pixel| pixel[..3].iter().any(far)).count() as u64;
        }
        assembler.put((x0, y0 + top as u32), width, &mut samples);
    }
    strays
}
