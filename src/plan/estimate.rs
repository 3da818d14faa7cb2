//! What a job will take: time, from how fast the machine was measured to be, memory and disk.
//!
//! Time is counted in the sweeps that a level makes, each as large as what its tiles compute of
//! their margins. A plan does not depend on it: the same pipeline gives the same plan on a fast
//! machine and on a slow one.

use serde::Serialize;

use super::levels::{Execution, Level, Visits};
use super::octave_work::{OctaveWork, sum};
use super::speed::Speed;
use super::{Job, Plan};
use crate::geometry::Rect;
use crate::network::Areas;
use crate::objective::{Spec, size_at};
use crate::tiling::{Grid, Layout};

/// Bytes on disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Disk {
    /// The finished picture, before compression and with alpha.
    pub finished_bytes: u64,
    /// Canvases and tiles of blocks and feathered mode, while a level is computed.
    pub working_bytes: u64,
    /// The optimiser's state, while a level in exact mode is computed.
    pub checkpoint_bytes: u64,
}

impl Disk {
    /// All of it at once.
    pub fn total(&self) -> u64 {
        self.finished_bytes + self.working_bytes + self.checkpoint_bytes
    }
}

/// What one level takes.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct LevelEstimate {
    /// Tiles of one evaluation, or of the first round.
    pub tiles: usize,
    /// Evaluations of a pixel: those of exact mode, or those of all visits to a tile.
    pub evaluations: usize,
    /// Seconds.
    pub seconds: f64,
    /// Bytes on disk while it is computed.
    pub disk: Disk,
}

/// What a job, or a whole run, takes.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Estimate {
    /// Seconds.
    pub seconds: f64,
    /// Peak of the memory, bytes.
    pub memory_bytes: u64,
    /// Peak of the disk, bytes.
    pub disk: Disk,
    /// The levels of a job; empty for a run.
    pub levels: Vec<LevelEstimate>,
}

impl Estimate {
    /// Of one job.
    pub fn of_job(job: &Job, speed: &Speed) -> Self {
        let levels: Vec<LevelEstimate> =
            job.levels.iter().enumerate().map(|level| of_level(job, level, speed)).collect();
        let styles: f64 =
            job.levels.iter().enumerate().map(|level| styles(job, level) * speed.forward).sum();
        let disk = Disk {
            finished_bytes: job.picture_bytes(),
            ..most(levels.iter().map(|level| level.disk))
        };
        let memory_bytes = job.levels.iter().map(|level| level.memory_bytes).max().unwrap_or(0);
        Self {
            seconds: levels.iter().map(|level| level.seconds).sum::<f64>() + styles,
            memory_bytes,
            disk,
            levels,
        }
    }

    /// Of all jobs, one after another.
    pub fn of_plan(plan: &Plan, speed: &Speed) -> Self {
        let jobs: Vec<Estimate> = plan.jobs.iter().map(|job| Self::of_job(job, speed)).collect();
        let finished_bytes = jobs.iter().map(|job| job.disk.finished_bytes).sum();
        Self {
            seconds: jobs.iter().map(|job| job.seconds).sum(),
            memory_bytes: jobs.iter().map(|job| job.memory_bytes).max().unwrap_or(0),
            disk: Disk { finished_bytes, ..most(jobs.iter().map(|job| job.disk)) },
            levels: vec![],
        }
    }
}

/// The largest of several that come one after another.
fn most(disks: impl Iterator<Item = Disk>) -> Disk {
    disks.max_by_key(|disk| disk.working_bytes + disk.checkpoint_bytes).unwrap_or_default()
}

fn of_level(job: &Job, (number, level): (usize, &Level), speed: &Speed) -> LevelEstimate {
    let octaves: Vec<OctaveWork> = job
        .spec_at(number)
        .by_octave()
        .into_iter()
        .enumerate()
        .map(|(octave, spec)| OctaveWork::new(job, spec, (level.width, level.height), octave))
        .collect();
    match level.execution {
        Execution::Exact { core, history, keep } => {
            exact(job, level, &octaves, (core, history, keep), speed)
        }
        Execution::Blocks(visits) | Execution::Feathered(visits) => {
            rounds(level, &octaves, visits, speed)
        }
    }
}

