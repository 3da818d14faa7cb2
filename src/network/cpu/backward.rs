//! The backward sweep: from the deepest tap to the pixels.

use super::Stage;
use super::forward::CpuPass;
use crate::geometry::Rect;
use crate::kernels::convolve::{self, Affine, Convolution, Difference, Sink, Source, Tap};
use crate::kernels::map::{Map, Mask, Shape};
use crate::memory::{self, NoMemory};
use crate::network::areas;
use crate::network::error::NetworkError;
use crate::network::layer::Layer;
use crate::network::request::TapGradient;
use crate::tensor::HostView;

/// The gradients of one tap, ready for the kernels.
#[derive(Default)]
struct PreparedTap<'a> {
    affine: Option<Affine>,
    difference: Option<Difference<'a>>,
}

/// The gradient on its way: before the ReLU of a layer, or of the pooled features of a layer.
enum Gradient {
    Full(Map),
    Pooled(Map, Mask),
}

impl CpuPass<'_> {
    /// The gradient with respect to the pixels: `[3, height, width]`, RGB, per unit of 0..1; only
    /// where it is added.
    ///
    /// # Errors
    /// If nothing was kept, a gradient's layer is not a tap, or its sizes do not fit.
    pub(super) fn sweep_back(
        mut self,
        gradients: &[TapGradient<'_>],
    ) -> Result<Vec<f32>, NetworkError> {
        if !self.request.keep {
            return Err(NetworkError::NotKept);
        }
        let Some(deepest) = gradients.iter().map(TapGradient::layer).max() else {
            return Ok(memory::zeros(3 * self.height * self.width)?);
        };
        let mut taps = self.prepare(gradients)?;
        let above = (deepest.index() + 1).min(self.maps.len());
        self.maps.truncate(above);
        let mut gradient = None;
        for &layer in Layer::ALL[..=deepest.index()].iter().rev() {
            let tap = std::mem::take(&mut taps[layer.index()]);
            gradient = Some(self.enter(layer, gradient, tap)?);
            self.maps[layer.index()] = None;
        }
        let Some(Gradient::Full(map)) = gradient else {
            unreachable!("relu1_1 is not followed by pooling")
        };
        Ok(self.to_pixels(&map)?)
    }

    fn prepare<'a>(
        &self,
        gradients: &[TapGradient<'a>],
    ) -> Result<Vec<PreparedTap<'a>>, NetworkError> {
        let mut taps: Vec<PreparedTap> =
            std::iter::repeat_with(PreparedTap::default).take(Layer::ALL.len()).collect();
        for gradient in gradients {
            let layer = gradient.layer();
            if !self.request.holds(layer) {
                return Err(NetworkError::NotRequested(layer));
            }
            let (shape, tap) = (self.shape(layer), &mut taps[layer.index()]);
            let twice = match *gradient {
                TapGradient::Affine { matrix, offset, .. } => {
                    let (matrix, offset) = (HostView::new(matrix)?, HostView::new(offset)?);
                    let channels = shape.channels;
                    let entries = channels * channels;
                    sized("entries of the gradient's matrix", entries, matrix.values())?;
                    sized("entries of the gradient's offset", channels, offset.values())?;
                    let affine = Affine::new(self.network.isa, matrix.values(), offset.values());
                    tap.affine.replace(affine).is_some()
                }
                TapGradient::Content { target, origin, scale, .. } => {
                    let cells = (shape.height, shape.width);
                    let target = target.map(layer, shape.channels, origin, cells)?;
                    let (top, left) = origin;
                    tap.difference.replace(Difference { target, top, left, scale }).is_some()
                }
            };
            if twice {
                return Err(NetworkError::Twice(layer));
            }
        }
        Ok(taps)
    }

    /// The gradient before the ReLU of `layer`: what comes from the layer above, and what the tap
    /// adds.
    fn enter(
        &mut self,
        layer: Layer,
        above: Option<Gradient>,
        added: PreparedTap,
    ) -> Result<Gradient, NoMemory> {
        let network = self.network;
        let (shape, area) = (self.shape(layer), self.areas.backward(layer));
        let mask = self.masks[layer.index()].take();
        let is_tap = added.affine.is_some() || added.difference.is_some();
        let features = match &self.maps[layer.index()] {
            Some(map) => Some(convolve::Features::Map(map)),
            None if layer.index() == 0 => {
                Some(convolve::Features::First(&network.first, &self.pixels))
            }
            None => None,
        };
        let tap = features.filter(|_| is_tap || layer.index() == 0).map(|features| Tap {
            features,
            affine: added.affine.as_ref(),
            difference: added.difference,
        });
        let Some(above) = above else {
            // The deepest tap: nothing comes from above.
            let mut out = Map::new(&network.cache, shape)?.of(area);
            let mask = mask.filter(|m| m.words == 1);
            network.timed(layer, Stage::Backward, || {
                self.follow(shape, None, &mut out, mask.as_ref(), tap)
            })?;
            return Ok(Gradient::Full(out));
        };
        let next = Layer::ALL[layer.index() + 1];
        if !layer.is_before_pool() {
            let mut out = Map::new(&network.cache, shape)?.of(area);
            network.timed(next, Stage::Backward, || {
                self.follow(shape, Some((&above, next)), &mut out, mask.as_ref(), tap)
            })?;
            return Ok(Gradient::Full(out));
        }
        let pooled_shape = shape.halved();
        let windows = areas::windows(area, (pooled_shape.width, pooled_shape.height));
        let mut pooled = Map::new(&network.cache, pooled_shape)?.of(windows);
        network.timed(next, Stage::Backward, || {
            self.convolution(pooled_shape, windows, Some((&above, next)))
                .run(Sink::Plain { out: &mut pooled })
        })?;
        drop(above);
        let mask = mask.expect("a pass that keeps has the mask of every pooled layer");
        if !is_tap {
            return Ok(Gradient::Pooled(pooled, mask));
        }
        // A tap before a pooling layer: its own gradient is of all cells, so the pooled one is
        // spread out first.
        let mut out = Map::new(&network.cache, shape)?.of(area);
        network.timed(layer, Stage::Backward, || {
            self.follow(shape, None, &mut out, None, tap)?;
            convolve::add_unpooled(&mut out, &pooled, &mask);
            Ok(())
        })?;
        Ok(Gradient::Full(out))
    }

    fn follow(
        &self,
        shape: Shape,
        above: Option<(&Gradient, Layer)>,
        out: &mut Map,
        mask: Option<&Mask>,
        tap: Option<Tap>,
    ) -> Result<(), NoMemory> {
        self.convolution(shape, out.valid, above).run(Sink::Masked { out, mask, tap })
    }

    fn convolution<'a>(
        &'a self,
        shape: Shape,
        area: Rect,
        above: Option<(&'a Gradient, Layer)>,
    ) -> Convolution<'a> {
        let source = above.map(|(gradient, layer)| {
            let source = match gradient {
                Gradient::Full(map) => Source::Map(map),
                Gradient::Pooled(map, mask) => Source::Unpooled(map, mask),
            };
            (source, &self.network.backward[layer.index()])
        });
        Convolution {
            isa: self.network.isa,
            cache: &self.network.cache,
            source,
            height: shape.height,
            width: shape.width,
            outputs: shape.channels,
            area,
        }
    }

    fn to_pixels(&self, gradient: &Map) -> Result<Vec<f32>, NoMemory> {
        let mut out = memory::zeros(3 * self.height * self.width)?;
        let job = Convolution {
            isa: self.network.isa,
            cache: &self.network.cache,
            source: Some((Source::Map(gradient), &self.network.backward[0])),
            height: self.height,
            width: self.width,
            outputs: 3,
            area: self.areas.pixels(),
        };
        self.network
            .timed(Layer::ALL[0], Stage::Backward, || job.run(Sink::Pixels { out: &mut out }))?;
        Ok(out)
    }
}

/// Whether there are as many values as expected.
fn sized(what: &'static str, expected: usize, values: &[f32]) -> Result<(), NetworkError> {
    let found = values.len();
    if found == expected { Ok(()) } else { Err(NetworkError::Size { what, expected, found }) }
}
