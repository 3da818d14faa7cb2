//! `--like`: which settings of a picture's recipe come to a pipeline, and which stay the pipeline's.

use super::schema::{Effect, Key};
use super::*;

/// Keys that change pixels and are no part of a look: what is painted, how large, in what form, and
/// what the machine decides.
const OF_THE_PRINT: [&str; 24] = [
    "output.long-side-px",
    "output.width-mm",
    "output.height-mm",
    "output.size",
    "output.scale",
    "output.dpi",
    "output.fit",
    "output.crop-focus",
    "output.bleed-mm",
    "output.guard-band",
    "output.bit-depth",
    "output.compression",
    "output.quality",
    "output.dither",
    "output.metadata",
    "output.pyramid",
    "output.preview",
    "color.working-space",
    "color.output-profile",
    "color.intent",
    "optimise.history",
    "compute.devices",
    "compute.precision",
    "network.weights",
];

fn like(recipe: &str) -> Like {
    Like { picture: "renders/cell.png".into(), recipe: recipe.to_owned() }
}

fn load_with(folder: &Folder, text: &str, set: &[&str], recipe: &str) -> Result<Config, Problems> {
    let path = folder.write("p.toml", text);
    let set: Vec<String> = set.iter().map(|text| text.to_string()).collect();
    load_after(&path, &set, Some(&like(recipe)), &|_, _| PastRuns::default())
}

#[test]
fn every_key_that_changes_pixels_is_of_the_look_or_of_the_print() {
    let of_look = |key: &Key| {
        let path = match key.table {
            "style" => format!("style.0.{}", key.name()),
            _ => key.path(),
        };
        let setting =
            ListedSetting { key: path, value: String::new(), effect: Effect::Pixels, file: None };
        look_of(&[setting]).next().is_some()
    };
    for table in settings::tables().into_iter().filter(|table| table.name != "tiling") {
        for key in settings::keys_of(table.name).filter(|key| key.effect == Effect::Pixels) {
            let stays = OF_THE_PRINT.contains(&key.path().as_str());
            assert!(of_look(key) != stays, "{}: of the look or of the print?", key.path());
        }
    }
}

#[test]
fn a_look_replaces_the_pipelines_and_leaves_the_print() {
    let folder = Folder::new();
    let text = format!(
        "{BASE}output = {{ long-side-px = 4000, color = 'content' }}\nobjective = {{ preset = 'gatys', content-weight = 7, pooling = 'max' }}\nstyle.weight = 3\noptimise.learning-rate = 0.5\ntiling.core-px = 512"
    );
    let recipe = "# impasto 0.1.0: x\ninput.content = ['other.jpg']\noutput.name = 'cell.png'\noutput.long-side-px = 512\noutput.color = 'style'\nobjective.preset = 'wasserstein'\nobjective.look = 'bold'\nstart.from = 'content'\nstart.noise-ratio = 0.25\nstart.seed = 9\npyramid.short-side-px = 80\npyramid.evaluations = [30]\ntiling.mode = 'blocks'\n[[style]]\nimage = 'elsewhere/style.png'\nweight = 1.0\nscale = 0.5\n";
    let config = load_with(&folder, &text, &[], recipe).expect("sound");
    let Settings { styles, output, objective, start, pyramid, optimise, tiling, .. } =
        &config.variants[0].settings;
    assert_eq!(output.print_size(), Size::LongSide(Px(4000)));
    assert_eq!((&output.name, output.color), (&None, ColorFrom::Style));
    assert_eq!((objective.preset, objective.look), (Preset::Wasserstein, Some(Look::Bold)));
    assert_eq!((objective.content_weight, objective.pooling), (None, None));
    assert_eq!((start.noise_ratio, start.seed), (0.25, 9));
    assert_eq!(pyramid.short_side_px, Some(Px(80)));
    assert_eq!(pyramid.evaluations, Some(vec![30]), "the pipeline says none");
    assert_eq!((styles[0].scale, styles[0].weight), (0.5, 1.0));
    assert_eq!(styles[0].image, folder.0.path().join("style.png"));
    assert_eq!((optimise.learning_rate, tiling.mode), (None, TilingMode::Auto));
    assert!(config.notes.is_empty(), "{:?}", config.notes);
    // What the pipeline or the command line says of the time stays; --set has the last word.
    let own = format!("{text}\npyramid.evaluations = [9, 5]");
    let config = load_with(&folder, &own, &["objective.look=faithful"], recipe).expect("sound");
    let settings = &config.variants[0].settings;
    assert_eq!(settings.pyramid.evaluations, Some(vec![9, 5]));
    assert_eq!(settings.objective.look, Some(Look::Faithful));
}

#[test]
fn a_grid_explores_around_a_look() {
    let folder = Folder::new();
    let text = format!("{BASE}[grid]\nobjective.content-weight = [1, 2]");
    let recipe = "# impasto 0.1.0\nobjective.preset = 'gatys'\nobjective.content-weight = 5";
    let config = load_with(&folder, &text, &[], recipe).expect("sound");
    let found: Vec<_> = config
        .variants
        .iter()
        .map(|v| &v.settings.objective)
        .map(|o| (o.preset, o.content_weight))
        .collect();
    assert_eq!(found, [(Preset::Gatys, Some(1.0)), (Preset::Gatys, Some(2.0))]);
}

#[test]
fn paintings_are_told_by_their_number_and_another_one_is_worth_a_word() {
    let folder = Folder::new();
    let one = "[[style]]\nimage = 'night.jpg'\nscale = 0.5\n";
    let config = load_with(&folder, BASE, &[], &format!("# impasto 0.1.0\n{one}")).expect("sound");
    assert_eq!(config.variants[0].settings.styles[0].scale, 0.5);
    let note = "cell.png was painted after night.jpg; the look is taken to style.png, which the pipeline names";
    assert_eq!(config.notes, [note]);
    let two =
        load_with(&folder, BASE, &[], &format!("# impasto 0.1.0\n{one}{one}")).expect_err("two");
    assert_eq!(
        messages(&two),
        ["cell.png was painted after 2 paintings, and the pipeline has 1 painting"]
    );
}

#[test]
fn a_recipe_of_another_version_is_told_with_its_place() {
    let folder = Folder::new();
    let recipe = "# impasto 99.1.0: x\nobjective.preset = 'swirls'\nobjective.depth = 3\ncurves.bend = 1\nnot toml\n";
    let problems = load_with(&folder, BASE, &[], recipe).expect_err("unknown");
    let found = messages(&problems);
    for part in [
        "`objective.preset` is \"swirls\"",
        "[objective] has no key `depth`",
        "there is no table `curves`",
        "not TOML",
    ] {
        assert!(found.iter().any(|message| message.contains(part)), "no `{part}` in {found:?}");
    }
    let of_version = problems.iter().filter(|problem| {
        miette::Diagnostic::help(*problem)
            .is_some_and(|help| help.to_string().contains("impasto 99.1.0"))
    });
    assert_eq!(of_version.count(), 2, "{problems:?}");
}
