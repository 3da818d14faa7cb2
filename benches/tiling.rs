//! What tiles cost: seconds a pixel of one evaluation, over those of an untiled evaluation of 1024x1024 px.
//!
//! `cargo bench --bench tiling [-- FILTER]`. Of each canvas one tile of every size is timed and counted as often as it occurs, so
//! that large canvases take seconds. Every row is timed in turns with the untiled evaluation, in processor seconds, which
//! other programs on the machine disturb less than the clock; the least of `TURNS` counts. Cores are what `impasto plan`
//! chooses for the budget in the row.

use std::collections::BTreeMap;
use std::path::Path;

use candle_core::{Device, Tensor};
use impasto::config;
use impasto::geometry::Rect;
use impasto::kernels::Isa;
use impasto::network::cpu::Precision;
use impasto::network::{CpuNetwork, Features, Layer, Network, Request, TapGradient, Weights};
use impasto::objective::Spec;
use impasto::plan::{Execution, Visits};
use impasto::random::Noise;
use impasto::tiling::{ALIGNMENT, Grid, Layout, Margins};

type Anything = Box<dyn std::error::Error>;

const TURNS: usize = 2;

/// A sweep to time: pixels, the core in it, and what is asked.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Shot {
    region: (usize, usize),
    /// Left, top, width, height.
    core: (usize, usize, usize, usize),
    backward: bool,
}

struct Bench {
    network: CpuNetwork,
    spec: Spec,
    pool: rayon::ThreadPool,
    matrices: BTreeMap<Layer, (Tensor, Tensor)>,
}

impl Bench {
    fn new() -> Result<Self, Anything> {
        let spec = Spec::spst();
        let pool = rayon::ThreadPoolBuilder::new().build()?;
        let deepest = spec.deepest().ok_or("the preset has taps")?;
        let weights = Weights::embedded()?;
        let network = pool.install(|| CpuNetwork::new(&weights, deepest, spec.pooling, Precision::Float32, Isa::detect()))?;
        let mut matrices = BTreeMap::new();
        for (layer, _) in spec.style_taps() {
            let channels = network.channels(layer).ok_or("every tap is prepared")?;
            let matrix = Tensor::full(1e-6f32, (channels, channels), &Device::Cpu)?;
            matrices.insert(layer, (matrix, Tensor::zeros(channels, candle_core::DType::F32, &Device::Cpu)?));
        }
        Ok(Self { network, spec, pool, matrices })
    }

    /// Processor seconds of one sweep over a region: forward with its sums, and backward where asked.
    fn seconds(&self, shot: Shot) -> Result<f64, Anything> {
        let (width, height) = shot.region;
        let noise = Noise::new(1);
        let values: Vec<f32> = (0..3 * width * height).map(|i| noise.uniform(i as u64)).collect();
        let pixels = Tensor::from_vec(values, (3, height, width), &Device::Cpu)?;
        let (left, top, w, h) = shot.core;
        let styles: Vec<Layer> = self.spec.style_taps().map(|(layer, _)| layer).collect();
        let contents: Vec<Layer> = self.spec.content_taps().map(|(layer, _)| layer).collect();
        let request = Request {
            moments: styles.clone(),
            features: contents.clone(),
            gradients: styles,
            core: Rect { left, top, width: w, height: h },
            keep: shot.backward,
        };
        self.pool.install(|| {
            let whole = Request { core: Rect::whole(width, height), keep: false, moments: vec![], gradients: vec![], ..request.clone() };
            let pass = Network::forward(&self.network, &pixels, &whole)?;
            let targets: Vec<(Layer, Features)> =
                contents.iter().map(|layer| Ok((*layer, pass.features(*layer)?))).collect::<Result<_, Anything>>()?;
            drop(pass);
            let before = processor_seconds();
            let pass = Network::forward(&self.network, &pixels, &request)?;
            for (layer, target) in &targets {
                pass.content_distance(*layer, target, (0, 0))?;
            }
            if shot.backward {
                let style = self.matrices.iter().map(|(layer, (matrix, offset))| TapGradient::Affine { layer: *layer, matrix, offset });
                let content =
                    targets.iter().map(|(layer, target)| TapGradient::Content { layer: *layer, target, origin: (0, 0), scale: 1e-3 });
                pass.backward(&style.chain(content).collect::<Vec<_>>())?;
            }
            Ok(processor_seconds() - before)
        })
    }

    /// Processor seconds of all shots, each kind timed once.
    fn total(&self, shots: &BTreeMap<Shot, usize>) -> Result<f64, Anything> {
        shots.iter().map(|(shot, count)| Ok(*count as f64 * self.seconds(*shot)?)).sum()
    }

    /// One row: the ratio of seconds a pixel.
    fn row(&self, name: &str, pixels: usize, shots: &BTreeMap<Shot, usize>) -> Result<(), Anything> {
        let side = 1024;
        let untiled = BTreeMap::from([(Shot { region: (side, side), core: (0, 0, side, side), backward: true }, 1)]);
        let (mut unit, mut tiled) = (f64::INFINITY, f64::INFINITY);
        for _ in 0..TURNS {
            unit = unit.min(self.total(&untiled)? / (side * side) as f64);
            tiled = tiled.min(self.total(shots)? / pixels as f64);
        }
        println!("{name:<64} {:>8.3} {:>8.2}", 1e6 * tiled, tiled / unit);
        Ok(())
    }
}

/// User and system seconds of all threads so far.
fn processor_seconds() -> f64 {
    let Ok(text) = std::fs::read_to_string("/proc/self/stat") else { return 0.0 };
    let after = text.rsplit(')').next().unwrap_or_default();
    let ticks: f64 = after.split_whitespace().skip(11).take(2).filter_map(|word| word.parse::<f64>().ok()).sum();
    ticks / 100.0
}

