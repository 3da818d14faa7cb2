//! How large the canvas is, which part of the content image it shows, and what that means on paper.

use serde::{Deserialize, Serialize};

use super::guard::guard_band;
use super::spec::Schedule;
use crate::config::{Fit, Output, Size};
use crate::geometry::Rect;
use crate::units::{Dpi, Mm};

/// Pixels of the content image for an inch of paper below which a print looks soft from reading
/// distance.
const SOFT_PPI: f64 = 100.0;

/// The picture, the canvas around it, and the part of the content image that fills the canvas.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Framing {
    /// Width of the picture that is written, px, the bleed on both sides included.
    pub width: usize,
    /// Height of the picture that is written, px, the bleed on both sides included.
    pub height: usize,
    /// Canvas pixels on each side of the picture that are painted and not written.
    #[serde(default)]
    pub guard: usize,
    /// The content image's part that the canvas shows, in the content image's own pixels: left, top,
    /// width, height. With bleed or a guard band it may reach beyond the content image, which is
    /// mirrored there.
    pub crop: [f64; 4],
    /// Width and height of the content image as it was planned with, px.
    pub content: [usize; 2],
    /// Pixels of the picture on each side that the printer's knife takes off.
    pub bleed: usize,
    /// The picture on paper; none when no resolution is known.
    pub print: Option<Print>,
}

/// A picture on paper.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Print {
    /// Pixels of the canvas for an inch of paper.
    pub dpi: f64,
    /// Width of the trimmed print, mm.
    pub width_mm: f64,
    /// Height of the trimmed print, mm.
    pub height_mm: f64,
    /// Pixels of the content image for an inch of paper, on the axis that has fewer: its effective
    /// resolution.
    pub source_ppi: f64,
}

impl Framing {
    /// Width and height of the canvas at the last level, px: the picture and its guard band.
    pub fn canvas(&self) -> (usize, usize) {
        (self.width + 2 * self.guard, self.height + 2 * self.guard)
    }

    /// The part of a canvas of `size` px, of any level, that is written. At the last level it is
    /// exact, below it to a pixel.
    pub fn picture_in(&self, size: (usize, usize)) -> Rect {
        let canvas = self.canvas();
        let side = |picture: usize, canvas: usize, length: usize| {
            let part = (picture as f64 * length as f64 / canvas as f64).round() as usize;
            part.clamp(1, length)
        };
        let width = side(self.width, canvas.0, size.0);
        let height = side(self.height, canvas.1, size.1);
        Rect { left: (size.0 - width) / 2, top: (size.1 - height) / 2, width, height }
    }

    /// Where the canvas lies in a picture of `size` px that shows what is written: left, top, width,
    /// height, in its pixels.
    pub fn canvas_over(&self, size: (usize, usize)) -> [f64; 4] {
        grown([0.0, 0.0, size.0 as f64, size.1 as f64], (self.width, self.height), self.guard)
    }

    /// What is worth a warning before the night is spent on it, in words: a content image that is
    /// enlarged beyond what it holds.
    pub fn warning(&self) -> Option<String> {
        let print = self.print.filter(|print| print.source_ppi < SOFT_PPI)?;
        let [w, h] = self.content;
        Some(format!(
            "the content image's {w}x{h} px give {:.0} ppi at {:.0} x {:.0} mm, below {SOFT_PPI:.0}: its detail will look soft, the strokes will not",
            print.source_ppi, print.width_mm, print.height_mm
        ))
    }
}

impl std::fmt::Display for Framing {
    /// Size in pixels, on paper, and the content image's effective resolution.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}x{} px", self.width, self.height)?;
        if let Some(print) = self.print {
            write!(f, ", {:.0} x {:.0} mm at {} dpi", print.width_mm, print.height_mm, print.dpi)?;
            if self.bleed > 0 {
                write!(f, " with {} px of bleed on each side", self.bleed)?;
            }
            write!(f, ", content image at {:.0} ppi", print.source_ppi)?;
        }
        if self.guard > 0 {
            write!(f, ", painted with a guard band of {} px", self.guard)?;
        }
        Ok(())
    }
}

