//! ICC profiles made of what a file says of its colours by other means than a profile.

use moxcms::{
    Chromaticity, CicpColorPrimaries, CicpProfile, ColorPrimaries, ColorProfile, LocalizableString,
    MatrixCoefficients, ProfileText, ToneReprCurve, TransferCharacteristics,
};

use super::profile;

/// The gamma that files state for sRGB.
pub(crate) const SRGB_GAMMA: f64 = 2.2;

/// How far from [`SRGB_GAMMA`] a gamma is still taken for sRGB's curve.
const NEAR_SRGB: f64 = 0.11;

/// sRGB's transfer function as a formula.
fn srgb_curve() -> ToneReprCurve {
    ToneReprCurve::Parametric(vec![2.4, 1.0 / 1.055, 0.055 / 1.055, 1.0 / 12.92, 0.04045])
}

/// Compatible with Adobe RGB (1998).
pub(crate) fn adobe_rgb() -> Option<Vec<u8>> {
    ColorProfile::new_adobe_rgb().encode().ok()
}

/// What code points (ITU-T H.273) say.
#[derive(Debug, PartialEq)]
pub(crate) enum CodePoints {
    /// sRGB.
    Srgb,
    /// The profile for them.
    Profile(Vec<u8>),
    /// HDR: the name of its transfer function.
    Hdr(&'static str),
    /// Nothing that is known here.
    Unknown,
}

/// The colours of the code points for primaries and transfer function, or the transfer function alone
/// for grey.
pub(crate) fn code_points(primaries: u8, transfer: u8, grey: bool) -> CodePoints {
    let (Ok(color_primaries), Ok(transfer_characteristics)) =
        (CicpColorPrimaries::try_from(primaries), TransferCharacteristics::try_from(transfer))
    else {
        return CodePoints::Unknown;
    };
    if let Some(curve) = profile::hdr(transfer_characteristics) {
        return CodePoints::Hdr(curve);
    }
    if (primaries, transfer) == (1, 13) {
        return CodePoints::Srgb;
    }
    let mut profile = ColorProfile::new_from_cicp(CicpProfile {
        color_primaries,
        transfer_characteristics,
        matrix_coefficients: MatrixCoefficients::Identity,
        full_range: true,
    });
    let Some(curve) = profile.red_trc.clone() else { return CodePoints::Unknown };
    profile.cicp = None;
    if grey {
        profile = ColorProfile::new_gray_with_gamma(1.0);
        profile.gray_trc = Some(curve);
    }
    named(profile, "by code points").map_or(CodePoints::Unknown, CodePoints::Profile)
}

/// RGB with the chromaticities of white, red, green and blue, and a gamma. Nothing where they are
/// sRGB's or cannot be.
pub(crate) fn rgb(chromaticities: Option<[(f64, f64); 4]>, gamma: f64) -> Option<Vec<u8>> {
    let near =
        |(x, y): (f64, f64), (u, v): (f64, f64)| (x - u).abs() < 2e-3 && (y - v).abs() < 2e-3;
    let srgb = [(0.3127, 0.329), (0.64, 0.33), (0.3, 0.6), (0.15, 0.06)];
    let chromaticities = chromaticities.unwrap_or(srgb);
    let is_srgb = chromaticities.iter().zip(srgb).all(|(stated, srgb)| near(*stated, srgb));
    let curve = curve(gamma);
    if is_srgb && curve == srgb_curve() {
        return None;
    }
    let can_be = |(x, y): (f64, f64)| (0.0..=1.0).contains(&x) && (1e-3..=1.0).contains(&y);
    if !chromaticities.into_iter().all(can_be) {
        return None;
    }
    let [white, red, green, blue] =
        chromaticities.map(|(x, y)| Chromaticity { x: x as f32, y: y as f32 });
    let mut profile = ColorProfile::new_srgb();
    profile.update_rgb_colorimetry(white.to_xyyb(), ColorPrimaries { red, green, blue });
    (profile.red_trc, profile.green_trc, profile.blue_trc) =
        (Some(curve.clone()), Some(curve.clone()), Some(curve));
    named(profile, "by chromaticities and gamma")
}

/// Grey with a gamma; nothing where that is sRGB's.
pub(crate) fn grey(gamma: f64) -> Option<Vec<u8>> {
    let curve = curve(gamma);
    if curve == srgb_curve() {
        return None;
    }
    let mut profile = ColorProfile::new_gray_with_gamma(1.0);
    profile.gray_trc = Some(curve);
    named(profile, "by gamma")
}

/// The curve of a display whose gamma is stated; one that is nearly sRGB's stands for that.
fn curve(gamma: f64) -> ToneReprCurve {
    if (gamma - SRGB_GAMMA).abs() <= NEAR_SRGB {
        srgb_curve()
    } else {
        ToneReprCurve::Parametric(vec![gamma as f32])
    }
}

fn named(mut profile: ColorProfile, name: &str) -> Option<Vec<u8>> {
    profile.description = Some(ProfileText::Localizable(vec![LocalizableString::new(
        "en".to_owned(),
        "US".to_owned(),
        name.to_owned(),
    )]));
    profile.encode().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::colour::{Model, ToWorking, linear_from_coded};

    fn converted(icc: &[u8], pixel: [f32; 3]) -> [f32; 3] {
        let (to_working, note) = ToWorking::new(Model::Rgb, Some(icc)).unwrap();
        assert!(note.is_none(), "{note:?}");
        let mut out = [0.0; 3];
        to_working.run(&pixel, &mut out);
        out
    }

    #[test]
    fn code_points_are_those_of_h_273() {
        assert_eq!(code_points(1, 13, false), CodePoints::Srgb);
        assert_eq!(code_points(9, 16, false), CodePoints::Hdr("PQ"));
        assert_eq!(code_points(9, 18, false), CodePoints::Hdr("HLG"));
        for unknown in [(2, 13), (1, 2), (0, 0), (200, 13)] {
            assert_eq!(
                code_points(unknown.0, unknown.1, false),
                CodePoints::Unknown,
                "{unknown:?}"
            );
        }
        let CodePoints::Profile(p3) = code_points(12, 13, false) else { panic!("P3 is known") };
        // The same grey, and a green that sRGB does not have.
        let grey = converted(&p3, [0.5; 3]);
        assert!(grey.iter().all(|v| (v - 0.5).abs() < 2e-3), "{grey:?}");
        let leaf = converted(&p3, [0.3, 0.6, 0.2]);
        for (got, want) in leaf.iter().zip([0.1425, 0.6088, 0.0988]) {
            assert!((got - want).abs() < 4e-3, "{leaf:?}");
        }
    }

    #[test]
    fn chromaticities_and_gamma() {
        let srgb = [(0.3127, 0.329), (0.64, 0.33), (0.3, 0.6), (0.15, 0.06)];
        assert_eq!(rgb(Some(srgb), 1.0 / 0.45455), None);
        assert_eq!(rgb(None, 2.2), None);
        assert_eq!(rgb(Some([(0.0, 0.0); 4]), 1.0), None);
        let linear = rgb(Some(srgb), 1.0).unwrap();
        for v in [0.0, 0.2, 0.5, 1.0] {
            let out = converted(&linear, [v; 3]);
            assert!(out.iter().all(|o| (linear_from_coded(*o) - v).abs() < 2e-3), "{v}: {out:?}");
        }
        assert!(grey(1.0).is_some() && grey(2.2).is_none());
    }
}
