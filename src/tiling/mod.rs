//! Cutting a canvas into tiles: cores that partition it, and the margins that make each core exact.

mod grid;

pub use grid::{ALIGNMENT, EXACT_ALIGNMENT, Grid, Margins, Tile};
