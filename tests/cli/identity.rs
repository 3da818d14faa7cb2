//! One pipeline, one run, from wherever it is started and however its path is spelled.

use std::path::PathBuf;

use crate::folder::Folder;

/// `pipelines/x.toml`, whose files are beside its folder, and links that lead to it.
fn studio() -> Folder {
    let folder = Folder::new();
    let text = std::fs::read_to_string(folder.path("pipeline.toml")).unwrap();
    let text = text
        .replace("\"photo.png\"", "[\"../photos/*.png\"]")
        .replace("\"painting.png\"", "\"../painting.png\"")
        .replace("\"out\"", "\"../renders\"");
    folder.write("pipelines/x.toml", text);
    let photo = std::fs::read(folder.path("photo.png")).unwrap();
    folder.write("photos/a.png", photo);
    folder.write("elsewhere/deep/keep", "");
    #[cfg(unix)]
    for (target, link) in
        [("pipelines", "linked"), ("pipelines/x.toml", "file.toml"), (".", "elsewhere/root")]
    {
        std::os::unix::fs::symlink(folder.path(target), folder.path(link)).unwrap();
    }
    folder
}

/// Working directories and spellings of the pipeline's path.
fn spellings(folder: &Folder) -> Vec<(&'static str, String)> {
    let absolute = folder.path("pipelines/x.toml").display().to_string();
    let mut spellings = vec![
        (".", "pipelines/x.toml".to_owned()),
        ("pipelines", "x.toml".to_owned()),
        ("pipelines", "./x.toml".to_owned()),
        ("photos", "../pipelines/x.toml".to_owned()),
        ("elsewhere/deep", absolute),
        (".", "./photos/../pipelines/x.toml".to_owned()),
    ];
    if cfg!(unix) {
        spellings.extend([
            (".", "linked/x.toml".to_owned()),
            ("linked", "x.toml".to_owned()),
            (".", "file.toml".to_owned()),
            ("elsewhere/root", "pipelines/x.toml".to_owned()),
            ("photos", "../elsewhere/root/linked/x.toml".to_owned()),
        ]);
    }
    spellings
}

fn runs(folder: &Folder) -> Vec<PathBuf> {
    impasto::journal::runs(&folder.path("renders"))
}

#[test]
fn a_finished_run_has_nothing_to_do_from_anywhere() {
    let folder = studio();
    for (at, path) in spellings(&folder).into_iter().take(1) {
        folder.call_in(at, &["run", &path]).exits(0);
    }
    let picture = std::fs::read(folder.path("renders/a-painting.png")).unwrap();
    for (at, path) in spellings(&folder) {
        let again = folder.call_in(at, &["run", &path]).exits(0);
        assert!(again.out.contains("nothing to do: 1 picture done"), "{at} {path}: {again:?}");
        let status = folder.call_in(at, &["status", &path]).exits(0);
        assert!(status.out.contains("finished"), "{at} {path}: {status:?}");
    }
    assert_eq!(runs(&folder).len(), 1);
    assert_eq!(folder.names("renders"), ["a-painting.png"]);
    assert_eq!(std::fs::read(folder.path("renders/a-painting.png")).unwrap(), picture);
}

