//! Jobs that are still to be done, in order, and those that failed and are retried.

use std::collections::VecDeque;

/// A job's turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Turn {
    /// The job's place in the run's list.
    pub(super) place: usize,
    /// How often it has failed before.
    pub(super) failures: u32,
}

/// The turns to come.
#[derive(Debug)]
pub(super) struct Queue(VecDeque<Turn>);

impl Queue {
    /// Every job once.
    pub(super) fn of(jobs: usize) -> Self {
        Self((0..jobs).map(|place| Turn { place, failures: 0 }).collect())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The next turn, which is taken.
    pub(super) fn take(&mut self) -> Option<Turn> {
        self.0.pop_front()
    }

    /// The place of the job that is next.
    pub(super) fn next_place(&self) -> Option<usize> {
        self.0.front().map(|turn| turn.place)
    }

    /// Gives a job that has failed another turn, after all others.
    pub(super) fn retry(&mut self, turn: Turn) {
        self.0.push_back(Turn { failures: turn.failures + 1, ..turn });
    }
}
