//! The table at the end of a collection: one line for each picture.

use super::paths::shown;
use super::style::{duration, loss};
use crate::files::Home;
use crate::journal::{JobStatus, RunStatus};

/// What the columns are called.
const HEAD: [&str; 7] =
    ["picture", "state", "size", "evaluations", "loss", "time", "where, or why not"];

/// The pictures of `status` and those that were never begun, by name and reason, aligned in columns.
pub fn table(status: &RunStatus, home: &Home, others: &[(String, String)]) -> String {
    let mut rows: Vec<[String; 7]> = vec![HEAD.map(String::from)];
    rows.extend(status.jobs.values().map(|job| row(job, home)));
    rows.extend(others.iter().map(|(name, reason)| {
        let [size, evaluations, loss, time] = Default::default();
        [name.clone(), "failed".into(), size, evaluations, loss, time, reason.clone()]
    }));
    let widths: Vec<usize> = (0..HEAD.len())
        .map(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0))
        .collect();
    let lines: Vec<String> = rows.iter().map(|row| aligned(row, &widths)).collect();
    lines.join("\n")
}

/// Names and reasons to the left, numbers to the right.
fn aligned(row: &[String; 7], widths: &[usize]) -> String {
    let cells: Vec<String> = row
        .iter()
        .zip(widths)
        .enumerate()
        .map(|(column, (cell, width))| {
            if (2..6).contains(&column) {
                format!("{cell:>width$}")
            } else {
                format!("{cell:<width$}")
            }
        })
        .collect();
    cells.join("  ").trim_end().to_string()
}

fn row(job: &JobStatus, home: &Home) -> [String; 7] {
    let size =
        if job.size == (0, 0) { String::new() } else { format!("{}x{}", job.size.0, job.size.1) };
    let evaluations =
        if job.total_evaluations == 0 { String::new() } else { job.total_evaluations.to_string() };
    let losses = job.losses.map_or_else(String::new, |losses| loss(losses.total));
    let time = if job.seconds > 0.0 { duration(job.seconds) } else { String::new() };
    let output = job.output.as_ref().map(|output| shown(home, output));
    let last =
        output.filter(|_| job.is_finished()).or_else(|| job.reason.clone()).unwrap_or_default();
    [job.name.clone(), job.state.word().into(), size, evaluations, losses, time, last]
}
