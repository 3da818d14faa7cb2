//! Deep Zoom: a picture as tiles at every halving of its size, for viewers in a web page.
//!
//! `NAME.dzi` describes the pyramid, `NAME_files/LEVEL/COLUMN_ROW.jpg` are its tiles (the layout of
//! Microsoft's Deep Zoom Composer, 2008). Rows stream through all levels at once: a level keeps the
//! rows of one row of tiles and hands the mean of every two by two pixels, taken in linear light,
//! down to the next.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use jpeg_encoder::ColorType;
use rayon::prelude::*;
use tempfile::TempDir;

use super::{Rows, jpeg, quantise};
use crate::files::{self, Overwrite};
use crate::image::Error;
use crate::image::colour::{coded_from_linear, linear_from_coded, over_white, unit};

/// How a Deep Zoom pyramid is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tiling {
    /// Pixels of a tile's side, without the overlap.
    pub side: u32,
    /// Pixels that neighbouring tiles share on each side, so that viewers can smooth across the
    /// edge.
    pub overlap: u32,
    /// JPEG's quality, 1..=100.
    pub quality: u8,
}

impl Default for Tiling {
    /// 254 pixels and one more on each side, quality 90: what viewers expect.
    fn default() -> Self {
        Tiling { side: 254, overlap: 1, quality: 90 }
    }
}

/// A Deep Zoom pyramid being written row by row from the top. Nothing appears before
/// [`PyramidWriter::finish`].
pub struct PyramidWriter {
    path: PathBuf,
    folder: PathBuf,
    building: TempDir,
    overwrite: Overwrite,
    size: (u32, u32),
    tiling: Tiling,
    /// The picture itself first, one pixel last.
    levels: Vec<Level>,
    row: u32,
}

impl PyramidWriter {
    /// Opens a pyramid whose description will be `path` (`NAME.dzi`) and whose tiles will be in
    /// `NAME_files` beside it.
    ///
    /// # Errors
    ///
    /// [`Error::Encoding`] for sizes or settings that cannot be, [`Error::File`] when either name
    /// is taken and may not be replaced.
    pub fn create(
        path: &Path,
        size: (u32, u32),
        tiling: Tiling,
        overwrite: Overwrite,
    ) -> Result<Self, Error> {
        let failed = |reason: String| Error::Encoding { path: path.to_path_buf(), reason };
        if size.0 == 0 || size.1 == 0 {
            return Err(failed(format!(
                "a picture of {} x {} pixels cannot be written",
                size.0, size.1
            )));
        }
        if !(16..=8192).contains(&tiling.side) || tiling.overlap > tiling.side / 2 {
            return Err(failed(
                "tiles are 16 to 8192 pixels wide and overlap by at most half of that".to_owned(),
            ));
        }
        let stem = path.file_stem().ok_or_else(|| failed("it does not name a file".to_owned()))?;
        let mut name = stem.to_os_string();
        name.push("_files");
        let folder = path.with_file_name(name);
        for taken in [path, &folder] {
            if overwrite == Overwrite::Refuse && taken.exists() {
                return Err(files::Error::Exists { path: taken.to_path_buf() }.into());
            }
        }
        let building = files::temporary_directory(path)?;
        let top = size.0.max(size.1).next_power_of_two().ilog2();
        let levels = (0..=top).map(|down| Level::new(size, top, down)).collect();
        Ok(PyramidWriter {
            path: path.to_path_buf(),
            folder,
            building,
            overwrite,
            size,
            tiling,
            levels,
            row: 0,
        })
    }

    /// Writes the next rows: any whole number of them, display-coded sRGB; alpha is laid over
    /// white.
    ///
    /// # Errors
    ///
    /// [`Error::Rows`] when they do not fit the picture, [`Error::Write`].
    pub fn write_rows(&mut self, rows: Rows) -> Result<(), Error> {
        let width = self.size.0 as usize;
        let n = rows.colours[0].len();
        let same =
            rows.colours.iter().all(|c| c.len() == n) && rows.alpha.is_none_or(|a| a.len() == n);
        if !same || !n.is_multiple_of(width) || n / width > (self.size.1 - self.row) as usize {
            let reason = format!(
                "whole rows of {width} pixels are expected, {} more",
                self.size.1 - self.row
            );
            return Err(Error::Rows { path: self.path.clone(), reason });
        }
        for y in 0..n / width {
            let mut linear = Vec::with_capacity(width * 3);
            for i in y * width..(y + 1) * width {
                let opacity = rows.alpha.map_or(1.0, |a| a[i]);
                linear.extend(
                    rows.colours.map(|c| linear_from_coded(unit(over_white(c[i], opacity)))),
                );
            }
            self.row += 1;
            self.push(0, linear)?;
        }
        Ok(())
    }

    /// Gives a level its next row, and the level below what becomes of it.
    fn push(&mut self, mut down: usize, mut linear: Vec<f32>) -> Result<(), Error> {
        loop {
            let level = &mut self.levels[down];
            let halved = level.push(linear);
            level
                .write_tiles(self.building.path(), self.tiling)
                .map_err(|source| self.failed(source))?;
            down += 1;
            match halved {
                Some(row) if down < self.levels.len() => linear = row,
                _ => return Ok(()),
            }
        }
    }

    fn failed(&self, source: io::Error) -> Error {
        Error::Write { path: self.folder.clone(), source }
    }

