//! `[grid]`: which pictures its lists make, what they are called, and what is refused.

use super::*;

fn names(config: &Config) -> Vec<String> {
    let name = |output: &OutputFile| output.path.file_name().expect("a name").to_owned();
    config.outputs().iter().map(|output| name(output).to_string_lossy().into_owned()).collect()
}

#[test]
fn every_combination_becomes_a_picture() {
    let folder = Folder::new();
    let text = format!(
        "{BASE}output.scale = 0.5\n[grid]\nstyle.scale = [0.5, 1]\nobjective.preset = ['spst', 'gatys']\nobjective.content-weight = [1e6]"
    );
    let config = folder.good(&text, &[]);
    let expected = [
        "a-style-scale-0.5_preset-spst_content-weight-1e6.png",
        "a-style-scale-0.5_preset-gatys_content-weight-1e6.png",
        "a-style-scale-1_preset-spst_content-weight-1e6.png",
        "a-style-scale-1_preset-gatys_content-weight-1e6.png",
    ];
    assert_eq!(names(&config), expected);
    let settings: Vec<_> = config.variants.iter().map(|variant| &variant.settings).collect();
    let made: Vec<_> = settings.iter().map(|s| (s.styles[0].scale, s.objective.preset)).collect();
    assert_eq!(
        made,
        [(0.5, Preset::Spst), (0.5, Preset::Gatys), (1.0, Preset::Spst), (1.0, Preset::Gatys)]
    );
    assert!(settings.iter().all(|s| s.objective.content_weight == Some(1e6)));
    assert_eq!(settings[0].output.print_size(), Size::Scale(0.5), "its own size stays");
    let axes: Vec<_> = config.grid.iter().map(|axis| axis.key.as_str()).collect();
    assert_eq!(axes, ["style.scale", "objective.preset", "objective.content-weight"]);
    assert_eq!(
        config.variants[2].combination.as_ref().map(|combination| combination.at.clone()),
        Some(vec![1, 0, 0])
    );
}

#[test]
fn variants_grid_and_photographs_multiply() {
    let folder = Folder::new();
    let text = "style.image = 'style.png'\ninput.content = 'photos'\n[grid]\nstart.seed = [1, 2]\n[[variant]]\nname = 'x'\n[[variant]]\nname = 'y'\nstart.from = 'noise'";
    let config = folder.good(text, &[]);
    assert_eq!(names(&config).len(), 8);
    assert_eq!(names(&config)[0], "a-style-x-seed-1.png");
    assert_eq!(config.variants[3].name.as_deref(), Some("y seed-2"));
    assert_eq!(config.variants[3].settings.start.from, StartFrom::Noise);
    let named =
        folder.good(&format!("output.name = '{{content}}.{{grid}}.{{variant}}.jpg'\n{text}"), &[]);
    assert_eq!(names(&named)[7], "b.seed-2.y.jpg");
}

#[test]
fn a_grid_whose_pipeline_says_no_size_is_small() {
    let folder = Folder::new();
    let grid = format!("{BASE}[grid]\nstart.seed = [1, 2]");
    assert_eq!(folder.settings(&grid, &[]).output.print_size(), Size::LongSide(GRID_SIDE));
    let size = |sizes: &[&str]| folder.settings(&grid, sizes).output.print_size();
    assert_eq!(size(&["output.scale=2"]), Size::Scale(2.0));
    folder.write("a3.toml", "output.size = 'A3'");
    let extended = folder.settings(&format!("extends = 'a3.toml'\n{grid}"), &[]);
    assert!(extended.output.print_size().is_on_paper());
    assert_eq!(folder.settings(BASE, &[]).output.print_size(), Size::Scale(1.0));
}

