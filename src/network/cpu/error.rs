//! What can go wrong in the CPU engine.

use thiserror::Error;

use crate::network::layer::Layer;

/// Why a network could not be made or used.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum CpuError {
    /// bfloat16 asked for without the instructions.
    #[error("this processor has no bfloat16 products: use `float32`")]
    NoBfloat16,
    /// The region is so small that pooling leaves no cell at a tap.
    #[error("`{layer}` has no cells in a region of {width}x{height} px")]
    NoCells {
        /// The tap.
        layer: Layer,
        /// Pixels.
        height: usize,
        /// Pixels.
        width: usize,
    },
    /// A layer that is not among the request's taps, or whose map was not kept.
    #[error("`{0}` was not requested as a tap with what is asked of it now")]
    NotRequested(Layer),
    /// A layer beyond the network's deepest.
    #[error("`{0}` lies beyond the deepest layer of this network, `{1}`")]
    TooDeep(Layer, Layer),
    /// No taps at all.
    #[error("no taps requested")]
    NoTaps,
    /// Gradients asked for, but the forward sweep kept nothing.
    #[error("the forward sweep was told to keep nothing for the way back")]
    NotKept,
    /// Two gradients of a kind at one layer.
    #[error("two gradients of one kind at `{0}`")]
    Twice(Layer),
    /// A size that does not fit.
    #[error("{what}: expected {expected}, got {found}")]
    Size {
        /// What was measured.
        what: &'static str,
        /// What it should be.
        expected: usize,
        /// What it is.
        found: usize,
    },
    /// The system has no memory for a region's maps.
    #[error("no memory for {} MiB of feature maps", .bytes >> 20)]
    OutOfMemory {
        /// What was asked for.
        bytes: usize,
    },
    /// A rectangle that does not lie in the map.
    #[error("the rectangle of {what} does not lie in the region")]
    Outside {
        /// Which rectangle.
        what: &'static str,
    },
}
