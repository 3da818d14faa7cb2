//! Several devices: one that fails is left behind, and the network over candle tensors computes the
//! same in either way.
//!
//! No GPU is needed: workers on the CPU stand in, and one of them breaks down.

#![allow(clippy::unwrap_used, reason = "a test that cannot begin has failed")]

mod support;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use candle_core::{Device, Tensor};
use impasto::event::CancellationToken;
use impasto::event::{Event, Watcher};
use impasto::geometry::Rect;
use impasto::image::{Limits, decode};
use impasto::internal::{Canvas, RoundContext, Rounds, TileContext, tensor_targets};
use impasto::network::gpu::{CandleNetwork, Convolutions};
use impasto::network::{CpuNetwork, Isa, Layer, Network, Pooling, Precision};
use impasto::objective::{Spec, StyleTargets};
use impasto::optimise::Method;
use impasto::plan::{RoundMode, Visits};
use impasto::render::{Evaluator, RenderError, TilePlan, WorkerPool, style_targets};
use impasto::tiling::{CanvasFile, Planes};
use support::networks::{Breaking, Stingy};
use support::{path, random_pixels, relative_l2, small_network};

const SIZE: (usize, usize) = (330, 90);

fn tensor(seed: u64, (width, height): (usize, usize)) -> Tensor {
    Tensor::from_vec(random_pixels(seed, width, height), (3, height, width), &Device::Cpu).unwrap()
}

fn small(spec: &Spec) -> (Arc<dyn Network>, StyleTargets) {
    let weights = small_network(6, [4, 4, 5, 6, 6]);
    let deepest = spec.deepest().unwrap();
    let network: Arc<dyn Network> = Arc::new(
        CpuNetwork::new(&weights, deepest, spec.pooling, Precision::Float32, Isa::detect())
            .unwrap(),
    );
    let targets = tensor_targets(&tensor(3, (70, 90)), &spec.styles(), network.as_ref()).unwrap();
    (network, targets)
}

/// A worker for each number: how many sweeps it lasts.
fn workers(network: &Arc<dyn Network>, last: &[usize]) -> WorkerPool<'static> {
    let pool = || Arc::new(rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap());
    let member = |lasts: &usize| {
        (Arc::new(Breaking::new(Arc::clone(network), *lasts)) as Arc<dyn Network>, pool())
    };
    WorkerPool::of(last.iter().map(member).collect())
}

#[test]
fn a_paintings_statistics_are_taken_in_smaller_tiles_where_memory_is_short() {
    let spec = Spec::spst();
    let (network, _) = small(&spec);
    let layers = spec.styles();
    let picture = decode(&path("tests/reference/style_88x70.png"), &Limits::default()).unwrap();
    let size = (700, 557);
    let whole = style_targets(&picture, size, &layers, network.as_ref()).unwrap();
    let stingy = Stingy::new(Arc::clone(&network), 500 * 500);
    let found = style_targets(&picture, size, &layers, &stingy).unwrap();
    assert!(stingy.refused.load(Ordering::Relaxed) > 0);
    for (layer, statistics) in &whole.taps {
        let values = |tensor: &Tensor| tensor.flatten_all().unwrap().to_vec1::<f64>().unwrap();
        let (wanted, found) = (values(&statistics.gram), values(&found.taps[layer].gram));
        let error = wanted.iter().zip(&found).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        assert!(
            error <= 1e-5 * wanted.iter().fold(0.0, |most: f64, value| most.max(value.abs())),
            "{layer}: off by {error:.1e}"
        );
    }
    // Where even the smallest tile finds no memory, that is the error.
    stingy.allow(64);
    let error = style_targets(&picture, size, &layers, &stingy).unwrap_err();
    assert!(matches!(&error, RenderError::Network(error) if error.is_out_of_memory()), "{error}");
}

#[test]
fn what_a_device_leaves_behind_is_computed_by_the_others() {
    let spec = Spec { variation_weight: 1e-3, ..Spec::spst() };
    let (network, targets) = small(&spec);
    let (canvas, content) = (tensor(1, SIZE), tensor(2, SIZE));
    let run = |workers: WorkerPool<'_>, core, keep| {
        let tiles = TilePlan { keep, ..TilePlan::of_cores(&spec, core) };
        let mut evaluator = Evaluator::new(workers, &spec, targets.clone(), &content, tiles)?;
        let found = evaluator.evaluate(&canvas)?;
        Ok::<_, RenderError>((found.losses, found.gradient.flatten_all()?.to_vec1::<f32>()?))
    };
    let mut broke = 0;
    for (core, keep) in [(64, 0), (64, 4), (64, 99), (999, 0)] {
        let alone = run(WorkerPool::single(Some(network.as_ref())), core, keep).unwrap();
        // The photograph's features, the first sweep, what was kept, the second sweep: it breaks
        // everywhere.
        for lasts in (0..24).step_by(2) {
            for last in [vec![lasts, usize::MAX], vec![usize::MAX, lasts, lasts + 3]] {
                let workers = workers(&network, &last);
                let found = run(workers.clone(), core, keep).unwrap();
                assert!(found == alone, "cores of {core}, {keep} kept, workers last {last:?}");
                let lost = workers.take_lost();
                assert!(
                    lost.len() < last.len()
                        && lost
                            .iter()
                            .all(|lost| lost.reason.contains("CUDA_ERROR") && lost.left > 0),
                    "{lost:?}"
                );
                assert!(workers.take_lost().is_empty(), "news is reported once");
                broke += lost.len();
            }
        }
    }
    assert!(broke > 25, "only {broke} workers broke down");
    // Where nobody is left, the device's own words are the error.
    let error = run(workers(&network, &[3, 2]), 64, 0).unwrap_err();
    assert!(
        matches!(&error, RenderError::Network(failure) if failure.is_device_failure())
            && error.to_string().contains("launch failure"),
        "{error}"
    );
}

