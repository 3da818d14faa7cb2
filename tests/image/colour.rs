//! Profiles in and out, alpha, and scaling, against values known from elsewhere.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use ::image::ImageEncoder;
use impasto::files::Overwrite;
use impasto::image::{
    Compression, Encoding, Intent, Light, Limits, OutputFormat, OutputProfile, coded_from_linear,
    content_colours, decode, encode_picture, linear_from_coded, resize,
};
use moxcms::ColorProfile;

/// A 16-bit PNG of these colours in a row, with a profile.
fn png16(path: &Path, colours: &[[f64; 3]], icc: Option<Vec<u8>>) {
    let file = std::fs::File::create(path).unwrap();
    let mut encoder = ::image::codecs::png::PngEncoder::new(file);
    if let Some(icc) = icc {
        encoder.set_icc_profile(icc).unwrap();
    }
    let bytes: Vec<u8> = colours
        .iter()
        .flatten()
        .flat_map(|v| ((v * 65535.0).round() as u16).to_ne_bytes())
        .collect();
    encoder
        .write_image(&bytes, colours.len() as u32, 1, ::image::ExtendedColorType::Rgb16)
        .unwrap();
}

fn decoded(path: &Path) -> Vec<[f32; 3]> {
    let p = decode(path, &Limits::default()).unwrap();
    let n = p.width as usize;
    (0..n).map(|i| [p.pixels[i], p.pixels[n + i], p.pixels[2 * n + i]]).collect()
}

/// sRGB colours and the same colours in Display P3 and Adobe RGB, computed apart from this program
/// in double precision from the primaries, the white point and the curves alone.
const SRGB: [[f64; 3]; 5] =
    [[1.0, 1.0, 1.0], [0.5, 0.5, 0.5], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.25, 0.5, 0.75]];
const P3: [[f64; 3]; 5] = [
    [1.0, 1.0, 1.0],
    [0.5, 0.5, 0.5],
    [0.917_488, 0.200_287, 0.138_561],
    [0.458_402, 0.985_265, 0.298_295],
    [0.313_005, 0.494_105, 0.730_151],
];
const ADOBE: [[f64; 3]; 5] = [
    [1.0, 1.0, 1.0],
    [0.496_104, 0.496_104, 0.496_104],
    [0.858_592, 0.0, 0.0],
    [0.564_972, 1.0, 0.234_424],
    [0.346_741, 0.496_104, 0.736_143],
];

#[test]
fn wide_profiles_are_converted_to_srgb() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.png");
    for (name, profile, colours, tolerance) in [
        ("Display P3", ColorProfile::new_display_p3(), P3, 1e-3),
        ("Adobe RGB", ColorProfile::new_adobe_rgb(), ADOBE, 1e-3),
        ("sRGB", ColorProfile::new_srgb(), SRGB, 1e-5),
    ] {
        png16(&path, &colours, Some(profile.encode().unwrap()));
        for (got, want) in decoded(&path).iter().zip(SRGB) {
            for c in 0..3 {
                let off = (f64::from(got[c]) - want[c]).abs();
                assert!(off < tolerance, "{name}: {got:?} for {want:?}");
            }
        }
    }
}

#[test]
fn outputs_are_converted_to_their_profile_and_back() {
    let folder = tempfile::tempdir().unwrap();
    let planes: Vec<f32> = (0..3).flat_map(|c| SRGB.map(|v| v[c] as f32)).collect();
    for (i, (profile, want)) in [
        (OutputProfile::Icc(ColorProfile::new_display_p3().encode().unwrap()), P3),
        (OutputProfile::Srgb, SRGB),
        (OutputProfile::Icc(ColorProfile::new_adobe_rgb().encode().unwrap()), ADOBE),
    ]
    .into_iter()
    .enumerate()
    {
        for name in ["a.tif", "a.png"] {
            let path = folder.path().join(format!("{i}{name}"));
            let mut e = Encoding::new(OutputFormat::from_path(&path).unwrap());
            (e.bit_depth, e.profile, e.intent) =
                (16, profile.clone(), Intent::RelativeColorimetric);
            encode_picture(&path, (5, 1), &planes, None, &e, Overwrite::Refuse).unwrap();
            let raw = ::image::open(&path).unwrap().to_rgb16();
            for (x, want) in want.iter().enumerate() {
                for (c, want) in want.iter().enumerate() {
                    let got = f64::from(raw.get_pixel(x as u32, 0).0[c]) / 65535.0;
                    // A gamma of 2.2 is steep at black: 1e-5 of the light is 5e-3 of the code.
                    let near = if *want == 0.0 { 6e-3 } else { 1e-3 };
                    assert!(
                        (got - want).abs() < near,
                        "{i} {name} colour {x} channel {c}: {got} for {want}"
                    );
                }
            }
            for (got, want) in decoded(&path).iter().zip(SRGB) {
                for c in 0..3 {
                    assert!(
                        (f64::from(got[c]) - want[c]).abs() < 1.5e-3,
                        "{i} {name}: {got:?} for {want:?}"
                    );
                }
            }
        }
    }
}

