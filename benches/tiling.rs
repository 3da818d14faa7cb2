//! What tiles cost: seconds a pixel of one evaluation, over those of an untiled evaluation of
//! 1024x1024 px.
//!
//! `cargo bench --bench tiling [-- FILTER [TURNS]]`. Of each canvas one tile of every size is timed
//! and counted as often as it occurs, so that large canvases take seconds. Every tile is timed in
//! turns with the untiled evaluation, in processor seconds, which other programs on the machine
//! disturb less than the clock; the least of TURNS (2) counts for both. Cores are what `impasto
//! plan` chooses for the budget in the row; "bitwise" is `tiling.margins`, else it is "exact". The
//! second figure is counted instead of timed: multiplications over those of the untiled evaluation.

use std::collections::BTreeMap;
use std::path::Path;

use candle_core::{Device, Tensor};
use impasto::config;
use impasto::geometry::{ALIGNMENT, Rect};
use impasto::network::{
    Areas, CpuNetwork, Features, Isa, Layer, Margins, Network, Precision, Request, TapGradient,
    Weights,
};
use impasto::objective::Spec;
use impasto::plan::{Execution, Visits};
use impasto::random::Noise;
use impasto::tiling::{Grid, Layout};

type Anything = Box<dyn std::error::Error + Send + Sync>;

/// A sweep to time: pixels, the core in it, and what is asked.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Shot {
    region: (usize, usize),
    /// Left, top, width, height.
    core: (usize, usize, usize, usize),
    /// Where the gradient is wanted, likewise.
    wanted: (usize, usize, usize, usize),
    bitwise: bool,
    backward: bool,
}

fn rect((left, top, width, height): (usize, usize, usize, usize)) -> Rect {
    Rect { left, top, width, height }
}

impl Shot {
    /// Multiplications, in those of an untiled evaluation of as many pixels: one way is as much as
    /// the other.
    fn counted(&self, deepest: Layer) -> f64 {
        let (ahead, back) = Areas::new(
            deepest,
            self.region,
            rect(self.core),
            Some(rect(self.wanted)),
            self.bitwise,
        )
        .swept();
        0.5 * (ahead + if self.backward { back } else { 0.0 })
    }
}

struct Bench {
    network: CpuNetwork,
    spec: Spec,
    pool: rayon::ThreadPool,
    matrices: BTreeMap<Layer, (Tensor, Tensor)>,
    turns: usize,
    /// What was timed already, in untiled evaluations of 1024x1024 px.
    known: BTreeMap<Shot, f64>,
}

/// Side of the untiled picture.
const UNIT: usize = 1024;

impl Bench {
    fn new(turns: usize) -> Result<Self, Anything> {
        let spec = Spec::spst();
        let pool = rayon::ThreadPoolBuilder::new().build()?;
        let deepest = spec.deepest().ok_or("the preset has taps")?;
        let weights = Weights::embedded()?;
        let network = pool.install(|| {
            CpuNetwork::new(&weights, deepest, spec.pooling, Precision::Float32, Isa::detect())
        })?;
        let mut matrices = BTreeMap::new();
        for (layer, _) in spec.style_taps() {
            let channels = network.channels(layer).ok_or("every tap is prepared")?;
            let matrix = Tensor::full(1e-6f32, (channels, channels), &Device::Cpu)?;
            matrices.insert(
                layer,
                (matrix, Tensor::zeros(channels, candle_core::DType::F32, &Device::Cpu)?),
            );
        }
        Ok(Self { network, spec, pool, matrices, turns, known: BTreeMap::new() })
    }

