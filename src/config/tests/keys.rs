//! Every key by itself: read, listed, refused, and what it changes.

use miette::Diagnostic;

use super::schema::Key;
use super::*;

/// Every key with a value, what the listing then shows, and a value that is refused.
const KEYS: &[(&str, &str, &str, &str)] = &[
    (
        "input.content",
        "['photos/*', 'photos/a.jpg']",
        "[\"photos/a.jpg\", \"photos/b.PNG\"]",
        "'photos/*.gif'",
    ),
    ("style.image", "'./style.png'", "\"style.png\"", "'none.png'"),
    ("style.weight", "2", "2.0", "0"),
    ("style.scale", "0.05", "0.05", "20.1"),
    ("output.directory", "'out'", "\"out\"", "'style.png'"),
    ("output.contact-sheet", "true", "true", "'yes'"),
    ("output.name", "'x-{content}.tiff'", "\"x-{content}.tiff\"", "'{photo}.png'"),
    ("output.long-side-px", "4096", "4096", "15"),
    ("output.width-mm", "300", "300.0", "-1"),
    ("output.height-mm", "0.5", "0.5", "nan"),
    ("output.size", "'A3'", "\"297x420mm\"", "'A9'"),
    ("output.scale", "2", "2.0", "0"),
    ("output.dpi", "150", "150.0", "0.5"),
    ("output.fit", "'cover'", "\"cover\"", "'crop'"),
    ("output.crop-focus", "[0, 0.25]", "[0.0, 0.25]", "[0.5]"),
    ("output.bleed-mm", "3", "3.0", "inf"),
    ("output.guard-band", "false", "false", "2"),
    ("output.overwrite", "true", "true", "1"),
    ("output.color", "'content'", "\"content\"", "'Content'"),
    ("output.bit-depth", "16", "16", "12"),
    ("output.compression", "'lzw'", "\"lzw\"", "'zip'"),
    ("output.quality", "100", "100", "101"),
    ("output.dither", "false", "false", "'no'"),
    ("output.metadata", "'none'", "\"none\"", "false"),
    ("output.pyramid", "'dzi'", "\"dzi\"", "'tiles'"),
    ("output.preview", "true", "true", "'yes'"),
    ("color.working-space", "'srgb'", "\"srgb\"", "'cmyk'"),
    ("color.output-profile", "'paper.icc'", "\"paper.icc\"", "'none.icc'"),
    ("color.intent", "'perceptual'", "\"perceptual\"", "'absolute'"),
    ("objective.preset", "'gatys'", "\"gatys\"", "'gaty'"),
    ("objective.look", "'bold'\nobjective.preset = 'wasserstein'", "\"bold\"", "'loud'"),
    ("objective.content-weight", "0", "0.0", "-0.1"),
    ("objective.style-weight", "1e3", "1000.0", "'1'"),
    ("objective.statistics-weight", "5", "5.0", "nan"),
    ("objective.variation-weight", "1e-3", "0.001", "1e999"),
    (
        "objective.content-layers",
        "['relu4_2', 'relu1_1']",
        "{ relu1_1 = 1.0, relu4_2 = 1.0 }",
        "[]",
    ),
    ("objective.style-layers", "{ relu5_4 = 0.5 }", "{ relu5_4 = 0.5 }", "{ relu6_1 = 1 }"),
    ("objective.pooling", "'average'", "\"average\"", "'avg'"),
    (
        "objective.octaves",
        "{ relu5_1 = 2, relu4_1 = 1 }",
        "{ relu4_1 = 1, relu5_1 = 2 }",
        "{ relu4_1 = 3 }",
    ),
    ("start.from", "'noise'", "\"noise\"", "'image'"),
    ("start.image", "'style.png'\nstart.from = 'image'", "\"style.png\"", "'photos'"),
    ("start.noise-ratio", "1", "1.0", "1.01"),
    ("start.seed", "0xFFFF_FFFF_FFFF_FFFF", "18446744073709551615", "-1"),
    ("pyramid.short-side-px", "64", "64", "63"),
    ("pyramid.evaluations", "[9, 3]", "[9, 3]", "[9, 0]"),
    ("optimise.method", "'adam'", "\"adam\"", "'sgd'"),
    ("optimise.history", "1000", "1000", "0"),
    ("optimise.learning-rate", "0.02", "0.02", "0.0"),
    ("tiling.mode", "'blocks'", "\"blocks\"", "'tiles'"),
    ("tiling.core-px", "64", "64", "100"),
    ("tiling.margins", "'bitwise'", "\"bitwise\"", "'wide'"),
    ("tiling.rounds", "2", "2", "0"),
    ("tiling.visit", "20", "20", "2.5"),
    ("tiling.overlap-px", "0", "0", "5000"),
    ("compute.devices", "['cpu', 'cpu']", "[\"cpu\", \"cpu\"]", "['gpu']"),
    ("compute.threads", "2", "2", "-2"),
    ("compute.memory-gib", "1.5", "1.5", "-inf"),
    ("compute.precision", "'tf32'", "\"tf32\"", "'float64'"),
    ("network.weights", "'net.safetensors'", "\"net.safetensors\"", "'none'"),
    ("watch.print-every", "10", "10", "99999999999"),
    ("watch.save-every", "5", "5", "[5]"),
    ("checkpoint.every-seconds", "0", "0", "86401"),
    ("batch.retries", "3", "3", "101"),
    ("batch.parallel-jobs", "4", "4", "'many'"),
    ("budget.until", "07:00:00", "\"07:00\"", "'7am'"),
    ("budget.hours", "8", "8.0", "0"),
];

