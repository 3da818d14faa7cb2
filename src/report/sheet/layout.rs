//! Where everything on a sheet is: pictures in rows and columns, and the words around them.

use super::text::Typeface;
use super::{Dimension, Sheet};

/// The most pixels of a sheet.
const MOST_PIXELS: usize = 40_000_000;

/// The longest side of a sheet, px: more than any viewer and a JPEG hold well.
const LONGEST_SIDE: usize = 30_000;

/// The largest picture on a sheet, px on its long side.
const LARGEST: usize = 384;

/// The smallest place for a picture, px on its long side.
const SMALLEST: usize = 96;

/// The widest heading of a row, as a part of a picture's place.
const WIDEST_HEADING: f32 = 0.75;

/// A dimension with more values than this and no other beside it is wrapped into rows, each picture
/// with its value below.
const LONGEST_ROW: usize = 6;

/// Sizes of everything that is not a picture, px.
#[derive(Clone, Copy, Debug)]
pub(super) struct Measures {
    pub(super) margin: usize,
    /// Between neighbouring pictures.
    gap: usize,
    /// More between groups of pictures.
    group: usize,
    pub(super) title: f32,
    pub(super) value: f32,
    pub(super) key: f32,
}

impl Measures {
    /// For places of so many px on their long side.
    fn of(side: usize) -> Self {
        let part = (side as f32 / LARGEST as f32).clamp(0.55, 1.0);
        let px = |length: f32| (length * part).round();
        // Small sheets are read too.
        let letters = |size: f32, least: f32| px(size).max(least);
        Self {
            margin: px(44.0) as usize,
            gap: px(14.0) as usize,
            group: px(26.0) as usize,
            title: letters(30.0, 18.0),
            value: letters(23.0, 14.0),
            key: letters(18.0, 12.0),
        }
    }

    /// The height of a line of words.
    fn line(size: f32) -> usize {
        (size * 1.5) as usize
    }

    /// The height of a key and its values.
    fn head(self) -> usize {
        Self::line(self.key) + Self::line(self.value)
    }
}

/// Words on the sheet.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Words {
    pub(super) text: String,
    pub(super) kind: Kind,
    /// The left end, or the middle of what is centred, px.
    pub(super) x: f32,
    /// The baseline, px.
    pub(super) y: f32,
    pub(super) centred: bool,
}

/// What words are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Title,
    Key,
    Value,
}

/// A sheet with the place of everything, px.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) measures: Measures,
    pub(super) words: Vec<Words>,
    /// Lines under the values of groups: left, top, width, height.
    pub(super) lines: Vec<[usize; 4]>,
    /// The places of the pictures, row by row: left, top, width, height.
    pub(super) places: Vec<[usize; 4]>,
}

impl Layout {
    /// Lays out `sheet`, whose pictures are of no more than `shape` (width, height) px, on places as
    /// large as a sheet holds; nothing if there are too many pictures.
    pub(super) fn of(sheet: &Sheet, shape: (usize, usize), face: &Typeface) -> Option<Self> {
        let long = shape.0.max(shape.1).clamp(1, LARGEST);
        let mut side = long.max(SMALLEST);
        loop {
            let layout = Self::with_side(sheet, shape, side, face);
            let fits = layout.width.max(layout.height) <= LONGEST_SIDE
                && layout.width * layout.height <= MOST_PIXELS;
            if fits {
                return Some(layout);
            }
            if side == SMALLEST {
                return None;
            }
            side = (side * 7 / 8).max(SMALLEST);
        }
    }

    fn with_side(sheet: &Sheet, shape: (usize, usize), side: usize, face: &Typeface) -> Self {
        let long = shape.0.max(shape.1).max(1);
        let place = |length: usize| (length * side).div_ceil(long).max(SMALLEST / 2);
        let place = (place(shape.0), place(shape.1));
        let measures = Measures::of(side);
        let title = Words {
            text: sheet.title.clone(),
            kind: Kind::Title,
            x: measures.margin as f32,
            y: measures.margin as f32 + measures.title * 0.8,
            centred: false,
        };
        let mut layout = Self {
            width: 0,
            height: 0,
            measures,
            words: vec![title],
            lines: vec![],
            places: vec![],
        };
        match wrapped(sheet) {
            Some(dimension) => layout.wrap(dimension, place, face),
            None => layout.cross(sheet, place, face),
        }
        layout.shorten_title(face);
        layout
    }

    /// The first y below the title.
    fn top(&self) -> usize {
        self.measures.margin + Measures::line(self.measures.title) + self.measures.gap
    }

