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
    Own(Vec<VecDeque<usize>>),
}

impl Queue {
    fn len(&self) -> usize {
        match self {
            Queue::Shared(count) => *count,
            Queue::Own(queues) => queues.iter().map(VecDeque::len).sum(),
        }
    }
}

/// What the workers share: who has what still to do, and how far the taking has come.
struct Desk {
    state: Mutex<State>,
    moved: Condvar,
    ahead: usize,
}

struct State {
    queue: Queue,
    next: usize,
    /// What workers who went away had in their hands.
    returned: BTreeSet<usize>,
    /// How many are in somebody's hands.
    held: usize,
    wanted: usize,
    over: bool,
}

impl Desk {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// The next index for a worker, once it is not too far ahead of what was taken.
    fn claim(&self, worker: usize) -> Option<usize> {
        let mut state = self.state();
        loop {
            if state.over {
                return None;
            }
            let (index, shared) = match &state.queue {
                Queue::Shared(count) => (
                    state.returned.first().copied().or((state.next < *count).then_some(state.next)),
                    true,
                ),
                Queue::Own(queues) => (queues[worker].front().copied(), false),
            };
            match index {
                // Whoever still holds one may go away and leave it.
                None if shared && state.held > 0 => {}
                None => return None,
                Some(index) if index < state.wanted + self.ahead => {
                    if !state.returned.remove(&index) {
                        match &mut state.queue {
                            Queue::Shared(_) => state.next += 1,
                            Queue::Own(queues) => drop(queues[worker].pop_front()),
                        }
                    }
                    state.held += 1;
                    return Some(index);
                }
                Some(_) => {}
            }
            state = self.moved.wait(state).unwrap_or_else(|poisoned| poisoned.into_inner());
        }
    }

    /// A worker is done with what it held.
    fn put_down(&self) {
        self.state().held -= 1;
        self.moved.notify_all();
    }

    /// A worker goes away, and what it held is for another.
    fn give_back(&self, index: usize) {
        let mut state = self.state();
        state.returned.insert(index);
        state.held -= 1;
        self.moved.notify_all();
    }

    fn taken(&self, wanted: usize) {
        self.state().wanted = wanted;
        self.moved.notify_all();
    }

    fn close(&self) {
        self.state().over = true;
        self.moved.notify_all();
    }
}

/// Closes the desk when a worker or the taker panics, so that nobody waits for what will never
/// come.
struct Closing<'a>(&'a Desk);

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.close();
        }
    }
}

/// Runs `work(worker, index)` for every index of `queue` on `workers` threads and gives every
/// result to `take`, in order, on the caller's thread. `take` returns whether to go on. Results
/// that come early wait, so what `take` sees does not depend on who was fast; a worker that would
/// get too far ahead waits as well.
///
/// When `work` fails and `lost(worker, error)` says that the worker goes with it, another does that
/// index again; of one worker by itself, or of a queue of its own, nobody else can.
///
/// # Errors
/// The first of `work` or `take`, in order.
pub(crate) fn in_order<R: Send, E: Send>(
    workers: usize,
    queue: Queue,
    work: impl Fn(usize, usize) -> Result<R, E> + Sync,
    lost: impl Fn(usize, &E) -> bool + Sync,
    mut take: impl FnMut(usize, R) -> Result<bool, E>,
) -> Result<(), E> {
    let count = queue.len();
    if workers <= 1 {
        for index in 0..count {
            if !take(index, work(0, index)?)? {
                break;
            }
        }
        return Ok(());
    }
    let shared = matches!(queue, Queue::Shared(_));
    let state =
        State { queue, next: 0, returned: BTreeSet::new(), held: 0, wanted: 0, over: false };
    let desk = Desk { state: Mutex::new(state), moved: Condvar::new(), ahead: AHEAD * workers };
    let (sender, results) = mpsc::channel();
    std::thread::scope(|scope| {
        let _closing = Closing(&desk);
        for worker in 0..workers {
            let (sender, work, lost, desk) = (sender.clone(), &work, &lost, &desk);
            scope.spawn(move || {
                let _closing = Closing(desk);
                while let Some(index) = desk.claim(worker) {
                    let result = work(worker, index);
                    if shared && result.as_ref().is_err_and(|error| lost(worker, error)) {
                        desk.give_back(index);
                        break;
                    }
                    let heard = sender.send((index, result)).is_ok();
                    desk.put_down();
                    if !heard {
                        break;
                    }
                }
            });
        }
        drop(sender);
        let delivered = deliver(&results, &desk, &mut take);
        desk.close();
        delivered
    })
}

fn deliver<R, E>(
    results: &mpsc::Receiver<(usize, Result<R, E>)>,
    desk: &Desk,
    take: &mut impl FnMut(usize, R) -> Result<bool, E>,
) -> Result<(), E> {
    let mut early = BTreeMap::new();
    let mut wanted = 0;
    for (index, result) in results {
        early.insert(index, result);
        while let Some(result) = early.remove(&wanted) {
            if !take(wanted, result?)? {
                return Ok(());
            }
            wanted += 1;
            desk.taken(wanted);
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
                        Ok(true)
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
                Ok(index < 9)
            })
            .unwrap();
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
        in_order(3, Queue::Own(queues), work, never, |index, worker| {
            assert_eq!(worker, owners[index]);
            seen.push(index);
            Ok(true)
        })
        .unwrap();
        assert_eq!(seen, (0..8).collect::<Vec<_>>());
    }

    #[test]
    fn nobody_runs_far_ahead_of_the_slowest() {
        let (begun, taken) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let work = |_, index: usize| {
            let ahead =
                begun.fetch_add(1, Ordering::SeqCst).saturating_sub(taken.load(Ordering::SeqCst));
            if index == 0 {
                std::thread::sleep(Duration::from_millis(40));
            }
            Ok::<_, String>(ahead)
        };
        let mut most = 0;
        in_order(3, Queue::Shared(40), work, never, |_, ahead| {
            most = most.max(ahead);
            taken.fetch_add(1, Ordering::SeqCst);
            Ok(true)
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
            in_order(4, Queue::Shared(9), work, never, |_, ()| Ok(true)),
            Err("tile 3".into())
        );
    }
}
