//! Feathered mode: every tile is a picture of its own, optimised against the same style targets.
//!
//! The classical way. Tiles know nothing of each other but the canvas they start from and the
//! windows that blend them, so each drifts to its own optimum; [`super::blocks`] is the remedy, and
//! this mode is here to be compared with it and for machines that share nothing.

use candle_core::Tensor;

use super::error::RenderError;
use super::sweep::Sweep;
use super::visits::{Scene, TileObjective, tensor_for};
use crate::geometry::Rect;
use crate::network::{Network, NetworkError};
use crate::objective::Spec;
use crate::tiling::Grid;

/// A tile's own loss, and its longer side.
pub(super) struct AloneObjective<'a>(Sweep<'a>, usize);

/// The loss of the tile at `area`: the variation, a sum over pixels, grows as if the tile were as
/// large as the canvas, so that it keeps its weight against the means.
pub(super) fn alone(scene: &Scene<'_>, area: Rect) -> Spec {
    let (width, height) = scene.photograph.size();
    let share = (width * height) as f64 / area.area() as f64;
    Spec { variation_weight: scene.spec.variation_weight * share, ..scene.spec.clone() }
}

impl<'a> AloneObjective<'a> {
    /// The objective of the pixels of `area` under `spec`, which is [`alone`]'s.
    pub(super) fn new(
        scene: &Scene<'_>,
        network: Option<&'a dyn Network>,
        spec: &'a Spec,
        area: Rect,
    ) -> Result<Self, RenderError> {
        let photograph = tensor_for(network, scene.photograph.read(area)?, area)?;
        let grid = Grid::whole(area.width, area.height);
        Ok(Self(
            Sweep::new(network, spec, scene.targets.clone(), Some(&photograph), grid)?,
            area.width.max(area.height),
        ))
    }
}

impl TileObjective for AloneObjective<'_> {
    fn evaluate(&mut self, free: &Tensor) -> Result<(f64, Tensor), NetworkError> {
        let evaluation = self.0.evaluate_halving(free)?;
        Ok((evaluation.losses.total, evaluation.gradient))
    }

    fn core(&self) -> Option<usize> {
        (self.0.core() < self.1).then_some(self.0.core())
    }
}
