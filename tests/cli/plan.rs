//! `impasto plan`: a table for people, JSON for scripts, and nothing done.

use serde_json::Value;

use crate::folder::Folder;

/// Two levels, the second without room for the whole at 0.45 GiB.
const LARGE: [&str; 8] = [
    "plan",
    "pipeline.toml",
    "--set",
    "output.long-side-px=1536",
    "--set",
    "pyramid.short-side-px=512",
    "--set",
    "pyramid.evaluations=[9, 6]",
];

#[test]
fn a_plan_says_what_would_be_done_and_does_nothing() {
    let folder = Folder::new();
    let ran = folder.call(&["plan", "pipeline.toml", "--set", "output.long-side-px=192"]).exits(0);
    let row = |number: &str| {
        ran.out
            .lines()
            .find(|line| line.starts_with(&format!("| {number} ")))
            .expect("a row")
            .to_owned()
    };
    for (number, words) in
        [("1", ["96x64", "exact, 3 pairs", "whole"]), ("2", ["192x128", "exact, 3 pairs", "whole"])]
    {
        words.iter().for_each(|word| assert!(row(number).contains(word), "no `{word}` in {ran:?}"));
    }
    for word in ["photo-painting.png", "1 picture", "time", "memory", "disk"] {
        assert!(ran.out.contains(word), "no `{word}` in {ran:?}");
    }
    assert!(!folder.path("out").exists());
}

#[test]
fn what_has_no_effect_on_a_level_is_said_once_before_the_work() {
    let folder = Folder::new();
    let two_levels = ["output.long-side-px=192", "style.scale=0.5", "pyramid.evaluations=[2, 1]"];
    let plan = |keys: &[&str]| {
        let keys = keys.iter().flat_map(|key| ["--set", key]);
        folder.call(&["plan", "pipeline.toml"].into_iter().chain(keys).collect::<Vec<_>>())
    };
    let warnings = |text: &str| text.matches("warning: ").count();
    let plain = plan(&two_levels[..2]).exits(0);
    assert_eq!(warnings(&plain.err), 0, "{plain:?}");
    let single = plan(&two_levels).exits(0).says(&["a level with 1 evaluation stays as it starts"]);
    assert_eq!(warnings(&single.err), 1, "{single:?}");
    // What the pipeline itself shows is underlined, and a quiet run says nothing.
    plan(&["output.quality=5"]).exits(0).says(&["`output.quality` has no effect", "--set:1:1"]);
    let quiet = folder.run(&["--quiet", "pyramid.evaluations=1", "output.quality=5"]).exits(0);
    assert_eq!(quiet.err, "");
}

#[test]
fn a_plan_in_json_is_the_runs_plan_and_its_outlook() {
    let folder = Folder::new();
    let json = folder.call(&["plan", "pipeline.toml", "--json"]).exits(0);
    let document: Value = serde_json::from_str(&json.out).expect("JSON");
    let jobs: Vec<impasto::plan::JobRecord> =
        serde_json::from_value(document["jobs"].clone()).expect("the jobs of a plan");
    assert_eq!((jobs.len(), jobs[0].framing.width), (1, 96));
    assert_eq!(jobs[0].content.to_string(), "photo.png");
    assert_eq!(jobs[0].output.to_string(), "out/photo-painting.png");
    assert_eq!(jobs[0].settings["style"][0]["image"], "painting.png");
    let level = &document["jobs"][0]["levels"][0];
    let taken = &document["jobs"][0]["estimate"]["levels"][0];
    assert_eq!(level["execution"]["mode"], "exact");
    assert_eq!(taken["tiles"], 1);
    assert!(
        taken["disk"]["checkpoint-bytes"].as_u64() >= Some((2 * 3 + 5) * 12 * 96 * 64),
        "{document:#}"
    );
    assert_eq!(document["estimate"]["disk"]["finished-bytes"], 96 * 64 * 4);
    assert_eq!(document["estimate"]["memory-bytes"], level["memory-bytes"]);
    for value in [
        &document["estimate"]["seconds"],
        &taken["seconds"],
        &document["speed-seconds-per-megapixel"]["evaluation"],
    ] {
        assert!(value.as_f64().is_some_and(|seconds| seconds > 0.0), "{document:#}");
    }
}

