//! The backward sweep: from the deepest tap to the pixels.

use super::{CpuError, Features, Pass, Rect, Stage};
use crate::kernels::convolve::{self, Affine, Convolution, Difference, Sink, Source, Tap};
use crate::kernels::map::{Map, Mask, Shape};
use crate::network::layer::Layer;

/// Features to come close to, and where the region lies in them.
#[derive(Clone, Copy)]
pub struct ContentTarget<'a> {
    /// The features of the whole canvas or a part of it.
    pub features: &'a Features,
    /// Row of the target at the region's first row of cells.
    pub top: usize,
    /// Column of the target at the region's first column of cells.
    pub left: usize,
}

impl ContentTarget<'_> {
    /// Whether it is of that layer and covers so many rows and columns of the region.
    pub(super) fn check(
        &self,
        layer: Layer,
        channels: usize,
        rows: usize,
        columns: usize,
    ) -> Result<(), CpuError> {
        if self.features.layer() != layer {
            return Err(CpuError::NotRequested(self.features.layer()));
        }
        if self.features.channels() != channels {
            return Err(CpuError::Size {
                what: "channels of the target",
                expected: channels,
                found: self.features.channels(),
            });
        }
        let covers = |start: usize, length: usize, whole: usize| {
            start.checked_add(length).is_some_and(|end| end <= whole)
        };
        if !covers(self.top, rows, self.features.height())
            || !covers(self.left, columns, self.features.width())
        {
            return Err(CpuError::Outside { what: "the content target" });
        }
        Ok(())
    }
}

/// What a loss says about a tap: its gradient with respect to the features, at every cell of the
/// region.
#[derive(Clone, Copy)]
pub enum TapGradient<'a> {
    /// `dL/dF = matrix F + offset`.
    Affine {
        /// The tap.
        layer: Layer,
        /// `[C, C]`, symmetric.
        matrix: &'a [f32],
        /// `[C]`.
        offset: &'a [f32],
    },
    /// `dL/dF = scale (F - target)`.
    Content {
        /// The tap.
        layer: Layer,
        /// What to come close to.
        target: ContentTarget<'a>,
        /// Factor.
        scale: f32,
    },
}

impl TapGradient<'_> {
    /// The tap.
    pub fn layer(&self) -> Layer {
        match self {
            Self::Affine { layer, .. } | Self::Content { layer, .. } => *layer,
        }
    }
}

/// The gradients of one tap, ready for the kernels.
#[derive(Default)]
struct Wanted<'a> {
    affine: Option<Affine>,
    difference: Option<Difference<'a>>,
}

/// The gradient on its way: before the ReLU of a layer, or of the pooled features of a layer.
enum Gradient {
    Full(Map),
    Pooled(Map, Mask),
}

