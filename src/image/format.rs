//! The picture formats that are read.

use std::fmt;

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
    /// Truevision TGA; it has no signature; the extension decides.
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
