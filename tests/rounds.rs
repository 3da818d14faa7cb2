//! Blocks and feathered mode on a small random network.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::collections::BTreeMap;
use std::sync::Arc;

use candle_core::{Device, Tensor};
use impasto::event::CancellationToken;
use impasto::event::{Event, Watcher};
use impasto::geometry::Rect;
use impasto::network::{Isa, Layer, Network, Precision, Request};
use impasto::objective::{Spec, StyleTargets, TapStatistics};
use impasto::optimise::Lbfgs;
use impasto::plan::Visits;
use impasto::random::Noise;
use impasto::render::{
    Context, Engine, Kind, ResumePoint, RoundContext, Rounds, Sweep, WorkerPool,
};
use impasto::tiling::{CanvasFile, Grid, Pixels, Planes};
use support::networks::Stingy;
use support::{random_pixels, relative_l2, small_network};

const SIZE: (usize, usize) = (150, 118);

fn tensor(pixels: &[f32], (width, height): (usize, usize)) -> Tensor {
    Tensor::from_vec(pixels.to_vec(), (3, height, width), &Device::Cpu).unwrap()
}

fn targets(
    network: &dyn Network,
    pixels: &[f32],
    size: (usize, usize),
    spec: &Spec,
) -> StyleTargets {
    let layers: Vec<Layer> = spec.style_taps().map(|(l, _)| l).collect();
    if layers.is_empty() {
        return StyleTargets::default();
    }
    let request = Request { moments: layers.clone(), ..Request::over(Rect::whole(size.0, size.1)) };
    let pass = network.forward(&tensor(pixels, size), &request).unwrap();
    StyleTargets {
        taps: layers
            .iter()
            .map(|l| (*l, TapStatistics::from_moments(&pass.moments(*l).unwrap()).unwrap()))
            .collect(),
    }
}

/// Taps that reach less far than the presets', so that tiles of a small canvas have an inside.
fn spec() -> Spec {
    let taps = |names: &[&str]| -> BTreeMap<Layer, f64> {
        names.iter().map(|n| (Layer::parse(n).unwrap(), 1.0)).collect()
    };
    Spec {
        content_layers: taps(&["relu2_2"]),
        style_layers: taps(&["relu1_1", "relu2_1", "relu3_1"]),
        variation_weight: 1e-6,
        ..Spec::spst()
    }
}

struct Studio {
    engine: Engine,
    spec: Spec,
    targets: StyleTargets,
    photograph: Vec<f32>,
    start: Vec<f32>,
}

impl Studio {
    fn new(spec: Spec) -> Self {
        let weights = small_network(11, [3, 4, 5, 6, 6]);
        let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
        let mut engine = Engine::new(weights, Isa::detect(), Precision::Float32, pool);
        let network = engine.network(spec.deepest().unwrap(), spec.pooling).unwrap();
        let targets = targets(network.as_ref(), &random_pixels(3, 70, 61), (70, 61), &spec);
        let (photograph, start) =
            (random_pixels(2, SIZE.0, SIZE.1), random_pixels(1, SIZE.0, SIZE.1));
        Self { engine, spec, targets, photograph, start }
    }

    /// The canvas and its whole-image loss after all rounds.
    fn run(
        &mut self,
        kind: Kind,
        visits: Visits,
        workers: usize,
        start: &[f32],
    ) -> (Vec<f32>, f64) {
        let network = self.engine.network(self.spec.deepest().unwrap(), self.spec.pooling).unwrap();
        let pool = Arc::new(rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap());
        let workers = WorkerPool::of(
            (0..workers).map(|_| (Arc::clone(&network), Arc::clone(&pool))).collect(),
        );
        let photograph = Planes::new(SIZE, &self.photograph).unwrap();
        let (spec, targets) = (&self.spec, &self.targets);
        let context =
            RoundContext { kind, visits, ..context(spec, targets, &workers, &photograph) };
        let scratch = tempfile::tempdir().unwrap();
        let rounds = Rounds { context: &context, scratch: scratch.path(), job: 0, level: 0 };
        let mut finished = vec![];
        let mut listener = |event: &Event| {
            finished.extend(matches!(event, Event::TileFinished { .. }).then_some(()))
        };
        let mut watcher =
            Watcher { listener: &mut listener, cancellation: &CancellationToken::new() };
        let done = rounds.run(rounds.start(start).unwrap(), &mut watcher).unwrap();
        assert_eq!(
            finished.len(),
            (0..visits.rounds).map(|round| context.layout(round).len()).sum::<usize>()
        );
        (done.canvas.read(Rect::whole(SIZE.0, SIZE.1)).unwrap(), done.losses.total)
    }

