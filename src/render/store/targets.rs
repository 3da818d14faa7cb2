//! Style targets: the statistics of style images, computed once for each image, size and network.
//!
//! A style image of any size is swept in tiles whose sums add up to the whole's. What was computed
//! stays in memory for the jobs of a run and on disk for later runs, under the SHA-256 of the
//! image's file.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use candle_core::{Device, Tensor};

use crate::config::Style;
use crate::event::{Event, TargetOrigin, Watcher};
use crate::files::Digests;
use crate::image::{self, Limits, Picture};
use crate::network::{Layer, Margins, Moments, Network, NetworkError};
use crate::objective::{Spec, StyleTargets, TapStatistics, size_at};
use crate::plan::{Job, STYLE_CORE, targets_directory};
use crate::render::devices::engine::Engine;
use crate::render::devices::worker_pool::WorkerPool;
use crate::render::error::RenderError;
use crate::render::store::scaled::ScaledPicture;
use crate::render::store::target_file::{self, Key, Lookup};
use crate::render::store::unchanged::refuse_changed;
use crate::render::tiles::halving::with_halving;
use crate::render::tiles::source::PixelSource;
use crate::render::tiles::sweeps::TileSweeps;
use crate::tiling::Pixels;

/// Statistics that are already there, shared by all jobs of a run.
#[derive(Default)]
pub struct TargetStore {
    targets: HashMap<Key, Arc<StyleTargets>>,
    /// What the style images have to stay like.
    digests: Digests,
    /// The style images whose decoder's notes have been reported.
    noted: HashSet<PathBuf>,
}

impl TargetStore {
    /// Nothing computed yet; a style image has the bytes of its digest, if that is known.
    pub fn new(digests: &Digests) -> Self {
        Self { digests: digests.clone(), ..Self::default() }
    }

    /// The blend of the statistics of the job's style images under the loss `spec`, for a canvas of
    /// `size` (width, height) px: for each octave of that loss with the long side at the octave's
    /// long side times the style's `scale`.
    ///
    /// # Errors
    /// When a style image cannot be read or is too small for a tap, or the device fails. A cache that
    /// cannot be used is no error: the listener is warned, and the statistics are computed.
    pub fn blend(
        &mut self,
        (job, spec): (&Job, &Spec),
        size: (usize, usize),
        engine: &Engine,
        network: &dyn Network,
        limits: &Limits,
        watcher: &mut Watcher<'_>,
    ) -> Result<StyleTargets, RenderError> {
        let mut blend = StyleTargets::default();
        for (octave, part) in spec.by_octave().into_iter().enumerate() {
            let (layers, size) = (part.styles(), size_at(size, octave));
            if layers.is_empty() {
                continue;
            }
            let mut parts = Vec::new();
            for style in &job.settings.styles {
                let request = TargetRequest {
                    job,
                    style,
                    layers: &layers,
                    long: size.0.max(size.1) as f64 * style.scale,
                    engine,
                    network,
                    limits,
                };
                parts.push((style.weight, self.one(&request, watcher)?));
            }
            let parts: Vec<(f64, &StyleTargets)> =
                parts.iter().map(|(weight, targets)| (*weight, targets.as_ref())).collect();
            blend.taps.extend(StyleTargets::blend(&parts)?.taps);
        }
        Ok(blend)
    }

    /// One style image's statistics: from memory, from disk, or computed.
    fn one(
        &mut self,
        request: &TargetRequest<'_>,
        watcher: &mut Watcher<'_>,
    ) -> Result<Arc<StyleTargets>, RenderError> {
        let started = Instant::now();
        let TargetRequest { job, style, layers, engine, .. } = request;
        let probe = image::probe(&style.image)?;
        let size = style_size((probe.width, probe.height), request.long, layers);
        let failed = |source| image::Error::Read { path: style.image.clone(), source };
        let key = Key::new(
            self.digests.of(&style.image).map_err(failed)?,
            size,
            layers,
            job.spec.pooling,
            &engine.identity(),
        );
        // Every picture is directly in the output directory.
        let directory = targets_directory(job.output.parent().unwrap_or(Path::new("")));
        let (targets, origin) = match self.targets.get(&key) {
            Some(targets) => (Arc::clone(targets), TargetOrigin::Shared),
            None => {
                let (targets, origin) =
                    self.cached_or_computed(request, &directory, &key, size, watcher)?;
                let targets = Arc::new(targets);
                self.targets.insert(key, Arc::clone(&targets));
                (targets, origin)
            }
        };
        let seconds = started.elapsed().as_secs_f64();
        watcher.listener.on_event(&Event::Targets {
            style: job.home.id(&style.image),
            width: size.0,
            height: size.1,
            origin,
            seconds,
        });
        Ok(targets)
    }

