//! Any bytes as a JPEG: a picture or an error that names it in one line, never a panic and never more memory
//! than is allowed.
#![no_main]

use std::path::Path;

use impasto::image::{Limits, decode_bytes};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if !bytes.starts_with(b"\xff\xd8\xff") {
        return;
    }
    match decode_bytes(Path::new("x"), bytes, &Limits::bytes(32 << 20)) {
        Ok(picture) => {
            assert_eq!(picture.pixels.len(), 3 * picture.width as usize * picture.height as usize);
            assert!(picture.pixels.iter().all(|v| (0.0..=1.0).contains(v)));
        }
        Err(error) => {
            let text = error.to_string();
            assert!(text.starts_with("x") && text.lines().count() == 1, "{text}");
            assert!(!text.contains("gave up"), "a decoder panicked");
        }
    }
});
