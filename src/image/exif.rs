//! EXIF: what a picture's blob says, and the same blob made true for another picture.
//!
//! A blob is what files carry: a TIFF header (`II*\0` or `MM\0*`) with directories, without JPEG's `Exif\0\0`.

use super::Orientation;

/// Tags that are read or changed.
pub(crate) mod tag {
    pub const IMAGE_WIDTH: u16 = 0x0100;
    pub const IMAGE_LENGTH: u16 = 0x0101;
    pub const ORIENTATION: u16 = 0x0112;
    pub const X_RESOLUTION: u16 = 0x011a;
    pub const Y_RESOLUTION: u16 = 0x011b;
    pub const RESOLUTION_UNIT: u16 = 0x0128;
    pub const EXIF_IFD: u16 = 0x8769;
    pub const PIXEL_X: u16 = 0xa002;
    pub const PIXEL_Y: u16 = 0xa003;
}

/// One entry of a directory: where it lies in the blob.
#[derive(Debug, Clone, Copy)]
struct Entry {
    tag: u16,
    kind: u16,
    /// Offset of the values: inside the entry when they fit in four bytes.
    at: usize,
}

/// A view of a blob that never reads outside it.
struct Blob<'a> {
    bytes: &'a [u8],
    big_endian: bool,
}

impl<'a> Blob<'a> {
    fn new(bytes: &'a [u8]) -> Option<Self> {
        let big_endian = match bytes.get(..4)? {
            b"II*\0" => false,
            b"MM\0*" => true,
            _ => return None,
        };
        Some(Blob { bytes, big_endian })
    }

    fn u16(&self, at: usize) -> Option<u16> {
        let b: [u8; 2] = self.bytes.get(at..at.checked_add(2)?)?.try_into().ok()?;
        Some(if self.big_endian { u16::from_be_bytes(b) } else { u16::from_le_bytes(b) })
    }

    fn u32(&self, at: usize) -> Option<u32> {
        let b: [u8; 4] = self.bytes.get(at..at.checked_add(4)?)?.try_into().ok()?;
        Some(if self.big_endian { u32::from_be_bytes(b) } else { u32::from_le_bytes(b) })
    }

    /// The entries of the directory at `at`, and where its link to the next directory is.
    fn directory(&self, at: usize) -> Option<(Vec<Entry>, usize)> {
        let count = usize::from(self.u16(at)?);
        let mut entries = Vec::new();
        for i in 0..count {
            let entry = at + 2 + 12 * i;
            let (tag, kind, n) = (self.u16(entry)?, self.u16(entry + 2)?, self.u32(entry + 4)? as usize);
            let size = n.saturating_mul(size_of_kind(kind));
            let value = if size <= 4 { entry + 8 } else { self.u32(entry + 8)? as usize };
            if value.checked_add(size).is_some_and(|end| end <= self.bytes.len()) {
                entries.push(Entry { tag, kind, at: value });
            }
        }
        Some((entries, at + 2 + 12 * count))
    }

    fn first(&self) -> Option<(Vec<Entry>, usize)> {
        self.directory(self.u32(4)? as usize)
    }

    /// An entry's first value as an unsigned number.
    fn number(&self, entry: &Entry) -> Option<u32> {
        match entry.kind {
            1 => self.bytes.get(entry.at).map(|b| u32::from(*b)),
            3 => self.u16(entry.at).map(u32::from),
            4 => self.u32(entry.at),
            _ => None,
        }
    }

    fn rational(&self, entry: &Entry) -> Option<f64> {
        if entry.kind != 5 {
            return None;
        }
        let (n, d) = (self.u32(entry.at)?, self.u32(entry.at + 4)?);
        (d != 0).then(|| f64::from(n) / f64::from(d))
    }
}

/// Bytes of one value of a TIFF field type; 0 for one that is not known.
pub(crate) fn size_of_kind(kind: u16) -> usize {
    match kind {
        1 | 2 | 6 | 7 => 1,
        3 | 8 => 2,
        4 | 9 | 11 | 13 => 4,
        5 | 10 | 12 | 16 | 17 | 18 => 8,
        _ => 0,
    }
}

/// The orientation that a blob states; upright when it states none.
pub(crate) fn orientation(blob: &[u8]) -> Orientation {
    let read = || {
        let blob = Blob::new(blob)?;
        let (entries, _) = blob.first()?;
        blob.number(entries.iter().find(|e| e.tag == tag::ORIENTATION)?)
    };
    read().map_or(Orientation::UPRIGHT, Orientation::from_exif)
}

