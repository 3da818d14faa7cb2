//! VGG19 on the CPU: forward and backward sweeps over one region of the canvas, statistics on the
//! way.
//!
//! The network is a chain, so the way back is written out. The forward sweep keeps the taps'
//! features, one bit per ReLU and the pooling choice; relu1_1 is never stored but computed again
//! where it is needed. This module owns the order of the stages and what is kept; the arithmetic is
//! in `kernels`, the losses are the caller's.

mod backward;
mod forward;
mod memory;
mod profile;

use std::sync::{Arc, Mutex};

use candle_core::{Device, Tensor};

use crate::geometry::Rect;
use crate::kernels::buffer::BufferCache;
use crate::kernels::first::FirstConvolution;
use crate::kernels::map::{CHANNEL_BLOCK, Shape};
use crate::kernels::winograd::{Direction, Filters, Layer3x3};
use crate::kernels::{Isa, Pooling};
use crate::network::Network;
use crate::network::error::NetworkError;
use crate::network::layer::Layer;
use crate::network::precision::Precision;
use crate::network::request::Request;
use crate::network::weights::Weights;
use crate::random::Noise;

pub use memory::{SweepBytes, prepared_bytes, sweep_bytes};
pub use profile::{Profile, Stage};

/// VGG19 prepared for this processor. Shared by any number of threads.
pub struct CpuNetwork {
    isa: Isa,
    deepest: Layer,
    pooling: Pooling,
    first: FirstConvolution,
    /// From the second convolution on.
    forward: Vec<Filters>,
    /// From the first convolution on.
    backward: Vec<Filters>,
    /// Padded to multiples of 16.
    biases: Vec<Vec<f32>>,
    channels: Vec<usize>,
    /// Largest feature of each layer for a noise picture, rounded up to a power of two.
    largest: Vec<f32>,
    cache: Arc<BufferCache>,
    profile: Mutex<Profile>,
}

/// Steps of the integer sums: this many powers of two below the (squared) largest feature.
const UNIT_BITS: i32 = 30;

impl CpuNetwork {
    /// Prepares the layers up to `deepest`, in parallel in the current thread pool.
    ///
    /// # Errors
    /// If the processor lacks the instructions for the precision.
    ///
    /// # Panics
    /// If the sizes in `weights` contradict each other.
    pub fn new(
        weights: &Weights,
        deepest: Layer,
        pooling: Pooling,
        precision: Precision,
        isa: Isa,
    ) -> Result<Self, NetworkError> {
        match precision {
            Precision::Float32 => {}
            Precision::Bfloat16 if isa.has_bfloat16() => {}
            Precision::Bfloat16 => return Err(NetworkError::NoSuchPrecision("bfloat16")),
            Precision::Tf32 => return Err(NetworkError::NoSuchPrecision("tf32")),
        }
        let kept = BufferCache::new();
        let mut first = None;
        let (mut forward, mut backward, mut biases, mut channels) =
            (vec![], vec![], vec![], vec![]);
        for &place in &Layer::ALL[..=deepest.index()] {
            // One layer at a time: all of them in float32 would be a large part of what the network
            // takes in the end.
            let layer = weights.convolution(place);
            assert_eq!(
                layer.weight.len(),
                layer.outputs * layer.inputs * 9,
                "weights of the convolution to {place}"
            );
            let source =
                Layer3x3 { weights: &layer.weight, outputs: layer.outputs, inputs: layer.inputs };
            let make = |direction, scale| {
                Filters::new(isa, &kept, source, direction, scale, precision == Precision::Bfloat16)
            };
            if place.index() == 0 {
                first = Some(FirstConvolution::new(isa, &layer.weight, &layer.bias));
            } else {
                forward.push(make(Direction::Forward, 1.0)?);
            }
            // The mean of four passes a quarter of the gradient to each.
            let averaged =
                pooling == Pooling::Average && place.index() > 0 && place.is_first_of_block();
            backward.push(make(Direction::Backward, if averaged { 0.25 } else { 1.0 })?);
            let mut padded = layer.bias.clone();
            padded.resize(layer.bias.len().next_multiple_of(CHANNEL_BLOCK), 0.0);
            biases.push(padded);
            channels.push(layer.outputs);
        }
        let mut network = Self {
            isa,
            deepest,
            pooling,
            first: first.expect("every chain begins with the first convolution"),
            forward,
            backward,
            largest: vec![1.0; channels.len()],
            biases,
            channels,
            cache: BufferCache::new(),
            profile: Mutex::default(),
        };
        network.calibrate()?;
        network.reset_profile();
        Ok(network)
    }

    /// Sets the units of the statistics from the features of a noise picture.
    fn calibrate(&mut self) -> Result<(), NetworkError> {
        const SIDE: usize = 64;
        let noise = Noise::new(0);
        let noise: Vec<f32> = (0..3 * SIDE * SIDE).map(|i| noise.uniform(i as u64)).collect();
        let noise = Tensor::from_vec(noise, (3, SIDE, SIDE), &Device::Cpu)?;
        let layers = Layer::ALL[..=self.deepest.index()].to_vec();
        let request = Request { features: layers, ..Request::over(Rect::whole(SIDE, SIDE)) };
        let pass = self.forward(&noise, &request)?;
        let largest = |layer: &Layer| {
            let most = pass.features(*layer)?.to_planar()?.into_iter().fold(0f32, f32::max);
            let usable = most > 0.0 && most.is_finite();
            Ok(if usable { most.log2().ceil().exp2() } else { 1.0 })
        };
        let largest = request.features.iter().map(largest).collect::<Result<_, NetworkError>>()?;
        drop(pass);
        self.largest = largest;
        Ok(())
    }

    /// One over the units of the sums of products and of features.
    fn scales(&self, layer: Layer) -> (f32, f32) {
        let largest = self.largest[layer.index()];
        let steps = (UNIT_BITS as f32).exp2();
        (steps / (largest * largest), steps / largest)
    }

    /// Channels of a layer, if it is prepared.
    pub fn channels(&self, layer: Layer) -> Option<usize> {
        self.channels.get(layer.index()).copied()
    }

    /// Time spent since the last reset.
    pub fn profile(&self) -> Profile {
        self.profile.lock().unwrap_or_else(|e| e.into_inner()).clone()
    }

    /// Forgets the time spent.
    pub fn reset_profile(&self) {
        *self.profile.lock().unwrap_or_else(|e| e.into_inner()) = Profile::default();
    }

    /// Gives working memory kept between calls back to the system.
    pub fn clear(&self) {
        self.cache.clear();
    }

    /// Bytes of the prepared weights.
    pub fn fixed_bytes(&self) -> usize {
        self.forward.iter().chain(&self.backward).map(Filters::bytes).sum()
    }

    fn shape(&self, layer: Layer, height: usize, width: usize) -> Shape {
        let stride = layer.stride();
        Shape {
            channels: self.channels[layer.index()],
            height: height / stride,
            width: width / stride,
        }
    }

    fn timed<R>(&self, layer: Layer, stage: Stage, work: impl FnOnce() -> R) -> R {
        let start = std::time::Instant::now();
        let result = work();
        let seconds = start.elapsed().as_secs_f64();
        self.profile.lock().unwrap_or_else(|e| e.into_inner()).add(layer, stage, seconds);
        result
    }
}
