//! Tiles handed out to workers as they come free, results taken in the order of tiles.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Condvar, Mutex, MutexGuard, mpsc};

/// Results that may wait for an earlier one, for each worker: what bounds the memory of results.
const AHEAD: usize = 2;

/// Who may take which index.
pub(crate) enum Queue {
    /// 0..`count`, each for whoever comes first.
    Shared(usize),
    /// Ascending indices for each worker: what it alone can do. Together they are 0..count.
    PerWorker(Vec<VecDeque<usize>>),
}

impl Queue {
    fn count(&self) -> usize {
        match self {
            Queue::Shared(count) => *count,
            Queue::PerWorker(queues) => queues.iter().map(VecDeque::len).sum(),
        }
    }
}

/// What the workers share: who has what still to do, and how far the taking has come.
struct Dispatcher {
    state: Mutex<State>,
    changed: Condvar,
    /// How far beyond the index that is to be taken next a worker may begin.
    ahead: usize,
}

struct State {
    queue: Queue,
    /// The first index of a shared queue that no worker has started.
    next: usize,
    /// What lost workers had started.
    returned: BTreeSet<usize>,
    /// How many indices are being worked on.
    in_work: usize,
    /// The index whose result is to be taken next.
    to_take: usize,
    closed: bool,
}

impl Dispatcher {
    fn new(queue: Queue, ahead: usize) -> Self {
        let (returned, closed) = (BTreeSet::new(), false);
        let state = State { queue, next: 0, returned, in_work: 0, to_take: 0, closed };
        Self { state: Mutex::new(state), changed: Condvar::new(), ahead }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// The next index for a worker, once it is not too far ahead of what was taken.
    fn acquire(&self, worker: usize) -> Option<usize> {
        let mut state = self.state();
        loop {
            if state.closed {
                return None;
            }
            let (index, shared) = match &state.queue {
                Queue::Shared(count) => (
                    state.returned.first().copied().or((state.next < *count).then_some(state.next)),
                    true,
                ),
                Queue::PerWorker(queues) => (queues[worker].front().copied(), false),
            };
            match index {
                // A worker that is still at work may be lost and leave its index.
                None if shared && state.in_work > 0 => {}
                None => return None,
                Some(index) if index < state.to_take + self.ahead => {
                    if !state.returned.remove(&index) {
                        match &mut state.queue {
                            Queue::Shared(_) => state.next += 1,
                            Queue::PerWorker(queues) => drop(queues[worker].pop_front()),
                        }
                    }
                    state.in_work += 1;
                    return Some(index);
                }
                Some(_) => {}
            }
            state = self.changed.wait(state).unwrap_or_else(|poisoned| poisoned.into_inner());
        }
    }

    /// A worker is done with an index.
    fn release(&self) {
        self.state().in_work -= 1;
        self.changed.notify_all();
    }

    /// A worker is lost, and the index that it worked on is for another.
    fn give_back(&self, index: usize) {
        let mut state = self.state();
        state.returned.insert(index);
        state.in_work -= 1;
        self.changed.notify_all();
    }

    /// All results before `next` are taken.
    fn taken(&self, next: usize) {
        self.state().to_take = next;
        self.changed.notify_all();
    }

    fn close(&self) {
        self.state().closed = true;
        self.changed.notify_all();
    }
}

/// Closes the dispatcher when a worker or the taker panics, so that nobody waits for what will never
/// come.
struct CloseOnPanic<'a>(&'a Dispatcher);

impl Drop for CloseOnPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.close();
        }
    }
}

/// Runs `work(worker, index)` for every index of `queue` on `workers` threads and gives every
/// result to `take`, in order, on the caller's thread. Results that come early wait, so what `take`
/// sees does not depend on who was fast; a worker that would get too far ahead waits as well.
///
/// When `work` fails and `lost(worker, error)` says that the worker is lost with it, another does
/// that index again; nobody else can do the work of a single worker, or of a worker's own queue.
///
/// # Errors
/// The first of `work` or `take`, in order.
pub(crate) fn in_order<R: Send, E: Send>(
    workers: usize,
    queue: Queue,
    work: impl Fn(usize, usize) -> Result<R, E> + Sync,
    lost: impl Fn(usize, &E) -> bool + Sync,
    mut take: impl FnMut(usize, R) -> Result<(), E>,
) -> Result<(), E> {
    if workers <= 1 {
        return (0..queue.count()).try_for_each(|index| take(index, work(0, index)?));
    }
    let shared = matches!(queue, Queue::Shared(_));
    let dispatcher = Dispatcher::new(queue, AHEAD * workers);
    let (sender, results) = mpsc::channel();
    std::thread::scope(|scope| {
        let _guard = CloseOnPanic(&dispatcher);
        for worker in 0..workers {
            let (sender, work, lost, dispatcher) = (sender.clone(), &work, &lost, &dispatcher);
            scope.spawn(move || {
                let _guard = CloseOnPanic(dispatcher);
                while let Some(index) = dispatcher.acquire(worker) {
                    let result = work(worker, index);
                    if shared && result.as_ref().is_err_and(|error| lost(worker, error)) {
                        dispatcher.give_back(index);
                        break;
                    }
                    let received = sender.send((index, result)).is_ok();
                    dispatcher.release();
                    if !received {
                        break;
                    }
                }
            });
        }
        drop(sender);
        let delivered = deliver(&results, &dispatcher, &mut take);
        dispatcher.close();
        delivered
    })
}

