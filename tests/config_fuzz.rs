//! Whatever a pipeline file holds, loading it ends with settings or with problems that can be
//! shown, never with a panic.

use std::fs;

use impasto::config;
use miette::{Diagnostic, GraphicalReportHandler, GraphicalTheme};
use proptest::prelude::*;

const WHOLE: &str = r#"
[input]
content = ["a.jpg", "*.png"]

[[style]]
image = "a.jpg"
weight = 1.0
scale = 1.0

[output]
directory = "out"
name = "{content}-{style}-{variant}.tiff"
size = "24x36in"
dpi = 300
crop-focus = [0.5, 0.25]
bit-depth = 16

[objective]
preset = "spst"
style-layers = { relu1_1 = 1.0, relu5_1 = 2 }
content-layers = ["relu4_2"]
[start]
from = "noise"
noise-ratio = 1
seed = 7
[pyramid]
evaluations = [600, 200]
[tiling]
core-px = "auto"
[compute]
devices = ["cuda:0", "cuda:1"]
memory-gib = 3.5
[budget]
until = 07:00
[[variant]]
name = "übel"
optimise.method = "adam"
[[variant]]
name = "two"
output = { dither = false }
"#;

fn shown(problem: &dyn Diagnostic) -> String {
    let handler = GraphicalReportHandler::new_themed(GraphicalTheme::none()).with_width(100);
    let mut text = String::new();
    handler.render_report(&mut text, problem).expect("problems can be shown");
    text
}

/// Loads `bytes` as a pipeline and shows what is wrong with them.
fn survives(bytes: &[u8], overrides: &[String]) {
    let folder = tempfile::tempdir().expect("temporary folder");
    for name in ["a.jpg", "b.png"] {
        fs::write(folder.path().join(name), "x").expect("written");
    }
    let path = folder.path().join("p.toml");
    fs::write(&path, bytes).expect("written");
    match config::load(&path, overrides) {
        Ok(config) => {
            assert!(!config.variants.is_empty());
            assert!(!config.outputs().is_empty());
            assert!(config::json_of(&config.run.listing(&config.home)).is_object());
            for variant in &config.variants {
                let listing = variant.settings.listing(&config.home);
                assert!(!listing.is_empty() && config::json_of(&listing).is_object());
            }
            config.warnings.iter().for_each(|warning| assert!(!shown(warning).is_empty()));
        }
        Err(problems) => {
            assert!(problems.iter().count() > 0);
            let text = shown(&problems);
            assert!(problems.iter().all(|problem| {
                text.contains(problem.to_string().split_whitespace().next().unwrap_or(""))
            }));
        }
    }
}

/// A piece of something like TOML.
fn piece() -> impl Strategy<Value = String> {
    let tables = "input|style|output|color|objective|start|pyramid|optimise|tiling|compute|network|watch|checkpoint|batch|budget|variant|extends";
    let keys = "content|image|name|size|scale|width-mm|long-side-px|dpi|crop-focus|preset|style-layers|from|evaluations|core-px|devices|until|bit-depth";
    let values = "1|-1|1e999|nan|-inf|99999999999999999999999999999999999999999|true|''|'a.jpg'|'\\*.png'|'\\[a'|'\\*\\*\\*'|\\[\\]|\\[1,'x',\\{\\}\\]|\\{\\}|\\{relu1_1=1,relu9=-1\\}|07:00|'A3'|'p.toml'|'/'|'\\{content\\}.png'|\"é\\\\u0000\"";
    prop_oneof![
        3 => (tables, keys, values).prop_map(|(table, key, value)| format!("{table}.{key} = {value}\n")),
        3 => (keys, values).prop_map(|(key, value)| format!("{key} = {value}\n")),
        2 => (tables, values).prop_map(|(table, value)| format!("{table} = {value}\n")),
        2 => tables.prop_map(|table| format!("[{table}]\n")),
        2 => tables.prop_map(|table| format!("[[{table}]]\n")),
        1 => "[\\PC\n]{0,12}",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 250, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn text_like_toml(pieces in prop::collection::vec(piece(), 0..14), sets in prop::collection::vec("[a-z.0-9=\\[\\]'{} -]{0,24}", 0..3)) {
        survives(pieces.concat().as_bytes(), &sets);
    }

    #[test]
    fn a_whole_pipeline_with_bytes_changed(changes in prop::collection::vec((0..WHOLE.len(), any::<u8>(), 0..4_u8), 1..6)) {
        let mut bytes = WHOLE.as_bytes().to_vec();
        for (at, byte, kind) in changes {
            let at = at.min(bytes.len().saturating_sub(1));
            match kind {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte & 0x7f),
                2 => { bytes.remove(at); }
                _ => bytes.truncate(at + 1),
            }
        }
        survives(&bytes, &[]);
    }

    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        survives(&bytes, &[]);
    }

    #[test]
    fn whole_lines_moved_about(order in Just(WHOLE.lines().map(str::to_owned).collect::<Vec<_>>()).prop_shuffle()) {
        survives(order.join("\n").as_bytes(), &["output.scale=2".to_owned()]);
    }
}

#[test]
fn the_whole_pipeline_is_sound_before_it_is_changed() {
    let folder = tempfile::tempdir().expect("temporary folder");
    for name in ["a.jpg", "b.png"] {
        fs::write(folder.path().join(name), "x").expect("written");
    }
    let path = folder.path().join("p.toml");
    fs::write(&path, WHOLE).expect("written");
    let config = config::load(&path, &[]).expect("sound");
    assert_eq!(config.outputs().len(), 4);
}