    /// Exact mode, untiled: the best canvas after `evaluations`, the loss there, the loss and
    /// gradient at the start.
    fn exact(&mut self, evaluations: usize, history: usize) -> (Vec<f32>, f64, f64, Vec<f32>) {
        let network = self.engine.network(self.spec.deepest().unwrap(), self.spec.pooling).unwrap();
        let content = tensor(&self.photograph, SIZE);
        let grid = Grid::whole(SIZE.0, SIZE.1);
        let sweep = Sweep::new(
            Some(network.as_ref()),
            &self.spec,
            self.targets.clone(),
            Some(&content),
            grid,
        )
        .unwrap();
        let first = sweep.evaluate(&tensor(&self.start, SIZE)).unwrap();
        let mut optimiser = Lbfgs::new(tensor(&self.start, SIZE), history);
        for _ in 0..evaluations {
            let evaluation = sweep.evaluate(optimiser.next_point()).unwrap();
            optimiser.advance(evaluation.losses.total, evaluation.gradient).unwrap();
        }
        let best = optimiser.best_point().flatten_all().unwrap().to_vec1().unwrap();
        let loss = sweep.evaluate(optimiser.best_point()).unwrap().losses.total;
        (best, loss, first.losses.total, first.gradient.flatten_all().unwrap().to_vec1().unwrap())
    }
}

/// Blocks mode with what most tests take.
fn context<'a>(
    spec: &'a Spec,
    targets: &'a StyleTargets,
    workers: &'a WorkerPool<'a>,
    photograph: &'a Planes<'a>,
) -> RoundContext<'a> {
    RoundContext {
        kind: Kind::Blocks,
        workers,
        spec,
        targets,
        photograph,
        visits: VISITS,
        context: Context::default(),
        learning_rate: 1.0,
    }
}

const VISITS: Visits = Visits { core: 64, overlap: 16, rounds: 2, visit: 6, history: 10 };

#[test]
fn a_tile_starts_with_the_whole_images_loss_and_gradient() {
    let mut studio = Studio::new(spec());
    let (_, _, loss, gradient) = studio.exact(0, 1);
    let network =
        studio.engine.network(studio.spec.deepest().unwrap(), studio.spec.pooling).unwrap();
    let workers = WorkerPool::alone(Some(network.as_ref()));
    let photograph = Planes::new(SIZE, &studio.photograph).unwrap();
    let (spec, targets) = (&studio.spec, &studio.targets);
    let context = RoundContext {
        context: Context::Gradient,
        ..context(spec, targets, &workers, &photograph)
    };
    let snapshot = Planes::new(SIZE, &studio.start).unwrap();
    let whole_gradient = Planes::new(SIZE, &gradient).unwrap();
    for round in 0..2 {
        let layout = context.layout(round);
        let whole = context.measure(&snapshot, &layout).unwrap();
        assert!(
            (whole.losses.total - loss).abs() <= 1e-6 * loss,
            "{} for {loss}",
            whole.losses.total
        );
        for tile in 0..layout.len() {
            let area = layout.free(tile);
            let found = context
                .tile_losses(&snapshot, &layout, tile, &whole, &[snapshot.read(area).unwrap()])
                .unwrap();
            assert!((found[0].0 - loss).abs() <= 1e-6 * loss);
            let share = (SIZE.0 * SIZE.1) as f32 / area.area() as f32;
            let expected: Vec<f32> =
                whole_gradient.read(area).unwrap().iter().map(|g| g * share).collect();
            let found = found[0].1.flatten_all().unwrap().to_vec1::<f32>().unwrap();
            assert!(
                relative_l2(&found, &expected) < 1e-5,
                "round {round}, tile {tile}: {}",
                relative_l2(&found, &expected)
            );
        }
    }
}

