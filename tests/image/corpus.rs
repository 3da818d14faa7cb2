//! Files that other programs wrote, held against what other decoders make of them:
//! tests/corpus/PROVENANCE.md and tests/pictures/PROVENANCE.md say where they are from.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use impasto::image::{Limits, Picture, decode, linear_from_coded, probe};

/// Means over the picture of colour times opacity, and of opacity, as libvips reads the files: it
/// leaves aside the gamma of 1 that most of them state.
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

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/pictures").join(name)
}

fn open(name: &str) -> Picture {
    decode(&path(name), &Limits::default()).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn pngsuite_is_read_as_others_read_it() {
    for (name, expected) in PNGSUITE {
        let picture = open(&format!("pngsuite/{name}.png"));
        assert_eq!((picture.width, picture.height), (32, 32), "{name}");
        let plane = 32 * 32;
        let opacity = |i: usize| f64::from(picture.alpha.as_ref().map_or(1.0, |alpha| alpha[i]));
        let mean = |value: &dyn Fn(usize) -> f64| (0..plane).map(value).sum::<f64>() / plane as f64;
        let file = std::fs::read(path(&format!("pngsuite/{name}.png"))).unwrap();
        let linear = file.windows(8).any(|w| w == b"gAMA\0\x01\x86\xa0");
        let stored = |v: f32| if linear { linear_from_coded(v) } else { v };
        for (c, expected) in expected.into_iter().enumerate() {
            let found = mean(&|i| {
                if c == 3 {
                    opacity(i)
                } else {
                    opacity(i) * f64::from(stored(picture.pixels[c * plane + i]))
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
    for name in crate::support::OTHERS_TIFFS {
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

/// Files of tests/corpus that are refused: what is wrong, and what to do about it.
const REFUSED: [(&str, &str, &str); 9] = [
    ("F14-half-with-an-end.jpg", "the JPEG file is truncated", ""),
    ("F19-12bit.jpg", "this JPEG has 12 bits a channel", "djpeg -outfile picture.ppm"),
    ("F19-int16-signed.tif", "this TIFF has signed integers", "vips cast"),
    ("F19-lab.tif", "this TIFF has Lab pixels", "vips colourspace"),
    ("png-P08-cicp-pq.png", "this PNG has HDR brightness (PQ)", "ffmpeg"),
    ("tiff-T24-jpeg-ycbcr444.tif", "declared as luma and chroma (YCbCr) that cannot be", "tiffset"),
    ("tiff-T25-jpeg-ycbcr420-tiles.tif", "declared as luma and chroma (YCbCr)", "tiffset"),
    (
        "tiff-T28-libtiff-jpeg-rgb.tif",
        "all of its strips or tiles have 0 bytes",
        "save the picture again",
    ),
    ("tj-tf-jpeg-ycbcr444.tif", "declared as luma and chroma (YCbCr)", "tiffset"),
];

/// Files of tests/corpus that are painted with a word of warning.
const NOTED: [(&str, &str); 10] = [
    ("F12-iccp-badcrc.png", "the checksum of its colour profile is wrong"),
    ("jpeg-J12-progressive-noeoi.jpg", "its end marker is missing"),
    ("jpeg-J13-baseline-noeoi.jpg", "its end marker is missing"),
    ("jpeg-J26-grey-rgbicc.jpg", "it describes RGB colours, the pixels are grey"),
    ("jpeg-J44-icc-missing-chunk.jpg", "a piece of it is missing"),
    ("jpeg-J46-icc-garbage.jpg", "the embedded colour profile is ignored"),
    ("png-P11-iccp-badzlib.png", "it cannot be unpacked"),
    ("png-P12-iccp-badcrc.png", "the checksum of its colour profile is wrong"),
    ("png-P16-rgb-greyprofile.png", "it describes grey colours, the pixels are RGB"),
    ("tiff-T53-3pages.tif", "the first of 3 pages is used"),
];

/// The mean difference to a reference, of 255.
fn difference(picture: &Picture, reference: &Path) -> f64 {
    let reference = ::image::open(reference).unwrap().to_rgb8();
    assert_eq!(reference.dimensions(), (picture.width, picture.height), "{reference:?}");
    let plane = picture.pixels.len() / 3;
    let sum: f64 = reference
        .pixels()
        .enumerate()
        .flat_map(|(i, pixel)| {
            pixel.0.into_iter().enumerate().map(move |(c, want)| (c * plane + i, want))
        })
        .map(|(at, want)| (f64::from(picture.pixels[at] * 255.0).round() - f64::from(want)).abs())
        .sum();
    sum / (3 * plane) as f64
}

#[test]
fn odd_pictures_are_read_as_reference_decoders_read_them_or_refused_with_words() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let (mut read, mut refused, mut wrong) = (0, 0, Vec::new());
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if path.is_dir() || name == "PROVENANCE.md" {
            continue;
        }
        let words = REFUSED.iter().find(|(refused, ..)| *refused == name);
        match (decode(&path, &Limits::default()), words) {
            (Err(error), Some((_, what, advice))) => {
                let text = error.to_string();
                if !text.contains(what) || !text.contains(advice) || !text.contains(&name) {
                    wrong.push(format!("{name}: {text}"));
                }
                refused += 1;
            }
            (Err(error), None) => wrong.push(format!("refused: {error}")),
            (Ok(_), Some(_)) => wrong.push(format!("{name} is read")),
            (Ok(picture), None) => {
                let off =
                    difference(&picture, &folder.join("expected").join(format!("{name}.png")));
                if off > 2.0 {
                    wrong.push(format!("{name} is off by {off:.1}"));
                }
                let notes = picture.source.notes.join("; ");
                let noted = NOTED.iter().find(|(noted, _)| *noted == name).map(|(_, note)| *note);
                if noted.is_some() == notes.is_empty() || !notes.contains(noted.unwrap_or("")) {
                    wrong.push(format!("{name}: {noted:?} is noted as {notes:?}"));
                }
                let header = probe(&path).unwrap();
                assert_eq!(header, picture.source.probe, "{name}");
                read += 1;
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!((read, refused), (309, REFUSED.len()));
}

#[test]
fn jpegs_cut_anywhere_are_refused_or_whole_to_the_eye() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    for name in [
        "samp-b-1x2_2x1_2x1.jpg",
        "samp-p-2x1_1x1_1x1.jpg",
        "samp-nonint-rst-2x2.jpg",
        "samp-grey-1x1.jpg",
        "pdri-p-97x61-2x2-r16B.jpg",
    ] {
        let file = std::fs::read(folder.join(name)).unwrap();
        let reference = folder.join("expected").join(format!("{name}.png"));
        let (mut whole, mut refused) = (0, 0);
        for length in (200..file.len() - 2).step_by(23).chain([file.len() - 2, file.len() - 1]) {
            for end in [b"".as_slice(), b"\xff\xd9"] {
                let cut = [&file[..length], end].concat();
                match impasto::image::decode_bytes(Path::new("cut.jpg"), &cut, &Limits::default()) {
                    Ok(picture) => {
                        let off = difference(&picture, &reference);
                        assert!(off <= 2.0, "{name}: {length} bytes are off by {off}");
                        whole += 1;
                    }
                    Err(error) => {
                        let text = error.to_string();
                        let known = ["truncated", "no frame header"];
                        assert!(known.iter().any(|word| text.contains(word)), "{name}: {text}");
                        refused += 1;
                    }
                }
            }
        }
        assert!(whole >= 3 && refused > 20, "{name}: {whole} whole, {refused} refused");
    }
}
