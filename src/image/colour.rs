//! Colour: from what a file holds to the canvas's sRGB, and from the canvas to the output's
//! profile.
//!
//! The working space is display-coded sRGB, channels in 0..1 (IEC 61966-2-1). Profiles are
//! converted by moxcms; colours outside the destination's gamut are clipped to it.

use std::sync::Arc;

use moxcms::{
    ColorProfile, DataColorSpace, Layout, RenderingIntent, TransformF32Executor, TransformOptions,
};
use serde::{Deserialize, Serialize};

/// How colours that the destination cannot show are brought into it (ICC.1, section 6.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Intent {
    /// Colours inside stay, relative to the paper's white; colours outside are clipped.
    #[default]
    RelativeColorimetric,
    /// The profile's own compression of the whole gamut, where it has one (table profiles).
    Perceptual,
}

impl Intent {
    /// Every value.
    pub const ALL: &'static [Self] = &[Self::RelativeColorimetric, Self::Perceptual];

    /// The word for it in settings: what serde writes.
    pub fn word(self) -> &'static str {
        match self {
            Self::RelativeColorimetric => "relative-colorimetric",
            Self::Perceptual => "perceptual",
        }
    }

    fn moxcms(self) -> RenderingIntent {
        match self {
            Self::RelativeColorimetric => RenderingIntent::RelativeColorimetric,
            Self::Perceptual => RenderingIntent::Perceptual,
        }
    }
}

/// sRGB's transfer function: display-coded 0..1 to linear light 0..1; odd-symmetric for negative
/// values.
pub fn linear_from_coded(v: f32) -> f32 {
    let a = v.abs();
    let linear = if a <= 0.040_45 { a / 12.92 } else { ((a + 0.055) / 1.055).powf(2.4) };
    linear.copysign(v)
}

/// The inverse of [`linear_from_coded`].
pub fn coded_from_linear(v: f32) -> f32 {
    let a = v.abs();
    let coded = if a <= 0.003_130_8 { a * 12.92 } else { 1.055 * a.powf(1.0 / 2.4) - 0.055 };
    coded.copysign(v)
}

/// Replaces the chroma of `styled` by that of `content`, keeping its luma; both `[3, H, W]`,
/// planar, display-coded.
///
/// Luma and chroma are those of Rec. 601 (`Y = 0.299 R + 0.587 G + 0.114 B`, chroma = colour minus
/// luma), the space in which neural style transfer's colour preservation is defined (Gatys et al.
/// 2016, "Preserving Color in Neural Artistic Style Transfer", luminance-only transfer). Results
/// are not clamped.
///
/// # Panics
///
/// If the two lengths differ or are no multiple of three.
pub fn content_colours(styled: &mut [f32], content: &[f32]) {
    assert_eq!(styled.len(), content.len(), "the two pictures have one size");
    assert_eq!(styled.len() % 3, 0, "three planes");
    let plane = styled.len() / 3;
    let luma = |r: f32, g: f32, b: f32| 0.299 * r + 0.587 * g + 0.114 * b;
    let (r, rest) = styled.split_at_mut(plane);
    let (g, b) = rest.split_at_mut(plane);
    for i in 0..plane {
        let (cr, cg, cb) = (content[i], content[plane + i], content[2 * plane + i]);
        let shift = luma(r[i], g[i], b[i]) - luma(cr, cg, cb);
        r[i] = cr + shift;
        g[i] = cg + shift;
        b[i] = cb + shift;
    }
}

/// What the channels of a file's pixels mean, before any profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Model {
    /// One channel.
    Grey,
    /// Three channels.
    Rgb,
    /// Four inks, 0 = none.
    Cmyk,
    /// Three channels of linear light with sRGB's primaries.
    LinearRgb,
}

impl Model {
    pub(crate) fn channels(self) -> usize {
        match self {
            Model::Grey => 1,
            Model::Rgb | Model::LinearRgb => 3,
            Model::Cmyk => 4,
        }
    }
}

/// Converts interleaved pixels of a file to interleaved sRGB.
pub(crate) enum ToWorking {
    /// Grey to three equal channels.
    Grey,
    /// As they are.
    Same,
    /// Linear light, coded here.
    Linear,
    /// Through a profile.
    Profile(Arc<TransformF32Executor>),
}

impl ToWorking {
    /// The conversion for pixels of `model` with the embedded `icc` profile, and a note when that
    /// profile could not be used.
    ///
    /// # Errors
    ///
    /// CMYK without a profile that can be used: the reason.
    pub(crate) fn new(model: Model, icc: Option<&[u8]>) -> Result<(Self, Option<String>), String> {
        let plain = || match model {
            Model::Grey => Ok(ToWorking::Grey),
            Model::Rgb => Ok(ToWorking::Same),
            Model::LinearRgb => Ok(ToWorking::Linear),
            Model::Cmyk => {
                Err("without an embedded profile, so that its colours are unknown".to_owned())
            }
        };
        let Some(icc) = icc.filter(|_| model != Model::LinearRgb) else {
            return Ok((plain()?, None));
        };
        match profile_to_srgb(model, icc) {
            Ok(Some(transform)) => Ok((ToWorking::Profile(transform), None)),
            Ok(None) => Ok((plain()?, None)),
            Err(reason) if model == Model::Cmyk => {
                Err(format!("whose profile cannot be used ({reason})"))
            }
            Err(reason) => {
                Ok((plain()?, Some(format!("the embedded colour profile is ignored: {reason}"))))
            }
        }
    }

