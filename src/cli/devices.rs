//! What computes: the GPUs that a pipeline names, or all that answer, or the CPU.

use super::Failure;
use crate::config::{Compute, Config, DeviceName, OrAuto};
use crate::network::gpu::{self, Gpu, gpu, gpus};
use crate::network::{Precision, Weights};
use crate::plan::Gpus;
use crate::render::Engine;

/// GPUs with less free memory are left alone by `"auto"`, bytes.
const LEAST_MEMORY: u64 = 3 << 30;

/// The weights that the pipeline names, or those inside.
pub(super) fn weights(config: &Config) -> Result<Weights, Failure> {
    match &config.run.network.weights {
        None => Ok(Weights::embedded()?),
        Some(path) => Ok(Weights::open(path)?),
    }
}

/// What a run computes on.
pub(super) struct DeviceChoice {
    gpus: Vec<Gpu>,
    compute: Compute,
}

/// Looks for the devices of a pipeline.
///
/// # Errors
/// When a GPU that is named cannot be used.
pub(super) fn choose(config: &Config) -> Result<DeviceChoice, Failure> {
    let compute = config.run.compute.clone();
    let gpus = match &compute.devices {
        OrAuto::Auto => gpus().into_iter().filter(|gpu| gpu.free_bytes >= LEAST_MEMORY).collect(),
        OrAuto::Value(names) => named(names)?,
    };
    Ok(DeviceChoice { gpus, compute })
}

/// The GPUs among `names`; none when all are the CPU.
///
/// # Errors
/// When one cannot be used.
pub(super) fn named(names: &[DeviceName]) -> Result<Vec<Gpu>, Failure> {
    let mut found: Vec<Gpu> = vec![];
    for name in names {
        let DeviceName::Cuda(index) = name else { continue };
        found.push(match found.iter().find(|gpu| gpu.index == *index) {
            Some(gpu) => gpu.clone(),
            None => gpu(*index).map_err(|reason| {
                Failure::Settings(format!("compute.devices names {name}: {reason}"))
            })?,
        });
    }
    Ok(found)
}

/// A precision that the CPU has.
///
/// # Errors
/// When it is one that only GPUs have.
pub(super) fn cpu_precision(precision: Precision) -> Result<Precision, Failure> {
    match precision {
        Precision::Tf32 => Err(Failure::Settings(
            "compute.precision is tf32, which only GPUs have; the CPU takes float32 and bfloat16"
                .into(),
        )),
        precision => Ok(precision),
    }
}

impl DeviceChoice {
    /// What a plan may count on: nine tenths of what is free now, shared by the workers on one GPU.
    pub(super) fn for_plan(&self) -> Option<Gpus> {
        let share = |gpu: &Gpu| {
            let workers = self.gpus.iter().filter(|other| other.index == gpu.index).count() as u64;
            gpu.free_bytes / 10 * 9 / workers.max(1)
        };
        let value_bytes = gpu::value_bytes(self.compute.precision) as u64;
        let memory_bytes = self.gpus.iter().map(share).min()?;
        Some(Gpus { count: self.gpus.len(), memory_bytes, value_bytes })
    }

    /// An engine over `weights`.
    ///
    /// # Errors
    /// When the precision is one that the devices do not have, or the system gives no threads.
    pub(super) fn engine(self, weights: Weights) -> Result<Engine, Failure> {
        let Compute { threads, precision: asked, .. } = self.compute;
        if self.gpus.is_empty() {
            return Ok(super::engine(weights, cpu_precision(asked)?, threads)?
                .with_workers(self.compute.workers()));
        }
        let (isa, pool) = (super::isa(Precision::Float32)?, super::pool(threads)?);
        Ok(Engine::new(weights, isa, asked, pool).on_gpus(self.gpus))
    }

    /// Refuses a precision that the devices do not have.
    ///
    /// # Errors
    /// When they do not.
    pub(super) fn check(&self) -> Result<(), Failure> {
        if self.gpus.is_empty() {
            super::isa(cpu_precision(self.compute.precision)?)?;
        }
        Ok(())
    }
}
