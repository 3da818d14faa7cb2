//! Any bytes as a PNG.
#![no_main]

use impasto::image::fuzzing;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
        fuzzing::picture(bytes);
    }
});
