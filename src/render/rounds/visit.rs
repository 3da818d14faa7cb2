//! A visit: one tile, moved by an optimiser of its own from the round's snapshot.
//!
//! A visit depends on the snapshot, the content and the whole image's statistics only, so the order
//! of tiles, the number of workers and an interruption change nothing. Canvases are in files; memory
//! holds the tiles in flight.

use candle_core::Device;

use crate::event::CancellationToken;
use crate::geometry::Rect;
use crate::network::Network;
use crate::objective::ImageLoss;
use crate::optimise::Outcome;
use crate::plan::RoundMode;
use crate::render::error::RenderError;
use crate::render::rounds::blocks::BlockObjective;
use crate::render::rounds::context::{RoundContext, TileObjective, pixels_for};
use crate::render::rounds::feathered::FeatheredObjective;
use crate::tensor::HostView;
use crate::tiling::Pixels;

/// Mean movement of a value in the first step of a visit after the first round, as a part of the
/// canvas's range: a tenth of an optimiser's own, which is for canvases far from any optimum and
/// would undo much of the round before.
const LATER_MOVE: f64 = 0.0005;

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

impl RoundContext<'_> {
    /// Visits tile `tile` of round `round` with a worker's `network`: reads its surroundings from
    /// the snapshot, moves its free pixels by an optimiser of its own and returns the best that was
    /// found.
    ///
    /// # Errors
    /// When the snapshot cannot be read or the device fails, or the loss is not a number at the
    /// snapshot; [`RenderError::Cancelled`] when a stop was requested on the way.
    pub fn visit(
        &self,
        network: Option<&dyn Network>,
        snapshot: &dyn Pixels,
        round: usize,
        tile: usize,
        whole: &ImageLoss,
        cancellation: &CancellationToken,
    ) -> Result<TileResult, RenderError> {
        let area = self.layout(round).free(tile);
        let mut objective = self.objective(network, snapshot, area, whole)?;
        let mut optimiser = self.method.start(pixels_for(network, snapshot, area)?);
        if round > 0 {
            optimiser = optimiser.with_first_move(LATER_MOVE);
        }
        let mut evaluations = 0;
        while evaluations < self.visits.visit {
            if cancellation.is_cancelled() {
                return Err(RenderError::Cancelled);
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
        Ok(TileResult { area, pixels, evaluations, halved: objective.core() })
    }

    /// What the pixels of `area` at `snapshot` optimise. The first point evaluated must be the
    /// snapshot's.
    ///
    /// # Errors
    /// When the snapshot cannot be read or the device fails.
    pub fn objective<'b>(
        &'b self,
        network: Option<&'b dyn Network>,
        snapshot: &dyn Pixels,
        area: Rect,
        whole: &'b ImageLoss,
    ) -> Result<Box<dyn TileObjective + 'b>, RenderError> {
        Ok(match self.mode {
            RoundMode::Blocks => {
                Box::new(BlockObjective::new(self, network, snapshot, area, whole)?)
            }
            RoundMode::Feathered => Box::new(FeatheredObjective::new(self, network, area)?),
        })
    }
}
