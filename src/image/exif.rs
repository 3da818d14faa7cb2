//! EXIF: what a picture's blob says, and the same blob made true for another picture.
//!
//! A blob is what files carry: a TIFF header (`II*\0` or `MM\0*`) with directories, without JPEG's
//! `Exif\0\0`.

use std::io::{Cursor, Read, Seek};

use super::Orientation;
use super::ifd::{Appender, Directory, Entry, Field, Reader, ratio};

/// Tags that are read or changed.
pub(crate) mod tag {
    pub const IMAGE_WIDTH: u16 = 0x0100;
    pub const IMAGE_LENGTH: u16 = 0x0101;
    pub const MAKE: u16 = 0x010f;
    pub const ORIENTATION: u16 = 0x0112;
    pub const X_RESOLUTION: u16 = 0x011a;
    pub const Y_RESOLUTION: u16 = 0x011b;
    pub const RESOLUTION_UNIT: u16 = 0x0128;
    pub const INTEROPERABILITY_INDEX: u16 = 0x0001;
    pub const IMAGE_DESCRIPTION: u16 = 0x010e;
    pub const EXIF_IFD: u16 = 0x8769;
    pub const GPS_IFD: u16 = 0x8825;
    pub const MAKER_NOTE: u16 = 0x927c;
    pub const COLOUR_SPACE: u16 = 0xa001;
    pub const INTEROPERABILITY_IFD: u16 = 0xa005;
    pub const PIXEL_X: u16 = 0xa002;
    pub const PIXEL_Y: u16 = 0xa003;
}

/// What a blob says about the colours of its picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ColourSpace {
    /// sRGB, or nothing.
    Srgb,
    /// Adobe RGB (1998).
    AdobeRgb,
    /// Another one than sRGB, without saying which.
    Unknown,
}

type BlobReader<'a> = Reader<Cursor<&'a [u8]>>;

/// The blob in what a file carries, which may begin with the name that JPEG puts before it; nothing
/// when it is no EXIF.
pub(crate) fn blob(mut bytes: &[u8]) -> Option<Vec<u8>> {
    while let Some(rest) = bytes.strip_prefix(b"Exif\0\0") {
        bytes = rest;
    }
    matches!(bytes.get(..4)?, b"II*\0" | b"MM\0*").then(|| bytes.to_vec())
}

fn open(blob: &[u8]) -> Option<(BlobReader<'_>, Directory)> {
    let mut reader = Reader::new(Cursor::new(blob)).ok()?;
    let first = reader.first().ok()?;
    let directory = reader.directory(first).ok()?;
    Some((reader, directory))
}

/// The directory that the entry `pointer` of `directory` points at; empty where there is none.
fn below<R: Read + Seek>(reader: &mut Reader<R>, directory: &Directory, pointer: u16) -> Directory {
    let at = directory.find(pointer).and_then(|e| reader.first_number(&e));
    at.and_then(|at| reader.directory(at).ok()).unwrap_or_default()
}

/// The orientation that a blob states; upright when it states none.
pub(crate) fn orientation(blob: &[u8]) -> Orientation {
    let stated = open(blob).and_then(|(mut reader, first)| {
        let value = reader.first_number(&first.find(tag::ORIENTATION)?)?;
        u32::try_from(value).ok()
    });
    stated.map_or(Orientation::UPRIGHT, Orientation::from_exif)
}

/// The resolution that a blob states, in dots per inch: horizontal, vertical.
pub(crate) fn dpi(blob: &[u8]) -> Option<(f64, f64)> {
    let (mut reader, first) = open(blob)?;
    resolution(&mut reader, &first)
}

/// The resolution that a directory states, in dots per inch: horizontal, vertical.
pub(crate) fn resolution<R: Read + Seek>(
    reader: &mut Reader<R>,
    directory: &Directory,
) -> Option<(f64, f64)> {
    let unit = directory.find(tag::RESOLUTION_UNIT).and_then(|e| reader.first_number(&e));
    let per_inch = match unit.unwrap_or(2) {
        2 => 1.0,
        3 => 2.54,
        _ => return None,
    };
    let x = reader.positive(&directory.find(tag::X_RESOLUTION)?)?;
    let y = reader.positive(&directory.find(tag::Y_RESOLUTION)?)?;
    Some((x * per_inch, y * per_inch))
}

/// The colour space that a blob states (EXIF 2.32, ColorSpace; DCF 2.0, "R03" in the
/// interoperability directory; some cameras write a ColorSpace of 2).
pub(crate) fn colour_space(blob: &[u8]) -> ColourSpace {
    let Some((mut reader, first)) = open(blob) else { return ColourSpace::Srgb };
    let exif = below(&mut reader, &first, tag::EXIF_IFD);
    colour_space_in(&mut reader, &first, &exif)
}

