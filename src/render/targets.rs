//! Style targets: the statistics of paintings, computed once for each painting, size and network.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use candle_core::Tensor;

use super::canvas::picture_tensor;
use super::error::RenderError;
use crate::config::Style;
use crate::event::{Event, Listener, TargetOrigin};
use crate::geometry::Rect;
use crate::image::{self, Limits, Picture};
use crate::network::{Layer, Network, NetworkError, Pooling, Request};
use crate::objective::{Spec, StyleTargets, TapStatistics};

/// What a painting's statistics depend on, beside the weights, which are the same for a whole run.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Key {
    style: PathBuf,
    size: (usize, usize),
    layers: Vec<Layer>,
    pooling: Pooling,
}

/// Statistics that are already there, shared by all jobs of a run.
#[derive(Default)]
pub struct TargetStore {
    targets: HashMap<Key, Arc<StyleTargets>>,
    pictures: HashMap<PathBuf, Arc<Picture>>,
}

impl TargetStore {
    /// Nothing computed yet.
    pub fn new() -> Self {
        Self::default()
    }

    fn picture(&mut self, path: &Path, limits: &Limits) -> Result<Arc<Picture>, RenderError> {
        if let Some(picture) = self.pictures.get(path) {
            return Ok(Arc::clone(picture));
        }
        let picture = Arc::new(image::decode(path, limits)?);
        self.pictures.insert(path.into(), Arc::clone(&picture));
        Ok(picture)
    }

    /// The blend of `styles`' statistics for a canvas of (`width`, `height`) px. Each painting is looked at with its
    /// long side at the canvas's long side times its `scale`.
    ///
    /// # Errors
    /// When a painting cannot be read or is too small for a tap.
    pub fn blend(
        &mut self,
        styles: &[Style],
        spec: &Spec,
        network: &dyn Network,
        (width, height): (usize, usize),
        limits: &Limits,
        listener: &mut dyn Listener,
    ) -> Result<StyleTargets, RenderError> {
        let layers: Vec<Layer> = spec.style_taps().map(|(layer, _)| layer).collect();
        let mut parts = Vec::new();
        for style in styles {
            let started = Instant::now();
            let picture = self.picture(&style.image, limits)?;
            let size = style_size(&picture, width.max(height) as f64 * style.scale, &layers);
            let key = Key { style: style.image.clone(), size, layers: layers.clone(), pooling: spec.pooling };
            let (targets, origin) = match self.targets.get(&key) {
                Some(targets) => (Arc::clone(targets), TargetOrigin::Shared),
                None => {
                    let targets = Arc::new(style_targets(&picture, size, &layers, network)?);
                    self.targets.insert(key, Arc::clone(&targets));
                    (targets, TargetOrigin::Computed)
                }
            };
            let seconds = started.elapsed().as_secs_f64();
            listener.hear(&Event::Targets { style: style.image.clone(), width: size.0, height: size.1, origin, seconds });
            parts.push((style.weight, targets));
        }
        let parts: Vec<(f64, &StyleTargets)> = parts.iter().map(|(weight, targets)| (*weight, targets.as_ref())).collect();
        Ok(StyleTargets::blend(&parts)?)
    }
}

/// The size at which a painting is looked at: `long` px on its long side, and never too small for a tap.
fn style_size(picture: &Picture, long: f64, layers: &[Layer]) -> (usize, usize) {
    let (w, h) = (f64::from(picture.width), f64::from(picture.height));
    let least = layers.iter().map(|layer| layer.stride()).max().unwrap_or(1);
    let side = |pixels: f64| ((pixels * long / w.max(h)).round() as usize).max(least);
    (side(w), side(h))
}

/// The statistics of one painting at `size` (width, height) px.
///
/// # Errors
/// When it is too small for a tap or the device fails.
pub fn style_targets(
    picture: &Picture,
    size: (usize, usize),
    layers: &[Layer],
    network: &dyn Network,
) -> Result<StyleTargets, RenderError> {
    Ok(tensor_targets(&picture_tensor(picture, size.0, size.1)?, layers, network)?)
}

/// The statistics of a picture given as float32 `[3, H, W]`, RGB 0..1.
///
/// # Errors
/// When it is too small for a tap or the device fails.
pub fn tensor_targets(pixels: &Tensor, layers: &[Layer], network: &dyn Network) -> Result<StyleTargets, NetworkError> {
    let (_, height, width) = pixels.dims3()?;
    let request = Request { moments: layers.to_vec(), features: vec![], gradients: vec![], core: Rect::whole(width, height), keep: false };
    let pass = network.forward(pixels, &request)?;
    let taps = layers
        .iter()
        .map(|layer| Ok((*layer, TapStatistics::from_moments(&pass.moments(*layer)?)?)))
        .collect::<Result<_, NetworkError>>()?;
    Ok(StyleTargets { taps })
}
