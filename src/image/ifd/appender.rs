//! Writing directories, little-endian, at the end of a file or blob.

use std::io::{self, Write};

use super::Field;

/// A place to append directories to, that counts where it is.
pub(crate) struct Appender<'a> {
    pub out: &'a mut dyn Write,
    pub position: u64,
    /// BigTIFF: counts and offsets of 64 bits.
    pub big: bool,
}

impl Appender<'_> {
    pub fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.out.write_all(bytes)?;
        self.position += bytes.len() as u64;
        Ok(())
    }

    /// Values and directories start on even offsets, as TIFF asks.
    fn align(&mut self) -> io::Result<()> {
        if self.position % 2 == 1 { self.put(&[0]) } else { Ok(()) }
    }

    /// Writes the values that do not fit in the directory, then the directory, sorted, without a
    /// successor. Returns the directory's offset.
    pub fn directory(&mut self, mut fields: Vec<Field>) -> io::Result<u64> {
        fields.sort_by_key(|f| f.tag);
        let width = if self.big { 8 } else { 4 };
        let mut table = Vec::new();
        let entries = fields.len() as u64;
        table.extend(&entries.to_le_bytes()[..if self.big { 8 } else { 2 }]);
        for field in fields {
            table.extend(field.tag.to_le_bytes());
            table.extend(field.kind.to_le_bytes());
            table.extend(&(field.count as u64).to_le_bytes()[..width]);
            let mut value = field.bytes;
            if value.len() > width {
                self.align()?;
                let at = self.position;
                self.put(&value)?;
                value = at.to_le_bytes().to_vec();
            }
            value.resize(width, 0);
            table.extend(value);
        }
        table.extend(&[0u8; 8][..width]);
        self.align()?;
        let at = self.position;
        if !self.big && u32::try_from(at).is_err() {
            return Err(io::Error::other("the file outgrew a classic TIFF's 4 GiB"));
        }
        self.put(&table)?;
        Ok(at)
    }
}
