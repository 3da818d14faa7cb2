//! Files that other programs wrote: a part of PngSuite, and TIFFs and others as
//! tests/pictures/PROVENANCE.md says.
#![allow(clippy::unwrap_used)]

mod support;

use std::path::PathBuf;

use impasto::image::{Limits, Picture, decode};

/// Means over the picture of colour times opacity, and of opacity, as libvips reads the files.
const PNGSUITE: [(&str, [f64; 4]); 21] = [
    ("basn0g01", [0.4883, 0.4883, 0.4883, 1.0000]),
    ("basn0g02", [0.5000, 0.5000, 0.5000, 1.0000]),
    ("basn0g04", [0.4667, 0.4667, 0.4667, 1.0000]),
    ("basn0g16", [0.5641, 0.5641, 0.5641, 1.0000]),
    ("basn2c08", [0.7500, 0.7500, 0.7500, 1.0000]),
    ("basn2c16", [0.5000, 0.5000, 0.1719, 1.0000]),
    ("basn3p01", [0.5333, 0.7000, 0.5667, 1.0000]),
    ("basn3p04", [0.2729, 0.7021, 0.5375, 1.0000]),
    ("basn3p08", [0.5306, 0.5306, 0.4370, 1.0000]),
    ("basn4a08", [0.2482, 0.2482, 0.2482, 0.4982]),
    ("basn4a16", [0.1526, 0.1526, 0.1526, 0.3125]),
    ("basn6a08", [0.1966, 0.3736, 0.1850, 0.4982]),
    ("basn6a16", [0.1563, 0.1563, 0.0781, 0.3125]),
    ("ftbbn3p08", [0.2121, 0.2405, 0.2206, 0.5566]),
    ("ftbrn2c08", [0.2134, 0.2417, 0.2217, 0.5576]),
    ("ftbwn0g16", [0.2309, 0.2309, 0.2309, 0.5576]),
    ("ftp0n0g08", [0.4512, 0.4512, 0.4512, 1.0000]),
    ("ibasn0g16", [0.5641, 0.5641, 0.5641, 1.0000]),
    ("ibasn2c08", [0.7500, 0.7500, 0.7500, 1.0000]),
    ("ibasn3p08", [0.5306, 0.5306, 0.4370, 1.0000]),
    ("ibasn6a16", [0.1563, 0.1563, 0.0781, 0.3125]),
];

fn open(name: &str) -> Picture {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/pictures").join(name);
    decode(&path, &Limits::default()).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn pngsuite_is_read_as_others_read_it() {
    for (name, expected) in PNGSUITE {
        let picture = open(&format!("pngsuite/{name}.png"));
        assert_eq!((picture.width, picture.height), (32, 32), "{name}");
        let plane = 32 * 32;
        let opacity = |i: usize| f64::from(picture.alpha.as_ref().map_or(1.0, |alpha| alpha[i]));
        let mean = |value: &dyn Fn(usize) -> f64| (0..plane).map(value).sum::<f64>() / plane as f64;
        for (c, expected) in expected.into_iter().enumerate() {
            let found = mean(&|i| {
                if c == 3 {
                    opacity(i)
                } else {
                    opacity(i) * f64::from(picture.pixels[c * plane + i])
                }
            });
            assert!((found - expected).abs() < 1e-3, "{name}, channel {c}: {found} for {expected}");
        }
    }
}

/// What every other file here shows, 0..=255.
fn value(x: usize, y: usize, c: usize) -> f32 {
    ((x * 7 + y * 13 + c * 50) % 256) as f32
}

#[test]
fn tiffs_of_other_writers_are_read_exactly() {
    for name in support::OTHERS_TIFFS {
        let picture = open(name);
        assert_eq!((picture.width, picture.height), (40, 30), "{name}");
        assert!(
            picture.alpha.is_none(),
            "{name}: an extra channel that is not said to be alpha is none"
        );
        for (i, found) in picture.pixels.iter().enumerate() {
            let (c, y, x) = (i / 1200, i / 40 % 30, i % 40);
            assert!(
                (found * 255.0 - value(x, y, c)).abs() < 0.01,
                "{name}: {x},{y},{c}: {}",
                found * 255.0
            );
        }
    }
}

#[test]
fn lossy_kinds_are_read_closely() {
    for (name, alpha) in [("progressive.jpg", false), ("lossy-alpha.webp", true)] {
        let picture = open(name);
        assert_eq!(
            (picture.width, picture.height, picture.alpha.is_some()),
            (40, 30, alpha),
            "{name}"
        );
        let mean = picture.pixels.iter().sum::<f32>() / picture.pixels.len() as f32 * 255.0;
        let expected =
            (0..3600).map(|i| value(i % 40, i / 40 % 30, i / 1200)).sum::<f32>() / 3600.0;
        assert!((mean - expected).abs() < 4.0, "{name}: {mean} for {expected}");
    }
}
