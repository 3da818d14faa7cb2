//! Features of a rectangle of cells, taken out of a pass: the content target.

use super::{CpuError, Rect};
use crate::kernels::buffer::BufferCache;
use crate::kernels::map::{CHANNEL_BLOCK, Map, Shape};
use crate::network::layer::Layer;

/// Features of one layer over a rectangle of cells, in the engine's own layout.
pub struct Features {
    layer: Layer,
    pub(super) map: Map,
}

impl Features {
    /// Zeros for `height` x `width` cells.
    pub fn empty(layer: Layer, channels: usize, height: usize, width: usize) -> Self {
        let mut map = Map::new(&BufferCache::new(), Shape { channels, height, width });
        map.data.fill(0.0);
        Self { layer, map }
    }

    /// From `[C, height, width]`.
    ///
    /// # Errors
    /// If the number of values is another.
    pub fn from_planar(layer: Layer, shape: [usize; 3], planar: &[f32]) -> Result<Self, CpuError> {
        let [channels, height, width] = shape;
        let expected = channels * height * width;
        if planar.len() != expected {
            return Err(CpuError::Size {
                what: "values of the features",
                expected,
                found: planar.len(),
            });
        }
        Ok(Self {
            layer,
            map: Map::from_planar(&BufferCache::new(), Shape { channels, height, width }, planar),
        })
    }

    /// Copies a rectangle of a map.
    pub(super) fn copy(layer: Layer, from: &Map, rect: Rect) -> Result<Self, CpuError> {
        let mut features = Self::empty(layer, from.shape.channels, rect.height, rect.width);
        copy_cells(from, (rect.top, rect.left), &mut features.map, (0, 0), rect)?;
        Ok(features)
    }

    /// The layer.
    pub fn layer(&self) -> Layer {
        self.layer
    }

    /// Channels.
    pub fn channels(&self) -> usize {
        self.map.shape.channels
    }

    /// Rows of cells.
    pub fn height(&self) -> usize {
        self.map.shape.height
    }

    /// Columns of cells.
    pub fn width(&self) -> usize {
        self.map.shape.width
    }

    /// Puts `other` here, its first cell at `(top, left)`.
    ///
    /// # Errors
    /// If it does not fit there, or is of another layer.
    pub fn paste(&mut self, other: &Self, top: usize, left: usize) -> Result<(), CpuError> {
        if other.layer != self.layer {
            return Err(CpuError::NotRequested(other.layer));
        }
        let rect = Rect { top: 0, left: 0, height: other.height(), width: other.width() };
        copy_cells(&other.map, (0, 0), &mut self.map, (top, left), rect)
    }

    /// A copy of a rectangle of cells.
    ///
    /// # Errors
    /// If the rectangle does not lie inside.
    pub fn crop(&self, cells: Rect) -> Result<Self, CpuError> {
        Self::copy(self.layer, &self.map, cells)
    }

    /// `[C, height, width]`.
    pub fn to_planar(&self) -> Vec<f32> {
        self.map.to_planar()
    }
}

/// Copies the cells of `rect` (its corner is ignored) between two places.
fn copy_cells(
    from: &Map,
    source: (usize, usize),
    to: &mut Map,
    target: (usize, usize),
    rect: Rect,
) -> Result<(), CpuError> {
    let fits = |map: &Map, at: (usize, usize)| {
        at.0.checked_add(rect.height).is_some_and(|end| end <= map.shape.height)
            && at.1.checked_add(rect.width).is_some_and(|end| end <= map.shape.width)
    };
    if !fits(from, source) || !fits(to, target) {
        return Err(CpuError::Outside { what: "cells" });
    }
    if from.shape.channels != to.shape.channels {
        let (expected, found) = (to.shape.channels, from.shape.channels);
        return Err(CpuError::Size { what: "channels", expected, found });
    }
    for block in 0..from.shape.blocks() {
        for y in 0..rect.height {
            let read = from.at(block, source.0 + y, source.1);
            let write = to.at(block, target.0 + y, target.1);
            let length = rect.width * CHANNEL_BLOCK;
            to.data[write..write + length].copy_from_slice(&from.data[read..read + length]);
        }
    }
    Ok(())
}

/// `sum (F - P)^2` over a rectangle of cells for each block of `side` x `side` cells that it
/// touches, in raster order.
pub(super) fn squared_distances(
    map: &Map,
    rect: Rect,
    side: usize,
    target: &Map,
    offset: (usize, usize),
) -> Vec<f64> {
    use rayon::prelude::*;
    let rows = rect.top / side..(rect.top + rect.height).div_ceil(side);
    let columns = rect.left / side..(rect.left + rect.width).div_ceil(side);
    let blocks: Vec<_> = rows.flat_map(|y| columns.clone().map(move |x| (y, x))).collect();
    blocks
        .into_par_iter()
        .map(|(by, bx)| {
            let (y0, y1) =
                ((by * side).max(rect.top), ((by + 1) * side).min(rect.top + rect.height));
            let (x0, x1) =
                ((bx * side).max(rect.left), ((bx + 1) * side).min(rect.left + rect.width));
            let mut total = 0.0;
            for block in 0..map.shape.blocks() {
                let mut sums = [0f64; CHANNEL_BLOCK];
                for y in y0..y1 {
                    let left = &map.data[map.at(block, y, x0)..][..(x1 - x0) * CHANNEL_BLOCK];
                    let right = &target.data[target.at(block, y + offset.0, x0 + offset.1)..]
                        [..(x1 - x0) * CHANNEL_BLOCK];
                    let mut row = [0f32; CHANNEL_BLOCK];
                    for (f, p) in
                        left.chunks_exact(CHANNEL_BLOCK).zip(right.chunks_exact(CHANNEL_BLOCK))
                    {
                        for i in 0..CHANNEL_BLOCK {
                            row[i] += (f[i] - p[i]) * (f[i] - p[i]);
                        }
                    }
                    sums.iter_mut().zip(row).for_each(|(sum, r)| *sum += f64::from(r));
                }
                total += sums.iter().sum::<f64>();
            }
            total
        })
        .collect()
}
