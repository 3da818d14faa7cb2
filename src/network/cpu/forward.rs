//! The forward sweep and what it leaves behind.

use super::features::squared_distances;
use super::{ContentTarget, CpuError, CpuNetwork, Features, Moments, Rect, Stage};
use crate::geometry::GRID;
use crate::kernels::convolve::{Convolution, Sink, Source};
use crate::kernels::first::Pixels;
use crate::kernels::gram;
use crate::kernels::map::{Map, Mask, Shape};
use crate::network::VGG_MEAN_RGB;
use crate::network::areas::Areas;
use crate::network::layer::Layer;

/// What a forward sweep is to deliver.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// Layers whose features are wanted, in any order.
    pub taps: &'a [TapRequest],
    /// The region's own part, in pixels: statistics are of its cells only. Borders on multiples of
    /// 16 px or at the region's end (of 64 px, counted from the region's corner, if bytes are to be
    /// the same whatever the tiling).
    pub core: Rect,
    /// The pixels whose gradient is wanted, see [`crate::network::Request::wanted`].
    pub wanted: Option<Rect>,
    /// Whether bytes are to be the same in any region, see [`crate::network::Request::same_bits`].
    pub same_bits: bool,
    /// Whether a backward sweep will follow.
    pub keep: bool,
}

/// What is wanted of a layer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TapRequest {
    /// The layer.
    pub layer: Layer,
    /// Its statistics over the core.
    pub moments: bool,
    /// Its features: for [`Pass::features`] and [`Pass::content_loss`].
    pub features: bool,
}

/// Features, statistics and, if asked for, what the way back needs.
pub struct Pass<'n> {
    pub(super) network: &'n CpuNetwork,
    pub(super) pixels: Pixels,
    pub(super) height: usize,
    pub(super) width: usize,
    core: Rect,
    pub(super) areas: Areas,
    pub(super) keep: bool,
    /// By layer; relu1_1 is never here.
    pub(super) maps: Vec<Option<Map>>,
    pub(super) masks: Vec<Option<Mask>>,
    pub(super) taps: Vec<TapRequest>,
    moments: Vec<Option<Moments>>,
}

impl CpuNetwork {
    /// Runs the network over a region: `pixels` is `[3, height, width]`, RGB, 0..1.
    ///
    /// # Errors
    /// If sizes do not fit, a tap has no cells or lies too deep, or nothing is requested.
    pub fn forward(
        &self,
        pixels: &[f32],
        height: usize,
        width: usize,
        request: &Request,
    ) -> Result<Pass<'_>, CpuError> {
        let top = self.check(pixels, height, width, request)?;
        self.cache
            .reserve(self.peak_bytes(height, width, request))
            .map_err(|bytes| CpuError::OutOfMemory { bytes })?;
        let mut pass = Pass {
            network: self,
            pixels: Pixels::new(&self.cache, pixels, VGG_MEAN_RGB, (height, width)),
            height,
            width,
            core: request.core,
            areas: Areas::new(
                top,
                (width, height),
                request.core,
                request.wanted,
                request.same_bits,
            ),
            keep: request.keep,
            maps: std::iter::repeat_with(|| None).take(top.index() + 1).collect(),
            masks: std::iter::repeat_with(|| None).take(top.index() + 1).collect(),
            taps: request.taps.to_vec(),
            moments: vec![None; top.index() + 1],
        };
        let mut previous: Option<Map> = None;
        pass.sum(Layer::ALL[0]);
        for &layer in &Layer::ALL[1..=top.index()] {
            let next = pass.convolve(layer, top, previous.as_ref());
            let tap = pass.tap(layer);
            let before = Layer::ALL[layer.index() - 1];
            // The map just read stays only if somebody asked for it.
            if let Some(map) = previous.take()
                && !before.is_before_pool()
            {
                pass.settle(before, map);
            }
            if layer.is_before_pool() && layer != top {
                pass.sum(layer);
                if tap.is_some_and(|t| !request.keep && !t.features) {
                    pass.maps[layer.index()] = None;
                }
            }
            previous = next;
        }
        if let Some(map) = previous {
            pass.settle(top, map);
        }
        Ok(pass)
    }

    fn check(
        &self,
        pixels: &[f32],
        height: usize,
        width: usize,
        request: &Request,
    ) -> Result<Layer, CpuError> {
        let expected = 3 * height * width;
        if pixels.len() != expected {
            return Err(CpuError::Size {
                what: "values of the region",
                expected,
                found: pixels.len(),
            });
        }
        let core = request.core;
        let fits = |start: usize, length: usize, whole: usize| {
            start.checked_add(length).is_some_and(|end| end <= whole)
        };
        for (rect, what) in [(Some(core), "the core"), (request.wanted, "the wanted gradient")] {
            if rect.is_some_and(|rect| {
                !fits(rect.top, rect.height, height) || !fits(rect.left, rect.width, width)
            }) {
                return Err(CpuError::Outside { what });
            }
        }
        let top = request.taps.iter().map(|tap| tap.layer).max().ok_or(CpuError::NoTaps)?;
        if top > self.deepest {
            return Err(CpuError::TooDeep(top, self.deepest));
        }
        let shape = self.shape(top, height, width);
        if shape.height == 0 || shape.width == 0 {
            return Err(CpuError::NoCells { layer: top, height, width });
        }
        Ok(top)
    }
}