#[test]
fn what_does_not_fit_is_refused_with_what_would() {
    let folder = Folder::new();
    let plan = |keys: &[&str]| {
        let keys = keys.iter().flat_map(|key| ["--set", key]);
        folder.call(&LARGE.into_iter().chain(keys).collect::<Vec<_>>())
    };
    let refused =
        plan(&["compute.memory-gib=0.3", "tiling.mode=exact", "optimise.history=8"]).exits(3);
    let refused = refused.one_line(&[
        "photo-painting.png",
        "a run may use 307 MiB, by compute.memory-gib",
        "no optimise.history",
        "px on its long side",
    ]);
    let number = |before: &str| -> f64 {
        let after = refused
            .err
            .split(before)
            .nth(1)
            .unwrap_or_else(|| panic!("no `{before}` in {refused:?}"));
        after
            .trim_start()
            .split(' ')
            .next()
            .and_then(|word| word.parse().ok())
            .unwrap_or_else(|| panic!("no number in {refused:?}"))
    };
    // What is named does, and a little less does not.
    let (enough, side) = (number("compute.memory-gib ="), number("a picture of no more than"));
    let exact = ["tiling.mode=exact", "optimise.history=8"];
    plan(&[exact[0], exact[1], &format!("compute.memory-gib={enough}")]).exits(0);
    plan(&[exact[0], exact[1], &format!("compute.memory-gib={:.2}", enough - 0.02)]).exits(3);
    plan(&[exact[0], exact[1], "compute.memory-gib=0.3", &format!("output.long-side-px={side}")])
        .exits(0);
}

#[test]
fn a_scan_too_small_for_the_print_is_told_once_with_what_would_do() {
    let folder = Folder::new();
    let size = "output.long-side-px=192";
    let words =
        ["warning: painting.png: its scan of 80x64 px is enlarged 2.", "style scale of 0.4"];
    let plan = folder.call(&["plan", "pipeline.toml", "--set", size]).exits(0).says(&words);
    assert_eq!(plan.err.matches("enlarged").count(), 1, "{plan:?}");
    let run = folder.run(&[size, "pyramid.evaluations=2"]).exits(0).says(&words);
    assert_eq!(run.err.matches("enlarged").count(), 1, "{run:?}");
    // What is painted already is worth no word.
    let again = ["run", "pipeline.toml", "--set", size, "--set", "pyramid.evaluations=2"];
    let again = folder.call(&again).exits(0);
    assert!(again.out.contains("nothing to do") && again.err.is_empty(), "{again:?}");
    // Two pictures after one painting have one line.
    std::fs::copy(folder.path("photo.png"), folder.path("photo2.png")).expect("copied");
    let two = ["plan", "pipeline.toml", "--set", size, "--set", "input.content=photo*.png"];
    let two = folder.call(&two).exits(0);
    assert_eq!(two.err.matches("enlarged").count(), 1, "{two:?}");
    let json = folder.call(&["plan", "pipeline.toml", "--json", "--set", size]).exits(0);
    let document: Value = serde_json::from_str(&json.out).expect("JSON");
    let job = &document["jobs"][0];
    assert!(job["warnings"][0].as_str().is_some_and(|words| words.contains("enlarged")), "{job:#}");
    let scan = &job["small-scans"][0];
    assert_eq!(
        (&scan["style"], &scan["width"], &scan["height"]),
        (&0.into(), &80.into(), &64.into())
    );
    assert!(
        scan["enlarged"].as_f64() > Some(2.3) && scan["scan-long-side-px"].as_u64() > Some(191)
    );
    // A scan that is a little smaller than the print is as good.
    let json = folder.call(&["plan", "pipeline.toml", "--json"]).exits(0);
    let document: Value = serde_json::from_str(&json.out).expect("JSON");
    assert_eq!(document["jobs"][0]["small-scans"], Value::Array(vec![]));
}
