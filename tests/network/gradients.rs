//! Every term of the loss, and both poolings, against central differences of a plain float64
//! computation.

#![allow(clippy::unwrap_used, reason = "a test that cannot begin has failed")]

use std::collections::BTreeMap;

use crate::support::plain::{Judge, features, statistics};
use crate::support::{random_pixels, small_network};
use candle_core::{Device, Tensor};
use impasto::internal::tensor_targets;
use impasto::network::{Layer, Pooling, Weights};
use impasto::objective::{Spec, StyleTargets};
use impasto::random::Noise;
use impasto::render::{Evaluator, TilePlan, WorkerPool};

const SIZE: (usize, usize) = (37, 35);

fn tensor(pixels: &[f32], (width, height): (usize, usize)) -> Tensor {
    Tensor::from_vec(pixels.to_vec(), (3, height, width), &Device::Cpu).unwrap()
}

/// Compares value and gradient of `spec` on every implementation of the network.
fn check(name: &str, spec: &Spec) {
    let weights: Weights = small_network(11, [3, 4, 5, 6, 6]);
    let (width, height) = SIZE;
    let style_size = (33, 41);
    let (canvas, content, style) = (
        random_pixels(1, width, height),
        random_pixels(2, width, height),
        random_pixels(3, style_size.0, style_size.1),
    );
    let double = |pixels: &[f32]| pixels.iter().map(|v| f64::from(*v)).collect::<Vec<_>>();
    let last = Layer::parse("relu5_4").unwrap();
    let content_maps = features(&weights, &double(&content), width, height, last, spec.pooling);
    let style_maps =
        features(&weights, &double(&style), style_size.0, style_size.1, last, spec.pooling);
    let judge = Judge {
        weights: &weights,
        spec,
        width,
        height,
        content: spec.content_taps().map(|(l, _)| (l, content_maps[l.index()].clone())).collect(),
        style: spec
            .style_taps()
            .map(|(l, _)| (l, statistics(&style_maps[l.index()])))
            .collect::<BTreeMap<_, _>>(),
    };
    let expected = judge.loss(&double(&canvas));
    for (kind, network) in crate::support::networks(&weights, spec.deepest(), spec.pooling) {
        let targets = network.as_ref().map_or_else(StyleTargets::default, |network| {
            tensor_targets(&tensor(&style, style_size), &spec.styles(), network.as_ref()).unwrap()
        });
        let (workers, tiles) = (WorkerPool::single(network.as_deref()), TilePlan::untiled(spec));
        let mut evaluator =
            Evaluator::new(workers, spec, targets, &tensor(&content, SIZE), tiles).unwrap();
        let evaluation = evaluator.evaluate(&tensor(&canvas, SIZE)).unwrap();
        let value = evaluation.losses.total;
        assert!(
            (value - expected).abs() <= 1e-4 * expected.abs(),
            "{name} on {kind}: {value} instead of {expected}"
        );
        let gradient = evaluation.gradient.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        let largest = gradient.iter().fold(0f32, |m, g| m.max(g.abs())) as f64;
        assert!(largest > 0.0, "{name} on {kind}: the gradient is zero");
        let noise = Noise::new(5);
        for k in 0..24 {
            let index = (noise.bits(k) % gradient.len() as u64) as usize;
            let (found, wanted) =
                (f64::from(gradient[index]), judge.derivative(&double(&canvas), index));
            assert!(
                (found - wanted).abs() <= 2e-3 * largest,
                "{name} on {kind}, value {index}: {found} instead of {wanted}"
            );
        }
    }
}

fn nothing() -> Spec {
    Spec {
        content_weight: 0.0,
        style_weight: 0.0,
        statistics_weight: 0.0,
        variation_weight: 0.0,
        ..Spec::gatys()
    }
}

fn layers(names: &[(&str, f64)]) -> BTreeMap<Layer, f64> {
    names.iter().map(|(name, weight)| (Layer::parse(name).unwrap(), *weight)).collect()
}

#[test]
fn content() {
    for pooling in [Pooling::Max, Pooling::Average] {
        let content_layers = layers(&[("relu1_2", 0.5), ("relu4_2", 2.0), ("relu5_2", 1.0)]);
        check("content", &Spec { content_weight: 3.0, content_layers, pooling, ..nothing() });
    }
}

#[test]
fn gram() {
    for pooling in [Pooling::Max, Pooling::Average] {
        check("gram", &Spec { style_weight: 1.0, pooling, ..nothing() });
        // Taps in front of poolings and behind each other take other ways through the sweeps.
        let style_layers = layers(&[
            ("relu1_2", 1.0),
            ("relu2_2", 0.5),
            ("relu3_4", 2.0),
            ("relu4_4", 1.0),
            ("relu5_4", 1.0),
        ]);
        check(
            "gram before poolings",
            &Spec { style_weight: 1.0, style_layers, pooling, ..nothing() },
        );
    }
}

#[test]
fn means_and_deviations() {
    for pooling in [Pooling::Max, Pooling::Average] {
        check("statistics", &Spec { statistics_weight: 1e4, pooling, ..nothing() });
    }
}

#[test]
fn variation() {
    check("variation", &Spec { variation_weight: 1e-3, ..nothing() });
}

#[test]
fn presets() {
    for (name, spec) in
        [("gatys", Spec::gatys()), ("neural-style", Spec::neural_style()), ("spst", Spec::spst())]
    {
        check(name, &spec);
    }
}

#[test]
fn one_shallow_tap() {
    check(
        "relu1_1 alone",
        &Spec { style_weight: 1.0, style_layers: layers(&[("relu1_1", 1.0)]), ..nothing() },
    );
    check(
        "relu1_2 alone",
        &Spec { style_weight: 1.0, style_layers: layers(&[("relu1_2", 1.0)]), ..nothing() },
    );
}
