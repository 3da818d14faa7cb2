//! From a canvas to a file.

use std::path::{Path, PathBuf};

use candle_core::Tensor;

use super::error::RenderError;
use crate::config::{self, ColorFrom, MetadataFrom, OutputProfile};
use crate::files::Overwrite;
use crate::image::{self, Compression, Encoding, Filter, Intent, Light, OutputFormat, Picture};
use crate::plan::Job;
use crate::tensor::HostView;

/// `NAME.partial.EXT` beside the output: where an interrupted job leaves its picture.
pub fn partial_path(output: &Path) -> PathBuf {
    beside(output, "partial")
}

/// `NAME.level-2-0100.EXT` beside the output: an intermediate picture.
pub fn intermediate_path(output: &Path, level: usize, evaluation: usize) -> PathBuf {
    beside(output, &format!("level-{}-{evaluation:04}", level + 1))
}

fn beside(output: &Path, word: &str) -> PathBuf {
    let extension = output.extension().unwrap_or_default().to_string_lossy();
    output.with_extension(format!("{word}.{extension}"))
}

/// Writes a canvas `[3, H, W]` as the job's output settings say, with the photograph's alpha, under `path`.
///
/// # Errors
/// When the file cannot be written; nothing appears then.
pub fn write_canvas(canvas: &Tensor, content: &Picture, job: &Job, path: &Path, overwrite: bool) -> Result<(), RenderError> {
    let (_, height, width) = canvas.dims3()?;
    let size = (width as u32, height as u32);
    let content_size = (content.width, content.height);
    let output = &job.settings.output;
    let mut pixels: Vec<f32> = HostView::new(canvas)?.values().iter().map(|v| v.clamp(0.0, 1.0)).collect();
    if output.color == ColorFrom::Content {
        let photograph = image::resize(&content.pixels, content_size, size, Filter::Lanczos3, Light::Linear);
        image::content_colours(&mut pixels, &photograph);
    }
    let alpha = content.alpha.as_deref().map(|alpha| image::resize(alpha, content_size, size, Filter::Lanczos3, Light::Coded));
    let encoding = encoding(job, content, path)?;
    let overwrite = if overwrite { Overwrite::Allow } else { Overwrite::Refuse };
    image::encode_picture(path, size, &pixels, alpha.as_deref(), &encoding, overwrite)?;
    Ok(())
}

fn encoding(job: &Job, content: &Picture, path: &Path) -> Result<Encoding, RenderError> {
    let output = &job.settings.output;
    let mut encoding = Encoding::new(OutputFormat::from_path(path).expect("an output's extension is checked with the settings"));
    if output.metadata == MetadataFrom::Keep {
        encoding = encoding.carry(&content.source);
        encoding.recipe = recipe(job);
    }
    encoding.bit_depth = output.bit_depth.bits();
    encoding.compression = match output.compression {
        config::Compression::Deflate => Compression::Deflate,
        config::Compression::Lzw => Compression::Lzw,
        config::Compression::None => Compression::None,
    };
    encoding.quality = output.quality;
    encoding.dpi = output.dpi.or(output.size.dpi()).map(|dpi| dpi.0);
    encoding.dither = output.dither;
    encoding.intent = match job.settings.color.intent {
        config::Intent::RelativeColorimetric => Intent::Relative,
        config::Intent::Perceptual => Intent::Perceptual,
    };
    encoding.profile = match &job.settings.color.output_profile {
        OutputProfile::Srgb => image::OutputProfile::Srgb,
        OutputProfile::Input => content.source.icc.clone().map_or(image::OutputProfile::Srgb, image::OutputProfile::Icc),
        OutputProfile::File(path) => {
            image::OutputProfile::Icc(std::fs::read(path).map_err(|source| RenderError::Profile { path: path.clone(), source })?)
        }
    };
    Ok(encoding)
}

/// One line that says how the picture was made.
fn recipe(job: &Job) -> String {
    let styles: Vec<String> =
        job.settings.styles.iter().map(|s| s.image.file_name().unwrap_or_default().to_string_lossy().into()).collect();
    format!(
        "impasto {}; content {}; style {}; preset {}; {}x{} px; evaluations {:?}",
        env!("CARGO_PKG_VERSION"),
        job.content.file_name().unwrap_or_default().to_string_lossy(),
        styles.join(" + "),
        job.settings.objective.preset,
        job.framing.width,
        job.framing.height,
        job.levels.iter().map(|level| level.evaluations).collect::<Vec<_>>(),
    )
}
