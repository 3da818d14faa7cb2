//! The network, the loss and the gradient, held against slow and independent computations.

#![allow(clippy::unwrap_used, reason = "a test that cannot begin has failed")]

mod accuracy;
mod engine;
mod gradients;
mod reference;
#[path = "../support/mod.rs"]
mod support;
