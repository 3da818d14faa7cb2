//! Forward sweeps over one canvas, tile by tile.
//!
//! A forward sweep adds up what the losses need: every core's statistics and its distance to the
//! content. As many tiles as memory allows (and always the last, or the only one) are kept for the
//! backward sweep, see [`super::backward`]. Both sweeps see the same regions, tiles go to workers as
//! they come free, and results are added in the order of tiles: neither what is kept nor the workers
//! change a bit.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use super::source::PixelSource;
use super::sums::{SumsBuilder, TileSums};
use crate::geometry::Rect;
use crate::network::{Features, Layer, Margins, Network, NetworkError, Pass, Request};
use crate::objective::ImageSums;
use crate::render::devices::ordered::Queue;
use crate::render::devices::worker_pool::WorkerPool;
use crate::render::error::RenderError;
use crate::tiling::{Grid, Tile};

/// What the content taps are compared with.
pub(crate) enum ContentTargets<'a> {
    /// Features over all cells of the canvas, by tap.
    Held(BTreeMap<Layer, Features>),
    /// Features at these taps, computed tile by tile from the content image: for canvases whose
    /// features memory is not to hold. Only the forward sweep can compare with them.
    Computed(Vec<Layer>, &'a dyn PixelSource),
}

/// The tiles of canvases of one size, and the taps at which they are looked at.
pub(crate) struct TileSweeps<'a> {
    pub(super) workers: WorkerPool<'a>,
    /// Width and height of the canvas, px.
    pub(super) size: (usize, usize),
    pub(super) styles: Vec<Layer>,
    pub(super) contents: ContentTargets<'a>,
    /// How far a tile reaches beyond its core, px.
    margin: usize,
    bitwise: bool,
    /// The pixels whose gradient is wanted.
    free: Rect,
    /// The pixels whose cells count.
    counted: Rect,
}

/// The last tiles' forward sweeps, each with the worker that holds it.
#[derive(Default)]
pub(crate) struct KeptPasses<'t>(pub(super) Vec<(usize, Box<dyn Pass + 't>)>);

impl<'a> TileSweeps<'a> {
    /// Forward and backward sweeps over canvases of `size` with statistics at `styles`.
    pub(crate) fn new(
        workers: WorkerPool<'a>,
        size: (usize, usize),
        styles: Vec<Layer>,
        margins: Margins,
    ) -> Self {
        Self {
            workers,
            size,
            styles,
            contents: ContentTargets::Held(BTreeMap::new()),
            margin: margins.gradient,
            bitwise: margins.bitwise,
            free: Rect::whole(size.0, size.1),
            counted: Rect::whole(size.0, size.1),
        }
    }

    /// Forward sweeps alone, with the narrower margins that features need.
    pub(crate) fn forward_only(
        workers: WorkerPool<'a>,
        size: (usize, usize),
        styles: Vec<Layer>,
        margins: Margins,
    ) -> Self {
        let (margin, free) = (margins.features, Rect::whole(0, 0));
        Self { margin, free, ..Self::new(workers, size, styles, margins) }
    }

    /// Limits the gradient to some pixels: elsewhere it is zero or unspecified.
    pub(crate) fn with_free(self, free: Rect) -> Self {
        Self { free, ..self }
    }

    /// Limits the sums to the cells of some pixels, whose corner is a multiple of 16 px.
    pub(crate) fn with_counted(self, counted: Rect) -> Self {
        Self { counted, ..self }
    }

    /// Compares the content taps with `contents`.
    pub(crate) fn with_contents(self, contents: ContentTargets<'a>) -> Self {
        Self { contents, ..self }
    }

    /// Whether any layer is looked at, by workers that have networks.
    pub(super) fn asks_networks(&self) -> bool {
        let contents = match &self.contents {
            ContentTargets::Held(targets) => targets.is_empty(),
            ContentTargets::Computed(layers, _) => layers.is_empty(),
        };
        self.workers.has_network() && !(contents && self.styles.is_empty())
    }

