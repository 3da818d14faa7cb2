//! ICC profiles as moxcms reads them, with its faults worked around: curves are rewritten before
//! a transform is made. [`crate::image`] lists the faults.

use std::fmt;

use moxcms::{ColorProfile, DataColorSpace, LutWarehouse, ToneReprCurve, TransferCharacteristics};

/// Points of a curve that is made a table.
const POINTS: u16 = 4096;

/// Why a profile cannot be used.
#[derive(Debug)]
pub(super) enum Unusable {
    /// It describes HDR; the name of its transfer function.
    Hdr(&'static str),
    /// In words.
    Reason(String),
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unusable::Hdr(curve) => write!(f, "it describes HDR brightness ({curve})"),
            Unusable::Reason(reason) => f.write_str(reason),
        }
    }
}

/// The name of a transfer function that is HDR's.
pub(super) fn hdr(transfer: TransferCharacteristics) -> Option<&'static str> {
    match transfer {
        TransferCharacteristics::Smpte2084 => Some("PQ"),
        TransferCharacteristics::Hlg => Some("HLG"),
        _ => None,
    }
}

/// Reads a profile and makes its curves such that moxcms evaluates them rightly.
pub(super) fn parse(icc: &[u8]) -> Result<ColorProfile, Unusable> {
    let mut profile =
        ColorProfile::new_from_slice(icc).map_err(|e| Unusable::Reason(e.to_string()))?;
    if let Some(curve) = profile.cicp.and_then(|cicp| hdr(cicp.transfer_characteristics)) {
        return Err(Unusable::Hdr(curve));
    }
    // The curves of the profile say the same as its CICP tag, and count.
    profile.cicp = None;
    for curve in curves(&mut profile) {
        pure_gamma_as_formula(curve);
    }
    let shaper = [&mut profile.red_trc, &mut profile.green_trc, &mut profile.blue_trc];
    if shaper[0] != shaper[1] || shaper[1] != shaper[2] {
        shaper.into_iter().flatten().for_each(as_table);
    }
    if (profile.color_space, profile.pcs) == (DataColorSpace::Gray, DataColorSpace::Lab)
        && let Some(curve) = &mut profile.gray_trc
    {
        *curve = light_of_lightness(curve);
        profile.pcs = DataColorSpace::Xyz;
    }
    Ok(profile)
}

/// Every curve of a profile.
fn curves(profile: &mut ColorProfile) -> Vec<&mut ToneReprCurve> {
    let shapers = [
        &mut profile.red_trc,
        &mut profile.green_trc,
        &mut profile.blue_trc,
        &mut profile.gray_trc,
    ];
    let tables = [
        &mut profile.lut_a_to_b_perceptual,
        &mut profile.lut_a_to_b_colorimetric,
        &mut profile.lut_a_to_b_saturation,
        &mut profile.lut_b_to_a_perceptual,
        &mut profile.lut_b_to_a_colorimetric,
        &mut profile.lut_b_to_a_saturation,
    ];
    let in_tables = tables.into_iter().flatten().flat_map(|table| match table {
        LutWarehouse::Multidimensional(lut) => {
            [&mut lut.a_curves, &mut lut.m_curves, &mut lut.b_curves]
                .into_iter()
                .flatten()
                .collect()
        }
        LutWarehouse::Lut(_) => Vec::new(),
    });
    shapers.into_iter().flatten().chain(in_tables).collect()
}

/// A curve of one entry, which is a gamma, becomes the formula for it.
fn pure_gamma_as_formula(curve: &mut ToneReprCurve) {
    if let ToneReprCurve::Lut(points) = curve
        && let [gamma] = points[..]
    {
        *curve = ToneReprCurve::Parametric(vec![f32::from(gamma) / 256.0]);
    }
}

/// A formula becomes a table.
fn as_table(curve: &mut ToneReprCurve) {
    if matches!(curve, ToneReprCurve::Parametric(_)) {
        *curve = table(curve, |value| value);
    }
}

/// A curve that gives lightness (L*, as 0..1) becomes the one that gives light.
fn light_of_lightness(curve: &ToneReprCurve) -> ToneReprCurve {
    table(curve, |lightness| {
        let lightness = 100.0 * lightness;
        if lightness > 8.0 {
            ((lightness + 16.0) / 116.0).powi(3)
        } else {
            lightness * 27.0 / 24389.0
        }
    })
}

