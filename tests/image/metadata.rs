//! What a photograph says of itself is carried to every format, made true; and what made the
//! picture is recorded.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use ::image::{ImageDecoder, ImageEncoder};
use impasto::files::Overwrite;
use impasto::image::{Encoding, Limits, OutputFormat, decode, encode_picture};

/// A blob as cameras write it, big-endian: maker, orientation 6, resolution, a caption, exposure
/// with makers' notes and pixel sizes, place, and a thumbnail at the end.
fn camera_blob() -> Vec<u8> {
    let mut b = b"MM\0*\0\0\0\x08".to_vec();
    let entry = |tag: u16, kind: u16, count: u32, value: [u8; 4]| {
        [tag.to_be_bytes().as_slice(), &kind.to_be_bytes(), &count.to_be_bytes(), &value].concat()
    };
    let long = |v: u32| v.to_be_bytes();
    let short = |v: u16| [(v >> 8) as u8, v as u8, 0, 0];
    // First directory at 8: 7 entries, 2 + 84 + 4 bytes, so that its data begins at 98.
    b.extend(7u16.to_be_bytes());
    b.extend(entry(0x010e, 2, 12, long(98)));
    b.extend(entry(0x010f, 2, 4, *b"ACM\0"));
    b.extend(entry(0x0112, 3, 1, short(6)));
    b.extend(entry(0x011a, 5, 1, long(110)));
    b.extend(entry(0x011b, 5, 1, long(110)));
    b.extend(entry(0x8769, 4, 1, long(118)));
    b.extend(entry(0x8825, 4, 1, long(200)));
    b.extend(long(230));
    b.extend(b"Water lily\0\0");
    b.extend([72u32.to_be_bytes(), 1u32.to_be_bytes()].concat());
    assert_eq!(b.len(), 118);
    // EXIF at 118: 5 entries, data from 184.
    b.extend(5u16.to_be_bytes());
    b.extend(entry(0x8827, 3, 1, short(400)));
    b.extend(entry(0x927c, 7, 16, long(184)));
    b.extend(entry(0xa001, 3, 1, short(0xffff)));
    b.extend(entry(0xa002, 4, 1, long(32)));
    b.extend(entry(0xa003, 4, 1, long(16)));
    b.extend(long(0));
    b.extend(b"notes of a maker");
    assert_eq!(b.len(), 200);
    b.extend(1u16.to_be_bytes());
    b.extend(entry(0x0001, 2, 2, *b"N\0\0\0"));
    b.extend(long(0));
    b.resize(230, 0);
    // The thumbnail's directory at 230: 2 entries, its bytes at 260.
    b.extend(2u16.to_be_bytes());
    b.extend(entry(0x0201, 4, 1, long(260)));
    b.extend(entry(0x0202, 4, 1, long(9)));
    b.extend(long(0));
    b.extend(b"THUMBNAIL");
    b
}

const XMP: &str = r#"<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF
 xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description xmlns:tiff="http://ns.adobe.com/tiff/1.0/"
 tiff:Orientation="6" exif:GPSLatitude="48,51.5N"/></rdf:RDF></x:xmpmeta><?xpacket end="w"?>"#;

fn photograph(path: &Path) {
    let file = std::fs::File::create(path).unwrap();
    let mut encoder = ::image::codecs::webp::WebPEncoder::new_lossless(file);
    encoder.set_exif_metadata(camera_blob()).unwrap();
    encoder.write_image(&[90; 32 * 16 * 3], 32, 16, ::image::ExtendedColorType::Rgb8).unwrap();
}

/// A number of a directory in a little- or big-endian blob, found the simple way.
fn field(blob: &[u8], directory: Option<u16>, wanted: u16) -> Option<u32> {
    let big = blob.starts_with(b"MM");
    let n16 = |at: usize| {
        let b = [blob[at], blob[at + 1]];
        u32::from(if big { u16::from_be_bytes(b) } else { u16::from_le_bytes(b) })
    };
    let n32 =
        |at: usize| if big { n16(at) << 16 | n16(at + 2) } else { n16(at + 2) << 16 | n16(at) };
    let at = match directory {
        Some(pointer) => field(blob, None, pointer)? as usize,
        None => n32(4) as usize,
    };
    (0..n16(at) as usize)
        .map(|i| at + 2 + 12 * i)
        .find(|e| n16(*e) == u32::from(wanted))
        .map(|e| if n16(e + 2) == 3 { n16(e + 8) } else { n32(e + 8) })
}

