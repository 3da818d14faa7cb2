//! Forward and backward sweeps over one picture, tile by tile.
//!
//! The first sweep adds up what the losses need: every core's statistics and its distance to the
//! photograph. The second brings gradients at the taps back to the pixels, each tile forward once
//! more and then backward. As many tiles as memory allows (and always the last, or the only one)
//! are kept from the first sweep and run backward only in the second. Both sweeps see the same
//! regions, tiles go to workers as they come free, and results are added in the order of tiles:
//! neither what is kept nor the workers change a bit. The module knows margins, no weights of any
//! loss.

use std::collections::{BTreeMap, VecDeque, btree_map::Entry};

use candle_core::{Device, Tensor};
use parking_lot::Mutex;

use crate::geometry::{GRID, Rect};
use crate::network::{
    Features, Layer, Margins, Moments, Network, NetworkError, Pass, Request, TapGradient,
};
use crate::objective::StyleGradient;
use crate::render::devices::ordered::Queue;
use crate::render::devices::worker_pool::WorkerPool;
use crate::tensor::HostView;
use crate::tiling::{Grid, Tile};

/// Cores are not halved below this side, px: a smaller tile would be margin almost only.
const LEAST_CORE: usize = GRID;

/// One picture's tiles, taps and workers.
pub(crate) struct Tiled<'a> {
    workers: WorkerPool<'a>,
    styles: Vec<Layer>,
    contents: BTreeMap<Layer, Features>,
    grid: Grid,
    margin: usize,
    keep: usize,
    /// The pixels whose gradient is wanted.
    wanted: Rect,
    same_bits: bool,
}

/// What the first sweep adds up.
#[derive(Default)]
pub(crate) struct Sums {
    /// By style tap.
    pub(crate) moments: BTreeMap<Layer, Moments>,
    /// By content tap, the sum of squared differences over all cells.
    pub(crate) distances: BTreeMap<Layer, f64>,
}

/// The last tiles' forward sweeps, each with the worker that holds it.
#[derive(Default)]
pub(crate) struct Kept<'t>(Vec<(usize, Box<dyn Pass + 't>)>);

/// A tile's share of the sums.
struct Part {
    moments: Vec<(Layer, Moments)>,
    /// By layer, one sum for each square of [`GRID`] px of the core.
    distances: Vec<(Layer, Vec<f64>)>,
}

impl<'a> Tiled<'a> {
    /// Tiles of `grid` for statistics at `styles` and content at `contents`.
    pub(crate) fn new(
        workers: WorkerPool<'a>,
        styles: Vec<Layer>,
        contents: &[Layer],
        grid: Grid,
    ) -> Self {
        let margin = Margins::exact(styles.iter().chain(contents).copied()).gradient;
        let wanted = Rect::whole(grid.width, grid.height);
        Self {
            workers,
            styles,
            contents: BTreeMap::new(),
            grid,
            margin,
            keep: 0,
            wanted,
            same_bits: false,
        }
    }

    /// Takes margins so wide, and computes so much of them, that no byte depends on the core, for
    /// taps up to `deepest` and cores that are multiples of 64 px.
    pub(crate) fn bitwise(self, deepest: Option<Layer>) -> Self {
        Self { margin: Margins::bitwise(deepest).gradient, same_bits: true, ..self }
    }

    /// Takes another margin than the taps ask for.
    pub(crate) fn with_margin(self, margin: usize) -> Self {
        Self { margin, ..self }
    }

    /// Says where the gradient is wanted, if not everywhere: elsewhere it is zero or unspecified.
    pub(crate) fn with_wanted(self, wanted: Rect) -> Self {
        Self { wanted, ..self }
    }

    /// Says how many tiles the first sweep keeps for the second.
    pub(crate) fn keeping(self, keep: usize) -> Self {
        Self { keep, ..self }
    }

    /// The first tile that is kept. A worker by itself has the last one in its hands anyway.
    fn first_kept(&self) -> usize {
        let least = usize::from(self.workers.len() == 1 || self.grid.len() == 1);
        self.grid.len().saturating_sub(self.keep.max(least))
    }

    /// The photograph's features at the content taps.
    pub(crate) fn set_contents(&mut self, contents: BTreeMap<Layer, Features>) {
        self.contents = contents;
    }

    pub(crate) fn contents(&self) -> &BTreeMap<Layer, Features> {
        &self.contents
    }

    pub(crate) fn grid(&self) -> Grid {
        self.grid
    }

