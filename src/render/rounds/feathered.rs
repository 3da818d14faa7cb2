//! Feathered mode: every tile is a picture of its own, optimised against the same style targets.
//!
//! The classical way. Tiles know nothing of each other but the canvas they start from and the
//! windows that blend them, so each drifts to its own optimum; [`super::blocks`] is the remedy, and
//! this mode is here to be compared with it and for machines that share nothing.

use candle_core::Tensor;

use crate::geometry::Rect;
use crate::network::Network;
use crate::objective::Spec;
use crate::render::devices::worker_pool::WorkerPool;
use crate::render::error::RenderError;
use crate::render::exact::evaluator::{Evaluator, TilePlan};
use crate::render::rounds::context::{RoundContext, TileObjective, pixels_for};

/// A tile's own loss.
pub(super) struct FeatheredObjective<'a> {
    evaluator: Evaluator<'a>,
    /// The tile's longer side, px.
    side: usize,
}

impl<'a> FeatheredObjective<'a> {
    /// The objective of the pixels of `area`. The variation, a sum over pixels, grows as if the tile
    /// were as large as the canvas, so that it keeps its weight against the means.
    pub(super) fn new(
        context: &RoundContext<'_>,
        network: Option<&'a dyn Network>,
        area: Rect,
    ) -> Result<Self, RenderError> {
        let variation_weight = context.spec.variation_weight * context.share(area);
        let spec = Spec { variation_weight, ..context.spec.clone() };
        let content = pixels_for(network, context.content, area)?;
        let (workers, targets) = (WorkerPool::single(network), context.targets.clone());
        let tiles = TilePlan::untiled(&spec);
        let evaluator = Evaluator::new(workers, &spec, targets, &content, tiles)?;
        Ok(Self { evaluator, side: area.width.max(area.height) })
    }
}

impl TileObjective for FeatheredObjective<'_> {
    fn evaluate(&mut self, free: &Tensor) -> Result<(f64, Tensor), RenderError> {
        let evaluation = self.evaluator.evaluate(free)?;
        Ok((evaluation.losses.total, evaluation.gradient))
    }

    fn core(&self) -> Option<usize> {
        (self.evaluator.core() < self.side).then_some(self.evaluator.core())
    }
}
