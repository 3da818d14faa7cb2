//! GPUs: which there are, and how much memory they have.

use std::fmt;

use candle_core::Device;

use super::candle::CandleNetwork;
use super::convolutions::Convolutions;
use crate::format;
use crate::kernels::Pooling;
use crate::network::layer::Layer;
use crate::network::precision::Precision;
use crate::network::weights::Weights;
use crate::tensor::first_line;

/// An NVIDIA GPU that answers.
#[derive(Clone, Debug)]
pub struct Gpu {
    /// Its number, from 0.
    pub index: u32,
    /// What its maker calls it.
    pub name: String,
    /// Bytes of its memory that nobody uses now.
    pub free_bytes: u64,
    /// Bytes of its memory.
    pub total_bytes: u64,
    device: Device,
}

impl Gpu {
    /// The GPU as candle knows it.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// The network up to `deepest` on this GPU, by the fastest convolutions that keep to
    /// `precision`.
    ///
    /// # Errors
    /// When the device fails.
    pub fn network(
        &self,
        weights: &Weights,
        deepest: Layer,
        pooling: Pooling,
        precision: Precision,
    ) -> candle_core::Result<CandleNetwork> {
        let by = Convolutions::suited(&self.device, precision);
        CandleNetwork::with(weights, deepest, pooling, &self.device, precision, by)
    }
}

impl fmt::Display for Gpu {
    /// Number, maker's name and memory.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (free, total) = (format::bytes(self.free_bytes), format::bytes(self.total_bytes));
        write!(f, "cuda:{} ({}, {free} of {total} free)", self.index, self.name)
    }
}

/// The GPU of number `index`.
///
/// # Errors
/// Why it cannot be used, in words: the build has no CUDA, there is no such GPU, or it does not
/// answer.
pub fn gpu(index: u32) -> Result<Gpu, String> {
    if !cfg!(feature = "cuda") {
        return Err(
            "this build computes on the CPU alone; build with --features cuda to use NVIDIA GPUs"
                .into(),
        );
    }
    // A stream of its own, which every thread of ours uses: on the default ones work of two threads
    // is in no order.
    let device =
        Device::new_cuda_with_stream(index as usize).map_err(|error| first_line(&error))?;
    let (name, free_bytes, total_bytes) = ready(&device).map_err(|error| first_line(&error))?;
    Ok(Gpu { index, name, free_bytes, total_bytes, device })
}

/// All GPUs that answer; none where the build has no CUDA.
pub fn gpus() -> Vec<Gpu> {
    (0..).map_while(|index| gpu(index).ok()).collect()
}

/// Prepares a device; its name, and its free and all memory.
#[cfg(feature = "cuda")]
fn ready(device: &Device) -> candle_core::Result<(String, u64, u64)> {
    crate::kernels::cuda::settle(device)?;
    let stream = device.as_cuda_device()?.cuda_stream();
    let context = stream.context();
    let (free, total) = context.mem_get_info().map_err(candle_core::Error::wrap)?;
    let name = context.name().map_err(candle_core::Error::wrap)?;
    Ok((name, free as u64, total as u64))
}

#[cfg(not(feature = "cuda"))]
fn ready(_: &Device) -> candle_core::Result<(String, u64, u64)> {
    candle_core::bail!("no CUDA in this build")
}

#[cfg(test)]
mod tests {
    #[test]
    #[cfg(not(feature = "cuda"))]
    fn without_cuda_there_are_none_and_it_says_why() {
        assert!(super::gpus().is_empty());
        assert!(super::gpu(0).expect_err("no GPU").contains("--features cuda"));
    }
}