impl<'n> Pass<'n> {
    pub(super) fn shape(&self, layer: Layer) -> Shape {
        self.network.shape(layer, self.height, self.width)
    }

    pub(super) fn tap(&self, layer: Layer) -> Option<TapRequest> {
        // Two requests for one layer are as good as one for both.
        self.taps.iter().filter(|t| t.layer == layer).copied().reduce(|a, b| TapRequest {
            layer,
            moments: a.moments || b.moments,
            features: a.features || b.features,
        })
    }

    /// Convolution, ReLU and pooling to one layer; returns the map that the next layer reads.
    fn convolve(&mut self, layer: Layer, top: Layer, previous: Option<&Map>) -> Option<Map> {
        let network = self.network;
        let (shape, cache) = (self.shape(layer), &network.cache);
        let source = match previous {
            Some(map) => Source::Map(map),
            None => Source::First(&network.first, &self.pixels),
        };
        let job = Convolution {
            isa: network.isa,
            cache,
            source: Some((source, &network.forward[layer.index() - 1])),
            height: shape.height,
            width: shape.width,
            outputs: shape.channels,
            area: self.areas.forward(layer),
        };
        let bias = &network.biases[layer.index()];
        let pooled = layer.is_before_pool() && layer != top;
        let out_shape = if pooled {
            Shape { height: shape.height / 2, width: shape.width / 2, ..shape }
        } else {
            shape
        };
        let out_area = if pooled { job.area.halved() } else { job.area };
        let mut out = Map::new(cache, out_shape).of(out_area);
        let mut mask =
            self.keep.then(|| Mask::new(cache, out_shape, if pooled { 4 } else { 1 }).of(out_area));
        let mut full =
            (pooled && self.tap(layer).is_some()).then(|| Map::new(cache, shape).of(job.area));
        network.timed(layer, Stage::Forward, || {
            job.run(if pooled {
                Sink::Pooled {
                    bias,
                    pooling: network.pooling,
                    out: &mut out,
                    mask: mask.as_mut(),
                    full: full.as_mut(),
                }
            } else {
                Sink::Relu { bias, out: &mut out, mask: mask.as_mut() }
            });
        });
        self.masks[layer.index()] = mask;
        self.maps[layer.index()] = full;
        Some(out)
    }

    /// A map that no layer reads any more: statistics, and kept if wanted.
    fn settle(&mut self, layer: Layer, map: Map) {
        let Some(tap) = self.tap(layer) else { return };
        self.maps[layer.index()] = Some(map);
        self.sum(layer);
        if !self.keep && !tap.features {
            self.maps[layer.index()] = None;
        }
    }

