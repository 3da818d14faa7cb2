//! Rounds of visits: every tile of a layout is optimised on its own from one snapshot of the
//! canvas, and the tiles are blended into the next canvas.
//!
//! What a tile optimises is the mode's ([`super::blocks`], [`super::feathered`]); the rest is
//! shared and here. A visit depends on the snapshot, the photograph and the whole image's
//! statistics only, and a finished tile is a file of its own, so the order of tiles, the number of
//! workers and an interruption change nothing. Canvases are in files; memory holds the tiles in
//! flight.

use std::collections::BTreeMap;
use std::ops::Range;

use candle_core::{Device, Tensor};

use crate::event::CancellationToken;
use crate::event::Losses;
use crate::geometry::{GRID, Rect};
use crate::network::{Features, Layer, Margins, Moments, Network, NetworkError, Request};
use crate::objective::{Spec, StyleTargets, TapStatistics};
use crate::optimise::{Lbfgs, Outcome};
use crate::plan::Visits;
use crate::render::devices::ordered::Queue;
use crate::render::devices::worker_pool::WorkerPool;
use crate::render::error::RenderError;
use crate::render::exact::sweep::TapLoss;
use crate::render::rounds::blocks::BlockObjective;
use crate::render::rounds::feathered::{FeatheredObjective, alone};
use crate::tensor::HostView;
use crate::tiling::{Layout, Pixels};

/// Mean movement of a value in the first step of a visit after the first round, as a part of the
/// canvas's range: a twentieth of an optimiser's own, which is meant for canvases far from any
/// optimum and would undo much of the round before.
const LATER_MOVE: f64 = 0.0005;

/// What the tiles of a level optimise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The whole image's loss as if the rest moved as the tile does.
    Blocks,
    /// The tile's own loss, as if it were a picture of its own.
    Feathered,
}

/// How much of the frozen picture around its free pixels a tile of blocks mode sees.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Context {
    /// What the features of the free pixels depend on (80 px for relu5_1). The gradient is exact in
    /// the tile's inside and slightly off towards its edges, where the neighbours' windows take
    /// over; a third cheaper at cores of 512 px.
    #[default]
    Features,
    /// What the gradient of the free pixels depends on (160 px): where the whole image's loss is
    /// stationary, no tile moves.
    Gradient,
}

/// What all visits of a level share.
pub struct RoundContext<'a> {
    /// What the tiles optimise.
    pub kind: Kind,
    /// Who computes. The result does not depend on how many they are.
    pub workers: &'a WorkerPool<'a>,
    /// The loss.
    pub spec: &'a Spec,
    /// The paintings' statistics.
    pub targets: &'a StyleTargets,
    /// The photograph at the canvas's size.
    pub photograph: &'a dyn Pixels,
    /// Core, overlap, rounds and evaluations.
    pub visits: Visits,
    /// What a tile of blocks mode sees around it.
    pub context: Context,
    /// What every step of a tile's optimiser is multiplied with, usually 1.
    pub learning_rate: f64,
}

/// The whole image at the beginning of a round.
#[derive(Clone, Debug, Default)]
pub struct ImageStatistics {
    /// The canvas's statistics by style tap.
    pub statistics: BTreeMap<Layer, TapStatistics>,
    /// The weighted losses by tap.
    pub taps: BTreeMap<Layer, TapLoss>,
    /// The weighted losses.
    pub losses: Losses,
}

/// A tile after its visit.
#[derive(Clone, Debug, PartialEq)]
pub struct TileResult {
    /// The tile's free pixels on the canvas.
    pub area: Rect,
    /// Their values, `[3, area.height, area.width]`.
    pub pixels: Vec<f32>,
    /// Evaluations done.
    pub evaluations: usize,
    /// Side of the cores that the tile was computed in, px, when the memory did not hold it in one
    /// piece.
    pub halved: Option<usize>,
}

/// A tile's loss and its gradient with respect to the tile's free pixels.
pub(crate) trait TileObjective {
    /// Evaluates the free pixels, float32 `[3, h, w]`.
    fn evaluate(&mut self, free: &Tensor) -> Result<(f64, Tensor), NetworkError>;

    /// Side of the cores it is computed in, px, when the memory did not hold the tile in one piece.
    fn core(&self) -> Option<usize>;
}

