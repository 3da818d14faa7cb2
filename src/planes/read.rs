//! Reading planes by rectangles, every row compared with its checksum.

use std::fs::File;
use std::io;
use std::marker::PhantomData;
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::error::PlaneError;
use super::head::{Head, HeadError, LENGTH, Shape};
use super::positioned::PositionedFile;
use super::value::Value;
use crate::geometry::Rect;
use crate::memory;

/// Bytes that are read at once, at most, where rows are not longer.
const CHUNK: usize = 1 << 20;

/// Planes in a file. Workers share it; memory is bounded by what is read at once.
#[derive(Debug)]
pub struct PlaneFile<T = f32> {
    file: PositionedFile,
    path: PathBuf,
    head: Head,
    label: String,
    /// The checksum of each row.
    table: Vec<u32>,
    seal: u32,
    kind: PhantomData<T>,
}

impl<T: Value> PlaneFile<T> {
    /// Opens the planes at `path` and verifies all but their values, which are verified when they
    /// are read.
    ///
    /// # Errors
    /// When the file cannot be read, is damaged, or has another format.
    pub fn open(path: &Path) -> Result<Self, PlaneError> {
        let file = File::open(path).map_err(PlaneError::io("open", path))?;
        let length = file.metadata().map_err(PlaneError::io("open", path))?.len();
        let file = PositionedFile::new(file);
        let damaged = |reason: &str| PlaneError::damaged(path, reason);
        let mut first = vec![0; LENGTH.min(usize::try_from(length).unwrap_or(LENGTH))];
        read_exact(&file, path, &mut first, 0)?;
        let head = Head::parse(&first).map_err(|error| match error {
            HeadError::Format(format) => PlaneError::Format { path: path.into(), format },
            HeadError::Damaged(reason) => damaged(reason),
        })?;
        if head.value_bytes != T::BYTES {
            return Err(damaged("its values have another size than what is looked for"));
        }
        // The length is compared before memory is taken for what the head promises.
        if head.file_length() != Some(length) {
            let promised = head.file_length().unwrap_or(u64::MAX);
            return Err(damaged(&format!(
                "it should have {promised} bytes and has {length}: its end is missing or not its own"
            )));
        }
        let mut label = vec![0; head.label];
        read_exact(&file, path, &mut label, LENGTH as u64)?;
        let label = String::from_utf8(label).map_err(|_| damaged("its label is not UTF-8"))?;
        let mut table = memory::zeros(4 * head.shape.height)?;
        read_exact(&file, path, &mut table, head.table_at())?;
        let mut stored = [0; 4];
        read_exact(&file, path, &mut stored, length - 4)?;
        let seal = head.seal(&label, &table);
        if stored != seal.to_le_bytes() {
            return Err(damaged("the checksum at its end is wrong"));
        }
        let table = table.as_chunks::<4>().0.iter().map(|crc| u32::from_le_bytes(*crc)).collect();
        Ok(Self { file, path: path.into(), head, label, table, seal, kind: PhantomData })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How many planes, and how large.
    pub fn shape(&self) -> Shape {
        self.head.shape
    }

    /// What the planes are of.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// A checksum over everything in the file: another file has another one.
    pub fn seal(&self) -> u32 {
        self.seal
    }

    /// Bytes of the file.
    pub fn bytes(&self) -> u64 {
        self.head.table_at() + 4 * self.table.len() as u64 + 4
    }

    /// The values of a rectangle, `[C, rect.height, rect.width]`.
    ///
    /// # Errors
    /// When the rectangle lies outside, the file cannot be read, or a row is damaged.
    pub fn read(&self, rect: Rect) -> Result<Vec<T>, PlaneError> {
        let Shape { channels, height, width } = self.head.shape;
        let values = channels * rect.area();
        if rect.right() > width || rect.bottom() > height {
            return Err(PlaneError::Outside { rect, values, shape: self.head.shape });
        }
        let mut all: Vec<T> = memory::zeros(values)?;
        let line = width * T::BYTES;
        let columns = rect.left * T::BYTES..rect.right() * T::BYTES;
        self.each_row(rect.top..rect.bottom(), |y, row| {
            let place = (y - rect.top) * rect.width..(y - rect.top + 1) * rect.width;
            let planes = all.chunks_exact_mut(rect.area().max(1));
            for (plane, line) in planes.zip(row.chunks_exact(line)) {
                T::decode(&line[columns.clone()], &mut plane[place.clone()]);
            }
        })?;
        Ok(all)
    }

    /// All values, `[C, H, W]`.
    ///
    /// # Errors
    /// As [`PlaneFile::read`].
    pub fn read_all(&self) -> Result<Vec<T>, PlaneError> {
        self.read(Rect::whole(self.head.shape.width, self.head.shape.height))
    }

    /// Reads every row and compares it with its checksum.
    ///
    /// # Errors
    /// When the file cannot be read or a row is damaged.
    pub fn verify(&self) -> Result<(), PlaneError> {
        self.each_row(0..self.head.shape.height, |_, _| {})
    }

    /// Reads rows in chunks and hands each to `take` when its checksum is right.
    fn each_row(
        &self,
        rows: Range<usize>,
        mut take: impl FnMut(usize, &[u8]),
    ) -> Result<(), PlaneError> {
        let row = self.head.row_bytes();
        if row == 0 {
            return Ok(());
        }
        let at_once = (CHUNK / row).clamp(1, rows.len().max(1));
        let mut buffer: Vec<u8> = memory::zeros(at_once * row)?;
        for first in rows.clone().step_by(at_once) {
            let chunk = &mut buffer[..row * at_once.min(rows.end - first)];
            let offset = self.head.values_at() + (first * row) as u64;
            read_exact(&self.file, &self.path, chunk, offset)?;
            for (y, bytes) in (first..).zip(chunk.chunks_exact(row)) {
                if crc32fast::hash(bytes) != self.table[y] {
                    let reason = format!("the checksum of row {y} is wrong");
                    return Err(PlaneError::damaged(&self.path, reason));
                }
                take(y, bytes);
            }
        }
        Ok(())
    }

    /// Removes the file.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn remove(self) -> Result<(), PlaneError> {
        std::fs::remove_file(&self.path).map_err(PlaneError::io("remove", &self.path))
    }
}

