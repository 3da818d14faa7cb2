//! What all modes share: sweeps over the tiles of a canvas, and what becomes of a tile that finds
//! no memory.
//!
//! A [`sweeps::TileSweeps`] belongs to a set of taps and a canvas size. Its forward sweep adds up
//! the sums over the whole image from which losses follow; its backward sweep brings gradients at
//! the taps back to the pixels. It knows margins, workers and where pixels come from, and no weight
//! of any loss.

mod assembly;
mod backward;
pub(crate) mod halving;
pub(crate) mod source;
mod sums;
pub(crate) mod sweeps;
