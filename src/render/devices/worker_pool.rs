//! Who computes the tiles of a level: one network for each device, and the threads that its work
//! runs in.

use std::sync::Arc;

use crate::event::Event;
use crate::event::Watcher;
use crate::network::Network;
use crate::render::devices::device_list::{DeviceList, Fault, Lost};
use crate::render::devices::ordered::{Queue, in_order};

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
pub struct WorkerPool<'a> {
    workers: Vec<Worker<'a>>,
    devices: Arc<DeviceList>,
}

impl<'a> WorkerPool<'a> {
    /// One worker that computes wherever its caller is; without a network only the variation
    /// counts.
    pub fn alone(network: Option<&'a dyn Network>) -> Self {
        Self::with(vec![Worker { network: network.map(Held::Borrowed), pool: None }])
    }

    /// One worker without a network, for losses of the variation alone, whose work runs in `pool`.
    pub fn in_pool(pool: Arc<rayon::ThreadPool>) -> Self {
        Self::with(vec![Worker { network: None, pool: Some(pool) }])
    }

    /// A worker for each network, whose work runs in the pool beside it. Call such a workers from a
    /// thread outside its pools: a thread of a pool that waits for the workers cannot be one of
    /// them.
    ///
    /// # Panics
    /// When there is nobody.
    pub fn of(members: Vec<(Arc<dyn Network>, Arc<rayon::ThreadPool>)>) -> Self {
        assert!(!members.is_empty(), "a workers of at least one worker");
        let worker =
            |(network, pool)| Worker { network: Some(Held::Shared(network)), pool: Some(pool) };
        Self::with(members.into_iter().map(worker).collect())
    }

    fn with(workers: Vec<Worker<'a>>) -> Self {
        let names = (1..=workers.len()).map(|number| format!("worker {number}")).collect();
        Self { workers, devices: Arc::new(DeviceList::new(names)) }
    }

    /// The same workers under the names, and without those gone, of a devices of as many.
    pub(crate) fn on_roster(self, devices: Arc<DeviceList>) -> Self {
        Self { devices, ..self }
    }

    /// Whether `worker` goes away with this error of its device, so that others must do its work.
    pub(crate) fn lose(&self, worker: usize, error: &impl Fault) -> bool {
        self.devices.lose(worker, error)
    }

    /// The workers whose devices failed since this was last asked. Their tiles were done by the
    /// others.
    pub fn lost(&self) -> Vec<Lost> {
        self.devices.news()
    }

    /// The same workers with nothing to compute, for losses that never look at a network.
    pub(crate) fn without_networks(mut self) -> Self {
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
    pub(crate) fn has_network(&self) -> bool {
        self.workers[0].network.is_some()
    }

    /// Gives the networks' working memory back to the system.
    pub(crate) fn release(&self) {
        self.workers
            .iter()
            .filter_map(|worker| worker.network.as_ref())
            .for_each(|network| network.get().release());
    }

    /// Runs `work` with the first worker's threads.
    pub(crate) fn install<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R {
        self.workers[0].run(|_| work())
    }

    /// Runs `work(network, worker, index)` for every index of `queue` and gives the results to
    /// `take` in order: see [`in_order`]. A worker whose device fails goes away, and another does
    /// its tile again; in a queue of its own there is nobody else, and the error is told.
    ///
    /// # Errors
    /// The first of `work` or `take`, in order.
    pub(crate) fn each<'t, R: Send, E: Send + Fault>(
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
        match &queue {
            Queue::Own(_) => in_order(self.workers.len(), queue, run, |_, _| false, take),
            Queue::Shared(_) => {
                let present = self.devices.present();
                let lost = |place: usize, error: &E| self.lose(present[place], error);
                in_order(
                    present.len(),
                    queue,
                    |place, index| run(present[place], index),
                    lost,
                    take,
                )
            }
        }
    }
}

/// Tells of the devices that a workers has lost.
pub(crate) fn tell_lost(workers: &WorkerPool<'_>, watcher: &mut Watcher<'_>) {
    for Lost { device, reason, left } in workers.lost() {
        watcher.listener.on_event(&Event::DeviceLost { device, reason, left });
    }
}
