//! IntegerSums of products of features, `sum F F^T` and `sum F` over cells, exactly the same whatever the
//! order.
//!
//! Cells are taken in fixed groups of at most 256 (rectangles of the picture that lie on multiples
//! of 64 px). Inside a group the sums are float32, in registers, cell after cell. A group's sum is
//! then rounded once to a multiple of a fixed power of two and added as an integer: integer
//! addition is associative, so tiles, threads and their order cannot change a bit. The rounding is
//! the well-known trick of adding 2^52 + 2^51: the integer then stands in the low bits of the
//! double. Only blocks of 16 x 16 entries on and above the diagonal are computed.

mod group;

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::buffer::BufferCache;
use super::first::{FirstConvolution, Pixels};
use super::isa::Isa;
use super::map::{CHANNEL_BLOCK, Map};
use crate::memory::NoMemory;
use group::{AddGroup, COLUMNS, Cells, ROWS};

/// Cells of a group at most.
const GROUP: usize = 256;
/// Integer sums over cells.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct IntegerSums {
    /// Blocks of 16 channels.
    pub blocks: usize,
    /// `[block row][block column][16][16]`; blocks below the diagonal are zero.
    pub gram: Vec<i64>,
    /// `[channels padded to 16]`.
    pub features: Vec<i64>,
    /// False when a group's sum was not finite or out of range.
    pub finite: bool,
}

impl IntegerSums {
    /// No cells yet.
    pub fn new(blocks: usize) -> Self {
        Self {
            blocks,
            gram: vec![0; blocks * blocks * 256],
            features: vec![0; blocks * CHANNEL_BLOCK],
            finite: true,
        }
    }

    /// Adds the sums over other cells, which are of as many channels. Sums beyond the integers' range
    /// are not finite.
    pub fn add(&mut self, other: &Self) {
        let mut fits = true;
        let mut add = |a: &mut i64, b: &i64| match a.checked_add(*b) {
            Some(sum) => *a = sum,
            None => fits = false,
        };
        self.gram.iter_mut().zip(&other.gram).for_each(|(a, b)| add(a, b));
        self.features.iter_mut().zip(&other.features).for_each(|(a, b)| add(a, b));
        self.finite &= other.finite && fits;
    }
}

/// Where the features come from.
#[derive(Clone, Copy)]
pub enum Features<'a> {
    /// A map.
    Map(&'a Map),
    /// relu1_1, computed group by group.
    First(&'a FirstConvolution, &'a Pixels),
}

/// What to sum.
pub struct Summation<'a> {
    /// Instructions.
    pub isa: Isa,
    /// Where scratch comes from.
    pub cache: &'a Arc<BufferCache>,
    /// The features.
    pub features: Features<'a>,
    /// Rows of cells.
    pub rows: std::ops::Range<usize>,
    /// Columns of cells.
    pub columns: std::ops::Range<usize>,
    /// Cells along 64 px.
    pub side: usize,
    /// One over the unit of products, a power of two.
    pub product_scale: f32,
    /// One over the unit of features, a power of two.
    pub feature_scale: f32,
}

/// Bytes of a worker's copy of relu1_1.
pub fn copy_bytes(channels: usize) -> usize {
    channels.next_multiple_of(CHANNEL_BLOCK) * GROUP * size_of::<f32>()
}

/// A group: `(y, x, rows, columns)`.
type Group = (usize, usize, usize, usize);

