//! Words on a sheet: measured, shortened and drawn in Roboto.

use ab_glyph::{Font, FontRef, GlyphId, PxScale, ScaleFont, point};

use super::paper::{Colour, Paper};

/// Latin, Greek and Cyrillic; other letters are drawn as boxes.
const ROBOTO: &[u8] = include_bytes!("font/roboto-subset.ttf");

/// Stands for what is left out.
const LEFT_OUT: char = '…';

/// The typeface of a sheet.
pub(super) struct Typeface(FontRef<'static>);

/// One glyph of a text and where its origin is, px from the text's.
struct Placed {
    glyph: GlyphId,
    x: f32,
}

impl Typeface {
    /// The typeface inside the program; nothing if its file is damaged.
    pub(super) fn new() -> Option<Self> {
        FontRef::try_from_slice(ROBOTO).ok().map(Self)
    }

    /// The glyphs of `text` in `size` px, and the width of all.
    fn set(&self, text: &str, size: f32) -> (Vec<Placed>, f32) {
        let font = self.0.as_scaled(PxScale::from(size));
        let mut x = 0.0;
        let letters = text.chars().filter(|c| !c.is_control());
        let place = |letter| {
            let glyph = font.glyph_id(letter);
            let placed = Placed { glyph, x };
            x += font.h_advance(glyph);
            placed
        };
        let glyphs: Vec<Placed> = letters.map(place).collect();
        (glyphs, x)
    }

    /// Width of `text` in `size` px.
    pub(super) fn width(&self, text: &str, size: f32) -> f32 {
        self.set(text, size).1
    }

    /// `text`, or as much of its beginning and end as `width` px hold.
    pub(super) fn shortened(&self, text: &str, size: f32, width: f32) -> String {
        if self.width(text, size) <= width {
            return text.to_owned();
        }
        let letters: Vec<char> = text.chars().collect();
        // What tells values apart is as often at the end as at the beginning.
        let kept = |count: usize| {
            let (head, tail) = (count.div_ceil(2), count / 2);
            let head = letters[..head].iter();
            let tail = letters[letters.len() - tail..].iter();
            head.chain([&LEFT_OUT]).chain(tail).collect::<String>()
        };
        let fits = |count: &usize| self.width(&kept(*count), size) <= width;
        let most = letters.len().saturating_sub(1).min(MOST_LETTERS);
        (1..=most).rev().find(fits).map_or_else(|| LEFT_OUT.to_string(), kept)
    }

    /// Draws `text` with its left end at `x` and its baseline at `y`.
    pub(super) fn draw(
        &self,
        paper: &mut Paper,
        text: &str,
        size: f32,
        (x, y): (f32, f32),
        colour: Colour,
    ) {
        for placed in self.set(text, size).0 {
            let at = point(x + placed.x, y);
            let glyph = placed.glyph.with_scale_and_position(PxScale::from(size), at);
            let Some(outline) = self.0.outline_glyph(glyph) else { continue };
            let bounds = outline.px_bounds();
            let (left, top) = (bounds.min.x as i64, bounds.min.y as i64);
            outline.draw(|column, row, coverage| {
                paper.blend(
                    (left + i64::from(column), top + i64::from(row)),
                    colour,
                    coverage.min(1.0),
                );
            });
        }
    }
}

/// The most letters of a shortened text: it is tried letter by letter.
const MOST_LETTERS: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_shortened_in_the_middle_to_what_fits() {
        let face = Typeface::new().expect("the typeface");
        let long = "style-layers relu1_1+relu2_1+relu3_1";
        let short = face.shortened(long, 20.0, 150.0);
        assert!(face.width(&short, 20.0) <= 150.0 && short.contains(LEFT_OUT), "{short}");
        assert!(short.starts_with("style") && short.ends_with('1'), "{short}");
        assert_eq!(face.shortened("bold", 20.0, 150.0), "bold");
        assert_eq!(face.shortened("bold", 20.0, 1.0), "…");
    }

    #[test]
    fn letters_of_every_script_are_drawn_or_boxed() {
        let face = Typeface::new().expect("the typeface");
        for text in ["Étude Ωμέγα Щука", "画 \u{1f408} e\u{301} \u{202e}x", "\u{0}\n\t", ""]
        {
            let mut paper = Paper::new(400, 60);
            let blank = paper.pixels().to_vec();
            face.draw(&mut paper, text, 24.0, (-20.0, 40.0), Colour::INK);
            let is_blank = text.chars().all(char::is_control);
            assert_eq!(blank == paper.pixels(), is_blank, "{text:?}");
            face.shortened(text, 24.0, 30.0);
        }
    }
}
