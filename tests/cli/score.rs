//! `impasto score` against values computed independently in float64 with the shipped weights
//! (`tests/reference/`).

use candle_core::{Device, Tensor};
use serde_json::Value;

use crate::folder::{Folder, repository};

/// Relative bounds: of a loss, and of a gradient in the Euclidean norm (`tests/network/reference.rs` says
/// why it is wider).
const LOSS: f64 = 1e-4;
const GRADIENT: f64 = 1.2e-3;

fn reference(name: &str) -> String {
    repository("tests/reference").join(name).display().to_string()
}

fn score(folder: &Folder, more: &[&str]) -> crate::folder::Ran {
    let (canvas, content, style) = (
        reference("canvas_101x75.png"),
        reference("content_101x75.png"),
        reference("style_88x70.png"),
    );
    let mut arguments = vec!["score", &canvas, "--content", &content, "--style", &style];
    arguments.extend(more);
    folder.call(&arguments)
}

fn gradient(path: std::path::PathBuf) -> Tensor {
    candle_core::safetensors::load(path, &Device::Cpu)
        .expect("a gradient")
        .remove("gradient")
        .expect("key `gradient`")
}

#[test]
fn presets_give_the_reference_losses_and_gradients() {
    let folder = Folder::new();
    let text = std::fs::read_to_string(reference("expected.json")).unwrap();
    let expected: Value = serde_json::from_str(&text).unwrap();
    for (pooling, word) in [("max", "max"), ("average", "avg")] {
        for (preset, name) in [
            ("gatys", "total_gatys_code"),
            ("neural-style", "total_neural_style"),
            ("spst", "total_spst"),
        ] {
            let wanted = &expected["cases"][format!("{word}_f16weights")]["losses"][name];
            let file = format!("{preset}-{word}.safetensors");
            let ran = score(
                &folder,
                &["--preset", preset, "--pooling", pooling, "--json", "--gradient", &file],
            )
            .exits(0);
            let found: Value = serde_json::from_str(&ran.out).expect("JSON");
            let (total, value) =
                (found["losses"]["total"].as_f64().unwrap(), wanted["value"].as_f64().unwrap());
            assert!(
                (total - value).abs() <= LOSS * value,
                "{preset}, {pooling}: {total} instead of {value}"
            );
            let layers = found["layers"].as_object().unwrap();
            let sum: f64 = layers
                .values()
                .flat_map(|l| l.as_object().unwrap().values())
                .map(|v| v.as_f64().unwrap())
                .sum();
            let variation = found["losses"]["variation"].as_f64().unwrap();
            assert!((sum + variation - total).abs() <= 1e-9 * total, "the layers add up");

            let gradient = gradient(folder.path(&file));
            assert_eq!(gradient.dims(), [3, 75, 101]);
            let values = gradient.flatten_all().unwrap().to_vec1::<f32>().unwrap();
            let norm = values.iter().map(|g| f64::from(*g).powi(2)).sum::<f64>().sqrt();
            let wanted_norm = wanted["grad_l2"].as_f64().unwrap();
            assert!(
                (norm - wanted_norm).abs() <= GRADIENT * wanted_norm,
                "{preset}, {pooling}: norm {norm} instead of {wanted_norm}"
            );
            let largest = wanted["grad_linf"].as_f64().unwrap();
            for (value, wanted) in values.iter().zip(wanted["grad_first8"].as_array().unwrap()) {
                assert!(
                    (f64::from(*value) - wanted.as_f64().unwrap()).abs() <= GRADIENT * largest,
                    "{preset}, {pooling}"
                );
            }
        }
    }
}

#[test]
fn the_table_shows_every_layer_and_the_total() {
    let folder = Folder::new();
    let ran = score(&folder, &["--preset", "gatys"]).exits(0);
    for word in [
        "relu1_1",
        "relu2_1",
        "relu3_1",
        "relu4_1",
        "relu4_2",
        "relu5_1",
        "content",
        "gram",
        "statistics",
        "variation",
        "total",
    ] {
        assert!(ran.out.contains(word), "no {word} in {}", ran.out);
    }
    assert_eq!(ran.err, "");
}

#[test]
fn tiles_give_the_same_score() {
    let folder = Folder::new();
    let total = |more: &[&str]| {
        let ran = score(&folder, more).exits(0);
        serde_json::from_str::<Value>(&ran.out).unwrap()["losses"]["total"].as_f64().unwrap()
    };
    let (whole, tiled) = (total(&["--json"]), total(&["--json", "--core-px", "48"]));
    assert!((whole - tiled).abs() <= 1e-5 * whole, "{tiled} instead of {whole}");
    assert_eq!(whole, total(&["--json", "--core-px", "64", "--margins", "bitwise"]));
}

#[test]
fn what_cannot_be_scored_is_told() {
    let folder = Folder::new();
    folder.write("there.safetensors", "precious");
    score(&folder, &["--gradient", "there.safetensors"])
        .exits(4)
        .one_line(&["there.safetensors already exists"]);
    assert_eq!(std::fs::read(folder.path("there.safetensors")).unwrap(), b"precious");
    score(&folder, &["--core-px", "48", "--margins", "bitwise"])
        .exits(2)
        .one_line(&["48", "multiples of 64"]);
    score(&folder, &["--weights", "gone.safetensors"]).exits(4).one_line(&["gone.safetensors"]);
    folder.write("text.png", "no picture");
    folder
        .call(&["score", "text.png", "--content", "photo.png", "--style", "painting.png"])
        .exits(4)
        .one_line(&["text.png: not a picture"]);
    folder.call(&["score", "photo.png"]).exits(2);
}