    /// Pictures in rows, each with its value below.
    fn wrap(&mut self, dimension: &Dimension, (width, height): (usize, usize), face: &Typeface) {
        let Measures { margin, gap, value, key, .. } = self.measures;
        let count = dimension.values.len();
        let below = Measures::line(value) + gap;
        // About as wide as three to two.
        let columns = (count as f64 * 1.5 * (height + below) as f64 / (width + gap) as f64).sqrt();
        let columns = (columns.round() as usize).clamp(1, count);
        self.say(&dimension.key, Kind::Key, (margin as f32, self.top() as f32 + key), false);
        let top = self.top() + Measures::line(key) + gap / 2;
        for (number, text) in dimension.values.iter().enumerate() {
            let (x, y) = (
                margin + number % columns * (width + gap),
                top + number / columns * (height + below),
            );
            self.places.push([x, y, width, height]);
            let text = face.shortened(text, value, width as f32);
            let middle = x as f32 + width as f32 / 2.0;
            self.say(&text, Kind::Value, (middle, (y + height) as f32 + value * 1.2), true);
        }
        self.width = 2 * margin + columns * (width + gap) - gap;
        self.height = top + count.div_ceil(columns) * (height + below) - gap + margin;
    }

    /// Pictures where rows and columns meet.
    fn cross(&mut self, sheet: &Sheet, (width, height): (usize, usize), face: &Typeface) {
        let Measures { margin, gap, group, value, key, .. } = self.measures;
        let top = self.top();
        let widest = width.max(height) as f32 * WIDEST_HEADING;
        let headings: Vec<usize> =
            sheet.rows.iter().map(|rows| heading(rows, self.measures, widest, face)).collect();
        let between = gap + group / 2;
        let left = margin + headings.iter().map(|width| width + between).sum::<usize>();
        // The last heading is as near to the pictures as pictures are to each other.
        let left = left - if headings.is_empty() { 0 } else { between - gap };
        let first = top + sheet.columns.len() * self.measures.head() + gap / 2;
        let first =
            if sheet.rows.is_empty() { first } else { first.max(top + Measures::line(key)) };
        let columns = self.starts(&sheet.columns, left, width);
        let rows = self.starts(&sheet.rows, first, height);
        for y in &rows {
            self.places.extend(columns.iter().map(|x| [*x, *y, width, height]));
        }
        let mut span = columns.len();
        for (number, dimension) in sheet.columns.iter().enumerate() {
            let above = top + number * self.measures.head();
            self.say(&dimension.key, Kind::Key, (left as f32, above as f32 + key), false);
            span /= dimension.values.len().max(1);
            let baseline = (above + Measures::line(key)) as f32 + value;
            for (group, starts) in columns.chunks(span.max(1)).enumerate() {
                let Some((from, to)) = starts.first().zip(starts.last()) else { continue };
                let (from, to) = (*from, *to + width);
                let text = &dimension.values[group % dimension.values.len()];
                let text = face.shortened(text, value, (to - from) as f32);
                let middle = (from + to) as f32 / 2.0;
                self.say(&text, Kind::Value, (middle, baseline), true);
                if span > 1 {
                    let below = above + self.measures.head() - 2;
                    self.lines.push([from, below, to - from, 2]);
                }
            }
        }
        let (mut span, mut x) = (rows.len(), margin);
        for (dimension, heading) in sheet.rows.iter().zip(headings) {
            let baseline = first as f32 - gap as f32 / 2.0 - key * 0.3;
            let text = face.shortened(&dimension.key, key, heading as f32);
            self.say(&text, Kind::Key, (x as f32, baseline), false);
            span /= dimension.values.len().max(1);
            for (group, starts) in rows.chunks(span.max(1)).enumerate() {
                let Some((from, to)) = starts.first().zip(starts.last()) else { continue };
                let text = &dimension.values[group % dimension.values.len()];
                let text = face.shortened(text, value, heading as f32);
                let middle = (from + to + height) as f32 / 2.0 + value * 0.35;
                self.say(&text, Kind::Value, (x as f32, middle), false);
            }
            x += heading + between;
        }
        self.width = columns.last().map_or(left, |x| x + width) + margin;
        self.height = rows.last().map_or(first, |y| y + height) + margin;
    }

