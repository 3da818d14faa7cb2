//! Runs that are killed, locked, changed, limited and looked at, as processes.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use impasto::random::Noise;

use crate::folder::{Folder, RESULT};

/// Three pictures, so small that most of the time is the program's start.
const THREE: &str = "input.content=[\"photo.png\", \"second.png\", \"third.png\"]";

fn three() -> Folder {
    let folder = Folder::new();
    for (name, turns) in [("second.png", 1), ("third.png", 2)] {
        let photo = image::open(folder.path("photo.png")).unwrap();
        let turned = if turns == 1 { photo.fliph() } else { photo.flipv() };
        turned.save(folder.path(name)).unwrap();
    }
    folder
}

pub fn arguments<'a>(more: &[&'a str]) -> Vec<&'a str> {
    let mut all = vec!["run", "pipeline.toml"];
    more.iter().for_each(|key| all.extend(["--set", key]));
    all
}

/// A run that writes JSON lines, and those lines as they come.
fn started(
    folder: &Folder,
    arguments: &[&str],
    stderr: Stdio,
) -> (std::process::Child, impl Iterator<Item = String> + use<>) {
    let mut process = folder.process(arguments);
    let mut child = process.args(["--json"]).stdout(Stdio::piped()).stderr(stderr).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(|line| line.unwrap());
    (child, lines)
}

pub fn pictures(folder: &Folder) -> Vec<(String, Vec<u8>)> {
    let read =
        |name: String| (name.clone(), std::fs::read(folder.path("out").join(&name)).unwrap());
    folder.names("out").into_iter().map(read).collect()
}

pub fn run_directory(folder: &Folder) -> PathBuf {
    impasto::journal::find(&folder.path("out")).expect("a run directory")
}

#[test]
fn killed_at_random_times_it_ends_with_the_same_bytes() {
    const KILLS: usize = 30;
    // With two threads two of them are painted at once; undisturbed, one after the other.
    let keys = [
        THREE,
        "checkpoint.every-seconds=0",
        "output.long-side-px=128",
        "pyramid.evaluations=[6, 5]",
        "compute.threads=2",
    ];
    let expected = {
        let folder = three();
        folder.call(&arguments(&[&keys[..4], &["batch.parallel-jobs=1"]].concat())).exits(0);
        pictures(&folder)
    };
    assert_eq!(expected.len(), 3);
    let seed =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos()
            as u64;
    println!("seed {seed}");
    let noise = Noise::new(seed);
    let (mut kills, mut runs) = (0, 0);
    while kills < KILLS {
        let folder = three();
        loop {
            let mut child = folder
                .process(&arguments(&keys))
                .stdout(Stdio::null())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap();
            // The first line is printed when the engine stands; a fifth of the deaths comes before.
            let mut said = BufReader::new(child.stderr.take().unwrap());
            if kills % 5 != 0 {
                said.read_line(&mut String::new()).unwrap();
            }
            std::thread::sleep(Duration::from_micros(
                (noise.uniform(kills as u64) * 120_000.0) as u64,
            ));
            if let Some(status) = child.try_wait().unwrap() {
                assert!(status.success(), "seed {seed}, after {kills} kills: {status}");
                break;
            }
            child.kill().unwrap();
            child.wait().unwrap();
            kills += 1;
            if kills >= KILLS {
                folder.call(&arguments(&keys)).exits(0);
                break;
            }
        }
        runs += 1;
        assert_eq!(pictures(&folder), expected, "seed {seed}, after {kills} kills");
        assert_eq!(
            std::fs::read_dir(run_directory(&folder).join("checkpoints"))
                .map_or(0, Iterator::count),
            0,
            "nothing is left over"
        );
    }
    println!("{kills} kills over {runs} runs");
}

