//! From checked settings and the pictures' sizes to a plan: what will be computed, in numbers.
//!
//! Planning is pure: it opens no file and asks no device. Whoever calls it has probed the pictures,
//! and may print the plan, record it, or carry it out.

mod beside;
mod disk;
mod estimate;
mod execution;
mod footprint;
mod framing;
mod gpu;
mod guard;
mod levels;
mod machine;
mod memory;
mod octave_work;
mod record;
mod scans;
mod sources;
mod spec;
mod speed;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::config::{
    Config, LevelMode, OrAuto, OutputFile, RunSettings, Settings, TilingMode, without_effect,
};
use crate::files::{Home, NamedFile, name_text};
use crate::format::gib;
use crate::image::OutputFormat;
use crate::objective::Spec;
use crate::resources::Memory;

pub use beside::{memory_of_one, together};
pub use estimate::{Disk, Estimate, LevelEstimate};
pub use footprint::margins;
use footprint::{Constraints, Shortage};
pub use framing::{Framing, Print, frame};
pub use levels::{Execution, Level, RoundMode, Visits, levels};
pub use machine::{Gpus, Machine};
use memory::Pictures;
pub use record::JobRecord;
pub use scans::{SmallScan, small_scans};
pub use sources::{Source, Sources};
pub use spec::{Schedule, resolve_spec};
pub use speed::Speed;

/// Side of the tiles' cores in which style images are swept, px.
pub const STYLE_CORE: usize = 512;

/// Where the statistics of style images are kept for all runs into an output directory.
pub fn targets_directory(output: &Path) -> PathBuf {
    output.join(".impasto").join("targets")
}

/// Everything a run will do.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The pipeline file.
    pub pipeline: PathBuf,
    /// The memory that it keeps to.
    pub memory: Memory,
    /// What all jobs share.
    pub run: RunSettings,
    /// One entry for each picture to make, in order.
    pub jobs: Vec<Job>,
}

/// One picture to make.
#[derive(Clone, Debug)]
pub struct Job {
    /// Position in the run, from 0.
    pub index: usize,
    /// The output's file name, as text.
    pub name: String,
    /// The pipeline file.
    pub pipeline: PathBuf,
    /// The pipeline's folder: what the identities of files are relative to.
    pub home: Home,
    /// The variant's name, when the pipeline has variants.
    pub variant: Option<String>,
    /// The content image.
    pub content: NamedFile,
    /// What `{index}` stands for in the names of this content image's pictures.
    pub number: usize,
    /// Where the finished picture goes.
    pub output: NamedFile,
    /// How the content image meets the canvas.
    pub framing: Framing,
    /// The loss.
    pub spec: Spec,
    /// The pyramid, smallest level first.
    pub levels: Vec<Level>,
    /// The most bytes of memory that reading the content image takes.
    pub reading_bytes: u64,
    /// The paintings whose scans are too small for the picture.
    pub small_scans: Vec<SmallScan>,
    /// How the content image becomes the picture.
    pub settings: Settings,
}

impl Job {
    /// The loss at a level, counted from 0: the first is small enough for every tap to see it as it
    /// is, and each level above has one octave more.
    pub fn spec_at(&self, level: usize) -> Spec {
        self.spec.with_octaves_up_to(level)
    }

    /// Megapixel-evaluations from the first level to the last.
    pub fn work(&self) -> f64 {
        self.levels.iter().map(Level::work).sum()
    }

    /// Width and height of the picture that `level` shows, px: its canvas without the guard band.
    pub fn picture_size(&self, level: &Level) -> (usize, usize) {
        let picture = self.framing.picture_in((level.width, level.height));
        (picture.width, picture.height)
    }
}

impl Plan {
    /// Megapixel-evaluations of all jobs.
    pub fn work(&self) -> f64 {
        self.jobs.iter().map(Job::work).sum::<f64>().max(0.0)
    }