fn deliver<R, E>(
    results: &mpsc::Receiver<(usize, Result<R, E>)>,
    dispatcher: &Dispatcher,
    take: &mut impl FnMut(usize, R) -> Result<(), E>,
) -> Result<(), E> {
    let mut early = BTreeMap::new();
    let mut next = 0;
    for (index, result) in results {
        early.insert(index, result);
        while let Some(result) = early.remove(&next) {
            take(next, result?)?;
            next += 1;
            dispatcher.taken(next);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    fn dawdle(index: usize) {
        std::thread::sleep(Duration::from_millis(if index.is_multiple_of(3) { 8 } else { 1 }));
    }

    fn never(_: usize, _: &String) -> bool {
        false
    }

    #[test]
    fn what_a_lost_worker_held_is_done_by_another() {
        for (workers, tiles) in [(2, 1), (2, 9), (3, 2), (5, 30)] {
            for fails_at in 0..tiles {
                let lost = std::sync::Mutex::new(BTreeSet::new());
                let mut seen = vec![];
                let work = |worker: usize, index: usize| {
                    dawdle(index);
                    // Whoever comes to this tile first breaks down there, and at whatever it would
                    // do later.
                    let mut lost = lost.lock().unwrap();
                    if lost.contains(&worker) || (index == fails_at && lost.is_empty()) {
                        lost.insert(worker);
                        return Err(format!("worker {worker}"));
                    }
                    Ok(index)
                };
                let done = in_order(
                    workers,
                    Queue::Shared(tiles),
                    work,
                    |_, _| true,
                    |index, found| {
                        assert_eq!(index, found);
                        seen.push(index);
                        Ok(())
                    },
                );
                assert_eq!(
                    (done, seen),
                    (Ok(()), (0..tiles).collect()),
                    "{workers} workers, {tiles} tiles, tile {fails_at}"
                );
                assert_eq!(lost.lock().unwrap().len(), 1);
            }
        }
    }

    #[test]
    fn results_come_in_order_whoever_is_late() {
        for workers in [1, 2, 5] {
            let mut seen = vec![];
            let work = |_, index: usize| {
                dawdle(index);
                Ok::<_, String>(index * index)
            };
            in_order(workers, Queue::Shared(12), work, never, |index, square| {
                assert_eq!(square, index * index);
                seen.push(index);
                if index < 9 { Ok(()) } else { Err("enough".to_string()) }
            })
            .unwrap_err();
            assert_eq!(seen, (0..10).collect::<Vec<_>>());
        }
    }

    #[test]
    fn own_work_goes_to_its_owner() {
        let queues =
            vec![VecDeque::from([0, 3, 4]), VecDeque::from([1]), VecDeque::from([2, 5, 6, 7])];
        let owners = [0, 1, 2, 0, 0, 2, 2, 2];
        let mut seen = vec![];
        let work = |worker, index: usize| {
            dawdle(index);
            Ok::<_, String>(worker)
        };
        in_order(3, Queue::PerWorker(queues), work, never, |index, worker| {
            assert_eq!(worker, owners[index]);
            seen.push(index);
            Ok(())
        })
        .unwrap();
        assert_eq!(seen, (0..8).collect::<Vec<_>>());
    }

    #[test]
    fn nobody_runs_far_ahead_of_the_slowest() {
        let (started, taken) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let work = |_, index: usize| {
            let ahead =
                started.fetch_add(1, Ordering::SeqCst).saturating_sub(taken.load(Ordering::SeqCst));
            if index == 0 {
                std::thread::sleep(Duration::from_millis(40));
            }
            Ok::<_, String>(ahead)
        };
        let mut most = 0;
        in_order(3, Queue::Shared(40), work, never, |_, ahead| {
            most = most.max(ahead);
            taken.fetch_add(1, Ordering::SeqCst);
            Ok(())
        })
        .unwrap();
        assert!(most <= AHEAD * 3, "{most} results in memory at once");
    }

    #[test]
    fn the_first_error_in_order_is_told() {
        let work = |_, index: usize| {
            dawdle(index);
            if index == 3 || index == 4 { Err(format!("tile {index}")) } else { Ok(()) }
        };
        assert_eq!(
            in_order(4, Queue::Shared(9), work, never, |_, ()| Ok(())),
            Err("tile 3".into())
        );
    }
}
