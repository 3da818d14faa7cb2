//! Tests over whole pipelines: every key, merging, variants, overrides, names, and the reference in
//! `docs/`.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::*;

/// A folder with two photographs, a painting and other files that keys can name.
struct Folder(TempDir);

impl Folder {
    fn new() -> Folder {
        let folder = Folder(tempfile::tempdir().expect("temporary folder"));
        for name in ["photos/a.jpg", "photos/b.PNG", "photos/sub/c.webp", "style.png"] {
            folder.write(name, PICTURE);
        }
        for name in ["photos/notes.txt", "paper.icc", "net.safetensors"] {
            folder.write(name, "x");
        }
        folder
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.path().join(name);
        fs::create_dir_all(path.parent().expect("a file in the folder")).expect("made");
        fs::write(&path, text).expect("written");
        path
    }

    fn load(&self, text: &str, overrides: &[&str]) -> Result<Config, Problems> {
        let path = self.write("p.toml", text);
        let overrides: Vec<_> = overrides.iter().map(|text| text.to_string()).collect();
        load(&path, &overrides)
    }

    /// The settings of a pipeline whose rest is sound.
    fn good(&self, text: &str, overrides: &[&str]) -> Config {
        match self.load(text, overrides) {
            Ok(config) => config,
            Err(problems) => panic!("{text}\n{:?}", messages(&problems)),
        }
    }

    fn bad(&self, text: &str, overrides: &[&str]) -> Vec<String> {
        messages(&self.load(text, overrides).expect_err(text))
    }
}

fn messages(problems: &Problems) -> Vec<String> {
    problems.iter().map(|problem| problem.message().to_owned()).collect()
}

/// A small picture; its bytes and not its name say that it is a PNG.
const PICTURE: &[u8] = include_bytes!("../../tests/bad_pipelines/style.png");

const BASE: &str = "input.content = 'photos/a.jpg'\nstyle.image = 'style.png'\n";

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
    ("start.from", "'noise'", "\"noise\"", "'image'"),
    ("start.image", "'style.png'", "", "'photos'"),
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
    ("compute.devices", "['cpu', 'cuda:1']", "[\"cpu\", \"cuda:1\"]", "['gpu']"),
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
    let known: Vec<_> = schema::KEYS.iter().map(|key| key.path).collect();
    let tested: Vec<_> = KEYS.iter().map(|(key, ..)| *key).collect();
    assert_eq!(tested, known);
    let folder = Folder::new();
    for (key, value, listed, bad) in KEYS {
        let config = folder.good(&with(key, value), &[]);
        let list = config.variants[0].settings.listing(&config.home);
        let shown = list
            .iter()
            .find(|one| one.key.replace(".0.", ".") == *key)
            .map_or("", |one| &one.value);
        assert_eq!(shown, *listed, "{key}");
        let problems = folder.load(&with(key, bad), &[]).expect_err(key);
        let problem = problems.iter().next().expect("a problem");
        assert_eq!(
            (problems.len(), problem.line()),
            (1, Some(3.min(with(key, bad).lines().count()))),
            "{key}: {:?}",
            messages(&problems)
        );
        assert!(problem.advice().is_some(), "{key} tells what it accepts");
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
    assert!(settings.output.directory.ends_with("renders"));
    assert_eq!(settings.output.name.to_string(), "{content}-{style}.png");
    assert_eq!(settings.output.size, Size::Scale(1.0));
    assert_eq!(settings.output.quality, 92);
    assert!(settings.output.dither);
    assert_eq!(settings.pyramid.evaluations, [600, 200, 66, 30]);
    assert_eq!((settings.pyramid.evaluations_at(1), settings.pyramid.evaluations_at(9)), (200, 30));
    assert_eq!(settings.objective, Objective::default());
    assert_eq!(settings.checkpoint.every_seconds, 60);
    assert_eq!(settings.batch, Batch { retries: 1, parallel_jobs: ParallelJobs::Auto });
}

