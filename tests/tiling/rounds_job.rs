//! A whole job whose last level runs in rounds: events, files, and an interruption.

#![allow(clippy::unwrap_used, reason = "a test that cannot begin has failed")]

use impasto::batch;
use impasto::config;
use impasto::event::CancellationToken;
use impasto::event::{Event, Watcher};
use impasto::image::Limits;
use impasto::network::{Isa, Precision, Weights};
use impasto::plan::{Execution, Plan, Visits};
use impasto::render::Engine;

const VISITS: Visits = Visits { core: 64, overlap: 16, rounds: 2, visit: 2, history: 5 };

fn plan(folder: &std::path::Path, execution: Execution) -> Plan {
    plan_with(folder, execution, &[])
}

/// A plan of two levels, of which the last is `execution`, with some keys set.
fn plan_with(folder: &std::path::Path, execution: Execution, keys: &[&str]) -> Plan {
    let keys: Vec<String> = keys.iter().map(|key| key.to_string()).collect();
    let pipeline = folder.join("pipeline.toml");
    let (content, style) = (
        crate::support::path("samples/content/chelsea.png"),
        crate::support::path("samples/style/the_kiss.png"),
    );
    let text = format!(
        "[input]\ncontent = [{:?}]\n[[style]]\nimage = {:?}\n[output]\ndirectory = \"out\"\nlong-side-px = 160\n[objective]\npreset = \"spst\"\n[pyramid]\nshort-side-px = 64\nevaluations = [2]\n",
        content.display().to_string(),
        style.display().to_string()
    );
    std::fs::write(&pipeline, text).unwrap();
    let (mut plan, unplanned) = batch::plan(&config::load(&pipeline, &keys).unwrap());
    assert!(unplanned.is_empty());
    plan.jobs[0].levels.last_mut().unwrap().execution = execution;
    plan
}

fn run(plan: &Plan, stop_after_tile: Option<usize>) -> (batch::Summary, Vec<Event>) {
    run_until(
        plan,
        |event| matches!(event, Event::TileFinished { tile, .. } if Some(*tile) == stop_after_tile),
    )
}

/// A run that is asked to stop at the first event that `last` accepts.
fn run_until(plan: &Plan, last: impl Fn(&Event) -> bool) -> (batch::Summary, Vec<Event>) {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
    let mut engine =
        Engine::new(Weights::embedded().unwrap(), Isa::detect(), Precision::Float32, pool);
    let (stop, mut events) = (CancellationToken::new(), vec![]);
    let mut listener = |event: &Event| {
        if last(event) {
            stop.cancel();
        }
        events.push(event.clone());
    };
    let summary = batch::run(
        plan,
        &mut engine,
        &Limits::default(),
        &mut Watcher { listener: &mut listener, cancellation: &stop },
    );
    (summary, events)
}

#[test]
fn levels_run_in_rounds() {
    for execution in [Execution::Blocks(VISITS), Execution::Feathered(VISITS)] {
        let folder = tempfile::tempdir().unwrap();
        let (summary, events) = run(&plan(folder.path(), execution), None);
        assert!(summary.failed.is_empty(), "{summary:?}");
        assert!(summary.finished[0].0.exists());
        let tiles = events
            .iter()
            .filter(|e| matches!(e, Event::TileFinished { evaluations: 2, .. }))
            .count();
        let totals: Vec<f64> = events
            .iter()
            .filter_map(|e| {
                if let Event::RoundFinished { losses, .. } = e { Some(losses.total) } else { None }
            })
            .collect();
        assert!(tiles > 2 * 4 && totals.len() == 2, "{tiles} tiles, rounds {totals:?}");
        assert_eq!(summary.finished[0].1.total, totals[1]);
        // Canvases and tiles are gone; what stays beside the picture is the paintings' statistics.
        let names = |folder: std::path::PathBuf| {
            let mut names: Vec<String> = std::fs::read_dir(folder)
                .unwrap()
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .collect();
            names.sort();
            names
        };
        assert_eq!(names(folder.path().join("out")), [".impasto", "chelsea-the_kiss.png"]);
        assert_eq!(names(folder.path().join("out/.impasto")), ["targets"]);
    }
}

#[test]
fn a_stop_between_tiles_keeps_the_last_whole_round() {
    let folder = tempfile::tempdir().unwrap();
    let (summary, events) = run(&plan(folder.path(), Execution::Blocks(VISITS)), Some(1));
    assert!(summary.interrupted && summary.partial.unwrap().exists());
    assert!(!events.iter().any(|e| matches!(e, Event::RoundFinished { .. })));
}

/// While the next level's canvas, targets, content features or statistics are computed: whatever
/// comes first sees the request.
#[test]
fn a_stop_between_levels_leaves_the_picture_of_the_level_below() {
    let exact = Execution::Exact { core: 64, history: 5, keep: 0 };
    for execution in [exact, Execution::Blocks(VISITS), Execution::Feathered(VISITS)] {
        let folder = tempfile::tempdir().unwrap();
        let plan = plan(folder.path(), execution);
        let (summary, events) = run_until(&plan, |event| matches!(event, Event::Saved { .. }));
        assert!(summary.interrupted && summary.partial.unwrap().exists(), "{execution:?}");
        let after = events.iter().skip_while(|event| !matches!(event, Event::Saved { .. })).skip(1);
        let worked = |event: &Event| {
            matches!(
                event,
                Event::Targets { .. } | Event::Evaluated { .. } | Event::TileFinished { .. }
            )
        };
        assert!(!after.into_iter().any(worked), "{execution:?}: {events:?}");
    }
}

#[test]
fn rounds_write_pictures_on_the_way_and_move_tiles_by_the_method_of_the_settings() {
    let totals = |keys: &[&str]| {
        let folder = tempfile::tempdir().unwrap();
        let plan = plan_with(folder.path(), Execution::Blocks(VISITS), keys);
        let (summary, events) = run(&plan, None);
        assert!(summary.failed.is_empty(), "{summary:?}");
        let saved = |event: &Event| match event {
            Event::Saved { path, .. } => path.as_path().file_name().map(|name| name.to_owned()),
            _ => None,
        };
        let saved: Vec<_> = events.iter().filter_map(saved).collect();
        (summary.finished[0].1.total, saved)
    };
    let (lbfgs, plain) = totals(&[]);
    assert_eq!(plain, ["chelsea-the_kiss.preview.jpg"]);
    // Two rounds of two evaluations: the end of the level is no picture on the way.
    let (again, saved) = totals(&["watch.save-every=2"]);
    let expected = ["chelsea-the_kiss.preview.jpg", "chelsea-the_kiss.level-2-0002.png"];
    assert_eq!((again, saved.as_slice()), (lbfgs, &expected.map(Into::into)[..]));
    let (adam, _) = totals(&["optimise.method=adam"]);
    assert!(adam.is_finite() && adam != lbfgs, "{adam} and {lbfgs}");
}