    /// Settings that have no effect on levels as they are computed, each once, in words.
    pub fn warnings(&self) -> BTreeSet<&'static str> {
        let levels = self.jobs.iter().flat_map(|job| job.levels.iter().map(move |l| (job, l)));
        let of_level = |(job, level): (&Job, &Level)| {
            let mode = LevelMode {
                in_rounds: level.runs_in_rounds(),
                on_gpus: level.gpu_bytes > 0,
                evaluations: level.evaluations_in_a_row(),
            };
            without_effect(&job.settings, mode)
        };
        levels.flat_map(of_level).collect()
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
    /// Nothing that may be chosen fits the memory.
    #[error(
        "{name}: its level of {width}x{height} px takes at least {:.2} GiB and it may use {:.2}; what would do: {}",
        up(gib(*.needed)),
        gib(*.budget),
        what_would_do(*.needed, *.fits, *.narrowed)
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
        /// The longest side of this picture that would fit, px; nothing when none does.
        fits: Option<usize>,
        /// Whether settings of the tiling keep smaller choices out.
        narrowed: bool,
    },
    /// No tile that may be chosen fits a GPU.
    #[error(
        "{name}: a tile of its level of {width}x{height} px takes at least {:.2} GiB of a GPU and there are {:.2}; what would do: tiling.core-px \"auto\", or compute.devices = [\"cpu\"]",
        up(gib(*.needed)),
        gib(*.budget)
    )]
    GpuMemory {
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

/// Plans one output of `config` from its pictures' headers, so that it fits the memory of `machine`
/// (of the CPU alone, where that is a number of bytes).
///
/// # Errors
/// When the canvas would be too small for the network, absurdly large, or more than the memory
/// holds in any mode.
pub fn plan_job(
    config: &Config,
    output: &OutputFile,
    index: usize,
    sources: &Sources,
    machine: impl Into<Machine>,
) -> Result<Job, PlanError> {
    let machine = machine.into();
    let variant = &config.variants[output.variant];
    let settings = variant.settings.clone();
    let framing = frame(
        (sources.content.width, sources.content.height),
        &settings.output,
        &Schedule::new(&settings),
    );
    let spec = resolve_spec(&settings.objective);
    let name = file_name(&output.path);
    let (width, height) = (framing.width, framing.height);
    refuse_size(&name, (width, height), &output.path, &spec)?;
    let threads = machine.threads;
    let pictures =
        Pictures { sources, framing: &framing, settings: &settings, spec: &spec, threads };
    let levels = fitted((width, height), framing.guard, &pictures, machine)
        .map_err(|(size, shortage)| does_not_fit(&name, size, shortage, &pictures, machine))?;
    // With a border the content image stands beside the larger one that it is mirrored into.
    let copies = if framing.bleed + framing.guard > 0 { 2 } else { 1 };
    let reading_bytes = sources.content.decode_bytes.max(copies * pictures.held());
    let small_scans = SmallScan::among(&settings.styles, &sources.styles, &framing, &spec, &levels);
    Ok(Job {
        index,
        name,
        pipeline: config.file.clone(),
        home: config.home.clone(),
        variant: variant.name.clone(),
        content: variant.input.content[output.content].clone(),
        number: output.number,
        output: config.home.output(output.path.clone()),
        framing,
        spec,
        levels,
        reading_bytes,
        small_scans,
        settings,
    })
}

/// Refuses a picture of `size` (width, height) px that cannot be painted or written.
fn refuse_size(
    name: &str,
    (width, height): (usize, usize),
    output: &Path,
    spec: &Spec,
) -> Result<(), PlanError> {
    let name = name.to_owned();
    if width.max(height) > LONGEST_SIDE {
        return Err(PlanError::TooLarge { name, width, height, most: LONGEST_SIDE });
    }
    if let Some(reason) = OutputFormat::from_path(output)
        .and_then(|format| format.size_problem(width as u32, height as u32))
    {
        return Err(PlanError::Output { name, reason });
    }
    match spec.deepest() {
        Some(layer) if width.min(height) < layer.stride() => {
            Err(PlanError::TooSmall { name, width, height, layer, least: layer.stride() })
        }
        _ => Ok(()),
    }
}

/// The error for a level of `size` (width, height) px that takes more memory than there is.
fn does_not_fit(
    name: &str,
    (width, height): (usize, usize),
    Shortage { needed, on_gpu }: Shortage,
    pictures: &Pictures<'_>,
    machine: Machine,
) -> PlanError {
    let (name, settings) = (name.to_owned(), pictures.settings);
    if let Some(gpus) = machine.gpus
        && on_gpu
    {
        return PlanError::GpuMemory { name, width, height, needed, budget: gpus.memory_bytes };
    }
    let narrowed = settings.tiling.mode != TilingMode::Auto
        || settings.tiling.core_px != OrAuto::Auto
        || settings.optimise.history.is_some();
    let framing = pictures.framing;
    let fits = largest((framing.width, framing.height), pictures, machine);
    let budget = machine.memory_bytes;
    PlanError::Memory { name, width, height, needed, budget, fits, narrowed }
}

/// The pyramid of a picture of `size` px with `guard` px around it, every level in the way that
/// fits; else the size of the level that takes most and what that is at least.
fn fitted(
    size: (usize, usize),
    guard: usize,
    pictures: &Pictures<'_>,
    machine: Machine,
) -> Result<Vec<Level>, ((usize, usize), Shortage)> {
    let schedule = Schedule::new(pictures.settings);
    let mut levels = levels(size, guard, &schedule);
    let count = levels.len();
    let mut refused: Option<((usize, usize), Shortage)> = None;
    for (number, level) in levels.iter_mut().enumerate() {
        let spec = pictures.spec.with_octaves_up_to(number);
        let constraints = Constraints::new(pictures.settings, &spec, machine, pictures.held());
        let chosen = execution::choose(level, &constraints);
        level.execution = chosen.as_ref().map_or(level.execution, |chosen| chosen.execution);
        let around = pictures.around(level, number + 1 == count);
        let needed = match chosen {
            Ok(chosen) if around <= machine.memory_bytes => {
                level.reason = chosen.reason;
                level.memory_bytes = chosen.memory_bytes.max(around);
                (level.gpu_bytes, level.held_on_gpu) = (chosen.gpu_bytes, chosen.held_on_gpu);
                continue;
            }
            Ok(_) => Shortage { needed: around, on_gpu: false },
            Err(shortage) if shortage.on_gpu => shortage,
            Err(shortage) => Shortage { needed: shortage.needed.max(around), on_gpu: false },
        };
        if refused.as_ref().is_none_or(|(_, most)| needed > *most) {
            refused = Some(((level.width, level.height), needed));
        }
    }
    refused.map_or(Ok(levels), Err)
}

/// The longest side up to which a picture of this shape fits, to about a percent.
fn largest(
    (width, height): (usize, usize),
    pictures: &Pictures<'_>,
    machine: Machine,
) -> Option<usize> {
    let fits = |long: usize| {
        let side = |side: usize| (side * long / width.max(height)).max(1);
        let least = pictures.spec.deepest().map_or(1, |layer| layer.stride());
        let size = (side(width), side(height));
        let guard = match pictures.framing.guard {
            0 => 0,
            _ => guard::guard_band(size, &Schedule::new(pictures.settings)),
        };
        size.0.min(size.1) >= least && fitted(size, guard, pictures, machine).is_ok()
    };
    let (mut below, mut above) = (0, width.max(height));
    while above - below > (above / 100).max(16) {
        let middle = usize::midpoint(below, above);
        *(if fits(middle) { &mut below } else { &mut above }) = middle;
    }
    (below > 0).then_some(below)
}

/// Rounded up to two decimals, so that what is named does.
fn up(gib: f64) -> f64 {
    (gib * 100.0).ceil() / 100.0
}

fn what_would_do(needed: u64, fits: Option<usize>, narrowed: bool) -> String {
    let mut ways = vec![format!("compute.memory-gib = {:.2} or more", up(gib(needed)))];
    ways.extend(fits.map(|side| format!("a picture of no more than {side} px on its long side")));
    if narrowed {
        ways.push("tiling.mode and tiling.core-px \"auto\" and no optimise.history".into());
    }
    ways.join(", or ")
}

fn file_name(path: &Path) -> String {
    name_text(path.file_name().unwrap_or(path.as_os_str()))
}