#[test]
fn exif_xmp_and_recipe_reach_every_format() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("photo.webp");
    photograph(&source);
    let picture = decode(&source, &Limits::default()).unwrap();
    assert_eq!((picture.width, picture.height), (16, 32));
    let recipe = "pipeline quickstart.toml, weights 0123abcd";
    for name in ["a.png", "a.jpg", "a.tif"] {
        let path = folder.path().join(name);
        let mut e = Encoding::new(OutputFormat::from_path(&path).unwrap()).carry(&picture.source);
        (e.recipe, e.dpi, e.xmp) = (recipe.to_owned(), Some(300.0), Some(XMP.as_bytes().to_vec()));
        e.place = true;
        let pixels = vec![0.5; 3 * 48 * 96];
        encode_picture(&path, (48, 96), &pixels, None, &e, Overwrite::Refuse).unwrap();
        let again = decode(&path, &Limits::default()).unwrap();
        assert_eq!((again.width, again.height), (48, 96), "{name}: the orientation is reset");
        let blob = again.source.exif.clone().unwrap();
        assert_eq!(
            field(&blob, Some(0x8769), 0x8827),
            Some(400),
            "{name}: the exposure is carried"
        );
        assert_eq!(
            field(&blob, Some(0x8825), 1).map(|v| v & 0xff | v >> 24),
            Some(u32::from(b'N')),
            "{name}: the place is carried"
        );
        let text = String::from_utf8_lossy(&blob);
        assert!(text.contains("Water lily") && text.contains("ACM"), "{name}");
        let whole = std::fs::read(&path).unwrap();
        let holds = |needle: &str| whole.windows(needle.len()).any(|w| w == needle.as_bytes());
        assert!(holds(recipe) && holds("impasto"), "{name}: what made it");
        assert!(!holds("THUMBNAIL"), "{name}: the thumbnail is dropped");
        let xmp = String::from_utf8(again.source.xmp.clone().unwrap()).unwrap();
        assert!(xmp.contains(r#"tiff:Orientation="1""#), "{name}: {xmp}");
        if name != "a.tif" {
            assert_eq!(field(&blob, None, 0x0112), Some(1), "{name}");
            assert_eq!(field(&blob, Some(0x8769), 0xa002), Some(48), "{name}");
            assert_eq!(field(&blob, Some(0x8769), 0xa003), Some(96), "{name}");
            assert_eq!(field(&blob, Some(0x8769), 0xa001), Some(1), "{name}: the output is sRGB");
            assert!(text.contains("notes of a maker"), "{name}");
        }
        assert!((again.source.probe.dpi.unwrap().0 - 300.0).abs() < 0.01);
        assert!(again.source.icc.is_some());
        // Another reader sees the same.
        if name != "a.tif" {
            let mut reader = ::image::ImageReader::open(&path).unwrap().into_decoder().unwrap();
            assert_eq!(reader.orientation().unwrap(), ::image::metadata::Orientation::NoTransforms);
            assert_eq!(reader.exif_metadata().unwrap().unwrap(), blob);
        }
        // What was carried once is carried again, from every format to every format.
        for other in ["b.png", "b.jpg", "b.tif"] {
            let path = folder.path().join(other);
            let e = Encoding::new(OutputFormat::from_path(&path).unwrap()).carry(&again.source);
            encode_picture(&path, (48, 96), &pixels, None, &e, Overwrite::Allow).unwrap();
            let blob = decode(&path, &Limits::default()).unwrap().source.exif.unwrap();
            assert_eq!(field(&blob, Some(0x8769), 0x8827), Some(400), "{name} to {other}");
        }
    }
}

#[test]
fn the_place_stays_behind_unless_it_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("photo.webp");
    photograph(&source);
    let picture = decode(&source, &Limits::default()).unwrap();
    for name in ["a.png", "a.jpg", "a.tif"] {
        for place in [false, true] {
            let path = folder.path().join(name);
            let mut e =
                Encoding::new(OutputFormat::from_path(&path).unwrap()).carry(&picture.source);
            (e.place, e.xmp) = (place, Some(XMP.as_bytes().to_vec()));
            encode_picture(&path, (2, 2), &[0.5; 12], None, &e, Overwrite::Allow).unwrap();
            let source = decode(&path, &Limits::default()).unwrap().source;
            let (blob, xmp) = (source.exif.unwrap(), source.xmp.unwrap());
            let xmp = String::from_utf8(xmp).unwrap();
            assert_eq!(field(&blob, None, 0x8825).is_some(), place, "{name}");
            assert_eq!(xmp.contains("48,51.5N"), place, "{name}: {xmp}");
            // What is beside it is where it was.
            assert_eq!(field(&blob, Some(0x8769), 0x8827), Some(400), "{name}");
            let text = String::from_utf8_lossy(&blob);
            assert!(text.contains("Water lily") && text.contains("ACM"), "{name}");
            assert!(xmp.contains("tiff:Orientation=\"1\""), "{name}: {xmp}");
            if name != "a.tif" {
                assert_eq!(field(&blob, None, 0x0112), Some(1), "{name}");
                assert!(text.contains("notes of a maker"), "{name}");
            }
        }
    }
}

#[test]
fn damaged_exif_is_harmless() {
    let folder = tempfile::tempdir().unwrap();
    let blob = camera_blob();
    let path = folder.path().join("a.jpg");
    for at in (0..blob.len()).step_by(2) {
        for change in [0x01, 0xff] {
            let mut damaged = blob.clone();
            damaged[at] ^= change;
            let mut e = Encoding::new(OutputFormat::Tiff);
            e.exif = Some(damaged.clone());
            let target = folder.path().join("a.tif");
            encode_picture(&target, (2, 2), &[0.5; 12], None, &e, Overwrite::Allow).unwrap();
            decode(&target, &Limits::default()).unwrap();
            e.format = OutputFormat::Jpeg;
            encode_picture(&path, (2, 2), &[0.5; 12], None, &e, Overwrite::Allow).unwrap();
            decode(&path, &Limits::default()).unwrap();
        }
    }
}

#[test]
fn recipes_are_found_again_in_every_format() {
    let folder = tempfile::tempdir().expect("a folder");
    let text =
        format!("# impasto 0.1.0: x, ü\nstyle.image = \"a.png\" {}\n", "# long ".repeat(12_000));
    for format in OutputFormat::ALL.iter().copied() {
        let path = folder.path().join(format!("x.{}", format.word()));
        let mut encoding = Encoding::new(format);
        let write = |encoding: &Encoding| {
            encode_picture(&path, (2, 2), &[0.5; 12], None, encoding, Overwrite::Allow)
        };
        write(&encoding).expect("written");
        assert_eq!(impasto::image::recipe(&path).expect("a picture"), None, "{format:?}");
        encoding.recipe.clone_from(&text);
        write(&encoding).expect("written");
        let found = impasto::image::recipe(&path).expect("a picture").expect("a recipe");
        assert_eq!(found.trim_end(), text.trim_end(), "{format:?}");
    }
}
