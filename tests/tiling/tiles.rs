//! The loss and its gradient computed tile by tile are those of the whole picture.

#![allow(clippy::unwrap_used, reason = "a test that cannot begin has failed")]

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::support::networks::{Dawdling, Stingy};
use crate::support::{random_pixels, relative_l2, small_network};
use candle_core::{Device, Tensor};
use impasto::internal::tensor_targets;
use impasto::network::{CpuNetwork, Isa, Layer, Margins, Network, Pooling, Precision, Weights};
use impasto::objective::{Spec, StyleTargets};
use impasto::render::{Evaluation, Evaluator, TilePlan, WorkerPool};
use proptest::prelude::*;

fn tensor(seed: u64, width: usize, height: usize) -> Tensor {
    Tensor::from_vec(random_pixels(seed, width, height), (3, height, width), &Device::Cpu).unwrap()
}

fn network(weights: &Weights, spec: &Spec) -> CpuNetwork {
    CpuNetwork::new(
        weights,
        spec.deepest().unwrap(),
        spec.pooling,
        Precision::Float32,
        Isa::detect(),
    )
    .unwrap()
}

/// One evaluation by one worker.
fn evaluate_in(
    network: &dyn Network,
    spec: &Spec,
    (width, height): (usize, usize),
    tiles: TilePlan,
) -> Evaluation {
    let layers = spec.styles();
    let targets = if layers.is_empty() {
        Default::default()
    } else {
        tensor_targets(&tensor(3, 70, 90), &layers, network).unwrap()
    };
    let (workers, content) = (WorkerPool::single(Some(network)), tensor(2, width, height));
    let mut evaluator = Evaluator::new(workers, spec, targets, &content, tiles).unwrap();
    evaluator.evaluate(&tensor(1, width, height)).unwrap()
}

/// [`evaluate_in`] cores of `core` px, with another margin than the taps ask for where there is one.
fn evaluate(
    network: &dyn Network,
    spec: &Spec,
    size: (usize, usize),
    core: usize,
    margin: Option<usize>,
) -> Evaluation {
    let mut tiles = TilePlan::of_cores(spec, core);
    if let Some(margin) = margin {
        tiles.margins.gradient = margin;
    }
    evaluate_in(network, spec, size, tiles)
}

fn values(evaluation: &Evaluation) -> Vec<f32> {
    evaluation.gradient.flatten_all().unwrap().to_vec1().unwrap()
}

/// Errors of loss, gradient in the Euclidean norm, and gradient in the largest value, all relative.
fn errors(found: &Evaluation, wanted: &Evaluation) -> (f64, f64, f64) {
    let loss = (found.losses.total - wanted.losses.total).abs() / wanted.losses.total;
    let (a, b) = (values(found), values(wanted));
    let largest = b.iter().fold(0f32, |m, v| m.max(v.abs()));
    let off = a.iter().zip(&b).fold(0f32, |m, (x, y)| m.max((x - y).abs()));
    (loss, relative_l2(&a, &b), f64::from(off / largest))
}

/// Errors of a small network in tiles of `core` px against one tile.
fn tiled_against_whole(spec: &Spec, size: (usize, usize), core: usize) -> (f64, f64, f64) {
    let weights = small_network(9, [3, 4, 5, 6, 6]);
    let network = network(&weights, spec);
    let whole = evaluate(&network, spec, size, size.0.max(size.1), None);
    errors(&evaluate(&network, spec, size, core, None), &whole)
}

#[test]
fn the_real_network_in_tiles_agrees_with_itself() {
    let weights = Weights::embedded().unwrap();
    for pooling in [Pooling::Max, Pooling::Average] {
        let spec = Spec { pooling, ..Spec::spst() };
        let network = network(&weights, &spec);
        let size = (613, 457);
        let whole = evaluate(&network, &spec, size, 613, None);
        for core in if pooling == Pooling::Max { &[128, 256][..] } else { &[256] } {
            let (loss, l2, largest) = errors(&evaluate(&network, &spec, size, *core, None), &whole);
            assert!(
                loss <= 1e-5 && l2 <= 1e-4 && largest <= 1e-3,
                "{pooling}, cores of {core}: {loss:.1e}, {l2:.1e}, {largest:.1e}"
            );
        }
    }
}