    /// Processor seconds of one sweep over a region: forward with its sums, and backward where
    /// asked.
    fn seconds(&self, shot: Shot) -> Result<f64, Anything> {
        let (width, height) = shot.region;
        let noise = Noise::new(1);
        let values: Vec<f32> = (0..3 * width * height).map(|i| noise.uniform(i as u64)).collect();
        let pixels = Tensor::from_vec(values, (3, height, width), &Device::Cpu)?;
        let (styles, contents) = (self.spec.styles(), self.spec.contents());
        let request = Request {
            moments: styles,
            features: contents.clone(),
            core: rect(shot.core),
            gradient: Some(rect(shot.wanted)),
            bitwise: shot.bitwise,
            keep: shot.backward,
        };
        self.pool.install(|| {
            let whole =
                Request { features: contents.clone(), ..Request::over(Rect::whole(width, height)) };
            let pass = Network::forward(&self.network, &pixels, &whole)?;
            let targets: Vec<(Layer, Features)> = contents
                .iter()
                .map(|layer| Ok((*layer, pass.features(*layer)?)))
                .collect::<Result<_, Anything>>()?;
            drop(pass);
            let before = processor_seconds();
            let pass = Network::forward(&self.network, &pixels, &request)?;
            for (layer, target) in &targets {
                pass.content_distance(*layer, target, (0, 0))?;
            }
            if shot.backward {
                let style = self.matrices.iter().map(|(layer, (matrix, offset))| {
                    TapGradient::Affine { layer: *layer, matrix, offset }
                });
                let content = targets.iter().map(|(layer, target)| TapGradient::Content {
                    layer: *layer,
                    target,
                    origin: (0, 0),
                    scale: 1e-3,
                });
                pass.backward(&style.chain(content).collect::<Vec<_>>())?;
            }
            Ok(processor_seconds() - before)
        })
    }

    /// What a shot costs, in untiled evaluations.
    fn relative(&mut self, shot: Shot) -> Result<f64, Anything> {
        if let Some(known) = self.known.get(&shot) {
            return Ok(*known);
        }
        let whole = (0, 0, UNIT, UNIT);
        let untiled = Shot {
            region: (UNIT, UNIT),
            core: whole,
            wanted: whole,
            bitwise: false,
            backward: true,
        };
        let (mut unit, mut least) = (f64::INFINITY, f64::INFINITY);
        for _ in 0..self.turns {
            unit = unit.min(self.seconds(untiled)?);
            least = least.min(self.seconds(shot)?);
        }
        self.known.insert(shot, least / unit);
        Ok(least / unit)
    }

    /// One row: seconds a pixel over those of the untiled evaluation, and multiplications over its.
    fn row(
        &mut self,
        name: &str,
        pixels: usize,
        shots: &BTreeMap<Shot, usize>,
    ) -> Result<(), Anything> {
        let deepest = self.spec.deepest().ok_or("the preset has taps")?;
        let (mut timed, mut counted) = (0.0, 0.0);
        for (shot, count) in shots {
            timed += *count as f64 * self.relative(*shot)?;
            counted += *count as f64 * shot.counted(deepest);
        }
        println!(
            "{name:<76} {:>6.2} {:>6.2}",
            timed * (UNIT * UNIT) as f64 / pixels as f64,
            counted / pixels as f64
        );
        Ok(())
    }
}

/// User and system seconds of all threads so far.
fn processor_seconds() -> f64 {
    let Ok(text) = std::fs::read_to_string("/proc/self/stat") else { return 0.0 };
    let after = text.rsplit(')').next().unwrap_or_default();
    let ticks: f64 =
        after.split_whitespace().skip(11).take(2).filter_map(|word| word.parse::<f64>().ok()).sum();
    ticks / 100.0
}

fn margins(spec: &Spec) -> Margins {
    Margins::exact(spec.taps())
}

