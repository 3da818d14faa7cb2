//! A level in rounds: measure, visit every tile, blend, measure again.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::event::Watcher;
use crate::event::{Event, Losses};
use crate::files;
use crate::geometry::Rect;
use crate::journal::JournalError;
use crate::network::Network;
use crate::planes::PlaneWriter;
use crate::render::devices::ordered::Queue;
use crate::render::devices::worker_pool::tell_lost;
use crate::render::error::RenderError;
use crate::render::rounds::visits::{ImageStatistics, RoundContext, TileResult};
use crate::render::store::stage::Canvas;
use crate::tiling::{CanvasFile, Layout, Pixels};

/// Rows blended at once.
const BAND: usize = 64;

/// How far the rounds of a level have come.
pub struct Progress {
    /// The canvas after the last whole round.
    pub canvas: CanvasFile,
    /// ImageStatistics rounds done.
    pub rounds: usize,
    /// The whole image's losses there.
    pub losses: Losses,
    /// Whether a stop was asked for before the last round was over.
    pub interrupted: bool,
}

/// Where the rounds of a level begin or go on.
pub struct ResumePoint {
    /// The canvas after `round` whole rounds.
    pub canvas: CanvasFile,
    /// ImageStatistics rounds done.
    pub round: usize,
    /// Tiles of the next round that lie finished at their [`Rounds::tile_path`].
    pub finished: BTreeSet<usize>,
}

