//! A blob's fields, for files that hold directories of their own.

use super::{below, open, tag};
use crate::image::ifd::{Appender, Directory, Field};

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
