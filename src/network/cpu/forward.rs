//! The forward sweep and what it leaves behind.

use super::memory::sweep_bytes;
use super::{CpuNetwork, Stage};
use crate::geometry::{GRID, Rect};
use crate::kernels::convolve::{Convolution, Sink, Source};
use crate::kernels::distance::squared_distances;
use crate::kernels::first::Pixels;
use crate::kernels::gram;
use crate::kernels::map::{Map, Mask, Shape};
use crate::memory::NoMemory;
use crate::network::areas::Areas;
use crate::network::error::NetworkError;
use crate::network::features::Features;
use crate::network::layer::Layer;
use crate::network::moments::Moments;
use crate::network::request::{Request, TapGradient};
use crate::network::{Network, Pass, VGG_MEAN_RGB};
use crate::tensor::HostView;
use candle_core::{Device, Tensor};

/// Features, statistics and, if asked for, what the way back needs.
pub(super) struct CpuPass<'n> {
    pub(super) network: &'n CpuNetwork,
    pub(super) pixels: Pixels,
    pub(super) height: usize,
    pub(super) width: usize,
    pub(super) request: Request,
    pub(super) areas: Areas,
    /// By layer; relu1_1 is never here.
    pub(super) maps: Vec<Option<Map>>,
    pub(super) masks: Vec<Option<Mask>>,
    moments: Vec<Option<Moments>>,
}

impl Network for CpuNetwork {
    fn forward<'a>(
        &'a self,
        pixels: &Tensor,
        request: &Request,
    ) -> Result<Box<dyn Pass + 'a>, NetworkError> {
        let (height, width) = request.check(pixels)?;
        let deepest = self.check(height, width, request)?;
        let threads = rayon::current_num_threads();
        self.cache.reserve(sweep_bytes(&self.channels, (width, height), request, threads).peak)?;
        let (view, count) = (HostView::new(pixels)?, deepest.index() + 1);
        let mut pass = CpuPass {
            network: self,
            pixels: Pixels::new(&self.cache, view.values(), VGG_MEAN_RGB, (height, width))?,
            height,
            width,
            request: request.clone(),
            areas: Areas::of(deepest, (width, height), request),
            maps: std::iter::repeat_with(|| None).take(count).collect(),
            masks: std::iter::repeat_with(|| None).take(count).collect(),
            moments: vec![None; count],
        };
        pass.sweep(deepest)?;
        Ok(Box::new(pass))
    }

    fn release(&self) {
        self.clear();
    }
}

impl CpuNetwork {
    fn check(&self, height: usize, width: usize, request: &Request) -> Result<Layer, NetworkError> {
        let layer = request.deepest().ok_or(NetworkError::NoTaps)?;
        if layer > self.deepest {
            return Err(NetworkError::TooDeep { layer, deepest: self.deepest });
        }
        if layer.cells(height.min(width)) == 0 {
            return Err(NetworkError::NoCells { layer });
        }
        Ok(layer)
    }
}

