//! What can go wrong with a picture: one clear line each, naming the file.

use std::path::PathBuf;

use super::Format;
use crate::memory::NoMemory;
use crate::{files, format};

/// Why a picture could not be read or written. Every message names the path.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no such file.
    #[error("{}: no such file", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// The path is a directory.
    #[error("{}: is a directory, not a picture", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
    },
    /// The file has no bytes.
    #[error("{}: the file is empty (0 bytes)", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// The signature is that of no picture format.
    #[error("{}: not a picture (readable are PNG, JPEG, TIFF, WebP, BMP, PNM, TGA, QOI, HDR, EXR, farbfeld and single-frame GIF)", path.display())]
    NotAPicture {
        /// The file.
        path: PathBuf,
    },
    /// The file stops before the picture does.
    #[error("{}: the {format} file is truncated: it ends before the picture does; copy it again, or save what a viewer shows of it as another picture", path.display())]
    Truncated {
        /// The file.
        path: PathBuf,
        /// The format by its signature.
        format: Format,
    },
    /// The contents contradict the format.
    #[error("{}: the {format} file is damaged: {detail}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The format by its signature.
        format: Format,
        /// The decoder's reason.
        detail: String,
    },
    /// A kind of the format that is not read.
    #[error("{}: this {format} has {what}, which impasto does not read; {advice}", path.display())]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// The format by its signature.
        format: Format,
        /// What it has that is not read.
        what: String,
        /// What to do about it: a command that converts the file.
        advice: String,
    },
    /// A width or height of zero.
    #[error("{}: the {format} picture has no pixels ({width} x {height})", path.display())]
    ZeroSized {
        /// The file.
        path: PathBuf,
        /// The format by its signature.
        format: Format,
        /// Width in pixels as the header says.
        width: u32,
        /// Height in pixels as the header says.
        height: u32,
    },
    /// More than one frame.
    #[error("{}: an animated {format} with {frames} frames; extract one first, for example: ffmpeg -i {} -frames:v 1 still.png", path.display(), path.display())]
    Animated {
        /// The file.
        path: PathBuf,
        /// The format by its signature.
        format: Format,
        /// How many frames it has.
        frames: usize,
    },
    /// Decoding would take more memory than allowed.
    #[error("{}: {width} x {height} pixels would take {} of memory, the limit is {}", path.display(), format::bytes(*needed), format::bytes(*limit))]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
        /// Bytes that decoding would take.
        needed: u64,
        /// Bytes allowed.
        limit: u64,
    },
    /// The system has no memory for decoding it.
    #[error("{}: {source}; fewer pictures at once (batch.parallel-jobs) or less compute.memory-gib may do", path.display())]
    Memory {
        /// The file.
        path: PathBuf,
        /// What was asked for.
        source: NoMemory,
    },
    /// CMYK without a usable profile.
    #[error("{}: a CMYK picture {reason}; convert it to RGB first, for example: magick {} -profile CMYK.icc -profile sRGB.icc rgb.tif", path.display(), path.display())]
    Cmyk {
        /// The file.
        path: PathBuf,
        /// Why it cannot be converted here.
        reason: String,
    },
    /// HEIC or AVIF.
    #[error("{}: a {kind} picture, which impasto does not read; convert it first, for example: heif-convert {} picture.png", path.display(), path.display())]
    Heif {
        /// The file.
        path: PathBuf,
        /// `HEIC` or `AVIF`.
        kind: &'static str,
    },
    /// A camera's raw file.
    #[error("{}: a camera raw file ({kind}), which impasto does not develop; export it as a 16-bit TIFF from a raw developer such as darktable or RawTherapee", path.display())]
    Raw {
        /// The file.
        path: PathBuf,
        /// The maker's format.
        kind: &'static str,
    },
    /// Another kind of file that people take for a picture.
    #[error("{}: {kind}, which impasto does not read; {advice}", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What it is.
        kind: &'static str,
        /// What to do about it.
        advice: &'static str,
    },
    /// The system could not read the file.
    #[error("{}: cannot be read: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The output cannot be encoded as asked.
    #[error("{}: {reason}", path.display())]
    Encoding {
        /// The output file.
        path: PathBuf,
        /// What is asked for and why it cannot be.
        reason: String,
    },
    /// Rows given to a writer do not fit the picture.
    #[error("{}: {reason}", path.display())]
    Rows {
        /// The output file.
        path: PathBuf,
        /// What is wrong with them.
        reason: String,
    },
    /// A colour profile cannot be used.
    #[error("{name}: {reason}")]
    Profile {
        /// Where the profile is from.
        name: String,
        /// Why it cannot be used.
        reason: String,
    },
    /// The system could not write the file.
    #[error("{}: cannot be written: {source}", path.display())]
    Write {
        /// The output file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The output's file cannot be created or renamed.
    #[error(transparent)]
    File(#[from] files::Error),
}
