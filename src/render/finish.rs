//! From a canvas to a file: band by band, with a few rows in memory whatever the canvas's size.

use std::path::{Path, PathBuf};

use candle_core::Tensor;

use crate::config::{ColorFrom, MetadataFrom, ProfileSource, RunSettings, ViewerTiles};
use crate::files::{self, Overwrite};
use crate::geometry::Rect;
use crate::image::{
    self, Compression, Encoding, OutputFormat, OutputProfile, PreviewWriter, PyramidWriter, Rows,
    Writer,
};
use crate::plan::Job;
use crate::render::error::RenderError;
use crate::render::recipe::recipe;
use crate::render::store::content::ContentImage;
use crate::tensor::HostView;
use crate::tiling::{Pixels, Planes};

/// The longer side of a preview, px.
const PREVIEW_SIDE: u32 = 1600;

/// Canvas pixels that are on their way at once; 12 bytes each, and as many again where the
/// photograph's colours are kept.
const BAND_PIXELS: usize = 1 << 20;

/// `NAME.partial.EXT` beside the output: where an interrupted job leaves its picture.
pub fn partial_path(output: &Path) -> PathBuf {
    beside(output, "partial")
}

/// `NAME.level-2-0100.EXT` beside the output: an intermediate picture.
pub fn intermediate_path(output: &Path, level: usize, evaluation: usize) -> PathBuf {
    beside(output, &format!("level-{}-{evaluation:04}", level + 1))
}

/// `NAME.preview.jpg` beside the output: a small picture to look at.
pub fn preview_path(output: &Path) -> PathBuf {
    output.with_extension("preview.jpg")
}

/// `NAME.dzi` beside the output: describes its Deep Zoom tiles, which are in `NAME_files`.
pub fn pyramid_path(output: &Path) -> PathBuf {
    output.with_extension("dzi")
}

fn beside(output: &Path, word: &str) -> PathBuf {
    let extension = output.extension().unwrap_or_default().to_string_lossy();
    output.with_extension(format!("{word}.{extension}"))
}

/// How the pictures of a job are written: made before the first level, so that what cannot be
/// written is told before the work and not after it.
pub struct Finish<'a> {
    job: &'a Job,
    photograph: &'a ContentImage,
    encoding: Encoding,
    warnings: Vec<String>,
}

impl<'a> Finish<'a> {
    /// For the pictures of `job` in a run of `settings`, painted from `photograph` by the network
    /// of the hash `weights`.
    ///
    /// # Errors
    /// When the output's format, profile or size cannot be written.
    pub fn new(
        job: &'a Job,
        settings: &RunSettings,
        photograph: &'a ContentImage,
        weights: &str,
    ) -> Result<Self, RenderError> {
        let mut warnings: Vec<String> = job.framing.warning().into_iter().collect();
        let output = &job.settings.output;
        let format = OutputFormat::from_path(&job.output)
            .expect("an output's extension is checked with the settings");
        let mut encoding = Encoding::new(format);
        if output.metadata != MetadataFrom::None {
            encoding = encoding.carry(photograph.source());
            encoding.place = output.metadata == MetadataFrom::All;
            encoding.recipe = recipe(job, settings, weights);
        }
        encoding.bit_depth = output.bit_depth;
        encoding.compression = match format {
            // PNG is always deflated.
            OutputFormat::Png => Compression::Deflate,
            _ => output.compression,
        };
        encoding.quality = output.quality;
        encoding.dpi = output.resolution().map(|dpi| dpi.0);
        encoding.dither = output.dither;
        encoding.intent = job.settings.color.intent;
        encoding.profile = profile(&job.settings.color.output_profile, photograph, &mut warnings)?;
        encoding.alpha = photograph.has_alpha();
        if encoding.alpha && format == OutputFormat::Jpeg {
            warnings.push("a JPEG has no transparency: the photograph's is laid over white; PNG and TIFF keep it".into());
        }
        if let Some(reason) = encoding.problem(job.framing.width as u32, job.framing.height as u32)
        {
            return Err(image::Error::Encoding { path: job.output.clone(), reason }.into());
        }
        Ok(Self { job, photograph, encoding, warnings })
    }

    /// What is worth knowing before the work begins, in words.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Writes a picture of the work so far, of any level, under `path`, which it may replace.
    ///
    /// # Errors
    /// When a file cannot be read or written; nothing appears then.
    pub fn write(&self, canvas: &dyn Pixels, path: &Path) -> Result<(), RenderError> {
        let (size, overwrite) = (size(canvas), Overwrite::Allow);
        let picture = Some(Writer::create(path, size.0, size.1, &self.encoding, overwrite)?);
        self.stream(canvas, Sinks { picture, ..Sinks::default() })
    }

    /// Writes a canvas `[3, H, W]` in memory as [`Finish::write`] does.
    ///
    /// # Errors
    /// As [`Finish::write`], and when the tensor is not in host memory.
    pub fn write_tensor(&self, canvas: &Tensor, path: &Path) -> Result<(), RenderError> {
        let (_, height, width) = canvas.dims3()?;
        let view = HostView::new(canvas)?;
        self.write(&Planes::new((width, height), view.values())?, path)
    }