    /// Converts a run of pixels: `from` holds the model's channels interleaved, `to` gets R, G, B
    /// interleaved, 0..1. Values that are not finite become 0, values outside 0..1 are clamped.
    pub(crate) fn run(&self, from: &[f32], to: &mut [f32]) {
        match self {
            ToWorking::Grey => {
                for (v, rgb) in from.iter().zip(to.chunks_exact_mut(3)) {
                    rgb.fill(*v);
                }
            }
            ToWorking::Same => to.copy_from_slice(from),
            ToWorking::Linear => {
                for (v, out) in from.iter().zip(to.iter_mut()) {
                    *out = coded_from_linear(v.clamp(0.0, 1.0));
                }
            }
            ToWorking::Profile(transform) => {
                // Lengths always fit: the caller hands whole pixels of the model that the transform
                // was made for.
                if transform.transform(from, to).is_err() {
                    to.fill(0.0);
                }
            }
        }
        for v in to.iter_mut() {
            *v = unit(*v);
        }
    }
}

/// The transform from an embedded profile to sRGB; none when the profile changes nothing worth
/// changing.
fn profile_to_srgb(model: Model, icc: &[u8]) -> Result<Option<Arc<TransformF32Executor>>, String> {
    let profile = ColorProfile::new_from_slice(icc).map_err(|e| format!("{e}"))?;
    let (space, layout) = match model {
        Model::Grey => (DataColorSpace::Gray, Layout::Gray),
        Model::Rgb | Model::LinearRgb => (DataColorSpace::Rgb, Layout::Rgb),
        Model::Cmyk => (DataColorSpace::Cmyk, Layout::Rgba),
    };
    if profile.color_space != space {
        return Err(format!(
            "it describes {:?} colours, the pixels are {model:?}",
            profile.color_space
        ));
    }
    let options = transform_options(Intent::default());
    let srgb = ColorProfile::new_srgb();
    let transform = profile
        .create_transform_f32(layout, &srgb, Layout::Rgb, options)
        .map_err(|e| format!("{e}"))?;
    let same = model == Model::Rgb && is_identity(&*transform);
    Ok(if same { None } else { Some(transform) })
}

/// Floating point with profiles' curves evaluated as functions, so that 16-bit pictures keep their
/// depth.
fn transform_options(intent: Intent) -> TransformOptions {
    TransformOptions {
        rendering_intent: intent.moxcms(),
        prefer_fixed_point: false,
        allow_extended_range_rgb_xyz: true,
        ..TransformOptions::default()
    }
}

/// Whether a transform from RGB to RGB moves no colour by a whole 8-bit step: then pixels are kept
/// as they are, to the last bit, instead of making a round trip through a matrix. The common "sRGB
/// IEC61966-2.1" profile is such a one: its curve is a table whose darkest entries are rounded.
fn is_identity(transform: &TransformF32Executor) -> bool {
    let levels = 9;
    let mut grid = Vec::with_capacity(levels * levels * levels * 3);
    for i in 0..levels * levels * levels {
        for k in [i / (levels * levels), i / levels % levels, i % levels] {
            grid.push(k as f32 / (levels - 1) as f32);
        }
    }
    let mut out = vec![0.0; grid.len()];
    transform.transform(&grid, &mut out).is_ok()
        && grid.iter().zip(&out).all(|(a, b)| (a - b).abs() < 1.0 / 255.0)
}

/// Converts interleaved sRGB rows to the output's profile.
pub(crate) struct FromWorking(Option<Arc<TransformF32Executor>>);

impl FromWorking {
    /// To the RGB profile in `icc`, or unchanged sRGB when there is none.
    ///
    /// # Errors
    ///
    /// Why the profile cannot be used for output.
    pub(crate) fn new(icc: Option<&[u8]>, intent: Intent) -> Result<Self, String> {
        let Some(icc) = icc else { return Ok(FromWorking(None)) };
        let profile = ColorProfile::new_from_slice(icc)
            .map_err(|e| format!("it is not a usable ICC profile: {e}"))?;
        if profile.color_space != DataColorSpace::Rgb {
            return Err(format!(
                "it describes {:?} colours; only RGB profiles can be written",
                profile.color_space
            ));
        }
        let transform = ColorProfile::new_srgb()
            .create_transform_f32(Layout::Rgb, &profile, Layout::Rgb, transform_options(intent))
            .map_err(|e| format!("no conversion from sRGB to it: {e}"))?;
        Ok(FromWorking(if is_identity(&*transform) { None } else { Some(transform) }))
    }

    /// Converts a run of interleaved RGB pixels in place; clamped to 0..1 before and after.
    pub(crate) fn run(&self, pixels: &mut [f32]) {
        for v in pixels.iter_mut() {
            *v = unit(*v);
        }
        if let Some(transform) = &self.0 {
            let mut scratch = vec![0.0; pixels.len()];
            if transform.transform(pixels, &mut scratch).is_ok() {
                for (v, out) in pixels.iter_mut().zip(scratch.iter()) {
                    *v = unit(*out);
                }
            }
        }
    }
}

/// A coded value of `opacity` 0..1 on white paper, blended as it is coded: what viewers show.
pub(crate) fn over_white(v: f32, opacity: f32) -> f32 {
    if opacity >= 1.0 { v } else { 1.0 + unit(opacity) * (unit(v) - 1.0) }
}

/// A value brought into 0..1; one that is not a number becomes 0, where `clamp` would keep it.
pub(crate) fn unit(v: f32) -> f32 {
    if v.is_nan() { 0.0 } else { v.clamp(0.0, 1.0) }
}
