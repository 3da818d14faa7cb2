//! Compares exact, blocks and feathered mode from one start: whole-image loss, evenness of the
//! strokes, and the pictures.
//!
//! ```text
//! cargo bench --bench tiling_modes -- CONTENT STYLE SIDE MODE OUT [core=1024] [overlap=32] [rounds=2] [visit=20] [workers=1] [gradient-context=0] [preset=spst] [octaves=1]
//! ```
//!
//! MODE is exact, blocks or feathered. The start is made once, by exact levels of 100 and 40
//! evaluations at a quarter and half of SIDE, and kept as a canvas file beside OUT.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use candle_core::{Device, Tensor};
use impasto::config;
use impasto::event::{CancellationToken, Event, Watcher};
use impasto::geometry::Rect;
use impasto::image::{Limits, decode};
use impasto::internal::{Canvas, RoundContext, Rounds, TileContext, in_content_units, resized};
use impasto::network::{Isa, Network, Precision, Request, Weights};
use impasto::objective::{Spec, StyleTargets, TapStatistics};
use impasto::optimise::{Lbfgs, Method};
use impasto::plan::{RoundMode, Visits, resolve_spec};
use impasto::render::{Engine, Evaluator, TilePlan, WorkerPool, picture_tensor, style_targets};
use impasto::tiling::{CanvasFile, Grid, Pixels, Planes};

type Anything = Box<dyn std::error::Error>;

struct Studio {
    engine: Engine,
    spec: Spec,
    content: PathBuf,
    style: PathBuf,
}

impl Studio {
    fn targets(&mut self, side: usize) -> Result<StyleTargets, Anything> {
        let network =
            self.engine.network(self.spec.deepest().ok_or("no taps")?, self.spec.pooling)?;
        let style = decode(&self.style, &Limits::default())?;
        let long = f64::from(style.width.max(style.height));
        let scaled = |v: u32| (f64::from(v) * side as f64 / long).round() as usize;
        let size = (scaled(style.width), scaled(style.height));
        let styles = self.spec.styles();
        Ok(self.engine.install(|| style_targets(&style, size, &styles, network.as_ref()))?)
    }

    fn exact(
        &mut self,
        side: usize,
        canvas: Tensor,
        evaluations: usize,
    ) -> Result<Tensor, Anything> {
        let content = picture_tensor(&decode(&self.content, &Limits::default())?, side, side)?;
        let targets = self.targets(side)?;
        let network =
            self.engine.network(self.spec.deepest().ok_or("no taps")?, self.spec.pooling)?;
        let (workers, tiles) =
            (WorkerPool::single(Some(network.as_ref())), TilePlan::untiled(&self.spec));
        let mut evaluator = self
            .engine
            .install(|| Evaluator::new(workers, &self.spec, targets, &content, tiles))?;
        let mut optimiser = Lbfgs::new(canvas, 100);
        for evaluation in 1..=evaluations {
            let found = self.engine.install(|| evaluator.evaluate(optimiser.next_point()))?;
            if side >= 1024 || evaluation % 20 == 0 {
                println!(
                    "  {side} px, evaluation {evaluation}: {:.5e} (content {:.4e})",
                    found.losses.total, found.losses.content
                );
            }
            self.engine.install(|| optimiser.advance(found.losses.total, found.gradient))?;
        }
        Ok(optimiser.best_point().clone())
    }

    fn start(&mut self, side: usize, path: &Path) -> Result<Tensor, Anything> {
        let half = side / 2;
        if let Ok(kept) = CanvasFile::open(path) {
            let below = Tensor::from_vec(
                kept.read(Rect::whole(half, half))?,
                (3, half, half),
                &Device::Cpu,
            )?;
            return Ok(resized(&below, side, side)?);
        }
        let first =
            picture_tensor(&decode(&self.content, &Limits::default())?, side / 4, side / 4)?;
        let first = self.exact(side / 4, first, 100)?;
        let below = self.exact(half, resized(&first, half, half)?, 40)?;
        CanvasFile::create_with(path, (half, half), &below.flatten_all()?.to_vec1::<f32>()?)?;
        Ok(resized(&below, side, side)?)
    }
}

/// Mean, deviation over mean, and the largest over the mean of the style losses of tiles of `part`
/// px by themselves.
fn spread(
    network: &dyn Network,
    spec: &Spec,
    targets: &StyleTargets,
    canvas: &dyn Pixels,
    part: usize,
) -> Result<[f64; 3], Anything> {
    let (width, height) = canvas.size();
    let mut losses = vec![];
    for tile in Grid::new(width, height, part).tiles() {
        let pixels = Tensor::from_vec(
            canvas.read(tile.core)?,
            (3, tile.core.height, tile.core.width),
            &Device::Cpu,
        )?;
        let core = Rect::whole(tile.core.width, tile.core.height);
        let request = Request { moments: spec.styles(), ..Request::over(core) };
        let pass = network.forward(&pixels, &request)?;
        let mut loss = 0.0;
        for layer in request.moments {
            let moments = pass.moments(layer)?;
            let statistics = TapStatistics::from_moments(&moments)?;
            loss += targets
                .compare(spec, layer, &statistics, moments.cells() as f64)?
                .map_or(0.0, |(value, _)| value.total());
        }
        losses.push(loss);
    }
    let mean = losses.iter().sum::<f64>() / losses.len() as f64;
    let deviation =
        (losses.iter().map(|l| (l - mean).powi(2)).sum::<f64>() / losses.len() as f64).sqrt();
    Ok([mean, deviation / mean, losses.iter().fold(0f64, |most, l| most.max(*l)) / mean])
}

