//! What can go wrong in a sweep.

use super::layer::Layer;
use crate::memory::NoMemory;
use crate::tensor::first_line;

/// Why a network could not be made or a sweep failed.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// The CPU was asked for a precision that it has no instructions for.
    #[error("this processor has no {0} products: use float32")]
    NoSuchPrecision(&'static str),
    /// The region is too small for a tap: the poolings leave no cell.
    #[error("the picture is too small for {layer}: it needs at least {0} px on each side", .layer.stride())]
    NoCells {
        /// The tap.
        layer: Layer,
    },
    /// A tensor is not what the sweep takes.
    #[error("the network takes pixels as float32 [3, height, width], got {shape:?}")]
    Shape {
        /// The shape that came.
        shape: Vec<usize>,
    },
    /// A request names no layer at all.
    #[error("no taps requested")]
    NoTaps,
    /// A layer beyond the network's deepest.
    #[error("{layer} lies beyond the deepest layer of this network, {deepest}")]
    TooDeep {
        /// The layer.
        layer: Layer,
        /// The deepest that is prepared.
        deepest: Layer,
    },
    /// A layer that the request does not name for what is asked of it now.
    #[error("{0} was not requested as a tap with what is asked of it now")]
    NotRequested(Layer),
    /// A backward sweep after a forward sweep that kept nothing for it.
    #[error("the forward sweep kept nothing for a backward sweep")]
    NotKept,
    /// Two gradients of one kind at one tap.
    #[error("two gradients of one kind at {0}")]
    Twice(Layer),
    /// A size that does not fit.
    #[error("{what}: expected {expected}, got {found}")]
    Size {
        /// What has the size.
        what: &'static str,
        /// What it should be.
        expected: usize,
        /// What it is.
        found: usize,
    },
    /// A rectangle that does not lie in the region.
    #[error("the rectangle of {0} does not lie in the region")]
    Outside(&'static str),
    /// Features or sums of two implementations were mixed, or sums of two taps.
    #[error("features or sums of one kind of device were given to another")]
    Mixed,
    /// The system has no memory for a region's maps or vectors.
    #[error(transparent)]
    OutOfMemory(#[from] NoMemory),
    /// candle or the device failed.
    #[error("{}{}", first_line(.0), if no_memory(.0) { ": the device has too little memory free" } else { "" })]
    Candle(#[from] candle_core::Error),
}

impl NetworkError {
    /// Whether the device itself failed, and not for memory: another one may do.
    pub fn is_device_failure(&self) -> bool {
        matches!(self, NetworkError::Candle(_)) && !self.is_out_of_memory()
    }

    /// Whether the device had no memory left: a smaller tile may do.
    pub fn is_out_of_memory(&self) -> bool {
        match self {
            NetworkError::OutOfMemory(_) => true,
            NetworkError::Candle(error) => no_memory(error),
            _ => false,
        }
    }
}

/// Devices report it in words only: "CUDA_ERROR_OUT_OF_MEMORY", "out of memory". cuBLAS says
/// "CUBLAS_STATUS_ALLOC_FAILED".
fn no_memory(error: &candle_core::Error) -> bool {
    let words = first_line(error).to_lowercase().replace('_', " ");
    words.contains("out of memory") || words.contains("alloc failed")
}
