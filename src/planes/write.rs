//! Writing planes, row by row from the top.

use std::io::Write;
use std::marker::PhantomData;
use std::path::Path;

use super::error::PlaneError;
use super::head::{Head, Shape};
use super::read::PlaneFile;
use super::value::Value;
use crate::files::{AtomicFile, Overwrite};
use crate::geometry::Rect;

/// Planes being written, row by row from the top. Nothing appears under the final name before
/// [`PlaneWriter::finish`]; dropped before that, it leaves nothing behind.
#[derive(Debug)]
pub struct PlaneWriter<T = f32> {
    file: AtomicFile,
    head: Head,
    label: String,
    /// The checksums of the rows so far.
    table: Vec<u32>,
    row: Vec<u8>,
    kind: PhantomData<T>,
}

impl<T: Value> PlaneWriter<T> {
    /// Begins planes of `shape` that will be at `path`, which may be replaced. `label` says what
    /// they are of.
    ///
    /// # Errors
    /// When the file cannot be created or the disk is full.
    pub fn create(path: &Path, shape: Shape, label: &str) -> Result<Self, PlaneError> {
        let mut file = AtomicFile::create(path, Overwrite::Allow)?;
        let head = Head { value_bytes: T::BYTES, shape, label: label.len() };
        let mut begin = || {
            file.write_all(&head.to_bytes())?;
            file.write_all(label.as_bytes())
        };
        begin().map_err(PlaneError::io("write", path))?;
        let (table, row) = (Vec::with_capacity(shape.height), Vec::with_capacity(head.row_bytes()));
        Ok(Self { file, head, label: label.into(), table, row, kind: PhantomData })
    }

    /// Writes the next rows, `[C, rows, W]`.
    ///
    /// # Errors
    /// When the values are no whole rows or too many, or the disk is full.
    pub fn write_rows(&mut self, values: &[T]) -> Result<(), PlaneError> {
        let Shape { channels, height, width } = self.head.shape;
        let (line, top) = (width.max(1), self.table.len());
        let rows = values.len() / (channels * line).max(1);
        if values.len() != channels * width * rows || rows > height - top {
            let rect = Rect { left: 0, top, width, height: rows };
            return Err(PlaneError::Outside { rect, values: values.len(), shape: self.head.shape });
        }
        for y in 0..rows {
            self.row.clear();
            for plane in values.chunks_exact(rows * line) {
                T::encode(&plane[y * line..][..line], &mut self.row);
            }
            self.table.push(crc32fast::hash(&self.row));
            self.file.write_all(&self.row).map_err(PlaneError::io("write", self.file.path()))?;
        }
        Ok(())
    }

    /// Seals the planes, makes them durable and gives them their name.
    ///
    /// # Errors
    /// When rows are missing, or the file cannot be written, synced or renamed.
    pub fn finish(mut self) -> Result<PlaneFile<T>, PlaneError> {
        let Shape { width, height, .. } = self.head.shape;
        if self.table.len() != height && self.head.row_bytes() > 0 {
            let (rect, values) = (Rect::whole(width, height), self.table.len());
            return Err(PlaneError::Outside { rect, values, shape: self.head.shape });
        }
        // Rows without values have nothing to be written.
        self.table.resize(height, crc32fast::hash(&[]));
        let table: Vec<u8> = self.table.iter().flat_map(|crc| crc.to_le_bytes()).collect();
        let seal = self.head.seal(&self.label, &table);
        let mut end = || {
            self.file.write_all(&table)?;
            self.file.write_all(&seal.to_le_bytes())
        };
        end().map_err(PlaneError::io("write", self.file.path()))?;
        let path = self.file.commit()?;
        PlaneFile::open(&path)
    }

    /// Writes `values`, `[C, H, W]`, to `path`.
    ///
    /// # Errors
    /// As [`PlaneWriter::create`], [`PlaneWriter::write_rows`] and [`PlaneWriter::finish`].
    pub fn write(
        path: &Path,
        shape: Shape,
        label: &str,
        values: &[T],
    ) -> Result<PlaneFile<T>, PlaneError> {
        let mut writer = Self::create(path, shape, label)?;
        writer.write_rows(values)?;
        writer.finish()
    }
}