/// The colour space that an EXIF directory states. Cameras that say "uncalibrated" mean it;
/// libraries write it into everything.
pub(crate) fn colour_space_in<R: Read + Seek>(
    reader: &mut Reader<R>,
    first: &Directory,
    exif: &Directory,
) -> ColourSpace {
    let space = exif.find(tag::COLOUR_SPACE).and_then(|e| reader.first_number(&e));
    let interoperability = below(reader, exif, tag::INTEROPERABILITY_IFD);
    let index = interoperability.find(tag::INTEROPERABILITY_INDEX).and_then(|e| reader.text(&e));
    match (space, index.as_deref()) {
        (Some(2), _) | (Some(0xffff) | None, Some("R03")) => ColourSpace::AdobeRgb,
        (Some(0xffff), _) if first.find(tag::MAKE).is_some() => ColourSpace::Unknown,
        _ => ColourSpace::Srgb,
    }
}

/// What is true of the picture that a blob is carried to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Facts {
    /// Width and height, px.
    pub size: (u32, u32),
    /// Dots per inch.
    pub dpi: Option<f64>,
    /// Whether its colours are sRGB.
    pub srgb: bool,
    /// Whether the place where the photograph was taken is kept.
    pub place: bool,
}

/// The blob made true for an upright picture: orientation 1, pixel sizes and resolution replaced
/// where they are stated, the thumbnail (second directory) cut off and its bytes blanked, the place
/// taken out unless it is kept. Nothing but the first directory's own entries moves, so that
/// makers' notes, which count offsets from the blob's start, stay readable.
///
/// Its colour space becomes sRGB or, for any other profile, "uncalibrated".
///
/// Returns nothing when the blob is not readable as EXIF.
pub(crate) fn refreshed(blob: &[u8], facts: Facts) -> Option<Vec<u8>> {
    let (mut reader, first) = open(blob)?;
    let exif = below(&mut reader, &first, tag::EXIF_IFD);
    let mut out = Patch { bytes: blob.to_vec(), big_endian: reader.big_endian };
    let (width, height) = facts.size;
    for entry in first.entries.iter().chain(&exif.entries) {
        match entry.tag {
            tag::ORIENTATION => out.number(entry, 1),
            tag::IMAGE_WIDTH | tag::PIXEL_X => out.number(entry, width),
            tag::IMAGE_LENGTH | tag::PIXEL_Y => out.number(entry, height),
            tag::X_RESOLUTION | tag::Y_RESOLUTION => out.rational(entry, facts.dpi),
            tag::COLOUR_SPACE => out.number(entry, if facts.srgb { 1 } else { 0xffff }),
            tag::RESOLUTION_UNIT if facts.dpi.is_some() => out.number(entry, 2),
            _ => {}
        }
    }
    if let Some(pointer) = first.find(tag::GPS_IFD).filter(|_| !facts.place) {
        let place = below(&mut reader, &first, tag::GPS_IFD);
        out.blank(&place);
        out.remove(&first, &pointer);
        // The link moved up with the entries.
        out.drop_thumbnail(&mut reader, &first, first.link - 12);
    } else {
        out.drop_thumbnail(&mut reader, &first, first.link);
    }
    Some(out.bytes)
}

/// A blob being changed in place.
struct Patch {
    bytes: Vec<u8>,
    big_endian: bool,
}

impl Patch {
    /// The `size` bytes at `at`; none where they do not lie inside.
    fn range(&mut self, at: u64, size: u64) -> Option<&mut [u8]> {
        let (at, size) = (usize::try_from(at).ok()?, usize::try_from(size).ok()?);
        self.bytes.get_mut(at..at.checked_add(size)?)
    }

    fn put_u16(&mut self, at: u64, value: u16) {
        let bytes = if self.big_endian { value.to_be_bytes() } else { value.to_le_bytes() };
        if let Some(to) = self.range(at, 2) {
            to.copy_from_slice(&bytes);
        }
    }

    fn put_u32(&mut self, at: u64, value: u32) {
        let bytes = if self.big_endian { value.to_be_bytes() } else { value.to_le_bytes() };
        if let Some(to) = self.range(at, 4) {
            to.copy_from_slice(&bytes);
        }
    }

    fn number(&mut self, entry: &Entry, value: u32) {
        match entry.kind {
            3 => self.put_u16(entry.at, u16::try_from(value).unwrap_or(u16::MAX)),
            4 => self.put_u32(entry.at, value),
            _ => {}
        }
    }

    fn rational(&mut self, entry: &Entry, value: Option<f64>) {
        if let (5, Some(value)) = (entry.kind, value) {
            let (n, d) = ratio(value);
            self.put_u32(entry.at, n);
            self.put_u32(entry.at + 4, d);
        }
    }

    /// Makes zeros of a directory and its values.
    fn blank(&mut self, directory: &Directory) {
        let values = directory.entries.iter().map(|e| (e.at, e.size()));
        let table = (directory.place, (directory.link + 4).saturating_sub(directory.place));
        for (at, size) in values.chain([table]) {
            if let Some(bytes) = self.range(at, size) {
                bytes.fill(0);
            }
        }
    }

