//! Telling picture formats apart by their first bytes, and naming the ones that are not read.

use std::fmt;
use std::path::Path;

use super::Error;

/// A picture format that can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// Portable Network Graphics.
    Png,
    /// JPEG.
    Jpeg,
    /// TIFF and BigTIFF.
    Tiff,
    /// WebP, lossy or lossless.
    WebP,
    /// Windows bitmap.
    Bmp,
    /// GIF with one frame.
    Gif,
    /// The netpbm family: PBM, PGM, PPM, PAM.
    Pnm,
    /// Truevision TGA; it has no signature and is told by its extension.
    Tga,
    /// Quite OK Image.
    Qoi,
    /// Radiance HDR (linear light).
    Hdr,
    /// OpenEXR (linear light).
    Exr,
    /// farbfeld.
    Farbfeld,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Format::Png => "PNG",
            Format::Jpeg => "JPEG",
            Format::Tiff => "TIFF",
            Format::WebP => "WebP",
            Format::Bmp => "BMP",
            Format::Gif => "GIF",
            Format::Pnm => "PNM",
            Format::Tga => "TGA",
            Format::Qoi => "QOI",
            Format::Hdr => "Radiance HDR",
            Format::Exr => "OpenEXR",
            Format::Farbfeld => "farbfeld",
        })
    }
}

/// Extensions of cameras' raw files; most of them are TIFF inside and would otherwise open as their
/// thumbnail.
const RAW_EXTENSIONS: [&str; 30] = [
    "3fr", "arw", "cr2", "cr3", "crw", "dcr", "dng", "erf", "fff", "iiq", "k25", "kdc", "mef",
    "mos", "mrw", "nef", "nrw", "orf", "pef", "raf", "raw", "rw2", "rwl", "sr2", "srf", "srw",
    "x3f", "gpr", "mdc", "bay",
];

/// Tells the format from the first bytes of a file (64 are enough) and, where there is no
/// signature, its extension.
///
/// # Errors
///
/// The error that fits best when the format is not read: HEIC, camera raw, another known kind, or
/// not a picture.
pub(crate) fn sniff(path: &Path, head: &[u8]) -> Result<Format, Error> {
    let extension = path.extension().and_then(|e| e.to_str()).unwrap_or("").to_ascii_lowercase();
    let at = |offset: usize, bytes: &[u8]| {
        head.get(offset..).is_some_and(|rest| rest.starts_with(bytes))
    };
    let starts = |bytes: &[u8]| at(0, bytes);
    if let Some(error) = refused(path, head, &extension) {
        return Err(error);
    }
    let format = if starts(b"\x89PNG\r\n\x1a\n") {
        Format::Png
    } else if starts(b"\xff\xd8\xff") {
        Format::Jpeg
    } else if starts(b"II*\0") || starts(b"MM\0*") || starts(b"II+\0") || starts(b"MM\0+") {
        Format::Tiff
    } else if starts(b"RIFF") && at(8, b"WEBP") {
        Format::WebP
    } else if starts(b"GIF87a") || starts(b"GIF89a") {
        Format::Gif
    } else if starts(b"BM") {
        Format::Bmp
    } else if starts(b"qoif") {
        Format::Qoi
    } else if starts(b"#?RADIANCE") || starts(b"#?RGBE") {
        Format::Hdr
    } else if starts(b"\x76\x2f\x31\x01") {
        Format::Exr
    } else if starts(b"farbfeld") {
        Format::Farbfeld
    } else if head.len() > 2
        && head[0] == b'P'
        && (b'1'..=b'7').contains(&head[1])
        && head[2].is_ascii_whitespace()
    {
        Format::Pnm
    } else if extension == "tga" {
        Format::Tga
    } else {
        return Err(Error::NotAPicture { path: path.to_path_buf() });
    };
    Ok(format)
}

/// The error for a file of a known kind that is not read.
fn refused(path: &Path, head: &[u8], extension: &str) -> Option<Error> {
    let path_buf = || path.to_path_buf();
    let at = |offset: usize, bytes: &[u8]| {
        head.get(offset..).is_some_and(|rest| rest.starts_with(bytes))
    };
    let starts = |bytes: &[u8]| at(0, bytes);
    if at(4, b"ftyp") {
        let brand = head.get(8..12).unwrap_or_default();
        return Some(match brand {
            b"crx " => Error::Raw { path: path_buf(), kind: "Canon CR3" },
            b"avif" | b"avis" => Error::Heif { path: path_buf(), kind: "AVIF" },
            b"heic" | b"heix" | b"heim" | b"heis" | b"hevc" | b"hevx" | b"mif1" | b"msf1" => {
                Error::Heif { path: path_buf(), kind: "HEIC" }
            }
            _ => Error::Foreign {
                path: path_buf(),
                kind: "a video or another MP4-like container",
                advice: "extract a frame first, for example with ffmpeg",
            },
        });
    }
    let raw = |kind: &'static str| Some(Error::Raw { path: path.to_path_buf(), kind });
    let foreign = |kind: &'static str, advice: &'static str| {
        Some(Error::Foreign { path: path.to_path_buf(), kind, advice })
    };
    let export = "export it as a TIFF or PNG first";
    if starts(b"FUJIFILMCCD-RAW") {
        return raw("Fujifilm RAF");
    } else if starts(b"IIU\0") {
        return raw("Panasonic RW2");
    } else if starts(b"IIRO") || starts(b"IIRS") || starts(b"MMOR") {
        return raw("Olympus ORF");
    } else if at(8, b"CR\x02\0") && starts(b"II*\0") {
        return raw("Canon CR2");
    } else if starts(b"FOVb") {
        return raw("Sigma X3F");
    } else if starts(b"\0MRM") {
        return raw("Minolta MRW");
    } else if at(6, b"HEAPCCDR") {
        return raw("Canon CRW");
    } else if starts(b"8BPS") {
        return foreign("a Photoshop document", export);
    } else if starts(b"%PDF") || starts(b"%!PS") {
        return foreign(
            "a PDF or PostScript document",
            "render it to a TIFF or PNG first, for example with pdftoppm",
        );
    } else if starts(b"\xff\x0a") || at(4, b"JXL \r\n\x87\n") {
        return foreign("a JPEG XL picture", "convert it first, for example with djxl");
    } else if starts(b"\xff\x4f\xff\x51") || at(4, b"jP  \r\n\x87\n") {
        return foreign("a JPEG 2000 picture", "convert it first, for example with opj_decompress");
    } else if starts(b"<svg") || (starts(b"<?xml") && extension == "svg") {
        return foreign(
            "an SVG drawing",
            "render it to a PNG first, for example with rsvg-convert",
        );
    } else if starts(b"gimp xcf") {
        return foreign("a GIMP document", export);
    } else if matches!(extension, "heic" | "heif")
        && !starts(b"\xff\xd8\xff")
        && !starts(b"\x89PNG")
    {
        return Some(Error::Heif { path: path_buf(), kind: "HEIC" });
    }
    // A JPEG or PNG that is only named like a raw file is read for what it is.
    let is_known = starts(b"\xff\xd8\xff") || starts(b"\x89PNG");
    let found = RAW_EXTENSIONS.iter().find(|e| **e == extension)?;
    if is_known { None } else { raw(found) }
}
