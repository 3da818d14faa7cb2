//! A blob made true for another picture, changed in place.

use super::{BlobReader, below, open, tag};
use crate::image::ifd::{Directory, Entry, ratio};

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
