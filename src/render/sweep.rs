//! The whole image's loss and gradient, tile by tile.
//!
//! Two sweeps: the first adds up every core's statistics, from which the loss's derivatives follow; the second runs each
//! tile forward and backward with them and keeps the gradient of the core's pixels. A canvas that is one tile runs
//! forward once. The result does not depend on the tiling beyond rounding (Galerne et al. 2024).

use std::collections::BTreeMap;

use candle_core::Tensor;

use crate::event::Losses;
use crate::geometry::Rect;
use crate::network::{Features, Layer, Moments, Network, NetworkError, Pass, Request, TapGradient};
use crate::objective::{Spec, StyleGradient, StyleLoss, StyleTargets, TapStatistics, total_variation};
use crate::tensor::HostView;
use crate::tiling::{Grid, Margins, Tile};

/// The photograph's features at the content taps, over the whole canvas.
pub struct ContentTarget {
    taps: BTreeMap<Layer, Features>,
}

/// The weighted loss at one tap.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct TapLoss {
    /// The content term here.
    pub content: f64,
    /// The style terms here.
    pub style: StyleLoss,
}

/// The loss at one canvas and its gradient.
pub struct Evaluation {
    /// The terms, weighted.
    pub losses: Losses,
    /// The terms by tap, weighted.
    pub taps: BTreeMap<Layer, TapLoss>,
    /// `dL/dx`, float32 `[3, H, W]`.
    pub gradient: Tensor,
}

/// Everything that evaluating a canvas of one size takes.
pub struct Sweep<'a> {
    network: Option<&'a dyn Network>,
    spec: &'a Spec,
    targets: StyleTargets,
    content: ContentTarget,
    grid: Grid,
    margins: Margins,
}

impl<'a> Sweep<'a> {
    /// Prepares evaluations on `grid`: `content` is the photograph at the canvas's size, float32 `[3, H, W]`, RGB 0..1,
    /// whose features are computed here. `network` may be missing when only the variation counts.
    ///
    /// # Errors
    /// When the canvas is too small for a tap or the device fails.
    pub fn new(
        network: Option<&'a dyn Network>,
        spec: &'a Spec,
        targets: StyleTargets,
        content: Option<&Tensor>,
        grid: Grid,
    ) -> Result<Self, NetworkError> {
        let taps = spec.content_taps().chain(spec.style_taps()).map(|(layer, _)| (layer.reach(), layer.stride()));
        // A loss without taps never looks at the network.
        let network = network.filter(|_| spec.deepest().is_some());
        let margins = Margins::for_taps(taps);
        let margins = if grid.core.is_multiple_of(crate::tiling::EXACT_ALIGNMENT) { margins.aligned() } else { margins };
        let mut sweep = Self { network, spec, targets, content: ContentTarget { taps: BTreeMap::new() }, grid, margins };
        if let (Some(network), Some(content)) = (network, content) {
            sweep.content = sweep.content_target(network, content)?;
        }
        Ok(sweep)
    }

    /// Takes other margins than the taps ask for: too small ones show in the result, which is how tests know that the
    /// right ones are needed.
    pub fn with_margins(mut self, margins: Margins) -> Self {
        self.margins = margins;
        self
    }

    fn content_target(&self, network: &dyn Network, content: &Tensor) -> Result<ContentTarget, NetworkError> {
        let layers: Vec<Layer> = self.spec.content_taps().map(|(layer, _)| layer).collect();
        let mut taps = BTreeMap::new();
        if layers.is_empty() {
            return Ok(ContentTarget { taps });
        }
        for tile in self.grid.tiles() {
            let region = self.region(&tile, self.margins.features);
            let core = tile.core.relative_to(&region);
            let request = Request { moments: vec![], features: layers.clone(), gradients: vec![], core, keep: false };
            let pass = network.forward(&crop(content, region)?, &request)?;
            for &layer in &layers {
                let features = pass.features(layer)?;
                let canvas = Rect::whole(self.grid.width, self.grid.height).cells(layer.stride());
                let place = tile.core.cells(layer.stride());
                match taps.entry(layer) {
                    std::collections::btree_map::Entry::Vacant(entry) if place == canvas => {
                        entry.insert(features);
                    }
                    std::collections::btree_map::Entry::Vacant(entry) => {
                        entry.insert(features.blank(canvas.width, canvas.height)?).paste(&features, place)?;
                    }
                    std::collections::btree_map::Entry::Occupied(mut entry) => entry.get_mut().paste(&features, place)?,
                }
            }
        }
        Ok(ContentTarget { taps })
    }

