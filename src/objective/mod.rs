//! The loss over the network: what is weighted how, the style's targets, and the gradients at the
//! taps.
//!
//! The style terms compare statistics of whole images: per tap the Gram matrix `G = mean(F F^T)`,
//! the channel means `mu` and the deviations `s` over all cells (Gatys, Ecker and Bethge,
//! arXiv:1508.06576; Galerne et al., *Scaling Painting Style Transfer*, 2024). Because they depend
//! on the canvas through sums only, they can be gathered tile by tile, and their gradient at every
//! cell is one matrix and one offset, the same for all tiles.

mod image;
mod octave;
mod spec;
mod style;
mod transported;
mod variation;
mod wasserstein;

pub use image::{ImageLoss, ImageSums, TapLoss, cell_weights, cells};
pub use octave::{halved, size_at, spread};
pub use spec::{Spec, StyleDistance};
pub use style::{Means, StyleGradient, StyleLoss, StyleTargets, TapStatistics};
pub use transported::TransportedStyle;
pub use variation::{total_variation, variation_of_rows};
