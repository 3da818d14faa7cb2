//! Pictures in and out: decoding, colour, resizing, encoding.
//!
//! Owns everything between a file and a planar float canvas, in both directions. It does not know
//! what the pictures are for, how large a print is, or where jobs keep their files.
//!
//! The working space is display-coded sRGB in 0..1 as `f32`, planar `[3, H, W]`.

mod assemble;
mod bleed;
mod colour;
mod error;
mod exif;
mod format;
#[doc(hidden)]
pub mod fuzzing;
mod icc;
mod ifd;
mod orientation;
mod picture;
mod read;
mod resize;
mod write;
mod xmp;

pub use colour::{Intent, coded_from_linear, content_colours, linear_from_coded};
pub use error::Error;
pub use format::Format;
pub use orientation::Orientation;
pub use picture::{ColourKind, Limits, Picture, Probe, SourceInfo};
pub use read::{decode, decode_bytes, probe, silence_decoder_panics};
pub use resize::{Light, Window, resize, resize_rows};
pub use write::{
    Compression, Encoding, OutputFormat, OutputProfile, PreviewWriter, PyramidWriter, Rows, Tiling,
    Writer, encode_picture,
};
