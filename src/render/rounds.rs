//! A level in rounds: measure, visit every tile, blend, measure again.

use std::path::{Path, PathBuf};
use std::time::Instant;

use super::engine::Engine;
use super::error::RenderError;
use super::job::Watcher;
use super::visits::{Scene, Visited, Whole};
use super::workers::in_order;
use crate::event::{Event, Losses};
use crate::files;
use crate::geometry::Rect;
use crate::journal::checkpoint::{is_sealed, remove_sealed, seal};
use crate::tiling::{CanvasFile, Layout, Pixels};

/// Rows blended at once.
const BAND: usize = 64;

/// A temporary directory that goes away with its owner.
pub(super) struct Scratch(tempfile::TempDir);

impl Scratch {
    pub(super) fn new(beside: &Path) -> Result<Self, RenderError> {
        let made = tempfile::Builder::new().prefix(".impasto-tiles-").tempdir_in(beside);
        let refused = |source| files::Error::Io { action: "create a directory in", path: beside.into(), source };
        Ok(Self(made.map_err(refused)?))
    }

    pub(super) fn path(&self) -> &Path {
        self.0.path()
    }
}

/// How far the rounds of a level have come.
pub struct Progress {
    /// The canvas after the last whole round.
    pub canvas: CanvasFile,
    /// Whole rounds done.
    pub rounds: usize,
    /// The whole image's losses there.
    pub losses: Losses,
    /// Whether a stop was asked for before the last round was over.
    pub interrupted: bool,
}

/// The rounds of one level, with their files.
pub struct Rounds<'a> {
    /// What is optimised.
    pub scene: &'a Scene<'a>,
    /// Whose threads compute.
    pub engine: &'a Engine,
    /// Tiles in flight at once. The result does not depend on it.
    pub workers: usize,
    /// A directory for canvases and tiles; about twice the canvas's 12 bytes a pixel.
    pub scratch: &'a Path,
    /// The job's number, for events.
    pub job: usize,
    /// The level's number, for events.
    pub level: usize,
}

impl Rounds<'_> {
    /// Writes the first canvas, `[3, H, W]`.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn start(&self, values: &[f32]) -> Result<CanvasFile, RenderError> {
        let path = self.canvas_path(0);
        let canvas = CanvasFile::create_with(&path, self.scene.photograph.size(), values)?;
        seal(&path)?;
        Ok(canvas)
    }

    /// The canvas of the last whole round that the scratch directory holds, and that round's number; nothing when it holds
    /// none. Files of rounds before it are removed.
    ///
    /// # Errors
    /// When the directory cannot be read or cleared.
    pub fn resume(&self) -> Result<Option<(usize, CanvasFile)>, RenderError> {
        let whole = |round: &usize| is_sealed(&self.canvas_path(*round));
        let Some(round) = (0..=self.scene.visits.rounds).rev().find(whole) else { return Ok(None) };
        for old in 0..round {
            remove_sealed(&self.canvas_path(old))?;
            (0..self.scene.layout(old).len()).try_for_each(|tile| remove_sealed(&self.tile_path(old, tile)))?;
        }
        let canvas = CanvasFile::open(&self.canvas_path(round))?;
        Ok(Some((round, canvas)))
    }

    /// Does all rounds, beginning at `canvas`.
    ///
    /// # Errors
    /// When a file cannot be read or written or the device fails.
    pub fn run(&self, canvas: CanvasFile, watcher: &mut Watcher<'_>) -> Result<Progress, RenderError> {
        self.run_from(0, canvas, watcher)
    }

    /// Does the rounds behind the first `first`, whose canvas is `canvas`. Tiles that lie whole in the scratch directory
    /// are not visited again.
    ///
    /// # Errors
    /// When a file cannot be read or written or the device fails.
    pub fn run_from(&self, first: usize, canvas: CanvasFile, watcher: &mut Watcher<'_>) -> Result<Progress, RenderError> {
        let (scene, rounds) = (self.scene, self.scene.visits.rounds);
        let mut whole = scene.measure(&canvas, &scene.layout(first), self.engine, self.workers)?;
        let mut progress = Progress { canvas, rounds: first, losses: whole.losses, interrupted: false };
        for round in first..rounds {
            let started = Instant::now();
            let layout = scene.layout(round);
            if !self.visit_all(&progress.canvas, round, &layout, &whole, watcher)? {
                progress.interrupted = true;
                break;
            }
            let next = CanvasFile::create(&self.canvas_path(round + 1), layout.size())?;
            assemble(&progress.canvas, &layout, |tile| self.tile_path(round, tile), &next)?;
            seal(next.path())?;
            let before = std::mem::replace(&mut progress.canvas, next);
            remove_sealed(before.path())?;
            (0..layout.len()).try_for_each(|tile| remove_sealed(&self.tile_path(round, tile)))?;
            whole = scene.measure(&progress.canvas, &scene.layout(round + 1), self.engine, self.workers)?;
            (progress.rounds, progress.losses) = (round + 1, whole.losses);
            let seconds = started.elapsed().as_secs_f64();
            let (job, level) = (self.job, self.level);
            watcher.listener.hear(&Event::RoundFinished { job, level, round: round + 1, rounds, losses: whole.losses, seconds });
        }
        Ok(progress)
    }

    /// Visits every tile of a round and leaves each in a file; false when a stop was asked for.
    fn visit_all(
        &self,
        snapshot: &CanvasFile,
        round: usize,
        layout: &Layout,
        whole: &Whole,
        watcher: &mut Watcher<'_>,
    ) -> Result<bool, RenderError> {
        let stop = watcher.stop;
        let visit = |tile: usize| {
            let started = Instant::now();
            if is_sealed(&self.tile_path(round, tile)) {
                return Ok(Some(None));
            }
            let visited = self.engine.install(|| self.scene.visit(snapshot, round, tile, whole, stop))?;
            let Some(visited) = visited else { return Ok(None) };
            store(&self.tile_path(round, tile), &visited)?;
            Ok(Some(Some((visited.evaluations, started.elapsed().as_secs_f64()))))
        };
        let mut all = true;
        in_order(self.workers, layout.len(), visit, |tile, done| {
            let Some(done) = done else {
                all = false;
                return Ok(false);
            };
            // What an earlier start of the run had done was told then.
            let Some((evaluations, seconds)) = done else { return Ok(true) };
            let (job, level, tiles) = (self.job, self.level, layout.len());
            watcher.listener.hear(&Event::TileFinished { job, level, round: round + 1, tile, tiles, evaluations, seconds });
            Ok(true)
        })?;
        Ok(all)
    }

    fn canvas_path(&self, round: usize) -> PathBuf {
        self.scratch.join(format!("level-{}-round-{round}.canvas", self.level + 1))
    }

    fn tile_path(&self, round: usize, tile: usize) -> PathBuf {
        self.scratch.join(format!("level-{}-round-{}-tile-{tile}.canvas", self.level + 1, round + 1))
    }
}

