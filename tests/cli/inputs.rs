//! Pictures of every kind, good and bad, as photograph and as painting.

use std::io::Write;

use image::codecs::gif::GifEncoder;
use image::{DynamicImage, Frame};

use crate::folder::{Folder, RESULT};

fn photo(folder: &Folder) -> DynamicImage {
    image::open(folder.path("photo.png")).expect("the photograph")
}

/// The file is refused with one line that names it and says why, wherever it is used, and nothing
/// is left behind.
#[track_caller]
fn refused(folder: &Folder, name: &str, why: &[&str]) {
    let before = folder.names("out");
    let words: Vec<&str> = [name].into_iter().chain(why.iter().copied()).collect();
    for key in ["input.content", "style.image"] {
        folder.run(&[&format!("{key}={name}"), "--quiet"]).exits(4).one_line(&words);
    }
    folder
        .run(&["start.from=image", &format!("start.image={name}"), "--quiet"])
        .exits(4)
        .one_line(&words);
    assert_eq!(folder.names("out"), before);
}

/// The file is painted.
#[track_caller]
fn painted(folder: &Folder, name: &str) {
    folder
        .run(&[
            &format!("input.content={name}"),
            "output.name=result.png",
            "output.overwrite=true",
            "--quiet",
        ])
        .exits(0);
    assert_eq!(folder.size("out/result.png"), (96, 64), "{name}");
    folder
        .run(&[
            &format!("style.image={name}"),
            "output.name=result.png",
            "output.overwrite=true",
            "--quiet",
        ])
        .exits(0);
}

#[test]
fn a_missing_picture_is_a_fault_of_the_settings() {
    let folder = Folder::new();
    folder.run(&["input.content=gone.png"]).exits(3).says(&["gone.png"]);
    folder.run(&["style.image=gone.png"]).exits(3).says(&["gone.png"]);
}

#[test]
fn files_that_are_no_pictures_are_refused() {
    let folder = Folder::new();
    folder.write("empty.png", "");
    refused(&folder, "empty.png", &["empty (0 bytes)"]);
    folder.write("text.png", "Dear diary, today I rendered a picture.");
    refused(&folder, "text.png", &["not a picture"]);
    folder.write("flat.ppm", "P6 0 0 255\n");
    refused(&folder, "flat.ppm", &["no pixels"]);
}

#[test]
fn truncated_pictures_are_refused() {
    let folder = Folder::new();
    photo(&folder).save(folder.path("whole.jpg")).unwrap();
    photo(&folder).save(folder.path("whole.tiff")).unwrap();
    for (whole, half) in
        [("photo.png", "half.png"), ("whole.jpg", "half.jpg"), ("whole.tiff", "half.tiff")]
    {
        let bytes = std::fs::read(folder.path(whole)).unwrap();
        folder.write(half, &bytes[..bytes.len() / 2]);
        refused(&folder, half, &[]);
    }
}

#[test]
fn animations_are_refused_and_stills_in_their_formats_are_not() {
    let folder = Folder::new();
    let frame = || Frame::new(photo(&folder).into_rgba8());
    for (name, frames) in [("still.gif", 1), ("moving.gif", 2)] {
        let mut encoder = GifEncoder::new(std::fs::File::create(folder.path(name)).unwrap());
        encoder.encode_frames((0..frames).map(|_| frame())).unwrap();
    }
    painted(&folder, "still.gif");
    refused(&folder, "moving.gif", &["animated GIF", "ffmpeg"]);

    let pixels = photo(&folder).into_rgb8().into_raw();
    let mut encoder =
        png::Encoder::new(std::fs::File::create(folder.path("moving.png")).unwrap(), 96, 64);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_animated(2, 0).unwrap();
    let mut writer = encoder.write_header().unwrap();
    writer.write_image_data(&pixels).unwrap();
    writer.write_image_data(&pixels).unwrap();
    writer.finish().unwrap();
    refused(&folder, "moving.png", &["animated PNG", "2 frames"]);
}

