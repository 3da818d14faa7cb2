//! Any bytes as a pipeline file: settings or problems that can be shown, never a panic.
#![no_main]

use std::fs;
use std::path::PathBuf;
use std::sync::OnceLock;

use impasto::config;
use libfuzzer_sys::fuzz_target;
use miette::{GraphicalReportHandler, GraphicalTheme};

/// A folder with the pictures that the corpus names.
fn folder() -> &'static PathBuf {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let folder = tempfile::tempdir().expect("a temporary folder").keep();
        for name in ["a.jpg", "b.png"] {
            fs::write(folder.join(name), "x").expect("written");
        }
        folder
    })
}

fuzz_target!(|bytes: &[u8]| {
    // Paths that lead out of the folder would have the fuzzer list this machine's files.
    if bytes.windows(2).any(|pair| pair == b".." || pair == b"**") || bytes.contains(&b'/') || bytes.contains(&b'\\') {
        return;
    }
    let path = folder().join("pipeline.toml");
    fs::write(&path, bytes).expect("written");
    match config::load(&path, &[]) {
        Ok(config) => {
            let _ = config.outputs();
            let _ = config.run.listing(&config.home);
            for variant in &config.variants {
                let _ = variant.settings.listing(&config.home);
            }
        }
        Err(problems) => {
            let mut shown = String::new();
            let handler = GraphicalReportHandler::new_themed(GraphicalTheme::unicode_nocolor());
            handler.render_report(&mut shown, &problems).expect("a report can be shown");
            assert!(problems.iter().next().is_some());
        }
    }
});
