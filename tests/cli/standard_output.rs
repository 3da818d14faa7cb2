//! Standard output that cannot be written, and one that nobody reads.

use std::process::Stdio;

use crate::folder::{Folder, repository};

/// Commands that print, and need little time.
const COMMANDS: [&[&str]; 7] = [
    &["plan", "pipeline.toml", "--json"],
    &["plan", "pipeline.toml"],
    &["score", "photo.png", "--content", "photo.png", "--style", "painting.png"],
    &["run", "pipeline.toml", "--json"],
    &["status", "out", "--json"],
    &["completions", "bash"],
    &["--help"],
];

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_under_standard_output_is_an_error() {
    let folder = Folder::new();
    for command in COMMANDS {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let ran = folder.process(command).stdout(full).output().unwrap();
        let said = String::from_utf8(ran.stderr).unwrap();
        assert_eq!(ran.status.code(), Some(1), "{command:?}: {said}");
        assert!(said.contains("cannot write to standard output"), "{command:?}: {said}");
        assert!(!said.contains("panicked"), "{command:?}: {said}");
    }
}

#[test]
fn a_reader_of_standard_output_who_has_left_is_no_error() {
    let folder = Folder::new();
    for command in COMMANDS {
        let mut process = folder.process(command);
        let mut child = process.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let ran = child.wait_with_output().unwrap();
        let said = String::from_utf8(ran.stderr).unwrap();
        assert_eq!(ran.status.code(), Some(0), "{command:?}: {said}");
        assert!(!said.contains("panicked"), "{command:?}: {said}");
    }
}

/// The keys of a JSON value and of its parts.
fn keys(value: &serde_json::Value) -> Vec<String> {
    match value {
        serde_json::Value::Array(items) => items.iter().flat_map(keys).collect(),
        serde_json::Value::Object(fields) => fields
            .iter()
            .flat_map(|(key, value)| [vec![key.clone()], keys(value)].concat())
            .collect(),
        _ => Vec::new(),
    }
}

#[test]
fn every_key_of_every_json_is_kebab_case() {
    let folder = Folder::new();
    let photograph = repository("samples/content/chelsea.png");
    let photograph = photograph.to_str().unwrap();
    let mut seen = 0;
    for command in [
        &["plan", "pipeline.toml", "--json"][..],
        &["run", "pipeline.toml", "--json"],
        &["status", "out", "--json"],
        &["score", "photo.png", "--content", "photo.png", "--style", "painting.png", "--json"],
        &["seams", photograph, "--core-px", "64", "--json"],
        &["bench", "--size", "64", "--evaluations", "1", "--threads", "1", "--json"],
    ] {
        let out = folder.call(command).exits(0).out;
        let values = serde_json::Deserializer::from_str(&out).into_iter::<serde_json::Value>();
        for key in values.flat_map(|value| keys(&value.unwrap())) {
            // Layers have names of their own.
            let layer = key.starts_with("relu") || key.starts_with("conv");
            assert!(layer || !key.contains(['_', ' ']), "`{key}` of {command:?}");
            assert_eq!(key, key.to_lowercase(), "{command:?}");
            seen += 1;
        }
    }
    assert!(seen > 100, "{seen} keys");
}
