//! A temporary folder with two pictures and a pipeline, and the program to run in it.

use std::path::{Path, PathBuf};
use std::process::Output;

use assert_cmd::Command;
use tempfile::TempDir;

/// The pipeline of most tests: 96 px, layers of the first two blocks, four evaluations.
const PIPELINE: &str = r#"
input.content = "photo.png"
style.image = "painting.png"

[output]
directory = "out"
long-side-px = 96

[objective]
preset = "gatys"
content-layers = ["relu2_1"]
style-layers = ["relu1_1", "relu2_1"]

[pyramid]
short-side-px = 64
evaluations = 4

[compute]
threads = 1
"#;

/// Where [`PIPELINE`] puts its picture.
pub const RESULT: &str = "out/photo-painting.png";

/// A folder that is gone when the test is over.
pub struct Folder(TempDir);

impl Folder {
    /// A photograph of 96x64 px, a painting of 80x64 px, and the pipeline `pipeline.toml`.
    pub fn new() -> Self {
        let folder = Self(tempfile::tempdir().expect("a temporary folder"));
        sample("content/chelsea.png")
            .crop_imm(100, 60, 192, 128)
            .thumbnail_exact(96, 64)
            .save(folder.path("photo.png"))
            .expect("photo");
        sample("style/starry_night.png")
            .thumbnail_exact(80, 64)
            .save(folder.path("painting.png"))
            .expect("painting");
        folder.write("pipeline.toml", PIPELINE);
        folder
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(&path, bytes).expect("a file");
        path
    }

    /// The program in this folder, deaf to what the developer's shell says.
    pub fn impasto(&self, arguments: &[&str]) -> Command {
        let mut command = Command::cargo_bin("impasto").expect("the program");
        command
            .current_dir(self.0.path())
            .env_remove("RUST_LOG")
            .env_remove("IMPASTO_ISA")
            .env("NO_COLOR", "1")
            .args(arguments);
        command
    }

    /// The same as a process that can be sent signals.
    pub fn process(&self, arguments: &[&str]) -> std::process::Command {
        let mut command = std::process::Command::new(assert_cmd::cargo::cargo_bin!("impasto"));
        command
            .current_dir(self.0.path())
            .env_remove("RUST_LOG")
            .env_remove("IMPASTO_ISA")
            .env("NO_COLOR", "1")
            .args(arguments);
        command
    }

    /// `impasto run pipeline.toml --restart` with overrides of the form `key=value` and flags: a
    /// run that knows of none before it.
    pub fn run(&self, arguments: &[&str]) -> Ran {
        let mut all = vec!["run", "pipeline.toml", "--restart"];
        for argument in arguments {
            if !argument.starts_with('-') {
                all.push("--set");
            }
            all.push(argument);
        }
        self.call(&all)
    }

    /// Any command of the program, to its end.
    pub fn call(&self, arguments: &[&str]) -> Ran {
        self.call_in(".", arguments)
    }

    /// Any command of the program, started in a folder below this one.
    pub fn call_in(&self, below: &str, arguments: &[&str]) -> Ran {
        let mut command = self.impasto(arguments);
        let output: Output = command.current_dir(self.path(below)).output().expect("it runs");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
        Ran { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }

    /// Names in a folder, hidden ones too, sorted; none when it is not there. `.impasto`, where the
    /// program keeps its own, is left out.
    pub fn names(&self, folder: &str) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(self.path(folder)) else { return vec![] };
        let mut names: Vec<String> = entries
            .map(|e| e.expect("an entry").file_name().to_string_lossy().into_owned())
            .collect();
        names.retain(|name| name != ".impasto");
        names.sort();
        names
    }

    /// Width and height of a picture.
    pub fn size(&self, name: &str) -> (u32, u32) {
        image::image_dimensions(self.path(name)).expect("a picture")
    }
}

/// The lines of a text that begin with `start`.
pub fn lines<'a>(text: &'a str, start: &str) -> Vec<&'a str> {
    text.lines().filter(|line| line.starts_with(start)).collect()
}

/// What a finished process said.
#[derive(Debug)]
pub struct Ran {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Ran {
    /// Asserts the exit code, showing what was said otherwise, and that nothing panicked.
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self:#?}");
        assert!(!self.err.contains("panicked"), "{self:#?}");
        self
    }

    /// Asserts that standard error is one line that holds every one of `words`.
    #[track_caller]
    pub fn one_line(self, words: &[&str]) -> Self {
        assert_eq!(self.err.trim_end().lines().count(), 1, "{self:#?}");
        assert!(self.err.starts_with("error: "), "{self:#?}");
        self.says(words)
    }

    /// Asserts that standard error holds every one of `words`, wherever lines break.
    #[track_caller]
    pub fn says(self, words: &[&str]) -> Self {
        let unbroken = |text: &str| -> String {
            text.chars().filter(|c| !c.is_whitespace() && *c != '│').collect()
        };
        let said = unbroken(&self.err);
        for word in words {
            assert!(said.contains(&unbroken(word)), "no `{word}` in {self:#?}");
        }
        self
    }
}

/// A sample picture of the repository.
pub fn sample(name: &str) -> image::DynamicImage {
    image::open(repository("samples").join(name)).expect("a sample")
}

/// A path in the repository.
pub fn repository(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}
