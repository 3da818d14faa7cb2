//! Standard output that cannot be written, and one that nobody reads.

use std::process::Stdio;

use crate::folder::Folder;

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
