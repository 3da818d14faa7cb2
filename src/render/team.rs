//! Who computes the tiles of a level: one network for each device, and the threads that its work runs in.

use std::sync::Arc;

use super::workers::{Queue, in_order};
use crate::network::Network;

/// A network that a worker owns together with others, or borrows.
#[derive(Clone)]
enum Held<'a> {
    Shared(Arc<dyn Network>),
    Borrowed(&'a dyn Network),
}

impl Held<'_> {
    fn get(&self) -> &dyn Network {
        match self {
            Held::Shared(network) => network.as_ref(),
            Held::Borrowed(network) => *network,
        }
    }
}

/// One that takes tiles as it comes free.
#[derive(Clone)]
struct Worker<'a> {
    /// Missing when only the variation counts.
    network: Option<Held<'a>>,
    /// Where the work's own threads are; without it, wherever the caller is.
    pool: Option<Arc<rayon::ThreadPool>>,
}

impl Worker<'_> {
    fn run<R: Send>(&self, work: impl FnOnce(Option<&dyn Network>) -> R + Send) -> R {
        let work = || work(self.network.as_ref().map(Held::get));
        match &self.pool {
            Some(pool) => pool.install(work),
            None => work(),
        }
    }
}

/// The workers of a level. What they compute does not depend on how many there are.
#[derive(Clone)]
pub struct Team<'a> {
    workers: Vec<Worker<'a>>,
}

impl<'a> Team<'a> {
    /// One worker that computes wherever its caller is; without a network only the variation counts.
    pub fn alone(network: Option<&'a dyn Network>) -> Self {
        Self { workers: vec![Worker { network: network.map(Held::Borrowed), pool: None }] }
    }

    /// One worker without a network, for losses of the variation alone, whose work runs in `pool`.
    pub fn in_pool(pool: Arc<rayon::ThreadPool>) -> Self {
        Self { workers: vec![Worker { network: None, pool: Some(pool) }] }
    }

    /// A worker for each network, whose work runs in the pool beside it. Call such a team from a thread outside its
    /// pools: a thread of a pool that waits for the workers cannot be one of them.
    ///
    /// # Panics
    /// When there is nobody.
    pub fn of(members: Vec<(Arc<dyn Network>, Arc<rayon::ThreadPool>)>) -> Self {
        assert!(!members.is_empty(), "a team of at least one worker");
        let worker = |(network, pool)| Worker { network: Some(Held::Shared(network)), pool: Some(pool) };
        Self { workers: members.into_iter().map(worker).collect() }
    }

    /// The same workers with nothing to compute, for losses that never look at a network.
    pub(super) fn without_networks(mut self) -> Self {
        self.workers.iter_mut().for_each(|worker| worker.network = None);
        self
    }

    /// How many tiles are in flight at once.
    pub fn len(&self) -> usize {
        self.workers.len()
    }

    /// Whether there is nobody: never.
    pub fn is_empty(&self) -> bool {
        self.workers.is_empty()
    }

    /// Whether there is something to compute with.
    pub(super) fn has_network(&self) -> bool {
        self.workers[0].network.is_some()
    }

    /// Gives the networks' working memory back to the system.
    pub(super) fn release(&self) {
        self.workers.iter().filter_map(|worker| worker.network.as_ref()).for_each(|network| network.get().release());
    }

    /// Runs `work` with the first worker's threads.
    pub(super) fn install<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R {
        self.workers[0].run(|_| work())
    }

    /// Runs `work(network, worker, index)` for every index of `queue` and gives the results to `take` in order: see
    /// [`in_order`].
    ///
    /// # Errors
    /// The first of `work` or `take`, in order.
    pub(super) fn each<'t, R: Send, E: Send>(
        &'t self,
        queue: Queue,
        work: impl Fn(Option<&'t dyn Network>, usize, usize) -> Result<R, E> + Sync,
        take: impl FnMut(usize, R) -> Result<bool, E>,
    ) -> Result<(), E> {
        let run = |worker: usize, index: usize| {
            let Worker { network, pool } = &self.workers[worker];
            let network = network.as_ref().map(Held::get);
            let work = || work(network, worker, index);
            match pool {
                Some(pool) => pool.install(work),
                None => work(),
            }
        };
        in_order(self.workers.len(), queue, run, take)
    }
}
