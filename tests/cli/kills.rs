//! A long unattended test: the process is killed again and again, and nothing is lost.
//!
//! `cargo test --release --test cli -- --ignored killed` takes about ten minutes. IMPASTO_KILLS is
//! another number of kills.

use std::process::Stdio;
use std::time::{Duration, Instant};

use impasto::random::Noise;

use crate::folder::Folder;
use crate::runs::{arguments, pictures, run_directory};

/// How often the process is killed.
const KILLS: usize = 200;

/// Two levels, everything kept at once.
const COMMON: [&str; 4] = [
    "output.long-side-px=256",
    "pyramid.short-side-px=96",
    "checkpoint.every-seconds=0",
    "compute.threads=2",
];

const EXACT: [&str; 2] = ["tiling.mode=exact", "pyramid.evaluations=[20, 12]"];
const BLOCKS: [&str; 6] = [
    "tiling.mode=blocks",
    "tiling.core-px=64",
    "tiling.overlap-px=16",
    "tiling.rounds=3",
    "tiling.visit=3",
    "pyramid.evaluations=9",
];
const FEATHERED: [&str; 6] = [
    "tiling.mode=feathered",
    "tiling.core-px=64",
    "tiling.overlap-px=16",
    "tiling.rounds=3",
    "tiling.visit=3",
    "pyramid.evaluations=9",
];

/// A mode, and what an undisturbed run of it leaves and takes.
struct Mode {
    name: &'static str,
    arguments: Vec<&'static str>,
    expected: Vec<(String, Vec<u8>)>,
    seconds: f64,
    kills: usize,
    finished: usize,
}

impl Mode {
    fn undisturbed(name: &'static str, keys: &[&'static str]) -> Self {
        let arguments = arguments(&[&COMMON[..], keys].concat());
        let (folder, started) = (Folder::new(), Instant::now());
        folder.call(&arguments).exits(0);
        let seconds = started.elapsed().as_secs_f64();
        Mode { name, arguments, expected: pictures(&folder), seconds, kills: 0, finished: 0 }
    }

    /// Runs one job until it is finished: its process is killed at a random moment of an
    /// undisturbed run's time, and again, `most` times at the most.
    fn killed_and_finished(&mut self, random: &mut impl FnMut() -> f64, most: usize) {
        let (folder, before) = (Folder::new(), self.kills);
        while self.kills - before < most {
            let mut process = folder.process(&self.arguments);
            let mut child = process.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
            std::thread::sleep(Duration::from_secs_f64(random() * self.seconds));
            if let Some(status) = child.try_wait().unwrap() {
                assert!(status.success(), "{}, after {} kills: {status}", self.name, self.kills);
                break;
            }
            child.kill().unwrap();
            child.wait().unwrap();
            self.kills += 1;
        }
        folder.call(&self.arguments).exits(0);
        assert_eq!(pictures(&folder), self.expected, "{}, {} kills", self.name, self.kills);
        let kept = std::fs::read_dir(run_directory(&folder).join("checkpoints"));
        assert_eq!(kept.map_or(0, Iterator::count), 0, "{}: nothing is left over", self.name);
        self.finished += 1;
    }
}

#[test]
#[ignore = "takes about ten minutes"]
fn killed_two_hundred_times_in_every_mode_it_ends_with_the_same_bytes() {
    let kills = std::env::var("IMPASTO_KILLS").map_or(KILLS, |text| text.parse().unwrap());
    let seed =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos()
            as u64;
    println!("seed {seed}");
    let (noise, mut drawn) = (Noise::new(seed), 0);
    let mut random = || {
        drawn += 1;
        f64::from(noise.uniform(drawn))
    };
    let mut modes = [
        Mode::undisturbed("exact", &EXACT),
        Mode::undisturbed("blocks", &BLOCKS),
        Mode::undisturbed("feathered", &FEATHERED),
    ];
    loop {
        let left = kills - modes.iter().map(|mode| mode.kills).sum::<usize>();
        let Some(mode) = modes.iter_mut().min_by_key(|mode| mode.kills).filter(|_| left > 0) else {
            break;
        };
        mode.killed_and_finished(&mut random, left);
    }
    for Mode { name, kills, finished, seconds, .. } in &modes {
        println!("{name}: {kills} kills, {finished} jobs finished, {seconds:.1} s undisturbed");
    }
}
