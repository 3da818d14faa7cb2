//! Thumbnails, views and tiles: JPEGs made from what lies on the disk.

use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::config::{pyramid_folder, pyramid_path};
use crate::files::Overwrite;
use crate::image::{self, Encoding, Limits, OutputFormat, PreviewWriter, PyramidWriter, Tiling};
use crate::plan::Framing;
use crate::render::{ContentImage, RenderError};

/// Quality of the page's JPEGs.
const QUALITY: u8 = 85;

/// Pixels of a picture that a browser shows as it is; a larger one is cut into tiles.
const WHOLE_PIXELS: usize = 64_000_000;

/// What a picture of the page shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Subject {
    /// The part of a job's content image that its picture shows.
    Content(usize),
    /// A job's style image, by number.
    Style(usize, usize),
    /// The result of a job, or its picture so far.
    Result(usize),
    /// The preview of a finished level of a job.
    Level(usize, usize),
}

/// How large a picture of the page is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Scale {
    /// For the contact sheet.
    Thumb,
    /// For a window.
    View,
}

impl Scale {
    fn word(self) -> &'static str {
        match self {
            Scale::Thumb => "thumb",
            Scale::View => "view",
        }
    }

    /// The longer side, px.
    fn side(self) -> u32 {
        match self {
            Scale::Thumb => 360,
            Scale::View => 1600,
        }
    }
}

impl Subject {
    /// The job that it belongs to.
    pub fn job(self) -> usize {
        match self {
            Subject::Content(job) | Subject::Style(job, _) => job,
            Subject::Result(job) | Subject::Level(job, _) => job,
        }
    }

    /// The file name of its picture.
    pub fn name(self, scale: Scale) -> String {
        let scale = scale.word();
        match self {
            Subject::Content(job) => format!("content-{job}-{scale}.jpg"),
            Subject::Style(job, number) => format!("style-{job}-{number}-{scale}.jpg"),
            Subject::Result(job) => format!("result-{job}-{scale}.jpg"),
            Subject::Level(job, level) => format!("level-{job}-{level}-{scale}.jpg"),
        }
    }

    /// Where the page finds its picture.
    pub fn url(self, scale: Scale) -> String {
        format!("images/{}", self.name(scale))
    }

    /// The subject and scale of a file name that [`Subject::name`] gives, and of no other.
    pub fn parse(name: &str) -> Option<(Self, Scale)> {
        let parts: Vec<&str> = name.strip_suffix(".jpg")?.split('-').collect();
        let number = |text: &str| text.parse::<usize>().ok();
        let (subject, scale) = match parts[..] {
            ["content", job, scale] => (Subject::Content(number(job)?), scale),
            ["result", job, scale] => (Subject::Result(number(job)?), scale),
            ["style", job, style, scale] => (Subject::Style(number(job)?, number(style)?), scale),
            ["level", job, level, scale] => (Subject::Level(number(job)?, number(level)?), scale),
            _ => return None,
        };
        let scale = [Scale::Thumb, Scale::View].into_iter().find(|known| known.word() == scale)?;
        Some((subject, scale)).filter(|(subject, scale)| subject.name(*scale) == name)
    }
}

/// A view that is to be made: from which file, and what of it.
#[derive(Debug, Clone)]
pub(super) struct Order {
    source: PathBuf,
    /// The part of a content image that its picture shows.
    framing: Option<Framing>,
}

impl Order {
    /// The file `source` as it is, or the part of it that a picture of `framing` shows.
    pub fn new(source: PathBuf, framing: Option<Framing>) -> Self {
        Self { source, framing }
    }

    /// Makes the pictures of `subject` in `folder` where they are missing or older than their
    /// source. Returns the one of `scale`.
    ///
    /// # Errors
    /// When the source cannot be read, or a picture not be written.
    pub fn make(
        &self,
        folder: &Path,
        subject: Subject,
        scale: Scale,
        limits: &Limits,
    ) -> Result<PathBuf, RenderError> {
        let view = folder.join(subject.name(Scale::View));
        let thumb = folder.join(subject.name(Scale::Thumb));
        if let Subject::Style(..) = subject {
            // The page shows no view of it.
            if !is_newer(&thumb, &self.source) {
                shrink(&self.source, &thumb, Scale::Thumb, limits)?;
            }
            return Ok(thumb);
        }
        if !is_newer(&view, &self.source) {
            match &self.framing {
                Some(framing) => make_content(&self.source, framing, &view, limits)?,
                None => shrink(&self.source, &view, Scale::View, limits)?,
            }
        }
        if scale == Scale::View {
            return Ok(view);
        }
        // The view is quicker to read than a print.
        if !is_newer(&thumb, &view) {
            shrink(&view, &thumb, Scale::Thumb, limits)?;
        }
        Ok(thumb)
    }
}

/// Whether `made` is there and no older than `source`.
pub(super) fn is_newer(made: &Path, source: &Path) -> bool {
    let time = |path: &Path| path.metadata().and_then(|about| about.modified()).ok();
    match (time(made), time(source)) {
        (Some(made), Some(source)) => made >= source,
        _ => false,
    }
}

/// Writes `source` at `scale` to `path`.
fn shrink(source: &Path, path: &Path, scale: Scale, limits: &Limits) -> Result<(), RenderError> {
    let sink = |size| PreviewWriter::create(path, size, scale.side(), Overwrite::Allow);
    image::decode_rows(source, limits, sink, PreviewWriter::write_rows)?.finish()?;
    Ok(())
}

