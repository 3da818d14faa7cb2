//! Exit codes, and what is left behind when something goes wrong.

use crate::folder::{Folder, RESULT};

#[test]
fn a_picture_is_painted_and_its_place_is_told() {
    let folder = Folder::new();
    let ran = folder.run(&[]).exits(0);
    assert!(ran.out.trim_end().ends_with("photo-painting.png"), "{ran:?}");
    assert_eq!(folder.size(RESULT), (96, 64));
    assert_eq!(folder.names("out"), ["photo-painting.png"]);
}

#[test]
fn a_command_line_that_makes_no_sense_exits_2() {
    let folder = Folder::new();
    for arguments in [
        vec![],
        vec!["paint"],
        vec!["run"],
        vec!["run", "pipeline.toml", "--fast"],
        vec!["run", "pipeline.toml", "--json", "--quiet"],
    ] {
        folder.call(&arguments).exits(2);
    }
    let help = folder.call(&["--help"]).exits(0);
    for command in ["run", "plan", "score", "init", "weights"] {
        assert!(help.out.contains(command), "{help:?}");
    }
    assert!(folder.call(&["--version"]).exits(0).out.contains(env!("CARGO_PKG_VERSION")));
}

#[test]
fn wrong_settings_exit_3_with_every_problem_and_nothing_made() {
    let folder = Folder::new();
    folder.write(
        "pipeline.toml",
        "input.content = \"nowhere.png\"\nstyle.image = \"painting.png\"\n[objective]\npresett = \"gatys\"\ncontent-weight = nan\n\
         [pyramid]\nevaluations = \"many\"\n[output]\nlong-side-px = 64\nscale = 2.0\ndirectory = \"out\"\n",
    );
    let ran = folder.run(&[]).exits(3);
    ran.says(&[
        "nowhere.png",
        "presett",
        "content-weight",
        "pyramid.evaluations",
        "long-side-px",
        "pipeline.toml:4",
    ]);
    assert!(!folder.path("out").exists(), "nothing is made before the check passes");
    folder.call(&["run", "missing.toml"]).exits(3).says(&["missing.toml"]);
    folder.call(&["plan", "pipeline.toml"]).exits(3).says(&["presett"]);
}

#[test]
#[cfg(not(feature = "cuda"))]
fn a_gpu_that_the_build_cannot_use_exits_3_and_says_what_to_do() {
    let folder = Folder::new();
    let gpu = r#"compute.devices=["cuda:0"]"#;
    folder.run(&[gpu]).exits(3).one_line(&["cuda:0", "--features cuda"]);
    folder.call(&["plan", "pipeline.toml", "--set", gpu]).exits(3).says(&["--features cuda"]);
    folder.call(&["bench", "--devices", "cuda:1"]).exits(3).says(&["cuda:1", "--features cuda"]);
    folder.run(&["compute.precision=\"tf32\""]).exits(3).says(&["tf32"]);
    assert!(!folder.path("out").exists());
    // Which device computes is said at the start.
    folder.run(&["compute.devices=\"auto\""]).exits(0).says(&["computing on the CPU"]);
}