#[test]
fn a_smooth_ramp_stays_smooth_through_a_profile() {
    // 16-bit depth survives the conversion: thousands of levels, no steps coarser than a 12-bit
    // one.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.png");
    let ramp: Vec<[f64; 3]> = (0..8192).map(|i| [f64::from(i) / 8191.0; 3]).collect();
    png16(&path, &ramp, Some(ColorProfile::new_adobe_rgb().encode().unwrap()));
    let out = decoded(&path);
    let levels: std::collections::HashSet<u32> =
        out.iter().map(|v| (v[1] * 65535.0).round() as u32).collect();
    assert!(levels.len() > 7000, "{}", levels.len());
    let coarsest = out.windows(2).skip(100).map(|w| (w[1][1] - w[0][1]).abs()).fold(0.0, f32::max);
    assert!(coarsest < 1.0 / 2048.0, "{coarsest}");
}

#[test]
fn an_unusable_profile_is_left_aside_with_a_note() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.png");
    for icc in [ColorProfile::new_gray_with_gamma(2.2).encode().unwrap(), vec![7; 300]] {
        png16(&path, &SRGB, Some(icc));
        let p = decode(&path, &Limits::default()).unwrap();
        assert!((p.pixels[4] - 0.25).abs() < 1e-4);
        assert!(p.source.notes[0].contains("profile is ignored"), "{:?}", p.source.notes);
    }
}

#[test]
fn grey_profiles_are_applied_to_grey_pictures() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.png");
    let mut encoder = ::image::codecs::png::PngEncoder::new(std::fs::File::create(&path).unwrap());
    encoder.set_icc_profile(ColorProfile::new_gray_with_gamma(1.0).encode().unwrap()).unwrap();
    encoder.write_image(&[0, 128, 255], 3, 1, ::image::ExtendedColorType::L8).unwrap();
    let out = decoded(&path);
    // Half of the light, coded: 0.7354 + a little, as 128 is a little more than half.
    assert!((out[1][0] - 0.7367).abs() < 3e-3, "{:?}", out[1]);
    assert_eq!((out[0], out[1][0], out[2][2] > 0.999), ([0.0; 3], out[1][2], true));
}

#[test]
fn hidden_colours_do_not_bleed_and_alpha_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.png");
    // Left red and opaque, right green and hidden, between them a half-transparent red column.
    let (w, h) = (40u32, 30u32);
    let image = ::image::RgbaImage::from_fn(w, h, |x, _| {
        ::image::Rgba(match x {
            0..20 => [200, 40, 40, 255],
            20 => [200, 40, 40, 128],
            _ => [0, 255, 0, 0],
        })
    });
    image.save(&path).unwrap();
    let p = decode(&path, &Limits::default()).unwrap();
    let alpha = p.alpha.as_ref().unwrap();
    assert_eq!((alpha[19], alpha[21]), (1.0, 0.0));
    assert!((alpha[20] - 128.0 / 255.0).abs() < 1e-6);
    for (c, want) in [200.0f32, 40.0, 40.0].into_iter().enumerate() {
        for v in &p.pixels[c * (w * h) as usize..(c + 1) * (w * h) as usize] {
            assert!((v * 255.0 - want).abs() < 0.01, "channel {c}: {}", v * 255.0);
        }
    }
    // Opaque alpha is no alpha.
    ::image::DynamicImage::ImageRgb8(image_rgb()).to_rgba8().save(&path).unwrap();
    assert!(decode(&path, &Limits::default()).unwrap().alpha.is_none());
}

