//! `impasto weights`: what is refused, and that nothing is lost on the way through.

use std::borrow::Cow;

use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use crate::folder::{Folder, repository};

fn shipped() -> Vec<u8> {
    std::fs::read(repository("weights/vgg19.safetensors")).expect("the shipped weights")
}

/// The shipped tensors, each as `change` leaves it; `None` takes one out.
fn changed(
    change: impl Fn(&str, TensorView<'static>) -> Option<(String, TensorView<'static>)>,
) -> Vec<u8> {
    let bytes: &'static [u8] = Vec::leak(shipped());
    let tensors = SafeTensors::deserialize(bytes).expect("safetensors").tensors();
    let parts: Vec<_> =
        tensors.into_iter().filter_map(|(name, view)| change(&name, view)).collect();
    safetensors::serialize(parts, None).expect("safetensors")
}

#[test]
fn info_shows_layers_format_hash_and_source() {
    let folder = Folder::new();
    let ran = folder.call(&["weights", "info"]).exits(0);
    for word in [
        "conv1_1",
        "[ 64,   3, 3, 3]",
        "conv5_4",
        "[512, 512, 3, 3]",
        "float16, biases float32",
        "Simonyan",
        "CC BY 4.0",
        "BGR",
    ] {
        assert!(ran.out.contains(word), "no `{word}` in {}", ran.out);
    }
    let hash = ran
        .out
        .lines()
        .find_map(|line| line.trim().strip_prefix("sha256"))
        .expect("a hash")
        .trim()
        .to_owned();
    assert!(hash.len() == 64 && hash.chars().all(|c| c.is_ascii_hexdigit()), "{hash}");
    let file = repository("weights/vgg19.safetensors").display().to_string();
    assert!(
        folder.call(&["weights", "info", &file]).exits(0).out.contains(&hash),
        "the file is what is inside"
    );
}

#[test]
fn weights_survive_both_formats() {
    let folder = Folder::new();
    let file = repository("weights/vgg19.safetensors").display().to_string();
    folder
        .call(&["weights", "import", &file, "--dtype", "f32", "--output", "wide.safetensors"])
        .exits(0);
    folder
        .call(&["weights", "import", "wide.safetensors", "--output", "narrow.safetensors"])
        .exits(0);
    let (shipped, narrow) = (shipped(), std::fs::read(folder.path("narrow.safetensors")).unwrap());
    let (shipped, narrow) =
        (SafeTensors::deserialize(&shipped).unwrap(), SafeTensors::deserialize(&narrow).unwrap());
    assert_eq!(narrow.len(), 32);
    for (name, view) in shipped.tensors() {
        let other = narrow.tensor(&name).expect("the same names");
        assert_eq!((view.dtype(), view.shape()), (other.dtype(), other.shape()), "{name}");
        assert!(view.data() == other.data(), "{name}: the values");
    }
    let info = folder.call(&["weights", "info", "wide.safetensors"]).exits(0).out;
    assert!(
        info.contains("weights    float32")
            && info.contains("imported-from-sha256")
            && info.contains("CC BY 4.0"),
        "{info}"
    );
    // The wide file holds the same numbers, so it paints the same picture.
    folder.run(&["--quiet", "output.name=inside.png"]).exits(0);
    folder.run(&["--quiet", "output.name=wide.png", "network.weights=wide.safetensors"]).exits(0);
    let pixels = |name: &str| image::open(folder.path(name)).unwrap().into_rgb8();
    assert!(pixels("out/inside.png") == pixels("out/wide.png"));
    // The same weights give the same file.
    folder
        .call(&["weights", "import", "wide.safetensors", "--output", "again.safetensors"])
        .exits(0);
    assert!(
        std::fs::read(folder.path("narrow.safetensors")).unwrap()
            == std::fs::read(folder.path("again.safetensors")).unwrap()
    );
    // Neither is replaced by accident.
    folder
        .call(&["weights", "import", "wide.safetensors", "--output", "narrow.safetensors"])
        .exits(4)
        .one_line(&["already exists"]);
    folder
        .call(&[
            "weights",
            "import",
            "wide.safetensors",
            "--output",
            "narrow.safetensors",
            "--overwrite",
        ])
        .exits(0);
}

#[test]
fn every_problem_of_a_file_is_listed() {
    let folder = Folder::new();
    let bad = changed(|name, view| match name {
        "conv1_1.weight" => None,
        "conv2_2.bias" => Some(("conv2_2.offset".into(), view)),
        "conv3_1.bias" => {
            Some((name.into(), TensorView::new(Dtype::F32, vec![2, 128], view.data()).unwrap()))
        }
        "conv4_3.bias" => {
            let mut data = view.data().to_vec();
            data[40..44].copy_from_slice(&f32::NAN.to_le_bytes());
            Some((name.into(), TensorView::new(Dtype::F32, vec![512], Vec::leak(data)).unwrap()))
        }
        "conv5_4.bias" => {
            Some((name.into(), TensorView::new(Dtype::I32, vec![512], view.data()).unwrap()))
        }
        _ => Some((name.into(), view)),
    });
    folder.write("bad.safetensors", bad);
    let problems = [
        "`conv1_1.weight` is missing",
        "`conv2_2.bias` is missing",
        "`conv3_1.bias` has shape [2, 128]; VGG19's is [256]",
        "`conv4_3.bias` has values that are not finite numbers",
        "`conv5_4.bias` is I32; biases are F32",
    ];
    let ran = folder.call(&["weights", "import", "bad.safetensors"]).exits(4).says(&problems);
    assert_eq!(ran.err.trim_end().lines().count(), 1 + problems.len(), "{ran:?}");
    folder.call(&["weights", "info", "bad.safetensors"]).exits(4).says(&problems);
    folder.run(&["network.weights=bad.safetensors"]).exits(4).says(&problems);
    assert!(!folder.path("vgg19.safetensors").exists() && !folder.path("out").exists());
}

#[test]
fn files_that_are_no_weights_are_refused() {
    let folder = Folder::new();
    let whole = shipped();
    folder.write("half.safetensors", &whole[..whole.len() / 2]);
    folder.write("empty.safetensors", "");
    folder.write("text.safetensors", "VGG19, honestly");
    for name in ["half.safetensors", "empty.safetensors", "text.safetensors"] {
        folder
            .call(&["weights", "import", name])
            .exits(4)
            .one_line(&[name, "is not a safetensors file"]);
    }
    folder
        .call(&["weights", "import", "gone.safetensors"])
        .exits(4)
        .one_line(&["cannot read the weights gone.safetensors"]);
}

#[test]
fn weights_too_large_for_float16_are_told() {
    let folder = Folder::new();
    let wide = changed(|name, view| {
        if name != "conv1_1.weight" {
            return Some((name.into(), view));
        }
        let mut values: Cow<'static, [u8]> = Cow::Owned(vec![0; 64 * 27 * 4]);
        values.to_mut()[..4].copy_from_slice(&1e6f32.to_le_bytes());
        let data: &'static [u8] = Vec::leak(values.into_owned());
        Some((name.into(), TensorView::new(Dtype::F32, vec![64, 3, 3, 3], data).unwrap()))
    });
    folder.write("wide.safetensors", wide);
    folder
        .call(&["weights", "import", "wide.safetensors"])
        .exits(4)
        .says(&["`conv1_1.weight`", "float16"]);
    assert!(!folder.path("vgg19.safetensors").exists());
}
