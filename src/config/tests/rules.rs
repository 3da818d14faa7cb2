//! Keys that mean something together.

use super::*;
use crate::units::{Dpi, Mm};

#[test]
fn the_same_bytes_for_any_core_need_cores_of_whole_tiles() {
    let folder = Folder::new();
    let bitwise = format!("{BASE}tiling.margins = 'bitwise'\n");
    let core = |side: u32| format!("tiling.core-px={side}");
    let tiling = |text: &str, set: &[&str]| folder.settings(text, set).tiling;
    assert_eq!(tiling(&bitwise, &[&core(640)]).margins, TilingMargins::Bitwise);
    assert_eq!(tiling(&bitwise, &[]).core_px, OrAuto::Auto);
    assert_eq!(tiling(BASE, &[&core(48)]).margins, TilingMargins::Exact);
    assert_eq!(
        folder.bad(&bitwise, &[&core(48)]),
        ["`tiling.core-px` is 48, and `tiling.margins` \"bitwise\" needs a multiple of 64"]
    );
    assert_eq!(folder.bad(&bitwise, &[&core(50)]), ["`tiling.core-px` is 50"]);
}

#[test]
fn sizes_on_paper_have_a_resolution() {
    let folder = Folder::new();
    let output = |text: &str| folder.settings(&format!("{BASE}{text}"), &[]).output;
    let dpi = Dpi(300.0);
    let width = output("output.width-mm = 300");
    assert_eq!(width.print_size(), Size::Print { width: Some(Mm(300.0)), height: None, dpi });
    assert_eq!((width.resolution(), output("output.size = 'a4'").dpi), (Some(dpi), Some(dpi)));
    let set = output("output.size = '24x36in'\noutput.dpi = 200");
    assert_eq!(set.resolution(), Some(Dpi(200.0)));
    assert_eq!(output("output.long-side-px = 900").resolution(), None);
    assert_eq!(output("output = { long-side-px = 900, bleed-mm = 3 }").resolution(), Some(dpi));
}