#[test]
fn some_failed_jobs_exit_5_and_the_others_are_done() {
    let folder = Folder::new();
    folder.write("broken.png", "this is no picture");
    let ran = folder.run(&[r#"input.content=["photo.png","broken.png"]"#]).exits(5);
    ran.says(&["broken.png: not a picture"]);
    assert_eq!(folder.names("out"), ["photo-painting.png"]);
    folder
        .call(&["plan", "pipeline.toml", "--set", r#"input.content=["photo.png","broken.png"]"#])
        .exits(5);
}

#[test]
fn an_existing_picture_is_kept_unless_told_otherwise() {
    let folder = Folder::new();
    folder.write(RESULT, "precious");
    folder
        .run(&[])
        .exits(3)
        .one_line(&["photo-painting.png already exists", "output.overwrite = true"]);
    assert_eq!(std::fs::read(folder.path(RESULT)).unwrap(), b"precious");
    folder.run(&["output.overwrite=true"]).exits(0);
    assert_eq!(folder.size(RESULT), (96, 64));
    assert_eq!(folder.names("out"), ["photo-painting.png"]);
}

#[test]
fn a_folder_that_cannot_be_made_exits_4() {
    let folder = Folder::new();
    folder.write("file", "in the way");
    let ran = folder.run(&["output.directory=file/out", "--quiet"]);
    assert!(matches!(ran.code, Some(3 | 4)), "{ran:?}");
    ran.says(&["file"]);
    assert_eq!(std::fs::read(folder.path("file")).unwrap(), b"in the way");
}

#[test]
fn a_failed_job_leaves_no_files() {
    let folder = Folder::new();
    let whole = std::fs::read(folder.path("photo.png")).unwrap();
    folder.write("photo.png", &whole[..whole.len() / 2]);
    folder.run(&["--quiet"]).exits(4);
    assert_eq!(folder.names("out"), Vec::<String>::new());
}

#[test]
fn a_canvas_too_small_or_too_large_is_refused() {
    let folder = Folder::new();
    folder
        .run(&["output.long-side-px=16", r#"objective.style-layers=["relu5_1"]"#])
        .exits(4)
        .one_line(&["16x11 px", "relu5_1", "16 px"]);
    folder.write(
        "pipeline.toml",
        "input.content = \"photo.png\"\nstyle.image = \"painting.png\"\noutput.width-mm = 9000\noutput.dpi = 9000\n",
    );
    folder.run(&[]).exits(4).one_line(&["more than 200000 px"]);
}

#[test]
fn a_wrongly_named_instruction_set_is_refused() {
    let folder = Folder::new();
    let output =
        folder.impasto(&["run", "pipeline.toml"]).env("IMPASTO_ISA", "sse9").output().unwrap();
    assert_eq!(output.status.code(), Some(3));
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(
        text,
        "error: IMPASTO_ISA: unknown instruction set `sse9`: expected `avx512`, `avx2` or `portable`\n"
    );
    let output =
        folder.impasto(&["run", "pipeline.toml"]).env("IMPASTO_ISA", "portable").output().unwrap();
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn precisions_of_gpus_are_refused_on_the_cpu() {
    let folder = Folder::new();
    folder.run(&["compute.precision=tf32"]).exits(3).one_line(&["tf32", "float32"]);
    assert!(!folder.path("out").exists());
}

#[test]
fn variants_share_one_network() {
    let folder = Folder::new();
    std::fs::copy(
        crate::folder::repository("weights/vgg19.safetensors"),
        folder.path("a.safetensors"),
    )
    .unwrap();
    folder.write(
        "more.toml",
        "extends = \"pipeline.toml\"\n[[variant]]\nname = \"a\"\nnetwork.weights = \"a.safetensors\"\n[[variant]]\nname = \"b\"\n",
    );
    folder.call(&["run", "more.toml"]).exits(3).says(&["network.weights", "more.toml:4"]);
    folder.call(&["run", "pipeline.toml", "--set", "network.weights=a.safetensors"]).exits(0);
}

#[test]
fn a_starter_pipeline_can_be_planned_and_is_never_overwritten() {
    let folder = Folder::new();
    folder.call(&["init", "new"]).exits(0);
    std::fs::copy(folder.path("photo.png"), folder.path("new/photo.jpg")).unwrap();
    std::fs::copy(folder.path("painting.png"), folder.path("new/painting.jpg")).unwrap();
    let ran = folder.call(&["plan", "new/pipeline.toml"]).exits(0);
    assert!(ran.out.contains("photo-painting.png") && ran.out.contains("1024x683"), "{ran:?}");
    folder.write("new/pipeline.toml", "mine");
    folder.call(&["init", "new"]).exits(4).one_line(&["pipeline.toml already exists"]);
    assert_eq!(std::fs::read(folder.path("new/pipeline.toml")).unwrap(), b"mine");
}
