//! Squared distances between two maps.

use rayon::prelude::*;

use super::map::{CHANNEL_BLOCK, Map};
use crate::geometry::Rect;

/// `sum (F - P)^2` over the cells of `rect`, one sum for each square of `side` x `side` cells from
/// its corner, in raster order. The corner's cell is that at `origin` (row, column) of the target,
/// which has as many channels. Each sum is float32 along a row and a channel and
/// float64 beyond, always in one order.
///
/// # Panics
/// When the cells do not lie in both maps.
pub fn squared_distances(
    map: &Map,
    rect: Rect,
    side: usize,
    target: &Map,
    origin: (usize, usize),
) -> Vec<f64> {
    let starts = |start: usize, length: usize| (start..start + length).step_by(side);
    let squares: Vec<Rect> = starts(rect.top, rect.height)
        .flat_map(|top| starts(rect.left, rect.width).map(move |left| (top, left)))
        .map(|(top, left)| {
            let (width, height) = (side.min(rect.right() - left), side.min(rect.bottom() - top));
            Rect { left, top, width, height }
        })
        .collect();
    let distance = |square: Rect| {
        let place = (square.top - rect.top + origin.0, square.left - rect.left + origin.1);
        squared_distance(map, square, target, place)
    };
    squares.into_par_iter().map(distance).collect()
}

fn squared_distance(map: &Map, square: Rect, target: &Map, (top, left): (usize, usize)) -> f64 {
    let length = square.width * CHANNEL_BLOCK;
    let mut total = 0.0;
    for block in 0..map.shape.blocks() {
        let mut sums = [0f64; CHANNEL_BLOCK];
        for y in 0..square.height {
            let ours = &map.data[map.at(block, square.top + y, square.left)..][..length];
            let theirs = &target.data[target.at(block, top + y, left)..][..length];
            let mut row = [0f32; CHANNEL_BLOCK];
            let cells = ours.as_chunks::<CHANNEL_BLOCK>().0.iter();
            for (f, p) in cells.zip(theirs.as_chunks::<CHANNEL_BLOCK>().0) {
                for i in 0..CHANNEL_BLOCK {
                    row[i] += (f[i] - p[i]) * (f[i] - p[i]);
                }
            }
            sums.iter_mut().zip(row).for_each(|(sum, r)| *sum += f64::from(r));
        }
        total += sums.iter().sum::<f64>();
    }
    total
}
