//! The contact sheet of a run: all its pictures in rows and columns, headed by what they differ in.

mod layout;
mod paper;
mod text;

use std::path::{Path, PathBuf};

use crate::config::{Config, OutputFile, preview_path};
use crate::files::{FileId, Overwrite, name_text};
use crate::image::{self, Encoding, Limits, OutputFormat, Picture, encode_picture};
use layout::{Kind, Layout};
use paper::{Colour, Paper};
use text::Typeface;

/// Quality of the sheet's JPEG.
const QUALITY: u8 = 90;

/// What pictures differ in: a key and its values, or the photographs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dimension {
    /// `table.key`, `variant` or `photograph`.
    pub key: String,
    /// The values in words.
    pub values: Vec<String>,
}

/// What is in a sheet's cell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cell {
    /// A picture: files that show it, the first that is there counts.
    Picture(Vec<PathBuf>),
    /// No picture, and why in a word or two.
    Words(String),
    /// Nothing is painted here.
    Empty,
}

/// A contact sheet before it is drawn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sheet {
    /// What stands above all.
    pub title: String,
    /// What its rows differ in, the outermost first.
    pub rows: Vec<Dimension>,
    /// What its columns differ in, the outermost first.
    pub columns: Vec<Dimension>,
    /// Row by row.
    pub cells: Vec<Cell>,
}

/// Why a sheet is not written.
#[derive(Debug, thiserror::Error)]
pub enum SheetError {
    /// More pictures than a sheet holds.
    #[error("{0} pictures are too many for a contact sheet")]
    TooMany(usize),
    /// The typeface inside the program cannot be read.
    #[error("the typeface of contact sheets is damaged")]
    Typeface,
    /// A file cannot be written.
    #[error(transparent)]
    Image(#[from] image::Error),
}

impl Sheet {
    /// The sheet of all pictures of `config`. `state` says in words why one has not been painted;
    /// nothing if it has.
    ///
    /// Photographs are rows. Of variants and the keys of a grid the last is the columns, the one
    /// before it rows, and so on in turns; those that come first are the outer ones.
    pub fn of(config: &Config, state: impl Fn(&OutputFile) -> Option<String>) -> Self {
        let outputs = config.outputs();
        let photographs = photographs(config, &outputs);
        let variants = variants(config);
        let place = |output: &OutputFile| -> Vec<usize> {
            let variant = &config.variants[output.variant];
            let content = &variant.input.content[output.content].id;
            let photograph = photographs.iter().position(|(id, _)| id == content);
            let named = variants.iter().position(|name| Some(name) == variant.variant.as_ref());
            let own = [photograph.unwrap_or(0), named.unwrap_or(0)];
            own.into_iter()
                .chain(variant.combination.iter().flat_map(|combination| combination.at.clone()))
                .collect()
        };
        let photograph = Dimension {
            key: "photograph".into(),
            values: photographs.iter().map(|(_, name)| name.clone()).collect(),
        };
        let variant = Dimension { key: "variant".into(), values: variants.clone() };
        let axes = config
            .grid
            .iter()
            .map(|axis| Dimension { key: axis.key.clone(), values: axis.values.clone() });
        let all: Vec<Dimension> = [photograph, variant].into_iter().chain(axes).collect();
        let (rows, columns) = arranged(&all);
        let size =
            |numbers: &[usize]| numbers.iter().map(|at| all[*at].values.len()).product::<usize>();
        let (height, width) = (size(&rows), size(&columns));
        let mut cells = vec![Cell::Empty; height * width];
        for output in &outputs {
            let place = place(output);
            let at = |numbers: &[usize]| {
                numbers.iter().fold(0, |sum, n| sum * all[*n].values.len() + place[*n])
            };
            if let Some(cell) = cells.get_mut(at(&rows) * width + at(&columns)) {
                let files = || vec![preview_path(&output.path), output.path.clone()];
                let preview = config.variants[output.variant].settings.output.preview;
                *cell = match state(output) {
                    Some(words) => Cell::Words(words),
                    None => Cell::Picture(files().split_off(usize::from(!preview))),
                };
            }
        }
        let pick = |numbers: Vec<usize>| numbers.into_iter().map(|at| all[at].clone()).collect();
        Self { title: title(config, &all), rows: pick(rows), columns: pick(columns), cells }
    }

    /// Draws the sheet and writes it to every one of `paths`, each whole or not at all. Pictures that
    /// cannot be read within `limits` are shown as such.
    ///
    /// # Errors
    /// When there are too many pictures, or a file cannot be written.
    pub fn write(&self, paths: &[PathBuf], limits: &Limits) -> Result<(), SheetError> {
        let face = Typeface::new().ok_or(SheetError::Typeface)?;
        let layout =
            Layout::of(self, self.shape(), &face).ok_or(SheetError::TooMany(self.cells.len()))?;
        let paper = self.draw(&layout, &face, limits);
        for path in paths {
            let format = OutputFormat::from_path(path).unwrap_or(OutputFormat::Png);
            let mut encoding = Encoding::new(format);
            (encoding.quality, encoding.dither) = (QUALITY, false);
            encode_picture(path, paper.size(), paper.pixels(), None, &encoding, Overwrite::Allow)?;
        }
        Ok(())
    }

