//! Optimisers that move the canvas down the loss: L-BFGS and Adam.
//!
//! This module knows no network and no picture. It sees points, losses and gradients, so it is
//! tested on Rosenbrock's function. The caller evaluates its objective at
//! [`Optimiser::next_point`] and hands the result to [`Optimiser::advance`]: each step costs exactly
//! one evaluation.

mod adam;
mod lbfgs;
mod method;
mod optimiser;
mod state;
mod step;
pub mod vector;

pub use adam::Adam;
pub use lbfgs::Lbfgs;
pub use method::Method;
pub use optimiser::Optimiser;
pub use state::{ExactF64, Scalars, State};
pub use step::{Outcome, Step};