#[test]
fn a_second_run_is_told_who_works_and_a_dead_one_is_taken_over() {
    let folder = Folder::new();
    let endless = arguments(&["pyramid.evaluations=1000000"]);
    let (mut child, mut lines) = started(&folder, &endless, Stdio::null());
    lines.find(|line| line.contains(r#""evaluation":2"#)).expect("a second evaluation");
    let process = format!("process {}", child.id());
    folder.call(&endless).exits(7).one_line(&[&process]);
    let mut restart = endless.clone();
    restart.push("--restart");
    folder.call(&restart).exits(7).one_line(&[&process]);
    let status = folder.call(&["status", "out"]).exits(0);
    assert!(
        status.out.contains(&format!("running by {process}")) && status.out.contains("evaluation "),
        "{status:?}"
    );
    // What is written lags behind by no more than a few seconds.
    let asked = Instant::now();
    let json: serde_json::Value = loop {
        let status = folder.call(&["status", "pipeline.toml", "--json"]).exits(0);
        let json: serde_json::Value = serde_json::from_str(&status.out).unwrap();
        if json["jobs"][0]["evaluation"].as_u64() >= Some(2) {
            break json;
        }
        assert!(asked.elapsed() < Duration::from_secs(20), "{json}");
    };
    assert_eq!(
        (json["process"].as_u64(), json["state"].as_str()),
        (Some(child.id().into()), Some("running"))
    );
    assert_eq!(json["jobs"][0]["state"], "running");
    assert!(json["seconds-left"].as_f64().unwrap() > 0.0, "{json}");
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(folder.path("out/.impasto").exists());
    let status = folder.call(&["status", run_directory(&folder).to_str().unwrap()]).exits(0);
    assert!(status.out.contains("interrupted"), "{status:?}");
    folder.call(&["status", "nowhere"]).exits(4).one_line(&["nowhere", "no run"]);
    folder
        .call(&arguments(&[]))
        .exits(6)
        .says(&["pyramid.evaluations: was [1000000], is [4]", "--restart"]);
    let mut restart = arguments(&[]);
    restart.push("--restart");
    folder.call(&restart).exits(0);
    assert_eq!(
        std::fs::read_dir(folder.path("out/.impasto"))
            .unwrap()
            .filter(|e| e.as_ref().unwrap().path().join("plan.json").exists())
            .count(),
        2
    );
    assert!(folder.call(&["status", "pipeline.toml"]).exits(0).out.contains("finished"));
}

#[test]
fn the_status_of_a_pipeline_needs_nothing_but_its_output_directory() {
    let folder = Folder::new();
    folder.call(&["run", "pipeline.toml"]).exits(0);
    std::fs::remove_file(folder.path("photo.png")).unwrap();
    let sound = std::fs::read_to_string(folder.path("pipeline.toml")).unwrap();
    let shows = |text: &str| {
        folder.write("pipeline.toml", text);
        let ran = folder.call(&["status", "pipeline.toml"]).exits(0);
        assert!(ran.out.contains("finished") && ran.out.contains("96x64"), "{text}: {ran:?}");
    };
    shows(&sound);
    shows(&sound.replace("evaluations = 4", "evaluations = \"many\"\nunknown = 1"));
    shows(&sound.replace("threads = 1", "threads = = 1"));
    shows(&format!("extends = \"nowhere.toml\"\n{sound}"));
    // A pipeline that may say where it is in what cannot be read.
    let unknown = sound.replace("directory = \"out\"\n", "");
    folder.write("pipeline.toml", format!("extends = \"nowhere.toml\"\n{unknown}"));
    folder.call(&["status", "pipeline.toml"]).exits(3).says(&["nowhere.toml"]);
    folder.write("pipeline.toml", sound.replace("\"out\"", "7"));
    folder.call(&["status", "pipeline.toml"]).exits(3).says(&["output.directory"]);
}

#[test]
fn a_finished_run_has_nothing_to_do() {
    let folder = Folder::new();
    folder.call(&arguments(&[])).exits(0);
    let before = pictures(&folder);
    let again = folder.call(&arguments(&["compute.threads=2"])).exits(0);
    assert!(again.out.contains("nothing to do: 1 picture done"), "{again:?}");
    assert_eq!(pictures(&folder), before);
    let changed = folder
        .call(&arguments(&["objective.content-weight=7.0"]))
        .exits(6)
        .says(&["objective.content-weight: was not set, is 7.0"]);
    assert_eq!(changed.out, "");
    folder
        .call(&["run", "pipeline.toml", "--restart"])
        .exits(3)
        .one_line(&["photo-painting.png already exists", "output.overwrite"]);
}

/// A run of many evaluations that gets `signals` one after the other as soon as it works.
#[cfg(unix)]
fn signalled(mut run: std::process::Command, signals: &[&str]) -> (Option<i32>, String) {
    let mut child = run.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    lines.find(|line| line.contains("evaluation 1/")).expect("an evaluation");
    let number = child.id().to_string();
    for signal in signals {
        std::process::Command::new("kill").args([signal, number.as_str()]).status().unwrap();
    }
    let out = child.wait_with_output().unwrap();
    (out.status.code(), String::from_utf8(out.stdout).unwrap())
}

#[cfg(unix)]
#[test]
fn a_signal_prints_how_to_resume_and_a_second_one_ends_at_once() {
    let expected = {
        let folder = Folder::new();
        folder.call(&arguments(&["pyramid.evaluations=60"])).exits(0);
        pictures(&folder)
    };
    let signals: [&[&str]; 4] = [&["-INT"], &["-TERM"], &["-HUP"], &["-INT", "-INT"]];
    for signals in signals.into_iter().filter(|signals| !signals.contains(&"-HUP") || hangs_up()) {
        let folder = Folder::new();
        let keys = arguments(&[
            "pyramid.evaluations=60",
            "output.name={content}-{style}.png",
            "checkpoint.every-seconds=86400",
        ]);
        let (code, printed) = signalled(folder.process(&keys), signals);
        assert_eq!(code, Some(130), "{signals:?}: {printed}");
        if signals.len() == 1 {
            assert!(
                printed.contains(
                    "resume with: impasto run pipeline.toml --set pyramid.evaluations=60 --set 'output.name={content}-{style}.png'"
                ),
                "{signals:?}: {printed}"
            );
        }
        folder.call(&arguments(&["pyramid.evaluations=60"])).exits(0);
        assert_eq!(pictures(&folder), expected, "{signals:?}");
    }
}

/// Whether children of this process receive SIGHUP: under `nohup` they do not.
#[cfg(unix)]
fn hangs_up() -> bool {
    let mut child = std::process::Command::new("sleep").arg("20").spawn().unwrap();
    let number = child.id().to_string();
    std::process::Command::new("kill").args(["-HUP", &number]).status().unwrap();
    std::thread::sleep(Duration::from_millis(100));
    let hung_up = child.try_wait().unwrap().is_some();
    child.kill().unwrap();
    child.wait().unwrap();
    hung_up
}

#[cfg(unix)]
#[test]
fn a_run_under_nohup_survives_its_terminal() {
    let folder = Folder::new();
    let run = folder.process(&arguments(&["pyramid.evaluations=60"]));
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", "trap '' HUP; exec \"$0\" \"$@\""]).arg(run.get_program());
    shell.args(run.get_args()).current_dir(folder.path("."));
    let (code, printed) = signalled(shell, &["-HUP"]);
    assert_eq!(code, Some(0), "{printed}");
    assert!(folder.path(RESULT).exists());
}

