//! What several tests share.
#![allow(dead_code, reason = "each test uses a part")]
#![allow(clippy::unwrap_used, reason = "a test that cannot begin has failed")]

pub mod chain;
pub mod networks;
pub mod plain;

use std::sync::Arc;

use candle_core::Device;
use impasto::network::gpu::CandleNetwork;
use impasto::network::{Convolution, CpuNetwork, Isa, Layer, Network, Pooling, Precision, Weights};
use impasto::random::Noise;

/// Kinds of TIFF in `tests/pictures` that other programs wrote: BigTIFF, tiles, planes,
/// differences, extra channels.
pub const OTHERS_TIFFS: [&str; 5] = [
    "bigtiff-tiles-deflate-16.tif",
    "packbits-strips.tif",
    "planes-lzw-16.tif",
    "lzw-differenced-extra-channel.tif",
    "deflate-differenced-extra-channel-16-be.tif",
];

/// A folder of the repository.
pub fn path(relative: &str) -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(relative)
}

/// Sixteen convolutions with random weights and few channels, scaled so that values keep their size
/// along the chain.
pub fn small_network(seed: u64, widths: [usize; 5]) -> Weights {
    let noise = Noise::new(seed);
    let mut next = 0u64;
    let mut draw = || {
        next += 1;
        noise.normal(next)
    };
    let mut inputs = 3;
    let convolutions = Layer::all()
        .map(|layer| {
            let outputs = widths[layer.block() - 1];
            let deviation = (2.0 / (9 * inputs) as f32).sqrt();
            let weight = (0..outputs * inputs * 9).map(|_| deviation * draw()).collect();
            let bias = (0..outputs).map(|_| 0.1 * draw()).collect();
            let convolution = Convolution { inputs, outputs, weight, bias };
            inputs = outputs;
            convolution
        })
        .collect();
    Weights::from_convolutions(convolutions)
}

/// Every implementation of the network this machine can run, by name.
pub fn networks(
    weights: &Weights,
    deepest: Option<Layer>,
    pooling: Pooling,
) -> Vec<(String, Option<Arc<dyn Network>>)> {
    let Some(deepest) = deepest else { return vec![("no network".into(), None)] };
    let candle = CandleNetwork::new(weights, deepest, pooling, &Device::Cpu).unwrap();
    let mut all = vec![("candle".into(), Some(Arc::new(candle) as Arc<dyn Network>))];
    for isa in Isa::available() {
        let cpu = CpuNetwork::new(weights, deepest, pooling, Precision::Float32, isa).unwrap();
        all.push((isa.name().into(), Some(Arc::new(cpu) as Arc<dyn Network>)));
    }
    all
}

/// Random pixels in 0..1, planar.
pub fn random_pixels(seed: u64, width: usize, height: usize) -> Vec<f32> {
    let noise = Noise::new(seed);
    (0..3 * width * height).map(|i| noise.uniform(i as u64)).collect()
}

/// `|a - b| / |b|` in the Euclidean norm.
pub fn relative_l2(a: &[f32], b: &[f32]) -> f64 {
    assert_eq!(a.len(), b.len());
    let square = |values: &mut dyn Iterator<Item = f64>| values.map(|v| v * v).sum::<f64>().sqrt();
    let difference = square(&mut a.iter().zip(b).map(|(x, y)| f64::from(*x) - f64::from(*y)));
    difference / square(&mut b.iter().map(|v| f64::from(*v))).max(f64::MIN_POSITIVE)
}
