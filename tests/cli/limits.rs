//! Limits on a process: memory and threads are planned within them, and nothing aborts.

use std::process::Command;

use crate::folder::{Folder, RESULT, Ran};

/// A picture that takes more as a whole than the limits of these tests leave, of shallow layers.
const LARGE: [&str; 10] = [
    "--set",
    "output.long-side-px=1536",
    "--set",
    "pyramid.short-side-px=512",
    "--set",
    "pyramid.evaluations=[2, 2]",
    "--set",
    "checkpoint.every-seconds=0",
    "--set",
    "optimise.history=3",
];

/// What `command` said, which runs the program in a limit.
fn finished(mut command: Command) -> Ran {
    let output = command.output().expect("a shell");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    Ran { code: output.status.code(), out, err }
}

/// The program in `folder` behind `ulimit FLAG KIB`.
fn limited(folder: &Folder, flag: &str, kibibytes: u64, command: &str) -> Ran {
    let mut shell = Command::new("sh");
    let program = assert_cmd::cargo::cargo_bin!("impasto");
    shell
        .current_dir(folder.path("."))
        .env("NO_COLOR", "1")
        .arg("-c")
        .arg(format!("ulimit {flag} {kibibytes} && exec \"$@\""))
        .arg("sh")
        .arg(program)
        .args([command, "pipeline.toml"])
        .args(LARGE);
    finished(shell)
}

#[cfg(target_os = "linux")]
#[test]
fn a_limit_on_memory_is_planned_for_and_named_and_the_picture_is_painted() {
    for (flag, name) in [("-v", "the address space leaves (ulimit -v)"), ("-d", "(ulimit -d)")] {
        let folder = Folder::new();
        let planned = limited(&folder, flag, 1_300_000, "plan").exits(0);
        let memory = planned.out.lines().find(|line| line.starts_with("memory")).expect("a line");
        assert!(memory.contains("four fifths of") && memory.contains(name), "{memory}");
        let there_are: Vec<&str> = memory.split("there are ").nth(1).unwrap().split(' ').collect();
        let unit = if there_are[1].starts_with("GiB") { 1024.0 } else { 1.0 };
        let mebibytes = there_are[0].parse::<f64>().unwrap() * unit;
        // The limit is 1270 MiB; two decimals of a GiB are 10 MiB.
        assert!((500.0..1026.0).contains(&mebibytes), "at most four fifths of it: {memory}");
        limited(&folder, flag, 1_300_000, "run").exits(0);
        assert_eq!(folder.size(RESULT).0, 1536);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_limit_too_small_for_the_picture_is_refused_in_words_and_never_aborts() {
    for kibibytes in [250_000, 350_000, 600_000] {
        let folder = Folder::new();
        let ran = limited(&folder, "-v", kibibytes, "run");
        assert!(!ran.err.contains("memory allocation of"), "{kibibytes}: {ran:#?}");
        assert!(!ran.err.contains("panicked"), "{kibibytes}: {ran:#?}");
        assert!(matches!(ran.code, Some(3 | 4)), "{kibibytes}: {ran:#?}");
        assert!(!folder.path(RESULT).exists());
    }
}

#[cfg(target_os = "linux")]
#[test]
fn the_limit_of_a_control_group_is_planned_for_and_named() {
    let folder = Folder::new();
    let scope = |program: &str, arguments: &[&str]| {
        let mut command = Command::new("systemd-run");
        command.current_dir(folder.path(".")).env("NO_COLOR", "1");
        command.args(["--scope", "--quiet", "-p", "MemoryMax=700M"]);
        if !rustix::process::geteuid().is_root() {
            command.arg("--user");
        }
        command.arg(program).args(arguments);
        command
    };
    if !scope("true", &[]).output().is_ok_and(|output| output.status.success()) {
        println!("skipped: systemd-run makes no control group here");
        return;
    }
    let program = assert_cmd::cargo::cargo_bin!("impasto");
    let program = program.to_str().expect("a path in UTF-8");
    let call =
        |command| finished(scope(program, &[&[command, "pipeline.toml"], &LARGE[..]].concat()));
    let planned = call("plan").exits(0);
    assert!(planned.out.contains("the limit of the control group /"), "{planned:#?}");
    call("run").exits(0);
    assert_eq!(folder.size(RESULT).0, 1536);
}

#[test]
fn more_threads_than_processors_are_capped_with_a_word() {
    let folder = Folder::new();
    let asked = ["plan", "pipeline.toml", "--set", "compute.threads=4096"];
    let before = std::time::Instant::now();
    folder.call(&asked).exits(0).says(&["warning: 4096 threads are asked for", "used"]);
    assert!(before.elapsed().as_secs() < 60, "{:?}", before.elapsed());
}
