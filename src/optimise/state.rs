//! An optimiser's whole state, taken apart for a checkpoint and put together again.
//!
//! Scalars go into a text and vectors into files of their own: an optimiser that is put together
//! again continues with the same bits as one that was never taken apart.

use std::collections::VecDeque;

use candle_core::Tensor;
use serde::{Deserialize, Serialize};

/// A float64 that is written as its bits, so that every value, infinities included, comes back as
/// it was.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(from = "u64", into = "u64")]
pub struct ExactF64(pub f64);

impl From<u64> for ExactF64 {
    fn from(bits: u64) -> Self {
        ExactF64(f64::from_bits(bits))
    }
}

impl From<ExactF64> for u64 {
    fn from(bits: ExactF64) -> Self {
        bits.0.to_bits()
    }
}

impl PartialEq for ExactF64 {
    fn eq(&self, other: &Self) -> bool {
        self.0.to_bits() == other.0.to_bits()
    }
}

/// The scalars of an optimiser's state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "kebab-case", tag = "method")]
pub enum Scalars {
    /// L-BFGS. Vectors: the point; the last step and gradient if `last`; the best point and its
    /// gradient if `best`; then every pair's `s` and `y`, the oldest first.
    Lbfgs {
        /// Pairs that are kept at most.
        history: usize,
        /// `s_i . y_j` over the kept pairs.
        sy: Vec<Vec<ExactF64>>,
        /// `y_i . y_j`.
        yy: Vec<Vec<ExactF64>>,
        /// Whether there is a last step.
        last: bool,
        /// Loss of the best point, if one was evaluated.
        best: Option<ExactF64>,
        /// Mean movement of a first step.
        first_move: ExactF64,
        /// Factor on every step.
        rate: ExactF64,
    },
    /// Adam. Vectors: the point; both moments if `moments`; the best point if `best`.
    Adam {
        /// Step in canvas values.
        learning_rate: ExactF64,
        /// Steps since the moments began.
        steps: i32,
        /// Whether there are moments.
        moments: bool,
        /// Loss of the best point, if one was evaluated.
        best: Option<ExactF64>,
    },
}

/// A state: [`Scalars`] and the vectors that they speak of.
pub struct State {
    /// The numbers.
    pub scalars: Scalars,
    /// The vectors, all of the canvas's shape, in the order that [`Scalars`] tells. They share
    /// memory with the optimiser's.
    pub vectors: Vec<Tensor>,
}

/// A square table, if it is one of `side` rows.
pub(super) fn square(table: Vec<Vec<ExactF64>>, side: usize) -> Option<VecDeque<VecDeque<f64>>> {
    let fits = table.len() == side && table.iter().all(|row| row.len() == side);
    fits.then(|| {
        table.into_iter().map(|row| row.into_iter().map(|bits| bits.0).collect()).collect()
    })
}
