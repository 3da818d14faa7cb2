//! The command line's grammar.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::config::{Choice, Compute, DeviceName, Objective, Preset, Tiling, TilingMargins};
use crate::geometry::ALIGNMENT;
use crate::network::{Layer, Pooling, Precision, WeightsDtype};

/// The words of a setting, as a flag accepts them.
fn word_of<T: Choice + Send + Sync>() -> impl TypedValueParser<Value = T> {
    PossibleValuesParser::new(T::words())
        .map(|word| T::from_word(&word).expect("the parser accepts these words only"))
}

/// A side of tiles' cores, px.
fn core_side(text: &str) -> Result<usize, String> {
    let side = text.parse().ok().filter(|side| *side > 0 && side % ALIGNMENT == 0);
    side.ok_or_else(|| format!("accepted are multiples of {ALIGNMENT}"))
}

/// A whole number from `least`.
fn at_least(least: usize) -> impl Fn(&str) -> Result<usize, String> + Clone {
    move |text| {
        let number = text.parse().ok().filter(|number| *number >= least);
        number.ok_or_else(|| format!("accepted are whole numbers from {least}"))
    }
}

/// The least side of a canvas on which every layer has a cell, px.
fn least_canvas() -> usize {
    Layer::all().map(Layer::stride).max().unwrap_or(1)
}

/// A device.
fn device(text: &str) -> Result<DeviceName, String> {
    DeviceName::parse(text).ok_or_else(|| "accepted are cpu and cuda:N".to_owned())
}

/// The port of `impasto view`.
const VIEW_PORT: u16 = 8417;

/// Turns photographs into poster-size paintings.
#[derive(Debug, Parser)]
#[command(name = "impasto", version, about, arg_required_else_help = true)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Render the pictures of a pipeline, or resume where it was interrupted.
    Run(RunArguments),
    /// Show what a run would do, without doing it.
    Plan(PlanArguments),
    /// Show how far a run is, while it runs and after.
    Status(StatusArguments),
    /// Write a page that shows a run, as a folder that opens from the disk.
    Report(ReportArguments),
    /// Show a run in the browser while it works, and after.
    View(ViewArguments),
    /// Compute the losses of a picture, layer by layer.
    Score(ScoreArguments),
    /// Measure how much a picture shows of the tiles it was made of.
    Seams(SeamsArguments),
    /// Measure one evaluation of the loss and its gradient on this machine.
    Bench(BenchArguments),
    /// Write a commented starter pipeline.
    Init(InitArguments),
    /// Print a script that completes impasto's commands and flags in a shell.
    Completions(CompletionsArguments),
    /// Print the manual page, or write the pages of all commands into a folder.
    Man(ManArguments),
    /// Look at the network's weights, or make a weights file.
    Weights {
        /// What to do with them.
        #[command(subcommand)]
        command: WeightsCommand,
    },
}

