//! Blocks and feathered mode on a small random network.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use crate::support::networks::Stingy;
use crate::support::{random_pixels, relative_l2, small_network};
use candle_core::{Device, Tensor};
use impasto::event::{CancellationToken, Event, Watcher};
use impasto::geometry::Rect;
use impasto::internal::{Canvas, RoundContext, RoundState, Rounds, TileContext, tensor_targets};
use impasto::network::{Isa, Layer, Network, Pooling, Precision};
use impasto::objective::{Spec, StyleTargets};
use impasto::optimise::{Lbfgs, Method};
use impasto::plan::{RoundMode, Visits};
use impasto::random::Noise;
use impasto::render::{Engine, Evaluator, RenderError, TilePlan, WorkerPool};
use impasto::tiling::{CanvasFile, Pixels, Planes};

const MODES: [RoundMode; 2] = [RoundMode::Blocks, RoundMode::Feathered];

const SIZE: (usize, usize) = (150, 118);

fn tensor(pixels: &[f32], (width, height): (usize, usize)) -> Tensor {
    Tensor::from_vec(pixels.to_vec(), (3, height, width), &Device::Cpu).unwrap()
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

/// The same taps under the Wasserstein distance.
fn wasserstein() -> Spec {
    let Spec { content_layers, style_layers, .. } = spec();
    Spec {
        content_weight: 1.0,
        relative_content: false,
        content_layers,
        style_layers,
        variation_weight: 1e-3,
        ..Spec::wasserstein()
    }
}

/// The loss with its deeper taps at the half and the quarter.
fn in_octaves(spec: Spec) -> Spec {
    let octaves = [("relu2_1", 1), ("relu2_2", 1), ("relu3_1", 2)];
    let octaves = octaves.map(|(name, octave)| (Layer::parse(name).unwrap(), octave));
    Spec { octaves: octaves.into(), ..spec }
}

/// The loss with one style tap, so that no tap sees the canvas itself.
fn deep_alone(spec: Spec) -> Spec {
    Spec { style_layers: [(Layer::parse("relu3_1").unwrap(), 1.0)].into(), ..spec }
}

struct Studio {
    network: Arc<dyn Network>,
    spec: Spec,
    targets: StyleTargets,
    content: Vec<f32>,
    start: Vec<f32>,
}

impl Studio {
    fn new(spec: Spec) -> Self {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
        let weights = small_network(11, [3, 4, 5, 6, 6]);
        let mut engine = Engine::new(weights, Isa::detect(), Precision::Float32, pool);
        let network = engine.network(spec.deepest().unwrap(), spec.pooling).unwrap();
        let style = tensor(&random_pixels(3, 70, 61), (70, 61));
        let targets = tensor_targets(&style, &spec.styles(), network.as_ref()).unwrap();
        let (content, start) = (random_pixels(2, SIZE.0, SIZE.1), random_pixels(1, SIZE.0, SIZE.1));
        Self { network, spec, targets, content, start }
    }

    fn content(&self) -> Planes<'_> {
        Planes::new(SIZE, &self.content).unwrap()
    }

    /// Workers with threads of their own.
    fn workers(&self, count: usize) -> WorkerPool<'static> {
        let pool = Arc::new(rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap());
        let member = |_| (Arc::clone(&self.network), Arc::clone(&pool));
        WorkerPool::of((0..count).map(member).collect())
    }

    /// Blocks mode with what most tests take.
    fn context<'a>(
        &'a self,
        workers: &'a WorkerPool<'a>,
        content: &'a Planes<'a>,
    ) -> RoundContext<'a> {
        RoundContext {
            mode: RoundMode::Blocks,
            workers,
            spec: &self.spec,
            targets: &self.targets,
            content,
            visits: VISITS,
            context: TileContext::Features,
            method: Method::Lbfgs { history: VISITS.history, rate: 1.0 },
        }
    }

    /// The canvas and its whole-image loss after all rounds.
    fn run(&self, mode: RoundMode, visits: Visits, workers: usize) -> (Vec<f32>, f64) {
        let (workers, content) = (self.workers(workers), self.content());
        let context = RoundContext { mode, visits, ..self.context(&workers, &content) };
        let scratch = tempfile::tempdir().unwrap();
        let rounds = rounds(&context, scratch.path());
        let mut finished = 0;
        let mut listener = |event: &Event| {
            finished += usize::from(matches!(event, Event::TileFinished { .. }));
        };
        let mut state = begin(&rounds, &self.start);
        advance(&rounds, &mut state, &mut listener, &CancellationToken::new()).unwrap();
        let tiles = (0..visits.rounds).map(|round| context.layout(round).count());
        assert_eq!(finished, tiles.sum::<usize>());
        (values(&state), rounds.measured(&mut state).unwrap().losses().total)
    }

    /// Exact mode, untiled: the best canvas after `evaluations`, the loss there, the loss and
    /// gradient at the start.
    fn exact(&self, evaluations: usize, history: usize) -> (Vec<f32>, f64, f64, Vec<f32>) {
        let workers = WorkerPool::single(Some(self.network.as_ref()));
        let (content, tiles) = (tensor(&self.content, SIZE), TilePlan::untiled(&self.spec));
        let targets = self.targets.clone();
        let mut evaluator = Evaluator::new(workers, &self.spec, targets, &content, tiles).unwrap();
        let first = evaluator.evaluate(&tensor(&self.start, SIZE)).unwrap();
        let mut optimiser = Lbfgs::new(tensor(&self.start, SIZE), history);
        for _ in 0..evaluations {
            let evaluation = evaluator.evaluate(optimiser.next_point()).unwrap();
            optimiser.advance(evaluation.losses.total, evaluation.gradient).unwrap();
        }
        let best = optimiser.best_point().flatten_all().unwrap().to_vec1().unwrap();
        let loss = evaluator.evaluate(optimiser.best_point()).unwrap().losses.total;
        (best, loss, first.losses.total, first.gradient.flatten_all().unwrap().to_vec1().unwrap())
    }
}