#[test]
fn the_same_bytes_for_any_core_want_cores_of_whole_tiles() {
    let folder = Folder::new();
    let bitwise = format!("{BASE}tiling.margins = 'bitwise'\n");
    let core = |side: u32| format!("tiling.core-px={side}");
    let tiling =
        |text: &str, set: &[&str]| folder.good(text, set).variants[0].settings.tiling.clone();
    assert_eq!(tiling(&bitwise, &[&core(640)]).margins, TilingMargins::Bitwise);
    assert_eq!(tiling(&bitwise, &[]).core, Core::Auto);
    assert_eq!(tiling(BASE, &[&core(48)]).margins, TilingMargins::Exact);
    let refused = folder.bad(&bitwise, &[&core(48)]);
    assert_eq!(
        refused,
        ["`tiling.core-px` is 48, and `tiling.margins` \"bitwise\" wants a multiple of 64"]
    );
    assert_eq!(folder.bad(&bitwise, &[&core(50)]), ["`tiling.core-px` is 50, no multiple of 16"]);
}

#[test]
fn sizes_on_paper_have_a_resolution() {
    let folder = Folder::new();
    let size =
        |text: &str| folder.good(&format!("{BASE}{text}"), &[]).variants[0].settings.output.size;
    let dpi = crate::units::Dpi(300.0);
    assert_eq!(
        size("output.width-mm = 300"),
        Size::Print { width: Some(crate::units::Mm(300.0)), height: None, dpi }
    );
    assert_eq!(size("output.size = 'a4'").dpi(), Some(dpi));
    assert_eq!(
        size("output.size = '24x36in'\noutput.dpi = 200").dpi(),
        Some(crate::units::Dpi(200.0))
    );
    assert_eq!(size("output.long-side-px = 900\noutput.dpi = 200").dpi(), None);
}

#[test]
fn a_style_is_needed_only_by_terms_that_compare_with_one() {
    let folder = Folder::new();
    let content = "input.content = 'photos/a.jpg'\n";
    assert_eq!(folder.bad(content, &[]), ["a style is missing"]);
    assert_eq!(
        folder.bad(&format!("{content}objective.style-weight = 0"), &[]),
        ["a style is missing"]
    );
    let config = folder
        .good(&format!("{content}objective = {{ style-weight = 0, statistics-weight = 0 }}"), &[]);
    assert_eq!(config.outputs()[0].path.file_name().expect("a name"), "a.png");
    folder.good(&format!("{content}objective = {{ preset = 'gatys', style-weight = 0 }}"), &[]);
}

#[test]
fn folders_give_their_pictures_and_not_the_last_prints() {
    let folder = Folder::new();
    let contents = |text: &str| {
        let config = folder.good(text, &[]);
        let names = config.variants[0].settings.input.content.iter();
        names
            .map(|path| {
                path.strip_prefix(folder.0.path()).expect("in the folder").display().to_string()
            })
            .collect::<Vec<_>>()
    };
    let style = "style.image = 'style.png'\n";
    assert_eq!(
        contents(&format!("{style}input.content = 'photos'")),
        ["photos/a.jpg", "photos/b.PNG"]
    );
    folder.write("photos/renders/a-style.png", "x");
    folder.write("photos/.hidden/d.png", "x");
    let text = format!("{style}input.content = 'photos/**/*'\noutput.directory = 'photos/renders'");
    assert_eq!(contents(&text), ["photos/a.jpg", "photos/b.PNG", "photos/sub/c.webp"]);
    folder.write("photos/odd[1].png", "x");
    assert_eq!(
        contents(&format!("{style}input.content = 'photos/odd[1].png'")),
        ["photos/odd[1].png"]
    );
    assert_eq!(contents(&format!("{style}input.content = ['photos/*.JPG']")), ["photos/a.jpg"]);
}

#[test]
fn later_files_win_and_paths_stay_with_the_file_that_says_them() {
    let folder = Folder::new();
    folder
        .write("base/one.toml", "style.image = '../style.png'\noutput = { quality = 10, preview = true }\npyramid.evaluations = [1, 2, 3]");
    folder.write("base/two.toml", "extends = 'one.toml'\noutput.quality = 20\nobjective.style-layers = { relu1_1 = 1, relu2_1 = 1 }");
    let text = "extends = ['base/two.toml']\ninput.content = 'photos/a.jpg'\npyramid.evaluations = [9]\nobjective.style-layers = { relu3_1 = 2 }";
    let settings = &folder.good(text, &[]).variants[0].settings;
    assert_eq!((settings.output.quality, settings.output.preview), (20, true));
    assert_eq!(settings.pyramid.evaluations, [9]);
    assert_eq!(settings.styles[0].image, folder.0.path().join("style.png"));
    assert_eq!(
        settings.objective.style_layers.as_ref().map(|layers| layers.0.len()),
        Some(1),
        "a table of layers is one value"
    );
}

