//! Cutting a canvas into tiles: cores that partition it, the margins that make each core exact,
//! windows that blend overlapping tiles, and canvases in files that are read tile by tile.

mod feather;
mod grid;
mod pixels;

pub use feather::{Axis, Layout};
pub use grid::{ALIGNMENT, EXACT_ALIGNMENT, Grid, Margins, Tile};
pub use pixels::{CanvasFile, Pixels, Planes};
