//! Any bytes as a TIFF or BigTIFF.
#![no_main]

use impasto::image::fuzzing;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if [b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"].iter().any(|head| bytes.starts_with(*head)) {
        fuzzing::picture(bytes);
    }
});
