//! EXIF: what a picture's blob says, and the same blob made true for another picture.
//!
//! A blob is what files carry: a TIFF header (`II*\0` or `MM\0*`) with directories, without JPEG's
//! `Exif\0\0`.

mod groups;
mod refresh;

use std::io::{Cursor, Read, Seek};

pub(crate) use groups::{CARRIED, Groups};
pub(crate) use refresh::{Facts, refreshed};

use super::Orientation;
use super::ifd::{Directory, Reader};

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