    /// A tile with its margin: the whole canvas where the grid has one tile.
    fn region(&self, tile: &Tile, margin: usize) -> Rect {
        tile.region(margin, self.grid.width, self.grid.height)
    }

    /// The loss and its gradient at `canvas`, float32 `[3, H, W]`.
    ///
    /// # Errors
    /// When the device fails.
    pub fn evaluate(&self, canvas: &Tensor) -> Result<Evaluation, NetworkError> {
        let mut taps: BTreeMap<Layer, TapLoss> = BTreeMap::new();
        let mut gradient = match self.network {
            Some(network) if self.grid.len() == 1 => self.whole(network, canvas, &mut taps)?,
            Some(network) => self.tiled(network, canvas, &mut taps)?,
            None => canvas.zeros_like()?,
        };
        let mut variation = 0.0;
        if self.spec.variation_weight > 0.0 {
            let (value, slope) = total_variation(canvas, self.spec.variation_weight)?;
            variation = value;
            gradient = (gradient + slope)?;
        }
        let content = taps.values().map(|tap| tap.content).sum();
        let style = taps.values().map(|tap| tap.style.total()).sum();
        Ok(Evaluation { losses: Losses::new(content, style, variation), taps, gradient })
    }

    fn whole(&self, network: &dyn Network, canvas: &Tensor, taps: &mut BTreeMap<Layer, TapLoss>) -> Result<Tensor, NetworkError> {
        let core = Rect::whole(self.grid.width, self.grid.height);
        let request = Request { keep: true, ..self.request(core) };
        let pass = network.forward(canvas, &request)?;
        let moments = request.moments.iter().map(|layer| Ok((*layer, pass.moments(*layer)?))).collect::<Result<_, NetworkError>>()?;
        let style = self.style_gradients(&moments, taps)?;
        self.add_content(pass.as_ref(), &core, taps)?;
        self.backward(pass, core, &style)
    }

    fn tiled(&self, network: &dyn Network, canvas: &Tensor, taps: &mut BTreeMap<Layer, TapLoss>) -> Result<Tensor, NetworkError> {
        let mut moments: BTreeMap<Layer, Moments> = BTreeMap::new();
        for tile in self.grid.tiles() {
            let region = self.region(&tile, self.margins.features);
            let request = self.request(tile.core.relative_to(&region));
            let pass = network.forward(&crop(canvas, region)?, &request)?;
            for layer in &request.moments {
                let sums = pass.moments(*layer)?;
                match moments.entry(*layer) {
                    std::collections::btree_map::Entry::Vacant(entry) => {
                        entry.insert(sums);
                    }
                    std::collections::btree_map::Entry::Occupied(mut entry) => entry.get_mut().merge(&sums)?,
                }
            }
        }
        let style = self.style_gradients(&moments, taps)?;
        let mut gradient = vec![0f32; 3 * self.grid.width * self.grid.height];
        for tile in self.grid.tiles() {
            let region = self.region(&tile, self.margins.gradient);
            let core = tile.core.relative_to(&region);
            let request = self.request(core);
            let request = Request { moments: vec![], gradients: request.moments, keep: true, ..request };
            let pass = network.forward(&crop(canvas, region)?, &request)?;
            self.add_content(pass.as_ref(), &region, taps)?;
            let part = self.backward(pass, region, &style)?;
            paste_core(&mut gradient, &self.grid, &part, region, tile.core)?;
        }
        Ok(Tensor::from_vec(gradient, canvas.shape(), canvas.device())?)
    }