#[test]
fn what_is_implied_can_be_said() {
    let folder = Folder::new();
    let same = |one: &str, other: &str| {
        let list = |text: &str| listed(&folder.good(&format!("{BASE}{text}"), &[]));
        assert_eq!(list(one), list(other), "{one} and {other}");
    };
    same("", "output.scale = 1");
    same("output.size = 'A4'", "output = { size = 'A4', dpi = 300 }");
    same("start.from = 'noise'", "start = { from = 'noise', noise-ratio = 1 }");
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
fn what_a_mode_cannot_do_is_refused() {
    let folder = Folder::new();
    for mode in ["blocks", "feathered"] {
        let mode_key = format!("tiling.mode={mode}");
        let margins = folder.bad(BASE, &["tiling.margins=bitwise", &mode_key]);
        assert!(margins[0].starts_with("`tiling.margins` is \"bitwise\", which"), "{margins:?}");
        folder.good(BASE, &["optimise.method=adam", &mode_key]);
    }
}

#[test]
fn the_same_bytes_for_any_core_need_the_cpu() {
    let folder = Folder::new();
    let on = |devices: &str| {
        folder.load(BASE, &["tiling.margins=bitwise", &format!("compute.devices={devices}")])
    };
    assert!(on("['cpu', 'cpu']").is_ok() && on("auto").is_ok());
    let refused = messages(&on("['cuda:0']").expect_err("a GPU"));
    assert_eq!(refused, ["`tiling.margins` is \"bitwise\", which only the CPU can do"]);
}

#[test]
fn the_cpu_has_no_tf32_and_no_gpus_beside_it() {
    let folder = Folder::new();
    let devices = |names: &str, precision: &str| {
        let set = [format!("compute.devices={names}"), format!("compute.precision={precision}")];
        folder.load(BASE, &[&set[0], &set[1]]).err().map(|problems| messages(&problems))
    };
    let tf32 = "`compute.precision` is \"tf32\", which only GPUs have";
    let mixed = "`compute.devices` mixes GPUs and the CPU";
    assert_eq!(devices("['cpu']", "tf32"), Some(vec![tf32.to_owned()]));
    assert_eq!(devices("['cpu', 'cuda:0']", "float32"), Some(vec![mixed.to_owned()]));
    assert_eq!(devices("['cuda:0', 'cuda:0']", "tf32"), None);
    assert_eq!(devices("auto", "tf32"), None);
}

#[test]
fn something_is_minimised() {
    let folder = Folder::new();
    let zero = "all weights are 0, so there is nothing to minimise";
    let gatys =
        ["objective.preset=gatys", "objective.content-weight=0", "objective.style-weight=0"];
    assert_eq!(folder.bad(BASE, &gatys), [zero]);
    folder.good(BASE, &[&gatys[..], &["objective.variation-weight=1"]].concat());
    // Other presets have more terms.
    folder.good(BASE, &["objective.preset=spst", gatys[1], gatys[2]]);
    folder.good(BASE, &["objective.preset=neural-style", gatys[1], gatys[2]]);
    // A term without a layer that counts is no term.
    let layers = ["objective.content-layers={ relu4_2 = 0 }", "objective.style-weight=0"];
    assert_eq!(folder.bad(BASE, &["objective.preset=gatys", layers[0], layers[1]]), [zero]);
}

#[test]
fn the_start_is_what_it_says() {
    let folder = Folder::new();
    let bad = |set: &[&str]| folder.bad(BASE, set);
    assert_eq!(
        bad(&["start.from=noise", "start.noise-ratio=0"]),
        ["`start.from` is \"noise\", which is nothing but noise, and `start.noise-ratio` is 0"]
    );
    let image = "start.image = 'style.png'\n";
    assert_eq!(
        folder.bad(&format!("{BASE}{image}"), &[]),
        ["`start.image` is given, but the canvas starts from the content"]
    );
    let start = |from: &str| folder.good(&format!("{BASE}{image}"), &[from]);
    assert!(start("start.from=image").variants[0].settings.start.picture().is_some());
    let content = start("start.from=content");
    assert_eq!(content.variants[0].settings.start, Start::default());
    assert_eq!(
        messages(&content.warnings),
        ["`start.image` has no effect: `start.from` names another start"]
    );
}

#[test]
fn what_has_no_effect_is_warned_of_where_the_pipeline_itself_says_it() {
    let folder = Folder::new();
    let unused = [
        ("output.fit", "'cover'"),
        ("output.crop-focus", "[0, 0]"),
        ("output.compression", "'lzw'"),
        ("output.quality", "90"),
        ("color.intent", "'perceptual'"),
        ("start.seed", "3"),
        ("style.weight", "2"),
    ];
    for (key, value) in unused {
        let config = folder.good(&format!("{BASE}{key} = {value}"), &[]);
        let warnings = messages(&config.warnings);
        assert_eq!(warnings.len(), 1, "{key}: {warnings:?}");
        assert!(warnings[0].starts_with(&format!("`{key}` has no effect: ")), "{warnings:?}");
        let set = folder.good(BASE, &[&format!("{key}={value}")]);
        assert_eq!(messages(&set.warnings), warnings, "{key}");
        // A file that many pipelines extend is general.
        folder.write("general.toml", format!("{key} = {value}"));
        let extends = folder.good(&format!("extends = 'general.toml'\n{BASE}"), &[]);
        assert_eq!(messages(&extends.warnings), Vec::<String>::new(), "{key}");
    }
    let pairs = [
        ("optimise.history=5", "optimise.method=adam"),
        ("tiling.rounds=2", "tiling.mode=exact"),
        ("tiling.visit=2", "tiling.mode=exact"),
        ("tiling.overlap-px=2", "tiling.mode=exact"),
        ("output.dither=true", "output.bit-depth=16"),
    ];
    for (key, other) in pairs {
        assert_eq!(folder.good(BASE, &[key, other]).warnings.len(), 1, "{key}, {other}");
        assert_eq!(folder.good(BASE, &[key]).warnings.len(), 0, "{key}");
    }
    let used = [
        "output.size=A3",
        "output.fit=cover",
        "output.crop-focus=[0, 0]",
        "output.name=x.tiff",
        "output.compression=lzw",
    ];
    assert_eq!(messages(&folder.good(BASE, &used).warnings), Vec::<String>::new());
}
