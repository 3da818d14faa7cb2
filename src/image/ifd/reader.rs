//! Reading directories of either byte order, classic or BigTIFF, from a file or a blob.
//!
//! Nothing outside the source is read, and no more is allocated than a directory really holds: what
//! a damaged directory claims beyond that is left out or refused.

use std::io::{self, Read, Seek, SeekFrom};

use super::{Field, size_of_kind, to_little_endian};

/// Entries that a directory may have; a classic one cannot have more.
const MAX_ENTRIES: u64 = 0xffff;

/// One entry of a directory: what it holds and where.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry {
    pub tag: u16,
    pub kind: u16,
    pub count: u64,
    /// Where the entry itself begins.
    pub place: u64,
    /// Where its values begin: inside the entry when they are few.
    pub at: u64,
}

impl Entry {
    /// Bytes of the values.
    pub fn size(&self) -> u64 {
        self.count.saturating_mul(size_of_kind(self.kind) as u64)
    }
}

/// A directory's entries whose values lie inside the source.
#[derive(Debug, Clone, Default)]
pub(crate) struct Directory {
    pub entries: Vec<Entry>,
    /// Where the number of entries is.
    pub place: u64,
    /// Where the link to the next directory is.
    pub link: u64,
    /// The next directory; 0 for none.
    pub next: u64,
}

impl Directory {
    pub fn find(&self, tag: u16) -> Option<Entry> {
        self.entries.iter().find(|e| e.tag == tag).copied()
    }
}

/// A file or blob that begins with a TIFF header.
pub(crate) struct Reader<R> {
    source: R,
    length: u64,
    pub big_endian: bool,
    /// BigTIFF: counts and offsets of 64 bits.
    big: bool,
}

impl<R: Read + Seek> Reader<R> {
    /// Reads the header.
    ///
    /// # Errors
    ///
    /// `InvalidData` when it is no TIFF header, and the source's own errors.
    pub fn new(mut source: R) -> io::Result<Self> {
        let length = source.seek(SeekFrom::End(0))?;
        source.seek(SeekFrom::Start(0))?;
        let mut magic = [0u8; 4];
        source.read_exact(&mut magic)?;
        let (big_endian, big) = match &magic {
            b"II*\0" => (false, false),
            b"MM\0*" => (true, false),
            b"II+\0" => (false, true),
            b"MM\0+" => (true, true),
            _ => return Err(io::ErrorKind::InvalidData.into()),
        };
        Ok(Reader { source, length, big_endian, big })
    }

    /// Where the first directory is.
    pub fn first(&mut self) -> io::Result<u64> {
        let at = if self.big { 8 } else { 4 };
        self.number(at, self.word())
    }

    /// Bytes of an offset.
    fn word(&self) -> usize {
        if self.big { 8 } else { 4 }
    }

    /// Bytes of the whole source.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// `size` bytes at `at`, all of them or none.
    ///
    /// # Errors
    ///
    /// `UnexpectedEof` when the source ends before them.
    pub fn read(&mut self, at: u64, size: u64) -> io::Result<Vec<u8>> {
        if at.checked_add(size).is_none_or(|end| end > self.length) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.source.seek(SeekFrom::Start(at))?;
        let mut bytes = vec![0; usize::try_from(size).map_err(io::Error::other)?];
        self.source.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    fn number(&mut self, at: u64, width: usize) -> io::Result<u64> {
        let bytes = self.read(at, width as u64)?;
        Ok(self.value(&bytes))
    }

    /// An unsigned number in the source's byte order.
    fn value(&self, bytes: &[u8]) -> u64 {
        let fold = |value: u64, byte: &u8| value << 8 | u64::from(*byte);
        if self.big_endian { bytes.iter().fold(0, fold) } else { bytes.iter().rev().fold(0, fold) }
    }

    /// The directory at `at`. Entries whose values lie outside the source are left out.
    ///
    /// # Errors
    ///
    /// `UnexpectedEof` when the table itself does not lie inside.
    pub fn directory(&mut self, at: u64) -> io::Result<Directory> {
        let (head, width, word) = if self.big { (8, 20, 8) } else { (2, 12, 4) };
        let count = self.number(at, head)?;
        if count > MAX_ENTRIES {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let start = at + head as u64;
        let table = self.read(start, count * width)?;
        let link = start + table.len() as u64;
        // The link may be cut off; the directory is whole without it.
        let next = self.number(link, word).unwrap_or(0);
        let entries = table.chunks_exact(width as usize).zip(0u64..).filter_map(|(entry, i)| {
            let place = start + i * width;
            let (tag, kind) = (self.value(&entry[..2]) as u16, self.value(&entry[2..4]) as u16);
            let count = self.value(&entry[4..4 + word]);
            let mut found = Entry { tag, kind, count, place, at: place + 4 + word as u64 };
            if found.size() > word as u64 {
                found.at = self.value(&entry[4 + word..]);
            }
            let end = found.at.checked_add(found.size())?;
            (end <= self.length).then_some(found)
        });
        Ok(Directory { entries: entries.collect(), place: at, link, next })
    }

    /// An entry's values as bytes in the source's order; nothing when they are more than `longest`
    /// bytes.
    pub fn bytes(&mut self, entry: &Entry, longest: u64) -> Option<Vec<u8>> {
        if entry.size() > longest { None } else { self.read(entry.at, entry.size()).ok() }
    }

    /// An entry with its values, little-endian; nothing when it has none or more than `longest`
    /// bytes of them.
    pub fn field(&mut self, entry: &Entry, longest: u64) -> Option<Field> {
        let mut bytes = self.bytes(entry, longest).filter(|bytes| !bytes.is_empty())?;
        if self.big_endian {
            to_little_endian(entry.kind, &mut bytes);
        }
        let count = usize::try_from(entry.count).ok()?;
        Some(Field { tag: entry.tag, kind: entry.kind, count, bytes })
    }

    /// An entry's values as unsigned numbers; nothing for other kinds and more than `longest` bytes.
    pub fn numbers(&mut self, entry: &Entry, longest: u64) -> Option<Vec<u64>> {
        if !matches!(entry.kind, 1 | 3 | 4 | 7 | 13 | 16 | 18) {
            return None;
        }
        let bytes = self.bytes(entry, longest)?;
        Some(bytes.chunks_exact(size_of_kind(entry.kind)).map(|v| self.value(v)).collect())
    }

    /// An entry's first value as an unsigned number.
    pub fn first_number(&mut self, entry: &Entry) -> Option<u64> {
        let one = Entry { count: entry.count.min(1), ..*entry };
        self.numbers(&one, 8)?.first().copied()
    }

    /// An entry's first value as a positive number: a fraction, or a whole number.
    pub fn positive(&mut self, entry: &Entry) -> Option<f64> {
        let value = match entry.kind {
            5 if entry.count > 0 => {
                let bytes = self.read(entry.at, 8).ok()?;
                let (n, d) = (self.value(&bytes[..4]), self.value(&bytes[4..]));
                n as f64 / d as f64
            }
            11 if entry.count > 0 => {
                let bytes = self.read(entry.at, 4).ok()?;
                f64::from(f32::from_bits(self.value(&bytes) as u32))
            }
            _ => self.first_number(entry)? as f64,
        };
        (value.is_finite() && value > 0.0).then_some(value)
    }

    /// The first text of an ASCII entry.
    pub fn text(&mut self, entry: &Entry) -> Option<String> {
        self.field(entry, 1 << 16)?.as_text()
    }
}
