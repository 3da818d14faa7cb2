//! The wish to stop: one token, handed down, asked between evaluations.
//!
//! The library never handles signals. Whoever does (the command line) holds a clone of the token
//! and raises it; the work looks at it after every evaluation and leaves in an orderly way.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Instant, SystemTime};

/// A shared request to stop, raised by hand or by a deadline. Clones speak of the same request.
#[derive(Clone, Debug, Default)]
pub struct CancellationToken {
    raised: Arc<AtomicBool>,
    /// By a clock that stands still while the machine sleeps (on Windows it runs).
    deadline: Option<Instant>,
    /// By the machine's clock.
    clock_deadline: Option<SystemTime>,
}

impl CancellationToken {
    /// A token that nobody has raised.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same request, which also counts as raised from `deadline` on, or from an earlier one
    /// that it has. Time that the machine sleeps does not count.
    pub fn with_deadline(&self, deadline: Instant) -> Self {
        let earlier = self.deadline.map_or(deadline, |other| other.min(deadline));
        Self { deadline: Some(earlier), ..self.clone() }
    }

    /// The same request, which also counts as raised when the machine's clock is past `deadline`,
    /// or past an earlier one that it has, whatever the machine did meanwhile.
    pub fn with_clock_deadline(&self, deadline: SystemTime) -> Self {
        let earlier = self.clock_deadline.map_or(deadline, |other| other.min(deadline));
        Self { clock_deadline: Some(earlier), ..self.clone() }
    }

    /// Asks the work to stop at the next convenient point.
    pub fn cancel(&self) {
        self.raised.store(true, Ordering::SeqCst);
    }

    /// The flag itself, for a signal handler that may only store a boolean.
    pub fn flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.raised)
    }

    /// Whether the work should stop now.
    pub fn is_cancelled(&self) -> bool {
        self.raised.load(Ordering::SeqCst)
            || self.deadline.is_some_and(|deadline| Instant::now() >= deadline)
            || self.clock_deadline.is_some_and(|deadline| SystemTime::now() >= deadline)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn clones_share_the_request() {
        let stop = CancellationToken::new();
        let other = stop.clone();
        assert!(!other.is_cancelled());
        stop.cancel();
        assert!(other.is_cancelled());
    }

    #[test]
    fn a_deadline_in_the_past_counts_and_one_to_come_does_not() {
        let stop = CancellationToken::new();
        assert!(stop.with_deadline(Instant::now()).is_cancelled());
        assert!(!stop.with_deadline(Instant::now() + Duration::from_secs(3600)).is_cancelled());
        let clock = SystemTime::now();
        let hour = Duration::from_secs(3600);
        assert!(stop.with_clock_deadline(clock).is_cancelled());
        assert!(!stop.with_clock_deadline(clock + hour).is_cancelled());
        let both = stop.with_deadline(Instant::now() + hour).with_clock_deadline(clock - hour);
        assert!(both.is_cancelled(), "a machine that slept past its time");
        assert!(both.with_clock_deadline(clock + hour).is_cancelled(), "the earlier one counts");
        assert!(!stop.is_cancelled(), "the deadline belongs to the derived token alone");
    }
}