/// Sizes picture and canvas for a content image of `content` (width, height) px.
pub fn frame(content: (usize, usize), output: &Output, schedule: &Schedule) -> Framing {
    let (w, h) = (content.0.max(1) as f64, content.1.max(1) as f64);
    let (size, crop) = trimmed((w, h), output);
    let dpi = output.resolution();
    let bleed = dpi.map_or(0, |dpi| (output.bleed_mm.inches() * dpi.0).round() as usize);
    // Content pixels for a canvas pixel; they differ only where the content image is stretched.
    let (step_x, step_y) = (crop[2] / size.0 as f64, crop[3] / size.1 as f64);
    let (width, height) = (size.0 + 2 * bleed, size.1 + 2 * bleed);
    let guard = if output.guard_band { guard_band((width, height), schedule) } else { 0 };
    Framing {
        width,
        height,
        guard,
        crop: grown(crop, size, bleed + guard),
        content: [content.0, content.1],
        bleed,
        print: dpi.map(|Dpi(dpi)| Print {
            dpi,
            width_mm: Mm::from_inches(size.0 as f64 / dpi).0,
            height_mm: Mm::from_inches(size.1 as f64 / dpi).0,
            source_ppi: dpi * step_x.min(step_y),
        }),
    }
}

/// `part` of a content image, shown with `size` px, grown by `border` of these px on each side.
fn grown(part: [f64; 4], size: (usize, usize), border: usize) -> [f64; 4] {
    let [left, top, width, height] = part;
    let (x, y) = (border as f64 * width / size.0 as f64, border as f64 * height / size.1 as f64);
    [left - x, top - y, width + 2.0 * x, height + 2.0 * y]
}

/// Width and height of the picture without its bleed, px, and the part of the content image that it
/// shows.
type TrimmedPrint = ((usize, usize), [f64; 4]);

fn trimmed((w, h): (f64, f64), output: &Output) -> TrimmedPrint {
    match output.print_size() {
        Size::LongSide(side) => scaled(w, h, f64::from(side.0) / w.max(h)),
        Size::Scale(factor) => scaled(w, h, factor),
        Size::Print { width: Some(width), height: None, dpi } => {
            scaled(w, h, width.inches() * dpi.0 / w)
        }
        Size::Print { width: None, height: Some(height), dpi } => {
            scaled(w, h, height.inches() * dpi.0 / h)
        }
        Size::Print { width: Some(width), height: Some(height), dpi } => {
            boxed((w, h), (width.inches() * dpi.0, height.inches() * dpi.0), output)
        }
        Size::Print { width: None, height: None, .. } => scaled(w, h, 1.0),
        Size::Paper { paper, dpi } => {
            let (short, long) = (paper.short.inches() * dpi.0, paper.long.inches() * dpi.0);
            // The sheet is turned as the content image is.
            boxed((w, h), if w >= h { (long, short) } else { (short, long) }, output)
        }
    }
}

fn scaled(w: f64, h: f64, factor: f64) -> TrimmedPrint {
    ((pixels(w * factor), pixels(h * factor)), [0.0, 0.0, w, h])
}

fn boxed((w, h): (f64, f64), (width, height): (f64, f64), output: &Output) -> TrimmedPrint {
    match output.fit {
        Fit::Contain => scaled(w, h, (width / w).min(height / h)),
        Fit::Exact => ((pixels(width), pixels(height)), [0.0, 0.0, w, h]),
        Fit::Cover => {
            let factor = (width / w).max(height / h);
            let (cw, ch) = ((width / factor).min(w), (height / factor).min(h));
            let place = |side: f64, part: f64, focus: f64| {
                (focus * side - part / 2.0).clamp(0.0, (side - part).max(0.0))
            };
            let [fx, fy] = output.crop_focus;
            ((pixels(width), pixels(height)), [place(w, cw, fx), place(h, ch, fy), cw, ch])
        }
    }
}

