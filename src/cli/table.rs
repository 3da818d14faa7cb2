//! The table at the end of a collection: one line for each picture.

use comfy_table::{CellAlignment, Table, presets};

use super::paths::shown;
use crate::files::Home;
use crate::format::{duration, loss};
use crate::journal::{JobStatus, RunStatus};

/// What the columns are called.
const HEAD: [&str; 7] =
    ["picture", "state", "size", "evaluations", "loss", "time", "where, or why not"];

/// The pictures of `status` and those that never started, by name and reason, aligned in columns:
/// names and reasons to the left, numbers to the right.
pub fn table(status: &RunStatus, home: &Home, others: &[(String, String)]) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(HEAD);
    table.add_rows(status.jobs.values().map(|job| row(job, home)));
    table.add_rows(others.iter().map(|(name, reason)| {
        let [size, evaluations, loss, time] = Default::default();
        [name.clone(), "failed".into(), size, evaluations, loss, time, reason.clone()]
    }));
    for (number, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, 2));
        if (2..6).contains(&number) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let lines: Vec<String> = table.lines().map(|line| line.trim_end().to_string()).collect();
    lines.join("\n")
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wide_and_combining_letters_take_the_columns_that_a_terminal_gives_them() {
        let mut status = RunStatus::default();
        for (number, name) in
            ["plain.png", "cafe\u{301}.png", "\u{5199}\u{771f}.png"].iter().enumerate()
        {
            status.jobs.entry(number).or_default().name = (*name).into();
        }
        let text = table(&status, &Home::at(".".as_ref()), &[]);
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines.len() == 4 && lines[0].starts_with("picture"), "{text}");
        let state = JobStatus::default().state.word();
        let before =
            |line: &str| line.find(state).map(|at| line[..at].to_string()).expect("a state");
        assert_eq!(before(lines[1]), "plain.png  ");
        assert_eq!(before(lines[2]), "cafe\u{301}.png   ", "a combining mark takes no column");
        assert_eq!(before(lines[3]), "\u{5199}\u{771f}.png   ", "a Chinese sign takes two");
    }
}
