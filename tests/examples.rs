//! The examples as a reader runs them, on small pictures.

#![allow(clippy::unwrap_used, reason = "a test that cannot begin has failed")]

use std::path::{Path, PathBuf};
use std::process::Command;

/// A folder with a tiny pipeline, and the example's program.
struct Example {
    folder: tempfile::TempDir,
    program: PathBuf,
}

impl Example {
    fn new(name: &str) -> Self {
        let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("samples");
        let folder = tempfile::tempdir().unwrap();
        let text = format!(
            "input.content = '{}'\nstyle.image = '{}'\npyramid.evaluations = 6\n\
             output = {{ directory = 'out', long-side-px = 96, name = 'picture.png' }}\n",
            samples.join("content/chelsea.png").display(),
            samples.join("style/starry_night.png").display(),
        );
        std::fs::write(folder.path().join("pipeline.toml"), text).unwrap();
        // Cargo builds examples beside the folder that the tests are in.
        let tests = std::env::current_exe().unwrap().parent().unwrap().to_path_buf();
        let name = format!("{name}{}", std::env::consts::EXE_SUFFIX);
        let program = tests.parent().unwrap().join("examples").join(name);
        assert!(program.is_file(), "`cargo test` without `--test` builds the examples first");
        Self { folder, program }
    }

    fn run(&self, arguments: &[&str]) -> String {
        let mut command = Command::new(&self.program);
        let ran = command.args(arguments).current_dir(self.folder.path()).output().unwrap();
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
        String::from_utf8(ran.stdout).unwrap()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

#[test]
fn paint_paints_and_names_the_picture() {
    let example = Example::new("paint");
    let printed = example.run(&["pipeline.toml"]);
    assert!(printed.trim_end().ends_with("picture.png"), "{printed}");
    assert!(example.path("out/picture.png").is_file());
}

#[test]
fn losses_prints_a_line_for_each_evaluation() {
    let example = Example::new("losses");
    let printed = example.run(&["pipeline.toml"]);
    assert!(printed.starts_with("96x64 px\n"), "{printed}");
    assert_eq!(printed.matches("content ").count(), 6, "{printed}");
}

#[test]
fn frames_saves_numbered_pictures() {
    let example = Example::new("frames");
    let printed = example.run(&["pipeline.toml", "film", "2"]);
    assert_eq!(printed, "2 frames in film\n");
    for frame in ["film/frame-00000.png", "film/frame-00001.png"] {
        assert_eq!(image::image_dimensions(example.path(frame)).unwrap(), (96, 64));
    }
}

#[test]
fn score_prints_every_tap() {
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("samples");
    let sample = |name: &str| samples.join(name).display().to_string();
    let example = Example::new("score");
    let printed = example.run(&[
        &sample("content/chelsea.png"),
        &sample("content/chelsea.png"),
        &sample("style/starry_night.png"),
    ]);
    for layer in ["relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu4_2", "relu5_1", "total"] {
        assert!(printed.contains(layer), "{printed}");
    }
    // A picture is its own content.
    assert!(printed.contains("relu4_2  content 0.0000e0"), "{printed}");
}