/// Writes the view of a content image as its picture shows it.
fn make_content(
    source: &Path,
    framing: &Framing,
    path: &Path,
    limits: &Limits,
) -> Result<(), RenderError> {
    let content = shrunk_content(source, framing, path, limits)?;
    let side = Scale::View.side() as f64;
    let part = (side / framing.width.max(framing.height) as f64).min(1.0);
    let canvas = framing.canvas();
    let scaled = |length: usize| ((length as f64 * part).round() as usize).max(1);
    let size = (scaled(canvas.0), scaled(canvas.1));
    let inside = framing.picture_in(size);
    let rows = content.rows(size, inside.top..inside.bottom());
    let row = |row: &[f32]| row[inside.left..inside.right()].to_vec();
    let mut pixels: Vec<f32> = rows.chunks_exact(size.0).flat_map(row).collect();
    pixels.iter_mut().for_each(|value| *value = value.clamp(0.0, 1.0));
    let mut encoding = Encoding::new(OutputFormat::Jpeg);
    encoding.quality = QUALITY;
    let size = (inside.width as u32, inside.height as u32);
    image::encode_picture(path, size, &pixels, None, &encoding, Overwrite::Allow)?;
    Ok(())
}

/// A content image that is shrunk while it is read, so that the part that `framing` shows has the
/// pixels of a view and the whole is never held. It passes through a file beside `path`.
fn shrunk_content(
    source: &Path,
    framing: &Framing,
    path: &Path,
    limits: &Limits,
) -> Result<ContentImage, RenderError> {
    let probe = image::probe(source)?;
    let found = (probe.width as usize, probe.height as usize);
    let [width, height] = framing.content;
    if found != (width, height) {
        let planned = (width, height);
        return Err(RenderError::ContentChanged { path: source.into(), planned, found });
    }
    let [left, top, part_width, part_height] = framing.crop;
    let (side, long) = (f64::from(Scale::View.side()), width.max(height) as f64);
    let shrunk = (side * long / part_width.max(part_height).max(1.0)).ceil().min(long);
    let beside = path.with_extension("whole.jpg");
    let sink = |size| PreviewWriter::create(&beside, size, shrunk as u32, Overwrite::Allow);
    image::decode_rows(source, limits, sink, PreviewWriter::write_rows)?.finish()?;
    let picture = image::decode(&beside, limits);
    let _ = std::fs::remove_file(&beside);
    let picture = picture?;
    let across = f64::from(picture.width) / width as f64;
    let down = f64::from(picture.height) / height as f64;
    let crop = [left * across, top * down, part_width * across, part_height * down];
    Ok(ContentImage::framed(picture, crop))
}

/// Makes the tiles of the picture `source` in the folder `tiles`, which has no such folder yet.
///
/// # Errors
/// When the picture cannot be read, or the tiles not be written.
pub(super) fn make_tiles(source: &Path, tiles: &Path, limits: &Limits) -> Result<(), RenderError> {
    let description = tiles.join("picture.dzi");
    let sink =
        |size| PyramidWriter::create(&description, size, Tiling::default(), Overwrite::Allow);
    image::decode_rows(source, limits, sink, PyramidWriter::write_rows)?.finish()?;
    Ok(())
}

/// The folder of the tiles that [`make_tiles`] makes.
pub(super) fn tiles_in(tiles: &Path) -> PathBuf {
    tiles.join("picture_files")
}

/// Where a finished picture's own pixels are.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum ZoomSource {
    /// In Deep Zoom tiles beside the picture, in this folder.
    Tiles(PathBuf),
    /// In the picture, which a browser shows as it is.
    Whole(PathBuf),
    /// In the picture, which has to be cut into tiles first.
    Uncut(PathBuf),
}

impl ZoomSource {
    /// Of the picture at `path`.
    pub fn of(path: &Path, framing: &Framing) -> Self {
        let tiles = pyramid_folder(path);
        let in_browsers =
            matches!(OutputFormat::from_path(path), Some(OutputFormat::Png | OutputFormat::Jpeg));
        if pyramid_path(path).is_file() && tiles.is_dir() {
            ZoomSource::Tiles(tiles)
        } else if in_browsers && framing.width * framing.height <= WHOLE_PIXELS {
            ZoomSource::Whole(path.into())
        } else {
            ZoomSource::Uncut(path.into())
        }
    }
}

/// How the page gets at a picture's own pixels.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub(super) enum Zoom {
    /// One picture.
    Whole {
        /// Where it is.
        url: String,
    },
    /// Deep Zoom tiles: `LEVEL/COLUMN_ROW.jpg` behind the address.
    Tiles {
        /// Their address, with a slash at the end.
        url: String,
        /// Side of a tile, px.
        side: u32,
        /// Pixels that a tile shares with each neighbour.
        overlap: u32,
        /// Whether it has to be asked for them at `ready.json` first.
        ask: bool,
    },
}

impl Zoom {
    /// Tiles behind `url`.
    pub fn tiles(url: String, ask: bool) -> Self {
        let Tiling { side, overlap, .. } = Tiling::default();
        Zoom::Tiles { url, side, overlap, ask }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_names_of_pictures_are_names_of_pictures() {
        for subject in
            [Subject::Content(0), Subject::Style(3, 1), Subject::Result(12), Subject::Level(7, 2)]
        {
            for scale in [Scale::Thumb, Scale::View] {
                assert_eq!(Subject::parse(&subject.name(scale)), Some((subject, scale)));
            }
        }
        for name in [
            "content-0-thumb.png",
            "content-00-thumb.jpg",
            "content-+1-thumb.jpg",
            "content-0-huge.jpg",
            "style-0-thumb.jpg",
            "../content-0-thumb.jpg",
            "content-0-thumb.jpg/",
            "",
        ] {
            assert_eq!(Subject::parse(name), None, "{name}");
        }
    }
}