const VISITS: Visits = Visits { core: 64, overlap: 16, rounds: 2, visit: 6, history: 10 };

fn rounds<'a>(context: &'a RoundContext<'a>, scratch: &'a Path) -> Rounds<'a> {
    Rounds { context, scratch, job: 0, level: 0 }
}

/// The rounds before the first, at `start`.
fn begin(rounds: &Rounds<'_>, start: &[f32]) -> RoundState {
    let canvas = CanvasFile::create_with(&rounds.canvas_path(0), SIZE, start).unwrap();
    rounds.resume(Canvas::File(canvas), &mut |note| panic!("{note}")).unwrap()
}

/// Does the rounds that are left.
fn advance(
    rounds: &Rounds<'_>,
    state: &mut RoundState,
    listener: &mut dyn FnMut(&Event),
    cancellation: &CancellationToken,
) -> Result<(), RenderError> {
    let mut listener = |event: &Event| listener(event);
    while state.round < rounds.context.visits.rounds {
        rounds.advance(state, &mut Watcher { listener: &mut listener, cancellation })?;
    }
    Ok(())
}

fn values(state: &RoundState) -> Vec<f32> {
    state.canvas.read(Rect::whole(SIZE.0, SIZE.1)).unwrap()
}

/// A tile's losses and gradients at some values of its free pixels, of which the first are the
/// snapshot's.
fn tile_losses(
    studio: &Studio,
    context: &RoundContext<'_>,
    area: Rect,
    points: &[Vec<f32>],
) -> Vec<(f64, Vec<f32>)> {
    let snapshot = Planes::new(SIZE, &studio.start).unwrap();
    let whole = context.measure(&snapshot).unwrap();
    let network = Some(studio.network.as_ref());
    let mut objective = context.objective(network, &snapshot, area, &whole).unwrap();
    let size = (area.width, area.height);
    let evaluate = |point: &Vec<f32>| {
        let (loss, gradient) = objective.evaluate(&tensor(point, size)).unwrap();
        (loss, gradient.flatten_all().unwrap().to_vec1().unwrap())
    };
    points.iter().map(evaluate).collect()
}

