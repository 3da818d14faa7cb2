//! Memory planned: what a pass takes, worked out by replaying its requests for memory on paper.

use super::backward::windows;
use super::{CpuNetwork, Request, TapRequest};
use crate::geometry::Rect;
use crate::kernels::buffer::Ledger;
use crate::kernels::convolve::scratch_bytes;
use crate::kernels::gram::copy_bytes;
use crate::kernels::map::Shape;
use crate::network::areas::Areas;
use crate::network::layer::Layer;

/// The same requests that a forward and a backward sweep make, in the same order, without the
/// memory.
struct Rehearsal<'n> {
    network: &'n CpuNetwork,
    height: usize,
    width: usize,
    threads: usize,
    areas: Areas,
    ledger: Ledger,
}

/// A piece of memory: where, and its bytes.
type Piece = (usize, usize);

impl Rehearsal<'_> {
    fn shape(&self, layer: Layer) -> Shape {
        self.network.shape(layer, self.height, self.width)
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

    fn run(&mut self, request: &Request) {
        let Some(top) = request.taps.iter().map(|tap| tap.layer).max() else { return };
        let tap = |layer: Layer| request.taps.iter().find(|t| t.layer == layer).copied();
        let stays = |t: Option<TapRequest>| t.is_some_and(|t| request.keep || t.features);
        let half =
            |shape: Shape| Shape { height: shape.height / 2, width: shape.width / 2, ..shape };
        let pixels = self.take(3 * (self.height + 2) * (self.width + 2) * size_of::<f32>());
        if tap(Layer::ALL[0]).is_some_and(|t| t.moments) {
            let bytes = copy_bytes(self.network.channels[0]);
            let copies: Vec<_> = (0..self.threads).map(|_| self.take(bytes)).collect();
            copies.into_iter().for_each(|piece| self.give(Some(piece)));
        }
        let count = top.index() + 1;
        let (mut maps, mut masks) = (vec![None; count], vec![None; count]);
        let mut previous: Option<Piece> = None;
        for &layer in &Layer::ALL[1..count] {
            let shape = self.shape(layer);
            let pooled = layer.is_before_pool() && layer != top;
            let out_shape = if pooled { half(shape) } else { shape };
            let out = self.take(out_shape.map_bytes());
            if request.keep {
                masks[layer.index()] =
                    Some(self.take(out_shape.cells() * if pooled { 8 } else { 2 }));
            }
            let full = (pooled && tap(layer).is_some()).then(|| self.take(shape.map_bytes()));
            let before = Layer::ALL[layer.index() - 1];
            self.convolve(
                self.areas.forward(layer),
                self.network.channels[before.index()],
                shape.channels,
            );
            if let Some(map) = previous.take() {
                if !before.is_before_pool() && stays(tap(before)) {
                    maps[before.index()] = Some(map);
                } else {
                    self.give(Some(map));
                }
            }
            if full.is_some() && !stays(tap(layer)) {
                self.give(full);
            } else {
                maps[layer.index()] = full;
            }
            previous = Some(out);
        }
        if stays(tap(top)) {
            maps[top.index()] = previous;
        } else {
            self.give(previous);
        }
        if request.keep {
            self.back(top, &mut maps, &mut masks);
        }
        maps.into_iter().chain(masks).for_each(|piece| self.give(piece));
        self.give(Some(pixels));
    }

    fn back(&mut self, top: Layer, maps: &mut [Option<Piece>], masks: &mut [Option<Piece>]) {
        let mut gradient: Option<Vec<Piece>> = None;
        for &layer in Layer::ALL[..=top.index()].iter().rev() {
            let (shape, area) = (self.shape(layer), self.areas.backward(layer));
            let mask = masks[layer.index()].take();
            let next = match (&gradient, layer.is_before_pool() && layer != top) {
                (Some(_), true) => {
                    let small = Shape { height: shape.height / 2, width: shape.width / 2, ..shape };
                    let pooled = self.take(small.map_bytes());
                    self.convolve(
                        windows(area, small),
                        self.network.channels[layer.index() + 1],
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
                    let inputs =
                        if above.is_some() { self.network.channels[layer.index() + 1] } else { 0 };
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
        self.convolve(self.areas.pixels(), self.network.channels[0], 3);
        self.release(gradient);
    }

    fn release(&mut self, pieces: Option<Vec<Piece>>) {
        pieces.into_iter().flatten().for_each(|piece| self.give(Some(piece)));
    }
}

impl CpuNetwork {
    /// Working memory of one pass over a region (and its way back, if the request keeps), with the
    /// scratch of the current pool's threads. The caller's own vectors (pixels, gradient: 12 bytes
    /// a pixel each) are not counted.
    pub fn peak_bytes(&self, height: usize, width: usize, request: &Request) -> usize {
        self.peak_bytes_with(height, width, request, rayon::current_num_threads())
    }

    /// [`CpuNetwork::peak_bytes`] for a number of threads.
    pub fn peak_bytes_with(
        &self,
        height: usize,
        width: usize,
        request: &Request,
        threads: usize,
    ) -> usize {
        let Some(top) = request.taps.iter().map(|tap| tap.layer).max() else { return 0 };
        let areas =
            Areas::new(top, (width, height), request.core, request.wanted, request.same_bits);
        let ledger = Ledger::new(usize::MAX / 2);
        let mut rehearsal = Rehearsal { network: self, height, width, threads, areas, ledger };
        rehearsal.run(request);
        rehearsal.ledger.high()
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Precision, Rect, TapGradient};
    use super::*;
    use crate::kernels::Isa;
    use crate::network::Pooling;
    use crate::network::weights::Weights;

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
                for (h, w, wanted, same_bits) in whole.into_iter().chain(trimmed) {
                    net.clear();
                    let taps: Vec<_> = layers
                        .iter()
                        .map(|&i| TapRequest {
                            layer: Layer::ALL[i],
                            moments: true,
                            features: i == 9,
                        })
                        .collect();
                    let request = Request {
                        taps: &taps,
                        core: wanted.unwrap_or(Rect::whole(w, h)),
                        wanted,
                        same_bits,
                        keep,
                    };
                    // One thread, so that the order of requests is always the same.
                    let pool =
                        rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("pool");
                    pool.install(|| {
                        let planned = net.peak_bytes(h, w, &request);
                        let pass =
                            net.forward(&vec![0.5; 3 * h * w], h, w, &request).expect("pass");
                        if keep {
                            let parts: Vec<_> = taps
                                .iter()
                                .map(|tap| {
                                    let c = widths[tap.layer.block() - 1];
                                    (tap.layer, vec![0.0; c * c], vec![0.0; c])
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
