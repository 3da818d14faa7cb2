//! Seams, measured: whether the boundaries of tiles show in a picture.
//!
//! Two measures for every edge between two tiles. A sharp seam is a line where neighbouring pixels
//! differ more than on the lines beside it. A soft one is a step in colour between both sides of
//! the edge that the content has not. Both are taken on the tiles' grid and, for comparison, on
//! a control grid half a core away, where no tile ends: a painting has strokes and edges of its
//! own, and what they do to the measures the control shows.

use std::fmt;

use palette::{FromColor, Lab, Srgb};
use serde::Serialize;

/// Lines on each side that a boundary is compared with.
pub const LINES: usize = 48;
/// Side of the squares whose mean colours are compared, px.
const SQUARE: usize = 16;

/// Where an edge between two tiles lies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Place {
    /// Whether the edge is a column (between left and right) or a row.
    pub vertical: bool,
    /// The first column or row behind the edge, px.
    pub at: usize,
    /// Where the edge begins along its line, px.
    pub from: usize,
    /// One past its end, px.
    pub to: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (here, along) = if self.vertical { ('x', 'y') } else { ('y', 'x') };
        write!(f, "{here} = {}, {along} from {} to {}", self.at, self.from, self.to)
    }
}

/// The edges of one grid.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Boundaries {
    /// How many there are.
    pub count: usize,
    /// The largest mean difference across an edge over the median of the lines beside it; 1 is no
    /// seam.
    pub worst_ratio: f64,
    /// The mean of these ratios.
    pub mean_ratio: f64,
    /// Where the largest ratio is.
    pub worst_at: Place,
    /// The largest step in colour across an edge, less the content's, in CIE 1976 Lab units.
    pub worst_step: f64,
    /// The mean of these steps.
    pub mean_step: f64,
}

/// The tiles' grid and the control grid.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Seams {
    /// Edges at multiples of the core.
    pub grid: Boundaries,
    /// Edges half a core further.
    pub control: Boundaries,
}

/// Measures `picture`, planar `[3, H, W]`, sRGB 0..1, whose tiles have cores of `core` px, the first
/// of which begin `guard` px outside of it;
/// `content` is the content image at the same size. Nothing when no boundary of a grid lies [`LINES`]
/// px from the border.
///
/// # Panics
/// When `picture` or `content` is not of `size` (width, height).
pub fn measure(
    picture: &[f32],
    size: (usize, usize),
    content: Option<&[f32]>,
    (core, guard): (usize, usize),
) -> Option<Seams> {
    let views = [View::new(picture, size, true), View::new(picture, size, false)];
    let contents =
        content.map(|content| [View::new(content, size, true), View::new(content, size, false)]);
    let boundaries = |offset| {
        let edges = views
            .iter()
            .enumerate()
            .flat_map(|(i, view)| view.edges(core, offset, contents.as_ref().map(|c| &c[i])));
        summary(edges.collect())
    };
    Some(Seams { grid: boundaries(guard % core)?, control: boundaries((guard + core / 2) % core)? })
}

/// One edge: where, ratio of differences, step in colour.
struct Edge {
    place: Place,
    ratio: f64,
    step: f64,
}

fn summary(edges: Vec<Edge>) -> Option<Boundaries> {
    let count = edges.len();
    let worst = edges.iter().max_by(|a, b| a.ratio.total_cmp(&b.ratio))?;
    let mean = |value: fn(&Edge) -> f64| edges.iter().map(value).sum::<f64>() / count as f64;
    Some(Boundaries {
        count,
        worst_ratio: worst.ratio,
        mean_ratio: mean(|e| e.ratio),
        worst_at: worst.place,
        worst_step: edges.iter().map(|e| e.step).fold(f64::NEG_INFINITY, f64::max),
        mean_step: mean(|e| e.step),
    })
}

/// A picture seen along its vertical or its horizontal edges.
struct View<'a> {
    values: &'a [f32],
    vertical: bool,
    /// Pixels across the edges, and along them.
    across: usize,
    along: usize,
}

impl<'a> View<'a> {
    fn new(values: &'a [f32], (width, height): (usize, usize), vertical: bool) -> Self {
        assert_eq!(values.len(), 3 * width * height, "a planar picture of {width}x{height} px");
        let (across, along) = if vertical { (width, height) } else { (height, width) };
        Self { values, vertical, across, along }
    }

    fn value(&self, channel: usize, across: usize, along: usize) -> f32 {
        let index =
            if self.vertical { along * self.across + across } else { across * self.along + along };
        self.values[channel * self.across * self.along + index]
    }

    fn edges(&self, core: usize, offset: usize, content: Option<&View<'_>>) -> Vec<Edge> {
        let cuts = |length: usize| {
            (1..).map(move |k| k * core - offset).take_while(move |cut| *cut < length)
        };
        let mut ends: Vec<usize> =
            std::iter::once(0).chain(cuts(self.along)).chain([self.along]).collect();
        // Remnants shorter than half a core belong to the edge before them: a mean over few pixels
        // is mostly chance.
        ends.dedup_by(|end, before| {
            *before != 0 && *end - *before < core / 2 && *end == self.along && {
                *before = *end;
                true
            }
        });
        let mut edges = vec![];
        for at in cuts(self.across).filter(|at| *at > LINES && at + LINES < self.across) {
            for ends in ends.windows(2) {
                let (from, to) = (ends[0], ends[1]);
                let step = self.step(at, from, to)
                    - content.map_or(0.0, |content| content.step(at, from, to));
                edges.push(Edge {
                    place: Place { vertical: self.vertical, at, from, to },
                    ratio: self.ratio(at, from, to),
                    step,
                });
            }
        }
        edges
    }

