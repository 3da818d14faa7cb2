//! The first bytes of a file of planes.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Bytes of the head, before the label.
pub const LENGTH: usize = 64;
/// The longest label, bytes.
const LONGEST_LABEL: u64 = 1 << 16;
/// The format that is written and read.
const FORMAT: u16 = 1;
const MAGIC: &[u8; 14] = b"impasto-planes";
/// How files of earlier formats begin.
const EARLIER: [&str; 3] = ["impasto-vector-1", "impasto-canvas-1", "impasto-targets "];

/// How many planes, and how large.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shape {
    /// Planes.
    pub channels: usize,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
}

impl Shape {
    /// A canvas of three planes.
    pub fn canvas((width, height): (usize, usize)) -> Self {
        Self { channels: 3, height, width }
    }

    /// Values in all planes; nothing when they are more than can be addressed.
    pub fn values(&self) -> Option<usize> {
        self.channels.checked_mul(self.height)?.checked_mul(self.width)
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} x {}x{}", self.channels, self.width, self.height)
    }
}

/// What a file's first bytes say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Bytes of a value: 4 or 8.
    pub value_bytes: usize,
    /// The planes.
    pub shape: Shape,
    /// Bytes of the label.
    pub label: usize,
}

/// Why a head cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeadError {
    /// Another version of the program wrote it, in the format of this name.
    Format(String),
    /// It is not what was written.
    Damaged(&'static str),
}

impl Head {
    /// The head's bytes.
    pub fn to_bytes(&self) -> [u8; LENGTH] {
        let Shape { channels, height, width } = self.shape;
        let mut bytes = Vec::with_capacity(LENGTH);
        bytes.extend(MAGIC);
        bytes.extend(FORMAT.to_le_bytes());
        bytes.extend((self.value_bytes as u32).to_le_bytes());
        bytes.extend([0; 4]);
        for number in [channels, height, width, self.label] {
            bytes.extend((number as u64).to_le_bytes());
        }
        bytes.extend([0; 4]);
        let crc = crc32fast::hash(&bytes);
        bytes.extend(crc.to_le_bytes());
        let mut head = [0; LENGTH];
        head.copy_from_slice(&bytes);
        head
    }

    /// Reads a file's first bytes: all of them, or the first [`LENGTH`].
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn parse(bytes: &[u8]) -> Result<Self, HeadError> {
        let earlier = |name: &&str| bytes.starts_with(name.as_bytes());
        if let Some(name) = EARLIER.into_iter().find(earlier) {
            return Err(HeadError::Format(format!("`{}`", name.trim_end())));
        }
        let head = bytes.first_chunk::<LENGTH>();
        let head = head.ok_or(HeadError::Damaged("it is shorter than its head"))?;
        if !head.starts_with(MAGIC) {
            return Err(HeadError::Damaged("it does not begin with `impasto-planes`"));
        }
        let number = |at: usize, bytes: usize| {
            head[at..at + bytes].iter().rev().fold(0u64, |n, byte| n << 8 | u64::from(*byte))
        };
        if number(60, 4) != u64::from(crc32fast::hash(&head[..60])) {
            return Err(HeadError::Damaged("the checksum of its head is wrong"));
        }
        let format = number(14, 2);
        if format != u64::from(FORMAT) {
            return Err(HeadError::Format(format!("`impasto-planes` {format}")));
        }
        let unknown = HeadError::Damaged("its head has values that this program does not know");
        let zeros = number(20, 4) == 0 && number(56, 4) == 0;
        if !zeros || !matches!(number(16, 4), 4 | 8) || number(48, 8) > LONGEST_LABEL {
            return Err(unknown);
        }
        let side = |at: usize| usize::try_from(number(at, 8)).map_err(|_| unknown.clone());
        let shape = Shape { channels: side(24)?, height: side(32)?, width: side(40)? };
        let head = Self { value_bytes: number(16, 4) as usize, shape, label: side(48)? };
        head.file_length().ok_or(unknown)?;
        Ok(head)
    }

    /// The checksum over all of the file that is not values: with those of the rows in `table`, a
    /// checksum over everything.
    pub(super) fn seal(&self, label: &str, table: &[u8]) -> u32 {
        let mut hasher = crc32fast::Hasher::new();
        for part in [&self.to_bytes()[..], label.as_bytes(), table] {
            hasher.update(part);
        }
        hasher.finalize()
    }

    /// Bytes of a row of all planes.
    pub(super) fn row_bytes(&self) -> usize {
        self.shape.channels * self.shape.width * self.value_bytes
    }

    /// Where the values begin.
    pub(super) fn values_at(&self) -> u64 {
        (LENGTH + self.label) as u64
    }

    /// Where the rows' checksums begin.
    pub(super) fn table_at(&self) -> u64 {
        self.values_at() + self.row_bytes() as u64 * self.shape.height as u64
    }

    /// Bytes of the whole file; nothing when that is more than can be.
    pub fn file_length(&self) -> Option<u64> {
        let values = self.shape.values()?.checked_mul(self.value_bytes)?;
        let table = self.shape.height.checked_mul(4)?.checked_add(4)?;
        u64::try_from(values.checked_add(table)?.checked_add(LENGTH + self.label)?).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_comes_back_and_every_changed_byte_is_seen() {
        let shape = Shape { channels: 3, height: 1 << 20, width: 77 };
        let head = Head { value_bytes: 8, shape, label: 5 };
        let bytes = head.to_bytes();
        assert_eq!(Head::parse(&bytes), Ok(head));
        for at in 0..LENGTH {
            let mut changed = bytes;
            changed[at] ^= 1;
            assert!(matches!(Head::parse(&changed), Err(HeadError::Damaged(_))), "byte {at}");
            assert!(matches!(Head::parse(&bytes[..at]), Err(HeadError::Damaged(_))), "cut at {at}");
        }
    }

    #[test]
    fn other_formats_are_named_and_never_called_damaged() {
        for (bytes, name) in [
            (&b"impasto-vector-1\x03\0\0\0"[..], "`impasto-vector-1`"),
            (b"impasto-canvas-1", "`impasto-canvas-1`"),
            (b"impasto-targets 1\n0123", "`impasto-targets`"),
        ] {
            assert_eq!(Head::parse(bytes), Err(HeadError::Format(name.into())));
        }
        let shape = Shape::canvas((2, 2));
        let mut later = Head { value_bytes: 4, shape, label: 0 }.to_bytes();
        later[14] = 9;
        let crc = crc32fast::hash(&later[..60]);
        later[60..].copy_from_slice(&crc.to_le_bytes());
        assert_eq!(Head::parse(&later), Err(HeadError::Format("`impasto-planes` 9".into())));
    }

    #[test]
    fn sizes_beyond_the_address_space_are_damage() {
        let shape = Shape { channels: 3, height: usize::MAX / 2, width: usize::MAX / 2 };
        let bytes = Head { value_bytes: 4, shape, label: 0 }.to_bytes();
        assert!(matches!(Head::parse(&bytes), Err(HeadError::Damaged(_))));
    }
}
