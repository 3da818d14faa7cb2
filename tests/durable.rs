//! Runs that are stopped, die, or find their files damaged, and come out with the very bytes of one
//! that was let alone.

#![allow(clippy::unwrap_used, reason = "a test that cannot begin has failed")]

mod support;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use impasto::batch::{self, PrepareError, PrepareOptions, Summary};
use impasto::config;
use impasto::event::CancellationToken;
use impasto::event::{Event, TargetOrigin, Watcher};
use impasto::image::Limits;
use impasto::journal::{self, JobState, JournalError};
use impasto::network::{Isa, Precision};
use impasto::random::Noise;
use impasto::render::Engine;

/// A folder with photographs, a painting and a pipeline.
struct Place(tempfile::TempDir);

/// Two levels, some evaluations, everything kept at once.
const PIPELINE: &str = r#"
[input]
content = ["photos/*.png"]
[style]
image = "style.png"
[output]
directory = "out"
long-side-px = 128
[objective]
content-layers = ["relu3_1"]
style-layers = ["relu1_1", "relu2_1", "relu3_1"]
[pyramid]
short-side-px = 64
evaluations = [5, 4]
[checkpoint]
every-seconds = 0
"#;

/// Modes and optimisers, each as lines that are added to [`PIPELINE`].
const WAYS: [(&str, &str); 4] = [
    ("exact", "[optimise]\nhistory = 3\n"),
    ("adam", "[optimise]\nmethod = \"adam\"\n"),
    (
        "blocks",
        "[tiling]\nmode = \"blocks\"\ncore-px = 64\noverlap-px = 16\nrounds = 2\nvisit = 2\n",
    ),
    (
        "feathered",
        "[tiling]\nmode = \"feathered\"\ncore-px = 64\noverlap-px = 16\nrounds = 2\nvisit = 2\n",
    ),
];

impl Place {
    fn new(photographs: usize, more: &str) -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        std::fs::create_dir(place.path("photos")).unwrap();
        (0..photographs).for_each(|number| place.photograph(number));
        picture(&place.path("style.png"), 99, (70, 64));
        std::fs::write(place.path("pipeline.toml"), format!("{PIPELINE}{more}")).unwrap();
        place
    }

    fn photograph(&self, number: usize) {
        picture(&self.path(&format!("photos/{number}.png")), number as u64, (96, 80));
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// `impasto run`, as the program does it.
    fn run(
        &self,
        engine: &mut Engine,
        overrides: &[&str],
        hear: &mut dyn FnMut(&Event, &CancellationToken),
    ) -> Result<Summary, PrepareError> {
        let overrides: Vec<String> = overrides.iter().map(|o| o.to_string()).collect();
        let config = config::load(&self.path("pipeline.toml"), &overrides).unwrap();
        let (plan, unplanned) = batch::plan(&config);
        assert!(unplanned.is_empty(), "{unplanned:?}");
        let mut collection =
            batch::prepare(&config, plan, engine.weights().sha256(), PrepareOptions::default())?;
        let stop = CancellationToken::new();
        let mut listener = |event: &Event| hear(event, &stop);
        Ok(collection.run(
            engine,
            &Limits::default(),
            &mut Watcher { listener: &mut listener, cancellation: &stop },
        ))
    }

    /// Runs to the end and returns what was reported.
    fn finish(&self, engine: &mut Engine) -> Vec<Event> {
        let mut events = vec![];
        let summary = self.run(engine, &[], &mut |event, _| events.push(event.clone())).unwrap();
        assert!(
            summary.failed.is_empty() && summary.fatal.is_none() && !summary.interrupted,
            "{summary:?}"
        );
        events
    }

    fn pictures(&self) -> Vec<(String, Vec<u8>)> {
        let mut found: Vec<_> = std::fs::read_dir(self.path("out"))
            .unwrap()
            .map(|entry| entry.unwrap())
            .filter(|entry| entry.file_name() != ".impasto")
            .map(|entry| {
                (
                    entry.file_name().to_string_lossy().into_owned(),
                    std::fs::read(entry.path()).unwrap(),
                )
            })
            .collect();
        found.sort();
        found
    }

    fn run_directory(&self) -> PathBuf {
        journal::find(&self.path("out")).expect("a run")
    }

    /// Files of the checkpoints, in all folders below.
    fn checkpoint_files(&self) -> Vec<PathBuf> {
        fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
            for entry in std::fs::read_dir(folder).into_iter().flatten() {
                let path = entry.unwrap().path();
                if path.is_dir() { walk(&path, found) } else { found.push(path) }
            }
        }
        let mut found = vec![];
        walk(&self.run_directory().join("checkpoints"), &mut found);
        found.sort();
        found
    }
}