impl Pass<'_> {
    /// The gradient with respect to the pixels: `[3, height, width]`, RGB, per unit of 0..1; only
    /// where it is wanted.
    ///
    /// # Errors
    /// If nothing was kept, a gradient's layer is not a tap, or its sizes do not fit.
    pub fn backward(mut self, gradients: &[TapGradient]) -> Result<Vec<f32>, CpuError> {
        if !self.keep {
            return Err(CpuError::NotKept);
        }
        let Some(top) = gradients.iter().map(TapGradient::layer).max() else {
            return Ok(vec![0.0; 3 * self.height * self.width]);
        };
        let mut wanted = self.prepare(gradients)?;
        let above = (top.index() + 1).min(self.maps.len());
        self.maps.truncate(above);
        let mut gradient = None;
        for &layer in Layer::ALL[..=top.index()].iter().rev() {
            gradient =
                Some(self.enter(layer, gradient, std::mem::take(&mut wanted[layer.index()])));
            self.maps[layer.index()] = None;
        }
        let Some(Gradient::Full(map)) = gradient else {
            unreachable!("relu1_1 is not followed by pooling")
        };
        Ok(self.to_pixels(&map))
    }

    fn prepare<'a>(&self, gradients: &[TapGradient<'a>]) -> Result<Vec<Wanted<'a>>, CpuError> {
        let mut wanted: Vec<Wanted> =
            std::iter::repeat_with(Wanted::default).take(Layer::ALL.len()).collect();
        for gradient in gradients {
            let layer = gradient.layer();
            self.tap(layer).ok_or(CpuError::NotRequested(layer))?;
            let shape = self.shape(layer);
            let slot = &mut wanted[layer.index()];
            match *gradient {
                TapGradient::Affine { matrix, offset, .. } => {
                    let channels = shape.channels;
                    if matrix.len() != channels * channels {
                        let (expected, found) = (channels * channels, matrix.len());
                        return Err(CpuError::Size {
                            what: "entries of the gradient's matrix",
                            expected,
                            found,
                        });
                    }
                    if offset.len() != channels {
                        return Err(CpuError::Size {
                            what: "entries of the gradient's offset",
                            expected: channels,
                            found: offset.len(),
                        });
                    }
                    let affine = Affine::new(self.network.isa, matrix, offset);
                    if slot.affine.replace(affine).is_some() {
                        return Err(CpuError::Twice(layer));
                    }
                }
                TapGradient::Content { target, scale, .. } => {
                    target.check(layer, shape.channels, shape.height, shape.width)?;
                    let difference = Difference {
                        target: &target.features.map,
                        top: target.top,
                        left: target.left,
                        scale,
                    };
                    if slot.difference.replace(difference).is_some() {
                        return Err(CpuError::Twice(layer));
                    }
                }
            }
        }
        Ok(wanted)
    }

    /// The gradient before the ReLU of `layer`: what comes from the layer above, and what the tap
    /// adds.
    fn enter(&mut self, layer: Layer, above: Option<Gradient>, wanted: Wanted) -> Gradient {
        let network = self.network;
        let (shape, area) = (self.shape(layer), self.areas.backward(layer));
        let mask = self.masks[layer.index()].take();
        let is_tap = wanted.affine.is_some() || wanted.difference.is_some();
        let features = match &self.maps[layer.index()] {
            Some(map) => Some(convolve::Features::Map(map)),
            None if layer.index() == 0 => {
                Some(convolve::Features::First(&network.first, &self.pixels))
            }
            None => None,
        };
        let tap = features.filter(|_| is_tap || layer.index() == 0).map(|features| Tap {
            features,
            affine: wanted.affine.as_ref(),
            difference: wanted.difference,
        });
        let Some(above) = above else {
            // The deepest tap: nothing comes from above.
            let mut out = Map::new(&network.cache, shape).of(area);
            let mask = mask.filter(|m| m.words == 1);
            network.timed(layer, Stage::Backward, || {
                self.follow(shape, None, &mut out, mask.as_ref(), tap)
            });
            return Gradient::Full(out);
        };
        let next = Layer::ALL[layer.index() + 1];
        if !layer.is_before_pool() {
            let mut out = Map::new(&network.cache, shape).of(area);
            network.timed(next, Stage::Backward, || {
                self.follow(shape, Some((&above, next)), &mut out, mask.as_ref(), tap)
            });
            return Gradient::Full(out);
        }
        let pooled_shape = Shape { height: shape.height / 2, width: shape.width / 2, ..shape };
        let windows = windows(area, pooled_shape);
        let mut pooled = Map::new(&network.cache, pooled_shape).of(windows);
        network.timed(next, Stage::Backward, || {
            self.convolution(pooled_shape, windows, Some((&above, next)))
                .run(Sink::Plain { out: &mut pooled });
        });
        drop(above);
        let mask = mask.expect("a pass that keeps has the mask of every pooled layer");
        if !is_tap {
            return Gradient::Pooled(pooled, mask);
        }
        // A tap before a pooling layer: its own gradient is of all cells, so the pooled one is
        // spread out first.
        let mut out = Map::new(&network.cache, shape).of(area);
        network.timed(layer, Stage::Backward, || {
            self.follow(shape, None, &mut out, None, tap);
            convolve::add_unpooled(&mut out, &pooled, &mask);
        });
        Gradient::Full(out)
    }

    fn follow(
        &self,
        shape: Shape,
        above: Option<(&Gradient, Layer)>,
        out: &mut Map,
        mask: Option<&Mask>,
        tap: Option<Tap>,
    ) {
        self.convolution(shape, out.valid, above).run(Sink::Masked { out, mask, tap });
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

    fn to_pixels(&self, gradient: &Map) -> Vec<f32> {
        let mut out = vec![0.0; 3 * self.height * self.width];
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
            .timed(Layer::ALL[0], Stage::Backward, || job.run(Sink::Pixels { out: &mut out }));
        out
    }
}

/// The windows that touch an area, in tiles of four.
pub(super) fn windows(area: Rect, pooled: Shape) -> Rect {
    let (left, top) = (area.left / 2, area.top / 2);
    let (right, bottom) =
        (area.right().div_ceil(2).min(pooled.width), area.bottom().div_ceil(2).min(pooled.height));
    let touched =
        Rect { left, top, width: right.saturating_sub(left), height: bottom.saturating_sub(top) };
    touched.aligned(4, pooled.width, pooled.height)
}
