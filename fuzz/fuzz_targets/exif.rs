//! Any bytes as an EXIF blob: read, made true and put together again, never a panic, and never longer
//! than it was.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| impasto::image::fuzzing::exif(bytes));