#[test]
fn a_tile_starts_with_the_whole_images_loss_and_gradient() {
    for (spec, grows) in [
        (spec(), true),
        (wasserstein(), false),
        (in_octaves(spec()), true),
        (in_octaves(wasserstein()), false),
        (deep_alone(in_octaves(spec())), true),
        (deep_alone(in_octaves(wasserstein())), false),
    ] {
        let studio = Studio::new(spec);
        let (_, _, loss, gradient) = studio.exact(0, 1);
        let (workers, content) = (studio.workers(1), studio.content());
        let context =
            RoundContext { context: TileContext::Gradient, ..studio.context(&workers, &content) };
        let snapshot = Planes::new(SIZE, &studio.start).unwrap();
        let whole_gradient = Planes::new(SIZE, &gradient).unwrap();
        let whole = context.measure(&snapshot).unwrap().losses();
        assert!((whole.total - loss).abs() <= 1e-6 * loss, "{} for {loss}", whole.total);
        for round in 0..2 {
            let layout = context.layout(round);
            for tile in 0..layout.count() {
                let area = layout.free(tile);
                let found = tile_losses(&studio, &context, area, &[snapshot.read(area).unwrap()]);
                assert!((found[0].0 - loss).abs() <= 1e-6 * loss);
                let share = if grows { (SIZE.0 * SIZE.1) as f32 / area.area() as f32 } else { 1.0 };
                let expected: Vec<f32> =
                    whole_gradient.read(area).unwrap().iter().map(|g| g * share).collect();
                let off = relative_l2(&found[0].1, &expected);
                assert!(off < 1e-5, "round {round}, tile {tile}: {off}");
            }
        }
    }
}

/// However a tile moves, the whole image's Wasserstein loss with that tile in it is no higher than
/// what the tile sees.
#[test]
fn a_tile_s_bound_holds_for_the_whole_image() {
    let studio = Studio::new(wasserstein());
    let (workers, content) = (studio.workers(1), studio.content());
    let context =
        RoundContext { context: TileContext::Gradient, ..studio.context(&workers, &content) };
    let snapshot = Planes::new(SIZE, &studio.start).unwrap();
    let (area, noise) = (context.layout(1).free(4), Noise::new(21));
    let at = snapshot.read(area).unwrap();
    let start = context.measure(&snapshot).unwrap().losses().total;
    for (k, reach) in [1e-3f32, 0.03, 0.3].into_iter().enumerate() {
        let seed = (k as u64) << 32;
        let moved: Vec<f32> =
            at.iter().enumerate().map(|(i, v)| v + reach * noise.normal(seed + i as u64)).collect();
        let bound = tile_losses(&studio, &context, area, &[at.clone(), moved.clone()])[1].0;
        let mut canvas = tensor(&studio.start, SIZE);
        let range = [0..3, area.top..area.bottom(), area.left..area.right()];
        canvas = canvas.slice_assign(&range, &tensor(&moved, (area.width, area.height))).unwrap();
        let canvas: Vec<f32> = canvas.flatten_all().unwrap().to_vec1().unwrap();
        let whole = context.measure(&Planes::new(SIZE, &canvas).unwrap()).unwrap().losses().total;
        assert!(whole <= bound + 1e-6 * start, "{reach}: {whole} above {bound}");
        assert!((whole - start).abs() > 1e-6 * start, "{reach}: the tile did not move");
    }
}

#[test]
fn a_tiles_gradient_is_that_of_its_loss() {
    // Average pooling: central differences across a change of the maximum would measure the jump.
    let studio = Studio::new(Spec { pooling: Pooling::Average, variation_weight: 0.0, ..spec() });
    let (workers, content) = (studio.workers(1), studio.content());
    for mode in MODES {
        let context = RoundContext {
            mode,
            context: TileContext::Gradient,
            ..studio.context(&workers, &content)
        };
        let snapshot = Planes::new(SIZE, &studio.start).unwrap();
        let (area, noise) = (context.layout(1).free(4), Noise::new(8));
        let at = snapshot.read(area).unwrap();
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
            let found = tile_losses(&studio, &context, area, &points);
            let gradient = &found[1].1;
            let slope: f64 =
                gradient.iter().zip(&direction).map(|(g, d)| f64::from(*g) * f64::from(*d)).sum();
            let difference = (found[2].0 - found[3].0) / (2.0 * f64::from(step));
            let size: f64 = gradient.iter().map(|g| f64::from(*g).powi(2)).sum::<f64>().sqrt();
            assert!(
                (slope - difference).abs() <= 0.02 * size,
                "{mode:?}: {slope} and {difference} of {size}"
            );
        }
    }
}

