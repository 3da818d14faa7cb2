//! Sums over the cells of one tap, which add up over tiles: what statistics are made of.

use candle_core::{Device, Tensor};

use super::error::NetworkError;
use crate::kernels::gram::IntegerSums;
use crate::kernels::map::CHANNEL_BLOCK;

/// `sum F F^T` and `sum F` over some cells of one tap.
#[derive(Clone, Debug)]
pub struct Moments {
    cells: u64,
    sums: Sums,
}

#[derive(Clone, Debug)]
enum Sums {
    /// Integers of fixed units from the CPU's kernels: adding them is exact, in any order.
    Integer {
        channels: usize,
        sums: IntegerSums,
        /// Value of one step of the sums of products.
        product_unit: f64,
        /// Value of one step of the sums of features.
        feature_unit: f64,
    },
    /// Floating-point sums on candle's device, float64: `[C, C]` and `[C]`.
    Float { gram: Tensor, sum: Tensor },
}

impl Moments {
    pub(super) fn from_integers(
        channels: usize,
        cells: u64,
        sums: IntegerSums,
        (product_unit, feature_unit): (f64, f64),
    ) -> Self {
        Self { cells, sums: Sums::Integer { channels, sums, product_unit, feature_unit } }
    }

    pub(super) fn from_tensors(cells: u64, gram: Tensor, sum: Tensor) -> Self {
        Self { cells, sums: Sums::Float { gram, sum } }
    }

    /// Adds the sums of other cells of the same tap.
    ///
    /// # Errors
    /// When the device fails, or the two are not of one tap of one network.
    pub fn merge(&mut self, other: &Moments) -> Result<(), NetworkError> {
        match (&mut self.sums, &other.sums) {
            (
                Sums::Integer { channels, sums, product_unit, .. },
                Sums::Integer { channels: c, sums: others, product_unit: unit, .. },
            ) if channels == c && product_unit == unit => sums.add(others),
            (Sums::Float { gram, sum }, Sums::Float { gram: g, sum: s }) => {
                *gram = (&*gram + g)?;
                *sum = (&*sum + s)?;
            }
            _ => return Err(NetworkError::Mixed),
        }
        self.cells += other.cells;
        Ok(())
    }

    /// The same sums on another device; the CPU's stay where they are.
    ///
    /// # Errors
    /// When the device fails.
    pub fn to_device(self, device: &Device) -> Result<Moments, NetworkError> {
        let Self { cells, sums } = self;
        Ok(match sums {
            Sums::Integer { .. } => Self { cells, sums },
            Sums::Float { gram, sum } => {
                Self::from_tensors(cells, gram.to_device(device)?, sum.to_device(device)?)
            }
        })
    }

    /// Cells summed over.
    pub fn cells(&self) -> u64 {
        self.cells
    }

    /// Means over the cells: of `F F^T`, `[C, C]`, and of `F`, `[C]`, float64. Not numbers where a
    /// feature was none or absurdly large; zero where there are no cells.
    ///
    /// # Errors
    /// When the device fails.
    pub fn means(&self) -> Result<(Tensor, Tensor), NetworkError> {
        let cells = self.cells.max(1) as f64;
        match &self.sums {
            Sums::Integer { channels, sums, product_unit, feature_unit } => {
                let spoil = if sums.finite { 0.0 } else { f64::NAN };
                let gram = gram(sums, *channels, product_unit / cells);
                let scale = feature_unit / cells;
                let mean: Vec<f64> =
                    sums.features[..*channels].iter().map(|sum| *sum as f64 * scale).collect();
                let gram = Tensor::from_vec(gram, (*channels, *channels), &Device::Cpu)?;
                let mean = Tensor::from_vec(mean, *channels, &Device::Cpu)?;
                Ok(((gram + spoil)?, (mean + spoil)?))
            }
            Sums::Float { gram, sum } => Ok(((gram / cells)?, (sum / cells)?)),
        }
    }
}

/// The whole symmetric matrix, `[C, C]`, from the sums on and above its diagonal.
fn gram(sums: &IntegerSums, channels: usize, scale: f64) -> Vec<f64> {
    const BLOCK: usize = CHANNEL_BLOCK;
    let mut gram = vec![0.0; channels * channels];
    for i in 0..channels {
        for j in i..channels {
            let block = i / BLOCK * sums.blocks + j / BLOCK;
            let at = block * BLOCK * BLOCK + i % BLOCK * BLOCK + j % BLOCK;
            let entry = sums.gram[at] as f64 * scale;
            gram[i * channels + j] = entry;
            gram[j * channels + i] = entry;
        }
    }
    gram
}
