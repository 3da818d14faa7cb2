//! All eight orientations, in every format that states one, against EXIF's own definition.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use ::image::ImageEncoder;
use impasto::image::{Limits, decode, probe};

const STORED: (u32, u32) = (48, 24);

/// Stored pixels: red grows along the rows, green down the columns, so that no two places are
/// equal.
fn stored(x: u32, y: u32) -> [u8; 3] {
    [(x * 5) as u8, (y * 10) as u8, 60]
}

/// Where EXIF says the stored row 0 and column 0 are seen (EXIF 2.32, tag 274).
fn sides(orientation: u32) -> (&'static str, &'static str) {
    match orientation {
        1 => ("top", "left"),
        2 => ("top", "right"),
        3 => ("bottom", "right"),
        4 => ("bottom", "left"),
        5 => ("left", "top"),
        6 => ("right", "top"),
        7 => ("right", "bottom"),
        _ => ("left", "bottom"),
    }
}

/// Where the stored pixel is seen, from the definition.
fn seen(orientation: u32, x: u32, y: u32) -> (u32, u32) {
    let (w, h) = if orientation >= 5 { (STORED.1, STORED.0) } else { STORED };
    let (mut at_x, mut at_y) = (0, 0);
    let (row_side, column_side) = sides(orientation);
    for (side, distance) in [(row_side, y), (column_side, x)] {
        match side {
            "top" => at_y = distance,
            "bottom" => at_y = h - 1 - distance,
            "left" => at_x = distance,
            _ => at_x = w - 1 - distance,
        }
    }
    (at_x, at_y)
}

/// A blob that states an orientation, and a resolution of 100 x 200.
fn blob(orientation: u16, big_endian: bool) -> Vec<u8> {
    let short = |v: u16| if big_endian { v.to_be_bytes() } else { v.to_le_bytes() };
    let long = |v: u32| if big_endian { v.to_be_bytes() } else { v.to_le_bytes() };
    let mut b = if big_endian { b"MM\0*".to_vec() } else { b"II*\0".to_vec() };
    b.extend(long(8));
    b.extend(short(3));
    for (tag, kind, count, value) in
        [(0x112u16, 3u16, 1u32, None), (0x11a, 5, 1, Some(50u32)), (0x11b, 5, 1, Some(58))]
    {
        b.extend(short(tag));
        b.extend(short(kind));
        b.extend(long(count));
        match value {
            Some(offset) => b.extend(long(offset)),
            None => {
                b.extend(short(orientation));
                b.extend([0, 0]);
            }
        }
    }
    b.extend(long(0));
    for v in [100, 1, 200, 1] {
        b.extend(long(v));
    }
    b
}

fn raw() -> Vec<u8> {
    (0..STORED.1).flat_map(|y| (0..STORED.0).flat_map(move |x| stored(x, y))).collect()
}

fn write(path: &Path, orientation: u16, big_endian: bool) {
    let file = std::io::BufWriter::new(std::fs::File::create(path).unwrap());
    let exif = blob(orientation, big_endian);
    let rgb = ::image::ExtendedColorType::Rgb8;
    match path.extension().unwrap().to_str().unwrap() {
        "jpg" => {
            let mut encoder = ::image::codecs::jpeg::JpegEncoder::new_with_quality(file, 100);
            encoder.set_exif_metadata(exif).unwrap();
            encoder.write_image(&raw(), STORED.0, STORED.1, rgb).unwrap();
        }
        "png" => {
            let mut encoder = ::image::codecs::png::PngEncoder::new(file);
            encoder.set_exif_metadata(exif).unwrap();
            encoder.write_image(&raw(), STORED.0, STORED.1, rgb).unwrap();
        }
        "webp" => {
            let mut encoder = ::image::codecs::webp::WebPEncoder::new_lossless(file);
            encoder.set_exif_metadata(exif).unwrap();
            encoder.write_image(&raw(), STORED.0, STORED.1, rgb).unwrap();
        }
        _ => {
            let mut encoder = tiff::encoder::TiffEncoder::new(file).unwrap();
            let mut image =
                encoder.new_image::<tiff::encoder::colortype::RGB8>(STORED.0, STORED.1).unwrap();
            image.encoder().write_tag(tiff::tags::Tag::Orientation, orientation).unwrap();
            image.x_resolution(tiff::encoder::Rational { n: 100, d: 1 });
            image.y_resolution(tiff::encoder::Rational { n: 200, d: 1 });
            image.resolution_unit(tiff::tags::ResolutionUnit::Inch);
            image.write_data(&raw()).unwrap();
        }
    }
}

#[test]
fn every_orientation_is_applied_to_pixels_sizes_and_resolution() {
    let folder = tempfile::tempdir().unwrap();
    for orientation in 1..=8u16 {
        for (name, big_endian, tolerance) in [
            ("a.png", false, 0),
            ("b.png", true, 0),
            ("a.jpg", true, 4),
            ("a.webp", false, 0),
            ("a.tif", false, 0),
        ] {
            let path = folder.path().join(name);
            write(&path, orientation, big_endian);
            let n = u32::from(orientation);
            let size = if n >= 5 { (STORED.1, STORED.0) } else { STORED };
            let header = probe(&path).unwrap();
            assert_eq!((header.width, header.height), size, "{name} {n}");
            assert_eq!(header.orientation.exif(), orientation as u8);
            let dpi = header.dpi.unwrap();
            assert_eq!(dpi, if n >= 5 { (200.0, 100.0) } else { (100.0, 200.0) }, "{name} {n}");
            let picture = decode(&path, &Limits::default()).unwrap();
            assert_eq!((picture.width, picture.height), size);
            for y in 0..STORED.1 {
                for x in 0..STORED.0 {
                    let (sx, sy) = seen(n, x, y);
                    let at = (sy * size.0 + sx) as usize;
                    for (c, want) in stored(x, y).into_iter().enumerate() {
                        let got = picture.pixels[c * (size.0 * size.1) as usize + at] * 255.0;
                        let off = (got - f32::from(want)).abs();
                        assert!(
                            off <= tolerance as f32 + 0.01,
                            "{name} {n}: stored {x},{y}: {got} for {want}"
                        );
                    }
                }
            }
        }
    }
}
