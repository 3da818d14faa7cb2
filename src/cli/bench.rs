//! `impasto bench`: seconds for one evaluation of the loss and its gradient on this machine.

use std::collections::BTreeMap;
use std::time::Instant;

use candle_core::{Device, Tensor};
use serde_json::json;

use super::args::BenchArguments;
use super::say::say;
use super::{Exit, Failure};
use crate::config::DeviceName;
use crate::format;
use crate::network::gpu::{CandleNetwork, Convolutions, allow_tf32, value_bytes};
use crate::network::{
    CpuNetwork, Isa, Layer, Network, NetworkError, Precision, Request, VGG19_WIDTHS, Weights,
};
use crate::objective::Spec;
use crate::random::Noise;
use crate::render::store::targets::tensor_targets;
use crate::render::{Evaluator, RenderError, TilePlan, WorkerPool};

/// `impasto bench`.
pub fn bench(arguments: &BenchArguments) -> Result<Exit, Failure> {
    let spec = Spec::gatys();
    let deepest = spec.deepest().expect("the preset has taps");
    let precision = arguments.precision;
    match arguments.device {
        DeviceName::Cpu => {
            on_the_cpu(arguments, &spec, deepest, super::devices::cpu_precision(precision)?)
        }
        name => on_a_gpu(arguments, &spec, deepest, name, precision),
    }
}

fn on_the_cpu(
    arguments: &BenchArguments,
    spec: &Spec,
    deepest: Layer,
    precision: Precision,
) -> Result<Exit, Failure> {
    let isa = super::isa(precision)?;
    let pool = super::pool(arguments.threads)?;
    let threads = pool.current_num_threads();
    let weights = Weights::embedded()?;
    let network =
        pool.install(|| CpuNetwork::new(&weights, deepest, spec.pooling, precision, isa))?;
    drop(weights);
    let fixed = peak_memory();
    let begin = || network.reset_profile();
    let seconds = pool.install(|| seconds(&network, spec, arguments, &begin))?;
    let result = Measurement { seconds, fixed, peak: peak_memory(), threads, isa, precision };
    if arguments.json {
        result.print_json(arguments)
    } else {
        result.print_table(arguments, &network)
    }
    Ok(Exit::Done)
}

/// The canvas, the photograph's features and the gradient stay on the GPU; a time is taken when it
/// has nothing left to do.
fn on_a_gpu(
    arguments: &BenchArguments,
    spec: &Spec,
    deepest: Layer,
    name: DeviceName,
    precision: Precision,
) -> Result<Exit, Failure> {
    let gpus = super::devices::named(&[name])?;
    let gpu = gpus.first().expect("one was named");
    allow_tf32(precision);
    let by = Convolutions::suited(gpu.device(), precision);
    let network = CandleNetwork::with(
        &Weights::embedded()?,
        deepest,
        spec.pooling,
        gpu.device(),
        precision,
        by,
    )?;
    let seconds = seconds(&network, spec, arguments, &|| network.stages().start())?;
    let median = median(&seconds);
    let flops = direct_flops(arguments.size, arguments.forward);
    let gflops = flops / median * 1e-9;
    // Each evaluation's share, by the GPU's own clock; what is missing from the whole is outside of
    // the network.
    let stages = network.stages().finish().map_err(NetworkError::from)?;
    let stages = stages
        .into_iter()
        .map(|(stage, sum)| (stage, sum / seconds.len() as f64))
        .collect::<BTreeMap<_, _>>();
    if arguments.json {
        say!(
            "{}",
            json!({
                "size": arguments.size,
                "evaluations": arguments.evaluations,
                "forward-only": arguments.forward,
                "seconds-per-evaluation": median,
                "fastest-seconds": seconds.iter().copied().fold(f64::INFINITY, f64::min),
                "gflops": gflops,
                "direct-flops": flops,
                "least-bytes": least_bytes(arguments.size, value_bytes(precision), arguments.forward),
                "stages": stages,
                "device": name.to_string(),
                "device-name": gpu.name,
                "device-memory-bytes": gpu.total_bytes,
                "precision": arguments.precision,
                "convolutions": format!("{by:?}").to_lowercase(),
            })
        );
    } else {
        say!("{0}x{0} px, {1:?}, {name} ({2})", arguments.size, precision, gpu.name);
        say!("seconds per {}   {median:.4} (median of {})", what(arguments), seconds.len());
        say!("GFLOPS               {gflops:.0} (counted as direct convolutions)\n");
        for (stage, seconds) in stages {
            say!("{stage:<22} {:>9.3} ms", 1e3 * seconds);
        }
    }
    Ok(Exit::Done)
}