/// The resolution that a blob states, in dots per inch: horizontal, vertical.
pub(crate) fn dpi(blob: &[u8]) -> Option<(f64, f64)> {
    let blob = Blob::new(blob)?;
    let (entries, _) = blob.first()?;
    let find = |tag: u16| entries.iter().find(|e| e.tag == tag);
    let per_inch = match find(tag::RESOLUTION_UNIT).and_then(|e| blob.number(e)).unwrap_or(2) {
        2 => 1.0,
        3 => 2.54,
        _ => return None,
    };
    let (x, y) = (blob.rational(find(tag::X_RESOLUTION)?)?, blob.rational(find(tag::Y_RESOLUTION)?)?);
    (x > 0.0 && y > 0.0).then_some((x * per_inch, y * per_inch))
}

/// The blob made true for an upright picture of `width` x `height` pixels at `dpi`: orientation 1, pixel sizes and
/// resolution replaced where they are stated, the thumbnail (second directory) cut off and its bytes blanked. Nothing
/// moves, so that makers' notes, which count offsets from the blob's start, stay readable.
///
/// Returns nothing when the blob is not readable as EXIF.
pub(crate) fn refreshed(blob: &[u8], width: u32, height: u32, dpi: Option<(f64, f64)>) -> Option<Vec<u8>> {
    let view = Blob::new(blob)?;
    let (first, link) = view.first()?;
    let mut out = Patch { bytes: blob.to_vec(), big_endian: view.big_endian };
    let sub = first.iter().find(|e| e.tag == tag::EXIF_IFD).and_then(|e| view.number(e));
    let sub = sub.and_then(|at| view.directory(at as usize)).map(|(entries, _)| entries).unwrap_or_default();
    for entry in first.iter().chain(&sub) {
        match entry.tag {
            tag::ORIENTATION => out.number(entry, 1),
            tag::IMAGE_WIDTH | tag::PIXEL_X => out.number(entry, width),
            tag::IMAGE_LENGTH | tag::PIXEL_Y => out.number(entry, height),
            tag::X_RESOLUTION => out.rational(entry, dpi.map(|d| d.0)),
            tag::Y_RESOLUTION => out.rational(entry, dpi.map(|d| d.1)),
            tag::RESOLUTION_UNIT if dpi.is_some() => out.number(entry, 2),
            _ => {}
        }
    }
    out.drop_thumbnail(&view, link);
    Some(out.bytes)
}

/// A blob being changed in place.
struct Patch {
    bytes: Vec<u8>,
    big_endian: bool,
}

impl Patch {
    fn put_u32(&mut self, at: usize, value: u32) {
        let b = if self.big_endian { value.to_be_bytes() } else { value.to_le_bytes() };
        if let Some(to) = self.bytes.get_mut(at..at + 4) {
            to.copy_from_slice(&b);
        }
    }

    fn number(&mut self, entry: &Entry, value: u32) {
        match entry.kind {
            3 => {
                let short = u16::try_from(value).unwrap_or(u16::MAX);
                let b = if self.big_endian { short.to_be_bytes() } else { short.to_le_bytes() };
                if let Some(to) = self.bytes.get_mut(entry.at..entry.at + 2) {
                    to.copy_from_slice(&b);
                }
            }
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

    /// Cuts the link to the second directory, and blanks the JPEG thumbnail that it points at.
    fn drop_thumbnail(&mut self, view: &Blob, link: usize) {
        let Some(next) = view.u32(link).filter(|n| *n != 0) else { return };
        let entries = view.directory(next as usize).map(|(entries, _)| entries).unwrap_or_default();
        let value = |tag: u16| entries.iter().find(|e| e.tag == tag).and_then(|e| view.number(e));
        if let (Some(at), Some(length)) = (value(0x0201), value(0x0202)) {
            let (at, end) = (at as usize, at as usize + length as usize);
            if end == self.bytes.len() && at > link + 4 {
                self.bytes.truncate(at);
            } else if let Some(thumbnail) = self.bytes.get_mut(at..end) {
                thumbnail.fill(0);
            }
        }
        self.put_u32(link, 0);
    }
}

/// A positive number as the fraction that files store, to a thousandth.
pub(crate) fn ratio(value: f64) -> (u32, u32) {
    if value.fract() == 0.0 {
        (value.clamp(0.0, f64::from(u32::MAX)) as u32, 1)
    } else {
        ((value * 1000.0).round().clamp(0.0, f64::from(u32::MAX)) as u32, 1000)
    }
}
