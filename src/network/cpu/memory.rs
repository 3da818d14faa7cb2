//! Memory planned: what a pass takes, worked out by replaying its requests for memory on paper.

use crate::geometry::Rect;
use crate::kernels::buffer::Ledger;
use crate::kernels::convolve::scratch_bytes;
use crate::kernels::gram::copy_bytes;
use crate::kernels::map::Shape;
use crate::kernels::winograd::filter_bytes;
use crate::network::areas::{Areas, windows};
use crate::network::layer::Layer;
use crate::network::request::Request;

/// The same requests that a forward and a backward sweep make, in the same order, without the
/// memory.
struct Rehearsal<'n> {
    channels: &'n [usize],
    /// Width and height of the region, px.
    size: (usize, usize),
    threads: usize,
    areas: Areas,
    ledger: Ledger,
}

/// A piece of memory: where, and its bytes.
type Piece = (usize, usize);

impl Rehearsal<'_> {
    fn shape(&self, layer: Layer) -> Shape {
        let (width, height) = (layer.cells(self.size.0), layer.cells(self.size.1));
        Shape { channels: self.channels[layer.index()], height, width }
    }

    fn take(&mut self, bytes: usize) -> Piece {
        let start = self.ledger.take(bytes).expect("the rehearsal's memory has no end");
        (start, bytes)
    }

    fn give(&mut self, piece: Option<Piece>) {
        if let Some((start, bytes)) = piece {
            self.ledger.give(start, bytes);
        }
    }

    fn convolve(&mut self, area: Rect, inputs: usize, outputs: usize) {
        if area.area() == 0 {
            return;
        }
        let (bytes, workers) =
            scratch_bytes(area.height, area.width, inputs, outputs, self.threads);
        let taken: Vec<_> = (0..workers).flat_map(|_| bytes).map(|b| self.take(b)).collect();
        taken.into_iter().for_each(|piece| self.give(Some(piece)));
    }

    /// Makes the requests of both ways; returns what is held between them.
    fn run(&mut self, deepest: Layer, request: &Request) -> usize {
        let (width, height) = self.size;
        let pixels = self.take(3 * (height + 2) * (width + 2) * size_of::<f32>());
        if request.moments.contains(&Layer::ALL[0]) {
            let bytes = copy_bytes(self.channels[0]);
            let copies: Vec<_> = (0..self.threads).map(|_| self.take(bytes)).collect();
            copies.into_iter().for_each(|piece| self.give(Some(piece)));
        }
        let count = deepest.index() + 1;
        let (mut maps, mut masks) = (vec![None; count], vec![None; count]);
        let mut previous: Option<Piece> = None;
        for &layer in &Layer::ALL[1..count] {
            let shape = self.shape(layer);
            let pooled = layer.is_before_pool() && layer != deepest;
            let out_shape = if pooled { shape.halved() } else { shape };
            let out = self.take(out_shape.map_bytes());
            if request.keep {
                masks[layer.index()] =
                    Some(self.take(out_shape.cells() * if pooled { 8 } else { 2 }));
            }
            let full = (pooled && request.names(layer)).then(|| self.take(shape.map_bytes()));
            let before = Layer::ALL[layer.index() - 1];
            self.convolve(self.areas.forward(layer), self.channels[before.index()], shape.channels);
            if let Some(map) = previous.take() {
                if !before.is_before_pool() && request.holds(before) {
                    maps[before.index()] = Some(map);
                } else {
                    self.give(Some(map));
                }
            }
            if full.is_some() && !request.holds(layer) {
                self.give(full);
            } else {
                maps[layer.index()] = full;
            }
            previous = Some(out);
        }
        if request.holds(deepest) {
            maps[deepest.index()] = previous;
        } else {
            self.give(previous);
        }
        let held = self.ledger.live();
        if request.keep {
            self.back(deepest, &mut maps, &mut masks);
        }
        maps.into_iter().chain(masks).for_each(|piece| self.give(piece));
        self.give(Some(pixels));
        held
    }

    fn back(&mut self, deepest: Layer, maps: &mut [Option<Piece>], masks: &mut [Option<Piece>]) {
        let mut gradient: Option<Vec<Piece>> = None;
        for &layer in Layer::ALL[..=deepest.index()].iter().rev() {
            let (shape, area) = (self.shape(layer), self.areas.backward(layer));
            let mask = masks[layer.index()].take();
            let next = match (&gradient, layer.is_before_pool() && layer != deepest) {
                (Some(_), true) => {
                    let small = shape.halved();
                    let pooled = self.take(small.map_bytes());
                    self.convolve(
                        windows(area, (small.width, small.height)),
                        self.channels[layer.index() + 1],
                        small.channels,
                    );
                    self.release(gradient.take());
                    if maps[layer.index()].is_some() {
                        let out = self.take(shape.map_bytes());
                        self.convolve(area, 0, shape.channels);
                        self.give(Some(pooled));
                        self.give(mask);
                        vec![out]
                    } else {
                        std::iter::once(pooled).chain(mask).collect()
                    }
                }
                (above, _) => {
                    let inputs = if above.is_some() { self.channels[layer.index() + 1] } else { 0 };
                    let out = self.take(shape.map_bytes());
                    self.convolve(area, inputs, shape.channels);
                    self.release(gradient.take());
                    self.give(mask);
                    vec![out]
                }
            };
            self.give(maps[layer.index()].take());
            gradient = Some(next);
        }
        self.convolve(self.areas.pixels(), self.channels[0], 3);
        self.release(gradient);
    }

    fn release(&mut self, pieces: Option<Vec<Piece>>) {
        pieces.into_iter().flatten().for_each(|piece| self.give(Some(piece)));
    }
}