    /// Writes the preview of the work so far, of any level, under [`preview_path`]. Returns its
    /// name.
    ///
    /// # Errors
    /// When a file cannot be read or written; nothing appears then.
    pub fn write_preview(&self, canvas: &dyn Pixels) -> Result<PathBuf, RenderError> {
        let path = preview_path(&self.job.output);
        let preview =
            Some(PreviewWriter::create(&path, size(canvas), PREVIEW_SIDE, Overwrite::Allow)?);
        self.stream(canvas, Sinks { preview, ..Sinks::default() })?;
        Ok(path)
    }

    /// Takes away the preview that the levels left, once the finished picture is there, unless the
    /// settings ask for one.
    ///
    /// # Errors
    /// When the system refuses; a preview that is not there is no error.
    pub fn drop_preview(&self) -> Result<(), RenderError> {
        let path = preview_path(&self.job.output);
        if self.job.settings.output.preview || self.job.levels.len() < 2 {
            return Ok(());
        }
        match std::fs::remove_file(&path) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                Err(files::Error::Io { action: "remove", path, source }.into())
            }
            _ => Ok(()),
        }
    }

    /// Writes the finished picture under its final name, and before that, in the same pass over the
    /// canvas, the companions that the settings ask for: whoever finds the picture finds them.
    /// Companions of an earlier attempt are replaced. Returns the companions.
    ///
    /// # Errors
    /// When a file cannot be read or written, or the final name is taken and may not be replaced;
    /// the picture does not appear then.
    pub fn complete(&self, canvas: &dyn Pixels) -> Result<Vec<PathBuf>, RenderError> {
        let output = &self.job.settings.output;
        let (size, path) = (size(canvas), &self.job.output);
        let overwrite = if output.overwrite { Overwrite::Allow } else { Overwrite::Refuse };
        let mut sinks = Sinks {
            picture: Some(Writer::create(path, size.0, size.1, &self.encoding, overwrite)?),
            ..Sinks::default()
        };
        let mut companions = Vec::new();
        if output.preview {
            let path = preview_path(path);
            sinks.preview =
                Some(PreviewWriter::create(&path, size, PREVIEW_SIDE, Overwrite::Allow)?);
            companions.push(path);
        }
        if output.pyramid == ViewerTiles::Dzi {
            let path = pyramid_path(path);
            sinks.pyramid = Some(PyramidWriter::create(
                &path,
                size,
                image::Tiling::default(),
                Overwrite::Allow,
            )?);
            companions.push(path);
        }
        self.stream(canvas, sinks)?;
        Ok(companions)
    }

    /// Pulls the canvas through colour and alpha into `sinks`, a band of rows at a time.
    fn stream(&self, canvas: &dyn Pixels, mut sinks: Sinks) -> Result<(), RenderError> {
        let (width, height) = canvas.size();
        let band = (BAND_PIXELS / width).clamp(1, 256);
        for top in (0..height).step_by(band) {
            let rows = top..(top + band).min(height);
            let mut pixels = canvas.read(Rect { left: 0, top, width, height: rows.len() })?;
            if self.job.settings.output.color == ColorFrom::Content {
                pixels.iter_mut().for_each(|v| *v = v.clamp(0.0, 1.0));
                image::content_colours(
                    &mut pixels,
                    &self.photograph.rows((width, height), rows.clone()),
                );
            }
            let alpha = self.photograph.alpha_rows((width, height), rows);
            let plane = pixels.len() / 3;
            let colours = [&pixels[..plane], &pixels[plane..2 * plane], &pixels[2 * plane..]];
            sinks.write_rows(Rows { colours, alpha: alpha.as_deref() })?;
        }
        sinks.finish()
    }
}

/// What takes a picture's rows.
#[derive(Default)]
struct Sinks {
    picture: Option<Writer>,
    preview: Option<PreviewWriter>,
    pyramid: Option<PyramidWriter>,
}

impl Sinks {
    fn write_rows(&mut self, rows: Rows) -> Result<(), image::Error> {
        self.preview.as_mut().map_or(Ok(()), |preview| preview.write_rows(rows))?;
        self.pyramid.as_mut().map_or(Ok(()), |pyramid| pyramid.write_rows(rows))?;
        self.picture.as_mut().map_or(Ok(()), |picture| picture.write_rows(rows))
    }

    /// The picture last: it says that all is there.
    fn finish(self) -> Result<(), RenderError> {
        self.preview.map(PreviewWriter::finish).transpose()?;
        self.pyramid.map(PyramidWriter::finish).transpose()?;
        self.picture.map(Writer::finish).transpose()?;
        Ok(())
    }
}

fn size(canvas: &dyn Pixels) -> (u32, u32) {
    let (width, height) = canvas.size();
    (width as u32, height as u32)
}

/// The profile of the output. A photograph's own is used where colours can be written to it.
fn profile(
    wanted: &ProfileSource,
    photograph: &ContentImage,
    warnings: &mut Vec<String>,
) -> Result<OutputProfile, RenderError> {
    match wanted {
        ProfileSource::Srgb => Ok(OutputProfile::Srgb),
        ProfileSource::File(path) => Ok(OutputProfile::from_file(path)?),
        ProfileSource::Input => {
            let own = photograph.source().icc.clone().map(OutputProfile::from_icc);
            Ok(own.unwrap_or(Ok(OutputProfile::Srgb)).unwrap_or_else(|reason| {
                warnings.push(format!("the photograph's own profile is not used for the picture, which is sRGB: {reason}"));
                OutputProfile::Srgb
            }))
        }
    }
}