/// Both sweeps of an exact evaluation over a square canvas, the last `keep` tiles kept between
/// them.
fn exact(
    spec: &Spec,
    side: usize,
    core: usize,
    keep: usize,
    bitwise: bool,
) -> BTreeMap<Shot, usize> {
    let grid = Grid::new(side, side, core);
    let margins = if bitwise { Margins::bitwise(spec.taps()) } else { margins(spec) };
    let margin = margins.gradient;
    let mut shots = BTreeMap::new();
    for tile in grid.tiles() {
        let region = tile.region(margin, side, side);
        let core = tile.core.relative_to(&region);
        let core = (core.left, core.top, core.width, core.height);
        let mut add = |backward| {
            let shot = Shot {
                region: (region.width, region.height),
                core,
                wanted: core,
                bitwise,
                backward,
            };
            *shots.entry(shot).or_insert(0) += 1;
        };
        if tile.index + keep.max(1) < grid.count() {
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
    for tile in 0..layout.count() {
        let free = layout.free(tile);
        let start = |at: usize| at.saturating_sub(margin) / ALIGNMENT * ALIGNMENT;
        let end = |at: usize| (at + margin).next_multiple_of(ALIGNMENT).min(side);
        let region = (end(free.right()) - start(free.left), end(free.bottom()) - start(free.top));
        let wanted =
            (free.left - start(free.left), free.top - start(free.top), free.width, free.height);
        *shots
            .entry(Shot {
                region,
                core: (0, 0, region.0, region.1),
                wanted,
                bitwise: false,
                backward: true,
            })
            .or_insert(0) += 1;
    }
    shots
}

/// What the planner chooses for a square canvas; nothing where no mode fits.
fn planned(
    folder: &Path,
    side: usize,
    gib: f64,
    mode: &str,
    margins: &str,
) -> Result<Option<Execution>, Anything> {
    let photograph = folder.join(format!("{side}.png"));
    if !photograph.exists() {
        image::GrayImage::new(side as u32, side as u32).save(&photograph)?;
    }
    let pipeline = folder.join("pipeline.toml");
    let text = format!(
        "input.content = {photograph:?}\nstyle.image = {photograph:?}\noutput.scale = 1.0\ncompute.memory-gib = {gib:.1}\n\
         tiling = {{ mode = {mode:?}, margins = {margins:?} }}\n"
    );
    std::fs::write(&pipeline, text)?;
    let config = config::load(&pipeline, &[]).map_err(|problems| format!("{problems:?}"))?;
    let (plan, _) = impasto::batch::plan(&config);
    Ok(plan.jobs.first().and_then(|job| job.levels.last()).map(|level| level.execution))
}

fn main() -> Result<(), Anything> {
    let words: Vec<String> =
        std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let filter = words.first().cloned().unwrap_or_default();
    let mut bench = Bench::new(words.get(1).map_or(Ok(2), |word| word.parse())?)?;
    let spec = bench.spec.clone();
    let folder = tempfile::tempdir()?;
    let mut row =
        |name: String, side: usize, shots: BTreeMap<Shot, usize>| -> Result<(), Anything> {
            if name.contains(&filter) { bench.row(&name, side * side, &shots) } else { Ok(()) }
        };
    for (side, gib, mode, margins) in [
        (4096, 8.0, "exact", "exact"),
        (4096, 8.0, "exact", "bitwise"),
        (4096, 4.0, "exact", "exact"),
        (4096, 4.0, "exact", "bitwise"),
        (4096, 4.0, "auto", "exact"),
        (2048, 4.0, "blocks", "exact"),
        (4096, 4.0, "blocks", "exact"),
        (8192, 4.0, "blocks", "exact"),
    ] {
        let bitwise = margins == "bitwise";
        let asked = if bitwise { format!("{mode}, bitwise") } else { mode.into() };
        match planned(folder.path(), side, gib, mode, margins)? {
            Some(Execution::Exact { core, history, keep }) => {
                let name = format!(
                    "{side}x{side}, {gib} GiB, {asked}: exact, cores of {core} px, {keep} kept, {history} pairs"
                );
                row(name, side, exact(&spec, side, core, keep, bitwise))?;
            }
            Some(Execution::Blocks(found) | Execution::Feathered(found)) => {
                let Visits { core, overlap, .. } = found;
                let name = format!(
                    "{side}x{side}, {gib} GiB, {asked}: blocks, cores of {core} px, overlap {overlap}"
                );
                row(name, side, visits(&spec, side, found))?;
            }
            None => println!("{side}x{side}, {gib} GiB, {asked}: does not fit"),
        }
    }
    row(
        "4096x4096, exact, cores of 2048 px, 1 kept".into(),
        4096,
        exact(&spec, 4096, 2048, 1, false),
    )?;
    row(
        "4096x4096, exact, cores of 2048 px, all kept".into(),
        4096,
        exact(&spec, 4096, 2048, 4, false),
    )?;
    for side in [2048, 4096, 8192] {
        row(
            format!("{side}x{side}, exact, cores of 1024 px, 1 kept"),
            side,
            exact(&spec, side, 1024, 1, false),
        )?;
        for overlap in [32, 48] {
            let found = Visits { core: 1024, overlap, rounds: 2, visit: 20, history: 20 };
            row(
                format!("{side}x{side}, blocks, cores of 1024 px, overlap {overlap}"),
                side,
                visits(&spec, side, found),
            )?;
        }
    }
    Ok(())
}
