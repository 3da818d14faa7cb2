//! Conversions of pixels to and from the working space, through ICC profiles.

use std::sync::Arc;

use moxcms::{ColorProfile, DataColorSpace, Layout, TransformF32Executor, TransformOptions};

use super::{Intent, Model, coded_from_linear, profile, unit};

/// Why a picture's colours cannot be converted.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// CMYK without a profile that can be used: the reason.
    Cmyk(String),
    /// HDR: the name of its transfer function.
    Hdr(&'static str),
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
    /// The conversion for pixels of `model` whose colours are those of the `icc` profile, and a note
    /// when that profile could not be used.
    ///
    /// # Errors
    ///
    /// CMYK without a profile that can be used, and HDR.
    pub(crate) fn new(model: Model, icc: Option<&[u8]>) -> Result<(Self, Option<String>), Refusal> {
        let plain = || match model {
            Model::Grey => Ok(ToWorking::Grey),
            Model::Rgb => Ok(ToWorking::Same),
            Model::LinearRgb => Ok(ToWorking::Linear),
            Model::Cmyk => {
                let reason = "without an embedded profile, so that its colours are unknown";
                Err(Refusal::Cmyk(reason.to_owned()))
            }
        };
        let Some(icc) = icc.filter(|_| model != Model::LinearRgb) else {
            return Ok((plain()?, None));
        };
        match profile_to_srgb(model, icc) {
            Ok(Some(transform)) => Ok((ToWorking::Profile(transform), None)),
            Ok(None) => Ok((plain()?, None)),
            Err(profile::Unusable::Hdr(curve)) => Err(Refusal::Hdr(curve)),
            Err(reason) if model == Model::Cmyk => {
                Err(Refusal::Cmyk(format!("whose profile cannot be used ({reason})")))
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
fn profile_to_srgb(
    model: Model,
    icc: &[u8],
) -> Result<Option<Arc<TransformF32Executor>>, profile::Unusable> {
    let profile = profile::parse(icc)?;
    let (space, layout, words) = match model {
        Model::Grey => (DataColorSpace::Gray, Layout::Gray, "grey"),
        Model::Rgb | Model::LinearRgb => (DataColorSpace::Rgb, Layout::Rgb, "RGB"),
        Model::Cmyk => (DataColorSpace::Cmyk, Layout::Rgba, "CMYK"),
    };
    if profile.color_space != space {
        let described = match profile.color_space {
            DataColorSpace::Gray => "grey".to_owned(),
            DataColorSpace::Rgb => "RGB".to_owned(),
            DataColorSpace::Cmyk => "CMYK".to_owned(),
            other => format!("{other:?}"),
        };
        let reason = format!("it describes {described} colours, the pixels are {words}");
        return Err(profile::Unusable::Reason(reason));
    }
    let options = transform_options(Intent::default());
    let srgb = ColorProfile::new_srgb();
    let transform = profile
        .create_transform_f32(layout, &srgb, Layout::Rgb, options)
        .map_err(|e| profile::Unusable::Reason(e.to_string()))?;
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
        let profile =
            profile::parse(icc).map_err(|e| format!("it is not a usable ICC profile: {e}"))?;
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