impl CpuPass<'_> {
    fn sweep(&mut self, deepest: Layer) -> Result<(), NoMemory> {
        let mut previous: Option<Map> = None;
        self.sum(Layer::ALL[0])?;
        for &layer in &Layer::ALL[1..=deepest.index()] {
            let next = self.convolve(layer, deepest, previous.as_ref())?;
            let before = Layer::ALL[layer.index() - 1];
            // The map just read stays only if somebody asked for it.
            if let Some(map) = previous.take()
                && !before.is_before_pool()
            {
                self.settle(before, map)?;
            }
            if layer.is_before_pool() && layer != deepest {
                self.sum(layer)?;
                if !self.request.holds(layer) {
                    self.maps[layer.index()] = None;
                }
            }
            previous = Some(next);
        }
        previous.map_or(Ok(()), |map| self.settle(deepest, map))
    }

    pub(super) fn shape(&self, layer: Layer) -> Shape {
        self.network.shape(layer, self.height, self.width)
    }

    /// Convolution, ReLU and pooling to one layer; returns the map that the next layer reads.
    fn convolve(
        &mut self,
        layer: Layer,
        deepest: Layer,
        previous: Option<&Map>,
    ) -> Result<Map, NoMemory> {
        let network = self.network;
        let (shape, cache, keep) = (self.shape(layer), &network.cache, self.request.keep);
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
        let pooled = layer.is_before_pool() && layer != deepest;
        let out_shape = if pooled { shape.halved() } else { shape };
        let out_area = if pooled { job.area.halved() } else { job.area };
        let mut out = Map::new(cache, out_shape)?.of(out_area);
        let words = if pooled { 4 } else { 1 };
        let mask = keep.then(|| Mask::new(cache, out_shape, words)).transpose()?;
        let mut mask = mask.map(|mask| mask.of(out_area));
        let full = pooled && self.request.names(layer);
        let full = full.then(|| Map::new(cache, shape)).transpose()?;
        let mut full = full.map(|full| full.of(job.area));
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
            })
        })?;
        self.masks[layer.index()] = mask;
        self.maps[layer.index()] = full;
        Ok(out)
    }

    /// A map that no layer reads any more: statistics, and held if wanted.
    fn settle(&mut self, layer: Layer, map: Map) -> Result<(), NoMemory> {
        if !self.request.names(layer) {
            return Ok(());
        }
        self.maps[layer.index()] = Some(map);
        self.sum(layer)?;
        if !self.request.holds(layer) {
            self.maps[layer.index()] = None;
        }
        Ok(())
    }

    /// Statistics of a tap.
    fn sum(&mut self, layer: Layer) -> Result<(), NoMemory> {
        if !self.request.moments.contains(&layer) {
            return Ok(());
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
            rows: cells.top..cells.bottom(),
            columns: cells.left..cells.right(),
            side: GRID / layer.stride(),
            product_scale,
            feature_scale,
        };
        let sums = network.timed(layer, Stage::Moments, || job.run())?;
        let units = (1.0 / f64::from(product_scale), 1.0 / f64::from(feature_scale));
        let (channels, count) = (self.shape(layer).channels, cells.area() as u64);
        self.moments[layer.index()] = Some(Moments::from_integers(channels, count, sums, units));
        Ok(())
    }

    fn core_cells(&self, layer: Layer) -> Rect {
        self.request.core.cells(layer.stride())
    }

    /// Runs `work` on the features of a tap, computing those of relu1_1.
    fn with_map<R>(&self, layer: Layer, work: impl FnOnce(&Map) -> R) -> Result<R, NetworkError> {
        let held = self.request.holds(layer);
        match self.maps.get(layer.index()) {
            Some(Some(map)) if held => Ok(work(map)),
            Some(None) if held && layer.index() == 0 => {
                Ok(work(&self.network.first.map(&self.network.cache, &self.pixels)?))
            }
            _ => Err(NetworkError::NotRequested(layer)),
        }
    }
}

impl Pass for CpuPass<'_> {
    fn moments(&self, layer: Layer) -> Result<Moments, NetworkError> {
        let moments = self.moments.get(layer.index()).and_then(Option::as_ref);
        moments.cloned().ok_or(NetworkError::NotRequested(layer))
    }

    fn features(&self, layer: Layer) -> Result<Features, NetworkError> {
        self.with_map(layer, |map| Features::from_map(layer, map, self.core_cells(layer)))?
    }

    fn content_distance(
        &self,
        layer: Layer,
        target: &Features,
        origin: (usize, usize),
    ) -> Result<Vec<f64>, NetworkError> {
        let cells = self.core_cells(layer);
        let shape = (cells.height, cells.width);
        let target = target.map(layer, self.shape(layer).channels, origin, shape)?;
        let side = GRID / layer.stride();
        self.with_map(layer, |map| squared_distances(map, cells, side, target, origin))
    }

    fn backward(self: Box<Self>, gradients: &[TapGradient<'_>]) -> Result<Tensor, NetworkError> {
        let shape = (3, self.height, self.width);
        Ok(Tensor::from_vec(self.sweep_back(gradients)?, shape, &Device::Cpu)?)
    }
}
