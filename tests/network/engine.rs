//! The engine against slow float64 loops, and against itself: instruction sets, threads, tilings.

use crate::support::chain::{Plain, distance64, noise};
use candle_core::{Device, Tensor};
use impasto::geometry::Rect;
use impasto::network::{
    CpuNetwork, Features, Isa, Layer, Margins, Moments, Network, NetworkError, Pass, Pooling,
    Precision, Request, TapGradient,
};
use proptest::prelude::*;

/// `(layer, matrix, offset, content weight)` for a tap, from a seed.
type Pull = (Layer, Tensor, Tensor, f32);

fn tensor(values: Vec<f32>, shape: &[usize]) -> Tensor {
    Tensor::from_vec(values, shape, &Device::Cpu).expect("a tensor")
}

/// A request for sums and features at some layers, where every cell is computed.
fn all_of(layers: &[Layer], core: Rect, keep: bool) -> Request {
    Request { moments: layers.to_vec(), features: layers.to_vec(), keep, ..Request::over(core) }
}

/// A forward sweep over the pixels of a region of `h` rows.
fn forward<'n>(
    net: &'n CpuNetwork,
    pixels: &[f32],
    h: usize,
    w: usize,
    request: &Request,
) -> Box<dyn Pass + 'n> {
    net.forward(&tensor(pixels.to_vec(), &[3, h, w]), request).expect("a pass")
}

fn planar(pass: &dyn Pass, layer: Layer) -> Vec<f32> {
    pass.features(layer).expect("features").to_planar().expect("values")
}

fn values(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().and_then(|flat| flat.to_vec1()).expect("float32")
}

/// The means of some sums, as bits.
fn bits(moments: &Moments) -> Vec<u64> {
    let (gram, mean) = moments.means().expect("means");
    let all = [gram.flatten_all().expect("flat"), mean];
    let mut bits = vec![moments.cells()];
    for part in all {
        bits.extend(part.to_vec1::<f64>().expect("float64").into_iter().map(f64::to_bits));
    }
    bits
}

fn moments_bits(pass: &dyn Pass, layers: &[Layer]) -> Vec<Vec<u64>> {
    layers.iter().map(|layer| bits(&pass.moments(*layer).expect("moments"))).collect()
}

/// The affine gradients at the taps.
fn affine(pulls: &[Pull]) -> Vec<TapGradient<'_>> {
    pulls
        .iter()
        .map(|(layer, matrix, offset, _)| TapGradient::Affine { layer: *layer, matrix, offset })
        .collect()
}

fn pulls(layers: &[Layer], widths: [usize; 5], seed: u64) -> Vec<Pull> {
    let make = |&layer: &Layer| {
        let c = widths[layer.block() - 1];
        let raw = noise(c * c + c + 1, seed + layer.index() as u64);
        let mut matrix = vec![0.0; c * c];
        for i in 0..c {
            for j in 0..c {
                matrix[i * c + j] = raw[i.min(j) * c + i.max(j)] - 0.5;
            }
        }
        let offset: Vec<f32> = raw[c * c..c * c + c].iter().map(|x| 100.0 * (x - 0.5)).collect();
        (layer, tensor(matrix, &[c, c]), tensor(offset, &[c]), raw[c * c + c])
    };
    layers.iter().map(make).collect()
}

/// Gradient with an affine and a content term at each layer.
fn gradient(
    net: &CpuNetwork,
    pixels: &[f32],
    h: usize,
    w: usize,
    layers: &[Layer],
    pulls: &[Pull],
) -> Vec<f32> {
    let other = noise(pixels.len(), 99);
    let request = all_of(layers, Rect::whole(w, h), true);
    let target = forward(net, &other, h, w, &request);
    let targets: Vec<_> = layers.iter().map(|&l| target.features(l).expect("features")).collect();
    let pass = forward(net, pixels, h, w, &request);
    let mut list = affine(pulls);
    for ((layer, _, _, scale), target) in pulls.iter().zip(&targets) {
        list.push(TapGradient::Content { layer: *layer, target, origin: (0, 0), scale: *scale });
    }
    values(&pass.backward(&list).expect("gradient"))
}

