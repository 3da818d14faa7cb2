//! Colour: from what a file holds to the canvas's sRGB, and from the canvas to the output's
//! profile.
//!
//! The working space is display-coded sRGB, channels in 0..1 (IEC 61966-2-1). Profiles are
//! converted by moxcms; colours outside the destination's gamut are clipped to it.

pub(crate) mod described;
mod profile;
mod transform;

use moxcms::RenderingIntent;
use serde::{Deserialize, Serialize};

pub(crate) use transform::{FromWorking, Refusal, ToWorking};

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

/// A coded value of `opacity` 0..1 on white paper, blended as it is coded: what viewers show.
pub(crate) fn over_white(v: f32, opacity: f32) -> f32 {
    if opacity >= 1.0 { v } else { 1.0 + unit(opacity) * (unit(v) - 1.0) }
}

/// A value brought into 0..1; one that is not a number becomes 0, where `clamp` would keep it.
pub(crate) fn unit(v: f32) -> f32 {
    if v.is_nan() { 0.0 } else { v.clamp(0.0, 1.0) }
}