#[test]
fn a_later_way_of_saying_the_size_replaces_an_earlier_one() {
    let folder = Folder::new();
    folder.write("a3.toml", "output = { size = 'A3', dpi = 240 }");
    let text = format!("extends = 'a3.toml'\n{BASE}");
    assert_eq!(
        folder.good(&text, &[]).variants[0].settings.output.size.dpi(),
        Some(crate::units::Dpi(240.0))
    );
    let own = folder.good(&format!("{text}output.scale = 2"), &[]);
    assert_eq!(own.variants[0].settings.output.size, Size::Scale(2.0));
    let set = folder.good(&text, &["output.long-side-px=512"]);
    assert_eq!(set.variants[0].settings.output.size, Size::LongSide(crate::units::Px(512)));
    assert_eq!(
        folder.bad(&format!("{BASE}output = {{ scale = 2, size = 'A3' }}"), &[]),
        ["the size is given in more than one way"]
    );
}

#[test]
fn circles_and_missing_files_of_extends_are_told() {
    let folder = Folder::new();
    folder.write("x.toml", "extends = 'y.toml'");
    folder.write("y.toml", "extends = 'x.toml'");
    assert_eq!(folder.bad("extends = 'x.toml'", &[]), ["`x.toml` extends itself"]);
    assert_eq!(folder.bad("extends = './p.toml'", &[]), ["`./p.toml` extends itself"]);
    assert_eq!(folder.bad("extends = 3", &[]).len(), 3);
    let missing = folder.bad("extends = 'none.toml'\noutput.quality = 0", &[]);
    assert_eq!(missing.len(), 2, "{missing:?}");
    // A diamond is no circle, but a tower of diamonds would never end.
    for n in 0..20 {
        folder.write(
            &format!("d{n}.toml"),
            &format!("extends = ['d{m}.toml', 'd{m}.toml']", m = n + 1),
        );
    }
    folder.write("d20.toml", "");
    assert_eq!(folder.bad("extends = 'd0.toml'", &[])[..1], ["more than 256 files are extended"]);
}

#[test]
fn variants_override_and_the_command_line_has_the_last_word() {
    let folder = Folder::new();
    let text = format!(
        "{BASE}output.quality = 5\n[[variant]]\nname = 'one'\noutput.quality = 6\n[[variant]]\nname = 'two'\nstart.from = 'noise'\nobjective.style-layers = ['relu5_1']"
    );
    let config = folder.good(&text, &[]);
    let qualities: Vec<_> =
        config.variants.iter().map(|variant| variant.settings.output.quality).collect();
    assert_eq!(qualities, [6, 5]);
    assert_eq!(
        config.variants[1].settings.start,
        Start { from: StartFrom::Noise, noise_ratio: 1.0, seed: 0 }
    );
    let names: Vec<_> = config
        .outputs()
        .iter()
        .map(|output| output.path.file_name().map(|n| n.to_owned()))
        .collect();
    assert_eq!(names, [Some("a-style-one.png".into()), Some("a-style-two.png".into())]);
    let config = folder.good(
        &text,
        &[
            "output.quality=7",
            "variant.1.name=three",
            "compute.devices=[\"cpu\"]",
            "output.size=24x36in",
        ],
    );
    assert!(config.variants.iter().all(|variant| variant.settings.output.quality == 7));
    assert_eq!(config.variants[1].name.as_deref(), Some("three"));
    assert_eq!(config.variants[0].settings.compute.devices, Devices::List(vec![DeviceName::Cpu]));
}

