//! The size of the finished picture: four ways to say it, of which a pipeline uses one.

use crate::config::listing::Listing;
use crate::config::reader::{Reader, shorten};
use crate::units::{Dpi, Mm, Paper, Px};

/// The resolution of sizes on paper that name none.
pub(super) const DEFAULT_DPI: Dpi = Dpi(300.0);

/// Keys of which each says the size in its own way; `width-mm` and `height-mm` go together.
pub(crate) const WAYS: [&[&str]; 4] = [
    &["output.long-side-px"],
    &["output.width-mm", "output.height-mm"],
    &["output.size"],
    &["output.scale"],
];

/// The size of the finished picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Size {
    /// `long-side-px`: the longer side in pixels, 16 to 200000.
    LongSide(Px),
    /// `width-mm` and/or `height-mm`, each above 0 and at most 10000; at least one is given, the
    /// other follows from the photograph.
    Print {
        /// Width on paper.
        width: Option<Mm>,
        /// Height on paper.
        height: Option<Mm>,
        /// Pixels per inch.
        dpi: Dpi,
    },
    /// `size`: a sheet, turned as the photograph is.
    Paper {
        /// The sheet's sides.
        paper: Paper,
        /// Pixels per inch.
        dpi: Dpi,
    },
    /// `scale`: a factor on the photograph's own pixels, 0.01 to 100.
    Scale(f64),
}

impl Default for Size {
    fn default() -> Self {
        Size::Scale(1.0)
    }
}

impl Size {
    /// The resolution on paper, if the size is one on paper.
    pub fn dpi(self) -> Option<Dpi> {
        match self {
            Size::Print { dpi, .. } | Size::Paper { dpi, .. } => Some(dpi),
            Size::LongSide(_) | Size::Scale(_) => None,
        }
    }

    pub(super) fn list(self, list: &mut Listing) {
        match self {
            Size::LongSide(Px(side)) => list.value("output.long-side-px", side),
            Size::Print { width, height, dpi: _ } => {
                list.optional("output.width-mm", width.map(|mm| mm.0));
                list.optional("output.height-mm", height.map(|mm| mm.0));
            }
            Size::Paper { paper, dpi: _ } => {
                list.text("output.size", format!("{}x{}mm", paper.short.0, paper.long.0));
            }
            Size::Scale(scale) => list.value("output.scale", scale),
        }
    }
}

/// The size, and the resolution to write into the file.
pub(super) fn read(reader: &mut Reader<'_>) -> (Size, Option<Dpi>) {
    let asked = reader.number("output.dpi").map(Dpi);
    let dpi = asked.unwrap_or(DEFAULT_DPI);
    let long_side = reader.integer("output.long-side-px").map(Px);
    let width = reader.number("output.width-mm").map(Mm);
    let height = reader.number("output.height-mm").map(Mm);
    let paper = read_paper(reader);
    let scale = reader.number("output.scale");

    let given = |keys: &&[&str]| keys.iter().any(|key| reader.origin(key).is_some());
    let ways: Vec<_> = WAYS.into_iter().filter(given).collect();
    if ways.len() > 1 {
        let keys: Vec<_> = ways.concat();
        let help = "keep one of: `long-side-px`; `width-mm` and/or `height-mm` with `dpi`; `size` with `dpi`; `scale`";
        reader.contradiction("the size is given in more than one way", &keys, help);
    }
    let size = if let Some(side) = long_side {
        Size::LongSide(side)
    } else if width.is_some() || height.is_some() {
        Size::Print { width, height, dpi }
    } else if let Some(paper) = paper {
        Size::Paper { paper, dpi }
    } else {
        scale.map_or_else(Size::default, Size::Scale)
    };
    (size, size.dpi().or(asked))
}

fn read_paper(reader: &mut Reader<'_>) -> Option<Paper> {
    const KEY: &str = "output.size";
    let (text, origin) = reader.text(KEY)?;
    match Paper::parse(&text) {
        Ok(paper) => Some(paper),
        Err(_) => {
            let message = format!("`{}` is no paper size", shorten(&text));
            reader.bad(KEY, Some(origin), message, "not a size");
            None
        }
    }
}
