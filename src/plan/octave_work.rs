//! How much work the sweeps of one octave of a level are.

use super::Job;
use super::footprint::margins;
use super::speed::Speed;
use crate::geometry::Rect;
use crate::network::{Areas, Layer, Margins};
use crate::objective::{Spec, size_at};
use crate::tiling::Grid;

/// Where no gradient is wanted.
const NOWHERE: Rect = Rect { left: 0, top: 0, width: 0, height: 0 };

/// The part of a level's loss that sees the canvas at one size.
pub(super) struct OctaveWork {
    /// How often the canvas is halved.
    octave: usize,
    /// Width and height of the canvas, px.
    size: (usize, usize),
    deepest: Option<Layer>,
    /// Work of a pixel as a part of what a pixel of the whole loss takes, whose speed is known.
    share: f64,
    margins: Margins,
    taps: Vec<Layer>,
}

impl OctaveWork {
    pub(super) fn new(job: &Job, spec: Spec, size: (usize, usize), octave: usize) -> Self {
        let (deepest, of) = (spec.deepest(), job.spec.deepest());
        let share = deepest.zip(of).map_or(0.0, |(deepest, of)| Areas::share(deepest, of));
        let (size, margins) = (size_at(size, octave), margins(&job.settings, &spec));
        Self { octave, size, deepest, share, margins, taps: spec.taps().collect() }
    }

    /// Megapixels of the whole loss that a sweep over a region is as much work as, forward and back,
    /// for features that count on `core` and the gradient at `wanted`.
    fn swept(&self, region: Rect, core: Rect, wanted: Rect, bitwise: bool) -> (f64, f64) {
        let Some(deepest) = self.deepest else { return (0.0, 0.0) };
        let inside = |rect: Rect| if rect.area() == 0 { rect } else { rect.relative_to(&region) };
        let size = (region.width, region.height);
        let (ahead, back) =
            Areas::new(deepest, size, inside(core), Some(inside(wanted)), bitwise).swept();
        (1e-6 * ahead * self.share, 1e-6 * back * self.share)
    }

    /// Seconds of sweeping the content once, and of an evaluation in exact mode.
    pub(super) fn exact(&self, core: usize, keep: usize, speed: &Speed) -> (f64, f64) {
        let (width, height) = self.size;
        let grid = Grid::new(width, height, core);
        let (reach, bitwise) = (self.margins.gradient, self.margins.bitwise);
        let tiles = || grid.tiles().map(|tile| (tile.core, tile.region(reach, width, height)));
        let swept = |(core, region): (Rect, Rect)| self.swept(region, core, core, bitwise);
        let (ahead, back) = tiles().map(swept).fold((0.0, 0.0), sum);
        // One tile runs forward once; several run forward for the statistics and, but for those that
        // are kept, again over the same regions for the gradient.
        let again = if grid.count() == 1 {
            0.0
        } else {
            1.0 - keep.min(grid.count()) as f64 / grid.count() as f64
        };
        let swept = |(core, region): (Rect, Rect)| self.swept(region, core, NOWHERE, bitwise);
        let (content, _) = tiles().map(swept).fold((0.0, 0.0), sum);
        let evaluation = ahead * (1.0 + again) * speed.forward + back * speed.backward();
        (content * speed.forward, evaluation)
    }

    /// Seconds of the sweep before the first evaluation of a visit to the pixels of `free`, and of
    /// an evaluation there; a tile of blocks mode sees what is around as well.
    pub(super) fn visit(&self, free: Rect, blocks: bool, speed: &Speed) -> (f64, f64) {
        let (width, height) = self.size;
        let free = free.at_octave(self.octave);
        let margin = Margins::exact(self.taps.iter().copied()).features;
        let region = if blocks { free.grown(margin, width, height) } else { free };
        let (ahead, back) = self.swept(region, region, free, false);
        (ahead * speed.forward, ahead * speed.forward + back * speed.backward())
    }

    /// Seconds of measuring the pixels of `core`: canvas and content are swept forward.
    pub(super) fn measured(&self, core: Rect, speed: &Speed) -> f64 {
        let (width, height) = self.size;
        let core = core.at_octave(self.octave);
        let margin = Margins::exact(self.taps.iter().copied()).features;
        2.0 * self.swept(core.grown(margin, width, height), core, NOWHERE, false).0 * speed.forward
    }
}

/// Both parts of two pairs added up.
pub(super) fn sum(a: (f64, f64), b: (f64, f64)) -> (f64, f64) {
    (a.0 + b.0, a.1 + b.1)
}