fn exact(
    job: &Job,
    level: &Level,
    octaves: &[OctaveWork],
    (core, history, keep): (usize, usize, usize),
    speed: &Speed,
) -> LevelEstimate {
    let work = octaves.iter().map(|octave| octave.exact(core, keep, speed));
    let (content, evaluation) = work.fold((0.0, 0.0), sum);
    let whole = megapixels(Rect::whole(level.width, level.height));
    let optimiser = vectors_read(level.evaluations, history) * whole * speed.vector;
    let seconds = content + level.evaluations as f64 * (evaluation + optimiser);
    let checkpoint_bytes = super::disk::exact_level(level, history, job.settings.optimise.method);
    LevelEstimate {
        tiles: Grid::new(level.width, level.height, core).count(),
        evaluations: level.evaluations,
        seconds,
        disk: Disk { checkpoint_bytes, ..Disk::default() },
    }
}

fn rounds(level: &Level, octaves: &[OctaveWork], visits: Visits, speed: &Speed) -> LevelEstimate {
    let size = (level.width, level.height);
    let blocks = matches!(level.execution, Execution::Blocks(_));
    let layout =
        |round: usize| Layout::new(size, visits.core, visits.overlap, !round.is_multiple_of(2));
    let mut seconds = 0.0;
    for round in 0..visits.rounds {
        let layout = layout(round);
        for tile in 0..layout.count() {
            let free = layout.free(tile);
            let optimiser =
                vectors_read(visits.visit, visits.history) * megapixels(free) * speed.vector;
            let work = octaves.iter().map(|octave| octave.visit(free, blocks, speed));
            let (before, evaluation) = work.fold((0.0, 0.0), sum);
            seconds += before + visits.visit as f64 * (evaluation + optimiser);
        }
    }
    // Before the first round and after each the whole canvas is measured.
    let layout = layout(0);
    let cores = || (0..layout.count()).map(|tile| layout.core(tile));
    let measured: f64 = octaves
        .iter()
        .map(|octave| cores().map(|core| octave.measured(core, speed)).sum::<f64>())
        .sum();
    seconds += (visits.rounds + 1) as f64 * measured;
    let disk = Disk { working_bytes: super::disk::rounds_level(level, visits), ..Disk::default() };
    let evaluations = visits.rounds * visits.visit;
    LevelEstimate { tiles: layout.count(), evaluations, seconds, disk }
}

/// Vectors that a step of L-BFGS reads, on average over `evaluations` steps with at most `history`
/// pairs: every pair twice, and a handful more.
fn vectors_read(evaluations: usize, history: usize) -> f64 {
    let (count, most) = (evaluations as f64, history as f64);
    let pairs =
        if count <= most { count / 2.0 } else { most - most * most / (2.0 * count.max(1.0)) };
    4.0 * pairs + 12.0
}

/// Megapixels of the whole loss that sweeping the style images for a level is as much work as, as if
/// they were square, with a tenth for the tiles' margins.
fn styles(job: &Job, (number, level): (usize, &Level)) -> f64 {
    let octave = |(octave, spec): (usize, Spec)| {
        let (deepest, of) = (spec.styles().into_iter().max(), job.spec.deepest());
        let share = deepest.zip(of).map_or(0.0, |(deepest, of)| Areas::share(deepest, of));
        let (width, height) = size_at((level.width, level.height), octave);
        let long = width.max(height) as f64;
        let styles = job.settings.styles.iter();
        share * styles.map(|style| 1.1e-6 * (long * style.scale).powi(2)).sum::<f64>()
    };
    job.spec_at(number).by_octave().into_iter().enumerate().map(octave).sum()
}

