//! Exact mode: the whole image's loss and gradient by sweeps over tiles, one optimiser.

pub(crate) mod evaluator;
pub(crate) mod level;