fn save(path: &Path, (width, height): (usize, usize), values: &[f32]) -> Result<(), Anything> {
    let mut encoder = png::Encoder::new(
        std::io::BufWriter::new(std::fs::File::create(path)?),
        width as u32,
        height as u32,
    );
    encoder.set_color(png::ColorType::Rgb);
    let plane = width * height;
    let bytes: Vec<u8> = (0..3 * plane)
        .map(|i| (255.0 * values[i % 3 * plane + i / 3].clamp(0.0, 1.0)).round() as u8)
        .collect();
    Ok(encoder.write_header()?.write_image_data(&bytes)?)
}

/// The loss of the quickstart with some keys set.
fn spec(keys: &[String]) -> Result<Spec, Anything> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("pipelines/quickstart.toml");
    let config = config::load(&file, keys).map_err(|problems| problems.to_string())?;
    Ok(resolve_spec(&config.variants[0].settings.objective))
}

fn main() -> Result<(), Anything> {
    // `cargo bench` adds a flag of its own, and runs this without arguments beside the others.
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    if words.is_empty() {
        println!("see the head of this file");
        return Ok(());
    }
    let [content, style, side, mode, out, options @ ..] = words.as_slice() else {
        return Err("see the head of this file".into());
    };
    let options: HashMap<&str, &str> =
        options.iter().filter_map(|option| option.split_once('=')).collect();
    let option = |key: &str, default: usize| {
        options.get(key).and_then(|value| value.parse().ok()).unwrap_or(default)
    };
    let word = |key: &str, default| options.get(key).copied().unwrap_or(default);
    let spec = spec(&[
        format!("objective.preset={}", word("preset", "spst")),
        format!("objective.octaves={}", word("octaves", "1")),
    ])?;
    let side: usize = side.parse()?;
    let out = Path::new(out);
    let engine = Engine::new(
        Weights::embedded()?,
        Isa::detect(),
        Precision::Float32,
        rayon::ThreadPoolBuilder::new().build()?,
    );
    let mut studio = Studio { engine, spec, content: content.into(), style: style.into() };
    let start = studio.start(side, &out.with_file_name(format!("start-{side}.canvas")))?;
    let visits = Visits {
        core: option("core", 1024),
        overlap: option("overlap", 32),
        rounds: option("rounds", 2),
        visit: option("visit", 20),
        history: option("history", 100),
    };
    let context = match option("gradient-context", 0) {
        1 => TileContext::Gradient,
        _ => TileContext::Features,
    };
    let content = picture_tensor(&decode(&studio.content, &Limits::default())?, side, side)?
        .flatten_all()?
        .to_vec1::<f32>()?;
    let content = Planes::new((side, side), &content)?;
    let targets = studio.targets(side)?;
    studio.engine = studio.engine.with_workers(option("workers", 1));
    let network =
        studio.engine.network(studio.spec.deepest().ok_or("no taps")?, studio.spec.pooling)?;
    let workers: WorkerPool<'_> =
        studio.engine.worker_pool(studio.spec.deepest(), studio.spec.pooling)?;
    let spec = studio
        .engine
        .install(|| in_content_units(&studio.spec, &workers, &content, visits.core))?;
    let clock = Instant::now();
    let start = match mode.as_str() {
        "exact" => studio.exact(side, start, option("visit", 20))?,
        _ => start,
    };
    let start = start.flatten_all()?.to_vec1::<f32>()?;
    let context = RoundContext {
        mode: if mode == "feathered" { RoundMode::Feathered } else { RoundMode::Blocks },
        workers: &workers,
        spec: &spec,
        targets: &targets,
        content: &content,
        visits,
        context,
        method: Method::Lbfgs { history: visits.history, rate: 1.0 },
    };
    let values: Vec<f32> = match mode.as_str() {
        "start" | "exact" => start,
        _ => {
            let scratch = tempfile::tempdir()?;
            let rounds = Rounds { context: &context, scratch: scratch.path(), job: 0, level: 0 };
            let mut listener = |event: &Event| match event {
                Event::RoundFinished { round, losses, seconds, .. } => {
                    println!(
                        "  round {round}: {:.5e} (content {:.4e}), {seconds:.0} s",
                        losses.total, losses.content
                    );
                }
                Event::TileFinished { tile, tiles, seconds, .. } => {
                    println!("  tile {} of {tiles}: {seconds:.0} s", tile + 1)
                }
                _ => {}
            };
            let stop = CancellationToken::new();
            let mut watcher = Watcher { listener: &mut listener, cancellation: &stop };
            let start = CanvasFile::create_with(&rounds.canvas_path(0), (side, side), &start)?;
            let mut state = rounds.resume(Canvas::File(start), &mut |note| eprintln!("{note}"))?;
            while state.round < visits.rounds {
                rounds.advance(&mut state, &mut watcher)?;
            }
            state.canvas.read(Rect::whole(side, side))?
        }
    };
    let seconds = clock.elapsed().as_secs_f64();
    let canvas = Planes::new((side, side), &values)?;
    let whole = context.measure(&canvas)?.losses();
    println!(
        "{mode}: whole-image loss {:.5e}, content {:.4e}, style {:.4e}; {seconds:.0} s",
        whole.total, whole.content, whole.style
    );
    for part in [256, 512] {
        let [mean, deviation, most] =
            spread(network.as_ref(), &studio.spec, &targets, &canvas, part)?;
        println!(
            "  style of {part}-px tiles by themselves: mean {mean:.4e}, deviation {deviation:.3}, worst {most:.2} of the mean"
        );
    }
    save(out, (side, side), &values)?;
    CanvasFile::create_with(&out.with_extension("canvas"), (side, side), &values)?;
    Ok(())
}