#[test]
fn what_is_interrupted_in_one_folder_is_resumed_in_another_to_the_same_bytes() {
    let keys = ["--set", "pyramid.evaluations=40", "--set", "checkpoint.every-seconds=0"];
    let expected = {
        let folder = studio();
        folder.call_in(".", &[&["run", "pipelines/x.toml"][..], &keys].concat()).exits(0);
        std::fs::read(folder.path("renders/a-painting.png")).unwrap()
    };
    let folder = studio();
    for (at, path) in spellings(&folder) {
        // Each start does a part: the budget ends within the forty evaluations, or soon after.
        let hours = ["--set", "budget.hours=0.00004"];
        let ran = folder.call_in(at, &[&["run", &path][..], &keys, &hours].concat());
        assert!(matches!(ran.code, Some(0 | 130)), "{at} {path}: {ran:?}");
    }
    let ran = folder.call_in("pipelines", &[&["run", "x.toml"][..], &keys].concat()).exits(0);
    assert!(!ran.err.contains("cannot be used"), "{ran:?}");
    assert_eq!(runs(&folder).len(), 1, "one run, whatever its spelling");
    assert_eq!(folder.names("renders"), ["a-painting.png"]);
    assert_eq!(std::fs::read(folder.path("renders/a-painting.png")).unwrap(), expected);
    let status = folder.call_in("renders", &["status", "../pipelines/x.toml"]).exits(0);
    let attempts = std::fs::read_to_string(runs(&folder)[0].join("events.jsonl")).unwrap();
    assert!(attempts.matches("job-resumed").count() >= 2, "{attempts}");
    assert!(status.out.trim_end().ends_with("  a-painting.png"), "{status:?}");
}

#[test]
fn paths_are_told_as_seen_from_the_pipeline_and_shown_as_seen_from_here() {
    let folder = studio();
    let ran = folder.call_in("photos", &["run", "../pipelines/x.toml", "--json"]).exits(0);
    for event in [
        r#""event":"writing","job":0,"path":"../renders/a-painting.png""#,
        r#""event":"targets","style":"../painting.png""#,
    ] {
        assert!(ran.out.contains(event), "no {event} in {ran:?}");
    }
    let plan = std::fs::read_to_string(runs(&folder)[0].join("plan.json")).unwrap();
    let plan: serde_json::Value = serde_json::from_str(&plan).unwrap();
    assert_eq!(plan["jobs"][0]["content"], "../photos/a.png");
    assert_eq!(plan["jobs"][0]["output"], "../renders/a-painting.png");
    assert_eq!(plan["home"], "../../../pipelines");
    let status = folder.call_in("photos", &["status", "../pipelines/x.toml", "--json"]).exits(0);
    let status: serde_json::Value = serde_json::from_str(&status.out).unwrap();
    assert_eq!(status["jobs"][0]["output"], "../renders/a-painting.png");
    for (at, shown) in [(".", "renders/a-painting.png"), ("renders", "a-painting.png")] {
        let directory = runs(&folder)[0].display().to_string();
        let status = folder.call_in(at, &["status", &directory]).exits(0);
        assert!(status.out.trim_end().ends_with(&format!("  {shown}")), "{at}: {status:?}");
    }
}

#[test]
fn a_folder_that_is_moved_as_a_whole_keeps_its_run() {
    let folder = studio();
    folder.call_in(".", &["run", "pipelines/x.toml"]).exits(0);
    std::fs::create_dir(folder.path("new")).unwrap();
    for name in ["pipelines", "photos", "renders", "painting.png"] {
        std::fs::rename(folder.path(name), folder.path("new").join(name)).unwrap();
    }
    let again = folder.call_in("new/pipelines", &["run", "x.toml"]).exits(0);
    assert!(again.out.contains("nothing to do"), "{again:?}");
    let status = folder.call_in("new", &["status", "pipelines/x.toml"]).exits(0);
    assert!(status.out.trim_end().ends_with("renders/a-painting.png"), "{status:?}");
}

#[test]
fn a_run_of_an_older_program_is_named_and_not_touched() {
    let folder = studio();
    folder.call_in(".", &["run", "pipelines/x.toml"]).exits(0);
    let plan = runs(&folder)[0].join("plan.json");
    let text = std::fs::read_to_string(&plan).unwrap();
    std::fs::write(&plan, text.replacen("\"format\": 2", "\"format\": 1", 1)).unwrap();
    let words = ["plan.json", "older impasto", "--restart"];
    folder.call_in(".", &["run", "pipelines/x.toml"]).exits(4).one_line(&words);
    folder.call_in(".", &["status", "pipelines/x.toml"]).exits(4).one_line(&words);
}
