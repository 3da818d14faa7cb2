//! ICC profiles in outputs: the sRGB profile that is embedded, and the name that a profile has.

use moxcms::{ColorProfile, ProfileText};

/// sRGB (IEC 61966-2-1) as a matrix profile of ICC version 2, which every reader knows. Its curve
/// has 1024 points. The file was made for impasto and is free of rights.
pub(crate) const SRGB: &[u8] = include_bytes!("srgb.icc");

/// The name that a profile gives itself, in the form of PNG's names: up to 79 Latin letters.
pub(crate) fn name(profile: &[u8]) -> String {
    let text = ColorProfile::new_from_slice(profile).ok().and_then(|p| match p.description? {
        ProfileText::PlainString(text) => Some(text),
        ProfileText::Localizable(list) => list.into_iter().next().map(|l| l.value),
        ProfileText::Description(text) => Some(text.ascii_string),
    });
    let text: String =
        text.unwrap_or_default().chars().filter(|c| (' '..='~').contains(c)).take(79).collect();
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if text.is_empty() { "ICC profile".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use moxcms::ToneReprCurve;

    use super::*;
    use crate::image::colour::linear_from_coded;

    #[test]
    fn the_embedded_profile_is_srgb() {
        assert_eq!(name(SRGB), "sRGB");
        let profile = ColorProfile::new_from_slice(SRGB).unwrap();
        assert!(profile.is_matrix_shaper());
        // The primaries in D50, as photographers know them.
        for (got, want) in [
            (profile.red_colorant, [0.43607, 0.22249, 0.01392]),
            (profile.green_colorant, [0.38515, 0.71687, 0.09708]),
            (profile.blue_colorant, [0.14307, 0.06061, 0.71410]),
        ] {
            for (got, want) in [got.x, got.y, got.z].into_iter().zip(want) {
                assert!((got - want).abs() < 3e-4, "{got} for {want}");
            }
        }
        for curve in [&profile.red_trc, &profile.green_trc, &profile.blue_trc] {
            let Some(ToneReprCurve::Lut(points)) = curve else { panic!("{curve:?}") };
            for (i, point) in points.iter().enumerate() {
                let want = linear_from_coded(i as f32 / (points.len() - 1) as f32) * 65535.0;
                assert!((f32::from(*point) - want).abs() <= 0.51, "point {i}: {point} for {want}");
            }
        }
    }
}