/// `impasto run`.
#[derive(Debug, Args)]
pub struct RunArguments {
    /// The pipeline file.
    pub pipeline: PathBuf,
    /// Override a key: `--set output.long-side-px=1024`. May be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub overrides: Vec<String>,
    /// Take the look of a picture that impasto painted, such as a grid's: losses, strokes, start,
    /// from the recipe inside it. What is painted, how large and where to stays the pipeline's.
    #[arg(long, value_name = "PICTURE")]
    pub like: Option<PathBuf>,
    /// Begin a new run beside those that are there instead of resuming; nothing is deleted.
    #[arg(long)]
    pub restart: bool,
    /// Work without a lock where the file system has none (some network file systems). You vouch
    /// that no other process works on this run.
    #[arg(long)]
    pub no_lock: bool,
    /// Print events as JSON lines on standard output.
    #[arg(long, conflicts_with = "quiet")]
    pub json: bool,
    /// Print nothing but errors.
    #[arg(short, long)]
    pub quiet: bool,
    /// Log what happens; twice for more. RUST_LOG overrides it.
    #[arg(short, long, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

/// `impasto plan`.
#[derive(Debug, Args)]
pub struct PlanArguments {
    /// The pipeline file.
    pub pipeline: PathBuf,
    /// Override a key: `--set output.long-side-px=1024`. May be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub overrides: Vec<String>,
    /// Take the look of a picture that impasto painted, such as a grid's: losses, strokes, start,
    /// from the recipe inside it. What is painted, how large and where to stays the pipeline's.
    #[arg(long, value_name = "PICTURE")]
    pub like: Option<PathBuf>,
    /// Print the plan as JSON.
    #[arg(long)]
    pub json: bool,
}

/// `impasto status`.
#[derive(Debug, Args)]
pub struct StatusArguments {
    /// A run directory, the folder of its pictures, or its pipeline file.
    pub run: PathBuf,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
    /// Print again every two seconds, until the run is over or nobody works on it.
    #[arg(long)]
    pub watch: bool,
    /// Show the picture in work, or the last one, in a terminal that can.
    #[arg(long, conflicts_with = "json")]
    pub picture: bool,
}

/// `impasto report`.
#[derive(Debug, Args)]
pub struct ReportArguments {
    /// A run directory, the folder of its pictures, or its pipeline file.
    pub run: PathBuf,
    /// Where to; the folder `report` of the run directory by default.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}

/// `impasto view`.
#[derive(Debug, Args)]
pub struct ViewArguments {
    /// A run directory, the folder of its pictures, or its pipeline file.
    pub run: PathBuf,
    /// The port; 0 takes one that is free.
    #[arg(long, value_name = "N", default_value_t = VIEW_PORT)]
    pub port: u16,
    /// The address to listen at. With another than this machine's own, everybody who reaches it
    /// sees the pictures.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1")]
    pub bind: IpAddr,
    /// Open the page in the browser.
    #[arg(long)]
    pub open: bool,
}

/// `impasto score`.
#[derive(Debug, Args)]
pub struct ScoreArguments {
    /// The picture to judge.
    pub image: PathBuf,
    /// The photograph it should show; brought to the picture's size.
    #[arg(long)]
    pub content: PathBuf,
    /// The painting it should resemble, looked at as it is.
    #[arg(long)]
    pub style: PathBuf,
    /// Which loss.
    #[arg(long, default_value = Objective::default().preset.word(), value_parser = word_of::<Preset>())]
    pub preset: Preset,
    /// Another pooling than the preset's.
    #[arg(long, value_parser = word_of::<Pooling>())]
    pub pooling: Option<Pooling>,
    /// Compute in tiles with cores of this side, a multiple of 16 px, instead of as a whole.
    #[arg(long, value_name = "N", value_parser = core_side)]
    pub core_px: Option<usize>,
    /// How far tiles reach beyond their cores: exact, or bitwise for the same bytes with any core,
    /// a multiple of 64 px.
    #[arg(
        long,
        default_value = Tiling::default().margins.word(),
        value_parser = word_of::<TilingMargins>(),
    )]
    pub margins: TilingMargins,
    /// A weights file instead of the weights inside.
    #[arg(long, value_name = "FILE")]
    pub weights: Option<PathBuf>,
    /// Write the gradient with respect to the picture: float32 [3, H, W], key `gradient`.
    #[arg(long, value_name = "OUT.safetensors")]
    pub gradient: Option<PathBuf>,
    /// Threads; 0 takes all cores.
    #[arg(long, default_value_t = 0)]
    pub threads: usize,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// `impasto seams`.
#[derive(Debug, Args)]
pub struct SeamsArguments {
    /// The picture to look at.
    pub image: PathBuf,
    /// Side of the tiles' cores, px. Blocks mode shifts every second round by half a core: half the
    /// core shows both.
    #[arg(long, value_name = "N", value_parser = at_least(4))]
    pub core_px: usize,
    /// Width of the guard band that was cut off, px, as `plan` and the picture's recipe say it.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub guard_px: usize,
    /// The photograph, whose own steps in colour are subtracted; brought to the picture's size.
    #[arg(long)]
    pub content: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// `impasto bench`.
#[derive(Debug, Args)]
pub struct BenchArguments {
    /// Side of the square canvas, px.
    #[arg(long, default_value_t = 512, value_parser = at_least(least_canvas()))]
    pub size: usize,
    /// Evaluations to time, after one that is not timed.
    #[arg(long, default_value_t = 5, value_parser = at_least(1))]
    pub evaluations: usize,
    /// Threads; 0 takes all cores.
    #[arg(long, default_value_t = 0)]
    pub threads: usize,
    /// What computes: cpu, or cuda:N in a build with CUDA.
    #[arg(long = "devices", default_value = "cpu", value_name = "DEVICE", value_parser = device)]
    pub device: DeviceName,
    /// Precision. bfloat16 needs a processor that has it, tf32 a GPU.
    #[arg(long, default_value = Compute::default().precision.word(), value_parser = word_of::<Precision>())]
    pub precision: Precision,
    /// Time the forward sweep and the statistics alone.
    #[arg(long)]
    pub forward: bool,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// `impasto init`.
#[derive(Debug, Args)]
pub struct InitArguments {
    /// Where to; the current directory by default.
    pub directory: Option<PathBuf>,
}

/// `impasto weights ...`.
#[derive(Debug, Subcommand)]
pub enum WeightsCommand {
    /// Check a safetensors file and write it as weights for impasto.
    Import(ImportArguments),
    /// Print layers, number format, hash and source.
    Info(InfoArguments),
}

/// `impasto weights import`.
#[derive(Debug, Args)]
pub struct ImportArguments {
    /// The file to read: VGG19's sixteen convolutions, `conv1_1.weight` .. `conv5_4.bias`.
    pub file: PathBuf,
    /// The number format of the weights. Biases stay float32.
    #[arg(long, value_enum, default_value_t = NumberFormat::F16)]
    pub dtype: NumberFormat,
    /// Where to write them; `vgg19.safetensors` beside the file read unless named.
    #[arg(short, long)]
    pub output: Option<PathBuf>,
    /// Replace an existing file.
    #[arg(long)]
    pub overwrite: bool,
}

/// A number format of weights.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum NumberFormat {
    /// Half precision: 40 MB.
    F16,
    /// Single precision: 80 MB.
    F32,
}

impl From<NumberFormat> for WeightsDtype {
    fn from(format: NumberFormat) -> Self {
        match format {
            NumberFormat::F16 => WeightsDtype::Float16,
            NumberFormat::F32 => WeightsDtype::Float32,
        }
    }
}

/// `impasto weights info`.
#[derive(Debug, Args)]
pub struct InfoArguments {
    /// A weights file; the weights inside the program unless named.
    pub file: Option<PathBuf>,
}

/// `impasto completions`.
#[derive(Debug, Args)]
pub struct CompletionsArguments {
    /// The shell.
    pub shell: clap_complete::Shell,
}

/// `impasto man`.
#[derive(Debug, Args)]
pub struct ManArguments {
    /// A folder for the pages of impasto and of each command; it must exist.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}
