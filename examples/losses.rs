//! Prints the losses of every evaluation and stops when they hardly fall any more:
//! `cargo run --release --example losses -- pipelines/quickstart.toml`
//!
//! A listener receives every event, in order, on one thread. A cancellation token ends the work
//! after the evaluation in hand; the picture so far is written beside the output's name.

use impasto::event::{CancellationToken, Event, Watcher};
use impasto::{Engine, Isa, Precision, Weights, batch, config, image::Limits};

/// The work ends when an evaluation lowers the loss by less than this part of it.
const LEAST_GAIN: f64 = 1e-4;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let pipeline = std::env::args_os().nth(1).ok_or("name a pipeline file")?;
    let (plan, _) = batch::plan(&config::load(pipeline.as_ref(), &[])?);
    let threads = rayon::ThreadPoolBuilder::new().build()?;
    let mut engine = Engine::new(Weights::embedded()?, Isa::detect(), Precision::Float32, threads);
    let cancellation = CancellationToken::new();
    let mut best = f64::INFINITY;
    let mut listener = |event: &Event| match event {
        Event::LevelStarted { width, height, .. } => {
            println!("{width}x{height} px");
            best = f64::INFINITY;
        }
        Event::Evaluated { evaluation, losses, .. } => {
            let (content, style, total) = (losses.content, losses.style, losses.total);
            println!("{evaluation:>4}  content {content:.4e}  style {style:.4e}  {total:.4e}");
            if total < best && total > best * (1.0 - LEAST_GAIN) {
                cancellation.cancel();
            }
            best = best.min(total);
        }
        _ => {}
    };
    let mut watcher = Watcher { listener: &mut listener, cancellation: &cancellation };
    let summary = batch::run(&plan, &mut engine, &Limits::default(), &mut watcher);
    let pictures = summary.finished.iter().map(|(path, _)| path).chain(&summary.partial);
    pictures.for_each(|picture| println!("{}", picture.display()));
    Ok(())
}
