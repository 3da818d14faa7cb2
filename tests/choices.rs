//! Every key that decides what a picture looks like does something, and what it does is what the
//! documentation says.
//!
//! Pipelines are real files; the network is small and random, so that every layer can be looked at
//! in no time.

#![allow(clippy::unwrap_used, reason = "a test that cannot begin has failed")]

mod support;

use std::path::{Path, PathBuf};

use image::RgbImage;
use impasto::batch;
use impasto::config;
use impasto::event::CancellationToken;
use impasto::event::{Event, Losses, Watcher};
use impasto::image::Limits;
use impasto::network::{Isa, Layer, Precision, Weights};
use impasto::render::Engine;

/// An engine of one thread.
fn engine_over(weights: Weights) -> Engine {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("a thread");
    Engine::new(weights, Isa::detect(), Precision::Float32, pool)
}

/// A small canvas, noise to start from (so that every term is above zero), one evaluation.
const PIPELINE: &str = r#"
input.content = "photo.png"

[[style]]
image = "painting.png"

[output]
directory = "out"
name = "result.png"
long-side-px = 64
overwrite = true
dither = false
metadata = "none"

[objective]
preset = "gatys"

[start]
from = "noise"

[pyramid]
short-side-px = 64
evaluations = 1
"#;

struct Studio {
    folder: tempfile::TempDir,
}

/// What a run did.
struct RenderOutcome {
    events: Vec<Event>,
    bytes: Vec<u8>,
    picture: RgbImage,
}

impl RenderOutcome {
    fn losses(&self) -> Vec<Losses> {
        let losses = |event: &Event| {
            if let Event::Evaluated { losses, .. } = event { Some(*losses) } else { None }
        };
        self.events.iter().filter_map(losses).collect()
    }

    fn first(&self) -> Losses {
        self.losses()[0]
    }
}

impl Studio {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let save = |from: &str, to: &str, width, height| {
            let picture = image::open(support::path("samples").join(from)).unwrap();
            picture
                .thumbnail_exact(width, height)
                .into_rgb8()
                .save(folder.path().join(to))
                .unwrap();
        };
        save("content/chelsea.png", "photo.png", 64, 48);
        save("style/starry_night.png", "painting.png", 72, 56);
        save("style/the_kiss.png", "kiss.png", 60, 60);
        std::fs::write(folder.path().join("pipeline.toml"), PIPELINE).unwrap();
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Renders the pipeline with overrides, through the same calls as the program.
    fn paint(&self, overrides: &[&str]) -> RenderOutcome {
        self.paint_file(&self.path("pipeline.toml"), overrides)
    }

    fn paint_file(&self, file: &Path, overrides: &[&str]) -> RenderOutcome {
        let overrides: Vec<String> = overrides.iter().map(|o| o.to_string()).collect();
        let config =
            config::load(file, &overrides).unwrap_or_else(|problems| panic!("{problems:?}"));
        let (plan, unplanned) = batch::plan(&config);
        assert!(unplanned.is_empty(), "{unplanned:?}");
        let weights = support::small_network(7, [4, 6, 8, 8, 8]);
        let mut engine = engine_over(weights);
        let mut events = Vec::new();
        let mut listener = |event: &Event| events.push(event.clone());
        let stop = CancellationToken::new();
        let mut watcher = Watcher { listener: &mut listener, cancellation: &stop };
        let summary = batch::run(&plan, &mut engine, &Limits::default(), &mut watcher);
        assert!(summary.failed.is_empty(), "{:?}", summary.failed);
        let path = &summary.finished[0].0;
        let bytes = std::fs::read(path).unwrap();
        RenderOutcome { events, bytes, picture: image::open(path).unwrap().into_rgb8() }
    }

    /// Adds a second painting.
    fn two_styles(&self, first: &str, second: &str) -> PathBuf {
        let file = self.path("two.toml");
        let text = PIPELINE
            .replace("image = \"painting.png\"", &format!("{first}\n\n[[style]]\n{second}"));
        std::fs::write(&file, text).unwrap();
        file
    }
}

#[track_caller]
fn close(found: f64, wanted: f64) {
    assert!((found - wanted).abs() <= 1e-6 * wanted.abs(), "{found} instead of {wanted}");
}

#[test]
fn any_layer_can_be_a_content_or_a_style_layer_and_has_a_weight() {
    let studio = Studio::new();
    for layer in Layer::all() {
        let paint = |weight: &str| {
            let table = format!("{{ {layer} = {weight} }}");
            studio
                .paint(&[
                    &format!("objective.content-layers={table}"),
                    &format!("objective.style-layers={table}"),
                ])
                .first()
        };
        let (single, double) = (paint("1.0"), paint("2.0"));
        assert!(single.content > 0.0 && single.style > 0.0, "{layer}: {single:?}");
        close(double.content, 2.0 * single.content);
        close(double.style, 2.0 * single.style);
    }
}

