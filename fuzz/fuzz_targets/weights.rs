//! Any bytes as a weights file: checked weights or a list of problems, never a panic and never more
//! memory than the file.
#![no_main]

use std::borrow::Cow;

use impasto::network::Weights;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Err(error) = Weights::from_bytes(Cow::Owned(bytes.to_vec()), "the file".into()) {
        assert!(!error.to_string().is_empty());
    }
});
