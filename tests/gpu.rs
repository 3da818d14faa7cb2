//! A GPU against the reference values, against the CPU, and against itself. Skipped, with a word,
//! where no GPU answers.

#![cfg(feature = "cuda")]
#![allow(clippy::unwrap_used, reason = "a test that cannot begin has failed")]

mod support;

use std::sync::Arc;

use candle_core::{DType, Device, Tensor};
use impasto::image::{Limits, decode};
use impasto::network::gpu::{CandleNetwork, Convolutions, Gpu, allow_tf32, gpu};
use impasto::network::{Layer, Network, Pooling, Precision, Weights};
use impasto::objective::Spec;
use impasto::render::{Evaluation, Evaluator, TilePlan, WorkerPool, picture_tensor, style_targets};
use serde_json::Value;
use support::{path, relative_l2};

/// The first GPU; without one the test is skipped.
fn first() -> Option<Gpu> {
    match gpu(0) {
        Ok(gpu) => Some(gpu),
        Err(reason) => {
            eprintln!("skipped: no GPU answers: {reason}");
            None
        }
    }
}

fn picture(name: &str) -> impasto::image::Picture {
    decode(&path("tests/reference").join(name), &Limits::default()).unwrap()
}

fn tensor(name: &str) -> Tensor {
    let picture = picture(name);
    picture_tensor(&picture, picture.width as usize, picture.height as usize).unwrap()
}

/// The reference's canvas, photograph and painting by one network, canvas and targets where it
/// computes.
fn evaluate(network: &dyn Network, spec: &Spec, core: Option<usize>) -> Evaluation {
    let device = network.device();
    let canvas = tensor("canvas_101x75.png").to_device(&device).unwrap();
    let content = tensor("content_101x75.png").to_device(&device).unwrap();
    let style = picture("style_88x70.png");
    let size = (style.width as usize, style.height as usize);
    let targets = style_targets(&style, size, &spec.styles(), network).unwrap();
    let tiles = TilePlan::of_cores(spec, core.unwrap_or(usize::MAX));
    let workers = WorkerPool::single(Some(network));
    let mut evaluator = Evaluator::new(workers, spec, targets, &content, tiles).unwrap();
    evaluator.evaluate(&canvas).unwrap()
}

fn values(evaluation: &Evaluation) -> Vec<f32> {
    evaluation.gradient.to_dtype(DType::F32).unwrap().flatten_all().unwrap().to_vec1().unwrap()
}

fn bits(evaluation: &Evaluation) -> Vec<u32> {
    values(evaluation).into_iter().map(f32::to_bits).collect()
}

fn network(gpu: &Gpu, weights: &Weights, pooling: Pooling, precision: Precision) -> CandleNetwork {
    allow_tf32(precision);
    gpu.network(weights, Layer::parse("relu5_2").unwrap(), pooling, precision).unwrap()
}

