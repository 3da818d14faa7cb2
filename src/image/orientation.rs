//! The eight ways a camera can have been held, as EXIF counts them.

/// EXIF orientation: how the stored rows have to be turned to be seen upright.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Orientation(u8);

impl Orientation {
    /// Stored upright (1).
    pub const UPRIGHT: Orientation = Orientation(1);

    /// From EXIF's value 1..=8; anything else is taken as upright.
    pub fn from_exif(value: u32) -> Self {
        Orientation(if (1..=8).contains(&value) { value as u8 } else { 1 })
    }

    /// EXIF's value, 1..=8.
    pub fn exif(self) -> u8 {
        self.0.max(1)
    }

    /// Whether width and height change places.
    pub fn transposes(self) -> bool {
        self.0 >= 5
    }

    /// Width and height as seen, from those stored.
    pub fn oriented(self, width: u32, height: u32) -> (u32, u32) {
        if self.transposes() { (height, width) } else { (width, height) }
    }

    /// Where stored pixels go: the index in the upright picture (row-major, `[H, W]` as seen) of
    /// the stored pixel `(x, y)` is `origin + x * step_x + y * step_y`.
    pub(crate) fn strides(self, width: u32, height: u32) -> Strides {
        let (w, h) = (i64::from(width), i64::from(height));
        let (origin, step_x, step_y) = match self.exif() {
            2 => (w - 1, -1, w),
            3 => (w * h - 1, -1, -w),
            4 => ((h - 1) * w, 1, -w),
            5 => (0, h, 1),
            6 => (h - 1, h, -1),
            7 => (w * h - 1, -h, -1),
            8 => ((w - 1) * h, -h, 1),
            _ => (0, 1, w),
        };
        Strides { origin, step_x, step_y }
    }
}

/// See [`Orientation::strides`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct Strides {
    origin: i64,
    pub(crate) step_x: i64,
    step_y: i64,
}

impl Strides {
    /// Index in the upright picture of the stored pixel `(x, y)`.
    pub(crate) fn index(self, x: u32, y: u32) -> i64 {
        self.origin + i64::from(x) * self.step_x + i64::from(y) * self.step_y
    }
}