#[test]
fn names_of_combinations_are_short_and_never_alike() {
    let folder = Folder::new();
    let combinations = |grid: &str| {
        let config = folder.good(&format!("{BASE}[grid]\n{grid}"), &[]);
        let name = |variant: &Variant| variant.combination.as_ref().expect("one").name.clone();
        config.variants.iter().map(name).collect::<Vec<_>>()
    };
    folder.write("more/Étude 画.png", PICTURE);
    folder.write("more/style.png", PICTURE);
    assert_eq!(
        combinations("style.image = ['style.png', 'more/Étude 画.png']"),
        ["image-style", "image-Étude-画"]
    );
    // Names that would be the same are numbered.
    assert_eq!(
        combinations("style.image = ['style.png', 'more/style.png']"),
        ["image-1", "image-2"]
    );
    assert_eq!(
        combinations("objective.style-layers = [['relu1_1', 'relu2_1'], { relu3_1 = 2 }]"),
        ["style-layers-relu1_1+relu2_1", "style-layers-relu3_1=2"]
    );
    assert_eq!(
        combinations(
            "output.scale = [0.5]\nstyle.scale = [2]\nobjective.content-weight = [1e-5, 0.25]"
        )[0],
        "output.scale-0.5_style.scale-2_content-weight-1e-5"
    );
    let long = "objective.style-layers = [['relu1_1', 'relu2_1', 'relu3_1', 'relu4_1', 'relu5_1'], ['relu1_1', 'relu2_1', 'relu3_1', 'relu4_1']]";
    assert_eq!(combinations(long), ["style-layers-1", "style-layers-2"]);
}

#[test]
fn grids_merge_over_files_and_the_command_line_has_the_last_word() {
    let folder = Folder::new();
    folder.write("base.toml", "[grid]\nobjective.content-weight = [1, 2]\nstart.seed = [1, 2, 3]");
    let text = format!(
        "extends = 'base.toml'\n{BASE}[grid]\nobjective.preset = ['gatys']\nstart.seed = [7]"
    );
    let config = folder.good(&text, &[]);
    assert_eq!(config.variants.len(), 2);
    assert!(config.variants.iter().all(|variant| variant.settings.start.seed == 7));
    let set = folder.good(&text, &["grid.start.seed=[8, 9]", "output.quality=7"]);
    assert_eq!(set.variants.len(), 4);
    assert!(set.variants.iter().all(|variant| variant.settings.output.quality == 7));
}

#[test]
fn what_a_grid_lists_nothing_else_sets() {
    let folder = Folder::new();
    let text = format!("{BASE}[grid]\nstart.seed = [1, 2]\n");
    assert_eq!(
        folder.bad(&text, &["start.seed=3"]),
        ["the command line sets `start.seed`, which [grid] lists"]
    );
    assert_eq!(
        folder.bad(&format!("{text}[[variant]]\nname = 'v'\nstart.seed = 4"), &[]),
        ["the variant `v` sets `start.seed`, which [grid] lists"]
    );
    // What all pictures have by default is no contradiction.
    folder.good(&format!("start.seed = 5\n{text}"), &[]);
}

#[test]
fn a_grid_reaches_into_styles_by_their_number() {
    let folder = Folder::new();
    let text = "input.content = 'photos/a.jpg'\n[[style]]\nimage = 'style.png'\n[[style]]\nimage = 'photos/b.PNG'\n[grid]\nstyle.1.scale = [2, 3]";
    let config = folder.good(text, &[]);
    let scales: Vec<_> =
        config.variants.iter().map(|variant| variant.settings.styles[1].scale).collect();
    assert_eq!(scales, [2.0, 3.0]);
    let which = text.replace("style.1.scale", "style.scale");
    assert_eq!(folder.bad(&which, &[]), ["`style` is an array of 2"]);
}

#[test]
fn no_more_pictures_than_there_may_be_variants() {
    let folder = Folder::new();
    let list = |count: usize| (0..count).map(|n| n.to_string()).collect::<Vec<_>>().join(",");
    let grid = |a, b| {
        format!(
            "{BASE}[grid]\nstart.seed = [{}]\nobjective.content-weight = [{}]\n",
            list(a),
            list(b)
        )
    };
    assert_eq!(folder.good(&grid(20, 10), &[]).variants.len(), 200);
    assert_eq!(folder.bad(&grid(40, 26), &[]), ["[grid] has 40 x 26 combinations"]);
    let variants = "[[variant]]\nname = 'a'\n[[variant]]\nname = 'b'\n";
    assert_eq!(
        folder.bad(&format!("{}{variants}", grid(501, 1)), &[]),
        ["[grid] has 501 x 1 combinations"]
    );
}