#[test]
fn margins_are_needed_and_enough() {
    // Every tap alone: its own margins give the whole's gradient, margins 16 px smaller do not.
    let weights = small_network(4, [4, 4, 5, 6, 6]);
    for name in ["relu3_4", "relu4_2", "relu5_1", "relu5_2"] {
        let spec = Spec {
            content_weight: 0.0,
            style_layers: [(Layer::parse(name).unwrap(), 1.0)].into(),
            pooling: Pooling::Average,
            ..Spec::spst()
        };
        let network = network(&weights, &spec);
        let size = (700, 120);
        let whole = evaluate(&network, &spec, size, 700, None);
        let margins = Margins::exact(spec.taps());
        let (loss, l2, _) =
            errors(&evaluate(&network, &spec, size, 48, Some(margins.gradient)), &whole);
        assert!(loss <= 1e-5 && l2 <= 1e-4, "{name}: {loss:.1e}, {l2:.1e}");
        // The losses need the margin of the features, the gradient twice that.
        let (loss, _, _) =
            errors(&evaluate(&network, &spec, size, 48, Some(margins.features)), &whole);
        assert!(
            loss <= 1e-6,
            "{name}: {} px are enough for the losses: {loss:.1e}",
            margins.features
        );
        let small = margins.features - 16;
        let (more, _, _) = errors(&evaluate(&network, &spec, size, 48, Some(small)), &whole);
        assert!(
            more > 3.0 * loss && more > 2e-7,
            "{name}: losses need {} px, and {small} do as well: {more:.1e}",
            margins.features
        );
        if name == "relu5_2" {
            // The last 6 of its 182 px weigh less than rounding in a mean over the picture.
            continue;
        }
        let small = margins.gradient - 16;
        let (_, few, _) = errors(&evaluate(&network, &spec, size, 48, Some(small)), &whole);
        assert!(
            few > 3.0 * l2 && few > 2e-6,
            "{name}: gradients need {} px, and {small} do as well: {few:.1e}",
            margins.gradient
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn any_size_core_and_taps(
        width in 17usize..260,
        height in 17usize..260,
        core in 1usize..9,
        style in proptest::sample::subsequence((0..14usize).collect::<Vec<_>>(), 1..4),
        content in 0usize..14,
        average in any::<bool>(),
    ) {
        let at = |index: usize| (Layer::ALL[index], 1.0);
        let spec = Spec {
            style_layers: style.into_iter().map(at).collect(),
            content_layers: [at(content)].into(),
            pooling: if average { Pooling::Average } else { Pooling::Max },
            ..Spec::spst()
        };
        let (loss, l2, _) = tiled_against_whole(&spec, (width, height), 16 * core);
        // A flipped ReLU or pooling choice in a picture this small weighs more than rounding.
        prop_assert!(loss <= 1e-5 && l2 <= 2e-3, "{loss:.1e}, {l2:.1e}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn tiles_of_every_octave_are_the_whole(
        width in 70usize..260,
        height in 70usize..260,
        core in 1usize..9,
        halvings in proptest::collection::vec(0usize..3, 14),
        content in 0usize..14,
        wasserstein in any::<bool>(),
    ) {
        let halvings = Layer::ALL.into_iter().zip(halvings);
        let spec = Spec {
            content_layers: [(Layer::ALL[content], 1.0)].into(),
            octaves: halvings.collect(),
            ..if wasserstein { Spec::wasserstein() } else { Spec::spst() }
        };
        let (loss, l2, _) = tiled_against_whole(&spec, (width, height), 16 * core);
        prop_assert!(loss <= 1e-5 && l2 <= 2e-3, "{loss:.1e}, {l2:.1e}");
    }
}

/// With octaves the gradient is that of the loss, on odd sizes: along random directions.
#[test]
fn the_gradient_of_octaves_is_that_of_their_loss() {
    let layer = |name: &str| Layer::parse(name).unwrap();
    let octaves = [(layer("relu3_1"), 1), (layer("relu4_1"), 2), (layer("relu4_2"), 1)];
    for spec in [Spec::spst(), Spec::wasserstein()] {
        let spec = Spec {
            pooling: Pooling::Average,
            octaves: octaves.into(),
            style_layers: ["relu1_1", "relu3_1", "relu4_1"].map(|name| (layer(name), 1.0)).into(),
            ..spec
        };
        let (network, targets) = small(&spec);
        let (size, tiles) = ((101, 83), TilePlan::of_cores(&spec, 64));
        let content = tensor(2, size.0, size.1);
        let workers = WorkerPool::single(Some(network.as_ref()));
        let mut evaluator = Evaluator::new(workers, &spec, targets, &content, tiles).unwrap();
        let canvas = tensor(1, size.0, size.1);
        let gradient = values(&evaluator.evaluate(&canvas).unwrap());
        let norm = gradient.iter().map(|g| f64::from(*g).powi(2)).sum::<f64>().sqrt();
        for seed in 0..3 {
            let noise = impasto::random::Noise::new(40 + seed);
            let direction: Vec<f32> = (0..gradient.len()).map(|i| noise.normal(i as u64)).collect();
            let slope: f64 =
                gradient.iter().zip(&direction).map(|(g, d)| f64::from(*g) * f64::from(*d)).sum();
            let direction = Tensor::from_vec(direction, (3, size.1, size.0), &Device::Cpu).unwrap();
            let mut loss = |step: f64| {
                let moved = (&canvas + (&direction * step).unwrap()).unwrap();
                evaluator.evaluate(&moved).unwrap().losses.total
            };
            // A longer step crosses corners of ReLUs.
            let difference = (loss(3e-5) - loss(-3e-5)) / 6e-5;
            assert!(
                (slope - difference).abs() <= 0.02 * norm,
                "{slope} and {difference} of {norm}"
            );
        }
    }
}

/// A small network of which several workers can be made, and targets for it.
fn small(spec: &Spec) -> (Arc<dyn Network>, StyleTargets) {
    let weights = small_network(6, [4, 4, 5, 6, 6]);
    let network: Arc<dyn Network> = Arc::new(network(&weights, spec));
    let targets = tensor_targets(&tensor(3, 70, 90), &spec.styles(), network.as_ref()).unwrap();
    (network, targets)
}

fn pool(threads: usize) -> Arc<rayon::ThreadPool> {
    Arc::new(rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap())
}

fn same_bytes(a: &Evaluation, b: &Evaluation) -> bool {
    let bits = |e: &Evaluation| values(e).into_iter().map(f32::to_bits).collect::<Vec<_>>();
    bits(a) == bits(b) && a.losses == b.losses && a.taps == b.taps
}

#[test]
fn workers_their_order_and_what_is_kept_do_not_change_a_byte() {
    let spec = Spec { variation_weight: 1e-3, ..Spec::spst() };
    let (network, targets) = small(&spec);
    let (width, height) = (450, 90);
    let (canvas, content) = (tensor(1, width, height), tensor(2, width, height));
    let run = |workers: WorkerPool<'_>, core, keep| {
        let tiles = TilePlan { keep, ..TilePlan::of_cores(&spec, core) };
        let mut evaluator =
            Evaluator::new(workers, &spec, targets.clone(), &content, tiles).unwrap();
        evaluator.evaluate(&canvas).unwrap()
    };
    for core in [64, 192] {
        let alone = run(WorkerPool::single(Some(network.as_ref())), core, 0);
        for keep in [2, 5, 99] {
            assert!(
                same_bytes(&alone, &run(WorkerPool::single(Some(network.as_ref())), core, keep)),
                "{keep} kept, cores of {core}"
            );
        }
        for (workers, threads) in [(1, 1), (1, 2), (3, 1)] {
            for keep in [0, 3] {
                // Each worker has a pool and a network of its own, as devices have.
                let member = |seed| {
                    (
                        Arc::new(Dawdling::new(Arc::clone(&network), seed)) as Arc<dyn Network>,
                        pool(threads),
                    )
                };
                let pool = WorkerPool::of((0..workers).map(member).collect());
                let together = run(pool, core, keep);
                assert!(
                    same_bytes(&alone, &together),
                    "{workers} workers of {threads} threads, cores of {core}, kept: {keep}"
                );
            }
        }
    }
}

#[test]
fn a_tile_without_memory_is_halved_until_it_fits() {
    let spec = Spec::spst();
    let (network, targets) = small(&spec);
    let (width, height) = (640, 500);
    let (canvas, content) = (tensor(1, width, height), tensor(2, width, height));
    let whole = evaluate(network.as_ref(), &spec, (width, height), usize::MAX, None);
    let prepare = |network: &'static Stingy| {
        let tiles = TilePlan { keep: 9, ..TilePlan::untiled(&spec) };
        let workers = WorkerPool::single(Some(network));
        Evaluator::new(workers, &spec, targets.clone(), &content, tiles)
    };
    let stingy = |most| Box::leak(Box::new(Stingy::new(Arc::clone(&network), most)));
    let short = stingy(usize::MAX);
    let mut evaluator = prepare(short).unwrap();
    assert_eq!(evaluator.core(), 640);
    // Others take the memory away: tiles of 128 px and 160 px around them still fit.
    short.allow(470 * 470);
    let found = evaluator.evaluate(&canvas).unwrap();
    assert_eq!((evaluator.core(), short.refused.load(Ordering::Relaxed)), (128, 3));
    assert_eq!(prepare(short).unwrap().core(), 128, "from the start");
    let (loss, l2, largest) = errors(&found, &whole);
    assert!(loss <= 1e-5 && l2 <= 1e-4 && largest <= 1e-3, "{loss:.1e}, {l2:.1e}, {largest:.1e}");
    // Halving ends.
    let Err(error) = prepare(stingy(100)) else { panic!("no tile fits into 100 px") };
    assert!(error.is_out_of_memory(), "{error}");
}

/// One evaluation in cores of `core` px whose bytes do not depend on them.
fn bitwise(
    network: &dyn Network,
    spec: &Spec,
    size: (usize, usize),
    core: usize,
    keep: usize,
) -> Evaluation {
    let tiles = TilePlan { core, keep, margins: Margins::bitwise(spec.taps()) };
    evaluate_in(network, spec, size, tiles)
}

/// Tiles inside the canvas, at its borders and at its odd far edges, the deepest taps of the
/// presets and content among them.
#[test]
fn with_bitwise_margins_no_byte_depends_on_the_cores() {
    let weights = small_network(4, [4, 4, 5, 6, 6]);
    let size = (1510, 205);
    for pooling in [Pooling::Max, Pooling::Average] {
        let spec = Spec { pooling, ..Spec::spst() };
        let network = network(&weights, &spec);
        let whole = evaluate(&network, &spec, size, 1510, None);
        for (core, keep) in [(64, 0), (128, 5), (320, 0), (320, 2), (320, 99), (640, 0)] {
            assert!(
                same_bytes(&bitwise(&network, &spec, size, core, keep), &whole),
                "{pooling}, cores of {core} px, {keep} kept"
            );
        }
        // The margins that are exact to rounding do not do, nor do wider ones.
        for margin in [None, Some(576)] {
            assert!(
                !same_bytes(&evaluate(&network, &spec, size, 320, margin), &whole),
                "{pooling}, {margin:?}"
            );
        }
    }
}

#[test]
fn with_bitwise_margins_no_byte_depends_on_the_cores_for_any_taps_and_instructions() {
    let weights = small_network(5, [4, 4, 5, 6, 6]);
    let size = (1000, 70);
    for (style, content) in [
        ("relu1_2", "relu1_1"),
        ("relu2_2", "relu3_1"),
        ("relu3_4", "relu1_2"),
        ("relu4_4", "relu2_2"),
        ("relu5_2", "relu3_4"),
    ] {
        let tap = |name| (Layer::parse(name).unwrap(), 1.0);
        let spec = Spec {
            style_layers: [tap(style)].into(),
            content_layers: [tap(content)].into(),
            ..Spec::spst()
        };
        for isa in Isa::available() {
            let network = CpuNetwork::new(
                &weights,
                spec.deepest().unwrap(),
                spec.pooling,
                Precision::Float32,
                isa,
            )
            .unwrap();
            let whole = evaluate(&network, &spec, size, 1000, None);
            for core in [64, 192] {
                assert!(
                    same_bytes(&bitwise(&network, &spec, size, core, 0), &whole),
                    "{style}, {content}, {}, {core} px",
                    isa.name()
                );
            }
        }
    }
}
