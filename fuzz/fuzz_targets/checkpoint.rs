//! Any bytes as a checkpoint's manifest, as the head of a file of planes and as such a file: what
//! they tell or what is wrong, never a panic, and no memory for what is not there.
//!
//! A fuzzer does not find checksums, so the bytes are read as they are and behind a right first
//! line or head.
#![no_main]

use impasto::journal::checkpoint::{Stage, parse_manifest};
use impasto::planes::{HEAD_LENGTH, Head, PlaneFile};
use libfuzzer_sys::fuzz_target;

/// A manifest's bytes with a right first line.
fn with_line(body: &[u8]) -> Vec<u8> {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&2u32.to_le_bytes());
    hasher.update(body);
    let line = format!("impasto-checkpoint 2 {:08x} {}\n", hasher.finalize(), body.len());
    [line.as_bytes(), body].concat()
}

/// The bytes with the right checksum of a head, if they are long enough for one.
fn with_head(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    if bytes.len() >= HEAD_LENGTH {
        bytes[..16].copy_from_slice(b"impasto-planes\x01\0");
        let crc = crc32fast::hash(&bytes[..HEAD_LENGTH - 4]);
        bytes[HEAD_LENGTH - 4..HEAD_LENGTH].copy_from_slice(&crc.to_le_bytes());
    }
    bytes
}

fuzz_target!(|bytes: &[u8]| {
    let _ = parse_manifest(bytes);
    if let Ok(manifest) = parse_manifest(&with_line(bytes)) {
        let canvas = match &manifest.stage {
            Stage::LevelDone { canvas, .. } => canvas.as_ref(),
            Stage::Exact { .. } => None,
        };
        // Whatever a checkpoint names lies in its own directory.
        for name in manifest.vectors.iter().chain(canvas).map(|sealed| sealed.file.as_str()) {
            assert!(!name.starts_with('/') && name.split('/').all(|part| part != ".."), "{name}");
        }
    }
    let planes = with_head(bytes);
    for bytes in [bytes, &planes] {
        let _ = Head::parse(bytes);
    }
    let path = std::env::temp_dir().join(format!("impasto-fuzz-{}.planes", std::process::id()));
    if std::fs::write(&path, &planes).is_ok() {
        if let Ok(file) = PlaneFile::<f32>::open(&path) {
            let _ = file.verify().and_then(|()| file.read_all().map(drop));
        }
        if let Ok(file) = PlaneFile::<f64>::open(&path) {
            let _ = file.read_all();
        }
    }
});