fn margins(spec: &Spec) -> Margins {
    Margins::for_taps(spec.content_taps().chain(spec.style_taps()).map(|(layer, _)| (layer.reach(), layer.stride())))
}

/// Both sweeps of an exact evaluation over a square canvas, the last `keep` tiles kept between them.
fn exact(spec: &Spec, side: usize, core: usize, keep: usize) -> BTreeMap<Shot, usize> {
    let grid = Grid::new(side, side, core);
    let margin = margins(spec).gradient;
    let mut shots = BTreeMap::new();
    for tile in grid.tiles() {
        let region = tile.region(margin, side, side);
        let core = tile.core.relative_to(&region);
        let mut add = |backward| {
            let shot = Shot { region: (region.width, region.height), core: (core.left, core.top, core.width, core.height), backward };
            *shots.entry(shot).or_insert(0) += 1;
        };
        if tile.index + keep.max(1) < grid.len() {
            add(false);
        }
        add(true);
    }
    shots
}

/// One evaluation of every visit of a round over a square canvas.
fn visits(spec: &Spec, side: usize, visits: Visits) -> BTreeMap<Shot, usize> {
    let layout = Layout::new((side, side), visits.core, visits.overlap, false);
    let margin = margins(spec).features;
    let mut shots = BTreeMap::new();
    for tile in 0..layout.len() {
        let free = layout.free(tile);
        let start = |at: usize| at.saturating_sub(margin) / ALIGNMENT * ALIGNMENT;
        let end = |at: usize| (at + margin).next_multiple_of(ALIGNMENT).min(side);
        let region = (end(free.right()) - start(free.left), end(free.bottom()) - start(free.top));
        *shots.entry(Shot { region, core: (0, 0, region.0, region.1), backward: true }).or_insert(0) += 1;
    }
    shots
}

/// What the planner chooses for a square canvas; nothing where no mode fits.
fn planned(folder: &Path, side: usize, gib: f64, mode: &str) -> Result<Option<Execution>, Anything> {
    let photograph = folder.join(format!("{side}.png"));
    if !photograph.exists() {
        image::GrayImage::new(side as u32, side as u32).save(&photograph)?;
    }
    let pipeline = folder.join("pipeline.toml");
    let text = format!(
        "input.content = {photograph:?}\nstyle.image = {photograph:?}\noutput.scale = 1.0\ncompute.memory-gib = {gib:.1}\ntiling.mode = {mode:?}\n"
    );
    std::fs::write(&pipeline, text)?;
    let config = config::load(&pipeline, &[]).map_err(|problems| format!("{problems:?}"))?;
    let (plan, _) = impasto::batch::plan(&config);
    Ok(plan.jobs.first().and_then(|job| job.levels.last()).map(|level| level.execution))
}

fn main() -> Result<(), Anything> {
    let filter = std::env::args().skip(1).find(|word| !word.starts_with('-')).unwrap_or_default();
    let bench = Bench::new()?;
    let folder = tempfile::tempdir()?;
    println!("{:<64} {:>8} {:>8}", "", "us/px", "ratio");
    let row = |name: String, side: usize, shots: BTreeMap<Shot, usize>| -> Result<(), Anything> {
        if name.contains(&filter) { bench.row(&name, side * side, &shots) } else { Ok(()) }
    };
    row("untiled 1024x1024".into(), 1024, exact(&bench.spec, 1024, 1024, 1))?;
    for (side, gib, mode) in [(4096, 8.0, "exact"), (4096, 4.0, "exact"), (4096, 4.0, "auto"), (2048, 4.0, "auto"), (8192, 4.0, "auto")] {
        match planned(folder.path(), side, gib, mode)? {
            Some(Execution::Exact { core, history, keep }) => {
                row(
                    format!("{side}x{side}, {gib} GiB, {mode}: exact, cores of {core} px, {keep} kept, {history} pairs"),
                    side,
                    exact(&bench.spec, side, core, keep),
                )?;
            }
            Some(Execution::Blocks(found) | Execution::Feathered(found)) => {
                let Visits { core, overlap, .. } = found;
                row(
                    format!("{side}x{side}, {gib} GiB, {mode}: blocks, cores of {core} px, overlap {overlap}"),
                    side,
                    visits(&bench.spec, side, found),
                )?;
            }
            None => println!("{side}x{side}, {gib} GiB, {mode}: does not fit"),
        }
    }
    for core in [512, 1024, 1408, 2048] {
        row(format!("4096x4096, exact, cores of {core} px"), 4096, exact(&bench.spec, 4096, core, 1))?;
    }
    row("4096x4096, exact, cores of 2048 px, all kept".into(), 4096, exact(&bench.spec, 4096, 2048, 4))?;
    for overlap in [16, 32, 48, 64] {
        let found = Visits { core: 1024, overlap, rounds: 2, visit: 20, history: 20 };
        row(format!("4096x4096, blocks, cores of 1024 px, overlap {overlap}"), 4096, visits(&bench.spec, 4096, found))?;
    }
    for side in [2048, 4096, 8192] {
        let found = Visits { core: 1024, overlap: 32, rounds: 2, visit: 20, history: 20 };
        row(format!("{side}x{side}, blocks, cores of 1024 px, overlap 32"), side, visits(&bench.spec, side, found))?;
        row(format!("{side}x{side}, exact, cores of 1024 px"), side, exact(&bench.spec, side, 1024, 1))?;
    }
    Ok(())
}
