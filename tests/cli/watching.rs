//! What can be seen during a run, and how it is stopped.

use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;
use std::time::{Duration, Instant};

use impasto::event::Event;

use crate::folder::{Folder, RESULT, repository};

fn events(lines: &str) -> Vec<Event> {
    lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}")))
        .collect()
}

#[test]
fn json_lines_hold_the_losses_of_every_evaluation() {
    let folder = Folder::new();
    let ran = folder
        .run(&[
            "--json",
            "output.long-side-px=192",
            "style.scale=0.5",
            "pyramid.evaluations=[4, 3]",
            "objective.variation-weight=0.01",
        ])
        .exits(0);
    assert_eq!(ran.err, "");
    let events = events(&ran.out);
    assert!(matches!(events.first(), Some(Event::RunStarted { jobs: 1, .. })), "{events:?}");
    assert!(
        matches!(
            events.last(),
            Some(Event::JobFinished { evaluations: 7, width: 192, height: 128, .. })
        ),
        "{events:?}"
    );
    let mut seen = vec![];
    for event in &events {
        if let Event::Evaluated { level, evaluation, losses, .. } = event {
            seen.push((*level, *evaluation));
            assert!(losses.style > 0.0 && losses.variation > 0.0, "{losses:?}");
            let sum = losses.content + losses.style + losses.variation;
            assert!((losses.total - sum).abs() <= 1e-9 * sum, "{losses:?}");
        }
    }
    assert_eq!(seen, [(0, 1), (0, 2), (0, 3), (0, 4), (1, 1), (1, 2), (1, 3)]);
    let line =
        ran.out.lines().find(|line| line.contains(r#""event":"evaluated""#)).expect("a line");
    for key in ["\"evaluation\":1", "\"content\":", "\"style\":", "\"variation\":", "\"total\":"] {
        assert!(line.contains(key), "{line}");
    }
}

#[test]
fn quiet_is_quiet() {
    let folder = Folder::new();
    let ran = folder.run(&["--quiet", "watch.print-every=1"]).exits(0);
    assert_eq!((ran.out.as_str(), ran.err.as_str()), ("", ""));
    assert_eq!(folder.names("out"), ["photo-painting.png"]);
}

#[test]
fn the_log_holds_the_losses_every_so_many_evaluations() {
    let folder = Folder::new();
    let logged = |text: &str| {
        text.lines()
            .filter(|line| line.contains("iteration"))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let ran = folder.run(&["watch.print-every=2", "output.overwrite=true"]).exits(0);
    let lines = logged(&ran.err);
    assert_eq!(lines.len(), 2, "{ran:?}");
    for (line, number) in lines.iter().zip([2, 4]) {
        for word in [
            &format!("iteration {number}:"),
            "content loss",
            "style loss",
            "variation loss",
            "total",
        ] {
            assert!(line.contains(word), "{line}");
        }
    }
    // In blocks mode there is one for each round.
    let keys = ["watch.print-every=3", "tiling.mode=blocks", "tiling.rounds=2", "tiling.visit=2"];
    let ran = folder.run(&[&keys[..], &["output.overwrite=true"]].concat()).exits(0);
    let rounds = ran.err.lines().filter(|line| line.contains("content loss"));
    let numbers: Vec<bool> = rounds.map(|line| line.contains("round 1:")).collect();
    assert_eq!(numbers, [true, false], "{ran:?}");
    // Without an interval there is none.
    let ran = folder.run(&["-v", "output.overwrite=true"]).exits(0);
    assert_eq!(logged(&ran.err), Vec::<String>::new());
    let arguments = [
        "run",
        "pipeline.toml",
        "--restart",
        "--set",
        "watch.print-every=4",
        "--set",
        "output.overwrite=true",
    ];
    let output = folder.impasto(&arguments).env("RUST_LOG", "impasto=info").output().unwrap();
    assert_eq!(logged(&String::from_utf8(output.stderr).unwrap()).len(), 1);
}

#[test]
fn without_a_terminal_there_are_plain_lines() {
    let folder = Folder::new();
    let ran = folder.run(&[]).exits(0);
    assert!(ran.err.contains("evaluation 4/4  level 1/1 96x64  loss "), "{ran:?}");
    assert!(!ran.err.contains('\u{1b}') && !ran.err.contains('\r'), "{ran:?}");
}

#[test]
fn what_goes_into_a_file_has_no_colours() {
    let folder = Folder::new();
    for arguments in [&["run", "pipeline.toml", "-vv"][..], &["plan", "photo.png"]] {
        let ran = folder.process(arguments).env_remove("NO_COLOR").output().unwrap();
        let said = [ran.stdout, ran.stderr].concat();
        assert!(!said.is_empty() && !said.contains(&0x1b), "{}", String::from_utf8_lossy(&said));
    }
}

#[test]
fn pictures_are_saved_on_the_way() {
    let folder = Folder::new();
    folder.run(&["watch.save-every=2", "pyramid.evaluations=5"]).exits(0);
    assert_eq!(
        folder.names("out"),
        [
            "photo-painting.level-1-0002.png",
            "photo-painting.level-1-0004.png",
            "photo-painting.png"
        ]
    );
    assert_eq!(folder.size("out/photo-painting.level-1-0002.png"), (96, 64));
}

#[test]
fn a_closed_pipe_is_no_fault() {
    let folder = Folder::new();
    let photograph = repository("samples/content/chelsea.png");
    let photograph = photograph.to_str().unwrap();
    for arguments in [
        &["weights", "info"][..],
        &["seams", photograph, "--core-px", "64"],
        &["run", "pipeline.toml", "--json"],
        &["run", "pipeline.toml", "--set", "output.overwrite=true"],
    ] {
        let mut child = folder
            .process(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let mut said = String::new();
        child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        assert!(child.wait().unwrap().success(), "{said}");
        assert!(!said.contains("panicked"), "{said}");
    }
    let mut deaf = folder
        .process(&["run", "nowhere.toml"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(deaf.stderr.take());
    assert_eq!(deaf.wait().unwrap().code(), Some(3), "an error nobody reads keeps its exit code");
}

/// Starts a run of many evaluations, waits until it is under way, sends it a signal, and returns
/// its end.
#[cfg(unix)]
fn signalled(folder: &Folder, signal: &str) -> (std::process::ExitStatus, Vec<Event>) {
    let arguments = ["run", "pipeline.toml", "--json", "--set", "pyramid.evaluations=1000000"];
    let mut child =
        folder.process(&arguments).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(|line| line.unwrap());
    lines.find(|line| line.contains(r#""evaluation":3"#)).expect("a third evaluation");
    let sent = std::process::Command::new("kill")
        .arg(format!("-{signal}"))
        .arg(child.id().to_string())
        .status()
        .unwrap();
    assert!(sent.success());
    let asked = Instant::now();
    let rest: Vec<String> = lines.collect();
    let status = child.wait().unwrap();
    assert!(asked.elapsed() < Duration::from_secs(20), "it took {:?} to stop", asked.elapsed());
    // A killed process may have left half a line.
    (status, rest.iter().filter_map(|line| serde_json::from_str(line).ok()).collect())
}

#[cfg(unix)]
#[test]
fn ctrl_c_leaves_the_picture_so_far() {
    for signal in ["INT", "TERM"] {
        let folder = Folder::new();
        let (status, events) = signalled(&folder, signal);
        assert_eq!(status.code(), Some(130));
        assert_eq!(folder.names("out"), ["photo-painting.partial.png"]);
        assert_eq!(folder.size("out/photo-painting.partial.png"), (96, 64));
        match events.last() {
            Some(Event::Interrupted { path: Some(path), .. }) => {
                assert!(path.as_path().ends_with("photo-painting.partial.png"), "{path:?}")
            }
            other => panic!("{other:?}"),
        }
        assert!(!folder.path(RESULT).exists());
    }
}

#[cfg(unix)]
#[test]
fn a_killed_run_leaves_nothing_half_written() {
    let folder = Folder::new();
    let (status, _) = signalled(&folder, "KILL");
    assert_eq!(status.code(), None);
    assert_eq!(folder.names("out"), Vec::<String>::new());
}

#[test]
fn a_preview_shows_each_level_until_the_picture_is_there() {
    let folder = Folder::new();
    let two = ["output.long-side-px=192", "pyramid.evaluations=[2, 1]"];
    let ran = folder.run(&[two[0], two[1], "--json"]).exits(0);
    let saved =
        ran.out.lines().filter(|line| line.contains(r#""event":"saved""#)).collect::<Vec<_>>();
    assert!(saved.len() == 1 && saved[0].contains("photo-painting.preview.jpg"), "{saved:?}");
    assert_eq!(folder.names("out"), ["photo-painting.png"]);

    // Where one is asked for it stays, and shows the finished picture.
    folder.run(&[two[0], two[1], "output.preview=true", "output.overwrite=true"]).exits(0);
    assert_eq!(folder.names("out"), ["photo-painting.png", "photo-painting.preview.jpg"]);
    assert_eq!(folder.size("out/photo-painting.preview.jpg"), (192, 128));
}
