//! What tiles add to the sums over the whole image.

use std::collections::BTreeMap;

use candle_core::Device;

use crate::geometry::{GRID, Rect};
use crate::network::{Layer, Moments, NetworkError};
use crate::objective::ImageSums;

/// A tile's share of the sums.
pub(super) struct TileSums {
    pub(super) moments: Vec<(Layer, Moments)>,
    /// By layer, the squared differences over each [`GRID`]-px square of the core in raster order, a
    /// mean over channels.
    pub(super) distances: Vec<(Layer, Vec<f64>)>,
}

/// Adds up the tiles of a canvas. The squared differences are kept by their squares until the end:
/// tiles that begin on multiples of 64 px give the same bytes whatever their size.
pub(super) struct SumsBuilder {
    device: Device,
    sums: ImageSums,
    squares: BTreeMap<Layer, BTreeMap<(usize, usize), f64>>,
}

impl SumsBuilder {
    /// No tiles yet; the sums are to be on `device`.
    pub(super) fn on(device: Device) -> Self {
        Self { device, sums: ImageSums::default(), squares: BTreeMap::new() }
    }

    /// Adds the sums of the tile with the core `core`.
    pub(super) fn add(&mut self, core: Rect, tile: TileSums) -> Result<(), NetworkError> {
        for (layer, moments) in tile.moments {
            self.sums.add(layer, moments.to_device(&self.device)?)?;
        }
        for (layer, distances) in tile.distances {
            let columns = core.cells(layer.stride()).width.div_ceil(GRID / layer.stride()).max(1);
            let squares = self.squares.entry(layer).or_default();
            for (i, sum) in distances.into_iter().enumerate() {
                let place = (core.top / GRID + i / columns, core.left / GRID + i % columns);
                *squares.entry(place).or_default() += sum;
            }
        }
        Ok(())
    }

    pub(super) fn finish(self) -> ImageSums {
        let Self { mut sums, squares, .. } = self;
        sums.distances = squares
            .into_iter()
            .map(|(layer, squares)| (layer, squares.into_values().sum()))
            .collect();
        sums
    }
}