    pub(crate) fn workers(&self) -> &WorkerPool<'a> {
        &self.workers
    }

    /// Cuts into tiles of half the core after a failure for memory, keeping nothing between the
    /// sweeps; false when they are as small as is sensible.
    pub(crate) fn halve(&mut self) -> bool {
        let Grid { width, height, core } = self.grid;
        let half = (core.min(width.max(height)) / 2).next_multiple_of(GRID);
        if half < LEAST_CORE || half >= core.min(width.max(height)) {
            return false;
        }
        self.grid = Grid::new(width, height, half);
        self.keep = 0;
        true
    }

    /// Does `work`, and again with half the core whenever it fails for memory.
    ///
    /// # Errors
    /// Those of `work`, memory's only when halving does not help.
    pub(crate) fn halving<R>(
        &mut self,
        work: impl Fn(&Self) -> Result<R, NetworkError>,
    ) -> Result<R, NetworkError> {
        loop {
            match work(self) {
                Err(error) if error.is_out_of_memory() && self.halve() => {}
                done => return done,
            }
        }
    }

    /// A picture's features at `layers`, over all cells.
    ///
    /// # Errors
    /// When the picture is too small for a layer or the device fails.
    pub(crate) fn features(
        &self,
        picture: &Tensor,
        layers: &[Layer],
    ) -> Result<BTreeMap<Layer, Features>, NetworkError> {
        let mut taps: BTreeMap<Layer, Features> = BTreeMap::new();
        if layers.is_empty() || !self.workers.has_network() {
            return Ok(taps);
        }
        let work = |network: Option<&dyn Network>, _, index| {
            let tile = self.grid.tile(index);
            let region = self.region(&tile);
            let core = tile.core.relative_to(&region);
            let layers: Vec<Layer> =
                layers.iter().copied().filter(|layer| has_cells(&core, *layer)).collect();
            if layers.is_empty() {
                return Ok(vec![]);
            }
            let request = Request {
                features: layers.clone(),
                gradient: Some(Rect::whole(0, 0)),
                bitwise: self.same_bits,
                ..Request::over(core)
            };
            let pass = some(network).forward(&crop(picture, region)?, &request)?;
            layers
                .iter()
                .map(|layer| Ok((*layer, pass.features(*layer)?)))
                .collect::<Result<Vec<_>, NetworkError>>()
        };
        let canvas = Rect::whole(self.grid.width, self.grid.height);
        self.workers.each(Queue::Shared(self.grid.len()), work, |index, parts| {
            for (layer, features) in parts {
                let features: Features = features.to_device(picture.device())?;
                let (canvas, place) = (
                    canvas.cells(layer.stride()),
                    self.grid.tile(index).core.cells(layer.stride()),
                );
                match taps.entry(layer) {
                    Entry::Vacant(entry) if place == canvas => drop(entry.insert(features)),
                    Entry::Vacant(entry) => entry
                        .insert(features.blank(canvas.width, canvas.height)?)
                        .paste(&features, place)?,
                    Entry::Occupied(mut entry) => entry.get_mut().paste(&features, place)?,
                }
            }
            Ok(true)
        })?;
        match layers.iter().find(|layer| !taps.contains_key(layer)) {
            Some(layer) => Err(NetworkError::NoCells { layer: *layer }),
            None => Ok(taps),
        }
    }

    /// The first sweep over `picture`, float32 `[3, H, W]`.
    ///
    /// # Errors
    /// When the device fails.
    pub(crate) fn statistics<'t>(
        &'t self,
        picture: &Tensor,
    ) -> Result<(Sums, Kept<'t>), NetworkError> {
        let mut sums = Sums::default();
        let mut squares: BTreeMap<Layer, BTreeMap<(usize, usize), f64>> = BTreeMap::new();
        let mut kept = Vec::new();
        let work = |network: Option<&'t dyn Network>, worker, index| {
            let tile = self.grid.tile(index);
            let (region, keep) = (self.region(&tile), index >= self.first_kept());
            let pass = some(network)
                .forward(&crop(picture, region)?, &self.request(&tile, &region, true, keep))?;
            let part = self.part(pass.as_ref(), &tile, &region)?;
            Ok((part, keep.then_some((worker, pass))))
        };
        self.workers.each(Queue::Shared(self.grid.len()), work, |index, (part, pass)| {
            kept.extend(pass);
            for (layer, moments) in part.moments {
                let moments = moments.to_device(picture.device())?;
                match sums.moments.entry(layer) {
                    Entry::Vacant(entry) => drop(entry.insert(moments)),
                    Entry::Occupied(mut entry) => entry.get_mut().merge(&moments)?,
                }
            }
            let core = self.grid.tile(index).core;
            for (layer, distances) in part.distances {
                let columns =
                    core.cells(layer.stride()).width.div_ceil(GRID / layer.stride()).max(1);
                let squares = squares.entry(layer).or_default();
                for (i, sum) in distances.into_iter().enumerate() {
                    *squares
                        .entry((core.top / GRID + i / columns, core.left / GRID + i % columns))
                        .or_default() += sum;
                }
            }
            Ok::<_, NetworkError>(true)
        })?;
        // Square by square over the canvas: the sum does not depend on the tiles.
        sums.distances = squares
            .into_iter()
            .map(|(layer, squares)| (layer, squares.into_values().sum()))
            .collect();
        Ok((sums, Kept(kept)))
    }

    /// The second sweep: the gradient at `picture`, float32 `[3, H, W]`, of `style`'s terms and,
    /// for each content tap, of half `scales` times the squared differences.
    ///
    /// # Errors
    /// When the device fails.
    pub(crate) fn gradient<'t>(
        &'t self,
        picture: &Tensor,
        mut kept: Kept<'t>,
        style: &[StyleGradient],
        scales: &BTreeMap<Layer, f32>,
    ) -> Result<Tensor, NetworkError> {
        let first = self.grid.len() - kept.0.len();
        let mut left: Vec<usize> = (0..first).collect();
        if self.grid.len() == 1
            && let Some((worker, pass)) = kept.0.pop()
        {
            let region = Rect::whole(self.grid.width, self.grid.height);
            match self.workers.install(|| self.backward(pass, &region, style, scales)) {
                Err(error) if self.workers.lose(worker, &error) => left.push(0),
                done => return Ok(done?.to_device(picture.device())?),
            }
        }
        let mut gradient = Assembly::new(&self.grid, picture.device());
        let mut paste = |index: usize, part: Tensor| {
            let tile = self.grid.tile(index);
            gradient.put(&tile, self.region(&tile), &part)?;
            Ok::<_, NetworkError>(true)
        };
        // What is kept goes first: it gives its memory back.
        let (queue, passes) = kept.share(self.workers.len());
        let backward = |_: Option<&'t dyn Network>, worker, index: usize| {
            let pass = passes[index].lock().take().expect("each pass is asked for once");
            match self.backward(pass, &self.region(&self.grid.tile(first + index)), style, scales) {
                // What a device kept goes with it.
                Err(error) if self.workers.lose(worker, &error) => Ok(None),
                done => done.map(Some),
            }
        };
        self.workers.each(queue, backward, |index, part| match part {
            Some(part) => paste(first + index, part),
            None => {
                left.push(first + index);
                Ok(true)
            }
        })?;
        let both = |network: Option<&'t dyn Network>, _, place: usize| {
            let tile = self.grid.tile(left[place]);
            let region = self.region(&tile);
            let pass = some(network)
                .forward(&crop(picture, region)?, &self.request(&tile, &region, false, true))?;
            self.backward(pass, &region, style, scales)
        };
        self.workers
            .each(Queue::Shared(left.len()), both, |place, part| paste(left[place], part))?;
        Ok(gradient.finish()?)
    }

    /// A tile with its margin: the whole picture where the grid has one tile.
    fn region(&self, tile: &Tile) -> Rect {
        tile.region(self.margin, self.grid.width, self.grid.height)
    }

    fn request(&self, tile: &Tile, region: &Rect, sums: bool, keep: bool) -> Request {
        let core = tile.core.relative_to(region);
        let (mut moments, mut features) =
            (vec![], self.contents.keys().copied().collect::<Vec<_>>());
        if sums {
            moments.clone_from(&self.styles);
        } else {
            features.extend(&self.styles);
        }
        let gradient = Some(self.wanted_of(tile, region));
        Request { moments, features, core, gradient, bitwise: self.same_bits, keep }
    }

    /// The pixels of a tile's core whose gradient is wanted, as seen from its region. The same in
    /// both sweeps, so that what is kept changes no bit.
    fn wanted_of(&self, tile: &Tile, region: &Rect) -> Rect {
        let wanted = tile.core.intersection(&self.wanted);
        if wanted.area() == 0 { Rect::whole(0, 0) } else { wanted.relative_to(region) }
    }

    fn part(&self, pass: &dyn Pass, tile: &Tile, region: &Rect) -> Result<Part, NetworkError> {
        let inside = |layer: &Layer| has_cells(&tile.core.relative_to(region), *layer);
        let moments = self
            .styles
            .iter()
            .copied()
            .filter(inside)
            .map(|layer| Ok((layer, pass.moments(layer)?)));
        let contents = self.contents.iter().filter(|(layer, _)| inside(layer));
        let distances = contents.map(|(layer, target)| {
            Ok((*layer, pass.content_distance(*layer, target, origin(region, *layer))?))
        });
        Ok(Part {
            moments: moments.collect::<Result<_, NetworkError>>()?,
            distances: distances.collect::<Result<_, NetworkError>>()?,
        })
    }

    fn backward(
        &self,
        pass: Box<dyn Pass + '_>,
        region: &Rect,
        style: &[StyleGradient],
        scales: &BTreeMap<Layer, f32>,
    ) -> Result<Tensor, NetworkError> {
        let contents = self.contents.iter().filter_map(|(layer, target)| {
            let scale = *scales.get(layer)?;
            Some(TapGradient::Content {
                layer: *layer,
                target,
                origin: origin(region, *layer),
                scale,
            })
        });
        let style = style.iter().map(|g| TapGradient::Affine {
            layer: g.layer,
            matrix: &g.matrix,
            offset: &g.offset,
        });
        let gradients: Vec<TapGradient<'_>> = style.chain(contents).collect();
        pass.backward(&gradients)
    }
}