    /// Gives the tiles and then the description their final names. Returns the description's.
    ///
    /// # Errors
    ///
    /// [`Error::Rows`] when rows are missing, [`Error::Write`], [`Error::File`].
    pub fn finish(self) -> Result<PathBuf, Error> {
        if self.row != self.size.1 {
            let reason = format!("{} of {} rows were written", self.row, self.size.1);
            return Err(Error::Rows { path: self.path, reason });
        }
        let failed = |source| Error::Write { path: self.folder.clone(), source };
        if self.folder.exists() {
            if self.overwrite == Overwrite::Refuse {
                return Err(files::Error::Exists { path: self.folder }.into());
            }
            // Out of the way first, in one step; a tree cannot be replaced in place.
            fs::rename(&self.folder, self.building.path().join("replaced")).map_err(failed)?;
        }
        // A description never speaks of tiles that are not on the disk.
        let tiles = self.building.path().join("tiles");
        files::sync_tree(&tiles)?;
        fs::rename(tiles, &self.folder).map_err(failed)?;
        let Tiling { side, overlap, .. } = self.tiling;
        let description = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Image xmlns=\"http://schemas.microsoft.com/deepzoom/2008\" \
             Format=\"jpg\" Overlap=\"{overlap}\" TileSize=\"{side}\"><Size Width=\"{}\" Height=\"{}\"/></Image>\n",
            self.size.0, self.size.1
        );
        Ok(files::write(&self.path, description.as_bytes(), self.overwrite)?)
    }
}

/// One halving of the picture.
struct Level {
    /// Its name: 0 is one pixel.
    number: u32,
    width: usize,
    height: usize,
    /// 8-bit interleaved rows from `first` on.
    rows: Vec<u8>,
    first: usize,
    /// Rows received.
    received: usize,
    /// The next row of tiles.
    tile_row: usize,
    /// An even row that waits for its neighbour, in linear light.
    waiting: Option<Vec<f32>>,
}

impl Level {
    /// The level `down` halvings below the picture.
    fn new((width, height): (u32, u32), top: u32, down: u32) -> Self {
        let halved = |n: u32| (u64::from(n)).div_ceil(1 << down) as usize;
        let (width, height) = (halved(width), halved(height));
        Level {
            number: top - down,
            width,
            height,
            rows: Vec::new(),
            first: 0,
            received: 0,
            tile_row: 0,
            waiting: None,
        }
    }

    /// Takes a row in linear light. Returns the row of the next level that it completes.
    fn push(&mut self, linear: Vec<f32>) -> Option<Vec<f32>> {
        let y = self.received as u32;
        for (i, v) in linear.iter().enumerate() {
            let noise = quantise::noise((i / 3) as u32, y, (i % 3) as u32, u64::from(self.number));
            self.rows.push((coded_from_linear(*v) * 255.0 + noise).floor() as u8);
        }
        self.received += 1;
        match self.waiting.take() {
            None if self.received == self.height => Some(halve(&linear, &linear)),
            None => {
                self.waiting = Some(linear);
                None
            }
            Some(above) => Some(halve(&above, &linear)),
        }
    }

    /// Writes the rows of tiles that are complete and forgets what no later tile needs.
    fn write_tiles(&mut self, building: &Path, tiling: Tiling) -> io::Result<()> {
        let (side, overlap) = (tiling.side as usize, tiling.overlap as usize);
        while self.tile_row * side < self.height {
            let top = (self.tile_row * side).saturating_sub(overlap);
            let bottom = ((self.tile_row + 1) * side + overlap).min(self.height);
            if self.received < bottom {
                break;
            }
            let folder = building.join("tiles").join(self.number.to_string());
            fs::create_dir_all(&folder)?;
            let columns = self.width.div_ceil(side);
            (0..columns).into_par_iter().try_for_each(|column| {
                let left = (column * side).saturating_sub(overlap);
                let right = ((column + 1) * side + overlap).min(self.width);
                let mut tile = Vec::with_capacity((right - left) * (bottom - top) * 3);
                for y in top - self.first..bottom - self.first {
                    let row = y * self.width;
                    tile.extend_from_slice(&self.rows[(row + left) * 3..(row + right) * 3]);
                }
                let mut bytes = Vec::new();
                let (width, height) = ((right - left) as u16, (bottom - top) as u16);
                jpeg::encoder(&mut bytes, tiling.quality.clamp(1, 100))
                    .encode(&tile, width, height, ColorType::Rgb)
                    .map_err(jpeg::failure)?;
                fs::File::create(folder.join(format!("{column}_{}.jpg", self.tile_row)))?
                    .write_all(&bytes)
            })?;
            self.tile_row += 1;
            let keep = (self.tile_row * side).saturating_sub(overlap).min(self.received);
            self.rows.drain(..(keep - self.first) * self.width * 3);
            self.first = keep;
        }
        Ok(())
    }
}

/// The mean of two rows' two by two pixels; an odd last column is the mean of two.
fn halve(above: &[f32], below: &[f32]) -> Vec<f32> {
    let mut out = Vec::with_capacity(above.len().div_ceil(2) + 3);
    for (a, b) in above.chunks(6).zip(below.chunks(6)) {
        for c in 0..3 {
            let (right_a, right_b) = (a.get(c + 3).unwrap_or(&a[c]), b.get(c + 3).unwrap_or(&b[c]));
            out.push((a[c] + b[c] + right_a + right_b) / 4.0);
        }
    }
    out
}
