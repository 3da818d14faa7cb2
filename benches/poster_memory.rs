//! How much memory a poster takes in blocks mode: one round at SIDE x SIDE px in which some tiles
//! are visited.
//!
//! ```text
//! cargo bench --bench poster_memory -- CONTENT STYLE SIDE GIB DIRECTORY [TILES]
//! ```
//!
//! The content and the start are enlarged from file to file; the whole is measured, TILES (default
//! 2) are visited with the planner's sizes for a budget of GIB and two evaluations each,
//! the others stay as they are; then all tiles are blended into the next canvas and the picture is
//! shrunk to 1024 px. After each stage the most memory so far is printed (VmHWM).

use std::path::Path;
use std::time::Instant;

use impasto::config;
use impasto::event::CancellationToken;
use impasto::geometry::Rect;
use impasto::image::{Limits, decode};
use impasto::internal::{RoundContext, Rounds, TileContext, TileResult, resized_file, store_tile};
use impasto::network::{Isa, Precision, Weights};
use impasto::objective::Spec;
use impasto::optimise::Method;
use impasto::plan::{Execution, RoundMode, Visits};
use impasto::render::{Engine, style_targets};
use impasto::tiling::{CanvasFile, Planes};

type Anything = Box<dyn std::error::Error>;

fn tell(stage: &str, clock: &Instant) -> Result<(), Anything> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with("VmHWM")).ok_or("no VmHWM")?;
    let kibibytes: f64 = line.split_whitespace().nth(1).ok_or("a number")?.parse()?;
    println!(
        "{stage:<40} {:6.2} GiB at most, {:5.0} s",
        kibibytes / (1 << 20) as f64,
        clock.elapsed().as_secs_f64()
    );
    Ok(())
}

/// What the planner chooses for the last level.
fn visits(
    content: &Path,
    style: &Path,
    side: usize,
    gib: f64,
    directory: &Path,
) -> Result<Visits, Anything> {
    let pipeline = directory.join("poster.toml");
    let (content, style) = (content.canonicalize()?, style.canonicalize()?);
    let text = format!(
        "input.content = {content:?}\nstyle.image = {style:?}\noutput.long-side-px = {side}\ncompute.memory-gib = {gib:.2}\ntiling.mode = \"blocks\"\n"
    );
    std::fs::write(&pipeline, text)?;
    let config = config::load(&pipeline, &[]).map_err(|problems| format!("{problems:?}"))?;
    let (plan, refused) = impasto::batch::plan(&config);
    let job = plan
        .jobs
        .first()
        .ok_or_else(|| refused.first().map_or(String::new(), |(_, error)| error.to_string()))?;
    let level = job.levels.last().ok_or("a level")?;
    println!(
        "planned: {:?}, {:.2} GiB",
        level.execution,
        level.memory_bytes as f64 / (1u64 << 30) as f64
    );
    match level.execution {
        Execution::Blocks(visits) => Ok(visits),
        other => Err(format!("the plan says {other:?}").into()),
    }
}

fn main() -> Result<(), Anything> {
    // `cargo bench` adds a flag of its own, and runs this without arguments beside the others.
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    if words.is_empty() {
        println!("see the head of this file");
        return Ok(());
    }
    let [content, style, side, gib, directory, tiles @ ..] = words.as_slice() else {
        return Err("see the head of this file".into());
    };
    let (content, style, directory) = (Path::new(content), Path::new(style), Path::new(directory));
    let (side, gib): (usize, f64) = (side.parse()?, gib.parse()?);
    let tiles: usize = tiles.first().map_or(Ok(2), |word| word.parse())?;
    std::fs::create_dir_all(directory)?;
    let clock = Instant::now();
    let visits = Visits { visit: 2, ..visits(content, style, side, gib, directory)? };

    let picture = decode(content, &Limits::default())?;
    let source = Planes::new((picture.width as usize, picture.height as usize), &picture.pixels)?;
    let stop = CancellationToken::new();
    let file = |name: &str| directory.join(name);
    let content = resized_file(&source, (side, side), &file("content.canvas"), &stop)?;
    tell("content enlarged into its file", &clock)?;
    let canvas = resized_file(&content, (side / 2, side / 2), &file("below.canvas"), &stop)?;
    let canvas = resized_file(&canvas, (side, side), &file("level-1-round-0.canvas"), &stop)?;
    tell("start enlarged from file to file", &clock)?;

    let spec = Spec::spst();
    let mut engine = Engine::new(
        Weights::embedded()?,
        Isa::detect(),
        Precision::Float32,
        rayon::ThreadPoolBuilder::new().build()?,
    );
    let network = engine.network(spec.deepest().ok_or("taps")?, spec.pooling)?;
    let targets = engine.install(|| {
        let style = decode(style, &Limits::default())?;
        style_targets(&style, (512, 512), &spec.styles(), network.as_ref())
    })?;
    let workers = engine.worker_pool(spec.deepest(), spec.pooling)?;
    let context = RoundContext {
        mode: RoundMode::Blocks,
        workers: &workers,
        spec: &spec,
        targets: &targets,
        content: &content,
        visits,
        context: TileContext::Features,
        method: Method::Lbfgs { history: visits.history, rate: 1.0 },
    };
    let rounds = Rounds { context: &context, scratch: directory, job: 0, level: 0 };
    let layout = context.layout(0);
    // Tiles inside the canvas, with context on all sides.
    let first = layout.count() / 2 + 1;
    let whole = context.measure(&canvas)?;
    tell("the whole canvas measured", &clock)?;
    for tile in 0..layout.count() {
        let area = layout.free(tile);
        let visited = match (first..first + tiles).contains(&tile) {
            true => engine.install(|| {
                context.visit(Some(network.as_ref()), &canvas, 0, tile, &whole, &stop)
            })?,
            false => TileResult { area, pixels: canvas.read(area)?, evaluations: 0, halved: None },
        };
        store_tile(&rounds.tile_path(0, tile), &visited)?;
    }
    tell(&format!("{tiles} of {} tiles visited", layout.count()), &clock)?;
    let next = rounds.blend(&canvas, 0)?;
    tell("tiles blended", &clock)?;
    let small = resized_file(&next, (1024, 1024), &file("small.canvas"), &stop)?;
    let moved = small.read(Rect::whole(1024, 1024))?.iter().filter(|v| !v.is_finite()).count();
    tell("the picture shrunk to 1024 px", &clock)?;
    drop(CanvasFile::open(next.path())?);
    println!("{moved} values that are no numbers");
    Ok(())
}
