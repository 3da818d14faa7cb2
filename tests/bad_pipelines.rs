//! What a user sees of each pipeline in `tests/bad_pipelines`: every problem, underlined, with what
//! would be accepted.

use std::fs;
use std::path::Path;

use impasto::config;
use miette::{Diagnostic, GraphicalReportHandler, GraphicalTheme};

/// All problems as the terminal shows them, without colours and 100 characters wide.
fn shown(problems: &config::Problems) -> String {
    let list: String = problems.iter().map(one).collect();
    format!("{problems}\n\n{list}")
}

/// One of them.
fn one(problem: &config::Problem) -> String {
    let handler = GraphicalReportHandler::new_themed(GraphicalTheme::unicode_nocolor())
        .with_width(100)
        .with_links(false);
    let mut text = String::new();
    handler.render_report(&mut text, problem).expect("a problem can be shown");
    text + "\n"
}

/// The tests run in the package's folder, so that the paths shown are the same on every machine.
const FOLDER: &str = "tests/bad_pipelines";

#[test]
fn every_bad_pipeline_is_reported_as_before() {
    let mut names: Vec<_> = fs::read_dir(FOLDER)
        .expect("the folder")
        .map(|entry| entry.expect("an entry").file_name())
        .collect();
    names.retain(|name| Path::new(name).extension().is_some_and(|extension| extension == "toml"));
    names.sort();
    assert!(names.len() >= 25, "{} bad pipelines", names.len());
    for name in names {
        let path = Path::new(FOLDER).join(&name);
        let problems = config::load(&path, &[]).expect_err("a bad pipeline");
        for problem in &problems {
            let places = problem.labels().map_or(0, Iterator::count);
            assert!(
                places > 0 && problem.source_code().is_some(),
                "{name:?}: {problem} has a place"
            );
        }
        assert_eq!(problems.related().map(Iterator::count), Some(problems.iter().count()));
        let stem = path.file_stem().expect("a stem").to_string_lossy().into_owned();
        insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true, snapshot_path => "bad_pipelines/snapshots" }, {
            insta::assert_snapshot!(stem, shown(&problems));
        });
    }
}

#[test]
fn overrides_are_shown_as_they_were_typed() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let path = folder.path().join("p.toml");
    fs::write(&path, "input.content = 'a.jpg'\nstyle.image = 'a.jpg'\n").expect("written");
    fs::write(folder.path().join("a.jpg"), "x").expect("written");
    let overrides = [
        "output.quality=900",
        "output.fit = cover",
        "start.form=noise",
        "seed",
        "output.scale=2",
        "output.size=A3",
    ];
    let problems = config::load(&path, &overrides.map(str::to_owned)).expect_err("bad overrides");
    let text = shown(&problems);
    let text = text.split_once("\n\n").expect("a header").1;
    insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true, snapshot_path => "bad_pipelines/snapshots" }, {
        insta::assert_snapshot!("overrides", text);
    });
}

#[test]
fn settings_without_effect_are_shown_as_warnings() {
    let path = Path::new(FOLDER).join("sound/without_effect.toml");
    let config = config::load(&path, &["start.seed=7".to_owned()]).expect("sound");
    let text: String = config.warnings.iter().map(one).collect();
    insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true, snapshot_path => "bad_pipelines/snapshots" }, {
        insta::assert_snapshot!("without_effect", text);
    });
}

#[test]
fn a_pipeline_that_cannot_be_read_says_why() {
    let problems = config::load(Path::new("tests/none.toml"), &[]).expect_err("no such file");
    let messages: Vec<_> = problems.iter().map(|problem| problem.to_string()).collect();
    assert_eq!(messages, ["cannot read `tests/none.toml`: there is no such file"]);
    let problems = config::load(Path::new("tests"), &[]).expect_err("a folder");
    assert_eq!(
        problems.iter().next().map(ToString::to_string).as_deref(),
        Some("cannot read `tests`: it is a folder")
    );
}
