//! Units that keep pixels, millimetres and dots per inch apart, and the names of paper sizes.
//!
//! Owns the arithmetic between lengths on paper and pixels. Knows nothing of pictures or of files.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Millimetres in an inch.
const MM_PER_INCH: f64 = 25.4;

/// A length or distance in whole pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Px(pub u32);

/// A length on paper in millimetres; finite and not negative.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Mm(pub f64);

/// A print resolution in dots (pixels) per inch; finite and above zero.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Dpi(pub f64);

impl Mm {
    /// A length given in inches.
    pub fn from_inches(inches: f64) -> Mm {
        Mm(inches * MM_PER_INCH)
    }

    /// The same length in inches.
    pub fn inches(self) -> f64 {
        self.0 / MM_PER_INCH
    }

    /// The pixels that cover this length at `dpi`, rounded to the nearest whole pixel and never
    /// less than one.
    ///
    /// Lengths beyond `u32::MAX` pixels saturate.
    pub fn to_px(self, dpi: Dpi) -> Px {
        // `as` saturates and sends NaN to zero, so no length can overflow here.
        Px(((self.inches() * dpi.0).round() as u32).max(1))
    }
}

impl Px {
    /// The length on paper of this many pixels at `dpi`.
    pub fn to_mm(self, dpi: Dpi) -> Mm {
        Mm::from_inches(f64::from(self.0) / dpi.0)
    }
}

impl Dpi {
    /// Pixels in a metre, rounded: the unit of PNG's `pHYs` chunk.
    pub fn per_metre(self) -> u32 {
        (self.0 * 1000.0 / MM_PER_INCH).round() as u32
    }
}

impl fmt::Display for Px {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} px", self.0)
    }
}

impl fmt::Display for Mm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} mm", self.0)
    }
}

impl fmt::Display for Dpi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} dpi", self.0)
    }
}

/// A sheet of paper without an orientation: it is turned as the picture on it is.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Paper {
    /// The shorter side.
    pub short: Mm,
    /// The longer side; equal to `short` for a square.
    pub long: Mm,
}

/// The ISO 216 sizes from the largest to the smallest, `(name, short, long)` in millimetres.
const A_SERIES: [(&str, f64, f64); 7] = [
    ("A0", 841.0, 1189.0),
    ("A1", 594.0, 841.0),
    ("A2", 420.0, 594.0),
    ("A3", 297.0, 420.0),
    ("A4", 210.0, 297.0),
    ("A5", 148.0, 210.0),
    ("A6", 105.0, 148.0),
];

/// The longest side a sheet may have, in millimetres: ten metres.
pub const LONGEST_SIDE: Mm = Mm(10_000.0);

/// A text that names no paper size.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no paper size; accepted are A0 to A6 and sizes such as 24x36in, 30x40cm or 300x400mm"
)]
pub struct UnknownPaper(pub String);

impl Paper {
    /// The sheet with these two sides, in either order.
    pub fn new(one: Mm, other: Mm) -> Paper {
        if one.0 <= other.0 {
            Paper { short: one, long: other }
        } else {
            Paper { short: other, long: one }
        }
    }

    /// Reads `A0`..`A6` (either case) or `WIDTHxHEIGHT` followed by `in`, `cm` or `mm`.
    ///
    /// # Errors
    ///
    /// [`UnknownPaper`] if the text is neither, or if a side is not above zero and at most
    /// [`LONGEST_SIDE`].
    pub fn parse(text: &str) -> Result<Paper, UnknownPaper> {
        let unknown = || UnknownPaper(text.to_owned());
        let wanted = text.trim();
        for (name, short, long) in A_SERIES {
            if wanted.eq_ignore_ascii_case(name) {
                return Ok(Paper { short: Mm(short), long: Mm(long) });
            }
        }
        let lower = wanted.to_lowercase();
        let (sides, mm_per_unit) = [("in", MM_PER_INCH), ("cm", 10.0), ("mm", 1.0)]
            .iter()
            .find_map(|(unit, mm)| lower.strip_suffix(unit).map(|sides| (sides.trim(), *mm)))
            .ok_or_else(unknown)?;
        let (one, other) = sides.split_once(['x', '×']).ok_or_else(unknown)?;
        let side = |text: &str| {
            let number: f64 = text.trim().parse().ok()?;
            let mm = number * mm_per_unit;
            (mm > 0.0 && mm <= LONGEST_SIDE.0).then_some(Mm(mm))
        };
        match (side(one), side(other)) {
            (Some(one), Some(other)) => Ok(Paper::new(one, other)),
            _ => Err(unknown()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_series_has_its_iso_sides_in_either_case() {
        assert_eq!(Paper::parse("A3"), Ok(Paper { short: Mm(297.0), long: Mm(420.0) }));
        assert_eq!(Paper::parse("a0"), Ok(Paper { short: Mm(841.0), long: Mm(1189.0) }));
        assert!(Paper::parse("A7").is_err());
    }

    #[test]
    fn sizes_with_units_become_millimetres_short_side_first() {
        let poster = Paper::parse("36x24in").expect("inches");
        assert!((poster.short.0 - 609.6).abs() < 1e-9);
        assert!((poster.long.0 - 914.4).abs() < 1e-9);
        assert_eq!(Paper::parse("300 x 400 mm"), Ok(Paper::new(Mm(400.0), Mm(300.0))));
        assert_eq!(Paper::parse("30x40cm"), Ok(Paper::new(Mm(300.0), Mm(400.0))));
    }

    #[test]
    fn nonsense_sizes_are_refused() {
        for text in [
            "",
            "x",
            "in",
            "24x36",
            "24in",
            "0x10mm",
            "-1x10mm",
            "nanx10mm",
            "infxinfmm",
            "1e9x1mm",
            "10x20x30mm",
        ] {
            assert!(Paper::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_poster_at_300_dpi_has_its_known_pixels() {
        let poster = Paper::parse("24x36in").expect("inches");
        assert_eq!(poster.short.to_px(Dpi(300.0)), Px(7200));
        assert_eq!(poster.long.to_px(Dpi(300.0)), Px(10800));
        assert_eq!(Mm(0.0).to_px(Dpi(300.0)), Px(1));
        assert_eq!(Mm(f64::MAX).to_px(Dpi(300.0)), Px(u32::MAX));
    }

    #[test]
    fn resolutions_convert_to_metres_and_back_to_paper() {
        assert_eq!(Dpi(300.0).per_metre(), 11811);
        assert!((Px(300).to_mm(Dpi(300.0)).0 - 25.4).abs() < 1e-12);
    }
}
