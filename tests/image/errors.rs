//! Every bad input: one clear line that names the file.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use ::image::{ImageEncoder, RgbImage};
use impasto::files::Overwrite;
use impasto::image::{Encoding, Error, Limits, OutputFormat, OutputProfile, Writer, decode, probe};

fn put(folder: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

/// Decodes, expects an error, checks its form and gives its text.
fn refused(path: &Path) -> (Error, String) {
    let error = decode(path, &Limits::default()).unwrap_err();
    let text = error.to_string();
    assert!(text.contains(&*path.to_string_lossy()), "{text}");
    assert_eq!(text.lines().count(), 1, "{text}");
    (error, text)
}

fn encoded(image: &RgbImage, format: ::image::ImageFormat) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    image.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

#[test]
fn files_that_are_no_pictures() {
    let folder = tempfile::tempdir().unwrap();
    let f = folder.path();
    assert!(matches!(refused(&f.join("missing.png")).0, Error::Missing { .. }));
    assert!(matches!(refused(f).0, Error::Directory { .. }));
    assert!(refused(&put(f, "empty.png", b"")).1.contains("0 bytes"));
    for (name, bytes) in
        [("text.png", b"hello there, no picture".as_slice()), ("x.jpg", b"\xff"), ("y.tif", b"II")]
    {
        assert!(matches!(refused(&put(f, name, bytes)).0, Error::NotAPicture { .. }), "{name}");
    }
    for (name, bytes, word) in [
        ("a.heic", b"\0\0\0\x18ftypheic\0\0\0\0".as_slice(), "heif-convert"),
        ("a.avif", b"\0\0\0\x18ftypavif\0\0\0\0", "AVIF"),
        ("a.cr3", b"\0\0\0\x18ftypcrx \0\0\0\0", "Canon CR3"),
        ("a.mp4", b"\0\0\0\x18ftypisom\0\0\0\0", "ffmpeg"),
        ("a.nef", b"MM\0*\0\0\0\x08\0\0\0\0", "darktable"),
        ("a.CR2", b"II*\0\x10\0\0\0CR\x02\0", "darktable"),
        ("a.raf", b"FUJIFILMCCD-RAW 0201", "RawTherapee"),
        ("a.psd", b"8BPS\0\x01", "Photoshop"),
        ("a.pdf", b"%PDF-1.7", "pdftoppm"),
        ("a.jxl", b"\xff\x0a\0\0", "JPEG XL"),
        ("a.jp2", b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"),
        ("a.svg", b"<svg xmlns=''/>", "SVG"),
    ] {
        let path = put(f, name, bytes);
        let text = refused(&path).1;
        assert!(text.contains(word), "{name}: {text}");
        assert_eq!(probe(&path).unwrap_err().to_string(), text);
    }
    // A picture is what its bytes say, whatever its name.
    let png = encoded(&RgbImage::new(4, 4), ::image::ImageFormat::Png);
    assert!(decode(&put(f, "png.heic", &png), &Limits::default()).is_ok());
    assert!(decode(&put(f, "png.nef", &png), &Limits::default()).is_ok());
}

/// Sets a PNG's header size, with its checksum.
fn png_of_size(width: u32, height: u32) -> Vec<u8> {
    let mut png = encoded(&RgbImage::new(4, 4), ::image::ImageFormat::Png);
    png[16..20].copy_from_slice(&width.to_be_bytes());
    png[20..24].copy_from_slice(&height.to_be_bytes());
    let mut crc = flate2::Crc::new();
    crc.update(&png[12..29]);
    png[29..33].copy_from_slice(&crc.sum().to_be_bytes());
    png
}

#[test]
fn sizes_that_cannot_be() {
    let folder = tempfile::tempdir().unwrap();
    let f = folder.path();
    for (name, bytes) in [("a.png", png_of_size(0, 4)), ("b.png", png_of_size(4, 0))] {
        let (error, text) = refused(&put(f, name, &bytes));
        assert!(matches!(error, Error::ZeroSized { .. }), "{text}");
    }
    // A file that ends before it says its size is not one without pixels.
    assert!(matches!(
        refused(&put(f, "c.png", &png_of_size(4, 4)[..20])).0,
        Error::Truncated { .. }
    ));
    let mut jpeg = encoded(&RgbImage::new(8, 8), ::image::ImageFormat::Jpeg);
    let frame = jpeg.windows(2).position(|w| w == [0xff, 0xc0]).unwrap();
    jpeg[frame + 7..frame + 9].fill(0);
    assert!(matches!(refused(&put(f, "a.jpg", &jpeg)).0, Error::ZeroSized { .. }));
    assert!(refused(&put(f, "a.ppm", b"P6\n0 4\n255\n")).1.contains("a.ppm"));

    let path = put(f, "bomb.png", &png_of_size(100_000, 100_000));
    let (error, text) = refused(&path);
    assert!(matches!(error, Error::TooLarge { width: 100_000, .. }), "{text}");
    assert!(text.contains("112 GiB") && text.contains("limit is 8.00 GiB"), "{text}");
    assert_eq!(probe(&path).unwrap().width, 100_000);
    let text = decode(&put(f, "c.png", &png_of_size(1000, 1000)), &Limits::bytes(5_000_000))
        .unwrap_err()
        .to_string();
    assert!(text.contains("would take 13.9 MiB of memory, the limit is 4.77 MiB"), "{text}");
}

#[test]
fn kinds_that_are_not_read_are_named_with_a_command_that_converts_them() {
    let folder = tempfile::tempdir().unwrap();
    let f = folder.path();
    let said = |name: &str, bytes: &[u8], what: &str, command: &str| {
        let path = put(f, name, bytes);
        let (error, text) = refused(&path);
        assert!(matches!(error, Error::Unsupported { .. }), "{text}");
        assert!(text.contains(what) && text.contains(command), "{text}");
        assert!(!text.contains("damaged"), "{text}");
        // The plan says so too, before any pixel is decoded.
        assert_eq!(probe(&path).unwrap_err().to_string(), text);
    };
    let jpeg = encoded(&RgbImage::new(8, 8), ::image::ImageFormat::Jpeg);
    let frame = jpeg.windows(2).position(|w| w == [0xff, 0xc0]).unwrap();
    for (marker, bits, what, command) in [
        (0xc0, 12, "12 bits a channel", "djpeg"),
        (0xc9, 8, "arithmetic coding", "jpegtran"),
        (0xca, 8, "arithmetic coding", "jpegtran"),
        (0xcb, 8, "lossless compression", "djpeg"),
        (0xc3, 16, "lossless compression", "djpeg"),
        (0xc5, 8, "hierarchical", "djpeg"),
        (0xf7, 8, "JPEG-LS", "ffmpeg"),
    ] {
        let mut other = jpeg.clone();
        (other[frame + 1], other[frame + 4]) = (marker, bits);
        said("a.jpg", &other, what, command);
    }
    let mut bmp = encoded(&RgbImage::new(8, 8), ::image::ImageFormat::Bmp);
    bmp[30] = 4;
    said("a.bmp", &bmp, "JPEG compression", "magick");
    let mut exr = std::io::Cursor::new(Vec::new());
    let colours = ::image::DynamicImage::ImageRgb8(RgbImage::new(8, 8)).to_rgb32f();
    colours.write_to(&mut exr, ::image::ImageFormat::OpenExr).unwrap();
    let (mut exr, name) = (exr.into_inner(), b"compression\0compression\0");
    let at = exr.windows(name.len()).position(|w| w == name).unwrap();
    exr[at + name.len() + 4] = 99;
    said("a.exr", &exr, "unknown compression method", "magick");
    let text = refused(&put(f, "a.pfm", b"PF\n4 4\n-1.0\n")).1;
    assert!(text.contains("PFM") && text.contains("ImageMagick"), "{text}");
}

#[test]
fn animations_are_refused_with_their_frames() {
    let folder = tempfile::tempdir().unwrap();
    let f = folder.path();
    let gif = |frames: usize| {
        let mut bytes = Vec::new();
        let mut encoder = ::image::codecs::gif::GifEncoder::new(&mut bytes);
        let frame = || {
            ::image::Frame::new(::image::RgbaImage::from_pixel(
                9,
                7,
                ::image::Rgba([9, 80, 70, 255]),
            ))
        };
        encoder.encode_frames((0..frames).map(|_| frame())).unwrap();
        drop(encoder);
        bytes
    };
    let text = refused(&put(f, "a.gif", &gif(5))).1;
    assert!(text.contains("animated GIF with 5 frames") && text.contains("ffmpeg"), "{text}");
    assert!(decode(&put(f, "one.gif", &gif(1)), &Limits::default()).is_ok());

    let mut apng = Vec::new();
    let mut encoder = png::Encoder::new(&mut apng, 3, 3);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_animated(3, 0).unwrap();
    let mut writer = encoder.write_header().unwrap();
    (0..3).for_each(|_| writer.write_image_data(&[7; 9]).unwrap());
    writer.finish().unwrap();
    assert!(refused(&put(f, "a.png", &apng)).1.contains("3 frames"));

    // Two still WebPs as the frames of one.
    let still = encoded(&RgbImage::new(8, 8), ::image::ImageFormat::WebP);
    let mut body = b"WEBPVP8X\x0a\0\0\0\x02\0\0\0\x07\0\0\x07\0\0".to_vec();
    body.extend(b"ANIM\x06\0\0\0\0\0\0\0\0\0");
    for _ in 0..2 {
        let frame = [&[0, 0, 0, 0, 0, 0, 7, 0, 0, 7, 0, 0, 100, 0, 0, 0], &still[12..]].concat();
        body.extend(b"ANMF");
        body.extend((frame.len() as u32).to_le_bytes());
        body.extend(frame);
    }
    let webp = [b"RIFF".as_slice(), &(body.len() as u32).to_le_bytes(), &body].concat();
    assert!(refused(&put(f, "a.webp", &webp)).1.contains("animated WebP with 2 frames"));
}

#[test]
fn cmyk_jpeg_without_a_profile_is_refused() {
    // A CMYK JPEG: a grey one's frame and scan made four components of the same tables.
    let folder = tempfile::tempdir().unwrap();
    let path = put(folder.path(), "c.jpg", &cmyk_jpeg());
    let header = probe(&path).unwrap();
    assert_eq!(header.colour, impasto::image::ColourKind::Cmyk);
    let (error, text) = refused(&path);
    assert!(matches!(error, Error::Cmyk { .. }) && text.contains("convert it to RGB"), "{text}");
}

fn cmyk_jpeg() -> Vec<u8> {
    let mut grey = Vec::new();
    let encoder = ::image::codecs::jpeg::JpegEncoder::new(&mut grey);
    encoder.write_image(&[100; 64], 8, 8, ::image::ExtendedColorType::L8).unwrap();
    let find = |marker: u8| grey.windows(2).position(|w| w == [0xff, marker]).unwrap();
    let (frame, scan) = (find(0xc0), find(0xda));
    let components = |extra: fn(u8) -> Vec<u8>| (1..=4).flat_map(extra).collect::<Vec<u8>>();
    let mut out = grey[..frame].to_vec();
    out.extend([0xff, 0xc0, 0, 20, 8, 0, 8, 0, 8, 4]);
    out.extend(components(|i| vec![i, 0x11, 0]));
    out.extend(&grey[frame + 2 + 11..scan]);
    out.extend([0xff, 0xda, 0, 14, 4]);
    out.extend(components(|i| vec![i, 0]));
    out.extend(&grey[scan + 2 + 5..]);
    out
}

#[test]
fn encodings_that_cannot_be_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deep/out.jpg");
    let problem = |change: fn(&mut Encoding), format, size: (u32, u32)| {
        let mut e = Encoding::new(format);
        change(&mut e);
        let text = match Writer::create(&path, size.0, size.1, &e, Overwrite::Refuse) {
            Ok(_) => panic!("{e:?} can be written"),
            Err(error) => error.to_string(),
        };
        assert!(!path.parent().unwrap().exists(), "nothing is created before the check: {text}");
        text
    };
    use OutputFormat::{Jpeg, Png, Tiff};
    assert!(problem(|e| e.bit_depth = 16, Jpeg, (9, 9)).contains("8 bits"));
    assert!(problem(|_| {}, Jpeg, (70_000, 9)).contains("65535"));
    assert!(problem(|e| e.quality = 0, Jpeg, (9, 9)).contains("1 to 100"));
    assert!(
        problem(|e| e.compression = impasto::image::Compression::Lzw, Png, (9, 9)).contains("LZW")
    );
    assert!(problem(|e| e.bit_depth = 12, Tiff, (9, 9)).contains("12 bits"));
    assert!(problem(|e| e.dpi = Some(f64::NAN), Tiff, (9, 9)).contains("dots per inch"));
    assert!(problem(|_| {}, Tiff, (0, 9)).contains("0 x 9"));
    assert!(
        problem(|e| e.profile = OutputProfile::Icc(vec![1, 2, 3]), Tiff, (9, 9))
            .contains("profile")
    );
    let icc = folder.path().join("grey.icc");
    std::fs::write(&icc, moxcms::ColorProfile::new_gray_with_gamma(2.2).encode().unwrap()).unwrap();
    let text = OutputProfile::from_file(&icc).unwrap_err().to_string();
    assert!(text.contains("grey.icc") && text.contains("RGB"), "{text}");
    assert!(
        OutputProfile::from_file(&folder.path().join("no.icc"))
            .unwrap_err()
            .to_string()
            .contains("no.icc")
    );
}
