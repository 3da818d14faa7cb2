//! How large the canvas is, and which part of the photograph it shows.

use serde::{Deserialize, Serialize};

use crate::config::{Fit, Output, Size};

/// The canvas and the part of the photograph that fills it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Framing {
    /// Canvas width, px.
    pub width: usize,
    /// Canvas height, px.
    pub height: usize,
    /// The photograph's part, in its own pixels: left, top, width, height.
    pub crop: [f64; 4],
}

/// Sizes the canvas for a photograph of `content` (width, height) px.
pub fn frame(content: (usize, usize), output: &Output) -> Framing {
    let (w, h) = (content.0.max(1) as f64, content.1.max(1) as f64);
    match output.size {
        Size::LongSide(side) => scaled(w, h, f64::from(side.0) / w.max(h)),
        Size::Scale(factor) => scaled(w, h, factor),
        Size::Print { width: Some(width), height: None, dpi } => scaled(w, h, width.inches() * dpi.0 / w),
        Size::Print { width: None, height: Some(height), dpi } => scaled(w, h, height.inches() * dpi.0 / h),
        Size::Print { width: Some(width), height: Some(height), dpi } => {
            boxed((w, h), (width.inches() * dpi.0, height.inches() * dpi.0), output)
        }
        Size::Print { width: None, height: None, .. } => scaled(w, h, 1.0),
        Size::Paper { paper, dpi } => {
            let (short, long) = (paper.short.inches() * dpi.0, paper.long.inches() * dpi.0);
            // The sheet is turned as the photograph is.
            boxed((w, h), if w >= h { (long, short) } else { (short, long) }, output)
        }
    }
}

fn scaled(w: f64, h: f64, factor: f64) -> Framing {
    Framing { width: pixels(w * factor), height: pixels(h * factor), crop: [0.0, 0.0, w, h] }
}

fn boxed((w, h): (f64, f64), (width, height): (f64, f64), output: &Output) -> Framing {
    match output.fit {
        Fit::Contain => scaled(w, h, (width / w).min(height / h)),
        Fit::Exact => Framing { width: pixels(width), height: pixels(height), crop: [0.0, 0.0, w, h] },
        Fit::Cover => {
            let factor = (width / w).max(height / h);
            let (cw, ch) = (width / factor, height / factor);
            let place = |side: f64, part: f64, focus: f64| (focus * side - part / 2.0).clamp(0.0, (side - part).max(0.0));
            let [fx, fy] = output.crop_focus;
            Framing { width: pixels(width), height: pixels(height), crop: [place(w, cw, fx), place(h, ch, fy), cw, ch] }
        }
    }
}

/// Rounds to whole pixels, at least one.
fn pixels(value: f64) -> usize {
    (value.round() as usize).max(1)
}
