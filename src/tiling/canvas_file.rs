//! A canvas in a file, read and written by rectangles.
//!
//! Float32 planes `[3, H, W]`, little-endian, row by row, behind a header that names the size.
//! Memory is bounded by what is read at once. Reads and writes name their place in the file
//! (`pread`, `pwrite`), so workers share one handle.
//!
//! Format 1: 16 bytes `impasto-canvas-1`, width and height as u64, then the planes.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use crate::geometry::Rect;

const MAGIC: &[u8; 16] = b"impasto-canvas-1";
const HEADER: u64 = 32;

/// Why a canvas file could not be used.
#[derive(Debug, thiserror::Error)]
pub enum CanvasError {
    /// The system refused.
    #[error("cannot {action} the canvas {path}: {source}", path = .path.display())]
    Io {
        /// What was being done: a verb.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The file is something else, or was cut short.
    #[error("{path} is not a whole canvas: {reason}", path = .path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A rectangle outside the canvas, or values that do not fill it: a mistake of the program.
    #[error("{width}x{height} px at ({left}, {top}) with {values} values do not fit a canvas of {size:?} px", width = .rect.width, height = .rect.height, left = .rect.left, top = .rect.top)]
    Outside {
        /// What was asked for.
        rect: Rect,
        /// Values given or expected.
        values: usize,
        /// Width and height of the canvas.
        size: (usize, usize),
    },
}

/// Planar pixels that can be read by rectangles, wherever they are.
pub trait Pixels: Sync {
    /// Width and height, px.
    fn size(&self) -> (usize, usize);

    /// The values of a rectangle, `[3, rect.height, rect.width]`.
    ///
    /// # Errors
    /// When the rectangle lies outside or the file cannot be read.
    fn read(&self, rect: Rect) -> Result<Vec<f32>, CanvasError>;
}

/// Planar pixels in memory.
pub struct Planes<'a> {
    size: (usize, usize),
    values: &'a [f32],
}

impl<'a> Planes<'a> {
    /// Looks at `values`, `[3, height, width]`.
    ///
    /// # Errors
    /// When they are of another size.
    pub fn new((width, height): (usize, usize), values: &'a [f32]) -> Result<Self, CanvasError> {
        check(Rect::whole(width, height), (width, height), values.len())?;
        Ok(Self { size: (width, height), values })
    }
}

impl Pixels for Planes<'_> {
    fn size(&self) -> (usize, usize) {
        self.size
    }

    fn read(&self, rect: Rect) -> Result<Vec<f32>, CanvasError> {
        check(rect, self.size, 3 * rect.area())?;
        let mut values = Vec::with_capacity(3 * rect.area());
        for (channel, y) in lines(rect) {
            let start = (channel * self.size.1 + y) * self.size.0 + rect.left;
            values.extend_from_slice(&self.values[start..start + rect.width]);
        }
        Ok(values)
    }
}

/// A canvas `[3, H, W]` in a file.
#[derive(Debug)]
pub struct CanvasFile {
    file: Positioned,
    path: PathBuf,
    size: (usize, usize),
}

