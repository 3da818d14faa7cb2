//! Rectangles on the canvas and on feature maps, and the two grids that tiles lie on.

use serde::{Deserialize, Serialize};

/// Tile corners are multiples of this many pixels, the side of the network's deepest cells: so every
/// pooling window lies in a tile as it lies on the canvas.
pub const ALIGNMENT: usize = 16;

/// The side of the squares, px, on whose grid results do not depend on the tiling: sums are formed
/// square by square, and tiles that begin on multiples of it have the convolutions' 4x4 blocks of
/// the deepest cells (4 x 16 px) at the same places.
pub const GRID: usize = 64;

/// An axis-parallel rectangle of pixels or of cells; which, its owner says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Rect {
    /// First column.
    pub left: usize,
    /// First row.
    pub top: usize,
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
}

impl Rect {
    /// The rectangle from the origin to (`width`, `height`).
    pub fn whole(width: usize, height: usize) -> Self {
        Self { left: 0, top: 0, width, height }
    }

    /// One past the last column.
    pub fn right(&self) -> usize {
        self.left + self.width
    }

    /// One past the last row.
    pub fn bottom(&self) -> usize {
        self.top + self.height
    }

    /// Width times height.
    pub fn area(&self) -> usize {
        self.width * self.height
    }

    /// Whether it lies in the rectangle from the origin to (`width`, `height`).
    pub fn lies_in(&self, width: usize, height: usize) -> bool {
        let ends_by = |start: usize, length: usize, end: usize| {
            start.checked_add(length).is_some_and(|stop| stop <= end)
        };
        ends_by(self.left, self.width, width) && ends_by(self.top, self.height, height)
    }

    /// This rectangle as seen from `origin`'s upper left corner. `self` must lie to its right and
    /// below.
    pub fn relative_to(&self, origin: &Rect) -> Rect {
        Rect { left: self.left - origin.left, top: self.top - origin.top, ..*self }
    }

    /// Grown by `margin` on every side and clamped to a canvas of `width` x `height`.
    pub fn grown(&self, margin: usize, width: usize, height: usize) -> Rect {
        let (left, top) = (self.left.saturating_sub(margin), self.top.saturating_sub(margin));
        let (right, bottom) =
            ((self.right() + margin).min(width), (self.bottom() + margin).min(height));
        Rect { left, top, width: right - left, height: bottom - top }
    }

    /// Grown outwards to multiples of `unit` and clamped to `width` x `height`; an empty rectangle
    /// stays empty.
    pub fn aligned(&self, unit: usize, width: usize, height: usize) -> Rect {
        if self.area() == 0 {
            return Rect { width: 0, height: 0, ..*self };
        }
        let (left, top) = (self.left / unit * unit, self.top / unit * unit);
        let (right, bottom) = (
            self.right().next_multiple_of(unit).min(width),
            self.bottom().next_multiple_of(unit).min(height),
        );
        Rect { left, top, width: right - left, height: bottom - top }
    }

    /// The 2x2 windows that lie whole in this rectangle, whose corner is one's.
    pub fn halved(&self) -> Rect {
        let (left, top) = (self.left / 2, self.top / 2);
        Rect { left, top, width: self.right() / 2 - left, height: self.bottom() / 2 - top }
    }

    /// The pixels that any of these takes part in where the canvas is halved `octave` times.
    pub fn at_octave(&self, octave: usize) -> Rect {
        let (left, top) = (self.left >> octave, self.top >> octave);
        let end = |end: usize| end.div_ceil(1 << octave);
        Rect { left, top, width: end(self.right()) - left, height: end(self.bottom()) - top }
    }

    /// What both rectangles cover; empty where they do not meet.
    pub fn intersection(&self, other: &Rect) -> Rect {
        let (left, top) = (self.left.max(other.left), self.top.max(other.top));
        let (right, bottom) = (self.right().min(other.right()), self.bottom().min(other.bottom()));
        Rect { left, top, width: right.saturating_sub(left), height: bottom.saturating_sub(top) }
    }

    /// The smallest rectangle around both; an empty one adds nothing.
    pub fn hull(&self, other: &Rect) -> Rect {
        match (self.area(), other.area()) {
            (0, _) => *other,
            (_, 0) => *self,
            _ => {
                let (left, top) = (self.left.min(other.left), self.top.min(other.top));
                let (right, bottom) =
                    (self.right().max(other.right()), self.bottom().max(other.bottom()));
                Rect { left, top, width: right - left, height: bottom - top }
            }
        }
    }

    /// The cells of side `stride` px that begin inside this rectangle of pixels. Its corner must be
    /// a multiple of `stride`; its far edges may be anything, and cut cells are dropped as floor
    /// pooling drops them.
    pub fn cells(&self, stride: usize) -> Rect {
        Rect {
            left: self.left / stride,
            top: self.top / stride,
            width: self.width / stride,
            height: self.height / stride,
        }
    }
}