    /// Statistics of a tap.
    fn sum(&mut self, layer: Layer) {
        if !self.tap(layer).is_some_and(|tap| tap.moments) {
            return;
        }
        let network = self.network;
        let features = match &self.maps[layer.index()] {
            Some(map) => gram::Features::Map(map),
            None => gram::Features::First(&network.first, &self.pixels),
        };
        let cells = self.core_cells(layer);
        let (product_scale, feature_scale) = network.scales(layer);
        let job = gram::Summation {
            isa: network.isa,
            cache: &network.cache,
            features,
            rows: cells.top..cells.top + cells.height,
            columns: cells.left..cells.left + cells.width,
            side: GRID / layer.stride(),
            product_scale,
            feature_scale,
        };
        let sums = network.timed(layer, Stage::Moments, || job.run());
        let count = (cells.height * cells.width) as u64;
        let units = (1.0 / f64::from(product_scale), 1.0 / f64::from(feature_scale));
        self.moments[layer.index()] =
            Some(Moments::new(self.shape(layer).channels, count, sums, units.0, units.1));
    }

    /// The core in the region's cells at a layer.
    pub fn core_cells(&self, layer: Layer) -> Rect {
        let stride = layer.stride();
        let shape = self.shape(layer);
        let end = |start: usize, length: usize, whole: usize, cells: usize| {
            if start + length == whole { cells } else { ((start + length) / stride).min(cells) }
        };
        let (top, left) = (self.core.top / stride, self.core.left / stride);
        let bottom = end(self.core.top, self.core.height, self.height, shape.height);
        let right = end(self.core.left, self.core.width, self.width, shape.width);
        Rect { top, left, height: bottom.saturating_sub(top), width: right.saturating_sub(left) }
    }

    /// Statistics of a tap over the core's cells.
    ///
    /// # Errors
    /// If they were not requested.
    pub fn moments(&self, layer: Layer) -> Result<&Moments, CpuError> {
        self.moments
            .get(layer.index())
            .and_then(Option::as_ref)
            .ok_or(CpuError::NotRequested(layer))
    }

    /// Takes the statistics of a tap out of the pass.
    ///
    /// # Errors
    /// If they were not requested.
    pub fn take_moments(&mut self, layer: Layer) -> Result<Moments, CpuError> {
        self.moments
            .get_mut(layer.index())
            .and_then(Option::take)
            .ok_or(CpuError::NotRequested(layer))
    }

    /// Runs `work` on the features of a tap, computing those of relu1_1.
    fn with_map<R>(&self, layer: Layer, work: impl FnOnce(&Map) -> R) -> Result<R, CpuError> {
        let wanted = self.tap(layer).is_some_and(|tap| tap.features || self.keep);
        match self.maps.get(layer.index()) {
            Some(Some(map)) if wanted => Ok(work(map)),
            Some(None) if wanted && layer.index() == 0 => {
                Ok(work(&self.network.first.map(&self.network.cache, &self.pixels)))
            }
            _ => Err(CpuError::NotRequested(layer)),
        }
    }

    /// A copy of the core's features.
    ///
    /// # Errors
    /// If they were not requested.
    pub fn features(&self, layer: Layer) -> Result<Features, CpuError> {
        self.with_map(layer, |map| Features::copy(layer, map, self.core_cells(layer)))?
    }

    /// `sum (F - P)^2` over the core's cells: one sum for each 64x64-px block of the core, in
    /// raster order.
    ///
    /// # Errors
    /// If the features were not requested, or the target does not cover the core.
    pub fn content_loss(&self, layer: Layer, target: ContentTarget) -> Result<Vec<f64>, CpuError> {
        let cells = self.core_cells(layer);
        target.check(
            layer,
            self.shape(layer).channels,
            cells.top + cells.height,
            cells.left + cells.width,
        )?;
        let offset = (target.top, target.left);
        self.with_map(layer, |map| {
            squared_distances(map, cells, GRID / layer.stride(), &target.features.map, offset)
        })
    }
}