    /// Width and height of a box that holds every picture, each scaled to the largest long side, px.
    fn shape(&self) -> (usize, usize) {
        let files = self.cells.iter().filter_map(|cell| match cell {
            Cell::Picture(files) => files.iter().find_map(|file| image::probe(file).ok()),
            Cell::Words(_) | Cell::Empty => None,
        });
        let sizes: Vec<(f64, f64)> =
            files.map(|probe| (f64::from(probe.width), f64::from(probe.height))).collect();
        let long = sizes.iter().map(|(w, h)| w.max(*h)).fold(0.0, f64::max);
        let side = |side: fn(&(f64, f64)) -> f64| {
            let scaled = sizes.iter().map(|size| side(size) * long / size.0.max(size.1));
            scaled.fold(0.0, f64::max).round() as usize
        };
        if sizes.is_empty() { (3, 2) } else { (side(|size| size.0), side(|size| size.1)) }
    }

    fn draw(&self, layout: &Layout, face: &Typeface, limits: &Limits) -> Paper {
        let mut paper = Paper::new(layout.width, layout.height);
        layout.lines.iter().for_each(|line| paper.fill(*line, Colour::LINE));
        for words in &layout.words {
            let size = layout.measures.size(words.kind);
            let colour = if words.kind == Kind::Key { Colour::PALE_INK } else { Colour::INK };
            let shift = if words.centred { face.width(&words.text, size) / 2.0 } else { 0.0 };
            face.draw(&mut paper, &words.text, size, (words.x - shift, words.y), colour);
        }
        for (cell, place) in self.cells.iter().zip(&layout.places) {
            let words = match cell {
                Cell::Empty => continue,
                Cell::Words(words) => words.clone(),
                Cell::Picture(files) => match files.iter().find_map(|f| decoded(f, limits)) {
                    Some(picture) => {
                        lay(&mut paper, &picture, *place);
                        continue;
                    }
                    None => "cannot be read".to_owned(),
                },
            };
            paper.fill(*place, Colour::EMPTY);
            let [x, y, width, height] = *place;
            let size = layout.measures.key;
            let words = face.shortened(&words, size, width as f32 * 0.9);
            let left = x as f32 + (width as f32 - face.width(&words, size)) / 2.0;
            let base = y as f32 + height as f32 / 2.0 + size * 0.35;
            face.draw(&mut paper, &words, size, (left, base), Colour::PALE_INK);
        }
        paper
    }
}

/// A picture, as far as it can be read.
fn decoded(path: &Path, limits: &Limits) -> Option<Picture> {
    image::decode(path, limits).ok()
}

/// Lays a picture into its place, in the middle and not enlarged.
fn lay(paper: &mut Paper, picture: &Picture, [x, y, width, height]: [usize; 4]) {
    let from = (picture.width, picture.height);
    let (w, h) = (f64::from(from.0), f64::from(from.1));
    let scale = (width as f64 / w).min(height as f64 / h).min(1.0);
    let side = |side: f64, most: usize| ((side * scale).round() as usize).clamp(1, most);
    let (w, h) = (side(w, width), side(h, height));
    let at = (x + (width - w) / 2, y + (height - h) / 2);
    paper.place(&picture.pixels, from, at, (w as u32, h as u32));
}

/// All photographs, in the order of the pictures, and what they are called.
fn photographs(config: &Config, outputs: &[OutputFile]) -> Vec<(FileId, String)> {
    let mut list: Vec<(FileId, String)> = Vec::new();
    for output in outputs {
        let content = &config.variants[output.variant].input.content[output.content];
        if !list.iter().any(|(id, _)| *id == content.id) {
            let name = content.file_stem().map(name_text).unwrap_or_default();
            list.push((content.id.clone(), name));
        }
    }
    list
}

/// The names of the variants, each once.
fn variants(config: &Config) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for name in config.variants.iter().filter_map(|variant| variant.variant.clone()) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// Which dimensions are rows and which are columns, by their numbers, the outermost first. Those
/// with a single value are neither.
fn arranged(all: &[Dimension]) -> (Vec<usize>, Vec<usize>) {
    let (mut rows, mut columns) = (Vec::new(), Vec::new());
    let several: Vec<usize> = (1..all.len()).filter(|at| all[*at].values.len() > 1).collect();
    for (turn, at) in several.into_iter().rev().enumerate() {
        (if turn % 2 == 0 { &mut columns } else { &mut rows }).insert(0, at);
    }
    if all[0].values.len() > 1 {
        rows.insert(0, 0);
    }
    (rows, columns)
}

/// The pipeline's name, and what all pictures have in common of what could differ.
fn title(config: &Config, all: &[Dimension]) -> String {
    let name = config.file.file_stem().map(name_text).unwrap_or_default();
    let single = all.iter().filter(|dimension| dimension.values.len() == 1);
    let single = single.map(|dimension| format!("{} {}", dimension.key, dimension.values[0]));
    std::iter::once(name).chain(single).collect::<Vec<_>>().join("   ·   ")
}
