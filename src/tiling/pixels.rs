//! Canvases that are read by rectangles, in memory and in files.

use std::path::Path;

use crate::geometry::Rect;
use crate::memory;
use crate::planes::{Head, PlaneError, PlaneFile, PlaneWriter, Shape};

/// What a canvas's file says that it is.
const LABEL: &str = "canvas";

/// Planar pixels that can be read by rectangles, wherever they are.
pub trait Pixels: Sync {
    /// Width and height, px.
    fn size(&self) -> (usize, usize);

    /// The values of a rectangle, `[3, rect.height, rect.width]`.
    ///
    /// # Errors
    /// When the rectangle lies outside or the file cannot be read.
    fn read(&self, rect: Rect) -> Result<Vec<f32>, PlaneError>;
}

/// Planar pixels in memory.
pub struct Planes<'a> {
    size: (usize, usize),
    values: &'a [f32],
}

impl<'a> Planes<'a> {
    /// A view of `values`, `[3, height, width]`.
    ///
    /// # Errors
    /// When they are of another size.
    pub fn new((width, height): (usize, usize), values: &'a [f32]) -> Result<Self, PlaneError> {
        check(Rect::whole(width, height), (width, height), values.len())?;
        Ok(Self { size: (width, height), values })
    }
}

impl Pixels for Planes<'_> {
    fn size(&self) -> (usize, usize) {
        self.size
    }

    fn read(&self, rect: Rect) -> Result<Vec<f32>, PlaneError> {
        check(rect, self.size, 3 * rect.area())?;
        let mut values = memory::reserved(3 * rect.area())?;
        for channel in 0..3 {
            for y in rect.top..rect.bottom() {
                let start = (channel * self.size.1 + y) * self.size.0 + rect.left;
                values.extend_from_slice(&self.values[start..start + rect.width]);
            }
        }
        Ok(values)
    }
}

fn check(rect: Rect, size: (usize, usize), values: usize) -> Result<(), PlaneError> {
    if rect.right() > size.0 || rect.bottom() > size.1 || values != 3 * rect.area() {
        return Err(PlaneError::Outside { rect, values, shape: Shape::canvas(size) });
    }
    Ok(())
}

/// A canvas `[3, H, W]` in a file.
pub type CanvasFile = PlaneFile<f32>;

impl CanvasFile {
    /// Begins a canvas of `size` (width, height) px that will be at `path`, to be written by bands.
    ///
    /// # Errors
    /// When the file cannot be created.
    pub fn create(path: &Path, size: (usize, usize)) -> Result<PlaneWriter, PlaneError> {
        PlaneWriter::create(path, Shape::canvas(size), LABEL)
    }

    /// Writes a canvas of `values`, `[3, height, width]`, to `path`.
    ///
    /// # Errors
    /// When the file cannot be written or the values are of another size.
    pub fn create_with(
        path: &Path,
        size: (usize, usize),
        values: &[f32],
    ) -> Result<Self, PlaneError> {
        check(Rect::whole(size.0, size.1), size, values.len())?;
        PlaneWriter::write(path, Shape::canvas(size), LABEL, values)
    }

    /// Bytes of the file of a canvas of `size` px.
    pub fn bytes_of(size: (usize, usize)) -> u64 {
        let head =
            Head { value_bytes: size_of::<f32>(), shape: Shape::canvas(size), label: LABEL.len() };
        head.file_length().unwrap_or(u64::MAX)
    }

    /// Opens the canvas of `size` at `path` and verifies every value. Nothing when it is not there;
    /// when it is damaged or of another size, `note` gets the reason in words.
    ///
    /// # Errors
    /// When the system refuses to read it, or another version wrote it: it may be as good as ever.
    pub fn open_whole(
        path: &Path,
        size: (usize, usize),
        note: &mut dyn FnMut(String),
    ) -> Result<Option<Self>, PlaneError> {
        let opened = Self::open(path).and_then(|canvas| canvas.verify().map(|()| canvas));
        match opened {
            Ok(canvas) if canvas.shape() == Shape::canvas(size) && canvas.label() == LABEL => {
                Ok(Some(canvas))
            }
            Ok(_) => {
                note(format!("{} is another's canvas", path.display()));
                Ok(None)
            }
            Err(error) if error.is_missing() => Ok(None),
            Err(error) if error.is_loss() => {
                note(error.to_string());
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

impl Pixels for CanvasFile {
    fn size(&self) -> (usize, usize) {
        (self.shape().width, self.shape().height)
    }

    fn read(&self, rect: Rect) -> Result<Vec<f32>, PlaneError> {
        PlaneFile::read(self, rect)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_canvas_in_memory_and_one_in_a_file_give_the_same_rectangles() {
        let folder = tempfile::tempdir().unwrap();
        let size = (37, 23);
        let noise = crate::random::Noise::new(1);
        let values: Vec<f32> = (0..3 * 37 * 23).map(|i| noise.normal(i)).collect();
        let file = CanvasFile::create_with(&folder.path().join("canvas"), size, &values).unwrap();
        let memory = Planes::new(size, &values).unwrap();
        assert_eq!((Pixels::size(&file), memory.size()), (size, size));
        assert_eq!(CanvasFile::bytes_of(size), file.bytes());
        for rect in [Rect::whole(37, 23), Rect { left: 5, top: 7, width: 11, height: 13 }] {
            assert_eq!(Pixels::read(&file, rect).unwrap(), memory.read(rect).unwrap());
        }
        let outside = Rect { left: 30, top: 0, width: 8, height: 1 };
        assert!(memory.read(outside).is_err() && file.read(outside).is_err());
        assert!(Planes::new((37, 22), &values).is_err());
    }

    #[test]
    fn a_lost_canvas_is_noted_and_one_that_cannot_be_read_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("canvas");
        let open = || {
            let mut notes = vec![];
            let canvas = CanvasFile::open_whole(&path, (2, 2), &mut |note| notes.push(note));
            canvas.map(|canvas| (canvas.is_some(), notes.len()))
        };
        assert_eq!(open().unwrap(), (false, 0), "one that is not there is nothing to note");
        CanvasFile::create_with(&path, (2, 2), &[0.5; 12]).unwrap();
        assert_eq!(open().unwrap(), (true, 0));
        CanvasFile::create_with(&path, (1, 4), &[0.5; 12]).unwrap();
        assert_eq!(open().unwrap(), (false, 1));
        std::fs::write(&path, b"impasto-planes").unwrap();
        assert_eq!(open().unwrap(), (false, 1));
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
        assert!(open().is_err());
    }
}
