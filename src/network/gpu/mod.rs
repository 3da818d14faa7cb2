//! VGG19 over candle tensors, on GPUs or on whatever device candle has, and the GPUs there are.
//!
//! Nobody who reads the CPU's side needs this folder: behind [`Network`](super::Network) the two are
//! alike. Kernels of our own for CUDA devices are in `kernels::cuda`.

mod arithmetic;
mod candle;
mod convolutions;
mod device;
mod operations;
mod stages;

pub use arithmetic::{allow_tf32, value_bytes};
pub use candle::CandleNetwork;
pub use convolutions::Convolutions;
pub use device::{Gpu, gpu, gpus};
pub use stages::Stages;
