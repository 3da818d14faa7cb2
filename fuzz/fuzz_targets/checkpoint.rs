//! Any bytes as a checkpoint's manifest or a vector's header: what they tell or what is wrong,
//! never a panic.
//!
//! A fuzzer does not find checksums, so the bytes are read as they are and behind a right first
//! line.
#![no_main]

use impasto::journal::checkpoint::{Stage, parse_header, parse_manifest};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = parse_header(bytes);
    let _ = parse_manifest(bytes);
    let head = format!("impasto-checkpoint 1 {:08x} {}\n", crc32fast::hash(bytes), bytes.len());
    if let Ok(manifest) = parse_manifest(&[head.as_bytes(), bytes].concat()) {
        let canvas = match &manifest.stage {
            Stage::LevelDone { file, .. } => file.as_deref(),
            Stage::Exact { .. } => None,
        };
        // Whatever a checkpoint names lies in its own directory.
        for name in manifest.vectors.iter().map(|vector| vector.file.as_str()).chain(canvas) {
            assert!(!name.starts_with('/') && name.split('/').all(|part| part != ".."), "{name}");
        }
    }
});