fn image_rgb() -> ::image::RgbImage {
    ::image::RgbImage::from_fn(64, 48, |x, y| {
        ::image::Rgb([(x * 4) as u8, (y * 5) as u8, ((x * y) % 251) as u8])
    })
}

#[test]
fn resizing_keeps_mean_and_range_and_overshoot() {
    let (w, h) = (257u32, 190u32);
    let n = (w * h) as usize;
    let planes: Vec<f32> = (0..3 * n).map(|i| 0.5 + 0.4 * ((i as f32) * 0.013).sin()).collect();
    let mean = |p: &[f32]| p.iter().map(|v| f64::from(*v)).sum::<f64>() / p.len() as f64;
    for to in [(100, 75), (514, 380), (31, 400), (1, 1)] {
        let out = resize(&planes, (w, h), to, Light::Coded);
        assert_eq!(out.len(), 3 * (to.0 * to.1) as usize);
        assert!(
            (mean(&out) - mean(&planes)).abs() < 4e-3,
            "{to:?}: {} for {}",
            mean(&out),
            mean(&planes)
        );
    }
    assert_eq!(resize(&planes, (w, h), (w, h), Light::Linear), planes);
    // Values outside 0..1 survive in both lights.
    for light in [Light::Coded, Light::Linear] {
        let wide: Vec<f32> = planes.iter().map(|v| v * 4.0 - 1.5).collect();
        let out = resize(&wide, (w, h), (w * 2, h * 2), light);
        assert!(out.iter().any(|v| *v < -0.05) && out.iter().any(|v| *v > 1.05));
    }
    // A fine chequerboard of black and white becomes half the light, not half the code.
    let board: Vec<f32> = (0..64 * 64).map(|i| ((i % 64 + i / 64) % 2) as f32).collect();
    let linear = resize(&board, (64, 64), (16, 16), Light::Linear);
    let coded = resize(&board, (64, 64), (16, 16), Light::Coded);
    assert!(
        (linear[40] - 0.7354).abs() < 1e-3 && (coded[40] - 0.5).abs() < 1e-5,
        "{} {}",
        linear[40],
        coded[40]
    );
}

#[test]
fn transfer_functions_are_inverse_and_known() {
    assert!((linear_from_coded(0.5) - 0.214_041).abs() < 1e-6);
    for i in -50..=300 {
        let v = i as f32 / 200.0;
        assert!(
            (coded_from_linear(linear_from_coded(v)) - v).abs() < 2e-6 * (1.0 + v.abs()),
            "{v}"
        );
    }
}

#[test]
fn content_colours_keep_the_result_s_luma_and_the_content_s_chroma() {
    let mut styled = vec![0.2, 0.9, 0.4, 0.1, 0.6, 0.7];
    let content = vec![0.8, 0.1, 0.3, 0.5, 0.2, 0.9];
    let luma = |p: &[f32], i: usize| 0.299 * p[i] + 0.587 * p[2 + i] + 0.114 * p[4 + i];
    let before = [luma(&styled, 0), luma(&styled, 1)];
    content_colours(&mut styled, &content);
    for i in 0..2 {
        assert!((luma(&styled, i) - before[i]).abs() < 1e-6);
        let chroma = |p: &[f32]| (p[i] - luma(p, i), p[4 + i] - luma(p, i));
        let (got, want) = (chroma(&styled), chroma(&content));
        assert!((got.0 - want.0).abs() < 1e-6 && (got.1 - want.1).abs() < 1e-6);
    }
}

#[test]
fn compressions_hold_the_same_pixels() {
    let folder = tempfile::tempdir().unwrap();
    let planes: Vec<f32> =
        (0..3 * 500 * 400).map(|i| ((i * 7919) % 65536) as f32 / 65535.0).collect();
    let mut seen = Vec::new();
    for compression in [Compression::None, Compression::Lzw, Compression::Deflate] {
        let path = folder.path().join(format!("{compression:?}.tif"));
        let mut e = Encoding::new(OutputFormat::Tiff);
        (e.bit_depth, e.compression) = (16, compression);
        encode_picture(&path, (500, 400), &planes, None, &e, Overwrite::Refuse).unwrap();
        seen.push(::image::open(&path).unwrap().to_rgb16().into_raw());
    }
    assert!(seen[0] == seen[1] && seen[1] == seen[2]);
}
