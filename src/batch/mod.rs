//! Many jobs: planned, started or resumed, and done one after the other past failures.
//!
//! [`load`] reads a pipeline and what earlier runs have left, [`plan`] probes the content images,
//! [`prepare`] finds or makes the run directory and says what is left to do, and
//! [`Collection::run`] does it. [`run`] does a plan without a run directory: nothing is kept then
//! but the pictures.

mod job_match;
mod obstacles;
mod prefetch;
mod prepare;
mod queue;
mod recorder;
mod scheduler;
mod workers;
mod write_behind;

use std::path::{Path, PathBuf};

use crate::config::{self, Config, Like, OrAuto, OutputFile, Problems, ProfileSource, Variant};
use crate::event::{Losses, Watcher};
use crate::files::Digests;
use crate::image::{self, Limits};
use crate::journal::past_runs;
use crate::plan::{
    Gpus, Job, Machine, Plan, PlanError, Source, Sources, memory_of_one, plan_job, resolve_spec,
};
use crate::render::{Engine, RenderError};
use crate::resources::{self, Memory};

pub use obstacles::{PrepareError, obstacles};
pub use prepare::{Collection, PrepareOptions, prepare};
use scheduler::{Extent, Scheduler};

/// What became of a run's jobs.
#[derive(Debug, Default)]
pub struct Summary {
    /// Pictures made, with their last losses, in job order.
    pub finished: Vec<(PathBuf, Losses)>,
    /// Jobs that could not be done.
    pub failed: Vec<FailedJob>,
    /// Whether the run was stopped before its end.
    pub interrupted: bool,
    /// Where the picture so far is, when the run was stopped within one.
    pub partial: Option<PathBuf>,
    /// What ended the run for all jobs, such as a full disk.
    pub fatal: Option<RenderError>,
}

/// A job that could not be done.
#[derive(Debug)]
pub struct FailedJob {
    /// The output's file name, as text.
    pub name: String,
    /// Why.
    pub error: RenderError,
}

/// Reads and checks a pipeline file as [`config::load`] does. What earlier runs have written into
/// its output directory is no content, and content images keep the numbers that they have in its
/// newest run.
///
/// # Errors
/// All problems of the pipeline.
pub fn load(path: &Path, overrides: &[String]) -> Result<Config, Problems> {
    load_like(path, overrides, None)
}

/// [`load`], with the look of a finished picture laid over the pipeline.
///
/// # Errors
/// As [`load`], and what of the picture's recipe is not known.
pub fn load_like(
    path: &Path,
    overrides: &[String],
    like: Option<&Like>,
) -> Result<Config, Problems> {
    config::load_after(path, overrides, like, &past_runs)
}

/// Why one output of a configuration cannot be planned.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// Its content image cannot be used.
    #[error(transparent)]
    Image(#[from] image::Error),
    /// Its size makes no sense.
    #[error(transparent)]
    Plan(PlanError),
    /// It does not fit the memory.
    #[error("{error}; a run may use {memory}")]
    Memory {
        /// What does not fit.
        error: PlanError,
        /// What there is.
        memory: Box<Memory>,
    },
}

/// Reads the headers of the content images and plans every output of `config`, for the memory that
/// this process may use now. Outputs that cannot be planned are returned beside the plan, each with
/// its reason.
pub fn plan(config: &Config) -> (Plan, Vec<(OutputFile, JobError)>) {
    plan_on(config, None)
}

/// [`plan`] for tiles that are computed on `gpus`, if there are any.
pub fn plan_on(config: &Config, gpus: Option<Gpus>) -> (Plan, Vec<(OutputFile, JobError)>) {
    // Asked once: every decision of the run is made by the same number.
    let compute = &config.run.compute;
    let (threads, _) = resources::threads(compute.threads);
    let memory = Memory::ask(compute.memory_gib, threads);
    let mut jobs: Vec<Job> = Vec::new();
    let mut failed = Vec::new();
    for output in config.outputs() {
        match plan_output(config, &output, jobs.len(), &memory, gpus) {
            Ok(job) => jobs.push(job),
            Err(error) => failed.push((output, error)),
        }
    }
    (Plan { pipeline: config.file.clone(), memory, run: config.run.clone(), jobs }, failed)
}

fn plan_output(
    config: &Config,
    output: &OutputFile,
    index: usize,
    memory: &Memory,
    gpus: Option<Gpus>,
) -> Result<Job, JobError> {
    let Variant { input, settings, .. } = &config.variants[output.variant];
    let budget = match config.run.batch.parallel_jobs {
        OrAuto::Value(count) => {
            let count = (count as usize).min(config.outputs().len());
            memory_of_one(memory.bytes, count, &resolve_spec(&settings.objective))
        }
        // As many are painted at once then as there is memory for.
        OrAuto::Auto => memory.bytes,
    };
    // A picture that cannot be used is better reported now than after the first levels.
    let probed = |path: &Path| match image::probe(path)? {
        probe if probe.decode_bytes > budget => {
            let (width, height, needed) = (probe.width, probe.height, probe.decode_bytes);
            Err(image::Error::TooLarge { path: path.into(), width, height, needed, limit: budget })
        }
        probe => Ok(Source::from(&probe)),
    };
    let content = probed(&input.content[output.content])?;
    let styles =
        settings.styles.iter().map(|style| probed(&style.image)).collect::<Result<_, _>>()?;
    let start = settings.start.picture().map(probed).transpose()?;
    if let ProfileSource::File(path) = &settings.color.output_profile {
        image::OutputProfile::from_file(path)?;
    }
    let refused = |error| match error {
        PlanError::Memory { .. } => JobError::Memory { error, memory: Box::new(memory.clone()) },
        other => JobError::Plan(other),
    };
    let compute = &config.run.compute;
    let (threads, _) = resources::threads(compute.threads);
    let machine = Machine { memory_bytes: budget, gpus, workers: compute.workers(), threads };
    plan_job(config, output, index, &Sources { content, styles, start }, machine).map_err(refused)
}

/// Carries out a plan without a run directory.
pub fn run(
    plan: &Plan,
    engine: &mut Engine,
    limits: &Limits,
    watcher: &mut Watcher<'_>,
) -> Summary {
    let extent = Extent { jobs: plan.jobs.len(), work: plan.work(), done: 0.0 };
    let digests = Digests::default();
    Scheduler::new(plan, None, &digests, limits, watcher).run(extent, engine)
}
