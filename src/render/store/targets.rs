//! Style targets: the statistics of paintings, computed once for each painting, size and network.
//!
//! A painting of any size is swept in tiles whose sums add up to the whole's. What was computed
//! stays in memory for the jobs of a run and on disk for later runs, under the SHA-256 of the
//! painting's file.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use candle_core::{Device, Tensor};

use crate::config::Style;
use crate::event::{Event, Listener, TargetOrigin};
use crate::files;
use crate::geometry::Rect;
use crate::image::{self, Limits, Picture};
use crate::network::{BLOCK, Layer, Moments, Network, NetworkError, Request};
use crate::objective::{StyleTargets, TapStatistics};
use crate::plan::{Job, STYLE_CORE, targets_directory};
use crate::render::devices::engine::Engine;
use crate::render::error::RenderError;
use crate::render::store::scaled::Scaled;
use crate::render::store::target_file::{self, Key, Lookup};
use crate::tiling::{Grid, Margins, Pixels};

/// Statistics that are already there, shared by all jobs of a run.
#[derive(Default)]
pub struct TargetStore {
    targets: HashMap<Key, Arc<StyleTargets>>,
    /// SHA-256 of the paintings' files.
    contents: HashMap<PathBuf, String>,
}

impl TargetStore {
    /// Nothing computed yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The blend of the job's paintings' statistics for a canvas of `size` (width, height) px. Each
    /// painting is looked at with its long side at the canvas's long side times its `scale`.
    ///
    /// # Errors
    /// When a painting cannot be read or is too small for a tap, or the device fails. A cache that
    /// cannot be used is no error: the listener is warned, and the statistics are computed.
    pub fn blend(
        &mut self,
        job: &Job,
        size: (usize, usize),
        engine: &Engine,
        network: &dyn Network,
        limits: &Limits,
        listener: &mut dyn Listener,
    ) -> Result<StyleTargets, RenderError> {
        let mut parts = Vec::new();
        for style in &job.settings.styles {
            let request = TargetRequest {
                job,
                style,
                long: size.0.max(size.1) as f64 * style.scale,
                engine,
                network,
                limits,
            };
            parts.push((style.weight, self.one(&request, listener)?));
        }
        let parts: Vec<(f64, &StyleTargets)> =
            parts.iter().map(|(weight, targets)| (*weight, targets.as_ref())).collect();
        Ok(StyleTargets::blend(&parts)?)
    }

    /// One painting's statistics: from memory, from disk, or computed.
    fn one(
        &mut self,
        request: &TargetRequest<'_>,
        listener: &mut dyn Listener,
    ) -> Result<Arc<StyleTargets>, RenderError> {
        let started = Instant::now();
        let TargetRequest { job, style, engine, .. } = request;
        let layers: Vec<Layer> = job.spec.style_taps().map(|(layer, _)| layer).collect();
        let probe = image::probe(&style.image)?;
        let size = style_size((probe.width, probe.height), request.long, &layers);
        let key = Key::new(
            self.content(&style.image)?,
            size,
            &layers,
            job.spec.pooling,
            &engine.identity(),
        );
        let directory = targets_directory(&job.settings.output.directory);
        let (targets, origin) = match self.targets.get(&key) {
            Some(targets) => (Arc::clone(targets), TargetOrigin::Shared),
            None => {
                let (targets, origin) =
                    request.cached_or_computed(&directory, &key, size, &layers, listener)?;
                let targets = Arc::new(targets);
                self.targets.insert(key, Arc::clone(&targets));
                (targets, origin)
            }
        };
        let seconds = started.elapsed().as_secs_f64();
        listener.on_event(&Event::Targets {
            style: style.image.clone(),
            width: size.0,
            height: size.1,
            origin,
            seconds,
        });
        Ok(targets)
    }

    fn content(&mut self, path: &Path) -> Result<&str, RenderError> {
        if !self.contents.contains_key(path) {
            let failed = |source| image::Error::Read { path: path.into(), source };
            let digits = files::sha256_of_file(path).map_err(failed)?;
            self.contents.insert(path.into(), digits);
        }
        Ok(&self.contents[path])
    }
}

