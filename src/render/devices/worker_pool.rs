//! Who computes the tiles of a level: one network for each device, and the threads that its work
//! runs in.

use std::sync::Arc;

use crate::event::{CancellationToken, Event, Watcher};
use crate::network::Network;
use crate::render::devices::device_list::{DeviceList, LostDevice};
use crate::render::devices::ordered::{Queue, in_order};
use crate::render::error::RenderError;

/// A network that a worker owns together with others, or borrows.
#[derive(Clone)]
enum NetworkRef<'a> {
    Shared(Arc<dyn Network>),
    Borrowed(&'a dyn Network),
}

impl NetworkRef<'_> {
    fn get(&self) -> &dyn Network {
        match self {
            NetworkRef::Shared(network) => network.as_ref(),
            NetworkRef::Borrowed(network) => *network,
        }
    }
}

/// One that takes tiles as it comes free.
#[derive(Clone)]
struct Worker<'a> {
    /// Missing when only the variation counts.
    network: Option<NetworkRef<'a>>,
    /// The threads of its work; without them, those of the caller.
    pool: Option<Arc<rayon::ThreadPool>>,
}

impl Worker<'_> {
    fn network(&self) -> Option<&dyn Network> {
        self.network.as_ref().map(NetworkRef::get)
    }

    fn install<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R {
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
    cancellation: CancellationToken,
}

impl<'a> WorkerPool<'a> {
    /// One worker that computes in its caller's threads; without a network only the variation
    /// counts.
    pub fn single(network: Option<&'a dyn Network>) -> Self {
        Self::with(vec![Worker { network: network.map(NetworkRef::Borrowed), pool: None }])
    }

    /// One worker without a network, for losses of the variation alone, whose work runs in `pool`.
    pub(crate) fn in_pool(pool: Arc<rayon::ThreadPool>) -> Self {
        Self::with(vec![Worker { network: None, pool: Some(pool) }])
    }

    /// A worker for each network, whose work runs in the pool beside it. Call such workers from a
    /// thread outside their pools: a thread of a pool that waits for the workers cannot be one of
    /// them.
    ///
    /// # Panics
    /// When there is no member.
    pub fn of(members: Vec<(Arc<dyn Network>, Arc<rayon::ThreadPool>)>) -> Self {
        assert!(!members.is_empty(), "a worker pool has at least one worker");
        let worker = |(network, pool)| Worker {
            network: Some(NetworkRef::Shared(network)),
            pool: Some(pool),
        };
        Self::with(members.into_iter().map(worker).collect())
    }

    fn with(workers: Vec<Worker<'a>>) -> Self {
        let names = (1..=workers.len()).map(|number| format!("worker {number}")).collect();
        let devices = Arc::new(DeviceList::new(names));
        Self { workers, devices, cancellation: CancellationToken::new() }
    }

    /// The same workers under the names, and without the lost ones, of a list of as many devices.
    pub(crate) fn on_devices(self, devices: Arc<DeviceList>) -> Self {
        Self { devices, ..self }
    }

    /// The same workers, which begin no tile any more once the token is raised: their work then ends
    /// with [`RenderError::Cancelled`].
    pub fn watching(self, cancellation: CancellationToken) -> Self {
        Self { cancellation, ..self }
    }

    /// Whether `worker` is lost with this error of its device, so that others must do its work.
    pub(crate) fn lose(&self, worker: usize, error: &RenderError) -> bool {
        self.devices.lose(worker, error)
    }

    /// The devices that failed since this was last asked. Their tiles were done by the others.
    pub fn take_lost(&self) -> Vec<LostDevice> {
        self.devices.take_lost()
    }

    /// How many tiles are in flight at once.
    pub fn count(&self) -> usize {
        self.workers.len()
    }

    /// Whether there is something to compute with.
    pub(crate) fn has_network(&self) -> bool {
        self.workers[0].network.is_some()
    }

    /// Gives the networks' working memory back to the system.
    pub(crate) fn release(&self) {
        self.workers.iter().filter_map(Worker::network).for_each(Network::release);
    }

    /// Runs `work` with the first worker's threads.
    pub(crate) fn install<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R {
        self.workers[0].install(work)
    }

    /// Runs `work(network, worker, index)` for every index of `queue` and gives the results to
    /// `take` in order: see [`in_order`]. A worker whose device fails is lost, and another does its
    /// tile again; nobody else can do what a worker's own queue holds, and the error is returned.
    ///
    /// # Errors
    /// The first of `work` or `take`, in order; [`RenderError::Cancelled`] once a stop is requested.
    pub(crate) fn each<'t, R: Send>(
        &'t self,
        queue: Queue,
        work: impl Fn(Option<&'t dyn Network>, usize, usize) -> Result<R, RenderError> + Sync,
        take: impl FnMut(usize, R) -> Result<(), RenderError>,
    ) -> Result<(), RenderError> {
        let run = |number: usize, index: usize| {
            if self.cancellation.is_cancelled() {
                return Err(RenderError::Cancelled);
            }
            let worker = &self.workers[number];
            worker.install(|| work(worker.network(), number, index))
        };
        match &queue {
            Queue::PerWorker(_) => in_order(self.workers.len(), queue, run, |_, _| false, take),
            Queue::Shared(_) => {
                let present = self.devices.present();
                let lost = |place: usize, error: &RenderError| self.lose(present[place], error);
                let run = |place: usize, index| run(present[place], index);
                in_order(present.len(), queue, run, lost, take)
            }
        }
    }
}

/// Reports the devices that the workers have lost.
pub(crate) fn report_lost(workers: &WorkerPool<'_>, watcher: &mut Watcher<'_>) {
    for LostDevice { device, reason, left } in workers.take_lost() {
        watcher.listener.on_event(&Event::DeviceLost { device, reason, left });
    }
}