/// Passes by tile, each taken once.
type Passes<'t> = Vec<Mutex<Option<Box<dyn Pass + 't>>>>;

impl<'t> Kept<'t> {
    /// Each pass goes back to the worker that holds it.
    fn share(self, workers: usize) -> (Queue, Passes<'t>) {
        let mut queues = vec![VecDeque::new(); workers];
        self.0.iter().enumerate().for_each(|(index, (worker, _))| queues[*worker].push_back(index));
        (Queue::Own(queues), self.0.into_iter().map(|(_, pass)| Mutex::new(Some(pass))).collect())
    }
}

fn some(network: Option<&dyn Network>) -> &dyn Network {
    network.expect("only losses with taps come here, and they have a network")
}

fn has_cells(core: &Rect, layer: Layer) -> bool {
    core.cells(layer.stride()).area() > 0
}

/// Where a region's first cell lies on the whole picture's map of a layer: row, column.
fn origin(region: &Rect, layer: Layer) -> (usize, usize) {
    (region.top / layer.stride(), region.left / layer.stride())
}

/// A rectangle of pixels of a picture `[3, H, W]`; the picture itself when the rectangle is all of
/// it.
fn crop(picture: &Tensor, rect: Rect) -> candle_core::Result<Tensor> {
    let (_, height, width) = picture.dims3()?;
    if rect == Rect::whole(width, height) {
        return Ok(picture.clone());
    }
    picture.narrow(1, rect.top, rect.height)?.narrow(2, rect.left, rect.width)?.contiguous()
}

