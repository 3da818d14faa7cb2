//! Tiles handed out to workers as they come free, results taken in the order of tiles.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;

use super::error::RenderError;

/// Runs `work` for 0..`count` on `workers` threads and gives every result to `take`, in order, on the caller's thread.
/// `take` returns whether to go on. Results that come early wait, so what `take` sees does not depend on who was fast.
///
/// # Errors
/// The first of `work` or `take`, in order.
pub(super) fn in_order<R: Send>(
    workers: usize,
    count: usize,
    work: impl Fn(usize) -> Result<R, RenderError> + Sync,
    mut take: impl FnMut(usize, R) -> Result<bool, RenderError>,
) -> Result<(), RenderError> {
    if workers <= 1 {
        for index in 0..count {
            if !take(index, work(index)?)? {
                break;
            }
        }
        return Ok(());
    }
    let (next, over) = (AtomicUsize::new(0), AtomicBool::new(false));
    let (sender, results) = mpsc::channel();
    std::thread::scope(|scope| {
        for _ in 0..workers.min(count) {
            let (sender, work, next, over) = (sender.clone(), &work, &next, &over);
            scope.spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    if index >= count || sender.send((index, work(index))).is_err() {
                        break;
                    }
                }
            });
        }
        drop(sender);
        let mut early = BTreeMap::new();
        let mut wanted = 0;
        let mut deliver = || -> Result<(), RenderError> {
            for (index, result) in &results {
                early.insert(index, result);
                while let Some(result) = early.remove(&wanted) {
                    if !take(wanted, result?)? {
                        return Ok(());
                    }
                    wanted += 1;
                }
            }
            Ok(())
        };
        let delivered = deliver();
        over.store(true, Ordering::Relaxed);
        delivered
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn results_come_in_order_whoever_is_late() {
        for workers in [1, 2, 5] {
            let mut seen = vec![];
            let work = |index: usize| {
                std::thread::sleep(Duration::from_millis(if index.is_multiple_of(3) { 8 } else { 1 }));
                Ok(index * index)
            };
            in_order(workers, 12, work, |index, square| {
                assert_eq!(square, index * index);
                seen.push(index);
                Ok(index < 9)
            })
            .unwrap();
            assert_eq!(seen, (0..10).collect::<Vec<_>>());
        }
    }
}