/// The rounds of one level, with their files.
pub struct Rounds<'a> {
    /// What is optimised.
    pub context: &'a RoundContext<'a>,
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
        Ok(CanvasFile::create_with(&self.canvas_path(0), self.context.photograph.size(), values)?)
    }

    /// Where the rounds go on, by what lies whole in the scratch directory: else from the first,
    /// whose canvas is `start`. `note` gets what is damaged, in words. Files of rounds that are over
    /// and what a dead process was writing are removed.
    ///
    /// # Errors
    /// When a file cannot be read, written or removed.
    pub fn resume_point(
        &self,
        start: Canvas,
        note: &mut dyn FnMut(String),
    ) -> Result<ResumePoint, RenderError> {
        files::remove_all_leftovers(self.scratch)?;
        let (rounds, size) = (self.context.visits.rounds, self.context.photograph.size());
        let mut last = None;
        for round in (1..=rounds).rev() {
            let canvas = CanvasFile::open_whole(&self.canvas_path(round), size, note);
            if let Some(canvas) = canvas.map_err(JournalError::from)? {
                last = Some((round, canvas));
                break;
            }
        }
        let (round, canvas) = match last {
            Some((round, canvas)) => {
                start.remove()?;
                (0..round).try_for_each(|over| self.remove_round(over))?;
                (round, canvas)
            }
            None => (0, start.into_file(&self.canvas_path(0))?),
        };
        let mut finished = BTreeSet::new();
        if round < rounds {
            let layout = self.context.layout(round);
            for tile in 0..layout.len() {
                let (path, area) = (self.tile_path(round, tile), layout.free(tile));
                let whole = CanvasFile::open_whole(&path, (area.width, area.height), note);
                finished.extend(whole.map_err(JournalError::from)?.map(|_| tile));
            }
        }
        Ok(ResumePoint { canvas, round, finished })
    }

    /// Removes the canvas after `round` whole rounds, if it is there, and the tiles that began from
    /// it.
    fn remove_round(&self, round: usize) -> Result<(), RenderError> {
        let tiles = (0..self.context.layout(round).len()).map(|tile| self.tile_path(round, tile));
        for path in std::iter::once(self.canvas_path(round)).chain(tiles) {
            match std::fs::remove_file(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(files::Error::io("remove", &path)(error).into());
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Does all rounds, beginning at `canvas`.
    ///
    /// # Errors
    /// When a file cannot be read or written or the device fails.
    pub fn run(
        &self,
        canvas: CanvasFile,
        watcher: &mut Watcher<'_>,
    ) -> Result<Progress, RenderError> {
        self.run_from(ResumePoint { canvas, round: 0, finished: BTreeSet::new() }, watcher)
    }

    /// Does what is left of the rounds. Whatever was done before, the bytes are those of a run in
    /// one go: a visit depends on the round's canvas alone.
    ///
    /// A finished tile is on disk before [`Event::TileFinished`] is told, and a round's canvas
    /// before [`Event::RoundFinished`]; the canvas and the tiles that it was made of go after that.
    /// So who has heard the events knows where to go on: in the round after the last one finished,
    /// at its [`Rounds::canvas_path`], with the tiles that were told.
    ///
    /// # Errors
    /// When a file cannot be read or written or the device fails.
    pub fn run_from(
        &self,
        resume_point: ResumePoint,
        watcher: &mut Watcher<'_>,
    ) -> Result<Progress, RenderError> {
        let (context, rounds) = (self.context, self.context.visits.rounds);
        let ResumePoint { canvas, round: first, mut finished } = resume_point;
        let mut whole = context.measure(&canvas, &context.layout(first))?;
        let mut progress =
            Progress { canvas, rounds: first, losses: whole.losses, interrupted: false };
        for round in first..rounds {
            let started = Instant::now();
            if !self.visit_all(&progress.canvas, round, &finished, &whole, watcher)? {
                progress.interrupted = true;
                break;
            }
            finished.clear();
            let next = self.blend(&progress.canvas, round)?;
            let before = std::mem::replace(&mut progress.canvas, next);
            whole = context.measure(&progress.canvas, &context.layout(round + 1))?;
            (progress.rounds, progress.losses) = (round + 1, whole.losses);
            let seconds = started.elapsed().as_secs_f64();
            let (job, level) = (self.job, self.level);
            watcher.listener.on_event(&Event::RoundFinished {
                job,
                level,
                round: round + 1,
                rounds,
                losses: whole.losses,
                seconds,
            });
            // The canvas that the level began with has a name of its own.
            if before.path() != self.canvas_path(round) {
                before.remove()?;
            }
            self.remove_round(round)?;
        }
        Ok(progress)
    }

    /// Visits every tile of a round that is not finished and leaves each in a file; false when a
    /// stop was asked for.
    fn visit_all(
        &self,
        snapshot: &CanvasFile,
        round: usize,
        finished: &BTreeSet<usize>,
        whole: &ImageStatistics,
        watcher: &mut Watcher<'_>,
    ) -> Result<bool, RenderError> {
        let cancellation = watcher.cancellation;
        let tiles = self.context.layout(round).len();
        let left: Vec<usize> = (0..tiles).filter(|tile| !finished.contains(tile)).collect();
        let visit = |network: Option<&dyn Network>, _, index: usize| {
            let tile = left[index];
            let started = Instant::now();
            let visited =
                self.context.visit(network, snapshot, round, tile, whole, cancellation)?;
            let Some(visited) = visited else { return Ok(None) };
            store(&self.tile_path(round, tile), &visited)?;
            Ok(Some((visited.evaluations, visited.halved, started.elapsed().as_secs_f64())))
        };
        let mut all = true;
        self.context.workers.each(Queue::Shared(left.len()), visit, |index, done| {
            let Some((evaluations, halved, seconds)) = done else {
                all = false;
                return Ok(false);
            };
            let (job, level, tile) = (self.job, self.level, left[index]);
            if let Some(core) = halved {
                watcher.listener.on_event(&Event::CoreHalved {
                    job,
                    level,
                    tile: Some(tile),
                    core,
                });
            }
            watcher.listener.on_event(&Event::TileFinished {
                job,
                level,
                round: round + 1,
                tile,
                tiles,
                evaluations,
                seconds,
            });
            tell_lost(self.context.workers, watcher);
            Ok::<_, RenderError>(true)
        })?;
        Ok(all)
    }

    /// Blends the finished tiles of a round over the canvas that they started from into the next,
    /// which is durable.
    ///
    /// # Errors
    /// When a file cannot be read or written.
    pub fn blend(&self, canvas: &CanvasFile, round: usize) -> Result<CanvasFile, RenderError> {
        let layout = self.context.layout(round);
        let mut next = CanvasFile::create(&self.canvas_path(round + 1), layout.size())?;
        assemble(canvas, &layout, |tile| self.tile_path(round, tile), &mut next)?;
        Ok(next.finish()?)
    }

    /// Where the canvas after `round` whole rounds is.
    pub fn canvas_path(&self, round: usize) -> PathBuf {
        self.scratch.join(format!("level-{}-round-{round}.canvas", self.level + 1))
    }

    /// Where a finished tile of the round after `round` whole rounds is.
    pub fn tile_path(&self, round: usize, tile: usize) -> PathBuf {
        self.scratch.join(format!(
            "level-{}-round-{}-tile-{tile}.canvas",
            self.level + 1,
            round + 1
        ))
    }
}

/// Writes a finished tile to a file of its own, which is whole and durable, or not there.
///
/// # Errors
/// When the file cannot be written.
pub fn store(path: &Path, visited: &TileResult) -> Result<(), RenderError> {
    let size = (visited.area.width, visited.area.height);
    CanvasFile::create_with(path, size, &visited.pixels)?;
    Ok(())
}

/// Blends the tiles of a round, each in the file that `path` names, into `next`: `snapshot + sum of
/// w (tile - snapshot)`, summed in float64 in the order of tiles. Where no tile moved the snapshot
/// stays to the last bit, and where one tile's weight is one its values come through unchanged.
/// Memory holds a band of rows.
///
/// # Errors
/// When a file cannot be read or written, or a tile has another size than its place.
pub(crate) fn assemble(
    snapshot: &dyn Pixels,
    layout: &Layout,
    path: impl Fn(usize) -> PathBuf,
    next: &mut PlaneWriter,
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
            let values = CanvasFile::open(&path(tile))?.read(Rect {
                left: 0,
                top: from - free.top,
                width: free.width,
                height: to - from,
            })?;
            let (across, down) = layout.window(tile);
            for (line, values) in values.chunks(free.width).enumerate() {
                let (channel, y) = (line / (to - from), from + line % (to - from));
                let start = (channel * band.height + y - band.top) * width + free.left;
                let vertical = f64::from(down[y - free.top]);
                for (x, value) in values.iter().enumerate() {
                    sums[start + x] += vertical
                        * f64::from(across[x])
                        * (f64::from(*value) - f64::from(before[start + x]));
                }
            }
        }
        let blended: Vec<f32> = sums.into_iter().map(|v| v as f32).collect();
        next.write_rows(&blended)?;
    }
    Ok(())
}