impl RoundContext<'_> {
    /// The tiles of round `round`, counted from 0: every second round is shifted by half a core.
    pub fn layout(&self, round: usize) -> Layout {
        Layout::new(
            self.photograph.size(),
            self.visits.core,
            self.visits.overlap,
            !round.is_multiple_of(2),
        )
    }

    /// How far a tile must see beyond the pixels that count for exact features, and for exact
    /// gradients.
    pub(crate) fn margins(&self) -> Margins {
        let taps = self.spec.content_taps().chain(self.spec.style_taps());
        Margins::exact(taps.map(|(layer, _)| layer))
    }

    /// Cells of a layer over the whole canvas.
    pub(crate) fn cells(&self, layer: Layer) -> f64 {
        let (width, height) = self.photograph.size();
        Rect::whole(width, height).cells(layer.stride()).area() as f64
    }

    /// Visits tile `tile` of round `round` with a worker's `network`: reads its surroundings from
    /// the snapshot, moves its free pixels by its own L-BFGS and returns the best that was found;
    /// nothing when `cancellation` was requested on the way.
    ///
    /// # Errors
    /// When the snapshot cannot be read or the device fails, or the loss is not a number at the
    /// snapshot.
    pub fn visit(
        &self,
        network: Option<&dyn Network>,
        snapshot: &dyn Pixels,
        round: usize,
        tile: usize,
        whole: &ImageStatistics,
        cancellation: &CancellationToken,
    ) -> Result<Option<TileResult>, RenderError> {
        let area = self.layout(round).free(tile);
        let own = alone(self, area);
        let mut objective = self.objective(network, snapshot, area, &own, whole)?;
        let start = tensor_for(network, snapshot.read(area)?, area)?;
        let mut optimiser =
            Lbfgs::new(start, self.visits.history).with_learning_rate(self.learning_rate);
        if round > 0 {
            optimiser = optimiser.with_first_move(LATER_MOVE);
        }
        let mut evaluations = 0;
        while evaluations < self.visits.visit {
            if cancellation.is_cancelled() {
                return Ok(None);
            }
            let (loss, gradient) = objective.evaluate(optimiser.next_point())?;
            evaluations += 1;
            match optimiser.advance(loss, gradient)?.outcome {
                Outcome::Accepted | Outcome::Rejected => {}
                Outcome::Stationary => break,
                Outcome::Hopeless => return Err(RenderError::TileNotFinite { area }),
            }
        }
        let best = optimiser.best_point().to_device(&Device::Cpu)?;
        let pixels = HostView::new(&best)?.values().to_vec();
        Ok(Some(TileResult { area, pixels, evaluations, halved: objective.core() }))
    }

    fn objective<'b>(
        &'b self,
        network: Option<&'b dyn Network>,
        snapshot: &dyn Pixels,
        area: Rect,
        alone: &'b Spec,
        whole: &'b ImageStatistics,
    ) -> Result<Box<dyn TileObjective + 'b>, RenderError> {
        Ok(match self.kind {
            Kind::Blocks => Box::new(BlockObjective::new(self, network, snapshot, area, whole)?),
            Kind::Feathered => Box::new(FeatheredObjective::new(self, network, alone, area)?),
        })
    }

    /// A tile's loss and its gradient, `[3, h, w]`, at some values of its free pixels, of which the
    /// first are the snapshot's: what a visit would see there.
    ///
    /// # Errors
    /// When the snapshot cannot be read or the device fails.
    pub fn tile_losses(
        &self,
        snapshot: &dyn Pixels,
        layout: &Layout,
        tile: usize,
        whole: &ImageStatistics,
        points: &[Vec<f32>],
    ) -> Result<Vec<(f64, Tensor)>, RenderError> {
        let area = layout.free(tile);
        let own = alone(self, area);
        let mut values = vec![];
        let work = |network: Option<&dyn Network>, _, _| {
            let mut objective = self.objective(network, snapshot, area, &own, whole)?;
            points
                .iter()
                .map(|point| Ok(objective.evaluate(&tensor_for(network, point.clone(), area)?)?))
                .collect()
        };
        self.workers.each(Queue::Shared(1), work, |_, found: Vec<(f64, Tensor)>| {
            values = found;
            Ok::<_, RenderError>(true)
        })?;
        Ok(values)
    }

    /// The statistics and losses of the whole canvas, gathered tile by tile in the order of
    /// `layout`.
    ///
    /// # Errors
    /// When the canvas cannot be read or the device fails.
    pub fn measure(
        &self,
        canvas: &dyn Pixels,
        layout: &Layout,
    ) -> Result<ImageStatistics, RenderError> {
        self.measure_tiles(canvas, layout, 0..layout.len())
    }

    /// [`RoundContext::measure`] over some of the tiles: their statistics as if they were the canvas.
    ///
    /// # Errors
    /// As [`RoundContext::measure`].
    pub fn measure_tiles(
        &self,
        canvas: &dyn Pixels,
        layout: &Layout,
        tiles: Range<usize>,
    ) -> Result<ImageStatistics, RenderError> {
        let mut moments: BTreeMap<Layer, Moments> = BTreeMap::new();
        let mut distances: BTreeMap<Layer, (f64, usize)> = BTreeMap::new();
        let mut variation = 0.0;
        self.workers.each(
            Queue::Shared(tiles.len()),
            |network, _, index| {
                self.measure_tile(network, canvas, layout.core(tiles.start + index))
            },
            |_, part: TileMeasure| {
                for (layer, sums) in part.moments {
                    match moments.get_mut(&layer) {
                        Some(total) => total.merge(&sums)?,
                        None => drop(moments.insert(layer, sums)),
                    }
                }
                for (layer, sum, channels) in part.distances {
                    let total = distances.entry(layer).or_insert((0.0, channels));
                    total.0 += sum;
                }
                variation += part.variation;
                Ok::<_, RenderError>(true)
            },
        )?;
        self.workers.install(|| self.whole(&moments, &distances, variation))
    }

    /// The whole image's losses from its sums.
    fn whole(
        &self,
        moments: &BTreeMap<Layer, Moments>,
        distances: &BTreeMap<Layer, (f64, usize)>,
        variation: f64,
    ) -> Result<ImageStatistics, RenderError> {
        let mut whole = ImageStatistics::default();
        for (layer, sums) in moments {
            let statistics = TapStatistics::from_moments(sums)?;
            if let Some((loss, _)) =
                self.targets.compare(self.spec, *layer, &statistics, sums.cells() as f64)?
            {
                whole.taps.entry(*layer).or_default().style = loss;
            }
            whole.statistics.insert(*layer, statistics);
        }
        for (layer, weight) in self.spec.content_taps() {
            if let Some((sum, channels)) = distances.get(&layer) {
                whole.taps.entry(layer).or_default().content =
                    weight * sum / (*channels as f64 * self.cells(layer));
            }
        }
        let content = whole.taps.values().map(|tap| tap.content).sum();
        let style = whole.taps.values().map(|tap| tap.style.total()).sum();
        whole.losses = Losses::new(content, style, self.spec.variation_weight * variation);
        Ok(whole)
    }

    /// A core's sums; where the memory does not hold it, those of its quarters.
    fn measure_tile(
        &self,
        network: Option<&dyn Network>,
        canvas: &dyn Pixels,
        core: Rect,
    ) -> Result<TileMeasure, RenderError> {
        match self.measure_core(network, canvas, core) {
            Err(RenderError::Network(error))
                if error.is_out_of_memory() && core.width.max(core.height) > GRID =>
            {
                let mut sum = TileMeasure::default();
                for quarter in quarters(core) {
                    sum.add(self.measure_tile(network, canvas, quarter)?)?;
                }
                Ok(sum)
            }
            done => done,
        }
    }

    fn measure_core(
        &self,
        network: Option<&dyn Network>,
        canvas: &dyn Pixels,
        core: Rect,
    ) -> Result<TileMeasure, RenderError> {
        let (width, height) = self.photograph.size();
        let mut part = TileMeasure::default();
        if self.spec.variation_weight > 0.0 {
            let seen = Rect {
                width: (core.width + 1).min(width - core.left),
                height: (core.height + 1).min(height - core.top),
                ..core
            };
            part.variation = variation_of(&canvas.read(seen)?, seen, core);
        }
        let Some(network) = network else { return Ok(part) };
        let region = core.grown(self.margins().features, width, height);
        let inside = core.relative_to(&region);
        let has_cells = |layer: &Layer| inside.cells(layer.stride()).area() > 0;
        let contents = self.photograph_features(network, region)?;
        let request = Request {
            moments: self.spec.style_taps().map(|(layer, _)| layer).collect(),
            features: contents.iter().map(|(layer, _)| *layer).collect(),
            gradient: Some(Rect::whole(0, 0)),
            ..Request::over(inside)
        };
        let pass = network.forward(&tensor(canvas.read(region)?, region)?, &request)?;
        for layer in &request.moments {
            part.moments.push((*layer, pass.moments(*layer)?.to_device(&Device::Cpu)?));
        }
        for (layer, target) in contents.iter().filter(|(layer, _)| has_cells(layer)) {
            let sum: f64 = pass.content_distance(*layer, target, (0, 0))?.into_iter().sum();
            part.distances.push((*layer, sum, target.channels()));
        }
        Ok(part)
    }

    /// The photograph's features at the content taps over all cells of a region.
    fn photograph_features(
        &self,
        network: &dyn Network,
        region: Rect,
    ) -> Result<Vec<(Layer, Features)>, RenderError> {
        let layers: Vec<Layer> = self.spec.content_taps().map(|(layer, _)| layer).collect();
        if layers.is_empty() {
            return Ok(vec![]);
        }
        let core = Rect::whole(region.width, region.height);
        let request = Request { features: layers.clone(), ..Request::over(core) };
        let pass = network.forward(&tensor(self.photograph.read(region)?, region)?, &request)?;
        Ok(layers
            .into_iter()
            .map(|layer| Ok((layer, pass.features(layer)?)))
            .collect::<Result<_, NetworkError>>()?)
    }
}

