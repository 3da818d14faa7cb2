//! CPU kernels.

pub mod buffer;
pub mod convolve;
pub mod first;
pub mod gram;
pub mod isa;
pub mod map;
mod product;
mod simd;
pub mod winograd;

pub use isa::{Isa, IsaError};
pub use product::Panels;