    fn request(&self, core: Rect) -> Request {
        let moments = self.spec.style_taps().map(|(layer, _)| layer).collect();
        let features = self.content.taps.keys().copied().collect();
        Request { moments, features, gradients: vec![], core, keep: false }
    }

    /// The style terms' values, added to `taps`, and their gradients.
    fn style_gradients(
        &self,
        moments: &BTreeMap<Layer, Moments>,
        taps: &mut BTreeMap<Layer, TapLoss>,
    ) -> Result<Vec<StyleGradient>, NetworkError> {
        let mut gradients = Vec::new();
        for (layer, sums) in moments {
            let statistics = TapStatistics::from_moments(sums)?;
            if let Some((loss, gradient)) = self.targets.compare(self.spec, *layer, &statistics, sums.cells() as f64)? {
                taps.entry(*layer).or_default().style = loss;
                gradients.push(gradient);
            }
        }
        Ok(gradients)
    }

    /// Adds a tile's share of the content terms.
    fn add_content(&self, pass: &dyn Pass, region: &Rect, taps: &mut BTreeMap<Layer, TapLoss>) -> Result<(), NetworkError> {
        for (layer, weight) in self.spec.content_taps() {
            let Some(target) = self.content.taps.get(&layer) else { continue };
            let sum: f64 = pass.content_distance(layer, target, origin(region, layer))?.into_iter().sum();
            taps.entry(layer).or_default().content += weight * sum / self.values(layer, target) as f64;
        }
        Ok(())
    }

    /// Values of a content tap over the whole canvas.
    fn values(&self, layer: Layer, target: &Features) -> usize {
        target.channels() * Rect::whole(self.grid.width, self.grid.height).cells(layer.stride()).area()
    }

    fn backward(&self, pass: Box<dyn Pass + '_>, region: Rect, style: &[StyleGradient]) -> Result<Tensor, NetworkError> {
        let mut contents = Vec::new();
        for (layer, weight) in self.spec.content_taps() {
            if let Some(target) = self.content.taps.get(&layer) {
                let scale = (2.0 * weight / self.values(layer, target) as f64) as f32;
                contents.push(TapGradient::Content { layer, target, origin: origin(&region, layer), scale });
            }
        }
        let style = style.iter().map(|g| TapGradient::Affine { layer: g.layer, matrix: &g.matrix, offset: &g.offset });
        let gradients: Vec<TapGradient<'_>> = style.chain(contents).collect();
        pass.backward(&gradients)
    }
}

/// Where a region's first cell lies on the whole canvas's map of a layer: row, column.
fn origin(region: &Rect, layer: Layer) -> (usize, usize) {
    (region.top / layer.stride(), region.left / layer.stride())
}

/// A rectangle of pixels of a canvas `[3, H, W]`; the canvas itself when the rectangle is all of it.
fn crop(canvas: &Tensor, rect: Rect) -> candle_core::Result<Tensor> {
    let (_, height, width) = canvas.dims3()?;
    if rect == Rect::whole(width, height) {
        return Ok(canvas.clone());
    }
    canvas.narrow(1, rect.top, rect.height)?.narrow(2, rect.left, rect.width)?.contiguous()
}

/// Copies the core's part of a region's gradient into the whole one.
fn paste_core(whole: &mut [f32], grid: &Grid, part: &Tensor, region: Rect, core: Rect) -> candle_core::Result<()> {
    let view = HostView::new(part)?;
    let part = view.values();
    let inside = core.relative_to(&region);
    for channel in 0..3 {
        for row in 0..core.height {
            let from = (channel * region.height + inside.top + row) * region.width + inside.left;
            let to = (channel * grid.height + core.top + row) * grid.width + core.left;
            whole[to..to + core.width].copy_from_slice(&part[from..from + core.width]);
        }
    }
    Ok(())
}
