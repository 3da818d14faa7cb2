//! Threads: the pool that was asked for, and no other.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test that cannot begin has failed")]

mod support;

use candle_core::{Device, Tensor};
use impasto::internal::tensor_targets;
use impasto::network::{Isa, Precision};
use impasto::objective::Spec;
use impasto::optimise::{Lbfgs, Optimiser};
use impasto::render::{Engine, Evaluator, TilePlan};
use support::{random_pixels, small_network};

/// Threads beside the helpers that candle parks between its large element-wise operations, one
/// fewer than cores.
fn threads() -> usize {
    names().iter().filter(|name| !name.starts_with("candle-bp")).count()
}

fn names() -> Vec<String> {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    tasks
        .map(|task| {
            std::fs::read_to_string(task.unwrap().path().join("comm"))
                .unwrap_or_default()
                .trim()
                .into()
        })
        .collect()
}

/// The number of threads once those that have done their work are gone: who waits for them does not
/// wait for their end.
fn settled(wanted: usize) -> usize {
    for _ in 0..100 {
        if threads() == wanted {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    threads()
}

/// candle's products compute in whatever rayon pool they find themselves in; outside of any they
/// would start another one.
#[test]
fn everything_is_computed_in_the_one_pool() {
    let before = threads();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
    let mut engine =
        Engine::new(small_network(3, [4, 4, 5, 6, 6]), Isa::detect(), Precision::Float32, pool)
            .with_workers(2);
    assert_eq!(settled(before + 2), before + 2);
    let spec = Spec { variation_weight: 1e-3, ..Spec::spst() };
    let size = (200, 150);
    let tensor = |seed| {
        Tensor::from_vec(random_pixels(seed, size.0, size.1), (3, size.1, size.0), &Device::Cpu)
            .unwrap()
    };
    let network = engine.network(spec.deepest().unwrap(), spec.pooling).unwrap();
    let targets =
        engine.install(|| tensor_targets(&tensor(3), &spec.styles(), network.as_ref())).unwrap();
    let workers = engine.worker_pool(spec.deepest(), spec.pooling).unwrap();
    assert_eq!(workers.count(), 2);
    let tiles = TilePlan::of_cores(&spec, 64);
    let mut evaluator = Evaluator::new(workers, &spec, targets, &tensor(2), tiles).unwrap();
    let mut optimiser = Optimiser::Lbfgs(Lbfgs::new(tensor(1), 5));
    for _ in 0..3 {
        let evaluated = evaluator.evaluate(optimiser.next_point()).unwrap();
        let step = || optimiser.advance(evaluated.losses.total, evaluated.gradient);
        engine.install(step).unwrap();
        assert_eq!(
            settled(before + 2),
            before + 2,
            "somebody started threads of his own: {:?}",
            names()
        );
    }
}