/// Compares features, moments and gradient with float64 for one network and size.
fn compare(
    widths: [usize; 5],
    h: usize,
    w: usize,
    layers: &[Layer],
    max: bool,
    isa: Isa,
    seed: u64,
) {
    let weights = crate::support::small_network(seed, widths);
    let deepest = *layers.iter().max().expect("layers");
    let pooling = if max { Pooling::Max } else { Pooling::Average };
    let net =
        CpuNetwork::new(&weights, deepest, pooling, Precision::Float32, isa).expect("network");
    let plain = Plain::new(&weights, max);
    let pixels = noise(3 * h * w, seed + 1);
    let pass = forward(&net, &pixels, h, w, &all_of(layers, Rect::whole(w, h), false));
    let maps = plain.forward(&pixels, h, w, deepest.index() + 1);
    for &layer in layers {
        let map = &maps[layer.index()];
        // Rounding is as large as what the sums are made of. In a narrow network their ReLU may
        // leave next to nothing, so that the error is measured by a tenth of the largest features
        // on the way, where the layer's own are smaller still.
        let size =
            |data: &[f64]| (data.iter().map(|x| x * x).sum::<f64>() / data.len() as f64).sqrt();
        let largest = maps[..=layer.index()].iter().map(|m| size(&m.data)).fold(0.0, f64::max);
        let found = planar(pass.as_ref(), layer);
        let apart: Vec<f64> = found.iter().zip(&map.data).map(|(a, b)| f64::from(*a) - b).collect();
        let error = size(&apart) / size(&map.data).max(0.1 * largest).max(1e-300);
        assert!(error < 3e-5, "{layer} of {h}x{w} {widths:?} {}: {error:.2e}", isa.name());
        let moments = pass.moments(layer).expect("moments");
        let cells = map.height * map.width;
        assert_eq!(moments.cells(), cells as u64);
        let (gram, mean) = moments.means().expect("means");
        let (gram, mean) = (
            gram.flatten_all().and_then(|gram| gram.to_vec1::<f64>()).expect("float64"),
            mean.to_vec1::<f64>().expect("float64"),
        );
        for i in 0..map.channels {
            let row = |c: usize| &map.data[c * cells..(c + 1) * cells];
            let wanted = row(i).iter().sum::<f64>() / cells as f64;
            // A channel's mean can be as far off as all of its features.
            let bound = 3e-5 * size(&map.data).max(0.1 * largest) + 1e-4;
            assert!(
                (mean[i] - wanted).abs() < bound.max(1e-5 * wanted.abs()),
                "{layer} mean {i}: {} {wanted}",
                mean[i]
            );
            for j in 0..map.channels {
                let wanted =
                    row(i).iter().zip(row(j)).map(|(a, b)| a * b).sum::<f64>() / cells as f64;
                let found = gram[i * map.channels + j];
                // And so an entry, by either channel's features times the other channel.
                let root = |c: usize| gram[c * map.channels + c].sqrt();
                assert!(
                    (found - wanted).abs() < bound * (root(i) + root(j)) + 1e-2,
                    "{layer} gram {i} {j}: {found} {wanted}"
                );
            }
        }
    }
    let pulls = pulls(layers, widths, seed + 2);
    let found = gradient(&net, &pixels, h, w, layers, &pulls);
    let others = plain.forward(&noise(pixels.len(), 99), h, w, deepest.index() + 1);
    let mut tap_gradients = vec![Vec::new(); maps.len()];
    for (layer, matrix, offset, scale) in &pulls {
        let (map, other) = (&maps[layer.index()], &others[layer.index()]);
        let (c, cells) = (map.channels, map.height * map.width);
        let (matrix, offset) = (values(matrix), values(offset));
        let mut out = vec![0.0; c * cells];
        for i in 0..c {
            for p in 0..cells {
                let mut sum = f64::from(offset[i]);
                for j in 0..c {
                    sum += f64::from(matrix[i * c + j]) * map.data[j * cells + p];
                }
                let at = i * cells + p;
                out[at] = sum + f64::from(*scale) * (map.data[at] - other.data[at]);
            }
        }
        tap_gradients[layer.index()] = out;
    }
    // The engine's own features decide ReLUs and pooling, so that a value that rounds to the other
    // side does not matter.
    let every = &Layer::ALL[..=deepest.index()];
    let pass = forward(&net, &pixels, h, w, &all_of(every, Rect::whole(w, h), false));
    let mut maps = maps;
    for (map, &layer) in maps.iter_mut().zip(every) {
        map.data = planar(pass.as_ref(), layer).into_iter().map(f64::from).collect();
    }
    let wanted = plain.backward(&maps, &tap_gradients, h, w);
    let error = distance64(&found, &wanted);
    assert!(error < 1e-5, "gradient of {h}x{w} {widths:?} max {max} {}: {error:.2e}", isa.name());
}

