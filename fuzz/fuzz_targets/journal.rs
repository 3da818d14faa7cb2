//! Any bytes as a run's events: where the run stands or the line that is damaged, never a panic.
//!
//! A fuzzer does not find checksums, so the bytes are read twice: as they are, and with every line
//! sealed by a right one.
#![no_main]

use impasto::journal::{Replay, replay};
use libfuzzer_sys::fuzz_target;

/// What `run` and `status` ask of a journal.
fn ask(mut replay: Replay) {
    let added = std::mem::take(&mut replay.added);
    replay.status.describe(&added);
    let status = &replay.status;
    let _ = (status.work(), status.done(), status.speed(), status.seconds_left(), status.current());
    serde_json::to_string(status).expect("a status can be shown as JSON");
}

fuzz_target!(|bytes: &[u8]| {
    if let Ok(replay) = replay(bytes) {
        assert!(replay.whole <= bytes.len());
        ask(replay);
    }
    let sealed: Vec<u8> = bytes
        .split(|byte| *byte == b'\n')
        .flat_map(|body| [body, format!(",\"crc\":\"{:08x}\"}}\n", crc32fast::hash(body)).as_bytes()].concat())
        .collect();
    if let Ok(replay) = replay(&sealed) {
        ask(replay);
    }
});
