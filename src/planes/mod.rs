//! Planes of floats on disk, in one sealed format: vectors of checkpoints, canvases and tiles of
//! rounds, statistics of styles.
//!
//! A file holds values `[C, H, W]`, float32 or float64, to the last bit. All numbers are
//! little-endian:
//!
//! ```text
//! 64 bytes   head: `impasto-planes`, the format as u16, bytes of a value as u32 (4 or 8), u32 0,
//!            C, H, W and the label's length as u64, u32 0, CRC-32 of the head's other bytes
//! label      what the planes are of, UTF-8
//! values     row after row: the line of each plane, W values
//! 4 H bytes  the CRC-32 of each row's bytes
//! 4 bytes    the seal: CRC-32 of head, label and the rows' CRC-32s
//! ```
//!
//! A row is written once, from the top down ([`PlaneWriter`]), and its checksum is compared each
//! time it is read ([`PlaneFile`]), so that bands and rectangles are read and verified alone.
//! A file appears under its name only when all of it is on the disk. One that is not exactly what
//! was written is [`PlaneError::Damaged`]; a file of another format is never called damaged.
//!
//! Formats:
//! - 1 (0.1.0): the first. Three formats of development versions, `impasto-vector-1`,
//!   `impasto-canvas-1` and `impasto-targets 1`, are refused by name.

mod error;
mod head;
mod positioned;
mod read;
mod value;
mod write;

pub use error::PlaneError;
pub use head::{Head, LENGTH as HEAD_LENGTH, Shape};
pub use read::PlaneFile;
pub use value::Value;
pub use write::PlaneWriter;
