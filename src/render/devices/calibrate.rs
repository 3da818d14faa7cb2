//! How fast this machine is, measured in a second or two.

use std::time::Instant;

use candle_core::{Device, Tensor};

use crate::geometry::Rect;
use crate::network::{NetworkError, Request};
use crate::objective::{Spec, StyleTargets};
use crate::optimise::vector;
use crate::plan::Speed;
use crate::random::Noise;
use crate::render::devices::engine::Engine;
use crate::render::devices::worker_pool::WorkerPool;
use crate::render::error::RenderError;
use crate::render::exact::evaluator::{Evaluator, TilePlan};
use crate::render::store::targets::tensor_targets;

/// Side of the square that is evaluated, px.
const SIDE: usize = 384;
/// Each part is timed so often, and the fastest counts: what else the machine does only ever makes
/// it slower.
const TIMES: usize = 2;
/// Vectors that are read at once, and their length: more than a processor's caches hold.
const VECTORS: usize = 8;
const LENGTH: usize = 3 << 20;

/// Measures the loss `spec` on a square of noise: what an evaluation costs does not depend on the
/// picture.
///
/// # Errors
/// When the device fails.
pub fn calibrate(engine: &mut Engine, spec: &Spec) -> Result<Speed, RenderError> {
    let network =
        spec.deepest().map(|deepest| engine.network(deepest, spec.pooling)).transpose()?;
    engine.install(|| {
        let layers = spec.styles();
        let canvas = noise(SIDE)?;
        let targets = match &network {
            Some(network) if !layers.is_empty() => {
                tensor_targets(&noise(SIDE / 2)?, &layers, network.as_ref())?
            }
            _ => StyleTargets::default(),
        };
        let workers = WorkerPool::single(network.as_deref());
        let tiles = TilePlan::untiled(spec);
        let mut evaluator = Evaluator::new(workers, spec, targets, &canvas, tiles)?;
        let megapixels = (SIDE * SIDE) as f64 * 1e-6;
        let evaluation = fastest(|| evaluator.evaluate(&canvas).map(drop))? / megapixels;
        let forward = match &network {
            Some(network) => {
                let core = Rect::whole(SIDE, SIDE);
                let features = spec.contents();
                let request = Request { moments: layers, features, ..Request::over(core) };
                fastest(|| network.forward(&canvas, &request).map(drop))? / megapixels
            }
            None => 0.0,
        };
        Ok(Speed { evaluation, forward, vector: vector_seconds()? })
    })
}

/// Seconds for reading one vector of a megapixel.
fn vector_seconds() -> Result<f64, RenderError> {
    let vectors: Vec<Tensor> = (0..VECTORS)
        .map(|i| Tensor::full(i as f32, LENGTH, &Device::Cpu))
        .collect::<Result<_, candle_core::Error>>()?;
    let terms: Vec<(f64, &Tensor)> = vectors.iter().map(|vector| (0.5, vector)).collect();
    let seconds = fastest(|| vector::combine(&vectors[0], &terms).map(drop))?;
    Ok(seconds / (VECTORS + 2) as f64 * 3e6 / LENGTH as f64)
}

fn fastest<E: Into<RenderError>>(
    mut work: impl FnMut() -> Result<(), E>,
) -> Result<f64, RenderError> {
    let mut best = f64::INFINITY;
    for _ in 0..TIMES {
        let started = Instant::now();
        work().map_err(Into::into)?;
        best = best.min(started.elapsed().as_secs_f64());
    }
    Ok(best)
}

fn noise(side: usize) -> Result<Tensor, NetworkError> {
    let noise = Noise::new(1);
    let values: Vec<f32> = (0..3 * side * side).map(|i| noise.uniform(i as u64)).collect();
    Ok(Tensor::from_vec(values, (3, side, side), &Device::Cpu)?)
}
