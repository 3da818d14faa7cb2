//! The statistics of paintings: computed once, shared by the jobs of a run, kept on disk for later
//! runs.

#![allow(clippy::unwrap_used, reason = "a test that cannot begin has failed")]

mod support;

use std::path::PathBuf;

use impasto::batch;
use impasto::config;
use impasto::event::CancellationToken;
use impasto::event::{Event, TargetOrigin, Watcher};
use impasto::image::Limits;
use impasto::network::{Isa, Precision};
use impasto::render::Engine;

/// Two photographs, so that the second job finds what the first one computed.
const PIPELINE: &str = r#"
input.content = ["a.png", "b.png"]
style.image = "painting.png"
objective.preset = "gatys"
pyramid = { short-side-px = 64, evaluations = 1 }
[output]
directory = "out"
long-side-px = 64
overwrite = true
"#;

struct Studio(tempfile::TempDir);

impl Studio {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (from, to) in [
            ("content/chelsea.png", "a.png"),
            ("content/coffee.png", "b.png"),
            ("style/starry_night.png", "painting.png"),
        ] {
            image::open(support::path("samples").join(from))
                .unwrap()
                .thumbnail_exact(80, 80)
                .save(folder.path().join(to))
                .unwrap();
        }
        std::fs::write(folder.path().join("pipeline.toml"), PIPELINE).unwrap();
        Self(folder)
    }

    /// Paints, with a network made from `seed`; tells where the statistics came from and what was
    /// warned of.
    fn paint(&self, seed: u64) -> (Vec<TargetOrigin>, Vec<String>) {
        let config = config::load(&self.0.path().join("pipeline.toml"), &[])
            .unwrap_or_else(|problems| panic!("{problems:?}"));
        let (plan, _) = batch::plan(&config);
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        let weights = support::small_network(seed, [4, 6, 8, 8, 8]);
        let mut engine = Engine::new(weights, Isa::detect(), Precision::Float32, pool);
        let (mut origins, mut warnings) = (vec![], vec![]);
        let mut listener = |event: &Event| match event {
            Event::Targets { origin, .. } => origins.push(*origin),
            Event::Warning { message } => warnings.push(message.clone()),
            _ => {}
        };
        let stop = CancellationToken::new();
        let summary = batch::run(
            &plan,
            &mut engine,
            &Limits::default(),
            &mut Watcher { listener: &mut listener, cancellation: &stop },
        );
        assert!(summary.failed.is_empty() && summary.finished.len() == 2, "{summary:?}");
        (origins, warnings)
    }

    fn pictures(&self) -> Vec<Vec<u8>> {
        ["a-painting.png", "b-painting.png"]
            .map(|name| std::fs::read(self.0.path().join("out").join(name)).unwrap())
            .to_vec()
    }

    fn files(&self) -> Vec<PathBuf> {
        std::fs::read_dir(self.0.path().join("out/.impasto/targets"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect()
    }
}

#[test]
fn statistics_are_computed_once_and_found_again() {
    use TargetOrigin::{Cached, Computed, Shared};
    let studio = Studio::new();
    assert_eq!(studio.paint(7), (vec![Computed, Shared], vec![]));
    let pictures = studio.pictures();
    assert_eq!(studio.paint(7), (vec![Cached, Shared], vec![]));
    assert_eq!(studio.pictures(), pictures, "a cached painting gives the same pictures");

    // A damaged file, and one of an earlier format, is reported, never trusted, and mended.
    let file = studio.files().pop().unwrap();
    let whole = std::fs::read(&file).unwrap();
    let changed = |at: usize| {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        bytes
    };
    for (bytes, words) in [
        (changed(50), "the checksum of its head is wrong"),
        (changed(whole.len() / 2), "the checksum of row 0 is wrong"),
        (changed(whole.len() - 3), "the checksum at its end is wrong"),
        (whole[..whole.len() / 2].to_vec(), "its end is missing"),
        (b"impasto-targets 1\n0123".to_vec(), "`impasto-targets`"),
    ] {
        std::fs::write(&file, bytes).unwrap();
        let (origins, warnings) = studio.paint(7);
        assert_eq!(origins, [Computed, Shared]);
        let named = |text: &str| text.contains(words) && text.contains(".targets");
        assert!(warnings.len() == 1 && named(&warnings[0]), "{warnings:?}");
        assert_eq!(studio.pictures(), pictures);
        assert_eq!(std::fs::read(&file).unwrap(), whole, "{words}");
    }
    assert_eq!(studio.paint(7), (vec![Cached, Shared], vec![]));

    // Another painting under the same name, and other weights, are other statistics.
    std::fs::copy(studio.0.path().join("a.png"), studio.0.path().join("painting.png")).unwrap();
    assert_eq!(studio.paint(7).0, [Computed, Shared]);
    assert_eq!(studio.paint(8).0, [Computed, Shared]);
    assert_eq!(studio.files().len(), 3);
}
