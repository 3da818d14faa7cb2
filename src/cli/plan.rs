//! `impasto plan`: what a run would do, and what it would take.

use comfy_table::{CellAlignment, Table, presets};
use serde_json::{Value, json};

use super::args::PlanArguments;
use super::run::{load, nothing_planned, report_unplanned, warn, warn_of_small_scans};
use super::say::{complain, say};
use super::{Exit, Failure, devices};
use crate::batch;
use crate::config::{Config, GRID_SIDE, look_of};
use crate::files::path_text;
use crate::format::{bytes, duration};
use crate::plan::{Estimate, Execution, Job, JobRecord, Level, Plan, Speed};
use crate::render::calibrate;

/// `impasto plan`.
pub fn plan(arguments: &PlanArguments) -> Result<Exit, Failure> {
    let config = load(&arguments.pipeline, &arguments.overrides, arguments.like.as_deref())?;
    let devices = devices::choose(&config)?;
    devices.check()?;
    let (plan, unplanned) = batch::plan_on(&config, devices.for_plan());
    warn(&config, &plan);
    warn_of_small_scans(&plan.jobs);
    report_unplanned(&unplanned);
    if plan.jobs.is_empty() {
        return Ok(nothing_planned(&unplanned));
    }
    let mut engine = devices.engine(devices::weights(&config)?)?;
    // Calibrated with the first job's loss.
    let speed = calibrate(&mut engine, &plan.jobs[0].spec)?;
    if arguments.json {
        say!("{:#}", document(&plan, &speed)?);
    } else {
        print(&plan, &config, &speed);
        if let Some(like) = &arguments.like {
            say!("look    {}: {}", path_text(like), look(&plan));
        }
    }
    let obstacles = batch::obstacles(&config, &plan, false)?.into_iter().map(Failure::from);
    let exits: Vec<Exit> =
        obstacles.inspect(Failure::print).map(|failure| failure.exit()).collect();
    Ok(match (exits.first(), unplanned.is_empty()) {
        (Some(exit), _) => *exit,
        (None, true) => Exit::Done,
        (None, false) => Exit::SomeFailed,
    })
}

/// The plan as a run would record it, and beside every job and the whole what it would take. Keys
/// only ever get more.
fn document(plan: &Plan, speed: &Speed) -> Result<Value, Failure> {
    let internal = |error: serde_json::Error| Failure::Internal(error.to_string());
    let jobs: Vec<JobRecord> = plan.jobs.iter().map(JobRecord::from).collect();
    let pipeline = path_text(&plan.pipeline);
    let mut document = json!({ "pipeline": pipeline, "jobs": jobs });
    for (value, job) in document["jobs"].as_array_mut().into_iter().flatten().zip(&plan.jobs) {
        value["estimate"] = serde_json::to_value(Estimate::of_job(job, speed)).map_err(internal)?;
        value["warnings"] = json!(job.warnings());
        value["small-scans"] = serde_json::to_value(&job.small_scans).map_err(internal)?;
    }
    let mut estimate = serde_json::to_value(Estimate::of_plan(plan, speed)).map_err(internal)?;
    estimate.as_object_mut().and_then(|estimate| estimate.remove("levels"));
    document["estimate"] = estimate;
    document["work-megapixel-evaluations"] = json!(plan.work());
    document["speed-seconds-per-megapixel"] = serde_json::to_value(speed).map_err(internal)?;
    Ok(document)
}

/// Jobs with levels alike are shown once.
fn print(plan: &Plan, config: &Config, speed: &Speed) {
    let mut groups: Vec<(&Job, Vec<&Job>)> = Vec::new();
    for job in &plan.jobs {
        match groups
            .iter_mut()
            .find(|(first, _)| first.levels == job.levels && first.spec == job.spec)
        {
            Some((_, jobs)) => jobs.push(job),
            None => groups.push((job, vec![job])),
        }
    }
    for job in &plan.jobs {
        job.framing
            .warning()
            .into_iter()
            .for_each(|words| complain!("warning: {}: {words}", job.name));
    }
    for (job, alike) in &groups {
        for other in alike.iter().take(NAMED) {
            say!("{}  from {}", other.name, path_text(&other.content));
            say!("  {}", other.framing);
        }
        if alike.len() > NAMED {
            say!("and {} more alike", alike.len() - NAMED);
        }
        say!("{}", table(job, &Estimate::of_job(job, speed)));
        reasons(job);
        say!();
    }
    let whole = Estimate::of_plan(plan, speed);
    let pictures = if plan.jobs.len() == 1 {
        "1 picture".into()
    } else {
        format!("{} pictures", plan.jobs.len())
    };
    say!("{pictures}, {:.1} megapixel-evaluations", plan.work());
    if let Some(words) = grid(config) {
        say!("grid    {words}");
    }
    say!("time    about {} on this machine as it is now", duration(whole.seconds));
    say!("memory  {} at most; there are {}", bytes(whole.memory_bytes), plan.memory);
    say!(
        "disk    {} at most, of which {} are finished pictures",
        bytes(whole.disk.total()),
        bytes(whole.disk.finished_bytes)
    );
}