/// [`BASE`] with one key set.
fn with(key: &str, value: &str) -> String {
    let base: String = BASE
        .lines()
        .filter(|line| !line.starts_with(key))
        .map(|line| format!("{line}\n"))
        .collect();
    format!("{base}{key} = {value}\n")
}

#[test]
fn every_key_is_read_listed_and_refused_when_bad() {
    let known: Vec<_> =
        settings::tables().iter().flat_map(|t| keys_of(t.name)).map(Key::path).collect();
    let tested: Vec<_> = KEYS.iter().map(|(key, ..)| *key).collect();
    assert_eq!(tested, known);
    let folder = Folder::new();
    for (key, value, shown, bad) in KEYS {
        let config = folder.good(&with(key, value), &[]);
        let list = listed(&config);
        let found = list.iter().find(|one| one.key.replace(".0.", ".") == *key);
        assert_eq!(found.map_or("", |one| &one.value), *shown, "{key}");
        let problems = folder.load(&with(key, bad), &[]).expect_err(key);
        let problem = problems.iter().next().expect("a problem");
        let line = problem.origin().map(Origin::line);
        assert_eq!(
            (problems.iter().count(), line),
            (1, Some(3.min(with(key, bad).lines().count()))),
            "{key}: {:?}",
            messages(&problems)
        );
        assert!(problem.help().is_some(), "{key} says what it accepts");
    }
}

#[test]
fn a_value_of_another_kind_is_refused_for_every_key() {
    let folder = Folder::new();
    for (key, ..) in KEYS {
        for value in ["{ a = 1 }", "2020-01-01", "[[true]]"] {
            let problems = folder.bad(&with(key, value), &[]);
            assert!(!problems.is_empty(), "{key} = {value}");
        }
    }
}

#[test]
fn what_is_left_out_has_its_default() {
    let config = Folder::new().good(BASE, &[]);
    let settings = &config.variants[0].settings;
    assert_eq!(config.variants[0].name, None);
    assert!(config.run.output.directory.ends_with("renders"));
    assert_eq!(
        config.variants[0].settings.name_template(config.variants[0].parts()).to_string(),
        "{content}-{style}.png"
    );
    assert_eq!(settings.output.print_size(), Size::Scale(1.0));
    assert_eq!(settings.output.quality, 92);
    assert!(settings.output.dither);
    assert_eq!(settings.objective, Objective::default());
    assert_eq!(config.run.checkpoint.every_seconds, 60);
    assert_eq!(config.run.batch, Batch { retries: 1, parallel_jobs: OrAuto::Auto });
}

#[test]
fn what_does_not_show_in_the_picture_is_marked_so() {
    let folder = Folder::new();
    let list = |set: &[&str]| {
        let list = listed(&folder.good(BASE, set)).into_iter();
        list.filter(|one| one.effect == Effect::Pixels).collect::<Vec<_>>()
    };
    let plain = list(&[]);
    let idle = [
        "compute.threads=3",
        "watch.print-every=1",
        "tiling.core-px=64",
        "output.overwrite=true",
        "budget.hours=1",
        "compute.devices=[\"cpu\"]",
        "checkpoint.every-seconds=1",
        "batch.retries=9",
        "compute.memory-gib=2",
    ];
    assert_eq!(list(&idle), plain);
    for set in [
        "output.quality=3",
        "start.seed=1",
        "style.scale=2",
        "optimise.history=9",
        "tiling.margins=bitwise",
        "compute.precision=tf32",
    ] {
        assert_ne!(list(&[set]), plain, "{set}");
    }
}