#[test]
fn a_journal_grows_with_the_time_and_not_with_the_evaluations() {
    let folder = Folder::new();
    let started = Instant::now();
    folder.call(&arguments(&["pyramid.evaluations=300", "output.long-side-px=32"])).exits(0);
    let seconds = started.elapsed().as_secs() as usize;
    let events = std::fs::read_to_string(run_directory(&folder).join("events.jsonl")).unwrap();
    let lines = events.matches("\"evaluated\"").count();
    assert!((2..=seconds / 2 + 3).contains(&lines), "{lines} in {seconds} s:\n{events}");
    let status = folder.call(&["status", "out"]).exits(0);
    assert!(status.out.contains("300 evaluations"), "{status:?}");
}

#[test]
fn a_budget_stops_at_a_checkpoint_and_goes_on_the_next_night() {
    let folder = Folder::new();
    let keys = ["pyramid.evaluations=1000000", "budget.hours=0.001"];
    let first = folder.call(&arguments(&keys)).exits(130);
    assert!(
        first.out.contains("the budget's time is up")
            && first.out.contains("resume with: impasto run"),
        "{first:?}"
    );
    let reached = |folder: &Folder| -> u64 {
        let json: serde_json::Value =
            serde_json::from_str(&folder.call(&["status", "out", "--json"]).exits(0).out).unwrap();
        assert_eq!(json["jobs"][0]["state"], "interrupted");
        json["jobs"][0]["total-evaluations"].as_u64().unwrap()
    };
    let evaluations = reached(&folder);
    folder.call(&arguments(&keys)).exits(130).says(&["resuming at level 1"]);
    assert!(evaluations > 0 && reached(&folder) > evaluations);
}