    pub(crate) fn workers(&self) -> &WorkerPool<'a> {
        &self.workers
    }

    /// A content image's features at `layers`, over all cells, in tiles of `core` px.
    ///
    /// # Errors
    /// When the image is too small for a layer, cannot be read, or the device fails.
    pub(crate) fn content_features(
        &self,
        content: &dyn PixelSource,
        layers: &[Layer],
        core: usize,
    ) -> Result<BTreeMap<Layer, Features>, RenderError> {
        let mut taps: BTreeMap<Layer, Features> = BTreeMap::new();
        if layers.is_empty() || !self.workers.has_network() {
            return Ok(taps);
        }
        let (grid, canvas) = (self.grid(core), Rect::whole(self.size.0, self.size.1));
        let work = |network: Option<&dyn Network>, _, index| {
            let (network, tile) = (required(network), grid.tile(index));
            Ok(self.features_of(network, content, layers, &tile)?.collect::<Result<Vec<_>, _>>()?)
        };
        self.workers.each(Queue::Shared(grid.count()), work, |index, parts| {
            for features in parts {
                let features: Features = features.to_device(&content.device())?;
                let layer = features.layer();
                let place = grid.tile(index).core.cells(layer.stride());
                let whole = canvas.cells(layer.stride());
                if place.area() == 0 {
                    continue;
                }
                if place == whole {
                    taps.insert(layer, features);
                    continue;
                }
                let target = match taps.entry(layer) {
                    Entry::Vacant(entry) => {
                        entry.insert(features.blank(whole.width, whole.height)?)
                    }
                    Entry::Occupied(entry) => entry.into_mut(),
                };
                target.paste(&features, place)?;
            }
            Ok(())
        })?;
        match layers.iter().find(|layer| !taps.contains_key(layer)) {
            Some(layer) => Err(NetworkError::NoCells { layer: *layer }.into()),
            None => Ok(taps),
        }
    }

    /// The mean squares of a content image's features at `layers`, in tiles of `core` px.
    ///
    /// # Errors
    /// When the image cannot be read or the device fails.
    pub(crate) fn content_squares(
        &self,
        content: &dyn PixelSource,
        layers: &[Layer],
        core: usize,
    ) -> Result<BTreeMap<Layer, f64>, RenderError> {
        let (mut sums, grid) = (BTreeMap::<Layer, (f64, f64)>::new(), self.grid(core));
        if layers.is_empty() || !self.workers.has_network() {
            return Ok(BTreeMap::new());
        }
        let work = |network: Option<&dyn Network>, _, index| {
            let tile = grid.tile(index);
            let features = self.features_of(required(network), content, layers, &tile)?;
            let squares = features.map(|features| {
                let features = features?;
                let values: usize = features.shape().iter().product();
                Ok((features.layer(), features.square_sum()?, values as f64))
            });
            Ok(squares.collect::<Result<Vec<_>, NetworkError>>()?)
        };
        self.workers.each(Queue::Shared(grid.count()), work, |_, tile| {
            for (layer, squares, values) in tile {
                let sum = sums.entry(layer).or_default();
                *sum = (sum.0 + squares, sum.1 + values);
            }
            Ok(())
        })?;
        Ok(sums.into_iter().map(|(layer, (squares, values))| (layer, squares / values)).collect())
    }

    /// The forward sweep over `canvas` in tiles of `core` px: sums over the whole image, and the
    /// passes of the last tiles, at most `keep` (and at least the one that a single worker has in
    /// its hands anyway).
    ///
    /// # Errors
    /// When a region cannot be read, the device fails, or the workers are to stop.
    pub(crate) fn statistics<'t>(
        &'t self,
        canvas: &dyn PixelSource,
        core: usize,
        keep: usize,
    ) -> Result<(ImageSums, KeptPasses<'t>), RenderError> {
        let (mut sums, mut kept) = (SumsBuilder::on(canvas.device()), KeptPasses::default());
        if !self.asks_networks() {
            return Ok((sums.finish(), kept));
        }
        let grid = self.grid(core);
        let first_kept = self.first_kept(grid, keep);
        let work = |network: Option<&'t dyn Network>, worker, index| {
            let (network, tile) = (required(network), grid.tile(index));
            let (region, keep) = (self.region(&tile), index >= first_kept);
            let request =
                Request { moments: self.styles.clone(), keep, ..self.request(&tile, &region) };
            let pass = network.forward(&canvas.region(region)?, &request)?;
            let sums = self.sums_of(network, pass.as_ref(), &tile)?;
            Ok((sums, keep.then_some((worker, pass))))
        };
        self.workers.each(Queue::Shared(grid.count()), work, |index, (tile, pass)| {
            kept.0.extend(pass);
            sums.add(self.counted_of(&grid.tile(index)), tile)?;
            Ok(())
        })?;
        Ok((sums.finish(), kept))
    }

    pub(super) fn grid(&self, core: usize) -> Grid {
        Grid::new(self.size.0, self.size.1, core)
    }

    /// The first tile whose pass is kept.
    fn first_kept(&self, grid: Grid, keep: usize) -> usize {
        if self.free.area() == 0 {
            return grid.count();
        }
        let least = usize::from(self.workers.count() == 1 || grid.count() == 1);
        grid.count().saturating_sub(keep.max(least))
    }

    /// A tile with its margin: the whole canvas where the grid has one tile.
    pub(super) fn region(&self, tile: &Tile) -> Rect {
        tile.region(self.margin, self.size.0, self.size.1)
    }

    /// The part of a tile's core whose cells count.
    fn counted_of(&self, tile: &Tile) -> Rect {
        let counted = tile.core.intersection(&self.counted);
        if counted.area() == 0 { Rect { width: 0, height: 0, ..tile.core } } else { counted }
    }

    /// What both sweeps ask of a tile: so what is kept changes no bit.
    pub(super) fn request(&self, tile: &Tile, region: &Rect) -> Request {
        let free = tile.core.intersection(&self.free);
        let gradient = if free.area() == 0 { Rect::whole(0, 0) } else { free.relative_to(region) };
        let features = match &self.contents {
            ContentTargets::Held(targets) => targets.keys().copied().collect(),
            ContentTargets::Computed(layers, _) => layers.clone(),
        };
        Request {
            features,
            gradient: Some(gradient),
            bitwise: self.bitwise,
            ..Request::over(self.counted_of(tile).relative_to(region))
        }
    }

    /// The features of a tile's core, by layer.
    fn features_of(
        &self,
        network: &dyn Network,
        content: &dyn PixelSource,
        layers: &[Layer],
        tile: &Tile,
    ) -> Result<impl Iterator<Item = Result<Features, NetworkError>>, RenderError> {
        let region = self.region(tile);
        let request = Request {
            features: layers.to_vec(),
            gradient: Some(Rect::whole(0, 0)),
            bitwise: self.bitwise,
            ..Request::over(tile.core.relative_to(&region))
        };
        let pass = network.forward(&content.region(region)?, &request)?;
        Ok(request.features.into_iter().map(move |layer| pass.features(layer)))
    }

    fn sums_of(
        &self,
        network: &dyn Network,
        pass: &dyn Pass,
        tile: &Tile,
    ) -> Result<TileSums, RenderError> {
        let moments = self.styles.iter().map(|layer| Ok((*layer, pass.moments(*layer)?)));
        let moments = moments.collect::<Result<_, NetworkError>>()?;
        let distance = |target: &Features, origin| {
            let (layer, channels) = (target.layer(), target.channels() as f64);
            let sums = pass.content_distance(layer, target, origin)?;
            Ok((layer, sums.into_iter().map(|sum| sum / channels).collect()))
        };
        let counted = self.counted_of(tile);
        let distances = match &self.contents {
            ContentTargets::Held(targets) => targets
                .values()
                .map(|target| distance(target, first_cell(&counted, target.layer())))
                .collect::<Result<_, NetworkError>>()?,
            ContentTargets::Computed(layers, _) if layers.is_empty() => vec![],
            ContentTargets::Computed(layers, content) => self
                .features_of(network, *content, layers, tile)?
                .map(|target| distance(&target?, (0, 0)))
                .collect::<Result<_, NetworkError>>()?,
        };
        Ok(TileSums { moments, distances })
    }
}

/// A worker's network: sweeps begin only where there is one.
pub(super) fn required(network: Option<&dyn Network>) -> &dyn Network {
    network.expect("sweeps begin only where the workers have networks")
}

/// Where a rectangle's first cell lies on the whole canvas's map of a layer: row, column.
pub(super) fn first_cell(rect: &Rect, layer: Layer) -> (usize, usize) {
    (rect.top / layer.stride(), rect.left / layer.stride())
}