#[test]
fn layers_add_up() {
    let studio = Studio::new();
    let style =
        |layers: &str| studio.paint(&[&format!("objective.style-layers={layers}")]).first().style;
    let both = style("{ relu1_2 = 0.5, relu4_4 = 3.0 }");
    close(both, 0.5 * style("[\"relu1_2\"]") + 3.0 * style("[\"relu4_4\"]"));
}

#[test]
fn the_four_weights_are_factors_of_their_terms() {
    let studio = Studio::new();
    let first = |keys: &[&str]| studio.paint(keys).first();
    let base = first(&[]);
    assert!(base.content > 0.0 && base.style > 0.0 && base.variation == 0.0, "{base:?}");
    close(first(&["objective.content-weight=3"]).content, 3.0 * base.content);
    close(first(&["objective.style-weight=0.5"]).style, 0.5 * base.style);
    assert_eq!(first(&["objective.content-weight=0"]).content, 0.0);
    let (one, two) =
        (first(&["objective.variation-weight=0.01"]), first(&["objective.variation-weight=0.02"]));
    assert!(one.variation > 0.0);
    close(two.variation, 2.0 * one.variation);
    // The statistics are part of the style.
    let statistics = |weight: &str| {
        first(&["objective.style-weight=0", &format!("objective.statistics-weight={weight}")]).style
    };
    assert!(statistics("10") > 0.0);
    close(statistics("20"), 2.0 * statistics("10"));
    close(first(&["objective.statistics-weight=10"]).style, base.style + statistics("10"));
}

#[test]
fn presets_and_poolings_differ() {
    let studio = Studio::new();
    let total = |keys: &[&str]| studio.paint(keys).first().total;
    let presets = ["gatys", "spst", "neural-style"]
        .map(|preset| total(&[&format!("objective.preset={preset}")]));
    assert!(
        presets[0] != presets[1] && presets[1] != presets[2] && presets[0] != presets[2],
        "{presets:?}"
    );
    let (max, average) = (total(&["objective.pooling=max"]), total(&["objective.pooling=average"]));
    assert!((max - average).abs() > 1e-3 * max, "{max}, {average}");
}

#[test]
fn styles_are_blended_by_weight() {
    let studio = Studio::new();
    let style = |first: &str, second: &str| {
        studio.paint_file(&studio.two_styles(first, second), &[]).first().style
    };
    let (starry, kiss) = ("image = \"painting.png\"", "image = \"kiss.png\"");
    let alone = studio.paint(&[]).first().style;
    let other = studio
        .paint(&[&format!("style.0.image={}", studio.path("kiss.png").display())])
        .first()
        .style;
    // Only the ratio of the weights counts, and a style blended with itself is itself.
    close(style(starry, starry), alone);
    let mixed = style(starry, kiss);
    close(style(&format!("{starry}\nweight = 3.0"), &format!("{kiss}\nweight = 3.0")), mixed);
    // The blend moves from one style to the other with the weights.
    let near = |wanted: f64, found: f64| (found - wanted).abs() < 0.02 * wanted;
    assert!(near(alone, style(&format!("{starry}\nweight = 1000.0"), kiss)));
    assert!(near(other, style(&format!("{starry}\nweight = 0.001"), kiss)));
    assert!(!near(alone, mixed) && !near(other, mixed), "{alone}, {mixed}, {other}");
}

#[test]
fn the_scale_of_a_style_is_the_size_at_which_it_is_looked_at() {
    let studio = Studio::new();
    let size = |scale: &str| {
        let painted = studio.paint(&[&format!("style.0.scale={scale}")]);
        let target = painted.events.iter().find_map(|e| {
            if let Event::Targets { width, height, .. } = e {
                Some((*width, *height))
            } else {
                None
            }
        });
        (target.unwrap(), painted.first().style)
    };
    let (whole, half) = (size("1.0"), size("0.5"));
    assert_eq!((whole.0, half.0), ((64, 50), (32, 25)));
    assert!((whole.1 - half.1).abs() > 1e-3 * whole.1);
    assert_eq!(size("2.0").0, (128, 100));
}

#[test]
fn the_start_is_the_photograph_noise_a_mix_or_a_picture() {
    let studio = Studio::new();
    let content = |keys: &[&str]| studio.paint(keys).first().content;
    assert_eq!(content(&["start.from=content"]), 0.0, "the photograph has its own content");
    let noise = content(&["start.from=noise"]);
    let mixes = ["0.25", "0.5", "0.75"]
        .map(|ratio| content(&["start.from=content", &format!("start.noise-ratio={ratio}")]));
    assert!(
        0.0 < mixes[0] && mixes[0] < mixes[1] && mixes[1] < mixes[2] && mixes[2] != noise,
        "{mixes:?}, {noise}"
    );
    close(content(&["start.from=content", "start.noise-ratio=1"]), noise);
    close(
        content(&[
            "start.from=image",
            &format!("start.image={}", studio.path("photo.png").display()),
        ]) + 1.0,
        1.0,
    );
    let picture = content(&[
        "start.from=image",
        &format!("start.image={}", studio.path("kiss.png").display()),
    ]);
    assert!(picture > 0.0 && picture != noise);
}