impl CanvasFile {
    /// Creates a canvas of zeros, or replaces the one at `path`; the file is sparse where the
    /// system can do that.
    ///
    /// # Errors
    /// When the file cannot be made or has no room.
    pub fn create(path: &Path, (width, height): (usize, usize)) -> Result<Self, CanvasError> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(path)
            .map_err(failed("create", path))?;
        file.set_len(HEADER + bytes((width, height))).map_err(failed("make room for", path))?;
        let canvas = Self { file: Positioned::new(file), path: path.into(), size: (width, height) };
        let mut header = MAGIC.to_vec();
        header.extend((width as u64).to_le_bytes());
        header.extend((height as u64).to_le_bytes());
        canvas.file.write_all_at(&header, 0).map_err(failed("write", path))?;
        Ok(canvas)
    }

    /// Creates a canvas of `values`, `[3, height, width]`.
    ///
    /// # Errors
    /// When the file cannot be written or the values are of another size.
    pub fn create_with(
        path: &Path,
        size: (usize, usize),
        values: &[f32],
    ) -> Result<Self, CanvasError> {
        let canvas = Self::create(path, size)?;
        canvas.write(Rect::whole(size.0, size.1), values)?;
        Ok(canvas)
    }

    /// Opens a canvas for reading and writing.
    ///
    /// # Errors
    /// When it cannot be opened, is no canvas, or is not as long as its header says.
    pub fn open(path: &Path) -> Result<Self, CanvasError> {
        let file =
            OpenOptions::new().read(true).write(true).open(path).map_err(failed("open", path))?;
        let length = file.metadata().map_err(failed("look at", path))?.len();
        let malformed = |reason: String| CanvasError::Malformed { path: path.into(), reason };
        if length < HEADER {
            return Err(malformed(format!("it has {length} bytes, fewer than a header")));
        }
        let file = Positioned::new(file);
        let mut header = [0u8; HEADER as usize];
        file.read_exact_at(&mut header, 0).map_err(failed("read", path))?;
        if &header[..16] != MAGIC {
            return Err(malformed("it does not begin with `impasto-canvas-1`".into()));
        }
        let number = |at: usize| {
            header[at..at + 8].iter().rev().fold(0u64, |n, byte| n << 8 | u64::from(*byte))
        };
        let (width, height) = (number(16), number(24));
        let expected = width
            .checked_mul(height)
            .and_then(|n| n.checked_mul(12))
            .and_then(|n| n.checked_add(HEADER));
        if expected != Some(length) {
            return Err(malformed(format!(
                "its header says {width}x{height} px, and it has {length} bytes"
            )));
        }
        Ok(Self { file, path: path.into(), size: (width as usize, height as usize) })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a rectangle's values, `[3, rect.height, rect.width]`.
    ///
    /// # Errors
    /// When the rectangle lies outside, the values do not fill it, or the file cannot be written.
    pub fn write(&self, rect: Rect, values: &[f32]) -> Result<(), CanvasError> {
        check(rect, self.size, values.len())?;
        let mut row = Vec::with_capacity(4 * rect.width);
        for ((channel, y), line) in lines(rect).zip(values.chunks(rect.width.max(1))) {
            row.clear();
            row.extend(line.iter().flat_map(|v| v.to_le_bytes()));
            self.file
                .write_all_at(&row, self.offset(channel, y, rect.left))
                .map_err(failed("write", &self.path))?;
        }
        Ok(())
    }

    /// Makes what was written durable.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn sync(&self) -> Result<(), CanvasError> {
        self.file.sync().map_err(failed("sync", &self.path))
    }

    /// Removes the file.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn remove(self) -> Result<(), CanvasError> {
        std::fs::remove_file(&self.path).map_err(failed("remove", &self.path))
    }

    fn offset(&self, channel: usize, row: usize, column: usize) -> u64 {
        HEADER + 4 * ((channel * self.size.1 + row) * self.size.0 + column) as u64
    }
}

impl Pixels for CanvasFile {
    fn size(&self) -> (usize, usize) {
        self.size
    }

    fn read(&self, rect: Rect) -> Result<Vec<f32>, CanvasError> {
        check(rect, self.size, 3 * rect.area())?;
        let mut values = Vec::with_capacity(3 * rect.area());
        let mut row = vec![0u8; 4 * rect.width];
        for (channel, y) in lines(rect) {
            self.file
                .read_exact_at(&mut row, self.offset(channel, y, rect.left))
                .map_err(failed("read", &self.path))?;
            values.extend(row.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)));
        }
        Ok(values)
    }
}

/// Channel and row of every line of a rectangle, in the order of its values.
fn lines(rect: Rect) -> impl Iterator<Item = (usize, usize)> {
    (0..3).flat_map(move |channel| (rect.top..rect.bottom()).map(move |y| (channel, y)))
}

fn bytes((width, height): (usize, usize)) -> u64 {
    12 * width as u64 * height as u64
}