fn all_layers_with_cells(h: usize, w: usize) -> Vec<Layer> {
    Layer::ALL.into_iter().filter(|l| h / l.stride() > 0 && w / l.stride() > 0).collect()
}

#[test]
fn every_size_and_instruction_set() {
    for (h, w) in
        [(1, 1), (1, 2), (2, 1), (2, 3), (5, 7), (16, 16), (17, 31), (33, 16), (37, 53), (64, 40)]
    {
        for isa in Isa::available() {
            for max in [true, false] {
                compare([3, 5, 6, 7, 8], h, w, &all_layers_with_cells(h, w), max, isa, 7);
            }
        }
    }
}

#[test]
fn wide_layers() {
    for isa in Isa::available() {
        compare([64, 80, 40, 17, 130], 36, 50, &all_layers_with_cells(36, 50), true, isa, 3);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    #[test]
    fn any_network_and_size(
        h in 1usize..48, w in 1usize..48, widths in prop::array::uniform5(1usize..36), max: bool, seed in 0u64..1000, tapped in any::<u16>(),
    ) {
        let mut layers = all_layers_with_cells(h, w);
        let all = layers.clone();
        layers.retain(|l| tapped >> l.index() & 1 == 1);
        if layers.is_empty() {
            layers = all;
        }
        for isa in Isa::available() {
            compare(widths, h, w, &layers, max, isa, seed);
        }
    }
}

/// All that an evaluation delivers, as bytes.
fn everything(
    net: &CpuNetwork,
    h: usize,
    w: usize,
    layers: &[Layer],
    widths: [usize; 5],
) -> (Vec<Vec<u64>>, Vec<u32>) {
    let pixels = noise(3 * h * w, 5);
    let pass = forward(net, &pixels, h, w, &all_of(layers, Rect::whole(w, h), false));
    let mut values: Vec<u32> =
        layers.iter().flat_map(|&l| planar(pass.as_ref(), l)).map(f32::to_bits).collect();
    values.extend(
        gradient(net, &pixels, h, w, layers, &pulls(layers, widths, 1)).iter().map(|x| x.to_bits()),
    );
    (moments_bits(pass.as_ref(), layers), values)
}

#[test]
fn same_bytes_for_instructions_and_threads() {
    let widths = [20, 33, 64, 70, 48];
    let weights = crate::support::small_network(11, widths);
    let layers = [0, 2, 3, 4, 8, 9, 12].map(|i| Layer::ALL[i]);
    let (h, w) = (101, 118);
    let mut first = None;
    for isa in Isa::available() {
        if isa.name() == "portable"
            && cfg!(not(any(target_feature = "fma", target_arch = "aarch64")))
        {
            continue;
        }
        for threads in [1, 2, 3] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("pool");
            let found = pool.install(|| {
                let net =
                    CpuNetwork::new(&weights, layers[6], Pooling::Max, Precision::Float32, isa)
                        .expect("network");
                everything(&net, h, w, &layers, widths)
            });
            let first = first.get_or_insert_with(|| found.clone());
            assert!(first.0 == found.0, "moments, {} with {threads} threads", isa.name());
            assert!(
                first.1 == found.1,
                "features or gradient, {} with {threads} threads",
                isa.name()
            );
        }
    }
}

/// A rectangle of `[3, h, w]`.
fn cut(pixels: &[f32], h: usize, w: usize, rect: Rect) -> Vec<f32> {
    (0..3 * rect.height * rect.width)
        .map(|i| {
            let (c, y, x) =
                (i / (rect.height * rect.width), i / rect.width % rect.height, i % rect.width);
            pixels[c * h * w + (rect.top + y) * w + rect.left + x]
        })
        .collect()
}

