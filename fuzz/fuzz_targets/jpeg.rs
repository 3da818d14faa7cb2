//! Any bytes as a JPEG.
#![no_main]

use impasto::image::fuzzing;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if bytes.starts_with(b"\xff\xd8\xff") {
        fuzzing::picture(bytes);
    }
});