impl Summation<'_> {
    /// The groups that the rectangle touches, cut to it.
    fn groups(&self) -> Vec<Group> {
        let (wide, high) = (self.side, (GROUP / self.side).clamp(1, self.side));
        let mut found = Vec::new();
        if self.rows.is_empty() || self.columns.is_empty() {
            return found;
        }
        for gy in self.rows.start / high..self.rows.end.div_ceil(high) {
            for gx in self.columns.start / wide..self.columns.end.div_ceil(wide) {
                let (y0, y1) =
                    ((gy * high).max(self.rows.start), ((gy + 1) * high).min(self.rows.end));
                let (x0, x1) =
                    ((gx * wide).max(self.columns.start), ((gx + 1) * wide).min(self.columns.end));
                found.push((y0, x0, y1 - y0, x1 - x0));
            }
        }
        found
    }

    /// IntegerSums with all threads of the current pool.
    ///
    /// # Errors
    /// When there is no memory for any thread's copy of relu1_1.
    pub fn run(&self) -> Result<IntegerSums, NoMemory> {
        let groups = self.groups();
        let blocks = match self.features {
            Features::Map(map) => map.shape.blocks(),
            Features::First(first, _) => first.outputs().div_ceil(CHANNEL_BLOCK),
        };
        let entries: Vec<(usize, usize)> = (0..blocks)
            .step_by(ROWS)
            .flat_map(|i| (i..blocks).step_by(COLUMNS).map(move |j| (i, j)))
            .collect();
        let threads = rayon::current_num_threads();
        // A copy of relu1_1 serves all entries, so there only the groups are shared out.
        let own = matches!(self.features, Features::First(..));
        let wanted = if own { 16 * threads } else { (16 * threads).div_ceil(entries.len()) };
        let ranges = wanted.min(groups.len()).max(1);
        let units = if own { ranges } else { ranges * entries.len() };
        let total = Mutex::new(IntegerSums::new(blocks));
        let next = AtomicUsize::new(0);
        let short = Mutex::new(None);
        let work = || {
            let mut tile = vec![0i64; ROWS * COLUMNS * 256];
            let mut local = match self.features {
                Features::First(..) => {
                    match self.cache.take::<f32>(blocks * GROUP * CHANNEL_BLOCK) {
                        Ok(copy) => Some((copy, IntegerSums::new(blocks))),
                        // The other threads do this one's part.
                        Err(error) => {
                            *short.lock().unwrap_or_else(|e| e.into_inner()) = Some(error);
                            return;
                        }
                    }
                }
                Features::Map(_) => None,
            };
            loop {
                let unit = next.fetch_add(1, Ordering::Relaxed);
                if unit >= units {
                    break;
                }
                let range = unit % ranges;
                let mine =
                    &groups[range * groups.len() / ranges..(range + 1) * groups.len() / ranges];
                match (&self.features, &mut local) {
                    (Features::First(first, pixels), Some((copy, sums))) => {
                        for group in mine {
                            let cells = self.copy(first, pixels, copy, *group);
                            for &(i, j) in &entries {
                                self.add_direct(sums, cells, *group, i, j);
                            }
                        }
                    }
                    (Features::Map(map), _) => {
                        let (i, j) = entries[unit / ranges];
                        let mut part = WorkUnit::new(&mut tile, blocks, i, j);
                        for &group in mine {
                            let start = map.data.as_ptr().wrapping_add(map.at(0, group.0, group.1));
                            let cells =
                                Cells { start, pitch: map.shape.pitch(), plane: map.shape.plane() };
                            self.add(&mut part, cells, group);
                        }
                        part.merge(&mut total.lock().unwrap_or_else(|e| e.into_inner()));
                    }
                    (Features::First(..), None) => unreachable!("the copy was made above"),
                }
            }
            if let Some((_, sums)) = local {
                let mut total = total.lock().unwrap_or_else(|e| e.into_inner());
                total.gram.iter_mut().zip(&sums.gram).for_each(|(a, b)| *a += b);
                total.features.iter_mut().zip(&sums.features).for_each(|(a, b)| *a += b);
                total.finite &= sums.finite;
            }
        };
        let workers = threads.min(units);
        if workers == 1 {
            work();
        } else {
            rayon::scope(|scope| (0..workers).for_each(|_| scope.spawn(|_| work())));
        }
        let left = next.into_inner() < units;
        match short.into_inner().unwrap_or_else(|e| e.into_inner()) {
            Some(error) if left => Err(error),
            _ => Ok(total.into_inner().unwrap_or_else(|e| e.into_inner())),
        }
    }

    /// relu1_1 of a group, computed into the worker's copy.
    fn copy(
        &self,
        first: &FirstConvolution,
        pixels: &Pixels,
        copy: &mut [f32],
        group: Group,
    ) -> Cells {
        let (y, x, rows, columns) = group;
        let plane = rows * columns;
        for row in 0..rows {
            // SAFETY: the group lies in the picture, and the copy holds its rows.
            unsafe {
                let line = copy.as_mut_ptr().add(row * columns * CHANNEL_BLOCK);
                first.cells(pixels, y + row, x, columns, line, plane * CHANNEL_BLOCK);
            }
        }
        Cells { start: copy.as_ptr(), pitch: columns, plane }
    }

    fn add_direct(&self, sums: &mut IntegerSums, cells: Cells, group: Group, i: usize, j: usize) {
        let blocks = sums.blocks;
        let mut part = WorkUnit {
            tile: sums.gram.as_mut_ptr().wrapping_add((i * blocks + j) * 256),
            row_stride: blocks * 256,
            features: sums.features.as_mut_ptr(),
            finite: true,
            owned: [0; ROWS * CHANNEL_BLOCK],
            blocks,
            i,
            j,
        };
        self.add(&mut part, cells, group);
        sums.finite &= part.finite;
    }

    fn add(&self, part: &mut WorkUnit, cells: Cells, group: Group) {
        let features = if part.i != part.j {
            std::ptr::null_mut()
        } else if part.features.is_null() {
            part.owned.as_mut_ptr()
        } else {
            part.features.wrapping_add(part.i * CHANNEL_BLOCK)
        };
        let job = AddGroup {
            cells,
            rows: group.2,
            columns: group.3,
            i: part.i,
            i_count: ROWS.min(part.blocks - part.i),
            j: part.j,
            j_count: COLUMNS.min(part.blocks - part.j),
            tile: part.tile,
            row_stride: part.row_stride,
            features,
            product_scale: self.product_scale,
            feature_scale: self.feature_scale,
        };
        // SAFETY: the cells of the group lie in the map or the copy; the tile and the features hold
        // these blocks.
        part.finite &= unsafe { self.isa.run(job) };
    }
}