#[test]
fn a_collection_goes_on_past_failures_and_ends_with_a_table() {
    let folder = three();
    let whole = std::fs::read(folder.path("second.png")).unwrap();
    folder.write("second.png", &whole[..whole.len() / 2]);
    folder.write("fourth.png", "no picture at all");
    let keys = ["input.content=[\"photo.png\", \"second.png\", \"third.png\", \"fourth.png\"]"];
    let ran = folder.call(&arguments(&keys)).exits(5);
    let lines: Vec<&str> = ran.out.lines().collect();
    assert_eq!(lines.len(), 5, "{ran:?}");
    assert!(lines[0].starts_with("picture") && lines[0].contains("evaluations"), "{ran:?}");
    let line = |name: &str| {
        *lines
            .iter()
            .find(|line| line.starts_with(name))
            .unwrap_or_else(|| panic!("{name} in {ran:?}"))
    };
    for name in ["photo-painting.png", "third-painting.png"] {
        for word in ["finished", "96x64", " 4 ", "e", "out/"] {
            assert!(line(name).contains(word), "{word}: {ran:?}");
        }
    }
    assert!(
        line("second-painting.png").contains("failed")
            && line("second-painting.png").contains("truncated"),
        "{ran:?}"
    );
    assert!(line("fourth-painting.png").contains("not a picture"), "{ran:?}");
    let status = folder.call(&["status", "out"]).exits(0);
    assert!(status.out.contains("\nfinished with failures  "), "{status:?}");
    let json = folder.call(&["status", "out", "--json"]).exits(0).out;
    assert!(json.contains(r#""state": "finished-with-failures""#), "{json}");
    // Mended, the next run paints them alone.
    folder.write("second.png", &whole);
    folder.write("fourth.png", &whole);
    let before =
        std::fs::metadata(folder.path("out/third-painting.png")).unwrap().modified().unwrap();
    let mended = folder.call(&arguments(&keys)).exits(0);
    assert_eq!(
        mended.out.lines().filter(|line| line.contains("finished")).count(),
        4,
        "{mended:?}"
    );
    assert_eq!(
        std::fs::metadata(folder.path("out/third-painting.png")).unwrap().modified().unwrap(),
        before
    );
    assert!(folder.call(&["status", "out"]).exits(0).out.contains("4/4 pictures"));
    // A photograph that was painted from is another matter.
    folder.write("third.png", &whole);
    folder.call(&arguments(&keys)).exits(6).says(&["the content image third.png"]);
}

/// A small file system of its own, where the tests may mount one.
#[cfg(target_os = "linux")]
pub struct Mounted(PathBuf);

#[cfg(target_os = "linux")]
impl Mounted {
    /// At `out`, with these options.
    pub fn new(folder: &Folder, options: &str) -> Option<Self> {
        let place = folder.path("out");
        std::fs::create_dir(&place).unwrap();
        let mounted = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", options, "tmpfs"])
            .arg(&place)
            .output();
        let said = match mounted {
            Ok(out) if out.status.success() => return Some(Self(place)),
            Ok(out) => String::from_utf8_lossy(&out.stderr).into_owned(),
            Err(error) => error.to_string(),
        };
        assert!(!said.contains("bad option"), "{said}");
        println!("skipped: no small file system can be mounted here (it takes root): {said}");
        None
    }
}

#[cfg(target_os = "linux")]
impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_told_and_the_run_goes_on_when_there_is_room() {
    let keys = ["pyramid.evaluations=100", "checkpoint.every-seconds=0", "optimise.history=5"];
    let expected = {
        let folder = Folder::new();
        folder.call(&arguments(&keys)).exits(0);
        pictures(&folder)
    };
    let folder = Folder::new();
    let Some(_mounted) = Mounted::new(&folder, "size=8m") else { return };
    let (child, mut lines) = started(&folder, &arguments(&keys), Stdio::piped());
    lines.find(|line| line.contains(r#""evaluation":3"#)).expect("a third evaluation");
    let drain = std::thread::spawn(move || lines.for_each(drop));
    let filler = folder.path("out/filler");
    let asked = Instant::now();
    let mut file = std::fs::File::create(&filler).unwrap();
    while std::io::Write::write(&mut file, &[1; 1 << 16]).is_ok_and(|n| n > 0)
        && asked.elapsed() < Duration::from_secs(20)
    {}
    drop(file);
    let out = child.wait_with_output().unwrap();
    drain.join().unwrap();
    let said = String::from_utf8(out.stderr).unwrap();
    assert_eq!(out.status.code(), Some(1), "{said}");
    assert!(said.contains("No space left on device") && said.contains("out/"), "{said}");
    assert!(!folder.path(RESULT).exists());
    std::fs::remove_file(filler).unwrap();
    folder.call(&arguments(&keys)).exits(0).says(&["resuming at level 1"]);
    assert_eq!(pictures(&folder), expected);
}

#[cfg(target_os = "linux")]
#[test]
fn a_disk_too_small_for_the_checkpoints_is_refused_before_anything_is_made() {
    let folder = Folder::new();
    let Some(_mounted) = Mounted::new(&folder, "size=1m") else { return };
    folder
        .call(&arguments(&["pyramid.evaluations=400"]))
        .exits(4)
        .one_line(&["of disk space free", "free some"]);
    assert!(!folder.path("out/.impasto").exists());
}

/// Canvases and tiles that a run in rounds has on the disk count as its own.
#[cfg(target_os = "linux")]
#[test]
fn a_run_in_rounds_resumes_on_the_disk_that_held_it() {
    let keys = [
        "tiling.mode=blocks",
        "tiling.core-px=128",
        "tiling.overlap-px=16",
        "tiling.rounds=2",
        "tiling.visit=2",
        "output.long-side-px=512",
        "pyramid.short-side-px=400",
    ];
    let expected = {
        let folder = Folder::new();
        folder.call(&arguments(&keys)).exits(0);
        pictures(&folder)
    };
    let folder = Folder::new();
    // The plan: 512x341 px, canvases of 2 MiB and tiles that overlap.
    let Some(_mounted) = Mounted::new(&folder, "size=14m") else { return };
    let (mut child, mut lines) = started(&folder, &arguments(&keys), Stdio::null());
    lines
        .find(|line| line.contains(r#""tile-finished""#) && line.contains(r#""round":2"#))
        .expect("a tile of the second round");
    child.kill().unwrap();
    child.wait().unwrap();
    // Less is free than the whole run takes, and enough for what is left of it.
    let free = || impasto::journal::free_space(&folder.path("out")).expect("the system tells");
    let filler = std::fs::File::create(folder.path("out/filler")).unwrap();
    let more = free().saturating_sub(8 << 20);
    std::io::Write::write_all(&mut &filler, &vec![1; more as usize]).unwrap();
    assert!(free() <= 8 << 20);
    folder.call(&arguments(&keys)).exits(0);
    assert!(pictures(&folder).contains(&expected[0]));
}
