//! The statistics of a layer's features: Gram matrix and channel means, exact under merging.

use crate::kernels::gram::IntegerSums;
use crate::kernels::map::CHANNEL_BLOCK;

/// `sum F F^T` and `sum F` over some cells, as integers of a fixed unit: merging is exact, in any
/// order.
#[derive(Clone, PartialEq, Debug)]
pub struct Moments {
    /// Channels.
    pub channels: usize,
    /// Cells summed over.
    pub cells: u64,
    /// False when a feature was not finite or absurdly large; the sums are then worthless.
    pub finite: bool,
    sums: IntegerSums,
    /// Value of one step of the Gram sums.
    product_unit: f64,
    /// Value of one step of the feature sums.
    feature_unit: f64,
}

impl Moments {
    pub(super) fn new(
        channels: usize,
        cells: u64,
        sums: IntegerSums,
        product_unit: f64,
        feature_unit: f64,
    ) -> Self {
        Self { channels, cells, finite: sums.finite, sums, product_unit, feature_unit }
    }

    /// Adds the cells of another part of the same canvas, from the same network.
    ///
    /// # Panics
    /// If the two belong to different layers or networks.
    pub fn merge(&mut self, other: &Self) {
        assert_eq!(
            (self.channels, self.product_unit),
            (other.channels, other.product_unit),
            "moments of one layer"
        );
        self.cells += other.cells;
        self.finite &= other.finite;
        let mut fits = true;
        let mut add = |a: &mut i64, b: &i64| match a.checked_add(*b) {
            Some(sum) => *a = sum,
            None => fits = false,
        };
        self.sums.gram.iter_mut().zip(&other.sums.gram).for_each(|(a, b)| add(a, b));
        self.sums.features.iter_mut().zip(&other.sums.features).for_each(|(a, b)| add(a, b));
        self.finite &= fits;
    }

    /// The Gram matrix a cell: `[C, C]`, the mean of `F F^T` over cells.
    pub fn gram(&self) -> Vec<f64> {
        let (channels, blocks) = (self.channels, self.sums.blocks);
        let scale = self.product_unit / self.cells.max(1) as f64;
        let mut gram = vec![0.0; channels * channels];
        for i in 0..channels {
            for j in i..channels {
                let block = i / CHANNEL_BLOCK * blocks + j / CHANNEL_BLOCK;
                let entry = self.sums.gram
                    [block * 256 + i % CHANNEL_BLOCK * CHANNEL_BLOCK + j % CHANNEL_BLOCK]
                    as f64
                    * scale;
                gram[i * channels + j] = entry;
                gram[j * channels + i] = entry;
            }
        }
        gram
    }

    /// The mean of each channel: `[C]`.
    pub fn mean(&self) -> Vec<f64> {
        let scale = self.feature_unit / self.cells.max(1) as f64;
        self.sums.features[..self.channels].iter().map(|&sum| sum as f64 * scale).collect()
    }
}
