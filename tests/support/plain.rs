//! The loss in plain loops and float64, written from the formulas alone: slow, and with nothing to
//! get wrong together with the code it judges.

use std::collections::BTreeMap;

use impasto::network::{Layer, Pooling, VGG_MEAN_RGB, Weights};
use impasto::objective::Spec;

/// A feature map `[C, h, w]`.
#[derive(Clone)]
pub struct Map {
    pub channels: usize,
    pub height: usize,
    pub width: usize,
    pub values: Vec<f64>,
}

impl Map {
    fn at(&self, c: usize, y: isize, x: isize) -> f64 {
        let inside =
            (0..self.height as isize).contains(&y) && (0..self.width as isize).contains(&x);
        if inside {
            self.values[(c * self.height + y as usize) * self.width + x as usize]
        } else {
            0.0
        }
    }

    fn channel(&self, c: usize) -> &[f64] {
        let area = self.height * self.width;
        &self.values[c * area..(c + 1) * area]
    }
}

/// Features of every layer up to `deepest`, of planar RGB 0..1.
pub fn features(
    weights: &Weights,
    pixels: &[f64],
    width: usize,
    height: usize,
    deepest: Layer,
    pooling: Pooling,
) -> Vec<Map> {
    let plane = width * height;
    let mut values = Vec::with_capacity(3 * plane);
    for channel in [2, 1, 0] {
        let mean = f64::from(VGG_MEAN_RGB[channel]);
        values.extend(
            pixels[channel * plane..(channel + 1) * plane].iter().map(|v| v * 255.0 - mean),
        );
    }
    let mut map = Map { channels: 3, height, width, values };
    let mut maps = Vec::new();
    for layer in Layer::all().take(deepest.index() + 1) {
        let convolution = weights.convolution(layer);
        let mut out = Map {
            channels: convolution.outputs,
            height: map.height,
            width: map.width,
            values: Vec::new(),
        };
        for o in 0..convolution.outputs {
            for y in 0..map.height as isize {
                for x in 0..map.width as isize {
                    let mut sum = f64::from(convolution.bias[o]);
                    for i in 0..convolution.inputs {
                        for (k, weight) in convolution.weight[(o * convolution.inputs + i) * 9..]
                            [..9]
                            .iter()
                            .enumerate()
                        {
                            sum += f64::from(*weight)
                                * map.at(i, y + k as isize / 3 - 1, x + k as isize % 3 - 1);
                        }
                    }
                    out.values.push(sum.max(0.0));
                }
            }
        }
        maps.push(out.clone());
        map = if layer.is_before_pool() { pool(&out, pooling) } else { out };
    }
    maps
}

fn pool(map: &Map, pooling: Pooling) -> Map {
    let (height, width) = (map.height / 2, map.width / 2);
    let mut values = Vec::new();
    for c in 0..map.channels {
        for y in 0..height as isize {
            for x in 0..width as isize {
                let four = [(0, 0), (0, 1), (1, 0), (1, 1)]
                    .map(|(dy, dx)| map.at(c, 2 * y + dy, 2 * x + dx));
                values.push(match pooling {
                    Pooling::Max => four.into_iter().fold(f64::MIN, f64::max),
                    Pooling::Average => four.iter().sum::<f64>() / 4.0,
                });
            }
        }
    }
    Map { channels: map.channels, height, width, values }
}

/// Mean `F F^T`, mean and deviation of a map.
pub struct Statistics {
    pub gram: Vec<f64>,
    pub mean: Vec<f64>,
    pub deviation: Vec<f64>,
}

pub fn statistics(map: &Map) -> Statistics {
    let cells = (map.height * map.width) as f64;
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f64>();
    let c = map.channels;
    let gram: Vec<f64> =
        (0..c * c).map(|k| dot(map.channel(k / c), map.channel(k % c)) / cells).collect();
    let mean: Vec<f64> = (0..c).map(|k| map.channel(k).iter().sum::<f64>() / cells).collect();
    let deviation = (0..c)
        .map(|k| {
            let variance =
                map.channel(k).iter().map(|v| (v - mean[k]).powi(2)).sum::<f64>() / cells;
            // The same small number as the objective adds, since the small network's channels are
            // often nearly dead.
            (variance + 1e-6).sqrt()
        })
        .collect();
    Statistics { gram, mean, deviation }
}

/// A network and its targets.
pub struct Judge<'a> {
    pub weights: &'a Weights,
    pub spec: &'a Spec,
    pub width: usize,
    pub height: usize,
    pub content: BTreeMap<Layer, Map>,
    pub style: BTreeMap<Layer, Statistics>,
}

impl Judge<'_> {
    /// The loss at planar pixels RGB 0..1.
    pub fn loss(&self, pixels: &[f64]) -> f64 {
        let spec = self.spec;
        let mut loss = spec.variation_weight * 255.0 * variation(pixels, self.width, self.height);
        let Some(deepest) = spec.deepest() else { return loss };
        let maps = features(self.weights, pixels, self.width, self.height, deepest, spec.pooling);
        let square = |a: &[f64], b: &[f64]| {
            a.iter().zip(b).map(|(x, y)| (x - y).powi(2)).sum::<f64>() / a.len() as f64
        };
        for (layer, weight) in spec.content_taps() {
            loss += weight * square(&maps[layer.index()].values, &self.content[&layer].values);
        }
        for (layer, weight) in spec.style_taps() {
            let (found, wanted) = (statistics(&maps[layer.index()]), &self.style[&layer]);
            let factor =
                spec.style_distance.gram_factor(found.mean.len()).expect("a Gram distance");
            loss += spec.style_weight * weight * factor * square(&found.gram, &wanted.gram);
            let moments =
                square(&found.mean, &wanted.mean) + square(&found.deviation, &wanted.deviation);
            loss += spec.statistics_weight * weight * moments;
        }
        loss
    }

    /// The derivative by the pixel value at `index`, by central differences.
    pub fn derivative(&self, pixels: &[f64], index: usize) -> f64 {
        let step = 1e-6;
        let at = |offset: f64| {
            let mut moved = pixels.to_vec();
            moved[index] += offset;
            self.loss(&moved)
        };
        (at(step) - at(-step)) / (2.0 * step)
    }
}

fn variation(pixels: &[f64], width: usize, height: usize) -> f64 {
    let mut sum = 0.0;
    for plane in pixels.chunks(width * height) {
        for y in 0..height {
            for x in 0..width {
                let here = plane[y * width + x];
                if x + 1 < width {
                    sum += (plane[y * width + x + 1] - here).abs();
                }
                if y + 1 < height {
                    sum += (plane[(y + 1) * width + x] - here).abs();
                }
            }
        }
    }
    sum
}