#[test]
fn same_bytes_for_any_tiling() {
    let widths = [5, 6, 20, 8, 17];
    let weights = crate::support::small_network(12, widths);
    let layers = [0, 2, 4, 8, 9, 12].map(|i| Layer::ALL[i]);
    let net = CpuNetwork::new(&weights, layers[5], Pooling::Max, Precision::Float32, Isa::detect())
        .expect("network");
    let margins = Margins::bitwise(layers);
    assert_eq!((margins.features, margins.gradient), (256, 576));
    let (h, w) = (147, 1500);
    let pixels = noise(3 * h * w, 8);
    let pulls = pulls(&layers, widths, 4);
    let list = affine(&pulls);
    let kept = forward(&net, &pixels, h, w, &all_of(&layers, Rect::whole(w, h), true));
    let whole_moments = moments_bits(kept.as_ref(), &layers);
    let whole_features: Vec<Features> =
        layers.iter().map(|&l| kept.features(l).expect("features")).collect();
    let whole_gradient = values(&kept.backward(&list).expect("gradient"));
    let (near, far) = (margins.features, margins.gradient);
    for (core, margin, trimmed) in [
        (64, near, true),
        (128, near, false),
        (192, far, true),
        (512, far, true),
        (512, far, false),
    ] {
        let mut merged: Vec<Option<Moments>> = vec![None; layers.len()];
        let mut assembled: Vec<Features> = layers
            .iter()
            .zip(&whole_features)
            .map(|(l, whole)| whole.blank(l.cells(w), l.cells(h)).expect("zeros"))
            .collect();
        for top in (0..h).step_by(core) {
            for left in (0..w).step_by(core) {
                let (bottom, right) = ((top + core).min(h), (left + core).min(w));
                let (y0, x0) = (top.saturating_sub(margin), left.saturating_sub(margin));
                let (y1, x1) = ((bottom + margin).min(h), (right + margin).min(w));
                let region = Rect { top: y0, left: x0, height: y1 - y0, width: x1 - x0 };
                let core = Rect {
                    top: top - y0,
                    left: left - x0,
                    height: bottom - top,
                    width: right - left,
                };
                let tile = cut(&pixels, h, w, region);
                let back = margin == far;
                let gradient = trimmed.then_some(if back { core } else { Rect::whole(0, 0) });
                let request = Request { gradient, bitwise: true, ..all_of(&layers, core, true) };
                let pass = forward(&net, &tile, region.height, region.width, &request);
                for (i, &layer) in layers.iter().enumerate() {
                    let moments = pass.moments(layer).expect("moments");
                    match &mut merged[i] {
                        Some(all) => all.merge(&moments).expect("of one tap"),
                        none => *none = Some(moments),
                    }
                    let features = pass.features(layer).expect("features");
                    let [_, height, width] = features.shape();
                    let (top, left) = (top / layer.stride(), left / layer.stride());
                    assembled[i].paste(&features, Rect { left, top, width, height }).expect("fits");
                }
                if back {
                    let gradient = values(&pass.backward(&list).expect("gradient"));
                    let mine = cut(&gradient, region.height, region.width, core);
                    let theirs = cut(&whole_gradient, h, w, Rect { top, left, ..core });
                    assert!(
                        mine.iter().zip(&theirs).all(|(a, b)| a.to_bits() == b.to_bits()),
                        "gradient at {top} {left}"
                    );
                }
            }
        }
        for (i, &layer) in layers.iter().enumerate() {
            let planar = |features: &Features| features.to_planar().expect("values");
            let (mine, theirs) = (planar(&assembled[i]), planar(&whole_features[i]));
            assert!(
                mine.iter().zip(&theirs).all(|(a, b)| a.to_bits() == b.to_bits()),
                "{layer} features, core {core}"
            );
            let merged = merged[i].as_ref().map(bits);
            assert!(merged.as_ref() == Some(&whole_moments[i]), "{layer} moments, core {core}");
        }
    }
}

