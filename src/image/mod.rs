//! Pictures in and out: decoding, colour, resizing, encoding.
//!
//! Owns everything between a file and a planar float canvas, in both directions. It does not know
//! what the pictures are for, how large a print is, or where jobs keep their files.
//!
//! The working space is display-coded sRGB in 0..1 as `f32`, planar `[3, H, W]`.
//!
//! # What is worked around in crates
//!
//! | crate | what it does | what is done here | issue |
//! |---|---|---|---|
//! | moxcms 0.8.1, 0.9.2 (pxfm 0.1.30) | a curve of one entry below a gamma of 2.05 makes 0 huge | the entry becomes a formula (`colour::profile`) | none known |
//! | moxcms 0.8.1, 0.9.2 | takes three curves for one when two of them are equal | curves that differ become tables (`colour::profile`) | none known |
//! | moxcms 0.8.1, 0.9.2 | refuses grey profiles over Lab | the curve gives light instead of lightness (`colour::profile`) | awxkee/moxcms#169 |
//! | jpeg-decoder 0.3.2 | fills scans that end early with zeros, without a word | each scan is followed by bait (`read::jpeg::stream`) | none known |
//! | jpeg-decoder 0.3.2 | leaves unfinished progressive files as they are | what the scans have coded is counted (`read::jpeg::stream`) | none known |
//! | jpeg-decoder 0.3.2 | refuses frames without height, missing end markers, Huffman tables 2 and 3 of baseline frames | filled in or renamed (`read::jpeg::stream`) | image-rs/jpeg-decoder#98 |
//! | jpeg-decoder 0.3.2 | takes three components of the ids 1, 2, 3 for luma and chroma, whatever Adobe's marker says | libjpeg's rules decide (`read::jpeg`) | image-rs/jpeg-decoder#249 |
//! | jpeg-decoder 0.3.2 | counts too many blocks in scans of single components beside sampling factors of 4 and 2 | refused (`read::jpeg::head`) | none known |
//! | jpeg-encoder 0.7.1 | writes no comments | put in behind the first segment (`write::jpeg`) | none known |
//! | png 0.18.1 | reads no `eXIf` behind the pixels, drops profiles with a wrong checksum, names every profile `_` | chunks walked and written here (`read::png::chunks`, `write::png`) | w3c/png#447 |
//! | fax 0.3.0 | gives no last line without the mark that ends lines | taken where it is as long as the picture is wide (`read::tiff::unpack`) | none known |
//! | tiff 0.11.3 | see below | directories and strips are read and written here (`read::tiff`, `write::tiff`, `ifd`) | image-rs/image-tiff#296, #417 |
//!
//! The tiff crate refuses TIFFs without byte counts, with reversed bits, palettes, odd depths or a
//! loop of directories, knows no thumbnails, takes JPEG inside for RGB, and cannot write packed
//! strips one by one. Tests use it as another decoder.

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
pub use read::{decode, decode_bytes, decode_rows, probe, recipe, silence_decoder_panics};
pub use resize::{Light, Window, resize, resize_on_trial, resize_rows};
pub(crate) use write::RECIPE_HEAD;
pub use write::{
    Compression, Encoding, OutputFormat, OutputProfile, PreviewWriter, PyramidWriter, Rows, Tiling,
    Writer, encode_picture,
};
