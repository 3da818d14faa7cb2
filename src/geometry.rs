//! Rectangles on the canvas and on feature maps.

use serde::{Deserialize, Serialize};

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

    /// This rectangle as seen from `origin`'s upper left corner. `self` must lie to its right and below.
    pub fn relative_to(&self, origin: &Rect) -> Rect {
        Rect { left: self.left - origin.left, top: self.top - origin.top, ..*self }
    }

    /// Grown by `margin` on every side and clamped to a canvas of `width` x `height`.
    pub fn grown(&self, margin: usize, width: usize, height: usize) -> Rect {
        let (left, top) = (self.left.saturating_sub(margin), self.top.saturating_sub(margin));
        let (right, bottom) = ((self.right() + margin).min(width), (self.bottom() + margin).min(height));
        Rect { left, top, width: right - left, height: bottom - top }
    }

    /// The cells of side `stride` px that begin inside this rectangle of pixels. Its corner must be a multiple of
    /// `stride`; its far edges may be anything, and cut cells are dropped as floor pooling drops them.
    pub fn cells(&self, stride: usize) -> Rect {
        Rect { left: self.left / stride, top: self.top / stride, width: self.width / stride, height: self.height / stride }
    }
}
