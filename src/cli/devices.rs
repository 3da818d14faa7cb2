//! What computes: the GPUs that a pipeline names, or all that answer, or the CPU.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::Failure;
use crate::config::{self, Compute, Config, DeviceName, Devices, Precision};
use crate::network::{Arithmetic, Weights, cpu};
use crate::plan::Gpus;
use crate::render::{Engine, Gpu, gpu, gpus};

/// GPUs with less free memory are left alone by `"auto"`, bytes.
const LEAST_MEMORY: u64 = 3 << 30;

/// The weights that the pipeline names, or those inside. Variants share one network.
pub(super) fn weights(config: &Config) -> Result<Weights, Failure> {
    let paths: BTreeSet<Option<&PathBuf>> =
        config.variants.iter().map(|v| v.settings.network.weights.as_ref()).collect();
    match paths.into_iter().collect::<Vec<_>>().as_slice() {
        [] | [None] => Ok(Weights::embedded()?),
        [Some(path)] => Ok(Weights::open(path)?),
        _ => Err(Failure::Settings(
            "variants name different network.weights; a pipeline renders with one network".into(),
        )),
    }
}

pub(super) fn precision(precision: config::Precision) -> Result<cpu::Precision, Failure> {
    match precision {
        config::Precision::Float32 => Ok(cpu::Precision::Float32),
        config::Precision::Bfloat16 => Ok(cpu::Precision::Bfloat16),
        config::Precision::Tf32 => Err(Failure::Settings(
            "compute.precision is tf32, which only GPUs have; the CPU takes float32 and bfloat16"
                .into(),
        )),
    }
}

/// What a run computes on.
pub(super) struct Chosen {
    gpus: Vec<Gpu>,
    compute: Compute,
}

/// Looks for the devices of a pipeline. Variants share one network, and the devices are those of
/// the first.
///
/// # Errors
/// When a GPU that is named cannot be used, or named beside the CPU.
pub(super) fn choose(config: &Config) -> Result<Chosen, Failure> {
    let compute = config.variants[0].settings.compute.clone();
    let gpus = match &compute.devices {
        Devices::Auto => gpus().into_iter().filter(|gpu| gpu.free_bytes >= LEAST_MEMORY).collect(),
        Devices::List(names) => named(names)?,
    };
    Ok(Chosen { gpus, compute })
}

/// The GPUs among `names`; none when all are the CPU.
///
/// # Errors
/// When one cannot be used, or the CPU is named beside it.
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
    if !found.is_empty() && found.len() < names.len() {
        let words = "compute.devices names the CPU beside GPUs, whose results differ in their last bits; name GPUs alone, or the CPU";
        return Err(Failure::Settings(words.into()));
    }
    Ok(found)
}

/// GPUs' arithmetic.
pub(super) fn arithmetic(precision: Precision) -> Arithmetic {
    match precision {
        Precision::Float32 => Arithmetic::Float32,
        Precision::Tf32 => Arithmetic::Tf32,
        Precision::Bfloat16 => Arithmetic::Bfloat16,
    }
}

impl Chosen {
    /// What a plan may count on: nine tenths of what is free now, shared by the workers on one GPU.
    pub(super) fn for_plan(&self) -> Option<Gpus> {
        let share = |gpu: &Gpu| {
            let workers = self.gpus.iter().filter(|other| other.index == gpu.index).count() as u64;
            gpu.free_bytes / 10 * 9 / workers.max(1)
        };
        let value_bytes = arithmetic(self.compute.precision).dtype().size_in_bytes() as u64;
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
            return Ok(super::engine(weights, precision(asked)?, threads)?
                .with_workers(self.compute.workers()));
        }
        let engine = super::engine(weights, cpu::Precision::Float32, threads)?;
        Ok(engine.on_gpus(self.gpus, arithmetic(asked)))
    }

    /// Refuses a precision that the devices do not have.
    ///
    /// # Errors
    /// When they do not.
    pub(super) fn check(&self) -> Result<(), Failure> {
        if self.gpus.is_empty() {
            super::isa(precision(self.compute.precision)?)?;
        }
        Ok(())
    }
}