#[test]
fn a_tiles_gradient_is_that_of_its_loss() {
    // Average pooling: central differences across a change of the maximum would measure the jump.
    let mut studio = Studio::new(Spec {
        pooling: impasto::network::Pooling::Average,
        variation_weight: 0.0,
        ..spec()
    });
    let network =
        studio.engine.network(studio.spec.deepest().unwrap(), studio.spec.pooling).unwrap();
    let workers = WorkerPool::alone(Some(network.as_ref()));
    let photograph = Planes::new(SIZE, &studio.photograph).unwrap();
    let (spec, targets) = (&studio.spec, &studio.targets);
    for kind in [Kind::Blocks, Kind::Feathered] {
        let context = RoundContext {
            kind,
            context: Context::Gradient,
            ..context(spec, targets, &workers, &photograph)
        };
        let snapshot = Planes::new(SIZE, &studio.start).unwrap();
        let layout = context.layout(1);
        let whole = context.measure(&snapshot, &layout).unwrap();
        let (tile, noise) = (4, Noise::new(8));
        let at = snapshot.read(layout.free(tile)).unwrap();
        let moved: Vec<f32> =
            at.iter().enumerate().map(|(i, v)| v + 0.05 * noise.normal(i as u64)).collect();
        for k in 0..4 {
            let direction: Vec<f32> =
                (0..at.len()).map(|i| noise.normal((k + 1) * 1_000_000 + i as u64)).collect();
            let step = 1e-4f32;
            let along = |t: f32| -> Vec<f32> {
                moved.iter().zip(&direction).map(|(v, d)| v + t * d).collect()
            };
            let points = [at.clone(), moved.clone(), along(step), along(-step)];
            let found = context.tile_losses(&snapshot, &layout, tile, &whole, &points).unwrap();
            let gradient = found[1].1.flatten_all().unwrap().to_vec1::<f32>().unwrap();
            let slope: f64 =
                gradient.iter().zip(&direction).map(|(g, d)| f64::from(*g) * f64::from(*d)).sum();
            let difference = (found[2].0 - found[3].0) / (2.0 * f64::from(step));
            let size: f64 = gradient.iter().map(|g| f64::from(*g).powi(2)).sum::<f64>().sqrt();
            assert!(
                (slope - difference).abs() <= 0.02 * size,
                "{kind:?}: {slope} and {difference} of {size}"
            );
        }
    }
}

#[test]
fn workers_and_their_order_do_not_change_a_byte() {
    let mut studio = Studio::new(spec());
    let start = studio.start.clone();
    for kind in [Kind::Blocks, Kind::Feathered] {
        let (alone, _) = studio.run(kind, VISITS, 1, &start);
        let (together, _) = studio.run(kind, VISITS, 3, &start);
        assert!(alone.iter().zip(&together).all(|(a, b)| a.to_bits() == b.to_bits()), "{kind:?}");
        assert!(alone != start);
    }
}

/// What a run in one go does, and one that was stopped after `tiles` tiles of the second round and
/// went on from its files.
#[test]
fn a_level_goes_on_where_its_files_say() {
    let mut studio = Studio::new(spec());
    let start = studio.start.clone();
    let (expected, _) = studio.run(Kind::Blocks, VISITS, 1, &start);
    let workers = studio.engine.worker_pool(studio.spec.deepest(), studio.spec.pooling).unwrap();
    let photograph = Planes::new(SIZE, &studio.photograph).unwrap();
    let (spec, targets) = (&studio.spec, &studio.targets);
    let context = context(spec, targets, &workers, &photograph);
    let scratch = tempfile::tempdir().unwrap();
    let rounds = Rounds { context: &context, scratch: scratch.path(), job: 0, level: 0 };
    let stop = CancellationToken::new();
    let mut finished = std::collections::BTreeSet::new();
    let mut listener = |event: &Event| {
        if let Event::TileFinished { round: 2, tile, .. } = event {
            finished.insert(*tile);
            assert!(
                CanvasFile::open(&rounds.tile_path(1, *tile)).is_ok(),
                "a tile is on disk before it is told"
            );
            if finished.len() == 3 {
                stop.cancel();
            }
        }
    };
    let done = rounds
        .run(
            rounds.start(&start).unwrap(),
            &mut Watcher { listener: &mut listener, cancellation: &stop },
        )
        .unwrap();
    assert!(done.interrupted && done.rounds == 1);
    drop(done);
    let canvas = CanvasFile::open(&rounds.canvas_path(1)).unwrap();
    let again = finished.clone();
    let mut visited = vec![];
    let mut listener = |event: &Event| {
        if let Event::TileFinished { tile, .. } = event {
            visited.push(*tile);
        }
    };
    let standing = ResumePoint { canvas, round: 1, finished };
    let done = rounds
        .run_from(
            standing,
            &mut Watcher { listener: &mut listener, cancellation: &CancellationToken::new() },
        )
        .unwrap();
    assert!(!visited.is_empty() && visited.iter().all(|tile| !again.contains(tile)));
    let found = done.canvas.read(Rect::whole(SIZE.0, SIZE.1)).unwrap();
    assert!(found.iter().zip(&expected).all(|(a, b)| a.to_bits() == b.to_bits()));
}

