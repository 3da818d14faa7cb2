//! Paints the pictures of a pipeline: `cargo run --release --example paint -- pipelines/quickstart.toml`

use impasto::event::{CancellationToken, Event, Watcher};
use impasto::{Engine, Isa, Precision, Weights, batch, config, image::Limits};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let pipeline = std::env::args_os().nth(1).ok_or("name a pipeline file")?;
    let (plan, unusable) = batch::plan(&config::load(pipeline.as_ref(), &[])?);
    let threads = rayon::ThreadPoolBuilder::new().build()?;
    let mut engine = Engine::new(Weights::embedded()?, Isa::detect(), Precision::Float32, threads);
    let (mut nobody, never) = (|_: &Event| {}, CancellationToken::new());
    let mut watcher = Watcher { listener: &mut nobody, cancellation: &never };
    let summary = batch::run(&plan, &mut engine, &Limits::default(), &mut watcher);
    summary.finished.iter().for_each(|(picture, _)| println!("{}", picture.display()));
    unusable.iter().for_each(|(output, why)| eprintln!("{}: {why}", output.path.display()));
    summary.failed.iter().for_each(|job| eprintln!("{}: {}", job.name, job.error));
    Ok(())
}