/// What is asked of the store.
struct TargetRequest<'a> {
    job: &'a Job,
    style: &'a Style,
    /// The painting's long side, px.
    long: f64,
    engine: &'a Engine,
    network: &'a dyn Network,
    limits: &'a Limits,
}

impl TargetRequest<'_> {
    fn cached_or_computed(
        &self,
        directory: &Path,
        key: &Key,
        size: (usize, usize),
        layers: &[Layer],
        listener: &mut dyn Listener,
    ) -> Result<(StyleTargets, TargetOrigin), RenderError> {
        match target_file::read(directory, key, layers) {
            Lookup::Hit(targets) => return Ok((targets, TargetOrigin::Cached)),
            Lookup::Miss => {}
            Lookup::Unusable(reason) => {
                let message = format!("{reason}; the style's statistics are computed again");
                listener.on_event(&Event::Warning { message });
            }
        }
        let (targets, core) = self.engine.install(|| {
            let picture = image::decode(&self.style.image, self.limits)?;
            halving(&picture, size, layers, self.network)
        })?;
        if core < STYLE_CORE {
            let painting = self.style.image.display();
            let message = format!(
                "memory is short: the statistics of {painting} were taken in tiles of {core} px"
            );
            listener.on_event(&Event::Warning { message });
        }
        if let Err(reason) = target_file::write(directory, key, &targets) {
            let message = format!(
                "the statistics of {} are not kept for later runs: {reason}",
                self.style.image.display()
            );
            listener.on_event(&Event::Warning { message });
        }
        Ok((targets, TargetOrigin::Computed))
    }
}

/// The size at which a painting is looked at: `long` px on its long side, and never too small for a
/// tap.
fn style_size((width, height): (u32, u32), long: f64, layers: &[Layer]) -> (usize, usize) {
    let (w, h) = (f64::from(width), f64::from(height));
    let least = layers.iter().map(|layer| layer.stride()).max().unwrap_or(1);
    let side = |pixels: f64| ((pixels * long / w.max(h)).round() as usize).max(least);
    (side(w), side(h))
}

/// The statistics of one painting at `size` (width, height) px, swept in tiles of [`STYLE_CORE`]
/// px: beside the picture itself memory holds one tile, whatever the size. A tile that finds no
/// memory is halved.
///
/// # Errors
/// When it is too small for a tap or the device fails.
pub fn style_targets(
    picture: &Picture,
    size: (usize, usize),
    layers: &[Layer],
    network: &dyn Network,
) -> Result<StyleTargets, RenderError> {
    halving(picture, size, layers, network).map(|(targets, _)| targets)
}

/// [`style_targets`], and the core that there was memory for.
fn halving(
    picture: &Picture,
    size: (usize, usize),
    layers: &[Layer],
    network: &dyn Network,
) -> Result<(StyleTargets, usize), RenderError> {
    let pixels = Scaled::new(picture, size);
    let mut core = STYLE_CORE;
    loop {
        match pixel_targets(&pixels, core, layers, network) {
            Err(RenderError::Network(error)) if error.is_out_of_memory() && core > BLOCK => {
                core /= 2
            }
            done => return done.map(|targets| (targets, core)),
        }
    }
}

