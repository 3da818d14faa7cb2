//! From a canvas to a file: band by band, with a few rows in memory whatever the canvas's size. The
//! guard band is cut off.

use std::ops::Range;
use std::path::Path;

use candle_core::Tensor;

use crate::config::{
    ColorFrom, MetadataFrom, ProfileSource, RunSettings, ViewerTiles, preview_path, pyramid_path,
};
use crate::files::{NamedFile, Overwrite};
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
/// content image's colours are kept.
const BAND_PIXELS: usize = 1 << 20;

/// How the pictures of a job are written: made before the first level, so that what cannot be
/// written is reported before the work and not after it.
pub struct Finish<'a> {
    job: &'a Job,
    content: &'a ContentImage,
    encoding: Encoding,
    warnings: Vec<String>,
}

impl<'a> Finish<'a> {
    /// For the pictures of `job` in a run of `settings`, painted from `content` by the network
    /// of the hash `weights`.
    ///
    /// # Errors
    /// When the output's format, profile or size cannot be written.
    pub fn new(
        job: &'a Job,
        settings: &RunSettings,
        content: &'a ContentImage,
        weights: &str,
    ) -> Result<Self, RenderError> {
        let mut warnings: Vec<String> = job.framing.warning().into_iter().collect();
        let output = &job.settings.output;
        let format = OutputFormat::from_path(&job.output)
            .expect("an output's extension is checked with the settings");
        let mut encoding = Encoding::new(format);
        if output.metadata != MetadataFrom::None {
            encoding = encoding.carry(content.source());
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
        encoding.profile = profile(&job.settings.color.output_profile, content, &mut warnings)?;
        encoding.alpha = content.has_alpha();
        if encoding.alpha && format == OutputFormat::Jpeg {
            warnings.push("a JPEG has no transparency: the content image's is laid over white; PNG and TIFF keep it".into());
        }
        if let Some(reason) = encoding.problem(job.framing.width as u32, job.framing.height as u32)
        {
            return Err(image::Error::Encoding { path: job.output.path.clone(), reason }.into());
        }
        Ok(Self { job, content, encoding, warnings })
    }

    /// For the pictures of `job`, encoded as it was decided when the work began.
    pub fn with_encoding(job: &'a Job, content: &'a ContentImage, encoding: Encoding) -> Self {
        Self { job, content, encoding, warnings: Vec::new() }
    }

    /// How pictures are encoded.
    pub fn into_encoding(self) -> Encoding {
        self.encoding
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
        let (size, overwrite) = (self.size(canvas), Overwrite::Allow);
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

    /// Writes the preview of the work so far, of any level, under [`preview_path`]. Returns it.
    ///
    /// # Errors
    /// When a file cannot be read or written; nothing appears then.
    pub fn write_preview(&self, canvas: &dyn Pixels) -> Result<NamedFile, RenderError> {
        let file = self.job.output.beside(preview_path);
        let preview =
            Some(PreviewWriter::create(&file, self.size(canvas), PREVIEW_SIDE, Overwrite::Allow)?);
        self.stream(canvas, Sinks { preview, ..Sinks::default() })?;
        Ok(file)
    }

    /// Writes the finished picture under its final name, and before that, in the same pass over the
    /// canvas, the companions that the settings ask for: where the picture is, they are.
    /// Companions of an earlier attempt are replaced. Returns the companions.
    ///
    /// # Errors
    /// When a file cannot be read or written, or the final name is taken and may not be replaced;
    /// the picture does not appear then.
    pub fn complete(&self, canvas: &dyn Pixels) -> Result<Vec<NamedFile>, RenderError> {
        let output = &self.job.settings.output;
        let (size, picture) = (self.size(canvas), &self.job.output);
        let overwrite = if output.overwrite { Overwrite::Allow } else { Overwrite::Refuse };
        let mut sinks = Sinks {
            picture: Some(Writer::create(picture, size.0, size.1, &self.encoding, overwrite)?),
            ..Sinks::default()
        };
        let mut companions = Vec::new();
        if output.preview {
            let file = picture.beside(preview_path);
            sinks.preview =
                Some(PreviewWriter::create(&file, size, PREVIEW_SIDE, Overwrite::Allow)?);
            companions.push(file);
        }
        if output.pyramid == ViewerTiles::Dzi {
            let file = picture.beside(pyramid_path);
            sinks.pyramid = Some(PyramidWriter::create(
                &file,
                size,
                image::Tiling::default(),
                Overwrite::Allow,
            )?);
            companions.push(file);
        }
        self.stream(canvas, sinks)?;
        Ok(companions)
    }

    /// Width and height of what is written of `canvas`, px.
    fn size(&self, canvas: &dyn Pixels) -> (u32, u32) {
        let picture = self.job.framing.picture_in(canvas.size());
        (picture.width as u32, picture.height as u32)
    }

    /// Pulls the canvas without its guard band through colour and alpha into `sinks`, a band of rows
    /// at a time.
    fn stream(&self, canvas: &dyn Pixels, mut sinks: Sinks) -> Result<(), RenderError> {
        let (width, height) = canvas.size();
        let picture = self.job.framing.picture_in((width, height));
        let band = (BAND_PIXELS / width).clamp(1, 256);
        for top in (picture.top..picture.bottom()).step_by(band) {
            let rows = top..(top + band).min(picture.bottom());
            let mut pixels = canvas.read(Rect { left: 0, top, width, height: rows.len() })?;
            if self.job.settings.output.color == ColorFrom::Content {
                pixels.iter_mut().for_each(|v| *v = v.clamp(0.0, 1.0));
                image::content_colours(
                    &mut pixels,
                    &self.content.rows((width, height), rows.clone()),
                );
            }
            let alpha = self.content.alpha_rows((width, height), rows);
            let columns = picture.left..picture.right();
            let pixels = cut(pixels, width, columns.clone());
            let alpha = alpha.map(|alpha| cut(alpha, width, columns));
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

/// `columns` of rows of `width` values.
fn cut(rows: Vec<f32>, width: usize, columns: Range<usize>) -> Vec<f32> {
    if columns == (0..width) {
        return rows;
    }
    rows.chunks_exact(width).flat_map(|row| &row[columns.clone()]).copied().collect()
}

/// The profile of the output. The content image's own is used where colours can be written to it.
fn profile(
    wanted: &ProfileSource,
    content: &ContentImage,
    warnings: &mut Vec<String>,
) -> Result<OutputProfile, RenderError> {
    match wanted {
        ProfileSource::Srgb => Ok(OutputProfile::Srgb),
        ProfileSource::File(path) => Ok(OutputProfile::from_file(path)?),
        ProfileSource::Input => {
            let own = content.source().icc.clone().map(OutputProfile::from_icc);
            Ok(own.unwrap_or(Ok(OutputProfile::Srgb)).unwrap_or_else(|reason| {
                warnings.push(format!("the content image's own profile is not used for the picture, which is sRGB: {reason}"));
                OutputProfile::Srgb
            }))
        }
    }
}
