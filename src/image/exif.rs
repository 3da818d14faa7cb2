//! EXIF: what a picture's blob says, and the same blob made true for another picture.
//!
//! A blob is what files carry: a TIFF header (`II*\0` or `MM\0*`) with directories, without JPEG's
//! `Exif\0\0`.

use super::Orientation;
use super::ifd::{Appender, Field, ratio, size_of_kind, to_little_endian};

/// Tags that are read or changed.
pub(crate) mod tag {
    pub const IMAGE_WIDTH: u16 = 0x0100;
    pub const IMAGE_LENGTH: u16 = 0x0101;
    pub const ORIENTATION: u16 = 0x0112;
    pub const X_RESOLUTION: u16 = 0x011a;
    pub const Y_RESOLUTION: u16 = 0x011b;
    pub const RESOLUTION_UNIT: u16 = 0x0128;
    pub const IMAGE_DESCRIPTION: u16 = 0x010e;
    pub const EXIF_IFD: u16 = 0x8769;
    pub const GPS_IFD: u16 = 0x8825;
    pub const MAKER_NOTE: u16 = 0x927c;
    pub const COLOUR_SPACE: u16 = 0xa001;
    pub const INTEROPERABILITY_IFD: u16 = 0xa005;
    pub const PIXEL_X: u16 = 0xa002;
    pub const PIXEL_Y: u16 = 0xa003;
}

/// One entry of a directory: where it lies in the blob.
#[derive(Debug, Clone, Copy)]
struct Entry {
    tag: u16,
    kind: u16,
    count: usize,
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
            let (tag, kind, n) =
                (self.u16(entry)?, self.u16(entry + 2)?, self.u32(entry + 4)? as usize);
            let size = n.saturating_mul(size_of_kind(kind));
            let value = if size <= 4 { entry + 8 } else { self.u32(entry + 8)? as usize };
            if value.checked_add(size).is_some_and(|end| end <= self.bytes.len()) {
                entries.push(Entry { tag, kind, count: n, at: value });
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
    let (x, y) =
        (blob.rational(find(tag::X_RESOLUTION)?)?, blob.rational(find(tag::Y_RESOLUTION)?)?);
    (x > 0.0 && y > 0.0).then_some((x * per_inch, y * per_inch))
}

/// The blob made true for an upright picture of `width` x `height` pixels at `dpi`: orientation 1,
/// pixel sizes and resolution replaced where they are stated, the thumbnail (second directory) cut
/// off and its bytes blanked. Nothing moves, so that makers' notes, which count offsets from the
/// blob's start, stay readable.
///
/// Its colour space becomes sRGB or, for any other profile, "uncalibrated".
///
/// Returns nothing when the blob is not readable as EXIF.
pub(crate) fn refreshed(
    blob: &[u8],
    (width, height): (u32, u32),
    dpi: Option<f64>,
    srgb: bool,
) -> Option<Vec<u8>> {
    let view = Blob::new(blob)?;
    let (first, link) = view.first()?;
    let mut out = Patch { bytes: blob.to_vec(), big_endian: view.big_endian };
    let sub = first.iter().find(|e| e.tag == tag::EXIF_IFD).and_then(|e| view.number(e));
    let sub = sub
        .and_then(|at| view.directory(at as usize))
        .map(|(entries, _)| entries)
        .unwrap_or_default();
    for entry in first.iter().chain(&sub) {
        match entry.tag {
            tag::ORIENTATION => out.number(entry, 1),
            tag::IMAGE_WIDTH | tag::PIXEL_X => out.number(entry, width),
            tag::IMAGE_LENGTH | tag::PIXEL_Y => out.number(entry, height),
            tag::X_RESOLUTION => out.rational(entry, dpi),
            tag::Y_RESOLUTION => out.rational(entry, dpi),
            tag::COLOUR_SPACE => out.number(entry, if srgb { 1 } else { 0xffff }),
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
            // Within a few bytes of the end: blobs are often padded.
            if at > link + 4
                && at > next as usize
                && end <= self.bytes.len()
                && self.bytes.len() - end < 8
            {
                self.bytes.truncate(at);
            } else if let Some(thumbnail) = self.bytes.get_mut(at..end) {
                thumbnail.fill(0);
            }
        }
        self.put_u32(link, 0);
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
        let Some(view) = Blob::new(blob) else { return Groups::default() };
        let Some((first, _)) = view.first() else { return Groups::default() };
        let sub = |pointer: u16| {
            let at = first.iter().find(|e| e.tag == pointer).and_then(|e| view.number(e));
            at.and_then(|at| view.directory(at as usize))
                .map(|(entries, _)| entries)
                .unwrap_or_default()
        };
        let fields = |entries: &[Entry], keep: fn(u16) -> bool| {
            entries.iter().filter(|e| keep(e.tag)).filter_map(|e| view.field(e)).collect()
        };
        Groups {
            main: fields(&first, |tag| CARRIED.contains(&tag)),
            exif: fields(&sub(tag::EXIF_IFD), Groups::movable),
            gps: fields(&sub(tag::GPS_IFD), |_| true),
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

impl Blob<'_> {
    /// An entry with its values, little-endian.
    fn field(&self, entry: &Entry) -> Option<Field> {
        let size = entry.count.checked_mul(size_of_kind(entry.kind))?;
        let mut bytes = self.bytes.get(entry.at..entry.at.checked_add(size)?)?.to_vec();
        if self.big_endian {
            to_little_endian(entry.kind, &mut bytes);
        }
        (!bytes.is_empty()).then_some(Field {
            tag: entry.tag,
            kind: entry.kind,
            count: entry.count,
            bytes,
        })
    }
}