/// Smooth shapes with some noise.
fn picture(path: &Path, seed: u64, (width, height): (u32, u32)) {
    let noise = Noise::new(seed);
    let picture = image::RgbImage::from_fn(width, height, |x, y| {
        let wave = |factor: f32| {
            110.0
                + 90.0 * ((x as f32 * factor + seed as f32).sin() * (y as f32 * 0.7 * factor).cos())
        };
        let grain = 40.0 * noise.uniform((y * width + x) as u64);
        image::Rgb(
            [wave(0.11) + grain, wave(0.19) + grain, wave(0.31)].map(|v| v.clamp(0.0, 255.0) as u8),
        )
    });
    picture.save(path).unwrap();
}

fn new_engine(threads: usize) -> Engine {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    Engine::new(
        support::small_network(5, [8, 8, 16, 16, 16]),
        Isa::detect(),
        Precision::Float32,
        pool,
    )
}

/// What an undisturbed run paints, and how many events it tells.
fn undisturbed(photographs: usize, more: &str) -> (Vec<(String, Vec<u8>)>, usize) {
    let place = Place::new(photographs, more);
    let events = place.finish(&mut new_engine(2));
    assert!(events.iter().any(|event| matches!(event, Event::Checkpointed { .. })));
    assert_eq!(
        place.checkpoint_files(),
        Vec::<PathBuf>::new(),
        "what is finished needs no checkpoints"
    );
    (place.pictures(), events.len())
}

#[test]
fn a_stop_after_any_event_changes_no_byte() {
    let mut engine = new_engine(2);
    for (name, more) in WAYS {
        let (expected, events) = undisturbed(1, more);
        for after in 0..events {
            let place = Place::new(1, more);
            let mut reported = 0;
            place
                .run(&mut engine, &[], &mut |_, stop| {
                    if reported == after {
                        stop.cancel();
                    }
                    reported += 1;
                })
                .unwrap();
            if reported < events || place.pictures() != expected {
                place.finish(&mut engine);
            }
            assert_eq!(place.pictures(), expected, "{name}, stopped after event {after}");
        }
    }
}

#[test]
fn a_death_after_any_event_changes_no_byte() {
    std::panic::set_hook(Box::new(|_| {}));
    let mut engine = new_engine(2);
    for (name, more) in [WAYS[0], WAYS[2]] {
        let (expected, events) = undisturbed(2, more);
        for after in 0..events {
            let place = Place::new(2, more);
            let mut reported = 0;
            let died = catch_unwind(AssertUnwindSafe(|| {
                place.run(&mut engine, &[], &mut |_, _| {
                    assert!(reported != after, "an injected death");
                    reported += 1;
                })
            }));
            assert!(died.is_err(), "{name}, event {after}");
            // Nothing may be finished a second time: what was recorded as finished stays as it is.
            place.finish(&mut engine);
            assert_eq!(place.pictures(), expected, "{name}, died after event {after}");
        }
    }
}

#[test]
fn no_more_is_done_again_than_since_the_last_checkpoint() {
    for (name, more) in WAYS {
        let place = Place::new(1, more);
        let mut engine = new_engine(2);
        let mut seen = vec![];
        let work =
            |event: &Event| matches!(event, Event::Evaluated { .. } | Event::TileFinished { .. });
        place
            .run(&mut engine, &[], &mut |event, stop| {
                seen.push(event.clone());
                if seen.iter().filter(|e| work(e)).count() == 7 {
                    stop.cancel();
                }
            })
            .unwrap();
        let first = seen.iter().filter(|e| work(e)).count();
        let second = place.finish(&mut engine).iter().filter(|e| work(e)).count();
        let whole = Place::new(1, more).finish(&mut engine).iter().filter(|e| work(e)).count();
        assert_eq!(first + second, whole, "{name}: every evaluation and every tile was done once");
    }
}