#[test]
fn overrides_reach_into_styles() {
    let folder = Folder::new();
    let one = "input.content = 'photos/a.jpg'\n[[style]]\nimage = 'style.png'\n";
    let scale = |config: &Config, at: usize| config.variants[0].settings.styles[at].scale;
    assert_eq!(scale(&folder.good(one, &["style.scale=2"]), 0), 2.0);
    let two = format!("{one}[[style]]\nimage = 'photos/b.PNG'\n");
    assert_eq!(scale(&folder.good(&two, &["style.1.scale=3"]), 1), 3.0);
    assert_eq!(folder.bad(&two, &["style.scale=2"]), ["`style` is an array of 2"]);
    assert_eq!(folder.bad(&two, &["style.2.scale=2"]), ["`style` is an array of 2"]);
    assert_eq!(
        folder
            .bad(one, &["nonsense", "=", "output=3", "output.quality=900", "output.quality.x=1"])
            .len(),
        5
    );
    assert_eq!(folder.good(&two, &[]).variants[0].style_name(), "style+b");
}

#[test]
fn names_that_collide_or_hit_an_input_are_told_before_anything_is_made() {
    let folder = Folder::new();
    folder.write("photos/A.webp", PICTURE);
    let style = "style.image = 'style.png'\n";
    let problems = folder.bad(&format!("{style}input.content = 'photos'"), &[]);
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(problems[0].contains("would both become"), "{problems:?}");
    let same =
        folder.bad(&format!("{style}input.content = 'photos/b.PNG'\noutput = {{ name = '{{content}}.PNG', directory = 'photos' }}"), &[]);
    assert!(same[0].contains("would take the place of the input"), "{same:?}");
    folder.good(
        &format!("{style}input.content = 'photos'\noutput.name = '{{index}}-{{content}}.jpg'"),
        &[],
    );
    let variants = format!(
        "{BASE}output.name = 'x.png'\n[[variant]]\nname='a'\n[[variant]]\nname='b'\noutput.directory='elsewhere'\n"
    );
    folder.good(&variants, &[]);
}

#[test]
fn what_does_not_show_in_the_picture_is_marked_so() {
    let folder = Folder::new();
    let list = |set: &[&str]| {
        let config = folder.good(BASE, set);
        let list = config.variants[0].settings.listing(&config.home);
        list.into_iter().filter(|one| one.effect.affects_pixels()).collect::<Vec<_>>()
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

#[test]
fn the_reference_names_every_key_and_no_other() {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/pipeline.md"))
        .expect("the reference");
    let mut named = Vec::new();
    let mut table = String::new();
    for line in text.lines() {
        if let Some(header) = line.strip_prefix("## `") {
            table = header.trim_end_matches('`').trim_matches(['[', ']']).to_owned();
        } else if let Some(row) = line.strip_prefix("| `")
            && let Some((key, _)) = row.split_once('`')
            && table != "variant"
        {
            named.push(format!("{table}.{key}"));
        }
    }
    let known: Vec<_> = schema::KEYS.iter().map(|key| key.path.to_owned()).collect();
    assert_eq!(named, known);
}

#[test]
fn the_examples_of_the_reference_are_sound_toml() {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/pipeline.md"))
        .expect("the reference");
    let folder = Folder::new();
    let mut examples = 0;
    for block in text
        .split("```toml\n")
        .skip(1)
        .filter_map(|rest| rest.split_once("```"))
        .map(|(block, _)| block)
    {
        examples += 1;
        let problems = folder.load(block, &[]).err();
        let unknown = |problem: &Problem| {
            !problem.message().contains("missing") && !problem.message().contains("cannot ")
        };
        let wrong: Vec<_> = problems
            .iter()
            .flatten()
            .filter(|problem| unknown(problem))
            .map(Problem::message)
            .collect();
        assert!(wrong.is_empty(), "{block}\n{wrong:?}");
    }
    assert!(examples >= 5);
}

#[test]
fn the_settings_to_build_on_are_sound() {
    let configs = Path::new(env!("CARGO_MANIFEST_DIR")).join("configs");
    let folder = Folder::new();
    let mut count = 0;
    for entry in fs::read_dir(&configs).expect("configs/") {
        let file = entry.expect("an entry").path();
        let path = file.to_str().expect("UTF-8");
        let config = folder.good(&format!("extends = '{path}'\n{BASE}"), &[]);
        assert_eq!(config.variants.len(), 1);
        count += 1;
    }
    assert_eq!(count, 6);
}