#[test]
fn a_visit_without_memory_is_computed_in_pieces() {
    let mut studio = Studio::new(spec());
    let start = studio.start.clone();
    for kind in [Kind::Blocks, Kind::Feathered] {
        let visits = Visits { core: 160, visit: 2, ..VISITS };
        let (expected, _) = studio.run(kind, visits, 1, &start);
        let plenty =
            studio.engine.network(studio.spec.deepest().unwrap(), studio.spec.pooling).unwrap();
        let stingy = Stingy::new(plenty, 130 * 118);
        let workers = WorkerPool::alone(Some(&stingy));
        let photograph = Planes::new(SIZE, &studio.photograph).unwrap();
        let (spec, targets) = (&studio.spec, &studio.targets);
        let context =
            RoundContext { kind, visits, ..context(spec, targets, &workers, &photograph) };
        let scratch = tempfile::tempdir().unwrap();
        let rounds = Rounds { context: &context, scratch: scratch.path(), job: 0, level: 0 };
        let mut halved = vec![];
        let mut listener = |event: &Event| {
            if let Event::CoreHalved { tile, core, .. } = event {
                halved.push((*tile, *core));
            }
        };
        let done = rounds
            .run(
                rounds.start(&start).unwrap(),
                &mut Watcher { listener: &mut listener, cancellation: &CancellationToken::new() },
            )
            .unwrap();
        let found = done.canvas.read(Rect::whole(SIZE.0, SIZE.1)).unwrap();
        assert!(
            relative_l2(&found, &expected) < 1e-3,
            "{kind:?}: {}",
            relative_l2(&found, &expected)
        );
        assert!(
            !halved.is_empty() && halved.iter().all(|(tile, core)| tile.is_some() && *core < 150),
            "{kind:?}: {halved:?}"
        );
    }
}

#[test]
fn blocks_lower_the_whole_images_loss() {
    let mut studio = Studio::new(spec());
    let start = studio.start.clone();
    let (_, _, before, _) = studio.exact(0, 1);
    let (_, after) = studio.run(Kind::Blocks, Visits { visit: 15, ..VISITS }, 1, &start);
    assert!(after < 0.1 * before, "{after} of {before}");
}

#[test]
fn at_the_optimum_no_tile_moves() {
    // With the photograph as canvas and content alone, every gradient is zero.
    let mut studio = Studio::new(Spec {
        style_weight: 0.0,
        statistics_weight: 0.0,
        variation_weight: 0.0,
        ..spec()
    });
    let start = studio.photograph.clone();
    let (moved, loss) = studio.run(Kind::Blocks, VISITS, 1, &start);
    assert_eq!(loss, 0.0);
    assert!(moved.iter().zip(&start).all(|(a, b)| a.to_bits() == b.to_bits()));
}

#[test]
fn one_tile_is_exact_mode() {
    let mut studio = Studio::new(spec());
    let start = studio.start.clone();
    let (expected, loss, _, _) = studio.exact(8, 10);
    let visits = Visits { core: 160, overlap: 16, rounds: 1, visit: 8, history: 10 };
    let (feathered, _) = studio.run(Kind::Feathered, visits, 1, &start);
    assert!(
        feathered.iter().zip(&expected).all(|(a, b)| a.to_bits() == b.to_bits()),
        "{}",
        relative_l2(&feathered, &expected)
    );
    let (blocks, blocks_loss) = studio.run(Kind::Blocks, visits, 1, &start);
    assert!(relative_l2(&blocks, &expected) < 1e-2, "{}", relative_l2(&blocks, &expected));
    assert!((blocks_loss - loss).abs() < 0.02 * loss, "{blocks_loss} for {loss}");
}