/// Half a megabyte that would be 30 GB of pixels.
#[test]
fn a_decompression_bomb_is_refused_before_it_goes_off() {
    let folder = Folder::new();
    let mut file = std::fs::File::create(folder.path("bomb.png")).unwrap();
    let mut encoder = png::Encoder::new(&mut file, 100_000, 100_000);
    encoder.set_color(png::ColorType::Rgb);
    let mut writer = encoder.write_header().unwrap();
    let mut zeros = flate2::write::ZlibEncoder::new(vec![], flate2::Compression::fast());
    zeros.write_all(&vec![0; 1 << 22]).unwrap();
    writer.write_chunk(png::chunk::IDAT, &zeros.finish().unwrap()).unwrap();
    drop(writer);
    refused(&folder, "bomb.png", &["100000 x 100000 pixels", "the limit is"]);
}

#[test]
fn cmyk_without_a_profile_is_refused() {
    let folder = Folder::new();
    let mut encoder =
        tiff::encoder::TiffEncoder::new(std::fs::File::create(folder.path("ink.tiff")).unwrap())
            .unwrap();
    encoder.write_image::<tiff::encoder::colortype::CMYK8>(96, 64, &[40; 96 * 64 * 4]).unwrap();
    refused(&folder, "ink.tiff", &["CMYK", "convert it to RGB"]);
}

#[test]
fn grey_deep_and_transparent_pictures_are_painted() {
    let folder = Folder::new();
    let photo = photo(&folder);
    for (name, picture) in [
        ("grey.png", DynamicImage::from(photo.to_luma8())),
        ("grey-16.png", photo.to_luma16().into()),
        ("grey-alpha.png", photo.to_luma_alpha8().into()),
        ("deep.png", photo.to_rgb16().into()),
        ("deep.tiff", photo.to_rgb16().into()),
        ("alpha.png", photo.to_rgba8().into()),
        ("plain.jpg", photo.to_rgb8().into()),
        ("plain.webp", photo.to_rgb8().into()),
        ("plain.bmp", photo.to_rgb8().into()),
    ] {
        picture.save(folder.path(name)).unwrap();
        painted(&folder, name);
    }
}

#[test]
fn transparency_is_kept() {
    let folder = Folder::new();
    let mut picture = photo(&folder).into_rgba8();
    picture
        .enumerate_pixels_mut()
        .for_each(|(x, _, pixel)| pixel[3] = if x < 48 { 0 } else { 255 });
    picture.save(folder.path("photo.png")).unwrap();
    folder.run(&["--quiet"]).exits(0);
    let result = image::open(folder.path(RESULT)).unwrap().into_rgba8();
    assert_eq!((result.get_pixel(4, 30)[3], result.get_pixel(90, 30)[3]), (0, 255));
}

#[test]
fn what_a_decoder_has_to_say_is_shown_for_every_picture_that_is_read() {
    let folder = Folder::new();
    let whole =
        std::fs::read(crate::folder::repository("tests/corpus/jpeg-J13-baseline-noeoi.jpg"));
    let whole = whole.unwrap();
    let note = |name: &str| format!("warning: {name}: its end marker is missing");
    let names = ["content.jpg", "style.jpg", "start.jpg"];
    names.iter().for_each(|name| drop(folder.write(name, &whole)));
    let ran = folder
        .run(&[
            "input.content=content.jpg",
            "style.image=style.jpg",
            "start.from=image",
            "start.image=start.jpg",
            "output.long-side-px=160",
            "pyramid.evaluations=[1, 1]",
        ])
        .exits(0);
    for name in names {
        let shown = ran.err.matches(&format!("{name}: its end marker is missing")).count();
        assert_eq!(shown, 1, "{name}: {ran:#?}");
    }
    let score = ["score", "content.jpg", "--content", "photo.png", "--style", "style.jpg"];
    folder.call(&score).exits(0).says(&[&note("content.jpg"), &note("style.jpg")]);
}
