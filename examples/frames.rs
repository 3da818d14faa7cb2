//! Saves the picture after every few evaluations as numbered frames, for a film:
//! `cargo run --release --example frames -- pipelines/quickstart.toml FOLDER [EVERY]`
//!
//! `watch.save-every` writes intermediate pictures; the listener moves each into the folder as soon
//! as the event says that it is there.

use std::path::Path;

use impasto::event::{CancellationToken, Event, Watcher};
use impasto::{Engine, Isa, Precision, Weights, batch, config, image::Limits};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut words = std::env::args().skip(1);
    let (pipeline, folder) =
        words.next().zip(words.next()).ok_or("name a pipeline and a folder")?;
    let every = words.next().unwrap_or("10".to_owned());
    std::fs::create_dir_all(&folder)?;
    let config = config::load(pipeline.as_ref(), &[format!("watch.save-every={every}")])?;
    let (plan, _) = batch::plan(&config);
    let threads = rayon::ThreadPoolBuilder::new().build()?;
    let mut engine = Engine::new(Weights::embedded()?, Isa::detect(), Precision::Float32, threads);
    let mut frames = 0;
    let mut listener = |event: &Event| {
        let Event::Saved { path, .. } = event else { return };
        // Events name files as seen from the pipeline's folder.
        let path = config.home.locate(path);
        // Previews of finished levels are saved too; they stay where they are.
        if !path.to_string_lossy().contains(".preview.") {
            let extension = path.extension().unwrap_or_default().to_string_lossy();
            let frame = Path::new(&folder).join(format!("frame-{frames:05}.{extension}"));
            match std::fs::rename(&path, &frame) {
                Ok(()) => frames += 1,
                Err(error) => eprintln!("{}: {error}", frame.display()),
            }
        }
    };
    let never = CancellationToken::new();
    let mut watcher = Watcher { listener: &mut listener, cancellation: &never };
    batch::run(&plan, &mut engine, &Limits::default(), &mut watcher);
    println!("{frames} frames in {folder}");
    Ok(())
}
