//! Any bytes as an XMP packet: made true, never a panic and never slow.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| impasto::image::fuzzing::xmp(bytes));
