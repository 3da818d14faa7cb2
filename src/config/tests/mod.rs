//! Tests over whole pipelines: here merging, variants, overrides and names; in the files beside this
//! one every key by itself, keys together, and the reference in docs/.

mod grid;
mod keys;
mod like;
mod reference;
mod rules;

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::*;
use crate::units::{Dpi, Px};

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

    /// The settings of its only variant.
    fn settings(&self, text: &str, overrides: &[&str]) -> Settings {
        self.good(text, overrides).variants.remove(0).settings
    }

    fn bad(&self, text: &str, overrides: &[&str]) -> Vec<String> {
        messages(&self.load(text, overrides).expect_err(text))
    }
}

fn messages<'a>(problems: impl IntoIterator<Item = &'a Problem>) -> Vec<String> {
    problems.into_iter().map(Problem::to_string).collect()
}

/// Every setting of the first variant and its run.
fn listed(config: &Config) -> Vec<ListedSetting> {
    let (home, variant) = (&config.home, &config.variants[0]);
    let parts =
        [variant.input.listing(home), variant.settings.listing(home), config.run.listing(home)];
    parts.into_iter().flatten().collect()
}

/// A small picture; its bytes and not its name say that it is a PNG.
const PICTURE: &[u8] = include_bytes!("../../../tests/bad_pipelines/style.png");

const BASE: &str = "input.content = 'photos/a.jpg'\nstyle.image = 'style.png'\n";

#[test]
fn folders_give_their_pictures_and_not_the_last_prints() {
    let folder = Folder::new();
    let contents = |text: &str| {
        let config = folder.good(text, &[]);
        let names = config.variants[0].input.content.iter();
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
    assert_eq!(settings.pyramid.evaluations, Some(vec![9]));
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
    assert_eq!(folder.settings(&text, &[]).output.resolution(), Some(Dpi(240.0)));
    let own = folder.settings(&format!("{text}output.scale = 2"), &[]);
    assert_eq!(own.output.print_size(), Size::Scale(2.0));
    let set = folder.settings(&text, &["output.long-side-px=512"]);
    assert_eq!(set.output.print_size(), Size::LongSide(Px(512)));
    assert_eq!(
        folder.bad(&format!("{BASE}output = {{ scale = 2, size = 'A3' }}"), &[]),
        ["the size is given in more than one way"]
    );
}

#[test]
fn circles_and_missing_files_of_extends_are_reported() {
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
            format!("extends = ['d{m}.toml', 'd{m}.toml']", m = n + 1),
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
        Start { from: StartFrom::Noise, noise_ratio: 1.0, ..Start::default() }
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
    assert_eq!(config.run.compute.devices, OrAuto::Value(vec![DeviceName::Cpu]));
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
}

#[test]
fn a_variant_cannot_set_what_holds_for_the_whole_run() {
    let folder = Folder::new();
    let text = format!(
        "{BASE}[[variant]]\nname = 'a'\ncompute.precision = 'tf32'\n[[variant]]\nname = 'b'\noutput = {{ directory = 'x', quality = 0 }}\nbudget.hours = 'bad'\n"
    );
    let problems = folder.load(&text, &[]).expect_err("run-wide keys");
    let found: Vec<_> = problems
        .iter()
        .map(|problem| (problem.to_string(), problem.origin().map(Origin::line)))
        .collect();
    let of_run = |key: &str, line| (format!("`{key}` holds for the whole run"), Some(line));
    let expected = [
        of_run("compute.precision", 5),
        of_run("output.directory", 8),
        ("`output.quality` is 0".to_owned(), Some(8)),
        of_run("budget.hours", 9),
    ];
    assert_eq!(found, expected);
    let set = folder.bad(
        &format!("{BASE}[[variant]]\nname = 'a'\n"),
        &["variant.0.watch.save-every=3", "watch.save-every=4"],
    );
    assert_eq!(set, ["`watch.save-every` holds for the whole run"]);
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
    assert_eq!(count, 7);
}
