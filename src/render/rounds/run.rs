//! Rounds with their files: measure, visit every tile, blend, measure again.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::event::{Event, Watcher};
use crate::files;
use crate::geometry::Rect;
use crate::journal::JournalError;
use crate::network::Network;
use crate::objective::ImageLoss;
use crate::planes::PlaneWriter;
use crate::render::devices::ordered::Queue;
use crate::render::devices::worker_pool::report_lost;
use crate::render::error::RenderError;
use crate::render::rounds::context::RoundContext;
use crate::render::rounds::visit::TileResult;
use crate::render::store::stage::Canvas;
use crate::tiling::{CanvasFile, Layout, Pixels};

/// Rows blended at once.
const BAND: usize = 64;

/// How far the rounds of a level are.
pub struct RoundState {
    /// The canvas after `round` whole rounds.
    pub canvas: CanvasFile,
    /// Whole rounds done.
    pub round: usize,
    /// Tiles of the next round that lie finished at their [`Rounds::tile_path`].
    pub finished: BTreeSet<usize>,
    /// The whole image's loss at the canvas, once it is measured.
    pub measured: Option<ImageLoss>,
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
    /// Where the rounds are, by what lies whole in the scratch directory: else before the first,
    /// with `start` as their canvas. `note` gets what is damaged, in words. Files of rounds that are
    /// over and what a dead process was writing are removed.
    ///
    /// # Errors
    /// When a file cannot be read, written or removed.
    pub fn resume(
        &self,
        start: Canvas,
        note: &mut dyn FnMut(String),
    ) -> Result<RoundState, RenderError> {
        files::remove_all_leftovers(self.scratch)?;
        let (rounds, size) = (self.context.visits.rounds, self.context.content.size());
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
            for tile in 0..layout.count() {
                let (path, area) = (self.tile_path(round, tile), layout.free(tile));
                let whole = CanvasFile::open_whole(&path, (area.width, area.height), note);
                finished.extend(whole.map_err(JournalError::from)?.map(|_| tile));
            }
        }
        Ok(RoundState { canvas, round, finished, measured: None })
    }

    /// Removes the canvas after `round` whole rounds, if it is there, and the tiles that began from
    /// it.
    fn remove_round(&self, round: usize) -> Result<(), RenderError> {
        let tiles = (0..self.context.layout(round).count()).map(|tile| self.tile_path(round, tile));
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

    /// The whole image's loss at the canvas, measured where that was not done before.
    ///
    /// # Errors
    /// When the canvas cannot be read, the device fails, or a stop was requested.
    pub fn measured<'s>(&self, state: &'s mut RoundState) -> Result<&'s ImageLoss, RenderError> {
        let measured = match state.measured.take() {
            Some(measured) => measured,
            None => self.context.measure(&state.canvas)?,
        };
        Ok(state.measured.insert(measured))
    }

    /// Does the next round. Whatever was done before, the bytes are those of a run in one go: a
    /// visit depends on the round's canvas alone.
    ///
    /// A finished tile is on disk before [`Event::TileFinished`] is reported, and a round's canvas
    /// before [`Event::RoundFinished`]; the canvas before it and the tiles that it was made of are
    /// removed after that. So the files always say where to continue: see [`Rounds::resume`].
    ///
    /// # Errors
    /// When a file cannot be read or written, the device fails, or a stop was requested. The state
    /// is then as it was, but for tiles that are finished.
    pub fn advance(
        &self,
        state: &mut RoundState,
        watcher: &mut Watcher<'_>,
    ) -> Result<(), RenderError> {
        let (context, round, started) = (self.context, state.round, Instant::now());
        self.measured(state)?;
        self.visit_all(state, watcher)?;
        let next = self.blend(&state.canvas, round)?;
        let measured = context.measure(&next)?;
        let losses = measured.losses();
        let before = std::mem::replace(&mut state.canvas, next);
        state.finished.clear();
        (state.round, state.measured) = (round + 1, Some(measured));
        watcher.listener.on_event(&Event::RoundFinished {
            job: self.job,
            level: self.level,
            round: round + 1,
            rounds: context.visits.rounds,
            losses,
            seconds: started.elapsed().as_secs_f64(),
        });
        // The canvas that the level began with has a name of its own.
        if before.path() != self.canvas_path(round) {
            before.remove()?;
        }
        self.remove_round(round)
    }

    /// Visits every tile of a round that is not finished and leaves each in a file.
    fn visit_all(
        &self,
        state: &mut RoundState,
        watcher: &mut Watcher<'_>,
    ) -> Result<(), RenderError> {
        let RoundState { canvas: snapshot, round, finished, measured } = state;
        let (round, cancellation) = (*round, watcher.cancellation);
        let whole = measured.as_ref().expect("a round's canvas is measured before its tiles move");
        let tiles = self.context.layout(round).count();
        let left: Vec<usize> = (0..tiles).filter(|tile| !finished.contains(tile)).collect();
        let visit = |network: Option<&dyn Network>, _, index: usize| {
            let (tile, started) = (left[index], Instant::now());
            let moved = self.context.visit(network, snapshot, round, tile, whole, cancellation)?;
            store(&self.tile_path(round, tile), &moved)?;
            Ok((moved.evaluations, moved.halved, started.elapsed().as_secs_f64()))
        };
        self.context.workers.each(Queue::Shared(left.len()), visit, |index, moved| {
            let ((evaluations, halved, seconds), tile) = (moved, left[index]);
            let (job, level) = (self.job, self.level);
            finished.insert(tile);
            if let Some(core) = halved {
                let tile = Some(tile);
                watcher.listener.on_event(&Event::CoreHalved { job, level, tile, core });
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
            report_lost(self.context.workers, watcher);
            Ok(())
        })
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
pub fn store(path: &Path, moved: &TileResult) -> Result<(), RenderError> {
    CanvasFile::create_with(path, (moved.area.width, moved.area.height), &moved.pixels)?;
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
        for tile in 0..layout.count() {
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