/// What a request does not want is not computed; what it wants is the same to rounding, and says so
/// for every thread count and instruction set with the same bytes.
#[test]
fn what_is_not_wanted_is_left_out() {
    let widths = [8, 8, 20, 16, 17];
    let weights = crate::support::small_network(13, widths);
    let (h, w) = (330, 421);
    let pixels = noise(3 * h * w, 8);
    let core = Rect { top: 160, left: 176, height: 32, width: 64 };
    for (layers, pooling) in [
        (vec![0, 2, 4, 8, 12], Pooling::Max),
        (vec![1, 3, 7, 9], Pooling::Average),
        (vec![13], Pooling::Average),
    ] {
        let layers: Vec<Layer> = layers.into_iter().map(|i| Layer::ALL[i]).collect();
        let deepest = *layers.last().expect("taps");
        let pulls = pulls(&layers, widths, 4);
        let list = affine(&pulls);
        let run = |isa, gradient, threads| {
            let net = CpuNetwork::new(&weights, deepest, pooling, Precision::Float32, isa)
                .expect("network");
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("pool");
            pool.install(|| {
                let request = Request { gradient, ..all_of(&layers, core, true) };
                let pass = forward(&net, &pixels, h, w, &request);
                let sums = moments_bits(pass.as_ref(), &layers);
                let features: Vec<f32> =
                    layers.iter().flat_map(|l| planar(pass.as_ref(), *l)).collect();
                let gradient = values(&pass.backward(&list).expect("gradient"));
                (sums, features, cut(&gradient, h, w, core))
            })
        };
        let whole = run(Isa::detect(), None, 2);
        let part = run(Isa::detect(), Some(core), 2);
        let (features, gradient) = (
            crate::support::relative_l2(&part.1, &whole.1),
            crate::support::relative_l2(&part.2, &whole.2),
        );
        assert!(features < 1e-5 && gradient < 1e-4, "{layers:?}: {features:.2e}, {gradient:.2e}");
        for isa in Isa::available() {
            if isa.name() == "portable"
                && cfg!(not(any(target_feature = "fma", target_arch = "aarch64")))
            {
                continue;
            }
            for threads in [1, 3] {
                assert!(
                    run(isa, Some(core), threads) == part,
                    "{layers:?}, {}, {threads} threads",
                    isa.name()
                );
            }
        }
        let net = CpuNetwork::new(&weights, deepest, pooling, Precision::Float32, Isa::detect())
            .expect("network");
        let gradient = Some(Rect::whole(0, 0));
        let request = Request { gradient, ..all_of(&layers, core, false) };
        let pass = forward(&net, &pixels, h, w, &request);
        let found: Vec<f32> = layers.iter().flat_map(|l| planar(pass.as_ref(), *l)).collect();
        assert!(crate::support::relative_l2(&found, &whole.1) < 1e-5);
    }
}

/// With the margins that suffice in exact arithmetic, tiles agree with the whole to rounding.
#[test]
fn exact_margins_agree_to_rounding() {
    let widths = [8, 8, 20, 16, 17];
    let weights = crate::support::small_network(13, widths);
    let layers = [0, 2, 4, 8, 12].map(|i| Layer::ALL[i]);
    let net =
        CpuNetwork::new(&weights, layers[4], Pooling::Average, Precision::Float32, Isa::detect())
            .expect("network");
    let (h, w) = (66, 800);
    let pixels = noise(3 * h * w, 8);
    let pulls = pulls(&layers, widths, 4);
    let list = affine(&pulls);
    let run = |pixels: &[f32], w| {
        let pass = forward(&net, pixels, h, w, &all_of(&layers, Rect::whole(w, h), true));
        let features = planar(pass.as_ref(), layers[4]);
        (features, values(&pass.backward(&list).expect("gradient")))
    };
    let (features, gradient) = run(&pixels, w);
    let region = Rect { top: 0, left: 192, height: h, width: 448 };
    let (tile_features, tile_gradient) = run(&cut(&pixels, h, w, region), 448);
    // The cells of the deepest tap that see no pixel beyond the tile.
    let cells = |features: &[f32], width: usize, left: usize| -> Vec<f32> {
        let rows = features.chunks_exact(width / 16);
        rows.flat_map(|row| row[left / 16..][..192 / 16].to_vec()).collect()
    };
    let (mine, theirs) = (cells(&tile_features, 448, 128), cells(&features, w, 128 + 192));
    assert!(crate::support::relative_l2(&mine, &theirs) < 1e-5);
    let core = Rect { top: 0, left: 192, height: h, width: 64 };
    let mine = cut(&tile_gradient, h, 448, core);
    let theirs = cut(&gradient, h, w, Rect { left: 384, ..core });
    let error = crate::support::relative_l2(&mine, &theirs);
    assert!(error < 1e-4, "{error:.2e}");
}