    /// Where the places of `dimensions` begin from `first` on, each `length` px long.
    fn starts(&self, dimensions: &[Dimension], first: usize, length: usize) -> Vec<usize> {
        let Measures { gap, group, .. } = self.measures;
        let counts: Vec<usize> = dimensions.iter().map(|d| d.values.len().max(1)).collect();
        let mut at = first;
        let mut starts = Vec::new();
        for number in 0..counts.iter().product() {
            if number > 0 {
                at += length + gap;
                // A new group for each dimension that begins again, but for the innermost.
                let mut size = 1;
                for count in counts.iter().skip(1).rev() {
                    size *= count;
                    at += if number % size == 0 { group } else { 0 };
                }
            }
            starts.push(at);
        }
        starts
    }

    fn say(&mut self, text: &str, kind: Kind, (x, y): (f32, f32), centred: bool) {
        self.words.push(Words { text: text.to_owned(), kind, x, y, centred });
    }

    /// The title is no wider than the sheet, which is as wide as a short title.
    fn shorten_title(&mut self, face: &Typeface) {
        let (size, margin) = (self.measures.title, self.measures.margin);
        self.width = self.width.max(4 * SMALLEST + 2 * margin);
        let width = (self.width - 2 * margin) as f32;
        self.words[0].text = face.shortened(&self.words[0].text, size, width);
    }
}

impl Measures {
    /// The size of a kind of words, px.
    pub(super) fn size(self, kind: Kind) -> f32 {
        match kind {
            Kind::Title => self.title,
            Kind::Key => self.key,
            Kind::Value => self.value,
        }
    }
}

/// The width of the headings of a dimension's rows: as wide as its words, and no more than `widest`.
fn heading(rows: &Dimension, measures: Measures, widest: f32, face: &Typeface) -> usize {
    let values = rows.values.iter().map(|value| face.width(value, measures.value));
    let longest = values.chain([face.width(&rows.key, measures.key)]).fold(0.0, f32::max);
    longest.min(widest).ceil() as usize
}

/// The only dimension of a sheet, if it has too many values for one row, or is a collection.
fn wrapped(sheet: &Sheet) -> Option<&Dimension> {
    match (&sheet.rows[..], &sheet.columns[..]) {
        ([only], []) => Some(only),
        ([], [only]) if only.values.len() > LONGEST_ROW => Some(only),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dimension(key: &str, count: usize) -> Dimension {
        Dimension { key: key.into(), values: (0..count).map(|n| format!("value {n}")).collect() }
    }

    fn laid(rows: &[usize], columns: &[usize], shape: (usize, usize)) -> Option<Layout> {
        let dimensions = |counts: &[usize]| {
            counts.iter().map(|count| dimension("some.key", *count)).collect::<Vec<_>>()
        };
        let sheet = Sheet {
            title: "a grid".into(),
            rows: dimensions(rows),
            columns: dimensions(columns),
            cells: vec![],
        };
        Layout::of(&sheet, shape, &Typeface::new().expect("the typeface"))
    }

    #[test]
    fn places_lie_apart_and_inside_the_sheet() {
        let shapes = [(600, 400), (400, 600), (96, 64), (3000, 20)];
        let grids: [(&[usize], &[usize]); 7] = [
            (&[], &[]),
            (&[], &[3]),
            (&[2], &[3]),
            (&[2, 2], &[3, 2]),
            (&[5], &[]),
            (&[], &[9]),
            (&[40], &[12]),
        ];
        for shape in shapes {
            for (rows, columns) in grids {
                let layout = laid(rows, columns, shape).expect("it fits");
                let count = rows.iter().chain(columns).product::<usize>();
                assert_eq!(layout.places.len(), count, "{rows:?} {columns:?}");
                for (at, [x, y, width, height]) in layout.places.iter().enumerate() {
                    assert!(x + width <= layout.width && y + height <= layout.height);
                    let apart = |[left, top, wide, high]: &[usize; 4]| {
                        x + width <= *left
                            || left + wide <= *x
                            || y + height <= *top
                            || top + high <= *y
                    };
                    assert!(layout.places[..at].iter().all(apart), "{rows:?} {columns:?}");
                }
                for words in &layout.words {
                    assert!(words.y < layout.height as f32 && words.x < layout.width as f32);
                }
            }
        }
    }

    #[test]
    fn many_pictures_are_small_and_too_many_are_refused() {
        let few = laid(&[3], &[4], (1024, 768)).expect("it fits");
        let many = laid(&[30], &[30], (1024, 768)).expect("it fits");
        assert_eq!(few.places[0][2], LARGEST);
        assert!((SMALLEST..LARGEST).contains(&many.places[0][2]), "{:?}", many.places[0]);
        assert!(laid(&[500], &[2], (1024, 768)).is_none());
    }
}