fn read_exact(
    file: &PositionedFile,
    path: &Path,
    buffer: &mut [u8],
    offset: u64,
) -> Result<(), PlaneError> {
    file.read_exact_at(buffer, offset).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => PlaneError::damaged(path, "its end is missing"),
        _ => PlaneError::io("read", path)(error),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::planes::PlaneWriter;
    use crate::random::Noise;

    const SHAPE: Shape = Shape { channels: 3, height: 23, width: 37 };

    fn noise(shape: Shape) -> Vec<f32> {
        let noise = Noise::new(1);
        (0..shape.values().expect("small")).map(|i| noise.normal(i as u64)).collect()
    }

    fn bits(values: &[f32]) -> Vec<u32> {
        values.iter().map(|value| value.to_bits()).collect()
    }

    #[test]
    fn values_come_back_to_the_last_bit_whatever_they_are() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("planes");
        let shape = Shape { channels: 1, height: 2, width: 4 };
        let odd = [0.0, -0.0, f32::NAN, -f32::NAN, f32::INFINITY, f32::MIN_POSITIVE / 2.0, 1e-45]
            .into_iter()
            .chain([f32::from_bits(0x7fa0_0001)])
            .collect::<Vec<f32>>();
        let file = PlaneWriter::write(&path, shape, "odd", &odd).unwrap();
        assert_eq!(bits(&file.read_all().unwrap()), bits(&odd));
        assert_eq!((file.shape(), file.label()), (shape, "odd"));
        assert_eq!(file.bytes(), std::fs::metadata(&path).unwrap().len());
        let wide = [1.0 / 3.0, f64::MIN_POSITIVE / 3.0, -0.0, f64::NAN];
        let shape = Shape { channels: 2, height: 1, width: 2 };
        let file = PlaneWriter::write(&path, shape, "", &wide).unwrap();
        let found: Vec<u64> = file.read_all().unwrap().into_iter().map(f64::to_bits).collect();
        assert_eq!(found, wide.map(f64::to_bits));
        assert!(PlaneFile::<f32>::open(&path).unwrap_err().is_loss(), "float64 is no float32");
    }

    #[test]
    fn rectangles_are_parts_of_the_whole_and_bands_add_up_to_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("canvas");
        let values = noise(SHAPE);
        let mut writer = PlaneWriter::create(&path, SHAPE, "canvas").unwrap();
        let (plane, width) = (SHAPE.height * SHAPE.width, SHAPE.width);
        for rows in [0..1, 1..15, 15..15, 15..23] {
            let band: Vec<f32> = (0..SHAPE.channels)
                .flat_map(|c| values[c * plane..][rows.start * width..rows.end * width].to_vec())
                .collect();
            assert!(!path.exists(), "nothing appears before the end");
            writer.write_rows(&band).unwrap();
        }
        let file = writer.finish().unwrap();
        let bytes = std::fs::read(&path).unwrap();
        PlaneWriter::write(&path, SHAPE, "canvas", &values).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), bytes, "in bands or at once, the same file");
        assert_eq!(file.read_all().unwrap(), values);
        for rect in [
            Rect { left: 5, top: 7, width: 11, height: 13 },
            Rect { left: 36, top: 22, width: 1, height: 1 },
            Rect { left: 0, top: 3, width: 37, height: 2 },
            Rect { left: 4, top: 4, width: 0, height: 3 },
        ] {
            let expected: Vec<f32> = (0..SHAPE.channels)
                .flat_map(|c| (rect.top..rect.bottom()).map(move |y| c * plane + y * width))
                .flat_map(|start| values[start + rect.left..start + rect.right()].to_vec())
                .collect();
            assert_eq!(file.read(rect).unwrap(), expected, "{rect:?}");
        }
        let outside = Rect { left: 1, top: 0, width: 37, height: 1 };
        assert!(matches!(file.read(outside), Err(PlaneError::Outside { .. })));
        file.verify().unwrap();
    }

    #[test]
    fn planes_without_values_are_planes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("planes");
        for (channels, height, width) in [(0, 0, 0), (3, 0, 5), (3, 4, 0), (0, 4, 4)] {
            let shape = Shape { channels, height, width };
            let file = PlaneWriter::<f32>::write(&path, shape, "", &[]).unwrap();
            assert_eq!(file.read_all().unwrap(), Vec::<f32>::new());
            file.verify().unwrap();
        }
    }

    #[test]
    fn rows_that_are_missing_or_too_many_are_refused_and_nothing_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("planes");
        let mut writer = PlaneWriter::create(&path, Shape::canvas((4, 3)), "").unwrap();
        assert!(writer.write_rows(&[0.0f32; 11]).is_err(), "no whole rows");
        assert!(writer.write_rows(&[0.0f32; 48]).is_err(), "four rows of three");
        writer.write_rows(&[0.0f32; 24]).unwrap();
        assert!(writer.finish().is_err(), "a row is missing");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    /// Opens and reads all, as a reader does.
    fn readable(path: &Path) -> Result<(), PlaneError> {
        PlaneFile::<f32>::open(path)?.read_all().map(drop)
    }

    #[test]
    fn every_changed_byte_and_every_cut_is_damage() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("holiday.planes");
        let shape = Shape { channels: 3, height: 5, width: 4 };
        PlaneWriter::write(&path, shape, "a label", &noise(shape)).unwrap();
        let whole = std::fs::read(&path).unwrap();
        let damaged = |bytes: &[u8], what: String| {
            std::fs::write(&path, bytes).unwrap();
            let error = readable(&path).expect_err(&what);
            assert!(matches!(error, PlaneError::Damaged { .. }) && error.is_loss(), "{error}");
            assert!(error.to_string().contains("holiday.planes is damaged"), "{error}");
        };
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x10;
            damaged(&bytes, format!("byte {at} changed"));
            damaged(&whole[..at], format!("cut at {at}"));
        }
        damaged(&[&whole[..], b"\0"].concat(), "a byte too many".into());
        // A whole block of a disk that was never written.
        let mut bytes = whole.clone();
        bytes[64..].fill(0);
        damaged(&bytes, "zeros behind the head".into());
        damaged(b"the wrong file", "something else".into());
    }

    #[test]
    fn only_the_damaged_row_is_lost() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("planes");
        let values = noise(SHAPE);
        let file = PlaneWriter::write(&path, SHAPE, "", &values).unwrap();
        let mut bytes = std::fs::read(&path).unwrap();
        let row = SHAPE.channels * SHAPE.width * 4;
        bytes[LENGTH + 4 * row + 9] ^= 1;
        std::fs::write(&path, bytes).unwrap();
        let rows = |top, height| file.read(Rect { left: 0, top, width: 1, height });
        assert!(rows(0, 4).is_ok() && rows(5, 18).is_ok());
        assert!(rows(4, 1).unwrap_err().to_string().contains("row 4"));
        assert!(file.verify().is_err());
    }

    #[test]
    fn what_may_pass_is_no_damage() {
        let folder = tempfile::tempdir().unwrap();
        let directory = folder.path().join("directory");
        std::fs::create_dir(&directory).unwrap();
        let error = readable(&directory).unwrap_err();
        assert!(matches!(error, PlaneError::Io { .. }) && !error.is_loss(), "{error}");
        let missing = readable(&folder.path().join("missing")).unwrap_err();
        assert!(missing.is_missing() && missing.is_loss(), "{missing}");
        let earlier = folder.path().join("earlier");
        std::fs::write(&earlier, b"impasto-canvas-1\x05\0\0\0\0\0\0\0").unwrap();
        let error = readable(&earlier).unwrap_err();
        assert!(!error.is_loss() && error.to_string().contains("impasto-canvas-1"), "{error}");
    }
}