#[test]
fn content_loss_adds_up() {
    let widths = [3, 4, 5, 6, 7];
    let weights = crate::support::small_network(2, widths);
    let layer = Layer::ALL[9];
    let net = CpuNetwork::new(&weights, layer, Pooling::Max, Precision::Float32, Isa::detect())
        .expect("network");
    let (h, w) = (150, 200);
    let request = all_of(&[layer], Rect::whole(w, h), false);
    let target = forward(&net, &noise(3 * h * w, 1), h, w, &request);
    let target = target.features(layer).expect("features");
    let pass = forward(&net, &noise(3 * h * w, 2), h, w, &request);
    let found = pass.content_distance(layer, &target, (0, 0)).expect("distances");
    assert_eq!(found.len(), 3 * 4);
    let (ours, theirs) = (planar(pass.as_ref(), layer), target.to_planar().expect("values"));
    let wanted: f64 =
        ours.iter().zip(&theirs).map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2)).sum();
    assert!((found.iter().sum::<f64>() - wanted).abs() < 1e-6 * wanted);
}

#[test]
fn mistakes_are_errors() {
    let weights = crate::support::small_network(2, [3, 4, 5, 6, 7]);
    let deepest = Layer::ALL[8];
    let net = CpuNetwork::new(&weights, deepest, Pooling::Max, Precision::Float32, Isa::detect())
        .expect("network");
    let pixels = tensor(noise(3 * 4 * 4, 1), &[3, 4, 4]);
    let ask = |layers: &[Layer], core: Rect, keep: bool| {
        net.forward(&pixels, &all_of(layers, core, keep))
    };
    let whole = Rect::whole(4, 4);
    let failed = |result: Result<Box<dyn Pass + '_>, NetworkError>| result.err().expect("an error");
    assert!(matches!(failed(ask(&[], whole, false)), NetworkError::NoTaps));
    assert!(matches!(
        failed(ask(&[deepest], whole, false)),
        NetworkError::NoCells { layer } if layer == deepest
    ));
    let beyond = failed(ask(&[Layer::ALL[9]], whole, false));
    assert!(matches!(beyond, NetworkError::TooDeep { .. }));
    let outside = failed(ask(&[Layer::ALL[0]], Rect::whole(5, 4), false));
    assert!(matches!(outside, NetworkError::Outside(_)));
    let flat =
        net.forward(&tensor(vec![0.0; 16], &[4, 4]), &all_of(&[Layer::ALL[0]], whole, false));
    assert!(matches!(failed(flat), NetworkError::Shape { .. }));
    let pass = ask(&[Layer::ALL[2]], whole, false).expect("pass");
    assert!(pass.moments(Layer::ALL[1]).is_err());
    assert!(matches!(pass.backward(&[]), Err(NetworkError::NotKept)));
    let (matrix, offset) = (tensor(vec![0.0; 9], &[3, 3]), tensor(vec![0.0; 3], &[3]));
    let affine = |layer| TapGradient::Affine { layer, matrix: &matrix, offset: &offset };
    let pass = ask(&[Layer::ALL[2]], whole, true).expect("pass");
    let other = pass.backward(&[affine(Layer::ALL[1])]);
    assert!(matches!(other, Err(NetworkError::NotRequested(_))));
    // The tap has four channels.
    let pass = ask(&[Layer::ALL[2]], whole, true).expect("pass");
    let small = pass.backward(&[affine(Layer::ALL[2])]);
    assert!(matches!(small, Err(NetworkError::Size { .. })));
    let pass = ask(&[Layer::ALL[0]], whole, true).expect("pass");
    let twice = pass.backward(&[affine(Layer::ALL[0]), affine(Layer::ALL[0])]);
    assert!(matches!(twice, Err(NetworkError::Twice(_))));
    let tf32 = CpuNetwork::new(&weights, deepest, Pooling::Max, Precision::Tf32, Isa::detect());
    assert!(matches!(tf32, Err(NetworkError::NoSuchPrecision("tf32"))));
}