#[test]
fn rounds_go_on_without_a_lost_device() {
    let spec = Spec::spst();
    let (network, targets) = small(&spec);
    let (content, start) = (random_pixels(2, SIZE.0, SIZE.1), random_pixels(1, SIZE.0, SIZE.1));
    let content = Planes::new(SIZE, &content).unwrap();
    let run = |workers: &WorkerPool<'_>| {
        let visits = Visits { core: 64, overlap: 16, rounds: 2, visit: 3, history: 3 };
        let context = RoundContext {
            mode: RoundMode::Blocks,
            workers,
            spec: &spec,
            targets: &targets,
            content: &content,
            visits,
            context: TileContext::Features,
            method: Method::Lbfgs { history: visits.history, rate: 1.0 },
        };
        let scratch = tempfile::tempdir().unwrap();
        let rounds = Rounds { context: &context, scratch: scratch.path(), job: 0, level: 0 };
        let mut lost = vec![];
        let mut listener = |event: &Event| {
            if let Event::DeviceLost { device, left, .. } = event {
                lost.push((device.clone(), *left));
            }
        };
        let start = CanvasFile::create_with(&rounds.canvas_path(0), SIZE, &start).unwrap();
        let mut state = rounds.resume(Canvas::File(start), &mut |note| panic!("{note}")).unwrap();
        let mut watcher =
            Watcher { listener: &mut listener, cancellation: &CancellationToken::new() };
        for _ in 0..visits.rounds {
            rounds.advance(&mut state, &mut watcher).unwrap();
        }
        (state.canvas.read(Rect::whole(SIZE.0, SIZE.1)).unwrap(), lost)
    };
    let (alone, nobody) = run(&WorkerPool::single(Some(network.as_ref())));
    assert!(nobody.is_empty());
    for lasts in [0, 5, 20, 33] {
        let (found, lost) = run(&workers(&network, &[usize::MAX, lasts]));
        assert!(found == alone, "the second worker lasts {lasts} sweeps");
        assert_eq!(lost, [("worker 2".to_string(), 1)], "the second worker lasts {lasts} sweeps");
    }
}

#[test]
fn stages_are_timed_while_somebody_wants_to_know() {
    let weights = small_network(9, [5, 6, 7, 8, 8]);
    let spec = Spec::spst();
    let network =
        CandleNetwork::new(&weights, spec.deepest().unwrap(), spec.pooling, &Device::Cpu).unwrap();
    let targets = tensor_targets(&tensor(3, (70, 90)), &spec.styles(), &network).unwrap();
    let (workers, tiles) = (WorkerPool::single(Some(&network)), TilePlan::untiled(&spec));
    let mut evaluator = Evaluator::new(workers, &spec, targets, &tensor(2, SIZE), tiles).unwrap();
    assert!(network.stages().finish().unwrap().is_empty());
    let started = std::time::Instant::now();
    network.stages().start();
    evaluator.evaluate(&tensor(1, SIZE)).unwrap();
    let whole = started.elapsed().as_secs_f64();
    let stages = network.stages().finish().unwrap();
    let names: Vec<&str> = stages.keys().copied().collect();
    assert_eq!(
        names,
        [
            "convolutions back",
            "convolutions forward",
            "gradients at taps",
            "pixels",
            "pooling",
            "sums",
            "unpooling"
        ]
    );
    let sum: f64 = stages.values().sum();
    assert!(
        stages.values().all(|seconds| *seconds >= 0.0) && 0.0 < sum && sum <= whole,
        "{stages:?} of {whole}"
    );
}

#[test]
fn convolutions_as_products_are_candles_own() {
    let weights = small_network(9, [5, 6, 7, 8, 8]);
    let deepest = Layer::parse("relu5_1").unwrap();
    for pooling in [Pooling::Max, Pooling::Average] {
        let spec = Spec { pooling, variation_weight: 0.0, ..Spec::spst() };
        for size in [(64, 48), (77, 51), (16, 33)] {
            let evaluate = |by| {
                let network = CandleNetwork::with(
                    &weights,
                    deepest,
                    pooling,
                    &Device::Cpu,
                    Precision::Float32,
                    by,
                )
                .unwrap();
                let targets =
                    tensor_targets(&tensor(3, (70, 90)), &spec.styles(), &network).unwrap();
                let workers = WorkerPool::single(Some(&network));
                let tiles = TilePlan::untiled(&spec);
                let mut evaluator =
                    Evaluator::new(workers, &spec, targets, &tensor(2, size), tiles).unwrap();
                let found = evaluator.evaluate(&tensor(1, size)).unwrap();
                (
                    found.losses.total,
                    found.gradient.flatten_all().unwrap().to_vec1::<f32>().unwrap(),
                )
            };
            let (candle, products) =
                (evaluate(Convolutions::Candle), evaluate(Convolutions::Products));
            assert!((candle.0 - products.0).abs() <= 1e-6 * candle.0, "{size:?}");
            let off = relative_l2(&products.1, &candle.1);
            // A flipped ReLU or pooling choice weighs more than rounding.
            assert!(off <= 2e-3, "{size:?}, {pooling:?}: {off:.1e}");
        }
    }
}
