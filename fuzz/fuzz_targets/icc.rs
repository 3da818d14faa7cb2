//! Any bytes as an ICC profile: colours in 0..1 or a reason, never a panic.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| impasto::image::fuzzing::icc(bytes));