/// The settings that a picture's look gave to the first job, in words.
fn look(plan: &Plan) -> String {
    let settings = plan.jobs.first().map(|job| job.settings.listing(&job.home));
    let settings = settings.unwrap_or_default();
    let words = look_of(&settings).map(|setting| format!("{} = {}", setting.key, setting.value));
    words.collect::<Vec<_>>().join(", ")
}

/// What a grid makes of each photograph, in words; nothing without a grid.
fn grid(config: &Config) -> Option<String> {
    let keys: Vec<&str> = config.grid.iter().map(|axis| axis.key.as_str()).collect();
    let counts: Vec<String> =
        config.grid.iter().map(|axis| axis.values.len().to_string()).collect();
    let default = config.variants.iter().any(|variant| variant.has_grid_size);
    let size = match default {
        true => {
            format!(", {} px on the long side; output.long-side-px sets another size", GRID_SIDE.0)
        }
        false => String::new(),
    };
    let words = format!("{}: {} pictures of each photograph", keys.join(" x "), counts.join(" x "));
    (!keys.is_empty()).then_some(words + &size)
}

/// How many pictures of a kind are named.
const NAMED: usize = 5;

fn table(job: &Job, estimate: &Estimate) -> Table {
    let mut table = Table::new();
    table.load_style(presets::ASCII_BORDERS_ONLY_CONDENSED);
    table.set_header(["level", "px", "mode", "tiles", "evaluations", "memory", "disk", "time"]);
    for (number, (level, taken)) in job.levels.iter().zip(&estimate.levels).enumerate() {
        let (width, height) = job.picture_size(level);
        table.add_row([
            (number + 1).to_string(),
            format!("{width}x{height}"),
            mode(level),
            tiles(level, taken.tiles),
            evaluations(level),
            memory(level),
            bytes(taken.disk.total()),
            duration(taken.seconds),
        ]);
    }
    for column in table.column_iter_mut().skip(4) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

fn memory(level: &Level) -> String {
    match level.gpu_bytes {
        0 => bytes(level.memory_bytes),
        gpu if level.held_on_gpu => {
            format!("{}, GPU {} with the canvas", bytes(level.memory_bytes), bytes(gpu))
        }
        gpu => format!("{}, GPU {}", bytes(level.memory_bytes), bytes(gpu)),
    }
}

fn mode(level: &Level) -> String {
    match level.execution {
        Execution::Exact { history, .. } => format!("exact, {history} pairs"),
        Execution::Blocks(_) => "blocks".into(),
        Execution::Feathered(_) => "feathered".into(),
    }
}

fn tiles(level: &Level, count: usize) -> String {
    match level.execution {
        _ if count == 1 => "whole".into(),
        Execution::Exact { core, keep, .. } if keep > 1 => {
            format!("{count} of {core} px, {keep} kept")
        }
        Execution::Exact { core, .. } => format!("{count} of {core} px"),
        Execution::Blocks(visits) | Execution::Feathered(visits) => {
            format!("{count} of {} px", visits.core)
        }
    }
}

fn evaluations(level: &Level) -> String {
    match level.execution {
        Execution::Exact { .. } => level.evaluations.to_string(),
        Execution::Blocks(visits) | Execution::Feathered(visits) => {
            format!(
                "{} {} of {}",
                visits.rounds,
                if visits.rounds == 1 { "round" } else { "rounds" },
                visits.visit
            )
        }
    }
}

/// Why the levels are computed as they are, neighbours with one reason in one line.
fn reasons(job: &Job) {
    let mut first = 0;
    for at in 1..=job.levels.len() {
        if job.levels.get(at).is_none_or(|level| level.reason != job.levels[first].reason) {
            let which = if at - first == 1 {
                format!("level {at}")
            } else {
                format!("levels {} to {at}", first + 1)
            };
            say!("{which}: {}", job.levels[first].reason);
            first = at;
        }
    }
}
