//! The wish to stop: one token, handed down, asked between evaluations.
//!
//! The library never handles signals. Whoever does (the command line) holds a clone of the token
//! and raises it; the work looks at it after every evaluation and leaves in an orderly way.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// A shared request to stop, raised by hand or by a deadline. Clones speak of the same request.
#[derive(Clone, Debug, Default)]
pub struct CancellationToken {
    raised: Arc<AtomicBool>,
    deadline: Option<Instant>,
}

impl CancellationToken {
    /// A token that nobody has raised.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same request, which also counts as raised from `deadline` on.
    pub fn with_deadline(&self, deadline: Instant) -> Self {
        Self { raised: Arc::clone(&self.raised), deadline: Some(deadline) }
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
        assert!(!stop.is_cancelled(), "the deadline belongs to the derived token alone");
    }
}
