//! Cutting a canvas into tiles: cores that partition it, windows that blend overlapping tiles, and
//! canvases in files that are read tile by tile.

mod feather;
mod grid;
mod pixels;

pub use feather::{Axis, Layout};
pub use grid::{Grid, Tile};
pub use pixels::{CanvasFile, Pixels, Planes};