fn same_bytes(a: &[f32], b: &[f32]) -> bool {
    a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits())
}

#[test]
fn workers_and_their_order_do_not_change_a_byte() {
    let studio = Studio::new(spec());
    for mode in MODES {
        let (alone, _) = studio.run(mode, VISITS, 1);
        let (together, _) = studio.run(mode, VISITS, 3);
        assert!(same_bytes(&alone, &together), "{mode:?}");
        assert!(alone != studio.start);
    }
}

/// What a run in one go does, and one that was stopped after three tiles of the second round and
/// resumed from its files.
#[test]
fn a_level_continues_where_its_files_say() {
    let studio = Studio::new(spec());
    let (expected, _) = studio.run(RoundMode::Blocks, VISITS, 1);
    let (stop, content) = (CancellationToken::new(), studio.content());
    let workers = studio.workers(1);
    let context = studio.context(&workers, &content);
    let scratch = tempfile::tempdir().unwrap();
    let rounds = rounds(&context, scratch.path());
    let mut finished = BTreeSet::new();
    let mut listener = |event: &Event| {
        if let Event::TileFinished { round: 2, tile, .. } = event {
            finished.insert(*tile);
            assert!(
                CanvasFile::open(&rounds.tile_path(1, *tile)).is_ok(),
                "a tile is on disk before it is reported"
            );
            if finished.len() == 3 {
                stop.cancel();
            }
        }
    };
    let mut state = begin(&rounds, &studio.start);
    let error = advance(&rounds, &mut state, &mut listener, &stop).unwrap_err();
    assert!(error.is_cancelled() && state.round == 1 && state.finished == finished);
    drop(state);
    // A canvas that the rounds have left behind is not looked at.
    let start = CanvasFile::create_with(&scratch.path().join("start"), SIZE, &studio.content);
    let mut state =
        rounds.resume(Canvas::File(start.unwrap()), &mut |note| panic!("{note}")).unwrap();
    assert!(state.round == 1 && state.finished == finished);
    let mut visited = vec![];
    let mut listener = |event: &Event| {
        if let Event::TileFinished { tile, .. } = event {
            visited.push(*tile);
        }
    };
    advance(&rounds, &mut state, &mut listener, &CancellationToken::new()).unwrap();
    assert!(!visited.is_empty() && visited.iter().all(|tile| !finished.contains(tile)));
    assert!(same_bytes(&values(&state), &expected));
}

#[test]
fn a_request_to_stop_ends_the_measuring() {
    let studio = Studio::new(spec());
    let (stop, content) = (CancellationToken::new(), studio.content());
    let workers = studio.workers(2).watching(stop.clone());
    let context = studio.context(&workers, &content);
    assert!(context.measure(&content).is_ok());
    stop.cancel();
    assert!(context.measure(&content).unwrap_err().is_cancelled());
}

#[test]
fn a_visit_without_memory_is_computed_in_pieces() {
    let studio = Studio::new(spec());
    for mode in MODES {
        let visits = Visits { core: 160, visit: 2, ..VISITS };
        let (expected, _) = studio.run(mode, visits, 1);
        let stingy = Stingy::new(Arc::clone(&studio.network), 130 * 118);
        let workers = WorkerPool::single(Some(&stingy));
        let content = studio.content();
        let context = RoundContext { mode, visits, ..studio.context(&workers, &content) };
        let scratch = tempfile::tempdir().unwrap();
        let rounds = rounds(&context, scratch.path());
        let mut halved = vec![];
        let mut listener = |event: &Event| {
            if let Event::CoreHalved { tile, core, .. } = event {
                halved.push((*tile, *core));
            }
        };
        let mut state = begin(&rounds, &studio.start);
        advance(&rounds, &mut state, &mut listener, &CancellationToken::new()).unwrap();
        let off = relative_l2(&values(&state), &expected);
        assert!(off < 1e-3, "{mode:?}: {off}");
        assert!(
            !halved.is_empty() && halved.iter().all(|(tile, core)| tile.is_some() && *core < 150),
            "{mode:?}: {halved:?}"
        );
    }
}

