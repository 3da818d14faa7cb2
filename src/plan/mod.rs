//! From checked settings and the pictures' sizes to a plan: what will be computed, in numbers.
//!
//! Planning is pure: it opens no file and asks no device. Whoever calls it has probed the pictures, and may print the
//! plan, record it, or carry it out.

mod execution;
mod framing;
mod levels;
mod memory;
mod not_yet;
mod spec;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::config::{Config, OutputFile, Settings};
use crate::image::OutputFormat;
use crate::objective::Spec;

pub use execution::gib;
pub use framing::{Framing, Print, frame};
pub use levels::{Execution, Level, Visits, levels};
pub use not_yet::not_yet;
pub use spec::resolve_spec;

/// Everything a run will do.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Plan {
    /// The pipeline file.
    pub pipeline: PathBuf,
    /// One entry for each picture to make, in order.
    pub jobs: Vec<Job>,
}

/// One picture to make.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Job {
    /// Position in the run, from 0.
    pub index: usize,
    /// The output's file name.
    pub name: String,
    /// The pipeline file.
    pub pipeline: PathBuf,
    /// The variant's name, when the pipeline has variants.
    pub variant: Option<String>,
    /// The photograph.
    pub content: PathBuf,
    /// Where the finished picture goes.
    pub output: PathBuf,
    /// How the photograph meets the canvas.
    pub framing: Framing,
    /// The loss.
    pub spec: Spec,
    /// The pyramid, smallest level first.
    pub levels: Vec<Level>,
    /// The checked settings.
    pub settings: Settings,
}

impl Job {
    /// Megapixel-evaluations from the first level to the last.
    pub fn work(&self) -> f64 {
        self.levels.iter().map(Level::work).sum()
    }
}

impl Plan {
    /// Megapixel-evaluations of all jobs.
    pub fn work(&self) -> f64 {
        self.jobs.iter().map(Job::work).sum::<f64>().max(0.0)
    }
}

/// Why a job cannot be planned.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// The canvas has a side too small for the deepest layer.
    #[error("{name} would be {width}x{height} px; {layer} needs at least {least} px on each side")]
    TooSmall {
        /// The output's name.
        name: String,
        /// Canvas width, px.
        width: usize,
        /// Canvas height, px.
        height: usize,
        /// The deepest layer.
        layer: crate::network::Layer,
        /// The smallest side, px.
        least: usize,
    },
    /// No mode fits the memory.
    #[error(
        "{name} at {width}x{height} px takes at least {:.1} GiB and compute.memory-gib allows {:.1}: allow more, make the picture \
         smaller, or let tiling.mode and tiling.core-px be \"auto\"",
        gib(*.needed),
        gib(*.budget)
    )]
    Memory {
        /// The output's name.
        name: String,
        /// Width of the level that does not fit, px.
        width: usize,
        /// Its height, px.
        height: usize,
        /// The least that it takes, bytes.
        needed: u64,
        /// What there is, bytes.
        budget: u64,
    },
    /// The output's format cannot hold the picture.
    #[error("{name} cannot be written: {reason}")]
    Output {
        /// The output's name.
        name: String,
        /// What the format does not hold, and which one does.
        reason: String,
    },
    /// The canvas has more pixels than can be addressed sensibly.
    #[error("{name} would be {width}x{height} px, more than {most} px on a side")]
    TooLarge {
        /// The output's name.
        name: String,
        /// Canvas width, px.
        width: usize,
        /// Canvas height, px.
        height: usize,
        /// The longest side, px.
        most: usize,
    },
}

/// The longest side of a canvas, px: 17 m at 300 dpi.
const LONGEST_SIDE: usize = 200_000;

/// Plans one output of `config` whose photograph measures `content_size` (width, height) in pixels,
/// so that it fits into `budget` bytes of memory.
///
/// # Errors
/// When the canvas would be too small for the network, absurdly large, or more than the memory holds in any mode.
pub fn plan_job(config: &Config, output: &OutputFile, index: usize, content_size: (usize, usize), budget: u64) -> Result<Job, PlanError> {
    let variant = &config.variants[output.variant];
    let settings = variant.settings.clone();
    let framing = frame(content_size, &settings.output);
    let spec = resolve_spec(&settings.objective);
    let name = file_name(&output.path);
    let (width, height) = (framing.width, framing.height);
    if width.max(height) > LONGEST_SIDE {
        return Err(PlanError::TooLarge { name, width, height, most: LONGEST_SIDE });
    }
    if let Some(reason) = OutputFormat::from_path(&output.path).and_then(|format| format.size_problem(width as u32, height as u32)) {
        return Err(PlanError::Output { name, reason });
    }
    if let Some(layer) = spec.deepest()
        && width.min(height) < layer.stride()
    {
        return Err(PlanError::TooSmall { name, width, height, layer, least: layer.stride() });
    }
    let mut levels = levels((width, height), &settings.pyramid);
    for level in &mut levels {
        let chosen = execution::choose(level, &settings, &spec, budget).map_err(|needed| {
            let (name, width, height) = (name.clone(), level.width, level.height);
            PlanError::Memory { name, width, height, needed, budget }
        })?;
        (level.execution, level.memory_bytes, level.reason) = (chosen.execution, chosen.memory_bytes, chosen.reason);
    }
    let content = settings.input.content[output.content].clone();
    let (pipeline, variant, output) = (config.file.clone(), variant.name.clone(), output.path.clone());
    Ok(Job { index, name, pipeline, variant, content, output, framing, spec, levels, settings })
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}