/// A tile's share of the whole image's sums.
#[derive(Default)]
struct TileMeasure {
    moments: Vec<(Layer, Moments)>,
    /// Layer, sum of squared distances, channels.
    distances: Vec<(Layer, f64, usize)>,
    variation: f64,
}

impl TileMeasure {
    fn add(&mut self, other: TileMeasure) -> Result<(), NetworkError> {
        for (layer, sums) in other.moments {
            match self.moments.iter_mut().find(|(tap, _)| *tap == layer) {
                Some((_, total)) => total.merge(&sums)?,
                None => self.moments.push((layer, sums)),
            }
        }
        for (layer, sum, channels) in other.distances {
            match self.distances.iter_mut().find(|(tap, ..)| *tap == layer) {
                Some((_, total, _)) => *total += sum,
                None => self.distances.push((layer, sum, channels)),
            }
        }
        self.variation += other.variation;
        Ok(())
    }
}

/// A rectangle cut in both directions, each cut on a multiple of 64 px from its corner.
fn quarters(core: Rect) -> Vec<Rect> {
    let cut = |start: usize, length: usize| {
        let half = (length / 2).next_multiple_of(GRID).min(length);
        [(start, half), (start + half, length - half)].into_iter().filter(|(_, length)| *length > 0)
    };
    let row = |(top, height)| {
        cut(core.left, core.width).map(move |(left, width)| Rect { left, top, width, height })
    };
    cut(core.top, core.height).flat_map(row).collect()
}

