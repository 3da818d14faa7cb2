//! `impasto bench`: seconds for one evaluation of the loss and its gradient on this machine.

use std::time::Instant;

use candle_core::{Device, Tensor};
use serde_json::json;

use super::args::BenchArguments;
use super::say::say;
use super::{Exit, Failure};
use crate::kernels::Isa;
use crate::network::cpu::{CpuNetwork, Precision};
use crate::network::{Layer, Network, NetworkError, Request, VGG19_WIDTHS, Weights};
use crate::objective::{Spec, StyleTargets};
use crate::random::Noise;
use crate::render::{Sweep, tensor_targets};
use crate::tiling::Grid;

/// `impasto bench`.
pub fn bench(arguments: &BenchArguments) -> Result<Exit, Failure> {
    let precision = match arguments.precision.as_str() {
        "float32" => Precision::Float32,
        "bfloat16" => Precision::Bfloat16,
        other => return Err(Failure::Settings(format!("--precision is `{other}`; accepted are float32 and bfloat16"))),
    };
    let spec = Spec::gatys();
    let deepest = spec.deepest().expect("the preset has taps");
    if arguments.size < deepest.stride() {
        return Err(Failure::Settings(format!("--size is {}; at least {} px are needed", arguments.size, deepest.stride())));
    }
    if arguments.evaluations == 0 {
        return Err(Failure::Settings("--evaluations is 0; at least 1 is needed".into()));
    }
    let isa = super::isa(precision)?;
    let pool = super::pool(arguments.threads)?;
    let threads = pool.current_num_threads();
    let weights = Weights::embedded()?;
    let network = pool.install(|| CpuNetwork::new(&weights, deepest, spec.pooling, precision, isa)).map_err(NetworkError::from)?;
    drop(weights);
    let fixed = peak_memory();
    let seconds =
        pool.install(|| if arguments.forward { forward(&network, &spec, arguments) } else { evaluations(&network, &spec, arguments) })?;
    let result = Measured { seconds, fixed, peak: peak_memory(), threads, isa, precision };
    if arguments.json {
        result.print_json(arguments)
    } else {
        result.print_table(arguments, &network)
    }
    Ok(Exit::Done)
}

struct Measured {
    seconds: Vec<f64>,
    fixed: Option<u64>,
    peak: Option<u64>,
    threads: usize,
    isa: Isa,
    precision: Precision,
}

/// Random pixels: what an evaluation costs does not depend on the picture.
fn picture(size: usize, seed: u64) -> Result<Tensor, NetworkError> {
    let noise = Noise::new(seed);
    let values: Vec<f32> = (0..3 * size * size).map(|i| noise.uniform(i as u64)).collect();
    Ok(Tensor::from_vec(values, (3, size, size), &Device::Cpu)?)
}

fn evaluations(network: &CpuNetwork, spec: &Spec, arguments: &BenchArguments) -> Result<Vec<f64>, NetworkError> {
    let size = arguments.size;
    let layers: Vec<Layer> = spec.style_taps().map(|(layer, _)| layer).collect();
    let targets: StyleTargets = tensor_targets(&picture(512.min(size), 3)?, &layers, network)?;
    let content = picture(size, 2)?;
    let sweep = Sweep::new(Some(network), spec, targets, Some(&content), Grid::whole(size, size))?;
    drop(content);
    let canvas = picture(size, 1)?;
    sweep.evaluate(&canvas)?;
    network.reset_profile();
    (0..arguments.evaluations)
        .map(|_| {
            let started = Instant::now();
            sweep.evaluate(&canvas)?;
            Ok(started.elapsed().as_secs_f64())
        })
        .collect()
}

fn forward(network: &CpuNetwork, spec: &Spec, arguments: &BenchArguments) -> Result<Vec<f64>, NetworkError> {
    let canvas = picture(arguments.size, 1)?;
    let moments = spec.style_taps().map(|(layer, _)| layer).collect();
    let core = crate::geometry::Rect::whole(arguments.size, arguments.size);
    let request = Request { moments, features: vec![], gradients: vec![], core, wanted: None, keep: false };
    Network::forward(network, &canvas, &request)?;
    network.reset_profile();
    (0..arguments.evaluations)
        .map(|_| {
            let started = Instant::now();
            Network::forward(network, &canvas, &request)?;
            Ok(started.elapsed().as_secs_f64())
        })
        .collect()
}

impl Measured {
    fn median(&self) -> f64 {
        let mut sorted = self.seconds.clone();
        sorted.sort_by(f64::total_cmp);
        sorted[sorted.len() / 2]
    }

    fn gflops(&self, arguments: &BenchArguments) -> f64 {
        direct_flops(arguments.size, arguments.forward) / self.median() * 1e-9
    }

    fn print_json(&self, arguments: &BenchArguments) {
        let document = json!({
            "size": arguments.size,
            "evaluations": arguments.evaluations,
            "forward_only": arguments.forward,
            "seconds_per_evaluation": self.median(),
            "fastest_seconds": self.seconds.iter().copied().fold(f64::INFINITY, f64::min),
            "fixed_memory_bytes": self.fixed,
            "peak_memory_bytes": self.peak,
            "gflops": self.gflops(arguments),
            "isa": self.isa.name(),
            "precision": arguments.precision,
            "threads": self.threads,
        });
        say!("{document}");
    }

    fn print_table(&self, arguments: &BenchArguments, network: &CpuNetwork) {
        let what = if arguments.forward { "forward sweep" } else { "evaluation" };
        say!("{0}x{0} px, {1:?}, {2}, {3} threads", arguments.size, self.precision, self.isa.name(), self.threads);
        say!("seconds per {what}   {:.4} (median of {})", self.median(), self.seconds.len());
        say!("GFLOPS               {:.0} (counted as direct convolutions)", self.gflops(arguments));
        if let (Some(fixed), Some(peak)) = (self.fixed, self.peak) {
            let pixels = (arguments.size * arguments.size) as f64;
            say!("peak memory          {:.0} MiB, of which {:.0} MiB before the first sweep", mib(peak), mib(fixed));
            say!("bytes a pixel        {:.0} beyond that", (peak - fixed.min(peak)) as f64 / pixels);
        }
        say!("\n{}", network.profile());
    }
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / (1u64 << 20) as f64
}

/// Multiplications and additions of VGG19 to relu5_1 by direct convolution; the gradient takes as many again.
fn direct_flops(size: usize, forward: bool) -> f64 {
    let mut inputs = 3;
    let mut flops = 0.0;
    for layer in Layer::all().take_while(|layer| layer.block() < 5 || layer.is_first_of_block()) {
        let outputs = VGG19_WIDTHS[layer.block() - 1];
        flops += 2.0 * 9.0 * (inputs * outputs) as f64 * (layer.cells(size) as f64).powi(2);
        inputs = outputs;
    }
    if forward { flops } else { 2.0 * flops }
}

/// The most memory this process has had resident so far, where the system tells.
pub fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}