fn megapixels(rect: Rect) -> f64 {
    rect.area() as f64 * 1e-6
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;
    use crate::plan::{Source, Sources, plan_job};

    const SPEED: Speed = Speed { evaluation: 2.0, forward: 0.5, vector: 0.0 };

    /// Without a guard band, unless the keys say so.
    fn job(keys: &[&str]) -> Job {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("a.png"), "x").expect("written");
        let file = folder.path().join("p.toml");
        std::fs::write(&file, "input.content = 'a.png'\nstyle.image = 'a.png'\n").expect("written");
        let keys: Vec<String> =
            ["output.guard-band=false"].iter().chain(keys).map(|key| key.to_string()).collect();
        let config = config::load(&file, &keys).expect("a pipeline");
        let sources = Sources {
            content: Source::plain(2000, 2000),
            styles: vec![Source::plain(100, 100)],
            start: None,
        };
        plan_job(&config, &config.outputs()[0], 0, &sources, 64 << 30).expect("a plan")
    }

    fn seconds(keys: &[&str]) -> f64 {
        let single = ["output.scale=1.0", "pyramid.short-side-px=2000", "pyramid.evaluations=10"];
        let keys: Vec<&str> = single.iter().chain(keys).copied().collect();
        Estimate::of_job(&job(&keys), &SPEED).seconds
    }

    #[test]
    fn time_is_that_of_the_sweeps() {
        // 4 megapixels: the content once, ten evaluations; the style at the same size, with
        // its margins.
        let whole = 4.0 * 0.5 + 10.0 * 4.0 * 2.0 + 4.4 * 0.5;
        assert!((seconds(&[]) - whole).abs() < 1e-9, "{} instead of {whole}", seconds(&[]));
        // Four tiles of 1024 px. Margins shrink with every layer: forward from 160 px to 80, on the
        // way back from 80 to none.
        let tiled = |kept: f64, ahead: f64, back: f64| {
            let side = |margin: f64| f64::powi(2.0 + 2e-3 * margin, 2);
            10.0 * (side(ahead) * 0.5 * (2.0 - kept / 4.0) + side(back) * 1.5)
                + 4.0 * 0.5
                + 4.4 * 0.5
        };
        let found = seconds(&["tiling.core-px=1024"]);
        assert!(tiled(4.0, 80.0, 4.0) < found && found < tiled(4.0, 160.0, 80.0), "{found}");
        let mut job =
            job(&["output.scale=1.0", "pyramid.short-side-px=2000", "pyramid.evaluations=10"]);
        job.levels[0].execution = Execution::Exact { core: 1024, history: 9, keep: 1 };
        let again = Estimate::of_job(&job, &SPEED).seconds;
        assert!(
            tiled(1.0, 80.0, 4.0) < again && again < tiled(1.0, 160.0, 80.0) && again > 1.1 * found,
            "{again}"
        );
        let blocks = seconds(&[
            "tiling.mode=blocks",
            "tiling.core-px=1024",
            "tiling.rounds=1",
            "tiling.visit=10",
        ]);
        assert!(blocks > whole && blocks < 1.6 * whole, "{blocks} against {whole}");
        // Margins for the same bits are wider and shrink as well.
        let bitwise = seconds(&["tiling.core-px=1024", "tiling.margins=bitwise"]);
        assert!(
            tiled(4.0, 160.0, 80.0) < bitwise && bitwise < tiled(4.0, 576.0, 576.0),
            "{bitwise}"
        );
        assert_eq!(
            seconds(&["tiling.margins=bitwise"]),
            seconds(&[]),
            "a level in one piece has no margins"
        );
    }

    #[test]
    fn disk_is_pictures_pairs_and_tiles() {
        let estimate = Estimate::of_job(
            &job(&["output.bit-depth=16", "pyramid.evaluations=[9,3]", "optimise.history=8"]),
            &SPEED,
        );
        assert_eq!(estimate.disk.finished_bytes, 2000 * 2000 * 8);
        // The last level is the larger one, though its pairs are fewer.
        assert_eq!(
            estimate.disk.checkpoint_bytes,
            estimate.levels.last().expect("levels").disk.checkpoint_bytes
        );
        assert!(estimate.disk.checkpoint_bytes >= (2 * 2 + 5) * 12 * 2000 * 2000);
        let blocks = Estimate::of_job(
            &job(&["tiling.mode=blocks", "tiling.core-px=1024", "tiling.overlap-px=64"]),
            &SPEED,
        );
        // The shifted round has three tiles a side, which meet over two cuts.
        let tiles = (2000 + 4 * 64) * (2000 + 4 * 64);
        // Beside them the photograph, two canvases and the level below.
        let least = 12 * (tiles + 3 * 2000 * 2000 + 1000 * 1000);
        let working = blocks.disk.working_bytes;
        assert!(least <= working && working < least + least / 50, "{working}, not {least}");
    }

    #[test]
    fn a_guard_band_is_planned() {
        let (with, without) = (job(&["output.guard-band=true"]), job(&[]));
        for (with, without) in with.levels.iter().zip(&without.levels) {
            let more = with.work() / without.work();
            assert!((1.05..=1.06).contains(&more), "{with:?}");
            assert!(with.memory_bytes > without.memory_bytes, "{with:?}");
        }
        let [with, without] = [with, without].map(|job| Estimate::of_job(&job, &SPEED));
        let more = with.seconds / without.seconds;
        assert!((1.05..=1.06).contains(&more), "{more}");
        assert!(with.disk.checkpoint_bytes > without.disk.checkpoint_bytes);
        assert_eq!(with.disk.finished_bytes, without.disk.finished_bytes);
    }

    #[test]
    fn a_longer_history_reads_more_vectors() {
        assert_eq!(vectors_read(10, 100), 32.0);
        assert!(vectors_read(1000, 100) > vectors_read(100, 100));
        assert!(vectors_read(1000, 100) < 4.0 * 100.0 + 12.0);
    }
}