/// The core's share of the sum that [`crate::objective::total_variation`] weighs: differences to
/// the right and downwards. `values` are those of `seen`, which is the core and, where the canvas
/// goes on, one more column and row.
fn variation_of(values: &[f32], seen: Rect, core: Rect) -> f64 {
    let mut sum = 0.0;
    for channel in values.chunks(seen.area().max(1)) {
        for y in 0..core.height {
            for x in 0..core.width {
                let here = channel[y * seen.width + x];
                if x + 1 < seen.width {
                    sum += f64::from((here - channel[y * seen.width + x + 1]).abs());
                }
                if y + 1 < seen.height {
                    sum += f64::from((here - channel[(y + 1) * seen.width + x]).abs());
                }
            }
        }
    }
    255.0 * sum
}

/// Values of a rectangle as a tensor where a network computes.
pub(crate) fn tensor_for(
    network: Option<&dyn Network>,
    values: Vec<f32>,
    rect: Rect,
) -> candle_core::Result<Tensor> {
    tensor(values, rect)?.to_device(&network.map_or(Device::Cpu, |network| network.device()))
}

/// Values of a rectangle as a tensor.
pub(crate) fn tensor(values: Vec<f32>, rect: Rect) -> candle_core::Result<Tensor> {
    Tensor::from_vec(values, (3, rect.height, rect.width), &Device::Cpu)
}