struct Measurement {
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

/// Seconds of every evaluation, or forward sweep. `begin` is called after the one that is not
/// counted.
fn seconds(
    network: &dyn Network,
    spec: &Spec,
    arguments: &BenchArguments,
    begin: &dyn Fn(),
) -> Result<Vec<f64>, RenderError> {
    if arguments.forward {
        forward(network, spec, arguments, begin)
    } else {
        evaluations(network, spec, arguments, begin)
    }
}

fn evaluations(
    network: &dyn Network,
    spec: &Spec,
    arguments: &BenchArguments,
    begin: &dyn Fn(),
) -> Result<Vec<f64>, RenderError> {
    let (size, device) = (arguments.size, network.device());
    let targets = tensor_targets(&picture(512.min(size), 3)?, &spec.styles(), network)?;
    let content = picture(size, 2)?.to_device(&device)?;
    let (workers, tiles) = (WorkerPool::single(Some(network)), TilePlan::untiled(spec));
    let mut evaluator = Evaluator::new(workers, spec, targets, &content, tiles)?;
    drop(content);
    let canvas = picture(size, 1)?.to_device(&device)?;
    evaluator.evaluate(&canvas)?;
    device.synchronize()?;
    begin();
    (0..arguments.evaluations)
        .map(|_| {
            let started = Instant::now();
            evaluator.evaluate(&canvas)?;
            device.synchronize()?;
            Ok(started.elapsed().as_secs_f64())
        })
        .collect()
}

fn forward(
    network: &dyn Network,
    spec: &Spec,
    arguments: &BenchArguments,
    begin: &dyn Fn(),
) -> Result<Vec<f64>, RenderError> {
    let device = network.device();
    let canvas = picture(arguments.size, 1)?.to_device(&device)?;
    let moments = spec.styles();
    let core = crate::geometry::Rect::whole(arguments.size, arguments.size);
    let request = Request { moments, ..Request::over(core) };
    let sweep = || -> Result<(), NetworkError> {
        let pass = network.forward(&canvas, &request)?;
        request.moments.iter().try_for_each(|layer| pass.moments(*layer).map(drop))?;
        Ok(device.synchronize()?)
    };
    sweep()?;
    begin();
    (0..arguments.evaluations)
        .map(|_| {
            let started = Instant::now();
            sweep()?;
            Ok(started.elapsed().as_secs_f64())
        })
        .collect()
}

impl Measurement {
    fn median(&self) -> f64 {
        median(&self.seconds)
    }

    fn gflops(&self, arguments: &BenchArguments) -> f64 {
        direct_flops(arguments.size, arguments.forward) / self.median() * 1e-9
    }

    fn print_json(&self, arguments: &BenchArguments) {
        let document = json!({
            "size": arguments.size,
            "evaluations": arguments.evaluations,
            "forward-only": arguments.forward,
            "seconds-per-evaluation": self.median(),
            "fastest-seconds": self.seconds.iter().copied().fold(f64::INFINITY, f64::min),
            "fixed-memory-bytes": self.fixed,
            "peak-memory-bytes": self.peak,
            "gflops": self.gflops(arguments),
            "isa": self.isa.name(),
            "precision": arguments.precision,
            "threads": self.threads,
        });
        say!("{document}");
    }

    fn print_table(&self, arguments: &BenchArguments, network: &CpuNetwork) {
        say!(
            "{0}x{0} px, {1:?}, {2}, {3} threads",
            arguments.size,
            self.precision,
            self.isa.name(),
            self.threads
        );
        say!(
            "seconds per {}   {:.4} (median of {})",
            what(arguments),
            self.median(),
            self.seconds.len()
        );
        say!("GFLOPS               {:.0} (counted as direct convolutions)", self.gflops(arguments));
        if let (Some(fixed), Some(peak)) = (self.fixed, self.peak) {
            let pixels = (arguments.size * arguments.size) as f64;
            say!(
                "peak memory          {}, of which {} before the first sweep",
                format::bytes(peak),
                format::bytes(fixed)
            );
            say!(
                "bytes a pixel        {:.0} beyond that",
                (peak - fixed.min(peak)) as f64 / pixels
            );
        }
        say!("\n{}", network.profile());
    }
}

fn what(arguments: &BenchArguments) -> &'static str {
    if arguments.forward { "forward sweep" } else { "evaluation" }
}

fn median(seconds: &[f64]) -> f64 {
    let mut sorted = seconds.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

/// Multiplications and additions of VGG19 to relu5_1 by direct convolution; the gradient takes as
/// many again.
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

/// Bytes that layers computed one after the other move: features written and read once; on the way
/// back read again for the masks, and gradients written and read once.
fn least_bytes(size: usize, value: usize, forward: bool) -> usize {
    let layers = Layer::all().take_while(|layer| layer.block() < 5 || layer.is_first_of_block());
    let values: usize =
        layers.map(|layer| VGG19_WIDTHS[layer.block() - 1] * layer.cells(size).pow(2)).sum();
    values * value * if forward { 2 } else { 5 }
}

/// The most memory this process has had resident so far, where the system tells.
pub fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}