/// Damages a file in one of several ways.
fn damage(path: &Path, way: usize) {
    let mut bytes = std::fs::read(path).unwrap();
    let length = bytes.len();
    match way {
        0 => bytes.clear(),
        1 => bytes.truncate(length / 3),
        2 => bytes.truncate(length.saturating_sub(1)),
        3 => bytes[length / 2] ^= 0x20,
        4 => bytes[length.saturating_sub(3)] ^= 1,
        _ => return std::fs::remove_file(path).unwrap(),
    }
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn a_damaged_checkpoint_is_seen_and_an_older_one_used() {
    let mut engine = new_engine(2);
    for (name, more) in WAYS {
        let (expected, _) = undisturbed(1, more);
        let stopped = || stopped(&mut new_engine(2), more);
        let files = stopped().checkpoint_files().len();
        assert!(files >= 3, "{name}: {files}");
        for file in 0..files {
            let place = stopped();
            let path = place.checkpoint_files()[file].clone();
            damage(&path, file % 6);
            place.finish(&mut engine);
            assert_eq!(
                place.pictures(),
                expected,
                "{name}, {} damaged in way {}",
                path.display(),
                file % 6
            );
        }
        // All of them at once: the picture starts again, and the listener hears of it.
        let place = stopped();
        place.checkpoint_files().iter().for_each(|path| damage(path, 3));
        let reported = place.finish(&mut engine);
        assert!(reported.iter().any(|event| matches!(event, Event::Warning { message } if message.contains("cannot be used"))), "{reported:?}");
        assert_eq!(place.pictures(), expected, "{name}, all damaged");
    }
}

/// A run of one picture that was stopped after some evaluations or tiles.
fn stopped(engine: &mut Engine, more: &str) -> Place {
    let place = Place::new(1, more);
    let mut work = 0;
    let mut hear = |event: &Event, stop: &CancellationToken| {
        work += usize::from(matches!(event, Event::Evaluated { .. } | Event::TileFinished { .. }));
        if work == 8 {
            stop.cancel();
        }
    };
    place.run(engine, &[], &mut hear).unwrap();
    place
}

/// Files of the checkpoints with their bytes.
fn kept(place: &Place) -> Vec<(PathBuf, Vec<u8>)> {
    let read = |path: PathBuf| (path.clone(), std::fs::read(path).unwrap_or_default());
    place.checkpoint_files().into_iter().map(read).collect()
}

#[test]
fn a_checkpoint_that_cannot_be_read_ends_the_run_and_nothing_is_lost() {
    let mut engine = new_engine(2);
    for (name, more) in WAYS {
        let (expected, _) = undisturbed(1, more);
        let files = stopped(&mut engine, more).checkpoint_files().len();
        let mut ended = 0;
        for file in 0..files {
            let place = stopped(&mut engine, more);
            let path = place.checkpoint_files()[file].clone();
            // The system refuses to read a directory as a file, as it refuses a file on a share that
            // is away: the bytes are as good as ever.
            let aside = path.with_extension("aside");
            let aside = place.path(&aside.file_name().unwrap().to_string_lossy());
            std::fs::rename(&path, &aside).unwrap();
            std::fs::create_dir(&path).unwrap();
            let before = kept(&place);
            let summary = place.run(&mut engine, &[], &mut |_, _| {}).unwrap();
            if let Some(error) = &summary.fatal {
                ended += 1;
                let words = error.to_string();
                assert!(
                    words.contains(&*path.to_string_lossy())
                        && words.contains("the checkpoints are kept"),
                    "{words}"
                );
            }
            // A canvas that a level writes first, and cannot here, is one picture's failure.
            for failed in &summary.failed {
                let words = failed.error.to_string();
                assert!(words.contains(&*path.to_string_lossy()), "{words}");
            }
            if summary.finished.is_empty() {
                // A level in rounds has made its first canvases again by then.
                let after = kept(&place);
                let all = before.iter().all(|file| after.contains(file));
                assert!(all && path.is_dir(), "{name}, {}", path.display());
                std::fs::remove_dir(&path).unwrap();
                std::fs::rename(&aside, &path).unwrap();
                place.finish(&mut engine);
            }
            assert!(place.pictures() == expected, "{name}, {}", path.display());
        }
        assert!(ended > 0, "{name}: no file of {files} was needed");
    }
}

#[cfg(unix)]
#[test]
fn a_checkpoint_without_permission_to_read_ends_the_run_and_nothing_is_lost() {
    use std::os::unix::fs::PermissionsExt;
    let mut engine = new_engine(2);
    let (expected, _) = undisturbed(1, WAYS[0].1);
    let place = stopped(&mut engine, WAYS[0].1);
    let before = kept(&place);
    let set = |mode: u32| {
        let files = place.checkpoint_files().into_iter();
        files.filter(|path| path.extension().is_some_and(|e| e == "vector")).for_each(|path| {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap()
        });
    };
    set(0);
    let readable = place.checkpoint_files().iter().all(|path| std::fs::read(path).is_ok());
    if readable {
        println!("skipped: this user may read everything");
        return;
    }
    let summary = place.run(&mut engine, &[], &mut |_, _| {}).unwrap();
    assert!(summary.fatal.is_some_and(|error| error.to_string().contains("ermission denied")));
    set(0o644);
    assert!(kept(&place) == before);
    place.finish(&mut engine);
    assert_eq!(place.pictures(), expected);
}

#[test]
fn a_checkpoint_of_another_version_ends_the_run_and_stays() {
    let mut engine = new_engine(2);
    let place = stopped(&mut engine, WAYS[0].1);
    let files = place.checkpoint_files();
    let of_kind = |kind: &str| {
        let of_kind = files.iter().filter(|path| path.extension().is_some_and(|e| e == kind));
        of_kind.max().unwrap().clone()
    };
    let body = "{}";
    let manifest =
        format!("impasto-checkpoint 1 {:08x} 2\n{body}", crc32fast::hash(body.as_bytes()));
    for (path, bytes, format) in [
        (of_kind("checkpoint"), manifest.as_bytes(), "`impasto-checkpoint` 1"),
        (of_kind("vector"), &b"impasto-vector-1\x03\0\0\0"[..], "`impasto-vector-1`"),
    ] {
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, bytes).unwrap();
        let before = kept(&place);
        let summary = place.run(&mut engine, &[], &mut |_, _| {}).unwrap();
        let words = summary.fatal.expect("it ends").to_string();
        assert!(words.contains(format) && words.contains("--restart"), "{words}");
        assert!(kept(&place) == before);
        std::fs::write(&path, whole).unwrap();
    }
    place.finish(&mut engine);
}