#[test]
fn nonsense_is_noticed() {
    let weights = crate::support::small_network(2, [3, 4, 5, 6, 7]);
    let net =
        CpuNetwork::new(&weights, Layer::ALL[4], Pooling::Max, Precision::Float32, Isa::detect())
            .expect("network");
    for bad in [f32::NAN, f32::INFINITY, 1e30] {
        let mut pixels = noise(3 * 32 * 32, 1);
        pixels[500] = bad;
        let layers = [Layer::ALL[0], Layer::ALL[4]];
        let pass = forward(&net, &pixels, 32, 32, &all_of(&layers, Rect::whole(32, 32), false));
        let (gram, mean) = pass.moments(layers[0]).and_then(|sums| sums.means()).expect("means");
        let values = gram.flatten_all().and_then(|gram| gram.to_vec1::<f64>()).expect("float64");
        assert!(values.iter().all(|value| value.is_nan()));
        assert!(mean.to_vec1::<f64>().expect("float64").iter().all(|value| value.is_nan()));
    }
}

/// Large maps are written past the caches, small ones are not: the rows that both have are the
/// same, whatever follows the convolution.
#[test]
fn large_maps_are_as_small_ones() {
    use impasto::internal::buffer::BufferCache;
    use impasto::internal::convolve::{Convolution, Sink, Source};
    use impasto::internal::map::{Map, Mask, Shape};
    use impasto::internal::winograd::{Direction, Filters, Layer3x3};
    let cache = BufferCache::new();
    let (inputs, outputs, width, common) = (3, 5, 1040, 128);
    let weights = noise(inputs * outputs * 9, 1);
    let layer = Layer3x3 { weights: &weights, outputs, inputs };
    let bias = [[0.1f32; 5].as_slice(), &[0.0; 11]].concat();
    for isa in Isa::available() {
        let filters = Filters::new(isa, &cache, layer, Direction::Forward, 1.0, false).unwrap();
        let run = |height: usize, kind: usize| {
            let shape = |channels| Shape { channels, height, width };
            let half = Shape { channels: outputs, height: height / 2, width: width / 2 };
            let planar: Vec<f32> = (0..inputs)
                .flat_map(|c| noise(height * width, c as u64 + 2))
                .map(|x| x - 0.5)
                .collect();
            let map = Map::from_planar(&cache, shape(inputs), &planar).unwrap();
            let (made, words) = if kind == 0 { (half, 4) } else { (shape(outputs), 1) };
            let mut out = Map::new(&cache, made).unwrap();
            let mut mask = Mask::new(&cache, made, words).unwrap();
            mask.data.fill(0b10110);
            let job = Convolution {
                isa,
                cache: &cache,
                source: Some((Source::Map(&map), &filters)),
                height,
                width,
                outputs,
                area: Rect::whole(width, height),
            };
            job.run(match kind {
                0 => Sink::Pooled {
                    bias: &bias,
                    pooling: Pooling::Max,
                    out: &mut out,
                    mask: Some(&mut mask),
                    full: None,
                },
                1 => Sink::Relu { bias: &bias, out: &mut out, mask: Some(&mut mask) },
                2 => Sink::Masked { out: &mut out, mask: Some(&mask), tap: None },
                _ => Sink::Plain { out: &mut out },
            })
            .unwrap();
            let bytes = out.shape.map_bytes();
            let rows: Vec<u32> = (0..common)
                .flat_map(|y| out.data[out.at(0, y, 0)..][..out.shape.width * 16].to_vec())
                .map(f32::to_bits)
                .collect();
            (bytes, rows)
        };
        for kind in 0..4 {
            let (large, small) = (
                run(if kind == 0 { 1040 } else { 272 }, kind),
                run(if kind == 0 { 264 } else { 136 }, kind),
            );
            assert!(large.0 >= 16 << 20 && small.0 < 16 << 20, "{} and {} bytes", large.0, small.0);
            assert!(large.1 == small.1, "sink {kind}, {}", isa.name());
        }
    }
}