#[test]
fn blocks_lower_the_whole_images_loss_as_exact_mode_does() {
    // By the transport a tile takes the frozen cells around it into account, and around the small
    // tiles of this test these are the most.
    for (spec, least) in [(spec(), 0.99), (wasserstein(), 0.6), (in_octaves(wasserstein()), 0.35)] {
        let studio = Studio::new(spec);
        let (_, exact, before, _) = studio.exact(30, 10);
        let (_, after) = studio.run(RoundMode::Blocks, Visits { visit: 15, ..VISITS }, 1);
        let (exact, after) = (before - exact, before - after);
        assert!(after > least * exact, "{after} of {before}, exact mode {exact}");
    }
}

#[test]
fn tiles_move_by_the_optimiser_that_is_asked_for() {
    let studio = Studio::new(spec());
    let (workers, content) = (studio.workers(1), studio.content());
    let snapshot = Planes::new(SIZE, &studio.start).unwrap();
    let moved = |method: Method| {
        let context = RoundContext { method, ..studio.context(&workers, &content) };
        let whole = context.measure(&snapshot).unwrap();
        let network = Some(studio.network.as_ref());
        let stop = CancellationToken::new();
        context.visit(network, &snapshot, 0, 1, &whole, &stop).unwrap().pixels
    };
    let (lbfgs, adam) = (Method::Lbfgs { history: 10, rate: 1.0 }, Method::Adam { rate: 0.01 });
    let layout = studio.context(&workers, &content).layout(0);
    let start = snapshot.read(layout.free(1)).unwrap();
    // Every value moves by Adam's learning rate in a step, and by its gradient's share in L-BFGS's.
    let even = |pixels: &[f32]| {
        let steps = pixels.iter().zip(&start).map(|(a, b)| (a - b).abs());
        steps.filter(|step| (0.002..0.061).contains(step)).count()
    };
    let (by_lbfgs, by_adam) = (even(&moved(lbfgs)), even(&moved(adam)));
    assert!(by_adam > start.len() * 9 / 10, "{by_adam} of {}", start.len());
    assert!(by_lbfgs < by_adam, "{by_lbfgs} and {by_adam} of {}", start.len());
}

#[test]
fn at_the_optimum_no_tile_moves() {
    // With the content as canvas and content alone, every gradient is zero.
    let mut studio = Studio::new(Spec {
        style_weight: 0.0,
        statistics_weight: 0.0,
        variation_weight: 0.0,
        ..spec()
    });
    studio.start = studio.content.clone();
    let (moved, loss) = studio.run(RoundMode::Blocks, VISITS, 1);
    assert_eq!(loss, 0.0);
    assert!(same_bytes(&moved, &studio.start));
}

#[test]
fn one_tile_is_exact_mode() {
    let studio = Studio::new(spec());
    let (expected, loss, _, _) = studio.exact(8, 10);
    let visits = Visits { core: 160, overlap: 16, rounds: 1, visit: 8, history: 10 };
    let (feathered, _) = studio.run(RoundMode::Feathered, visits, 1);
    assert!(same_bytes(&feathered, &expected), "{}", relative_l2(&feathered, &expected));
    let (blocks, blocks_loss) = studio.run(RoundMode::Blocks, visits, 1);
    assert!(relative_l2(&blocks, &expected) < 1e-2, "{}", relative_l2(&blocks, &expected));
    assert!((blocks_loss - loss).abs() < 0.02 * loss, "{blocks_loss} for {loss}");
}
