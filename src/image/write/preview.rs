//! A small JPEG of a large picture, made while its rows pass by.
//!
//! Blocks of pixels are averaged in linear light as they come, to between one and two times the
//! preview's size; Lanczos does the rest. What is held does not depend on the picture's size.

use std::path::{Path, PathBuf};

use super::{Encoding, OutputFormat, Rows, encode_picture};
use crate::files::Overwrite;
use crate::image::colour::{coded_from_linear, linear_from_coded, over_white, unit};
use crate::image::{Error, Light, Window, resize_rows};

/// Quality of a preview's JPEG: small, and good on a screen.
const QUALITY: u8 = 88;

/// A preview being made row by row from the top. Nothing appears before [`PreviewWriter::finish`].
pub struct PreviewWriter {
    path: PathBuf,
    overwrite: Overwrite,
    /// The picture's.
    size: (u32, u32),
    /// The preview's.
    target: (u32, u32),
    /// Side of a block, px.
    block: usize,
    /// Rows received.
    row: usize,
    /// Sums of the blocks being gathered, linear light, `[3, columns]`.
    sums: Vec<f32>,
    /// Means of the blocks, linear light, for each channel row by row.
    means: [Vec<f32>; 3],
}

impl PreviewWriter {
    /// Opens a preview at `path` of a picture of `size` pixels, whose longer side becomes
    /// `long_side` pixels, or stays what it is where it is shorter.
    ///
    /// # Errors
    ///
    /// [`Error::Encoding`] when there is nothing to show.
    pub fn create(
        path: &Path,
        size: (u32, u32),
        long_side: u32,
        overwrite: Overwrite,
    ) -> Result<Self, Error> {
        if size.0 == 0 || size.1 == 0 || long_side == 0 {
            let reason = format!("a preview of {} x {} pixels cannot be written", size.0, size.1);
            return Err(Error::Encoding { path: path.to_path_buf(), reason });
        }
        let long = size.0.max(size.1);
        let part = f64::from(long_side.min(long)) / f64::from(long);
        let shrunk = |side: u32| ((f64::from(side) * part).round() as u32).max(1);
        let block = (long / long_side.min(long)) as usize;
        let sums = vec![0.0; 3 * (size.0 as usize).div_ceil(block)];
        let target = (shrunk(size.0), shrunk(size.1));
        Ok(PreviewWriter {
            path: path.to_path_buf(),
            overwrite,
            size,
            target,
            block,
            row: 0,
            sums,
            means: Default::default(),
        })
    }

    /// Writes the next rows: any whole number of them, display-coded sRGB; alpha is laid over
    /// white.
    ///
    /// # Errors
    ///
    /// [`Error::Rows`] when they do not fit the picture.
    pub fn write_rows(&mut self, rows: Rows) -> Result<(), Error> {
        let (width, height) = (self.size.0 as usize, self.size.1 as usize);
        let n = rows.colours[0].len();
        let same =
            rows.colours.iter().all(|c| c.len() == n) && rows.alpha.is_none_or(|a| a.len() == n);
        if !same || !n.is_multiple_of(width) || n / width > height - self.row {
            let reason =
                format!("whole rows of {width} pixels are expected, {} more", height - self.row);
            return Err(Error::Rows { path: self.path.clone(), reason });
        }
        for y in 0..n / width {
            self.add(&rows, y * width);
            self.row += 1;
            if self.row.is_multiple_of(self.block) || self.row == height {
                self.close_blocks();
            }
        }
        Ok(())
    }

    /// Adds the row that begins at `start` to the blocks.
    fn add(&mut self, rows: &Rows, start: usize) {
        let (width, columns) = (self.size.0 as usize, self.sums.len() / 3);
        for (colours, sums) in rows.colours.iter().zip(self.sums.chunks_exact_mut(columns)) {
            for x in 0..width {
                let opacity = rows.alpha.map_or(1.0, |alpha| alpha[start + x]);
                sums[x / self.block] +=
                    linear_from_coded(unit(over_white(colours[start + x], opacity)));
            }
        }
    }

    /// Makes means of the sums; blocks at the right and lower border have fewer pixels.
    fn close_blocks(&mut self) {
        let (width, columns) = (self.size.0 as usize, self.sums.len() / 3);
        let rows = (self.row - 1) % self.block + 1;
        for (sums, means) in self.sums.chunks_exact_mut(columns).zip(&mut self.means) {
            for (column, sum) in sums.iter_mut().enumerate() {
                let pixels = rows * self.block.min(width - column * self.block);
                means.push(std::mem::take(sum) / pixels as f32);
            }
        }
    }

    /// Scales what was gathered and writes the file. Returns its name.
    ///
    /// # Errors
    ///
    /// [`Error::Rows`] when rows are missing, [`Error::Write`], [`Error::File`].
    pub fn finish(self) -> Result<PathBuf, Error> {
        if self.row != self.size.1 as usize {
            let reason = format!("{} of {} rows were written", self.row, self.size.1);
            return Err(Error::Rows { path: self.path, reason });
        }
        let blocks = |side: u32| side.div_ceil(self.block as u32);
        let from = (blocks(self.size.0), blocks(self.size.1));
        // Blocks at the border count for what they hold of the picture, so that nothing is
        // stretched.
        let covered = |side: u32| f64::from(side) / self.block as f64;
        let window = Window {
            left: 0.0,
            top: 0.0,
            width: covered(self.size.0),
            height: covered(self.size.1),
        };
        let rows = 0..self.target.1;
        let mut pixels = Vec::with_capacity(3 * self.target.0 as usize * self.target.1 as usize);
        for means in self.means {
            let scaled = resize_rows(&means, from, window, self.target, rows.clone(), Light::Coded);
            pixels.extend(scaled.into_iter().map(|v| coded_from_linear(v.max(0.0))));
        }
        let mut encoding = Encoding::new(OutputFormat::Jpeg);
        encoding.quality = QUALITY;
        encode_picture(&self.path, self.target, &pixels, None, &encoding, self.overwrite)
    }
}
