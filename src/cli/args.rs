//! The command line's grammar.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// Turns photographs into poster-size paintings.
#[derive(Debug, Parser)]
#[command(name = "impasto", version, about, arg_required_else_help = true)]
pub struct Arguments {
    /// Log what happens; twice for more. RUST_LOG overrides it.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
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
    /// Show how far a run is, while it goes on and after.
    Status(StatusArguments),
    /// Compute the losses of a picture, layer by layer.
    Score(ScoreArguments),
    /// Measure how much a picture shows of the tiles it was made of.
    Seams(SeamsArguments),
    /// Measure one evaluation of the loss and its gradient on this machine.
    Bench(BenchArguments),
    /// Write a commented starter pipeline.
    Init(InitArguments),
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
}

/// `impasto plan`.
#[derive(Debug, Args)]
pub struct PlanArguments {
    /// The pipeline file.
    pub pipeline: PathBuf,
    /// Override a key: `--set output.long-side-px=1024`. May be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub overrides: Vec<String>,
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
    /// Which loss: spst, gatys or neural-style.
    #[arg(long, default_value = "spst")]
    pub preset: String,
    /// Pooling: max or average.
    #[arg(long)]
    pub pooling: Option<String>,
    /// Compute in tiles with cores of this side, a multiple of 16 px, instead of as a whole.
    #[arg(long, value_name = "N")]
    pub core_px: Option<usize>,
    /// How far tiles reach beyond their cores: exact, or bitwise for the same bytes with any core,
    /// a multiple of 64 px.
    #[arg(long, default_value = "exact")]
    pub margins: String,
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
    #[arg(long, value_name = "N")]
    pub core_px: usize,
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
    #[arg(long, default_value_t = 512)]
    pub size: usize,
    /// Evaluations to time, after one that is not timed.
    #[arg(long, default_value_t = 5)]
    pub evaluations: usize,
    /// Threads; 0 takes all cores.
    #[arg(long, default_value_t = 0)]
    pub threads: usize,
    /// What computes: cpu, or cuda:N in a build with CUDA.
    #[arg(long, default_value = "cpu", value_name = "DEVICE")]
    pub devices: String,
    /// Arithmetic: float32, or bfloat16 where the processor has it; on a GPU tf32 as well.
    #[arg(long, default_value = "float32")]
    pub precision: String,
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
    /// The number format of the weights: f16 or f32. Biases stay float32.
    #[arg(long, default_value = "f16")]
    pub dtype: String,
    /// Where to write them; `vgg19.safetensors` beside the file read unless named.
    #[arg(short, long)]
    pub output: Option<PathBuf>,
    /// Replace an existing file.
    #[arg(long)]
    pub overwrite: bool,
}

/// `impasto weights info`.
#[derive(Debug, Args)]
pub struct InfoArguments {
    /// A weights file; the weights inside the program unless named.
    pub file: Option<PathBuf>,
}
