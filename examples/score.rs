//! Prints how far a picture is from a content image and a style image, layer by layer:
//! `cargo run --release --example score -- PICTURE CONTENT STYLE`

use impasto::image::{Limits, decode};
use impasto::objective::Spec;
use impasto::render::{Evaluator, TilePlan, WorkerPool, picture_tensor, style_targets};
use impasto::{Engine, Isa, Precision, Weights};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [picture, content, style] = words.as_slice() else {
        return Err("name a picture, a content image and a style image".into());
    };
    let limits = Limits::default();
    let (picture, content) =
        (decode(picture.as_ref(), &limits)?, decode(content.as_ref(), &limits)?);
    let style = decode(style.as_ref(), &limits)?;

    let spec = Spec::gatys();
    let threads = rayon::ThreadPoolBuilder::new().build()?;
    let mut engine = Engine::new(Weights::embedded()?, Isa::detect(), Precision::Float32, threads);
    let deepest = spec.deepest().expect("the preset has taps");
    let network = engine.network(deepest, spec.pooling)?;

    let size = (picture.width as usize, picture.height as usize);
    let canvas = picture_tensor(&picture, size.0, size.1)?;
    let content = picture_tensor(&content, size.0, size.1)?;
    let style_size = (style.width as usize, style.height as usize);
    let targets = style_targets(&style, style_size, &spec.styles(), network.as_ref())?;
    let workers = WorkerPool::single(Some(network.as_ref()));
    let evaluation = Evaluator::new(workers, &spec, targets, &content, TilePlan::untiled(&spec))?
        .evaluate(&canvas)?;
    for (layer, tap) in &evaluation.taps {
        println!("{layer}  content {:.4e}  style {:.4e}", tap.content, tap.style.total());
    }
    println!("total    {:.4e}", evaluation.losses.total);
    Ok(())
}