    fn ratio(&self, at: usize, from: usize, to: usize) -> f64 {
        let mut beside: Vec<f64> = (at - LINES..=at + LINES)
            .filter(|line| *line != at)
            .map(|line| self.difference(line, from, to))
            .collect();
        beside.sort_by(f64::total_cmp);
        let median = 0.5 * (beside[LINES - 1] + beside[LINES]);
        // Half a step of eight bits: flat surroundings do not make a seam of nothing.
        self.difference(at, from, to).max(0.5 / 255.0) / median.max(0.5 / 255.0)
    }

    /// Mean magnitude of the difference between a line and the one before it.
    fn difference(&self, line: usize, from: usize, to: usize) -> f64 {
        let sum: f64 = (0..3)
            .flat_map(|channel| (from..to).map(move |along| (channel, along)))
            .map(|(channel, along)| {
                f64::from(
                    (self.value(channel, line, along) - self.value(channel, line - 1, along)).abs(),
                )
            })
            .sum();
        sum / (3 * (to - from)) as f64
    }

    /// Mean distance in Lab between the mean colours of squares on both sides.
    fn step(&self, at: usize, from: usize, to: usize) -> f64 {
        let side = SQUARE.min(to - from).min(at);
        let steps: Vec<f64> = (from..=to - side)
            .step_by(side)
            .map(|along| {
                let (a, b) =
                    (self.mean_lab(at - side, along, side), self.mean_lab(at, along, side));
                a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt()
            })
            .collect();
        steps.iter().sum::<f64>() / steps.len() as f64
    }

    fn mean_lab(&self, across: usize, along: usize, side: usize) -> [f64; 3] {
        let mut sum = [0f64; 3];
        for a in across..across + side {
            for b in along..along + side {
                let lab: Lab = Lab::from_color(Srgb::new(
                    self.value(0, a, b),
                    self.value(1, a, b),
                    self.value(2, a, b),
                ));
                sum.iter_mut().zip([lab.l, lab.a, lab.b]).for_each(|(sum, v)| *sum += f64::from(v));
            }
        }
        sum.map(|v| v / (side * side) as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Noise;

    const SIZE: (usize, usize) = (512, 400);

    /// Noise of a few pixels' size.
    fn strokes(seed: u64) -> Vec<f32> {
        let (noise, (width, height)) = (Noise::new(seed), SIZE);
        let grain = |c: usize, x: usize, y: usize| {
            noise.uniform((c * 1_000_000 + y / 3 * 1000 + (x + y / 2) / 3) as u64)
        };
        (0..3 * width * height)
            .map(|i| 0.3 + 0.4 * grain(i / (width * height), i % width, i / width % height))
            .collect()
    }

    #[test]
    fn a_picture_without_seams_shows_none() {
        for core in [128, 160, 256] {
            let seams = measure(&strokes(1), SIZE, None, (core, 0)).unwrap();
            assert!(seams.grid.worst_ratio < 1.2, "{seams:?}");
            assert!(seams.grid.worst_ratio < 1.1 * seams.control.worst_ratio, "{seams:?}");
            assert!(seams.grid.count > 0 && seams.control.count > 0);
        }
    }

    #[test]
    fn a_sharp_seam_is_found_where_it_is() {
        let mut picture = strokes(1);
        let (width, height) = SIZE;
        for (i, value) in picture.iter_mut().enumerate() {
            let (x, y) = (i % width, i / width % height);
            if x >= 256 && (128..256).contains(&y) {
                *value += if y.is_multiple_of(2) { 0.2 } else { -0.2 };
            }
        }
        let seams = measure(&picture, SIZE, None, (128, 0)).unwrap();
        assert!(seams.grid.worst_ratio > 1.2 * seams.control.worst_ratio, "{seams:?}");
        assert_eq!(seams.grid.worst_at, Place { vertical: true, at: 256, from: 128, to: 256 });
        // And where a guard band of 28 px was cut off.
        let inside = |c: usize| (28..height - 28).map(move |y| (c * height + y) * width);
        let cut: Vec<f32> = (0..3)
            .flat_map(inside)
            .flat_map(|row| picture[row + 28..row + width - 28].iter().copied())
            .collect();
        let seams = measure(&cut, (width - 56, height - 56), None, (128, 28)).unwrap();
        assert_eq!(seams.grid.worst_at, Place { vertical: true, at: 228, from: 100, to: 228 });
    }

    #[test]
    fn a_step_in_colour_is_found_and_the_contents_own_is_not() {
        let (content, (width, _)) = (strokes(2), SIZE);
        let stepped = |picture: &[f32]| -> Vec<f32> {
            picture
                .iter()
                .enumerate()
                .map(|(i, v)| if i % width >= 256 && i < picture.len() / 3 { v + 0.1 } else { *v })
                .collect()
        };
        let plain = measure(&strokes(1), SIZE, Some(&content), (256, 0)).unwrap();
        let tinted = measure(&stepped(&strokes(1)), SIZE, Some(&content), (256, 0)).unwrap();
        assert!(tinted.grid.worst_step > plain.grid.worst_step + 3.0, "{plain:?} {tinted:?}");
        assert!((tinted.control.worst_step - plain.control.worst_step).abs() < 1.0);
        let both =
            measure(&stepped(&strokes(1)), SIZE, Some(&stepped(&content)), (256, 0)).unwrap();
        assert!((both.grid.worst_step - plain.grid.worst_step).abs() < 1.5, "{plain:?} {both:?}");
    }

    #[test]
    fn a_picture_without_boundaries_has_no_seams() {
        assert!(measure(&strokes(1), SIZE, None, (512, 0)).is_none());
    }
}
