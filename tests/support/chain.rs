//! Where the tests find their data, and a slow network to compare with.
#![allow(dead_code)]

use std::path::PathBuf;

use impasto::network::Weights;
use impasto::random::Noise;

/// Directory with `expected.json`, pictures and gradients.
pub fn reference() -> PathBuf {
    super::path("tests/reference")
}

/// A PNG as planar RGB, 0..1, with height and width.
pub fn picture(name: &str) -> (Vec<f32>, usize, usize) {
    let file = std::fs::File::open(reference().join(name)).expect("the reference picture is there");
    let mut reader =
        png::Decoder::new(std::io::BufReader::new(file)).read_info().expect("it is a PNG");
    let mut bytes = vec![0; reader.output_buffer_size().expect("it is small")];
    let info = reader.next_frame(&mut bytes).expect("it decodes");
    assert_eq!(info.color_type, png::ColorType::Rgb);
    let (h, w) = (info.height as usize, info.width as usize);
    let planar =
        (0..3 * h * w).map(|i| f32::from(bytes[i % (h * w) * 3 + i / (h * w)]) / 255.0).collect();
    (planar, h, w)
}

/// A slow VGG in float64, `[C, H, W]` maps, with the gradient written out.
pub struct Plain {
    /// `(weights [O, I, 3, 3], bias, inputs, outputs)` of each convolution.
    pub layers: Vec<(Vec<f64>, Vec<f64>, usize, usize)>,
    /// Max pooling, else average.
    pub max: bool,
}

/// One layer's features on the way.
pub struct PlainMap {
    pub data: Vec<f64>,
    pub channels: usize,
    pub height: usize,
    pub width: usize,
}

/// Layers before a pooling layer.
pub fn before_pool(i: usize) -> bool {
    [1, 3, 7, 11].contains(&i)
}

impl Plain {
    pub fn new(weights: &Weights, max: bool) -> Self {
        let wide = |v: &[f32]| v.iter().map(|x| f64::from(*x)).collect();
        let layers = impasto::network::Layer::all()
            .map(|l| weights.convolution(l))
            .map(|c| (wide(&c.weight), wide(&c.bias), c.inputs, c.outputs))
            .collect();
        Self { layers, max }
    }

    fn convolve(&self, i: usize, input: &[f64], h: usize, w: usize) -> Vec<f64> {
        let (weight, bias, inputs, outputs) = &self.layers[i];
        let mut out = vec![0.0; outputs * h * w];
        for o in 0..*outputs {
            for y in 0..h {
                for x in 0..w {
                    let mut sum = bias[o];
                    for c in 0..*inputs {
                        for t in 0..9 {
                            let (yy, xx) =
                                ((y + t / 3).wrapping_sub(1), (x + t % 3).wrapping_sub(1));
                            if yy < h && xx < w {
                                sum +=
                                    weight[(o * inputs + c) * 9 + t] * input[(c * h + yy) * w + xx];
                            }
                        }
                    }
                    out[(o * h + y) * w + x] = sum;
                }
            }
        }
        out
    }

    /// Gradient of the inputs of convolution `i`.
    pub fn transposed(&self, i: usize, gradient: &[f64], h: usize, w: usize) -> Vec<f64> {
        let (weight, _, inputs, outputs) = &self.layers[i];
        let mut out = vec![0.0; inputs * h * w];
        for o in 0..*outputs {
            for y in 0..h {
                for x in 0..w {
                    let g = gradient[(o * h + y) * w + x];
                    if g == 0.0 {
                        continue;
                    }
                    for c in 0..*inputs {
                        for t in 0..9 {
                            let (yy, xx) =
                                ((y + t / 3).wrapping_sub(1), (x + t % 3).wrapping_sub(1));
                            if yy < h && xx < w {
                                out[(c * h + yy) * w + xx] += weight[(o * inputs + c) * 9 + t] * g;
                            }
                        }
                    }
                }
            }
        }
        out
    }

