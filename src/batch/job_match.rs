//! Whether a run has a job already, and what is left of it to do.

use std::io::ErrorKind;
use std::path::Path;

use crate::journal::{JobStatus, RunStatus};
use crate::plan::{Job, JobRecord};

/// What a run knows of a job.
pub(super) enum JobMatch<'a> {
    /// Nothing.
    New,
    /// Its picture is there.
    Finished(&'a JobRecord),
    /// It is still to be painted, or again: its picture was deleted.
    Pending {
        /// The job with what its run decided for it: levels, modes and histories move pixels, and
        /// the memory that decided them may be another tonight.
        job: Box<Job>,
        /// As the run recorded it.
        old: &'a JobRecord,
        /// Whether nothing of it has been painted, or nothing is left.
        is_untouched: bool,
    },
}

impl<'a> JobMatch<'a> {
    pub(super) fn of(job: &Job, recorded: &'a [JobRecord], status: &RunStatus) -> Self {
        // The last of its kind counts: it may have been added in the place of one whose content was
        // of no use.
        let old = recorded
            .iter()
            .rfind(|old| old.content == job.content.id && old.variant == job.variant);
        let Some(old) = old else { return JobMatch::New };
        let status = status.jobs.get(&old.index);
        let is_finished = status.is_some_and(JobStatus::is_finished);
        if is_finished && !is_gone(&job.home.locate(&old.output)) {
            return JobMatch::Finished(old);
        }
        let mut job = Job { levels: old.levels.clone(), index: old.index, ..job.clone() };
        // A picture that this run was writing when it ended is its own, and may be written again.
        let writing = status.and_then(|status| status.writing.as_ref());
        job.settings.output.overwrite |= writing == Some(&job.output.id);
        let is_untouched = is_finished || status.is_none_or(|status| status.total_evaluations == 0);
        JobMatch::Pending { job: Box::new(job), old, is_untouched }
    }
}

/// Whether nothing is under a name; a file that cannot be looked at is not gone.
fn is_gone(path: &Path) -> bool {
    matches!(std::fs::symlink_metadata(path), Err(error) if error.kind() == ErrorKind::NotFound)
}