/// The table of a curve and what comes behind it; the curve itself where it has no values.
fn table(curve: &ToneReprCurve, behind: fn(f32) -> f32) -> ToneReprCurve {
    let Ok(evaluator) = curve.make_linear_evaluator() else { return curve.clone() };
    let point = |i: u16| {
        let value = evaluator.evaluate_value(f32::from(i) / f32::from(POINTS - 1));
        (behind(value.clamp(0.0, 1.0)) * 65535.0).round() as u16
    };
    ToneReprCurve::Lut((0..POINTS).map(point).collect())
}

#[cfg(test)]
mod tests {
    use moxcms::Layout;

    use super::*;
    use crate::image::colour::{Model, ToWorking, linear_from_coded};

    /// An RGB profile with sRGB's primaries and a gamma for each channel.
    fn gammas(gammas: [f32; 3]) -> Vec<u8> {
        let mut profile = ColorProfile::new_srgb();
        profile.cicp = None;
        let curve = |gamma: f32| Some(ToneReprCurve::Lut(vec![(gamma * 256.0).round() as u16]));
        let [r, g, b] = gammas.map(curve);
        (profile.red_trc, profile.green_trc, profile.blue_trc) = (r, g, b);
        profile.encode().unwrap()
    }

    #[test]
    fn pure_gammas_are_evaluated_for_each_channel_and_keep_black() {
        for all in [[1.2; 3], [1.8; 3], [2.0; 3], [2.6; 3], [1.8, 1.8, 2.6], [2.6, 1.0, 1.0]] {
            let (to_working, note) = ToWorking::new(Model::Rgb, Some(&gammas(all))).unwrap();
            assert!(note.is_none(), "{note:?}");
            for stored in [[0.0, 0.5, 1.0], [1.0, 0.0, 0.25], [0.0, 0.0, 0.75], [0.1, 1.0, 0.0]] {
                let mut out = [0.0; 3];
                to_working.run(&stored, &mut out);
                for c in 0..3 {
                    let want = f32::powf(stored[c], (all[c] * 256.0).round() / 256.0);
                    let got = linear_from_coded(out[c]);
                    assert!((got - want).abs() < 5e-4, "{all:?} {stored:?}: {got} for {want}");
                }
            }
        }
    }

    #[test]
    fn grey_over_lab_is_lightness() {
        let mut profile = ColorProfile::new_gray_with_gamma(1.0);
        profile.pcs = DataColorSpace::Lab;
        let icc = profile.encode().unwrap();
        let (to_working, note) = ToWorking::new(Model::Grey, Some(&icc)).unwrap();
        assert!(note.is_none(), "{note:?}");
        let mut out = [0.0; 3];
        // L* = 50 reflects 18.42 % of the light.
        to_working.run(&[0.5], &mut out);
        assert!((linear_from_coded(out[1]) - 0.1842).abs() < 1e-3, "{out:?}");
        assert!(out[0] == out[1] && out[1] == out[2]);
    }

    #[test]
    fn the_output_side_keeps_black_too() {
        let profile = parse(&gammas([1.8; 3])).unwrap();
        let options = Default::default();
        let transform = ColorProfile::new_srgb()
            .create_transform_f32(Layout::Rgb, &profile, Layout::Rgb, options)
            .unwrap();
        let mut out = [9.0; 3];
        transform.transform(&[0.0, 0.5, 1.0], &mut out).unwrap();
        assert!(out[0].abs() < 1e-3 && (out[2] - 1.0).abs() < 1e-3, "{out:?}");
        assert!((out[1] - 0.2140f32.powf(1.0 / 1.8)).abs() < 2e-3, "{out:?}");
    }

    #[test]
    fn hdr_profiles_are_unusable() {
        let icc = ColorProfile::new_bt2020_pq().encode().unwrap();
        assert!(matches!(parse(&icc), Err(Unusable::Hdr("PQ"))));
        let icc = ColorProfile::new_bt2020_hlg().encode().unwrap();
        assert!(matches!(parse(&icc), Err(Unusable::Hdr("HLG"))));
    }
}