/// The statistics of any pixels, swept in tiles with cores of side `core`, a multiple of 64 px:
/// which one changes nothing but rounding.
///
/// # Errors
/// When they are too few for a tap, cannot be read, or the device fails.
pub fn pixel_targets(
    pixels: &dyn Pixels,
    core: usize,
    layers: &[Layer],
    network: &dyn Network,
) -> Result<StyleTargets, RenderError> {
    let (width, height) = pixels.size();
    let grid = Grid::new(width, height, core);
    let margin = Margins::for_taps(layers.iter().map(|layer| (layer.reach(), layer.stride())))
        .aligned()
        .features;
    let mut sums: BTreeMap<Layer, Moments> = BTreeMap::new();
    for tile in grid.tiles() {
        let region = tile.region(margin, width, height);
        let core = tile.core.relative_to(&region);
        // A sliver at the far edge may be too narrow for a cell of the deepest taps; pooling drops
        // it there.
        let here: Vec<Layer> = layers
            .iter()
            .copied()
            .filter(|layer| grid.len() == 1 || core.cells(layer.stride()).area() > 0)
            .collect();
        let request = Request {
            moments: here.clone(),
            features: vec![],
            gradients: vec![],
            core,
            wanted: None,
            same_bits: false,
            keep: false,
        };
        let values =
            Tensor::from_vec(pixels.read(region)?, (3, region.height, region.width), &Device::Cpu)?;
        let pass = network.forward(&values, &request)?;
        for layer in here {
            let part = pass.moments(layer)?.to_device(&Device::Cpu)?;
            match sums.get_mut(&layer) {
                Some(total) => total.merge(&part)?,
                None => drop(sums.insert(layer, part)),
            }
        }
    }
    finished(&sums, layers)
}

fn finished(
    sums: &BTreeMap<Layer, Moments>,
    layers: &[Layer],
) -> Result<StyleTargets, RenderError> {
    let taps = layers
        .iter()
        .map(|layer| {
            let moments = sums.get(layer).ok_or(NetworkError::NoCells { layer: *layer })?;
            Ok((*layer, TapStatistics::from_moments(moments)?))
        })
        .collect::<Result<_, NetworkError>>()?;
    Ok(StyleTargets { taps })
}

/// The statistics of a picture given as float32 `[3, H, W]`, RGB 0..1, swept as a whole.
///
/// # Errors
/// When it is too small for a tap or the device fails.
pub fn tensor_targets(
    pixels: &Tensor,
    layers: &[Layer],
    network: &dyn Network,
) -> Result<StyleTargets, NetworkError> {
    let (_, height, width) = pixels.dims3()?;
    let request = Request {
        moments: layers.to_vec(),
        features: vec![],
        gradients: vec![],
        core: Rect::whole(width, height),
        wanted: None,
        same_bits: false,
        keep: false,
    };
    let pass = network.forward(pixels, &request)?;
    let taps = layers
        .iter()
        .map(|layer| {
            Ok((
                *layer,
                TapStatistics::from_moments(&pass.moments(*layer)?.to_device(&Device::Cpu)?)?,
            ))
        })
        .collect::<Result<_, NetworkError>>()?;
    Ok(StyleTargets { taps })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::Isa;
    use crate::network::cpu::Precision;
    use crate::network::{CpuNetwork, Pooling, Weights};
    use crate::tiling::Planes;

    #[test]
    fn tiles_of_a_painting_add_up_to_the_whole() {
        let weights = Weights::random([8, 8, 8, 8, 8], 4);
        let layers: Vec<Layer> = ["relu1_1", "relu3_1", "relu5_1"]
            .map(|name| Layer::parse(name).expect("a layer"))
            .to_vec();
        let network =
            CpuNetwork::new(&weights, layers[2], Pooling::Max, Precision::Float32, Isa::detect())
                .expect("a network");
        let noise = crate::random::Noise::new(5);
        // The far tiles are slivers without a cell of relu5_1.
        let (width, height) = (64 * 3 + 7, 64 * 2 + 13);
        let values: Vec<f32> = (0..3 * width * height).map(|i| noise.uniform(i as u64)).collect();
        let pixels = Planes::new((width, height), &values).expect("planes");
        let whole = pixel_targets(&pixels, 256, &layers, &network).expect("the whole");
        let tiled = pixel_targets(&pixels, 64, &layers, &network).expect("tiles");
        for layer in &layers {
            let bits = |targets: &StyleTargets| -> Vec<u64> {
                let values = targets.taps[layer]
                    .gram
                    .flatten_all()
                    .and_then(|t| t.to_vec1::<f64>())
                    .expect("values");
                values.into_iter().map(f64::to_bits).collect()
            };
            assert_eq!(bits(&whole), bits(&tiled), "{layer}");
        }
    }
}
