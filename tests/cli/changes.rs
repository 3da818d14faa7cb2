//! Files that are replaced during a run.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use crate::folder::Folder;

/// Three photographs, painted one after the other.
fn folder() -> Folder {
    let folder = Folder::new();
    let photo = std::fs::read(folder.path("photo.png")).unwrap();
    for name in ["a", "b", "c"] {
        folder.write(&format!("photos/{name}.png"), &photo);
    }
    let other = image::open(folder.path("painting.png")).unwrap();
    other.fliph().save(folder.path("other-painting.png")).unwrap();
    let other = image::open(folder.path("photo.png")).unwrap();
    other.flipv().save(folder.path("other-photo.png")).unwrap();
    folder
}

const KEYS: [&str; 6] =
    ["run", "pipeline.toml", "--set", "input.content=photos", "--set", "batch.parallel-jobs=1"];

/// A run in which `change` happens when the first picture has started.
fn run_with(folder: &Folder, change: impl FnOnce()) -> (Option<i32>, String) {
    let mut child = folder
        .process(&[&KEYS[..], &["--json", "--set", "pyramid.evaluations=[120]"]].concat())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    lines.find(|line| line.contains("\"evaluated\"")).expect("an evaluation");
    change();
    let rest: Vec<String> = lines.collect();
    let out = child.wait_with_output().unwrap();
    (out.status.code(), rest.join("\n") + &String::from_utf8(out.stderr).unwrap())
}

#[test]
fn a_photograph_that_is_replaced_fails_with_the_reason_and_the_others_are_painted() {
    let folder = folder();
    let (code, said) = run_with(&folder, || {
        std::fs::copy(folder.path("other-photo.png"), folder.path("photos/c.png"))
            .map(drop)
            .unwrap();
    });
    assert_eq!(code, Some(5), "{said}");
    assert!(said.contains("photos/c.png was changed or replaced"), "{said}");
    assert_eq!(folder.names("out"), ["a-painting.png", "b-painting.png"]);
    // As it is now it is painted by the next run.
    let keys = [&KEYS[..], &["--set", "pyramid.evaluations=[120]"]].concat();
    folder.call(&keys).exits(0);
    assert_eq!(folder.names("out"), ["a-painting.png", "b-painting.png", "c-painting.png"]);
}

#[test]
fn a_style_image_that_is_replaced_paints_nothing_from_there_on() {
    let folder = folder();
    // The first picture's second level needs statistics that nobody has computed yet.
    let mut child = folder
        .process(
            &[
                &KEYS[..],
                &["--json", "--set", "pyramid.evaluations=[60, 3]"],
                &["--set", "output.long-side-px=192", "--set", "batch.retries=0"],
            ]
            .concat(),
        )
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    lines.find(|line| line.contains("\"evaluated\"")).expect("an evaluation");
    std::fs::copy(folder.path("other-painting.png"), folder.path("painting.png")).unwrap();
    lines.for_each(drop);
    let out = child.wait_with_output().unwrap();
    let said = String::from_utf8(out.stderr).unwrap();
    assert_eq!(out.status.code(), Some(4), "{said}");
    assert_eq!(said.matches("painting.png was changed or replaced").count(), 3, "{said}");
    assert!(folder.names("out").iter().all(|name| !name.ends_with("-painting.png")), "{said}");
    // Statistics of the other painting are not kept under the name of the first.
    let targets = std::fs::read_dir(folder.path("out/.impasto/targets")).unwrap().count();
    assert_eq!(targets, 1, "those of the first level");
}

#[test]
fn a_starting_image_that_is_replaced_fails_the_pictures_from_there_on() {
    let folder = folder();
    std::fs::copy(folder.path("photo.png"), folder.path("start.png")).unwrap();
    let pipeline = std::fs::read_to_string(folder.path("pipeline.toml")).unwrap();
    let start = "\n[start]\nfrom = \"image\"\nimage = \"start.png\"\n";
    folder.write("pipeline.toml", pipeline + start);
    let (code, said) = run_with(&folder, || {
        std::fs::copy(folder.path("other-photo.png"), folder.path("start.png")).map(drop).unwrap();
    });
    assert_eq!(code, Some(5), "{said}");
    assert!(said.contains("start.png was changed or replaced"), "{said}");
    assert_eq!(folder.names("out"), ["a-painting.png"]);
}
