//! Telling picture formats apart by their first bytes, and naming the ones that are not read.

use std::path::Path;

use crate::image::{Error, Format};

/// Bytes of a file's head that are enough to tell its format.
pub(super) const HEAD: usize = 64;

/// Extensions of cameras' raw files; most of them are TIFF inside and would otherwise open as their
/// thumbnail.
const RAW_EXTENSIONS: [&str; 30] = [
    "3fr", "arw", "cr2", "cr3", "crw", "dcr", "dng", "erf", "fff", "iiq", "k25", "kdc", "mef",
    "mos", "mrw", "nef", "nrw", "orf", "pef", "raf", "raw", "rw2", "rwl", "sr2", "srf", "srw",
    "x3f", "gpr", "mdc", "bay",
];

/// Where a signature lies and what it is.
type Signature = (usize, &'static [u8]);

/// Signatures of the formats that are read.
const FORMATS: [(Signature, Format); 15] = [
    ((0, b"\x89PNG\r\n\x1a\n"), Format::Png),
    ((0, b"\xff\xd8\xff"), Format::Jpeg),
    ((0, b"II*\0"), Format::Tiff),
    ((0, b"MM\0*"), Format::Tiff),
    ((0, b"II+\0"), Format::Tiff),
    ((0, b"MM\0+"), Format::Tiff),
    ((8, b"WEBP"), Format::WebP),
    ((0, b"GIF87a"), Format::Gif),
    ((0, b"GIF89a"), Format::Gif),
    ((0, b"BM"), Format::Bmp),
    ((0, b"qoif"), Format::Qoi),
    ((0, b"#?RADIANCE"), Format::Hdr),
    ((0, b"#?RGBE"), Format::Hdr),
    ((0, b"\x76\x2f\x31\x01"), Format::Exr),
    ((0, b"farbfeld"), Format::Farbfeld),
];

/// Signatures of cameras' raw files.
const RAW: [(Signature, &str); 10] = [
    ((0, b"FUJIFILMCCD-RAW"), "Fujifilm RAF"),
    ((0, b"IIU\0"), "Panasonic RW2"),
    ((0, b"IIRO"), "Olympus ORF"),
    ((0, b"IIRS"), "Olympus ORF"),
    ((0, b"MMOR"), "Olympus ORF"),
    ((8, b"CR\x02\0"), "Canon CR2"),
    ((0, b"FOVb"), "Sigma X3F"),
    ((0, b"\0MRM"), "Minolta MRW"),
    ((6, b"HEAPCCDR"), "Canon CRW"),
    ((4, b"ftypcrx "), "Canon CR3"),
];

/// Signatures of other known kinds of file, and what to do with each.
const FOREIGN: [(Signature, &str, &str); 18] = [
    ((0, b"8BPS"), "a Photoshop document", EXPORT),
    ((0, b"%PDF"), "a PDF document", RENDER),
    ((0, b"%!PS"), "a PostScript document", RENDER),
    ((0, b"\xff\x0a"), "a JPEG XL picture", "convert it first, for example with djxl"),
    ((4, b"JXL \r\n\x87\n"), "a JPEG XL picture", "convert it first, for example with djxl"),
    ((0, b"\xff\x4f\xff\x51"), "a JPEG 2000 picture", OPENJPEG),
    ((4, b"jP  \r\n\x87\n"), "a JPEG 2000 picture", OPENJPEG),
    ((0, b"<svg"), "an SVG drawing", "render it to a PNG first, for example with rsvg-convert"),
    ((0, b"gimp xcf"), "a GIMP document", EXPORT),
    ((0, b"PF\n"), "a PFM picture", MAGICK),
    ((0, b"Pf\n"), "a PFM picture", MAGICK),
    ((0, b"DDS "), "a DirectDraw surface", MAGICK),
    ((0, b"\0\0\x01\0"), "an icon", MAGICK),
    ((0, b"II\xbc\x01"), "a JPEG XR picture", "convert it first, for example with JxrDecApp"),
    ((0, b"\x1aE\xdf\xa3"), "a video", FFMPEG),
    ((8, b"AVI "), "a video", FFMPEG),
    ((4, b"ftyp"), "a video or another MP4-like container", FFMPEG),
    ((0, b"PK\x03\x04"), "a ZIP archive or a document in one", "export the picture first"),
];

const EXPORT: &str = "export it as a TIFF or PNG first";
const RENDER: &str = "render it to a TIFF or PNG first, for example with pdftoppm";
const OPENJPEG: &str = "convert it first, for example with opj_decompress";
const MAGICK: &str = "convert it to a PNG first, for example with ImageMagick";
const FFMPEG: &str = "extract a frame first, for example with ffmpeg";

/// Tells the format from the first [`HEAD`] bytes of a file and, where there is no signature, its
/// extension.
///
/// # Errors
///
/// The error that fits best when the format is not read: HEIC, camera raw, another known kind, or
/// not a picture.
pub(super) fn sniff(path: &Path, head: &[u8]) -> Result<Format, Error> {
    let extension = path.extension().and_then(|e| e.to_str()).unwrap_or("").to_ascii_lowercase();
    let has = |(at, bytes): &Signature| head.get(*at..).is_some_and(|rest| rest.starts_with(bytes));
    if let Some(error) = refused(path, head, &extension, has) {
        return Err(error);
    }
    let netpbm = matches!(head, [b'P', b'1'..=b'7', space, ..] if space.is_ascii_whitespace());
    match FORMATS.iter().find(|(signature, _)| has(signature)) {
        Some((_, format)) => Ok(*format),
        None if netpbm => Ok(Format::Pnm),
        None if extension == "tga" => Ok(Format::Tga),
        None => Err(Error::NotAPicture { path: path.to_path_buf() }),
    }
}

/// The error for a file of a known kind that is not read.
fn refused(
    path: &Path,
    head: &[u8],
    extension: &str,
    has: impl Fn(&Signature) -> bool,
) -> Option<Error> {
    let path = || path.to_path_buf();
    if let Some((_, kind)) = RAW.iter().find(|(signature, _)| has(signature)) {
        return Some(Error::Raw { path: path(), kind });
    }
    let brand = if has(&(4, b"ftyp")) { head.get(8..12).unwrap_or_default() } else { b"" };
    match brand {
        b"avif" | b"avis" => return Some(Error::Heif { path: path(), kind: "AVIF" }),
        b"heic" | b"heix" | b"heim" | b"heis" | b"hevc" | b"hevx" | b"mif1" | b"msf1" => {
            return Some(Error::Heif { path: path(), kind: "HEIC" });
        }
        _ => {}
    }
    if let Some((_, kind, advice)) = FOREIGN.iter().find(|(signature, ..)| has(signature)) {
        return Some(Error::Foreign { path: path(), kind, advice });
    }
    // A JPEG or PNG that is only named otherwise is read for what it is.
    if has(&(0, b"\xff\xd8\xff")) || has(&(0, b"\x89PNG")) {
        return None;
    }
    match extension {
        "heic" | "heif" => Some(Error::Heif { path: path(), kind: "HEIC" }),
        "svg" => {
            let advice = "render it to a PNG first, for example with rsvg-convert";
            Some(Error::Foreign { path: path(), kind: "an SVG drawing", advice })
        }
        _ => {
            let kind = RAW_EXTENSIONS.iter().find(|e| **e == extension)?;
            Some(Error::Raw { path: path(), kind })
        }
    }
}