/// One test, so that no two change the process's arithmetic under each other.
#[test]
fn a_gpu_computes_what_the_cpu_does() {
    let Some(gpu) = first() else { return };
    println!("{} ({:.1} GiB free)", gpu.name, gpu.free_bytes as f64 / (1u64 << 30) as f64);
    let weights = Weights::embedded().unwrap();
    let text = std::fs::read_to_string(path("tests/reference/expected.json")).unwrap();
    let expected: Value = serde_json::from_str(&text).unwrap();
    for (pooling, word) in [(Pooling::Max, "max"), (Pooling::Average, "avg")] {
        let losses = &expected["cases"][format!("{word}_f16weights")]["losses"];
        let deepest = Layer::parse("relu5_2").unwrap();
        let direct = CandleNetwork::new(&weights, deepest, pooling, &Device::Cpu).unwrap();
        allow_tf32(Precision::Float32);
        // With tiles of 4x4, a maximum or a ReLU within rounding of the other side may fall
        // otherwise than by direct convolutions. One such flip weighs this much in the gradient of
        // a picture of 6x4 cells; average poolings have next to none.
        let flips = if pooling == Pooling::Max { 1e-2 } else { 1e-4 };
        for (by, bound) in [(Convolutions::Products, 1e-4), (Convolutions::Winograd, flips)] {
            let exact = CandleNetwork::with(
                &weights,
                deepest,
                pooling,
                gpu.device(),
                Precision::Float32,
                by,
            )
            .unwrap();
            for (name, spec) in [
                ("total_neural_style", Spec::neural_style()),
                ("total_gatys_code", Spec::gatys()),
                ("total_spst", Spec::spst()),
            ] {
                let spec = Spec { pooling, ..spec };
                let found = evaluate(&exact, &spec, None);
                let wanted = losses[name]["value"].as_f64().unwrap();
                let error = (found.losses.total - wanted).abs() / wanted;
                let norm = values(&found).iter().map(|g| f64::from(*g).powi(2)).sum::<f64>().sqrt();
                let length = losses[name]["grad_l2"].as_f64().unwrap();
                let length = (norm - length).abs() / length;
                let judged = relative_l2(&values(&found), &values(&evaluate(&direct, &spec, None)));
                println!(
                    "{name}, {word}, {by:?}: loss off by {error:.1e}, gradient's norm by {length:.1e}, gradient by {judged:.1e}"
                );
                assert!(
                    error <= 1e-4,
                    "{name}, {word}, {by:?}: {} instead of {wanted}",
                    found.losses.total
                );
                assert!(
                    length <= 2e-4 && judged <= bound,
                    "{name}, {word}, {by:?}: gradient off by {length:.1e} and {judged:.1e}"
                );
                assert_eq!(
                    bits(&found),
                    bits(&evaluate(&exact, &spec, None)),
                    "{name}, {word}, {by:?}: not the same bytes twice"
                );
                let tiled =
                    relative_l2(&values(&evaluate(&exact, &spec, Some(64))), &values(&found));
                println!("{name}, {word}, {by:?}: in tiles off by {tiled:.1e}");
                assert!(
                    tiled <= bound.max(1e-3),
                    "{name}, {word}, {by:?}: in tiles off by {tiled:.1e}"
                );
            }
        }
        let exact = network(&gpu, &weights, pooling, Precision::Float32);
        // Labelled fast modes: their errors are printed, and bounded loosely.
        let spec = Spec { pooling, ..Spec::spst() };
        let wanted = evaluate(&exact, &spec, None);
        for (precision, bound) in [(Precision::Tf32, 0.05), (Precision::Bfloat16, 0.3)] {
            let found = evaluate(&network(&gpu, &weights, pooling, precision), &spec, None);
            let loss = (found.losses.total - wanted.losses.total).abs() / wanted.losses.total;
            let gradient = relative_l2(&values(&found), &values(&wanted));
            println!("{precision:?}, {word}: loss off by {loss:.1e}, gradient by {gradient:.1e}");
            assert!(
                loss <= bound && gradient <= bound,
                "{precision:?}, {word}: {loss:.1e}, {gradient:.1e}"
            );
        }
        allow_tf32(Precision::Float32);
    }
}

#[test]
fn two_workers_on_one_gpu_give_one_workers_bytes() {
    let Some(gpu) = first() else { return };
    let weights = support::small_network(6, [8, 8, 16, 16, 16]);
    let spec = Spec::spst();
    let deepest = spec.deepest().unwrap();
    let one = gpu.network(&weights, deepest, spec.pooling, Precision::Float32).unwrap();
    let network: Arc<dyn Network> = Arc::new(one);
    let style = picture("style_88x70.png");
    let targets = style_targets(&style, (88, 70), &spec.styles(), network.as_ref()).unwrap();
    let (canvas, content) = (tensor("canvas_101x75.png"), tensor("content_101x75.png"));
    let run = |workers: usize| {
        let pool = Arc::new(rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap());
        let workers = WorkerPool::of(
            (0..workers).map(|_| (Arc::clone(&network), Arc::clone(&pool))).collect(),
        );
        // The canvas is in this machine's memory, as with several GPUs.
        let tiles = TilePlan::of_cores(&spec, 64);
        let mut evaluator =
            Evaluator::new(workers, &spec, targets.clone(), &content, tiles).unwrap();
        bits(&evaluator.evaluate(&canvas).unwrap())
    };
    assert_eq!(run(1), run(2));
}
