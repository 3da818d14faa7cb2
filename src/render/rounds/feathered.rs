//! Feathered mode: every tile is a picture of its own, optimised against the same style targets.
//!
//! The classical way. Tiles know nothing of each other but the canvas they start from and the
//! windows that blend them, so each drifts to its own optimum; [`super::blocks`] is the remedy, and
//! this mode is here to be compared with it and for machines that share nothing.

use candle_core::Tensor;

use crate::geometry::Rect;
use crate::network::{Network, NetworkError};
use crate::objective::Spec;
use crate::render::error::RenderError;
use crate::render::exact::sweep::Sweep;
use crate::render::rounds::visits::{RoundContext, TileObjective, tensor_for};
use crate::tiling::Grid;

/// A tile's own loss, and its longer side.
pub(crate) struct FeatheredObjective<'a>(Sweep<'a>, usize);

/// The loss of the tile at `area`: the variation, a sum over pixels, grows as if the tile were as
/// large as the canvas, so that it keeps its weight against the means.
pub(crate) fn alone(context: &RoundContext<'_>, area: Rect) -> Spec {
    let (width, height) = context.photograph.size();
    let share = (width * height) as f64 / area.area() as f64;
    Spec { variation_weight: context.spec.variation_weight * share, ..context.spec.clone() }
}

impl<'a> FeatheredObjective<'a> {
    /// The objective of the pixels of `area` under `spec`, which is [`alone`]'s.
    pub(crate) fn new(
        context: &RoundContext<'_>,
        network: Option<&'a dyn Network>,
        spec: &'a Spec,
        area: Rect,
    ) -> Result<Self, RenderError> {
        let photograph = tensor_for(network, context.photograph.read(area)?, area)?;
        let grid = Grid::whole(area.width, area.height);
        Ok(Self(
            Sweep::new(network, spec, context.targets.clone(), Some(&photograph), grid)?,
            area.width.max(area.height),
        ))
    }
}

impl TileObjective for FeatheredObjective<'_> {
    fn evaluate(&mut self, free: &Tensor) -> Result<(f64, Tensor), NetworkError> {
        let evaluation = self.0.evaluate_halving(free)?;
        Ok((evaluation.losses.total, evaluation.gradient))
    }

    fn core(&self) -> Option<usize> {
        (self.0.core() < self.1).then_some(self.0.core())
    }
}
