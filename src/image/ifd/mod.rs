//! TIFF directories: their fields in memory, reading and writing them; shared by TIFF files and EXIF
//! blobs.

mod appender;
mod reader;

pub(crate) use appender::Appender;
pub(crate) use reader::{Directory, Entry, Reader};

/// Field types (TIFF 6.0, section 2; BigTIFF).
pub(crate) mod kind {
    pub const BYTE: u16 = 1;
    pub const ASCII: u16 = 2;
    pub const SHORT: u16 = 3;
    pub const LONG: u16 = 4;
    pub const RATIONAL: u16 = 5;
    pub const UNDEFINED: u16 = 7;
    pub const LONG8: u16 = 16;
    pub const IFD8: u16 = 18;
}

/// Bytes of one value of a field type; 0 for a type that is not known.
pub(crate) fn size_of_kind(kind: u16) -> usize {
    match kind {
        1 | 2 | 6 | 7 => 1,
        3 | 8 => 2,
        4 | 9 | 11 | 13 => 4,
        5 | 10 | 12 | 16 | 17 | 18 => 8,
        _ => 0,
    }
}

/// One field of a directory; its values as a little-endian file holds them.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Field {
    pub tag: u16,
    pub kind: u16,
    pub count: usize,
    pub bytes: Vec<u8>,
}

impl Field {
    pub fn shorts(tag: u16, values: &[u16]) -> Self {
        let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        Field { tag, kind: kind::SHORT, count: values.len(), bytes }
    }

    pub fn long(tag: u16, value: u32) -> Self {
        Field { tag, kind: kind::LONG, count: 1, bytes: value.to_le_bytes().to_vec() }
    }

    pub fn rational(tag: u16, value: f64) -> Self {
        let (n, d) = ratio(value);
        let bytes = [n.to_le_bytes(), d.to_le_bytes()].concat();
        Field { tag, kind: kind::RATIONAL, count: 1, bytes }
    }

    /// Text ends with a zero, and so holds none.
    pub fn text(tag: u16, text: &str) -> Self {
        let mut bytes: Vec<u8> = text.bytes().filter(|b| *b != 0).collect();
        bytes.push(0);
        Field { tag, kind: kind::ASCII, count: bytes.len(), bytes }
    }

    pub fn raw(tag: u16, kind: u16, bytes: &[u8]) -> Self {
        Field { tag, kind, count: bytes.len() / size_of_kind(kind).max(1), bytes: bytes.to_vec() }
    }

    /// Offsets or byte counts, as wide as the file's kind has them.
    pub fn places(tag: u16, values: &[u64], big: bool) -> Self {
        let (kind, width) = if big { (kind::LONG8, 8) } else { (kind::LONG, 4) };
        let bytes = values.iter().flat_map(|v| v.to_le_bytes().into_iter().take(width)).collect();
        Field { tag, kind, count: values.len(), bytes }
    }

    /// Where another directory is.
    pub fn pointer(tag: u16, at: u64, big: bool) -> Self {
        let (kind, width) = if big { (kind::IFD8, 8) } else { (kind::LONG, 4) };
        Field { tag, kind, count: 1, bytes: at.to_le_bytes()[..width].to_vec() }
    }

    /// The first value as text, for ASCII fields.
    pub fn as_text(&self) -> Option<String> {
        let text = self.bytes.split(|b| *b == 0).next()?;
        (self.kind == kind::ASCII).then(|| String::from_utf8_lossy(text).trim().to_owned())
    }
}

/// Values as one byte order has them, turned to little-endian.
pub(crate) fn to_little_endian(kind: u16, bytes: &mut [u8]) {
    let width = match kind {
        5 | 10 => 4,
        other => size_of_kind(other),
    };
    if width > 1 {
        bytes.chunks_exact_mut(width).for_each(<[u8]>::reverse);
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