    /// Features after ReLU of the first `count` layers, from RGB 0..1.
    pub fn forward(&self, rgb: &[f32], h: usize, w: usize, count: usize) -> Vec<PlainMap> {
        let means = [103.939, 116.779, 123.68];
        let mut input: Vec<f64> = (0..3 * h * w)
            .map(|i| {
                f64::from(rgb[(2 - i / (h * w)) * h * w + i % (h * w)]) * 255.0 - means[i / (h * w)]
            })
            .collect();
        let (mut height, mut width) = (h, w);
        let mut maps = Vec::new();
        for i in 0..count {
            let data: Vec<f64> =
                self.convolve(i, &input, height, width).into_iter().map(|x| x.max(0.0)).collect();
            let map = PlainMap { data, channels: self.layers[i].3, height, width };
            if before_pool(i) {
                input = self.pool(&map);
                height /= 2;
                width /= 2;
            } else {
                input = map.data.clone();
            }
            maps.push(map);
        }
        maps
    }

    fn pool(&self, map: &PlainMap) -> Vec<f64> {
        let (h, w) = (map.height / 2, map.width / 2);
        let mut out = vec![0.0; map.channels * h * w];
        for (i, value) in out.iter_mut().enumerate() {
            let window = Self::window(map, i, h, w).map(|at| map.data[at]);
            *value = if self.max {
                window.into_iter().fold(f64::MIN, f64::max)
            } else {
                window.iter().sum::<f64>() / 4.0
            };
        }
        out
    }

    fn window(map: &PlainMap, i: usize, h: usize, w: usize) -> [usize; 4] {
        let (c, y, x) = (i / (h * w), i / w % h, i % w);
        [0, 1, 2, 3].map(|k| (c * map.height + 2 * y + k / 2) * map.width + 2 * x + k % 2)
    }

    /// Gradient of the pixels, given `dL/dF` of each layer (empty where there is none).
    pub fn backward(&self, maps: &[PlainMap], taps: &[Vec<f64>], h: usize, w: usize) -> Vec<f64> {
        let mut from_above: Option<Vec<f64>> = None;
        for i in (0..maps.len()).rev() {
            let map = &maps[i];
            let mut gradient = vec![0.0; map.data.len()];
            if let Some(above) = from_above {
                if before_pool(i) {
                    let (ph, pw) = (map.height / 2, map.width / 2);
                    for (k, g) in above.iter().enumerate() {
                        let window = Self::window(map, k, ph, pw);
                        if self.max {
                            let best = window
                                .into_iter()
                                .reduce(|a, b| if map.data[b] > map.data[a] { b } else { a });
                            gradient[best.expect("four cells")] += g;
                        } else {
                            window.into_iter().for_each(|at| gradient[at] += g / 4.0);
                        }
                    }
                } else {
                    gradient = above;
                }
            }
            if !taps[i].is_empty() {
                gradient.iter_mut().zip(&taps[i]).for_each(|(g, t)| *g += t);
            }
            gradient
                .iter_mut()
                .zip(&map.data)
                .for_each(|(g, f)| *g = if *f > 0.0 { *g } else { 0.0 });
            from_above = Some(self.transposed(i, &gradient, map.height, map.width));
        }
        let bgr = from_above.expect("at least one layer");
        (0..3 * h * w).map(|i| 255.0 * bgr[(2 - i / (h * w)) * h * w + i % (h * w)]).collect()
    }
}

/// Values in 0..1 from a seed.
pub fn noise(count: usize, seed: u64) -> Vec<f32> {
    let noise = Noise::new(seed);
    (0..count).map(|i| noise.uniform(i as u64)).collect()
}

/// `|a - b| / |b|` in the Euclidean norm, against float64.
pub fn distance64(a: &[f32], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    let d: f64 = a.iter().zip(b).map(|(x, y)| (f64::from(*x) - y).powi(2)).sum();
    let n: f64 = b.iter().map(|y| y * y).sum();
    (d / n.max(1e-300)).sqrt()
}