    /// Takes an entry out of its directory; those behind it and the link move up.
    fn remove(&mut self, directory: &Directory, entry: &Entry) {
        let end = directory.link + 4;
        let Some(rest) = self.range(entry.place, end.saturating_sub(entry.place)) else { return };
        if rest.len() >= 16 {
            rest.copy_within(12.., 0);
            let last = rest.len() - 12;
            rest[last..].fill(0);
            let count = (directory.link - directory.place - 2) / 12;
            self.put_u16(directory.place, count.saturating_sub(1) as u16);
        }
    }

    /// Cuts the link at `link` to the second directory, and blanks the JPEG thumbnail that it
    /// points at.
    fn drop_thumbnail(&mut self, reader: &mut BlobReader, first: &Directory, link: u64) {
        if first.next == 0 {
            return;
        }
        self.put_u32(link, 0);
        let Ok(second) = reader.directory(first.next) else { return };
        let mut value = |tag| second.find(tag).and_then(|e| reader.first_number(&e));
        let (Some(at), Some(length)) = (value(0x0201), value(0x0202)) else { return };
        let whole = self.bytes.len() as u64;
        let end = at.saturating_add(length);
        // Within a few bytes of the end: blobs are often padded.
        if at > first.link + 4 && at > first.next && end <= whole && whole - end < 8 {
            self.bytes.truncate(at as usize);
        } else if let Some(thumbnail) = self.range(at, length) {
            thumbnail.fill(0);
        }
    }
}

/// The fields of a blob by the directory that they belong in, for files that hold directories of
/// their own (TIFF).
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Groups {
    /// About the photograph: maker, author, date.
    pub main: Vec<Field>,
    /// About the exposure.
    pub exif: Vec<Field>,
    /// About the place.
    pub gps: Vec<Field>,
}

/// Fields of the first directory that say something about the photograph rather than about its
/// pixels: description, make, model, date, artist, host, rating, copyright, Windows' title to
/// subject.
pub(crate) const CARRIED: [u16; 14] = [
    0x010e, 0x010f, 0x0110, 0x0132, 0x013b, 0x013c, 0x4746, 0x4749, 0x8298, 0x9c9b, 0x9c9c, 0x9c9d,
    0x9c9e, 0x9c9f,
];

impl Groups {
    /// Whether a field of the EXIF directory goes into a TIFF: not makers' notes, which count
    /// offsets from where they lay, nor what TIFF itself says of its pixels.
    pub fn movable(tag: u16) -> bool {
        const STAYING: [u16; 6] = [
            0x9101,
            0x9102,
            tag::MAKER_NOTE,
            tag::PIXEL_X,
            tag::PIXEL_Y,
            tag::INTEROPERABILITY_IFD,
        ];
        !STAYING.contains(&tag)
    }

    /// The groups of a blob; empty where it is not readable.
    pub fn from_blob(blob: &[u8]) -> Self {
        let Some((mut reader, first)) = open(blob) else { return Groups::default() };
        let exif = below(&mut reader, &first, tag::EXIF_IFD);
        let gps = below(&mut reader, &first, tag::GPS_IFD);
        // Entries of a damaged blob may all claim the same bytes; whole ones share none.
        let mut left = blob.len() as u64;
        let mut fields = |directory: &Directory, keep: fn(u16) -> bool| {
            let mut kept = Vec::new();
            for field in directory.entries.iter().filter(|e| keep(e.tag)) {
                if let Some(field) = reader.field(field, left) {
                    left -= field.bytes.len() as u64;
                    kept.push(field);
                }
            }
            kept
        };
        Groups {
            main: fields(&first, |tag| CARRIED.contains(&tag)),
            exif: fields(&exif, Groups::movable),
            gps: fields(&gps, |_| true),
        }
    }

    /// A blob of these groups; nothing when all are empty.
    pub fn to_blob(&self) -> Option<Vec<u8>> {
        if self.main.is_empty() && self.exif.is_empty() && self.gps.is_empty() {
            return None;
        }
        let mut out = b"II*\0\0\0\0\0".to_vec();
        let mut appender = Appender { position: out.len() as u64, out: &mut out, big: false };
        let fields = self.with_directories(&mut appender).ok()?;
        let first = appender.directory(fields).ok()?;
        out[4..8].copy_from_slice(&u32::try_from(first).ok()?.to_le_bytes());
        Some(out)
    }

    /// Writes the EXIF and GPS directories. Returns the first directory's fields with pointers to
    /// them.
    pub fn with_directories(&self, appender: &mut Appender) -> std::io::Result<Vec<Field>> {
        let mut fields = self.main.clone();
        for (pointer, group) in [(tag::EXIF_IFD, &self.exif), (tag::GPS_IFD, &self.gps)] {
            if !group.is_empty() {
                let at = appender.directory(group.clone())?;
                fields.push(Field::pointer(pointer, at, appender.big));
            }
        }
        Ok(fields)
    }
}
