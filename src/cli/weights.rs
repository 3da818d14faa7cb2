//! `impasto weights`: look at weights, make a weights file.

use std::collections::BTreeMap;

use super::args::{ImportArguments, InfoArguments};
use super::say::say;
use super::{Exit, Failure};
use crate::files::{self, Overwrite};
use crate::network::{Layer, Weights, WeightsDtype};

/// What every weights file made by impasto says of itself, unless the file it was made from says
/// otherwise.
const METADATA: [(&str, &str); 4] = [
    ("network", "VGG19, the sixteen convolution layers conv1_1 .. conv5_4"),
    (
        "source",
        "Karen Simonyan and Andrew Zisserman, Very Deep Convolutional Networks for Large-Scale Image Recognition, arXiv:1409.1556",
    ),
    ("licence", "CC BY 4.0 (https://creativecommons.org/licenses/by/4.0/)"),
    (
        "input",
        "BGR, 0..255, minus (103.939, 116.779, 123.68); zero padding; weights [out, in, 3, 3]",
    ),
];

/// `impasto weights import`.
pub fn import(arguments: &ImportArguments) -> Result<Exit, Failure> {
    let dtype = WeightsDtype::from(arguments.dtype);
    let weights = Weights::open(&arguments.file)?;
    let mut metadata: BTreeMap<String, String> =
        METADATA.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
    metadata.extend(weights.metadata().iter().map(|(k, v)| (k.clone(), v.clone())));
    metadata.insert("imported-from-sha256".into(), weights.sha256().into());
    metadata.insert("weights-dtype".into(), format!("{dtype}, biases float32"));
    let bytes = weights.to_safetensors(dtype, &metadata)?;
    let output = arguments
        .output
        .clone()
        .unwrap_or_else(|| arguments.file.with_file_name("vgg19.safetensors"));
    let overwrite = if arguments.overwrite { Overwrite::Allow } else { Overwrite::Refuse };
    files::write(&output, &bytes, overwrite)?;
    say!("{}", output.display());
    Ok(Exit::Done)
}

/// `impasto weights info`.
pub fn info(arguments: &InfoArguments) -> Result<Exit, Failure> {
    let weights = match &arguments.file {
        Some(path) => Weights::open(path)?,
        None => Weights::embedded()?,
    };
    say!("{}", weights.origin());
    say!("  sha256     {}", weights.sha256());
    say!("  weights    {}, biases float32", weights.dtype());
    for (key, value) in weights.metadata() {
        say!("  {key:<10} {value}");
    }
    say!();
    say!("  layer     shape                  largest weight  largest bias");
    for layer in Layer::all() {
        let convolution = weights.convolution(layer);
        let largest = |values: &[f32]| values.iter().fold(0f32, |m, v| m.max(v.abs()));
        say!(
            "  {:<8}  [{:>3}, {:>3}, 3, 3]       {:>14.5}  {:>12.5}",
            layer.convolution(),
            convolution.outputs,
            convolution.inputs,
            largest(&convolution.weight),
            largest(&convolution.bias)
        );
    }
    Ok(Exit::Done)
}