/// Working memory of a pass over a region, bytes. The caller's own vectors are not counted: pixels
/// and gradient, 12 bytes a pixel each, and the statistics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SweepBytes {
    /// The most at once, on its way forward and, if the request keeps, back.
    pub peak: usize,
    /// What the pass holds after its way forward.
    pub held: usize,
}

/// Working memory of a pass over a region of `size` (width, height) px, for layers of `channels`,
/// with the scratch of `threads` threads.
pub fn sweep_bytes(
    channels: &[usize],
    size: (usize, usize),
    request: &Request,
    threads: usize,
) -> SweepBytes {
    let Some(deepest) = request.deepest() else { return SweepBytes { peak: 0, held: 0 } };
    let areas = Areas::of(deepest, size, request);
    let ledger = Ledger::new(usize::MAX / 2);
    let mut rehearsal = Rehearsal { channels, size, threads, areas, ledger };
    let held = rehearsal.run(deepest, request);
    SweepBytes { peak: rehearsal.ledger.high(), held }
}

/// Bytes of the prepared kernels of the layers up to `deepest`, for layers of `channels`, in
/// float32.
pub fn prepared_bytes(channels: &[usize], deepest: Layer) -> usize {
    let channels = &channels[..=deepest.index()];
    let inputs = std::iter::once(3).chain(channels.iter().copied());
    let layers = inputs.zip(channels).enumerate();
    // The first convolution is direct on its way forward.
    layers.map(|(i, (c, n))| filter_bytes(c, *n) * if i == 0 { 1 } else { 2 }).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::{CpuNetwork, Isa, Network, Pooling, Precision, TapGradient, Weights};
    use candle_core::{Device, Tensor};

    #[test]
    fn prepared_kernels_are_as_large_as_they_say() {
        let weights = Weights::random([8, 16, 24, 20, 12], 4);
        for deepest in [0, 1, 4, 15].map(|index| Layer::ALL[index]) {
            let (pooling, precision) = (Pooling::Max, Precision::Float32);
            let net = CpuNetwork::new(&weights, deepest, pooling, precision, Isa::detect())
                .expect("network");
            assert_eq!(net.fixed_bytes(), prepared_bytes(&net.channels, deepest), "{deepest}");
        }
    }

    /// The rehearsal and the play ask for the same memory.
    #[test]
    fn rehearsal_is_true() {
        let widths = [8, 16, 24, 20, 12];
        let weights = Weights::random(widths, 4);
        let net = CpuNetwork::new(
            &weights,
            Layer::ALL[15],
            Pooling::Max,
            Precision::Float32,
            Isa::detect(),
        )
        .expect("network");
        // Among them layers before a pooling layer, as taps and as the top.
        for layers in [
            vec![0, 2, 4, 8, 9, 12],
            vec![1, 3, 7, 12],
            vec![0],
            vec![1],
            vec![3],
            vec![0, 1, 2, 3, 15],
        ] {
            for keep in [false, true] {
                let part = Rect { left: 64, top: 16, width: 48, height: 32 };
                let whole = [(16, 16), (70, 200), (256, 256)].map(|(h, w)| (h, w, None, false));
                let trimmed = [(70, 200, false), (256, 256, false), (256, 256, true)]
                    .map(|(h, w, bits)| (h, w, Some(part), bits));
                for (h, w, wanted, bitwise) in whole.into_iter().chain(trimmed) {
                    net.clear();
                    let taps = |wanted: fn(usize) -> bool| -> Vec<Layer> {
                        let wanted = layers.iter().filter(|index| wanted(**index));
                        wanted.map(|index| Layer::ALL[*index]).collect()
                    };
                    let request = Request {
                        moments: taps(|_| true),
                        features: taps(|index| index == 9),
                        gradient: wanted,
                        bitwise,
                        keep,
                        ..Request::over(wanted.unwrap_or(Rect::whole(w, h)))
                    };
                    // One thread, so that the order of requests is always the same.
                    let pool =
                        rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("pool");
                    pool.install(|| {
                        let planned = sweep_bytes(&net.channels, (w, h), &request, 1).peak;
                        let tensor = |shape: &[usize]| {
                            Tensor::full(0.5f32, shape, &Device::Cpu).expect("a tensor")
                        };
                        let pass = net.forward(&tensor(&[3, h, w]), &request).expect("pass");
                        if keep {
                            let parts: Vec<_> = request
                                .moments
                                .iter()
                                .map(|layer| {
                                    let c = widths[layer.block() - 1];
                                    (*layer, tensor(&[c, c]), tensor(&[c]))
                                })
                                .collect();
                            let gradients: Vec<_> = parts
                                .iter()
                                .map(|(layer, matrix, offset)| TapGradient::Affine {
                                    layer: *layer,
                                    matrix,
                                    offset,
                                })
                                .collect();
                            pass.backward(&gradients).expect("gradient");
                        } else {
                            drop(pass);
                        }
                        let used = net.cache.high();
                        assert_eq!(
                            net.cache.overflows(),
                            0,
                            "{layers:?} {h}x{w} keep {keep} {wanted:?}"
                        );
                        assert!(
                            used <= planned && used * 10 >= planned * 9,
                            "{layers:?} {h}x{w} keep {keep} {wanted:?}: {used}, not {planned}"
                        );
                    });
                }
            }
        }
    }
}
