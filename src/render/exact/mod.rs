//! Exact mode: the whole image's loss and gradient by sweeps over tiles, one optimiser.

pub(crate) mod level;
pub(crate) mod sweep;
pub(crate) mod tiled;
