//! Evaluations that are not written one by one: a small picture has many in a second, and a night
//! has more than anybody reads.
//!
//! Of each job's evaluations one in [`EVERY`] is written, and the latest before any other event of
//! the job; the seconds of those that are left out are added to the one that is written. So a journal
//! says at every moment how far the run is, and grows with the hours and not with the pictures.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::event::Event;

/// Between two evaluations of a job that are written.
const EVERY: Duration = Duration::from_secs(1);

/// Decides which events are written.
#[derive(Debug, Default)]
pub(super) struct Thinning {
    /// By job, when an evaluation was last written.
    written: HashMap<usize, Instant>,
    /// By job, the latest evaluation that is not written, with the seconds of those before it.
    unwritten: HashMap<usize, Event>,
}

impl Thinning {
    /// The events to write now, in order, when `event` happens.
    pub(super) fn add(&mut self, event: &Event) -> Vec<Event> {
        let Event::Evaluated { job, seconds, .. } = event else {
            let before = event.job().and_then(|job| self.unwritten.remove(&job));
            return before.into_iter().chain([event.clone()]).collect();
        };
        let mut merged = event.clone();
        if let (
            Some(Event::Evaluated { seconds: before, .. }),
            Event::Evaluated { seconds: sum, .. },
        ) = (self.unwritten.remove(job), &mut merged)
        {
            *sum = before + seconds;
        }
        if self.written.get(job).is_none_or(|at| at.elapsed() >= EVERY) {
            self.written.insert(*job, Instant::now());
            return vec![merged];
        }
        self.unwritten.insert(*job, merged);
        vec![]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Losses;

    fn evaluated(job: usize, evaluation: usize) -> Event {
        Event::Evaluated { job, level: 0, evaluation, losses: Losses::default(), seconds: 0.5 }
    }

    #[test]
    fn the_first_and_the_latest_are_written_and_no_second_is_lost() {
        let mut thinning = Thinning::default();
        assert_eq!(thinning.add(&evaluated(0, 1)), [evaluated(0, 1)]);
        for evaluation in 2..=7 {
            assert_eq!(thinning.add(&evaluated(0, evaluation)), []);
        }
        assert_eq!(thinning.add(&evaluated(1, 1)), [evaluated(1, 1)], "each job by itself");
        let other = Event::Warning { message: "of no job".into() };
        assert_eq!(thinning.add(&other), std::slice::from_ref(&other));
        let end = Event::Interrupted { job: 0, path: None };
        let written = thinning.add(&end);
        let [Event::Evaluated { evaluation: 7, seconds, .. }, last] = &written[..] else {
            panic!("{written:?}")
        };
        assert_eq!((*seconds, last), (3.0, &end));
        assert_eq!(thinning.add(&end), std::slice::from_ref(&end));
    }
}