/// Rounds to whole pixels, at least one.
fn pixels(value: f64) -> usize {
    (value.round() as usize).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The framing of a content image of `content` px by the keys of `output`, without a guard band.
    fn framing(content: (usize, usize), output: &str) -> Framing {
        guarded(content, &format!("guard-band = false\n{output}"))
    }

    /// The framing of a photograph of `content` px by the keys of `output`.
    fn guarded(content: (usize, usize), output: &str) -> Framing {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| std::fs::write(folder.path().join(name), b"").unwrap();
        file("photo.png");
        file("style.png");
        let pipeline = folder.path().join("p.toml");
        let text =
            format!("input.content = 'photo.png'\nstyle.image = 'style.png'\n[output]\n{output}\n");
        std::fs::write(&pipeline, text).unwrap();
        let settings = &crate::config::load(&pipeline, &[]).unwrap().variants[0].settings;
        frame(content, &settings.output, &Schedule::new(settings))
    }

    #[test]
    fn sheets_are_turned_filled_and_cut_around_the_focus() {
        let f = framing((3000, 2000), "size = 'A3'\nfit = 'cover'\ncrop-focus = [0.0, 0.5]");
        assert_eq!((f.width, f.height), (4961, 3508));
        let (width, height) = (420.0 / 25.4 * 300.0, 297.0 / 25.4 * 300.0);
        let part = 2000.0 / height * width;
        for (got, want) in f.crop.iter().zip([0.0, 0.0, part, 2000.0]) {
            assert!((got - want).abs() < 1e-9, "{:?}", f.crop);
        }
        let upright = framing((2000, 3000), "size = 'A3'\nfit = 'cover'");
        assert_eq!((upright.width, upright.height), (3508, 4961));
        let inside = framing((3000, 2000), "size = '24x36in'\ndpi = 100\nfit = 'contain'");
        assert_eq!((inside.width, inside.height), (3600, 2400));
        let stretched =
            framing((3000, 2000), "width-mm = 254\nheight-mm = 254\ndpi = 100\nfit = 'exact'");
        assert_eq!(
            (stretched.width, stretched.height, stretched.crop),
            (1000, 1000, [0.0, 0.0, 3000.0, 2000.0])
        );
    }

    #[test]
    fn bleed_grows_the_canvas_and_leaves_the_trimmed_print_as_it_is() {
        for fit in ["contain", "cover", "exact"] {
            let plain = framing(
                (1600, 1000),
                &format!("width-mm = 254\nheight-mm = 127\ndpi = 200\nfit = '{fit}'"),
            );
            let bled = framing(
                (1600, 1000),
                &format!(
                    "width-mm = 254\nheight-mm = 127\ndpi = 200\nfit = '{fit}'\nbleed-mm = 12.7"
                ),
            );
            assert_eq!(
                (bled.bleed, bled.width, bled.height),
                (100, plain.width + 200, plain.height + 200),
                "{fit}"
            );
            // The same canvas pixel inside the trim shows the same place of the content image.
            let place = |f: &Framing, x: f64, y: f64| {
                let b = f.bleed as f64;
                let at =
                    |c: f64, n: usize, i: usize| f.crop[i] + (c + b) * f.crop[i + 2] / n as f64;
                (at(x, f.width, 0), at(y, f.height, 1))
            };
            for (x, y) in [(0.0, 0.0), (100.5, 70.25), (plain.width as f64, plain.height as f64)] {
                let (a, b) = (place(&plain, x, y), place(&bled, x, y));
                assert!((a.0 - b.0).abs() < 1e-6 && (a.1 - b.1).abs() < 1e-6, "{fit}: {a:?} {b:?}");
            }
            assert_eq!(plain.print, bled.print, "{fit}");
        }
        // Where a cut leaves some of the content image, the bleed shows it.
        let cut = framing(
            (1600, 1000),
            "width-mm = 254\nheight-mm = 127\ndpi = 200\nfit = 'cover'\nbleed-mm = 3",
        );
        assert!(
            cut.crop[0] < 0.0 && cut.crop[1] > 0.0 && cut.crop[1] + cut.crop[3] < 1000.0,
            "{:?}",
            cut.crop
        );
    }

    #[test]
    fn a_guard_band_grows_the_canvas_and_leaves_the_picture_as_it_is() {
        for keys in [
            "long-side-px = 777",
            "size = 'A6'\nfit = 'cover'\nbleed-mm = 3",
            "width-mm = 254\nheight-mm = 127\ndpi = 100\nfit = 'exact'",
            "long-side-px = 16",
        ] {
            for content in [(1600, 1000), (999, 1001), (4000, 300)] {
                let (plain, f) = (framing(content, keys), guarded(content, keys));
                let small = f.width.min(f.height) < 48;
                assert_eq!((f.width, f.height, f.bleed), (plain.width, plain.height, plain.bleed));
                assert_eq!((f.print, small), (plain.print, f.guard == 0), "{keys}, {content:?}");
                let (canvas, picture) = (f.canvas(), f.picture_in(f.canvas()));
                assert_eq!(canvas, (f.width + 2 * f.guard, f.height + 2 * f.guard));
                let Rect { left, top, width, height } = picture;
                assert_eq!((left, top, width, height), (f.guard, f.guard, f.width, f.height));
                // Its corners show the places of the photograph that they show without the band.
                for (i, at, side, of) in
                    [(0, left, canvas.0, plain.width), (1, top, canvas.1, plain.height)]
                {
                    let step = f.crop[i + 2] / side as f64;
                    assert!((f.crop[i] + at as f64 * step - plain.crop[i]).abs() < 1e-6);
                    assert!((step - plain.crop[i + 2] / of as f64).abs() < 1e-9, "{keys}");
                }
                // Below the last level the picture lies in the middle, to a pixel.
                for halvings in [2.0, 4.0, 8.0] {
                    let side = |side: usize| ((side as f64 / halvings).round() as usize).max(1);
                    let size = (side(canvas.0), side(canvas.1));
                    let part = f.picture_in(size);
                    assert!(part.lies_in(size.0, size.1) && part.area() > 0, "{part:?}");
                    let off = part.left as f64 - f.guard as f64 / halvings;
                    assert!(off.abs() <= 1.0, "{part:?} of {size:?}");
                }
            }
        }
        let words = guarded((1000, 500), "long-side-px = 1000").to_string();
        assert_eq!(words, "1000x500 px, painted with a guard band of 9 px");
        // A picture of the size that is written, or a half or twice of it, lies under the canvas so.
        let f = guarded((1000, 500), "long-side-px = 1000");
        assert_eq!(f.canvas_over((1000, 500)), [-9.0, -9.0, 1018.0, 518.0]);
        assert_eq!(f.canvas_over((2000, 1000)), [-18.0, -18.0, 2036.0, 1036.0]);
    }

    #[test]
    fn the_photograph_s_resolution_on_paper_is_told_and_warned_of() {
        let print = framing((1000, 500), "width-mm = 254\ndpi = 300").print.unwrap();
        assert!(
            (print.source_ppi - 100.0).abs() < 1e-9 && (print.width_mm - 254.0).abs() < 0.1,
            "{print:?}"
        );
        assert!(framing((1000, 500), "width-mm = 254").warning().is_none());
        let soft = framing((1000, 500), "width-mm = 508");
        let words = soft.warning().unwrap();
        assert!(words.contains("50 ppi") && words.contains("508 x 254 mm"), "{words}");
        assert_eq!(
            soft.to_string(),
            "6000x3000 px, 508 x 254 mm at 300 dpi, content image at 50 ppi"
        );
        // Pixels alone are on no paper; with `dpi` they are.
        assert!(framing((1000, 500), "long-side-px = 9000").print.is_none());
        assert!(framing((1000, 500), "long-side-px = 9000\ndpi = 300").warning().is_some());
        // Bleed needs a resolution, and has the same as sizes on paper.
        let bled = framing((1000, 500), "long-side-px = 1000\nbleed-mm = 25.4");
        assert_eq!((bled.width, bled.bleed), (1600, 300));
    }
}
