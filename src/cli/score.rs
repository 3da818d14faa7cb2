//! `impasto score`: the losses of any picture, and their exact gradient.

use std::collections::HashMap;

use candle_core::Tensor;
use safetensors::tensor::{Dtype, TensorView};
use serde_json::json;

use super::args::ScoreArguments;
use super::pictures;
use super::say::say;
use super::{Exit, Failure};
use crate::config::{self, Choice, TilingMargins};
use crate::files::{self, Overwrite, path_text};
use crate::geometry::GRID;
use crate::image::Limits;
use crate::network::{Margins, Network, Precision, Weights};
use crate::objective::{Spec, StyleLoss};
use crate::plan::resolve_spec;
use crate::render::{
    Evaluation, Evaluator, RenderError, TilePlan, WorkerPool, picture_tensor, style_targets,
};
use crate::resources::{self, Memory};
use crate::tensor::HostView;

/// `impasto score`.
pub fn score(arguments: &ScoreArguments) -> Result<Exit, Failure> {
    let objective = config::Objective { preset: arguments.preset, ..Default::default() };
    let mut spec = resolve_spec(&objective);
    spec.pooling = arguments.pooling.unwrap_or(spec.pooling);
    let margins = arguments.margins;
    if let Some(core) = arguments.core_px
        && margins == TilingMargins::Bitwise
        && !core.is_multiple_of(GRID)
    {
        return Err(Failure::Usage(format!(
            "--core-px is {core}; with --margins bitwise, accepted are multiples of {GRID}"
        )));
    }
    if let Some(path) = &arguments.gradient
        && path.exists()
    {
        return Err(Failure::Input(format!(
            "{} already exists; move it away or name another file",
            path.display()
        )));
    }
    let weights = match &arguments.weights {
        Some(path) => Weights::open(path)?,
        None => Weights::embedded()?,
    };
    let mut engine = super::engine(weights, Precision::Float32, arguments.threads)?;
    let deepest = spec.deepest().expect("every preset has taps");
    let network = engine.network(deepest, spec.pooling)?;
    let evaluation = engine.install(|| evaluate(arguments, margins, &spec, network.as_ref()))?;
    if let Some(path) = &arguments.gradient {
        write_gradient(path, &evaluation.gradient)?;
    }
    if arguments.json {
        print_json(arguments, &spec, &evaluation)
    } else {
        print_table(&evaluation)
    }
    Ok(Exit::Done)
}

fn evaluate(
    arguments: &ScoreArguments,
    margins: TilingMargins,
    spec: &Spec,
    network: &dyn Network,
) -> Result<Evaluation, RenderError> {
    let limits = Limits::bytes(Memory::ask(0.0, resources::threads(arguments.threads).0).bytes);
    let picture = pictures::decode(&arguments.image, &limits)?;
    let (width, height) = (picture.width as usize, picture.height as usize);
    let canvas = picture_tensor(&picture, width, height)?;
    let content = picture_tensor(&pictures::decode(&arguments.content, &limits)?, width, height)?;
    let style = pictures::decode(&arguments.style, &limits)?;
    let size = (style.width as usize, style.height as usize);
    let targets = style_targets(&style, size, &spec.styles(), network)?;
    let core = arguments.core_px.unwrap_or(usize::MAX);
    let margins = match margins {
        TilingMargins::Exact => Margins::exact(spec.taps()),
        TilingMargins::Bitwise => Margins::bitwise(spec.taps()),
    };
    let tiles = TilePlan { margins, ..TilePlan::of_cores(spec, core) };
    let workers = WorkerPool::single(Some(network));
    Evaluator::new(workers, spec, targets, &content, tiles)?.evaluate(&canvas)
}

fn write_gradient(path: &std::path::Path, gradient: &Tensor) -> Result<(), Failure> {
    let view = HostView::new(gradient)?;
    let bytes: Vec<u8> = view.values().iter().flat_map(|v| v.to_le_bytes()).collect();
    let tensor = TensorView::new(Dtype::F32, gradient.dims().to_vec(), &bytes)
        .map_err(|e| Failure::Internal(e.to_string()))?;
    let file = safetensors::serialize([("gradient", tensor)], None::<HashMap<String, String>>)
        .map_err(|e| Failure::Internal(e.to_string()))?;
    files::write(path, &file, Overwrite::Refuse)?;
    Ok(())
}

fn print_json(arguments: &ScoreArguments, spec: &Spec, evaluation: &Evaluation) {
    let layers: serde_json::Map<String, serde_json::Value> = evaluation
        .taps
        .iter()
        .map(|(layer, tap)| {
            let StyleLoss { gram, wasserstein, statistics } = tap.style;
            let entry = json!({
                "content": tap.content,
                "gram": gram,
                "wasserstein": wasserstein,
                "statistics": statistics,
            });
            (layer.to_string(), entry)
        })
        .collect();
    let document = json!({
        "image": path_text(&arguments.image),
        "preset": arguments.preset.word(),
        "pooling": spec.pooling,
        "losses": evaluation.losses,
        "layers": layers,
    });
    say!("{document:#}");
}

fn print_table(evaluation: &Evaluation) {
    say!(
        "{:<10} {:>14} {:>14} {:>14} {:>14}",
        "layer",
        "content",
        "gram",
        "wasserstein",
        "statistics"
    );
    for (layer, tap) in &evaluation.taps {
        let StyleLoss { gram, wasserstein, statistics } = tap.style;
        let content = tap.content;
        say!("{layer:<10} {content:>14.6e} {gram:>14.6e} {wasserstein:>14.6e} {statistics:>14.6e}");
    }
    let losses = &evaluation.losses;
    say!();
    say!("content    {:>16.6e}", losses.content);
    say!("style      {:>16.6e}", losses.style);
    say!("variation  {:>16.6e}", losses.variation);
    say!("total      {:>16.6e}", losses.total);
}
