//! The size of the finished picture: said in one of four ways.

use crate::units::{Dpi, Mm, Paper, Px};

/// The resolution of sizes on paper that name none.
pub(super) const DEFAULT_DPI: Dpi = Dpi(300.0);

/// The size of the finished picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Size {
    /// The longer side in pixels, 16 to 200000.
    LongSide(Px),
    /// Width and height on paper, each above 0 and at most 10000 mm; at least one is given, the
    /// other follows from the photograph.
    Print {
        /// Width on paper.
        width: Option<Mm>,
        /// Height on paper.
        height: Option<Mm>,
        /// Pixels per inch.
        dpi: Dpi,
    },
    /// A sheet, turned as the photograph is.
    Paper {
        /// The sheet's sides.
        paper: Paper,
        /// Pixels per inch.
        dpi: Dpi,
    },
    /// A factor on the photograph's own pixels, 0.01 to 100.
    Scale(f64),
}

impl Size {
    /// Whether it is a size on paper.
    pub fn is_on_paper(self) -> bool {
        matches!(self, Size::Print { .. } | Size::Paper { .. })
    }
}
