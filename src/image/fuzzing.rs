//! What others wrote, given to the parsers of it one by one: for the fuzz targets alone.

use std::path::Path;

use super::colour::{Model, ToWorking};
use super::exif::{self, Facts, Groups};
use super::{Limits, OutputProfile, decode_bytes, xmp};

/// A picture file: a picture, or an error that names it in one line, never a panic and never more
/// memory than is allowed.
pub fn picture(bytes: &[u8]) {
    match decode_bytes(Path::new("x"), bytes, &Limits::bytes(32 << 20)) {
        Ok(picture) => {
            assert_eq!(picture.pixels.len(), 3 * picture.width as usize * picture.height as usize);
            assert!(picture.pixels.iter().all(|v| (0.0..=1.0).contains(v)));
        }
        Err(error) => {
            let text = error.to_string();
            assert!(text.starts_with('x') && text.lines().count() == 1, "{text}");
            assert!(!text.contains("gave up"), "a decoder panicked");
        }
    }
}

/// Facts of a picture with and without the place.
fn facts() -> [Facts; 2] {
    [false, true].map(|place| Facts { size: (40, 30), dpi: Some(299.5), srgb: true, place })
}

/// An EXIF blob: read, made true, and taken apart and put together again.
pub fn exif(bytes: &[u8]) {
    let Some(blob) = exif::blob(bytes) else { return };
    let _ = (exif::orientation(&blob), exif::dpi(&blob), exif::colour_space(&blob));
    for facts in facts() {
        let refreshed = exif::refreshed(&blob, facts);
        assert!(refreshed.as_ref().is_none_or(|made| made.len() <= blob.len()));
        let groups = Groups::from_blob(&blob);
        let Some(again) = groups.to_blob() else { continue };
        assert_eq!(Groups::from_blob(&again).gps.len(), groups.gps.len());
    }
}

/// An XMP packet, made true.
pub fn xmp(packet: &[u8]) {
    for facts in facts() {
        let _ = xmp::refreshed(packet, facts);
    }
}

/// An ICC profile: to convert from, for each kind of pixels, and to convert to.
pub fn icc(profile: &[u8]) {
    for model in [Model::Grey, Model::Rgb, Model::Cmyk] {
        if let Ok((to_working, _)) = ToWorking::new(model, Some(profile)) {
            let from = [0.0, 0.2, 0.5, 1.0];
            let mut out = [9.0; 3];
            to_working.run(&from[..model.channels()], &mut out);
            assert!(out.iter().all(|v| (0.0..=1.0).contains(v)), "{out:?}");
        }
    }
    let _ = OutputProfile::from_icc(profile.to_vec());
}