#[test]
fn a_seed_gives_its_bytes() {
    let studio = Studio::new();
    let bytes =
        |seed: u64| studio.paint(&["pyramid.evaluations=5", &format!("start.seed={seed}")]).bytes;
    assert!(bytes(1) == bytes(1), "the same seed");
    assert!(bytes(1) != bytes(2), "another seed");
}

#[test]
fn optimisers_and_their_keys_move_the_canvas() {
    let studio = Studio::new();
    let totals = |keys: &[&str]| {
        let all = [&["pyramid.evaluations=12"], keys].concat();
        studio.paint(&all).losses().iter().map(|l| l.total).collect::<Vec<f64>>()
    };
    let lbfgs = totals(&[]);
    assert!(lbfgs[11] < 0.5 * lbfgs[0], "{lbfgs:?}");
    let (short, halved) =
        (totals(&["optimise.history=1"]), totals(&["optimise.learning-rate=0.5"]));
    // The first two steps need no history; later ones do. A factor on the steps tells from the
    // first one on.
    assert_eq!((lbfgs[1], lbfgs[2]), (short[1], short[2]));
    assert_ne!(lbfgs[11], short[11]);
    assert!(lbfgs[0] == halved[0] && lbfgs[1] != halved[1]);
    let adam =
        |rate: &str| totals(&["optimise.method=adam", &format!("optimise.learning-rate={rate}")]);
    let (slow, quick) = (adam("0.001"), adam("0.01"));
    assert!(quick[11] < slow[11] && slow[11] < slow[0], "{quick:?}, {slow:?}");
    assert_eq!(totals(&["optimise.method=adam"]), adam("0.02"));
}

#[test]
fn levels_take_their_evaluations() {
    let studio = Studio::new();
    let painted = studio.paint(&[
        "output.long-side-px=320",
        "pyramid.evaluations=[5, 2]",
        "start.from=content",
    ]);
    let level = |event: &Event| match event {
        Event::LevelStarted { width, height, evaluations, .. } => {
            Some((*width, *height, *evaluations))
        }
        _ => None,
    };
    let levels: Vec<_> = painted.events.iter().filter_map(level).collect();
    // Canvases: the picture of 320x240 px and its guard band of 4.
    assert_eq!(levels, [(82, 62, 5), (164, 124, 2), (328, 248, 2)]);
    assert_eq!(painted.losses().len(), 9);
    // 192 px are nearer to 256 than to 128: the first level's short side is "about" what is asked
    // for.
    let painted = studio.paint(&["output.long-side-px=256", "pyramid.short-side-px=200"]);
    assert_eq!(painted.events.iter().filter_map(level).collect::<Vec<_>>(), [(262, 198, 1)]);
}

#[test]
fn a_guard_band_is_painted_and_not_delivered() {
    let studio = Studio::new();
    let picture = |x: u32, y: u32| {
        image::Rgb([(x * 97 % 251) as u8, (y * 89 % 241) as u8, (x * y % 239) as u8])
    };
    RgbImage::from_fn(192, 144, picture).save(studio.path("start.png")).unwrap();
    let paint = |band: bool, more: &[&str]| {
        let band = format!("output.guard-band={band}");
        let keys = ["output.long-side-px=192", "pyramid.short-side-px=144", &band];
        studio.paint(&keys.into_iter().chain(more.iter().copied()).collect::<Vec<_>>())
    };
    let start = format!("start.image={}", studio.path("start.png").display());
    // A level of one evaluation stays as it starts: a starting image of the picture's size is
    // delivered as it is, though its canvas is larger.
    for band in [true, false] {
        let same = paint(band, &["start.from=image", &start]).picture;
        assert_eq!(same.dimensions(), (192, 144));
        for (x, y, pixel) in same.enumerate_pixels() {
            let off = pixel.0.iter().zip(picture(x, y).0).map(|(a, b)| a.abs_diff(b)).max();
            assert!(off <= Some(1), "{band}: {x},{y}: {pixel:?}");
        }
    }
    // So is the photograph, but for what its filter sees across the border.
    let (with, without) =
        (paint(true, &["start.from=content"]), paint(false, &["start.from=content"]));
    for (x, y, pixel) in with.picture.enumerate_pixels() {
        let inside = (12..180).contains(&x) && (12..132).contains(&y);
        let other = without.picture.get_pixel(x, y);
        let off = pixel.0.iter().zip(other.0).map(|(a, b)| a.abs_diff(b)).max();
        assert!(!inside || off <= Some(1), "{x},{y}: {pixel:?} and {other:?}");
    }
    // What is painted is another picture, of the same size, in every mode.
    for mode in ["exact", "blocks", "feathered"] {
        let keys = [
            "start.from=content",
            "pyramid.evaluations=4",
            "tiling.core-px=64",
            &format!("tiling.mode={mode}"),
        ];
        let (with, without) = (paint(true, &keys), paint(false, &keys));
        assert_eq!(with.picture.dimensions(), without.picture.dimensions(), "{mode}");
        assert_ne!(with.picture, without.picture, "{mode}");
    }
}

