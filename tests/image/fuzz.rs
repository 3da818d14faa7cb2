//! Damaged files: each one a picture or an error, never a panic, a hang or a large allocation.
#![allow(clippy::unwrap_used)]

use std::io::Cursor;
use std::path::Path;
use std::time::{Duration, Instant};

use ::image::{DynamicImage, ImageFormat, Rgb, RgbImage};
use impasto::files::Overwrite;
use impasto::image::{
    Compression, Encoding, Error, Limits, OutputFormat, decode, encode_picture, probe,
};

/// Splitmix64: the damage is the same on every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }
}

fn sample() -> RgbImage {
    RgbImage::from_fn(41, 29, |x, y| Rgb([(x * 6) as u8, (y * 8) as u8, ((x ^ y) * 4) as u8]))
}

/// One small whole file of each kind: name and bytes.
fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut all = Vec::new();
    let rgb = DynamicImage::ImageRgb8(sample());
    let mut add = |name: &str, image: &DynamicImage, format: ImageFormat| {
        let mut bytes = Cursor::new(Vec::new());
        image.write_to(&mut bytes, format).unwrap();
        all.push((name.to_owned(), bytes.into_inner()));
    };
    add("rgb.png", &rgb, ImageFormat::Png);
    add("grey16.png", &DynamicImage::ImageLuma16(rgb.to_luma16()), ImageFormat::Png);
    add("rgba.png", &DynamicImage::ImageRgba8(rgb.to_rgba8()), ImageFormat::Png);
    add("rgb.jpg", &rgb, ImageFormat::Jpeg);
    add("grey.jpg", &DynamicImage::ImageLuma8(rgb.to_luma8()), ImageFormat::Jpeg);
    add("rgb.webp", &rgb, ImageFormat::WebP);
    add("rgb.bmp", &rgb, ImageFormat::Bmp);
    add("rgb.gif", &DynamicImage::ImageRgba8(rgb.to_rgba8()), ImageFormat::Gif);
    add("rgb.ppm", &rgb, ImageFormat::Pnm);
    add("rgb.tga", &rgb, ImageFormat::Tga);
    add("rgb.qoi", &rgb, ImageFormat::Qoi);
    add("rgb.hdr", &DynamicImage::ImageRgb32F(rgb.to_rgb32f()), ImageFormat::Hdr);
    add("rgb.exr", &DynamicImage::ImageRgb32F(rgb.to_rgb32f()), ImageFormat::OpenExr);
    add("rgba.ff", &DynamicImage::ImageRgba16(rgb.to_rgba16()), ImageFormat::Farbfeld);
    add("rgb.tif", &rgb, ImageFormat::Tiff);
    add("float.tif", &DynamicImage::ImageRgb32F(rgb.to_rgb32f()), ImageFormat::Tiff);
    // Other writers' kinds: interlaced, palettes, few bits, tiles, planes, BigTIFF, progressive,
    // lossy.
    let pictures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pictures");
    for name in ["ibasn3p08.png", "ibasn6a16.png", "ftbbn3p08.png", "basn0g02.png", "basn4a16.png"]
    {
        all.push((name.to_owned(), std::fs::read(pictures.join("pngsuite").join(name)).unwrap()));
    }
    for name in
        crate::support::OTHERS_TIFFS.into_iter().chain(["progressive.jpg", "lossy-alpha.webp"])
    {
        all.push((name.to_owned(), std::fs::read(pictures.join(name)).unwrap()));
    }
    // Our own outputs, which carry profiles and text.
    let planes: Vec<f32> = (0..3)
        .flat_map(|c| sample().pixels().map(move |p| f32::from(p.0[c]) / 255.0).collect::<Vec<_>>())
        .collect();
    for (name, depth, compression) in [
        ("own16.png", 16, Compression::Deflate),
        ("own-lzw.tif", 8, Compression::Lzw),
        ("own-deflate.tif", 16, Compression::Deflate),
        ("own.jpg", 8, Compression::Deflate),
    ] {
        let path = folder.join(name);
        let mut e = Encoding::new(OutputFormat::from_path(&path).unwrap());
        (e.bit_depth, e.compression, e.dpi, e.recipe) =
            (depth, compression, Some(300.0), "recipe".to_owned());
        encode_picture(&path, (41, 29), &planes, None, &e, Overwrite::Refuse).unwrap();
        all.push((name.to_owned(), std::fs::read(&path).unwrap()));
        std::fs::remove_file(&path).unwrap();
    }
    all
}

const LIMIT: Limits = Limits { max_bytes: 64 << 20 };

/// Decodes damaged bytes; fails the test on a panic inside a decoder or on slowness.
fn try_it(folder: &Path, name: &str, bytes: &[u8], what: &str) -> bool {
    let path = folder.join(name);
    std::fs::write(&path, bytes).unwrap();
    let start = Instant::now();
    let (probed, decoded) = (probe(&path), decode(&path, &LIMIT));
    let took = start.elapsed();
    assert!(took < Duration::from_secs(5), "{name}, {what}: {took:?}");
    for message in
        [probed.as_ref().err(), decoded.as_ref().err()].into_iter().flatten().map(Error::to_string)
    {
        assert!(message.contains(name), "{name}, {what}: {message} does not name the file");
        assert_eq!(message.lines().count(), 1, "{name}, {what}: {message}");
        assert!(!message.contains("gave up"), "{name}, {what}: a decoder panicked");
    }
    if let Ok(picture) = &decoded {
        let pixels = picture.width as usize * picture.height as usize;
        assert_eq!(picture.pixels.len(), 3 * pixels, "{name}, {what}");
        assert!(picture.pixels.iter().all(|v| (0.0..=1.0).contains(v)), "{name}, {what}");
    }
    decoded.is_ok()
}

#[test]
fn truncated_files_are_errors_or_pictures() {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in files(folder.path()) {
        assert!(try_it(folder.path(), &name, &bytes, "whole"), "{name} is whole");
        let step = (bytes.len() / 60).max(1);
        for length in (0..bytes.len()).step_by(step) {
            let fine =
                try_it(folder.path(), &name, &bytes[..length], &format!("first {length} bytes"));
            // Half of a picture is no picture.
            assert!(
                !(fine && length < bytes.len() / 2),
                "{name}: {length} of {} bytes decode",
                bytes.len()
            );
        }
    }
}

#[test]
fn bit_flipped_files_are_errors_or_pictures() {
    let folder = tempfile::tempdir().unwrap();
    let mut random = Random(7);
    for (name, bytes) in files(folder.path()) {
        for round in 0..120 {
            let mut damaged = bytes.clone();
            // Headers are where damage does most harm: every other round stays within the first 200
            // bytes.
            let reach = if round % 2 == 0 { bytes.len().min(200) } else { bytes.len() };
            let mut flips = Vec::new();
            for _ in 0..1 + round % 5 {
                let (at, bit) = (random.below(reach), random.below(8));
                damaged[at] ^= 1 << bit;
                flips.push((at, bit));
            }
            try_it(folder.path(), &name, &damaged, &format!("bits {flips:?}"));
        }
    }
}

#[test]
fn a_small_limit_is_an_error_before_pixels_are_decoded() {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in files(folder.path()) {
        let path = folder.path().join(&name);
        std::fs::write(&path, &bytes).unwrap();
        let error = decode(&path, &Limits::bytes(10_000)).unwrap_err();
        assert!(matches!(error, Error::TooLarge { limit: 10_000, .. }), "{name}: {error}");
    }
}