#[test]
fn a_journal_torn_anywhere_is_gone_on_with() {
    let mut engine = new_engine(2);
    let (expected, _) = undisturbed(1, WAYS[0].1);
    let noise = Noise::new(11);
    for attempt in 0..12 {
        let place = Place::new(1, WAYS[0].1);
        let mut work = 0;
        place
            .run(&mut engine, &[], &mut |event, stop| {
                work += usize::from(matches!(event, Event::Evaluated { .. }));
                if work == 7 {
                    stop.cancel();
                }
            })
            .unwrap();
        let path = place.run_directory().join("events.jsonl");
        let bytes = std::fs::read(&path).unwrap();
        let cut = (noise.uniform(attempt) * bytes.len() as f32) as usize;
        std::fs::write(&path, &bytes[..cut]).unwrap();
        place.finish(&mut engine);
        assert_eq!(place.pictures(), expected, "cut at {cut} of {}", bytes.len());
    }
    let place = Place::new(1, WAYS[0].1);
    place.finish(&mut engine);
    let path = place.run_directory().join("events.jsonl");
    damage(&path, 3);
    let refused = place.run(&mut engine, &[], &mut |_, _| {}).unwrap_err();
    assert!(matches!(&refused, PrepareError::Journal(JournalError::Damaged { .. })), "{refused}");
    assert!(
        refused.to_string().contains("events.jsonl") && refused.to_string().contains("line"),
        "{refused}"
    );
}