fn check(rect: Rect, size: (usize, usize), values: usize) -> Result<(), CanvasError> {
    if rect.right() > size.0 || rect.bottom() > size.1 || values != 3 * rect.area() {
        return Err(CanvasError::Outside { rect, values, size });
    }
    Ok(())
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> CanvasError {
    let path = path.to_path_buf();
    move |source| CanvasError::Io { action, path, source }
}

/// A file read and written at places, without a cursor that workers would fight over.
#[derive(Debug)]
struct Positioned {
    #[cfg(unix)]
    file: File,
    #[cfg(not(unix))]
    file: std::sync::Mutex<File>,
}

#[cfg(unix)]
impl Positioned {
    fn new(file: File) -> Self {
        Self { file }
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        std::os::unix::fs::FileExt::read_exact_at(&self.file, buffer, offset)
    }

    fn write_all_at(&self, buffer: &[u8], offset: u64) -> io::Result<()> {
        std::os::unix::fs::FileExt::write_all_at(&self.file, buffer, offset)
    }

    fn sync(&self) -> io::Result<()> {
        self.file.sync_all()
    }
}

#[cfg(not(unix))]
impl Positioned {
    fn new(file: File) -> Self {
        Self { file: std::sync::Mutex::new(file) }
    }

    fn at(&self, offset: u64) -> io::Result<std::sync::MutexGuard<'_, File>> {
        use std::io::Seek;
        let mut file = self.file.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        file.seek(io::SeekFrom::Start(offset))?;
        Ok(file)
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        io::Read::read_exact(&mut *self.at(offset)?, buffer)
    }

    fn write_all_at(&self, buffer: &[u8], offset: u64) -> io::Result<()> {
        io::Write::write_all(&mut *self.at(offset)?, buffer)
    }

    fn sync(&self) -> io::Result<()> {
        self.at(0)?.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rectangles_round_trip() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("canvas");
        let (width, height) = (37, 23);
        let noise = crate::random::Noise::new(1);
        let mut values: Vec<f32> =
            (0..3 * width * height).map(|i| noise.normal(i as u64)).collect();
        let canvas = CanvasFile::create_with(&path, (width, height), &values).unwrap();
        let rect = Rect { left: 5, top: 7, width: 11, height: 13 };
        let patch: Vec<f32> = (0..3 * rect.area()).map(|i| noise.normal(9999 + i as u64)).collect();
        canvas.write(rect, &patch).unwrap();
        for (channel, y) in lines(rect) {
            let from = (channel * rect.height + y - rect.top) * rect.width;
            let to = (channel * height + y) * width + rect.left;
            values[to..to + rect.width].copy_from_slice(&patch[from..from + rect.width]);
        }
        let again = CanvasFile::open(&path).unwrap();
        assert_eq!(again.size(), (width, height));
        assert_eq!(again.read(Rect::whole(width, height)).unwrap(), values);
        assert_eq!(again.read(rect).unwrap(), patch);
        let planes = Planes::new((width, height), &values).unwrap();
        assert_eq!(planes.read(rect).unwrap(), patch);
    }

    #[test]
    fn a_new_canvas_is_zero() {
        let directory = tempfile::tempdir().unwrap();
        let canvas = CanvasFile::create(&directory.path().join("canvas"), (5, 4)).unwrap();
        assert_eq!(canvas.read(Rect::whole(5, 4)).unwrap(), vec![0.0; 60]);
    }

    #[test]
    fn what_is_no_canvas_is_refused_with_its_path() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("holiday.canvas");
        assert!(CanvasFile::open(&path).unwrap_err().to_string().contains("holiday.canvas"));
        let refused = |bytes: &[u8], part: &str| {
            std::fs::write(&path, bytes).unwrap();
            let message = CanvasFile::open(&path).unwrap_err().to_string();
            assert!(message.contains("holiday.canvas") && message.contains(part), "{message}");
        };
        refused(b"", "0 bytes");
        refused(&[0; 100], "does not begin");
        drop(CanvasFile::create(&path, (3, 3)).unwrap());
        let mut whole = std::fs::read(&path).unwrap();
        whole.pop();
        refused(&whole, "3x3 px");
        whole[16..24].copy_from_slice(&u64::MAX.to_le_bytes());
        refused(&whole, "bytes");
        let canvas = CanvasFile::create(&path, (3, 3)).unwrap();
        assert!(canvas.read(Rect { left: 1, top: 0, width: 3, height: 1 }).is_err());
        assert!(canvas.write(Rect::whole(3, 3), &[0.0; 5]).is_err());
    }
}
