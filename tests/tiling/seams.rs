//! `impasto seams` from the outside.

#![allow(clippy::unwrap_used, reason = "a test that cannot begin has failed")]

use std::path::Path;

use impasto::random::Noise;
use serde_json::Value;

/// Writes a picture of coarse noise; right of `step` it is lighter.
fn picture(path: &Path, step: Option<u32>) {
    let noise = Noise::new(4);
    let grain =
        |x: u32, y: u32| 90 + (noise.bits(u64::from(y / 3 * 1000 + (x + y / 2) / 3)) % 80) as u8;
    let bright = |x: u32| if step.is_some_and(|step| x >= step) { 40 } else { 0 };
    image::RgbImage::from_fn(384, 300, |x, y| image::Rgb([grain(x, y) + bright(x); 3]))
        .save_with_format(path, image::ImageFormat::Bmp)
        .unwrap();
}

fn seams(arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = assert_cmd::Command::cargo_bin("impasto")
        .unwrap()
        .arg("seams")
        .args(arguments)
        .output()
        .unwrap();
    (
        output.status.code(),
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap(),
    )
}

#[test]
fn a_step_is_told_with_its_place_and_a_clean_picture_has_none() {
    let folder = tempfile::tempdir().unwrap();
    let (clean, stepped) = (folder.path().join("clean.bmp"), folder.path().join("stepped.bmp"));
    picture(&clean, None);
    picture(&stepped, Some(256));
    let number = |path: &Path, grid: &str, key: &str| {
        let (code, text, errors) = seams(&[path.to_str().unwrap(), "--core-px", "128", "--json"]);
        assert_eq!(code, Some(0), "{errors}");
        serde_json::from_str::<Value>(&text).unwrap()[grid][key].as_f64().unwrap()
    };
    assert!(number(&clean, "grid", "worst-step") < number(&clean, "control", "worst-step") + 1.0);
    assert!(
        number(&stepped, "grid", "worst-step") > number(&stepped, "control", "worst-step") + 5.0
    );
    let (_, table, _) = seams(&[
        stepped.to_str().unwrap(),
        "--core-px",
        "128",
        "--content",
        stepped.to_str().unwrap(),
    ]);
    assert!(
        table.contains("control grid") && table.contains("less the photograph's own"),
        "{table}"
    );
}

#[test]
fn bad_arguments_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("clean.bmp");
    picture(&path, None);
    let (code, _, errors) = seams(&[path.to_str().unwrap(), "--core-px", "0"]);
    assert_eq!((code, errors.contains("whole numbers from 4")), (Some(2), true), "{errors}");
    let (code, _, errors) = seams(&[path.to_str().unwrap(), "--core-px", "1024"]);
    assert_eq!((code, errors.contains("384x300")), (Some(3), true), "{errors}");
    let (code, _, errors) = seams(&["no-such.png", "--core-px", "64"]);
    assert_eq!((code, errors.contains("no-such.png")), (Some(4), true), "{errors}");
}