#[test]
fn what_changes_pixels_is_refused_and_what_does_not_is_not() {
    let mut engine = new_engine(2);
    let (expected, _) = undisturbed(1, WAYS[0].1);
    let place = Place::new(1, WAYS[0].1);
    let stop_early = |event: &Event, cancellation: &CancellationToken| {
        if matches!(event, Event::Evaluated { evaluation: 2, .. }) {
            cancellation.cancel();
        }
    };
    place
        .run(&mut engine, &[], &mut |event, cancellation| stop_early(event, cancellation))
        .unwrap();
    let mut refused = |overrides: &[&str], words: &[&str]| {
        let error = place.run(&mut engine, overrides, &mut |_, _| {}).unwrap_err();
        assert!(matches!(&error, PrepareError::Journal(JournalError::Changed { .. })), "{error}");
        words
            .iter()
            .for_each(|word| assert!(error.to_string().contains(word), "no `{word}` in: {error}"));
    };
    refused(
        &["objective.content-weight=3.5", "pyramid.evaluations=[5, 9]"],
        &[
            "objective.content-weight: was not set, is 3.5",
            "pyramid.evaluations: was [5, 4], is [5, 9]",
            "--restart",
        ],
    );
    let style = std::fs::read(place.path("style.png")).unwrap();
    picture(&place.path("style.png"), 98, (70, 64));
    refused(&[], &["the file of style.0.image"]);
    std::fs::write(place.path("style.png"), style).unwrap();
    let photograph = std::fs::read(place.path("photos/0.png")).unwrap();
    picture(&place.path("photos/0.png"), 7, (96, 80));
    refused(&[], &["the content image photos/0.png"]);
    std::fs::write(place.path("photos/0.png"), photograph).unwrap();
    // Another number of threads, another interval, another core and less memory: the same bytes.
    let overrides = [
        "compute.threads=1",
        "checkpoint.every-seconds=5",
        "tiling.core-px=64",
        "compute.memory-gib=3",
        "watch.print-every=2",
    ];
    let mut resumed = false;
    place
        .run(&mut engine, &overrides, &mut |event, _| {
            resumed |= matches!(event, Event::JobResumed { evaluation: 2, .. })
        })
        .unwrap();
    assert!(resumed);
    assert_eq!(place.pictures(), expected);
}

#[test]
fn photographs_that_join_are_the_only_ones_painted_and_targets_are_shared() {
    let mut engine = new_engine(2);
    let place = Place::new(2, WAYS[0].1);
    let events = place.finish(&mut engine);
    let origins = |events: &[Event]| -> Vec<TargetOrigin> {
        events
            .iter()
            .filter_map(
                |e| if let Event::Targets { origin, .. } = e { Some(*origin) } else { None },
            )
            .collect()
    };
    use TargetOrigin::Shared;
    let found = origins(&events);
    assert_eq!(found.len(), 4, "two levels of two pictures");
    assert_eq!(
        found.iter().filter(|origin| **origin == Shared).count(),
        2,
        "the second picture computes none: {found:?}"
    );
    let before = place.pictures();
    place.photograph(2);
    let again = place.finish(&mut engine);
    let started: Vec<&String> = again
        .iter()
        .filter_map(|e| if let Event::JobStarted { name, .. } = e { Some(name) } else { None })
        .collect();
    assert_eq!(started, ["2-style.png"]);
    assert_eq!(place.pictures()[..2], before[..]);
    let reading = journal::open(&place.run_directory()).unwrap();
    assert_eq!(reading.jobs.len(), 3);
    assert!(
        reading
            .status
            .jobs
            .values()
            .all(|job| job.state == JobState::Finished && job.done == job.work)
    );
    // And then there is nothing left.
    let config = config::load(&place.path("pipeline.toml"), &[]).unwrap();
    let collection = batch::prepare(
        &config,
        batch::plan(&config).0,
        engine.weights().sha256(),
        PrepareOptions::default(),
    )
    .unwrap();
    assert!(collection.pending().is_empty());
}

#[test]
fn a_picture_of_somebody_else_is_in_the_way() {
    let mut engine = new_engine(1);
    let place = Place::new(1, WAYS[0].1);
    std::fs::create_dir(place.path("out")).unwrap();
    std::fs::write(place.path("out/0-style.png"), "precious").unwrap();
    let refused = place.run(&mut engine, &[], &mut |_, _| {}).unwrap_err();
    assert!(matches!(refused, PrepareError::Exists(_)), "{refused}");
    assert!(!place.path("out/.impasto").exists(), "nothing is made before the check");
    std::fs::remove_file(place.path("out/0-style.png")).unwrap();
    place
        .run(&mut engine, &[], &mut |event, stop| {
            if matches!(event, Event::Evaluated { .. }) {
                stop.cancel()
            }
        })
        .unwrap();
    std::fs::write(place.path("out/0-style.png"), "precious").unwrap();
    let refused = place.run(&mut engine, &[], &mut |_, _| {}).unwrap_err();
    assert!(matches!(refused, PrepareError::Exists(_)), "{refused}");
}
