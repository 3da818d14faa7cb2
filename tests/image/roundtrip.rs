//! Every output variant, read back by a decoder that is not the writer.

#![allow(clippy::unwrap_used)]

use std::path::Path;

use impasto::files::Overwrite;
use impasto::image::{
    Compression, Encoding, Limits, OutputFormat, Rows, Writer, decode, encode_picture, probe,
};

/// A picture whose channels are all different, with every 8-bit level.
fn gradient(width: u32, height: u32) -> Vec<f32> {
    let mut planes = Vec::new();
    for c in 0..3u32 {
        for y in 0..height {
            for x in 0..width {
                let v = match c {
                    0 => x as f32 / (width - 1) as f32,
                    1 => y as f32 / (height - 1) as f32,
                    _ => ((x + y) % 97) as f32 / 96.0,
                };
                planes.push(v);
            }
        }
    }
    planes
}

fn encodings() -> Vec<(&'static str, Encoding)> {
    let mut all = Vec::new();
    for depth in [8, 16] {
        for alpha in [false, true] {
            for compression in [Compression::None, Compression::Lzw, Compression::Deflate] {
                for format in [OutputFormat::Png, OutputFormat::Tiff] {
                    if format == OutputFormat::Png && compression == Compression::Lzw {
                        continue;
                    }
                    let mut e = Encoding::new(format);
                    (e.bit_depth, e.alpha, e.compression, e.dpi) =
                        (depth, alpha, compression, Some(300.0));
                    e.recipe = "impasto run quickstart.toml — straße".into();
                    all.push((if format == OutputFormat::Png { "png" } else { "tif" }, e));
                }
            }
        }
    }
    let mut e = Encoding::new(OutputFormat::Jpeg);
    (e.quality, e.dpi) = (98, Some(300.0));
    all.push(("jpg", e));
    all
}

/// Interleaved 16-bit RGBA as the image crate decodes the file; 8-bit values are spread over 16.
fn by_image_crate(path: &Path) -> ::image::ImageBuffer<::image::Rgba<u16>, Vec<u16>> {
    ::image::open(path).unwrap().to_rgba16()
}

#[test]
fn every_variant_is_read_back_by_another_decoder() {
    let folder = tempfile::tempdir().unwrap();
    let (w, h) = (301, 203);
    let pixels = gradient(w, h);
    let alpha: Vec<f32> = (0..w * h).map(|i| (i % 7) as f32 / 6.0).collect();
    for (i, (extension, encoding)) in encodings().iter().enumerate() {
        let path = folder.path().join(format!("{i}.{extension}"));
        let a = encoding.alpha.then_some(alpha.as_slice());
        encode_picture(&path, (w, h), &pixels, a, encoding, Overwrite::Refuse).unwrap();
        let read = by_image_crate(&path);
        assert_eq!(read.dimensions(), (w, h));
        let step = if encoding.bit_depth == 16 { 1.0 } else { 257.0 };
        let tolerance = if encoding.format == OutputFormat::Jpeg { 12.0 * 257.0 } else { step };
        for (x, y, p) in read.enumerate_pixels() {
            let at = (y * w + x) as usize;
            for c in 0..3 {
                let want = pixels[c * (w * h) as usize + at] * 65535.0;
                let off = (f32::from(p.0[c]) - want).abs();
                assert!(off <= tolerance, "{encoding:?} {x},{y},{c}: {} for {want}", p.0[c]);
            }
            let want = if encoding.alpha { alpha[at] * 65535.0 } else { 65535.0 };
            assert!((f32::from(p.0[3]) - want).abs() <= step * 0.51);
        }
        let own = decode(&path, &Limits::default()).unwrap();
        assert_eq!((own.width, own.height), (w, h));
        assert_eq!(own.alpha.is_some(), encoding.alpha);
        let probe = probe(&path).unwrap();
        assert_eq!(probe.bit_depth, encoding.bit_depth);
        assert!(probe.icc);
        let dpi = probe.dpi.unwrap();
        assert!((dpi.0 - 300.0).abs() < 0.01 && (dpi.1 - 300.0).abs() < 0.01, "{dpi:?}");
    }
}

#[test]
fn sixteen_bits_hold_more_than_256_levels() {
    let folder = tempfile::tempdir().unwrap();
    let (w, h) = (4000, 2);
    let pixels: Vec<f32> = (0..w * h * 3).map(|i| (i % w) as f32 / (w - 1) as f32).collect();
    for name in ["a.png", "a.tif"] {
        let path = folder.path().join(name);
        let mut e = Encoding::new(OutputFormat::from_path(&path).unwrap());
        e.bit_depth = 16;
        encode_picture(&path, (w, h), &pixels, None, &e, Overwrite::Refuse).unwrap();
        let read = by_image_crate(&path);
        let levels: std::collections::HashSet<u16> = read.pixels().map(|p| p.0[1]).collect();
        assert_eq!(levels.len(), 4000);
    }
}

#[test]
fn dither_keeps_means_and_exact_values() {
    let folder = tempfile::tempdir().unwrap();
    let (w, h) = (256u32, 256u32);
    let plane = (w * h) as usize;
    let mut pixels = vec![100.3 / 255.0; plane];
    pixels.extend((0..plane).map(|i| (i % 256) as f32 / 255.0));
    pixels.extend((0..plane).map(|i| if i % 2 == 0 { 0.0 } else { 1.0 }));
    let path = folder.path().join("d.png");
    let e = Encoding::new(OutputFormat::Png);
    encode_picture(&path, (w, h), &pixels, None, &e, Overwrite::Refuse).unwrap();
    let read = ::image::open(&path).unwrap().to_rgb8();
    let mean = read.pixels().map(|p| f64::from(p.0[0])).sum::<f64>() / plane as f64;
    assert!((mean - 100.3).abs() < 0.02, "{mean}");
    for (i, p) in read.pixels().enumerate() {
        assert_eq!(usize::from(p.0[1]), i % 256);
        assert_eq!(p.0[2], if i % 2 == 0 { 0 } else { 255 });
    }
}

#[test]
fn nothing_appears_before_finish_and_nothing_is_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["a.png", "a.tif", "a.jpg"] {
        let path = folder.path().join(name);
        let e = Encoding::new(OutputFormat::from_path(&path).unwrap());
        let row = vec![0.5f32; 64];
        let rows = Rows { colours: [&row, &row, &row], alpha: None };
        let mut writer = Writer::create(&path, 64, 40, &e, Overwrite::Refuse).unwrap();
        writer.write_rows(rows).unwrap();
        assert!(!path.exists());
        drop(writer);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "{name} leaves nothing");
        let mut writer = Writer::create(&path, 64, 1, &e, Overwrite::Refuse).unwrap();
        let mut other = Writer::create(&path, 64, 1, &e, Overwrite::Refuse).unwrap();
        writer.write_rows(rows).unwrap();
        other.write_rows(rows).unwrap();
        writer.finish().unwrap();
        let message = other.finish().unwrap_err().to_string();
        assert!(message.contains(name) && message.contains("already exists"), "{message}");
        assert!(Writer::create(&path, 64, 1, &e, Overwrite::Refuse).is_err());
        let mut writer = Writer::create(&path, 64, 1, &e, Overwrite::Allow).unwrap();
        writer.write_rows(rows).unwrap();
        writer.finish().unwrap();
        std::fs::remove_file(&path).unwrap();
    }
}
