//! Which optimiser a canvas is given.

use candle_core::Tensor;

use super::adam::Adam;
use super::lbfgs::Lbfgs;
use super::optimiser::Optimiser;

/// An optimiser before it has a canvas.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Method {
    /// L-BFGS.
    Lbfgs {
        /// Pairs that it keeps at most.
        history: usize,
        /// Factor on every step, usually 1.
        rate: f64,
    },
    /// Adam.
    Adam {
        /// Step in canvas values.
        rate: f64,
    },
}

impl Method {
    /// The optimiser of the canvas `x`.
    pub fn start(self, x: Tensor) -> Optimiser {
        match self {
            Method::Lbfgs { history, rate } => {
                Optimiser::Lbfgs(Lbfgs::new(x, history).with_learning_rate(rate))
            }
            Method::Adam { rate } => Optimiser::Adam(Adam::new(x, rate)),
        }
    }
}