#[test]
fn the_size_is_said_in_pixels_on_paper_or_as_a_factor() {
    let studio = Studio::new();
    let without = PIPELINE.replace("long-side-px = 64\n", "");
    std::fs::write(studio.path("free.toml"), without).unwrap();
    for (keys, size) in [
        (&["output.long-side-px=80"][..], (80, 60)),
        (&["output.scale=1.5"], (96, 72)),
        (&["output.width-mm=25.4", "output.dpi=100"], (100, 75)),
        (&["output.height-mm=25.4", "output.dpi=72"], (96, 72)),
        (&["output.width-mm=25.4", "output.height-mm=25.4", "output.dpi=100"], (100, 75)),
        (
            &[
                "output.width-mm=25.4",
                "output.height-mm=25.4",
                "output.dpi=100",
                "output.fit=cover",
            ],
            (100, 100),
        ),
        (
            &[
                "output.width-mm=25.4",
                "output.height-mm=12.7",
                "output.dpi=100",
                "output.fit=exact",
            ],
            (100, 50),
        ),
        (&["output.size=1x2in", "output.dpi=50", "output.fit=cover"], (100, 50)),
        (&[], (64, 48)),
    ] {
        let painted = studio.paint_file(&studio.path("free.toml"), keys);
        assert_eq!(painted.picture.dimensions(), size, "{keys:?}");
    }
}

#[test]
fn the_photographs_colours_can_be_kept() {
    let studio = Studio::new();
    let chroma = |p: &image::Rgb<u8>| {
        let [r, g, b] = p.0.map(f64::from);
        let luma = 0.299 * r + 0.587 * g + 0.114 * b;
        (b - luma, r - luma)
    };
    let photo = image::open(studio.path("photo.png")).unwrap().into_rgb8();
    let distance = |picture: &RgbImage| {
        let pairs = picture.pixels().zip(photo.pixels());
        pairs
            .map(|(a, b)| {
                ((chroma(a).0 - chroma(b).0).abs() + (chroma(a).1 - chroma(b).1).abs()) / 2.0
            })
            .sum::<f64>()
            / (64.0 * 48.0)
    };
    let keys = ["start.from=content", "pyramid.evaluations=20"];
    let style = studio.paint(&keys).picture;
    let kept = studio.paint(&[keys[0], keys[1], "output.color=content"]).picture;
    assert!(distance(&kept) < 1.5, "the photograph's chroma: off by {}", distance(&kept));
    assert!(distance(&style) > 4.0 * distance(&kept), "the style's: off by {}", distance(&style));
    let luma = |p: &image::Rgb<u8>| {
        p.0.iter().zip([0.299, 0.587, 0.114]).map(|(v, w)| f64::from(*v) * w).sum::<f64>()
    };
    let off =
        style.pixels().zip(kept.pixels()).map(|(a, b)| (luma(a) - luma(b)).abs()).sum::<f64>()
            / (64.0 * 48.0);
    assert!(off < 4.0, "the painting's luma: off by {off}");
}

#[test]
fn a_raised_stop_is_seen_after_the_evaluation_in_hand() {
    let studio = Studio::new();
    let config =
        config::load(&studio.path("pipeline.toml"), &["pyramid.evaluations=100".into()]).unwrap();
    let (plan, _) = batch::plan(&config);
    let mut engine = engine_over(support::small_network(7, [4, 4, 4, 4, 4]));
    let stop = CancellationToken::new();
    let mut evaluations = 0;
    let mut listener = |event: &Event| {
        if let Event::Evaluated { evaluation, .. } = event {
            evaluations = *evaluation;
            if evaluations == 3 {
                stop.cancel();
            }
        }
    };
    let mut watcher = Watcher { listener: &mut listener, cancellation: &stop };
    let summary = batch::run(&plan, &mut engine, &Limits::default(), &mut watcher);
    assert_eq!(evaluations, 3);
    assert!(summary.partial.expect("a picture so far").ends_with("result.partial.png"));
    assert!(
        studio.path("out/result.partial.png").exists() && !studio.path("out/result.png").exists()
    );
}