/// The entries of one work unit.
struct WorkUnit {
    tile: *mut i64,
    /// From one block row to the next.
    row_stride: usize,
    /// Null: into `owned`.
    features: *mut i64,
    owned: [i64; ROWS * CHANNEL_BLOCK],
    finite: bool,
    blocks: usize,
    i: usize,
    j: usize,
}

impl WorkUnit {
    fn new(tile: &mut [i64], blocks: usize, i: usize, j: usize) -> Self {
        tile.fill(0);
        Self {
            tile: tile.as_mut_ptr(),
            row_stride: COLUMNS * 256,
            features: std::ptr::null_mut(),
            owned: [0; ROWS * CHANNEL_BLOCK],
            finite: true,
            blocks,
            i,
            j,
        }
    }

    fn merge(self, total: &mut IntegerSums) {
        for i in 0..ROWS.min(self.blocks - self.i) {
            for j in 0..COLUMNS.min(self.blocks - self.j) {
                // SAFETY: the tile holds `ROWS x COLUMNS` blocks.
                let from = unsafe {
                    std::slice::from_raw_parts(self.tile.add(i * self.row_stride + j * 256), 256)
                };
                let at = ((self.i + i) * self.blocks + self.j + j) * 256;
                total.gram[at..at + 256].iter_mut().zip(from).for_each(|(a, b)| *a += b);
            }
            if self.i == self.j {
                let at = (self.i + i) * CHANNEL_BLOCK;
                total.features[at..at + CHANNEL_BLOCK]
                    .iter_mut()
                    .zip(&self.owned[i * CHANNEL_BLOCK..])
                    .for_each(|(a, b)| *a += b);
            }
        }
        total.finite &= self.finite;
    }
}