/// Writes a finished tile to a file of its own, which lasts.
fn store(path: &Path, visited: &Visited) -> Result<(), RenderError> {
    CanvasFile::create_with(path, (visited.area.width, visited.area.height), &visited.pixels)?;
    Ok(seal(path)?)
}

/// Blends the tiles of a round, each in the file that `path` names, into `next`: `snapshot + sum of w (tile - snapshot)`,
/// summed in float64 in the order of tiles. Where no tile moved the snapshot stays to the last bit, and where one tile's
/// weight is one its values come through unchanged. Memory holds a band of rows.
///
/// # Errors
/// When a file cannot be read or written, or a tile has another size than its place.
pub(super) fn assemble(
    snapshot: &dyn Pixels,
    layout: &Layout,
    path: impl Fn(usize) -> PathBuf,
    next: &CanvasFile,
) -> Result<(), RenderError> {
    let (width, height) = layout.size();
    for top in (0..height).step_by(BAND) {
        let band = Rect { left: 0, top, width, height: BAND.min(height - top) };
        let before = snapshot.read(band)?;
        let mut sums: Vec<f64> = before.iter().map(|v| f64::from(*v)).collect();
        for tile in 0..layout.len() {
            let free = layout.free(tile);
            let (from, to) = (free.top.max(band.top), free.bottom().min(band.bottom()));
            if from >= to {
                continue;
            }
            let values =
                CanvasFile::open(&path(tile))?.read(Rect { left: 0, top: from - free.top, width: free.width, height: to - from })?;
            let (across, down) = layout.window(tile);
            for (line, values) in values.chunks(free.width).enumerate() {
                let (channel, y) = (line / (to - from), from + line % (to - from));
                let start = (channel * band.height + y - band.top) * width + free.left;
                let vertical = f64::from(down[y - free.top]);
                for (x, value) in values.iter().enumerate() {
                    sums[start + x] += vertical * f64::from(across[x]) * (f64::from(*value) - f64::from(before[start + x]));
                }
            }
        }
        let blended: Vec<f32> = sums.into_iter().map(|v| v as f32).collect();
        next.write(band, &blended)?;
    }
    Ok(())
}
