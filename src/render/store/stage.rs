//! Canvases at the boundaries of levels: in memory where a level computes there, in a file where
//! memory is not to hold them. Sizes change by bands of rows, so a canvas in a file never passes
//! through memory as a whole.

use std::path::Path;

use candle_core::{Device, Tensor};

use crate::event::CancellationToken;
use crate::geometry::Rect;
use crate::image::{Light, Window, resize_rows};
use crate::planes::PlaneError;
use crate::render::error::RenderError;
use crate::tensor::HostView;
use crate::tiling::{CanvasFile, Pixels, Planes};

/// Values of a band, at most: 48 MiB.
const BAND_VALUES: usize = 12 << 20;
/// Rows of source that the filter may touch beyond a band, when it enlarges.
const REACH: f64 = 3.0;

/// A canvas, float32 `[3, H, W]`.
pub enum Canvas {
    /// In memory.
    Memory(Tensor),
    /// In a file.
    File(CanvasFile),
}

impl Canvas {
    /// The canvas as a tensor, without a copy where it is one.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn tensor(&self) -> Result<Tensor, RenderError> {
        match self {
            Canvas::Memory(tensor) => Ok(tensor.clone()),
            Canvas::File(file) => {
                let (width, height) = file.size();
                let values = file.read(Rect::whole(width, height))?;
                Ok(Tensor::from_vec(values, (3, height, width), &Device::Cpu)?)
            }
        }
    }

    /// [`Canvas::tensor`] of a canvas that is not needed any more.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn into_tensor(self) -> Result<Tensor, RenderError> {
        self.tensor()
    }

    /// The canvas in the file at `path`; one that is in a file already stays where it is.
    ///
    /// # Errors
    /// When the file cannot be written or the tensor is not in host memory.
    pub fn into_file(self, path: &Path) -> Result<CanvasFile, RenderError> {
        match self {
            Canvas::File(file) => Ok(file),
            Canvas::Memory(tensor) => {
                let (_, height, width) = tensor.dims3()?;
                Ok(CanvasFile::create_with(
                    path,
                    (width, height),
                    HostView::new(&tensor)?.values(),
                )?)
            }
        }
    }

    /// Gives it up, and its file if it has one.
    ///
    /// # Errors
    /// When the file cannot be removed.
    pub fn remove(self) -> Result<(), RenderError> {
        match self {
            Canvas::Memory(_) => Ok(()),
            Canvas::File(file) => Ok(file.remove()?),
        }
    }
}

impl Pixels for Canvas {
    fn size(&self) -> (usize, usize) {
        match self {
            Canvas::Memory(tensor) => tensor
                .dims3()
                .map(|(_, height, width)| (width, height))
                .expect("a canvas is [3, H, W]"),
            Canvas::File(file) => file.size(),
        }
    }

    fn read(&self, rect: Rect) -> Result<Vec<f32>, PlaneError> {
        match self {
            Canvas::Memory(tensor) => {
                let view = HostView::new(tensor).expect("a canvas is in host memory");
                Planes::new(self.size(), view.values())?.read(rect)
            }
            Canvas::File(file) => file.read(rect),
        }
    }
}

/// `source` at another size, as it is coded, in the file at `path`: what resizing it as a whole
/// gives, to rounding.
///
/// # Errors
/// When a file cannot be read or written, or a stop was requested.
pub fn resized_file(
    source: &dyn Pixels,
    size: (usize, usize),
    path: &Path,
    cancellation: &CancellationToken,
) -> Result<CanvasFile, RenderError> {
    let (width, height) = source.size();
    let step = height as f64 / size.1 as f64;
    let reach = REACH * step.max(1.0) + 2.0;
    written_by_bands(size, path, cancellation, |top, rows| {
        let (start, end) = (top as f64 * step, (top + rows) as f64 * step);
        let first = (start - reach).floor().max(0.0) as usize;
        let last = ((end + reach).ceil() as usize).min(height);
        let part = source.read(Rect { left: 0, top: first, width, height: last - first })?;
        let window = Window {
            left: 0.0,
            top: start - first as f64,
            width: width as f64,
            height: end - start,
        };
        let from = (width as u32, (last - first) as u32);
        Ok(resize_rows(
            &part,
            from,
            window,
            (size.0 as u32, rows as u32),
            0..rows as u32,
            Light::Coded,
        ))
    })
}

/// A canvas of `size` in the file at `path` from its bands: `band(top, rows)` gives the values `[3,
/// rows, size.0]`.
///
/// # Errors
/// Those of `band`, when the file cannot be written, or a stop was requested.
pub fn written_by_bands(
    size: (usize, usize),
    path: &Path,
    cancellation: &CancellationToken,
    band: impl Fn(usize, usize) -> Result<Vec<f32>, PlaneError>,
) -> Result<CanvasFile, RenderError> {
    let (width, height) = size;
    let mut canvas = CanvasFile::create(path, size)?;
    let rows = (BAND_VALUES / (3 * width)).clamp(1, 512);
    for top in (0..height).step_by(rows) {
        if cancellation.is_cancelled() {
            return Err(RenderError::Cancelled);
        }
        let rows = rows.min(height - top);
        canvas.write_rows(&band(top, rows)?)?;
    }
    Ok(canvas.finish()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image;
    use crate::random::Noise;

    #[test]
    fn bands_are_the_whole_resized() {
        let folder = tempfile::tempdir().unwrap();
        let noise = Noise::new(7);
        for (from, to) in [
            ((61, 700), (122, 1400)),
            ((40, 333), (79, 667)),
            ((90, 1300), (31, 640)),
            ((33, 600), (33, 600)),
        ] {
            let values: Vec<f32> =
                (0..3 * from.0 * from.1).map(|i| 0.5 + noise.normal(i as u64)).collect();
            let size = |(w, h): (usize, usize)| (w as u32, h as u32);
            let whole = image::resize(&values, size(from), size(to), Light::Coded);
            let below =
                CanvasFile::create_with(&folder.path().join("below"), from, &values).unwrap();
            let found =
                resized_file(&below, to, &folder.path().join("above"), &CancellationToken::new())
                    .unwrap();
            assert_eq!(found.size(), to);
            let found = found.read(Rect::whole(to.0, to.1)).unwrap();
            let worst = found.iter().zip(&whole).fold(0f32, |most, (a, b)| most.max((a - b).abs()));
            assert!(worst < 1e-5, "{from:?} to {to:?}: {worst}");
        }
    }
}
