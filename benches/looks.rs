//! What the Wasserstein distance and octaves cost: processor seconds of one exact evaluation.
//!
//! ```text
//! cargo bench --bench looks -- SIDE CORE [TURNS]
//! ```
//!
//! The canvas is SIDE px square, in tiles with cores of CORE px. The four looks take turns; the
//! least of TURNS (2) counts for each. The first row compares Gram matrices at the same taps.

use std::path::Path;

use candle_core::{Device, Tensor};
use impasto::config;
use impasto::internal::tensor_targets;
use impasto::network::{CpuNetwork, Isa, Network, Precision, Weights};
use impasto::objective::Spec;
use impasto::plan::resolve_spec;
use impasto::random::Noise;
use impasto::render::{Evaluator, TilePlan, WorkerPool};

type Anything = Box<dyn std::error::Error + Send + Sync>;

/// The loss of the quickstart with some keys set.
fn spec(keys: &[&str]) -> Result<Spec, Anything> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("pipelines/quickstart.toml");
    let keys: Vec<String> = keys.iter().map(|key| key.to_string()).collect();
    let config = config::load(&file, &keys).map_err(|problems| problems.to_string())?;
    Ok(resolve_spec(&config.variants[0].settings.objective))
}

/// A picture of smooth noise in 0..1, `[3, side, side]`.
fn picture(seed: u64, side: usize) -> Result<Tensor, Anything> {
    let noise = Noise::new(seed);
    let coarse = (side / 8).max(1);
    let values: Vec<f32> = (0..3 * coarse * coarse).map(|i| noise.uniform(i as u64)).collect();
    let coarse = Tensor::from_vec(values, (1, 3, coarse, coarse), &Device::Cpu)?;
    Ok(coarse.upsample_nearest2d(side, side)?.squeeze(0)?)
}

/// User and system seconds of all threads so far.
fn processor_seconds() -> f64 {
    let Ok(text) = std::fs::read_to_string("/proc/self/stat") else { return 0.0 };
    let after = text.rsplit(')').next().unwrap_or_default();
    let ticks: f64 =
        after.split_whitespace().skip(11).take(2).filter_map(|word| word.parse::<f64>().ok()).sum();
    ticks / 100.0
}

fn main() -> Result<(), Anything> {
    // `cargo bench` adds a flag of its own, and runs this without arguments beside the others.
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let [side, core, turns @ ..] = words.as_slice() else {
        println!("see the head of this file");
        return Ok(());
    };
    let (side, core): (usize, usize) = (side.parse()?, core.parse()?);
    let turns: usize = turns.first().map_or(Ok(2), |turns| turns.parse())?;
    let pool = rayon::ThreadPoolBuilder::new().build()?;
    let wasserstein = "objective.preset=wasserstein";
    let looks: [(&str, Spec); 4] = [
        ("Gram matrices", spec(&["objective.preset=gatys"])?),
        ("Wasserstein", spec(&[wasserstein, "objective.octaves=1"])?),
        ("Wasserstein, two octaves", spec(&[wasserstein, "objective.octaves=2"])?),
        ("Wasserstein, three octaves", spec(&[wasserstein, "objective.octaves=3"])?),
    ];
    let deepest = looks[0].1.deepest().ok_or("the preset has taps")?;
    pool.install(|| {
        let weights = Weights::embedded()?;
        let pooling = looks[0].1.pooling;
        let network =
            CpuNetwork::new(&weights, deepest, pooling, Precision::Float32, Isa::detect())?;
        let network: &dyn Network = &network;
        let style = tensor_targets(&picture(1, side.min(1024))?, &looks[0].1.styles(), network)?;
        let (content, canvas) = (picture(2, side)?, picture(3, side)?);
        let mut least = [f64::INFINITY; 4];
        for _ in 0..turns {
            for (least, (_, spec)) in least.iter_mut().zip(&looks) {
                let tiles = TilePlan::of_cores(spec, core);
                let workers = WorkerPool::single(Some(network));
                let mut evaluator = Evaluator::new(workers, spec, style.clone(), &content, tiles)?;
                let before = processor_seconds();
                evaluator.evaluate(&canvas)?;
                *least = least.min(processor_seconds() - before);
            }
        }
        println!("{side} px, cores of {core} px: processor seconds, over Gram, over one octave");
        for ((name, _), seconds) in looks.iter().zip(least) {
            let (gram, one) = (seconds / least[0], seconds / least[1]);
            println!("{name:<28} {seconds:>8.2} {gram:>6.3} {one:>6.3}");
        }
        Ok(())
    })
}