/// The whole gradient, put together from the tiles' cores where the canvas is.
enum Assembly<'g> {
    /// In this machine's memory: one vector that is written into.
    Host { grid: &'g Grid, values: Vec<f32> },
    /// On a device: the cores by tile, joined at the end.
    Device { grid: &'g Grid, device: &'g Device, cores: Vec<Option<Tensor>> },
}

impl<'g> Assembly<'g> {
    fn new(grid: &'g Grid, device: &'g Device) -> Self {
        match device {
            Device::Cpu => {
                Assembly::Host { grid, values: vec![0f32; 3 * grid.width * grid.height] }
            }
            _ => Assembly::Device { grid, device, cores: vec![None; grid.len()] },
        }
    }

    /// Takes the core's part of a region's gradient.
    fn put(&mut self, tile: &Tile, region: Rect, part: &Tensor) -> candle_core::Result<()> {
        match self {
            Assembly::Host { grid, values } => {
                paste_core(values, grid, &part.to_device(&Device::Cpu)?, region, tile.core)
            }
            Assembly::Device { device, cores, .. } => {
                cores[tile.index] =
                    Some(crop(part, tile.core.relative_to(&region))?.to_device(device)?);
                Ok(())
            }
        }
    }

    /// `[3, H, W]`.
    fn finish(self) -> candle_core::Result<Tensor> {
        match self {
            Assembly::Host { grid, values } => {
                Tensor::from_vec(values, (3, grid.height, grid.width), &Device::Cpu)
            }
            Assembly::Device { grid, cores, .. } => {
                let mut rows: BTreeMap<usize, Vec<Tensor>> = BTreeMap::new();
                for (index, core) in cores.into_iter().enumerate() {
                    rows.entry(grid.tile(index).core.top).or_default().extend(core);
                }
                let rows: Vec<Tensor> = rows
                    .into_values()
                    .map(|row| Tensor::cat(&row, 2))
                    .collect::<candle_core::Result<_>>()?;
                Tensor::cat(&rows, 1)
            }
        }
    }
}

/// Copies the core's part of a region's gradient into the whole one.
fn paste_core(
    whole: &mut [f32],
    grid: &Grid,
    part: &Tensor,
    region: Rect,
    core: Rect,
) -> candle_core::Result<()> {
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
