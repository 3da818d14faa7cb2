//! Cutting a canvas into tiles: cores that partition it, windows that blend overlapping tiles, and
//! canvases in files that are read tile by tile.

mod canvas_file;
mod feather;
mod grid;

pub use canvas_file::{CanvasError, CanvasFile, Pixels, Planes};
pub use feather::{Axis, Layout};
pub use grid::{Grid, Tile};
