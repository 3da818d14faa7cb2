//! An optimiser's whole state, taken apart for a checkpoint and put together again.
//!
//! Numbers go into a text and vectors into files of their own: an optimiser that is put together
//! again continues with the same bits as one that was never taken apart.

use candle_core::{Device, Tensor};
use serde::{Deserialize, Serialize};

use super::{Adam, Lbfgs, Optimiser};

/// A float64 that is written as its bits, so that every value, infinities included, comes back as
/// it was.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(from = "u64", into = "u64")]
pub struct Bits(pub f64);

impl From<u64> for Bits {
    fn from(bits: u64) -> Self {
        Bits(f64::from_bits(bits))
    }
}

impl From<Bits> for u64 {
    fn from(bits: Bits) -> Self {
        bits.0.to_bits()
    }
}

impl PartialEq for Bits {
    fn eq(&self, other: &Self) -> bool {
        self.0.to_bits() == other.0.to_bits()
    }
}

/// The numbers of an optimiser's state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "kebab-case", tag = "method")]
pub enum Numbers {
    /// L-BFGS. Vectors: the point; the last step and gradient if `last`; the best point and its
    /// gradient if `best`; then every pair's `s` and `y`, the oldest first.
    Lbfgs {
        /// Pairs that are kept at most.
        history: usize,
        /// `s_i . y_j` over the kept pairs.
        sy: Vec<Vec<Bits>>,
        /// `y_i . y_j`.
        yy: Vec<Vec<Bits>>,
        /// Whether there is a last step.
        last: bool,
        /// Loss of the best point, if one was evaluated.
        best: Option<Bits>,
        /// Mean movement of a first step.
        first_move: Bits,
        /// Factor on every step.
        rate: Bits,
    },
    /// Adam. Vectors: the point; both moments if `moments`; the best point if `best`.
    Adam {
        /// Step in canvas values.
        learning_rate: Bits,
        /// Steps since the moments began.
        steps: i32,
        /// Whether there are moments.
        moments: bool,
        /// Loss of the best point, if one was evaluated.
        best: Option<Bits>,
    },
}

/// A state: [`Numbers`] and the vectors that they speak of.
pub struct State {
    /// The numbers.
    pub numbers: Numbers,
    /// The vectors, all of the canvas's shape, in the order that [`Numbers`] tells. They share
    /// memory with the optimiser's.
    pub vectors: Vec<Tensor>,
}

impl Optimiser {
    /// The whole state at this moment. No vector is copied.
    pub fn state(&self) -> State {
        match self {
            Optimiser::Lbfgs(lbfgs) => lbfgs.state(),
            Optimiser::Adam(adam) => adam.state(),
        }
    }

    /// The same optimiser with its vectors on another device.
    ///
    /// # Errors
    /// When the device fails.
    pub fn to_device(self, device: &Device) -> candle_core::Result<Self> {
        let State { numbers, vectors } = self.state();
        let vectors = vectors
            .iter()
            .map(|vector| vector.to_device(device))
            .collect::<candle_core::Result<_>>()?;
        Ok(Self::restore(State { numbers, vectors }).unwrap_or(self))
    }

    /// The optimiser that was in this state; nothing when numbers and vectors do not belong
    /// together.
    pub fn restore(state: State) -> Option<Self> {
        match state.numbers {
            Numbers::Lbfgs { .. } => Lbfgs::restore(state).map(Optimiser::Lbfgs),
            Numbers::Adam { .. } => Adam::restore(state).map(Optimiser::Adam),
        }
    }
}

/// A square table, if it is one of `side` rows.
pub(super) fn square(
    table: Vec<Vec<Bits>>,
    side: usize,
) -> Option<std::collections::VecDeque<std::collections::VecDeque<f64>>> {
    let fits = table.len() == side && table.iter().all(|row| row.len() == side);
    fits.then(|| {
        table.into_iter().map(|row| row.into_iter().map(|bits| bits.0).collect()).collect()
    })
}