    fn cached_or_computed(
        &mut self,
        request: &TargetRequest<'_>,
        directory: &Path,
        key: &Key,
        size: (usize, usize),
        watcher: &mut Watcher<'_>,
    ) -> Result<(StyleTargets, TargetOrigin), RenderError> {
        let layers = request.layers;
        match target_file::read(directory, key, layers) {
            Lookup::Hit(targets) => return Ok((targets, TargetOrigin::Cached)),
            Lookup::Miss => {}
            Lookup::Unusable(reason) => {
                watcher.warn(format!("{reason}; the style's statistics are computed again"));
            }
        }
        let TargetRequest { style, engine, network, limits, .. } = request;
        let image = style.image.display();
        let picture = engine.install(|| image::decode(&style.image, limits))?;
        refuse_changed(&style.image, &self.digests)?;
        if self.noted.insert(style.image.clone()) {
            picture.source.notes.iter().for_each(|note| watcher.warn(format!("{image}: {note}")));
        }
        let mut core = STYLE_CORE;
        let targets = engine.install(|| {
            let pixels: &dyn Pixels = &ScaledPicture::new(&picture, size);
            let workers = WorkerPool::single(Some(*network));
            let workers = workers.watching(watcher.cancellation.clone());
            targets_of(&pixels, size, &mut core, layers, workers)
        })?;
        if core < STYLE_CORE {
            watcher.warn(format!(
                "memory is short: the statistics of {image} were taken in tiles of {core} px"
            ));
        }
        if let Err(reason) = target_file::write(directory, key, &targets) {
            watcher
                .warn(format!("the statistics of {image} are not kept for later runs: {reason}"));
        }
        Ok((targets, TargetOrigin::Computed))
    }
}

/// What is asked of the store.
struct TargetRequest<'a> {
    job: &'a Job,
    style: &'a Style,
    /// The taps.
    layers: &'a [Layer],
    /// The style image's long side, px.
    long: f64,
    engine: &'a Engine,
    network: &'a dyn Network,
    limits: &'a Limits,
}

/// The size at which a style image is swept: `long` px on its long side, and never too small for a
/// tap.
fn style_size((width, height): (u32, u32), long: f64, layers: &[Layer]) -> (usize, usize) {
    let (w, h) = (f64::from(width), f64::from(height));
    let least = layers.iter().map(|layer| layer.stride()).max().unwrap_or(1);
    let side = |pixels: f64| ((pixels * long / w.max(h)).round() as usize).max(least);
    (side(w), side(h))
}

/// The statistics of one style image at `size` (width, height) px, swept in tiles of [`STYLE_CORE`]
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
    let pixels: &dyn Pixels = &ScaledPicture::new(picture, size);
    let workers = WorkerPool::single(Some(network));
    targets_of(&pixels, size, &mut STYLE_CORE.clone(), layers, workers)
}

/// The statistics of a picture given as float32 `[3, H, W]`, RGB 0..1, swept as a whole where memory
/// allows.
///
/// # Errors
/// When it is too small for a tap or the device fails.
pub fn tensor_targets(
    pixels: &Tensor,
    layers: &[Layer],
    network: &dyn Network,
) -> Result<StyleTargets, RenderError> {
    let (_, height, width) = pixels.dims3()?;
    let workers = WorkerPool::single(Some(network));
    targets_of(pixels, (width, height), &mut width.max(height), layers, workers)
}

/// The statistics of an image of `size` (width, height) px, swept in tiles with cores of `core` px, a
/// multiple of 64 px, or half of that where memory is short: which one changes nothing but rounding.
/// Without layers there are none.
fn targets_of(
    source: &dyn PixelSource,
    size: (usize, usize),
    core: &mut usize,
    layers: &[Layer],
    workers: WorkerPool<'_>,
) -> Result<StyleTargets, RenderError> {
    if layers.is_empty() {
        return Ok(StyleTargets::default());
    }
    let margins = Margins::exact(layers.iter().copied());
    let sweeps = TileSweeps::forward_only(workers, size, layers.to_vec(), margins);
    let (sums, _) =
        with_halving(core, sweeps.workers(), |core| sweeps.statistics(source, core, 0))?;
    let statistics = |(layer, moments): (&Layer, &Moments)| {
        let moments = moments.clone().to_device(&Device::Cpu)?;
        Ok((*layer, TapStatistics::from_moments(&moments)?))
    };
    let taps = sums.moments.iter().map(statistics).collect::<Result<_, NetworkError>>()?;
    Ok(StyleTargets { taps })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::{CpuNetwork, Isa, Pooling, Precision, Weights};
    use crate::tiling::Planes;

    #[test]
    fn tiles_of_a_style_image_add_up_to_the_whole() {
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
        let pixels: &dyn Pixels = &pixels;
        let targets = |mut core: usize| {
            let workers = WorkerPool::single(Some(&network));
            targets_of(&pixels, (width, height), &mut core, &layers, workers).expect("targets")
        };
        let (whole, tiled) = (targets(256), targets(64));
        for layer in &layers {
            let values = |targets: &StyleTargets| -> Vec<f64> {
                let gram = &targets.taps[layer].gram;
                gram.flatten_all().and_then(|t| t.to_vec1()).expect("values")
            };
            let (whole, tiled) = (values(&whole), values(&tiled));
            let most = whole.iter().fold(0.0, |most: f64, value| most.max(value.abs()));
            for (a, b) in whole.iter().zip(&tiled) {
                assert!((a - b).abs() <= 1e-6 * most, "{layer}: {a} and {b} of {most}");
            }
        }
    }
}
