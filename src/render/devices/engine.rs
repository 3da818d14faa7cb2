//! What computes: the weights, prepared networks, and the pool of threads.

use std::collections::HashMap;
use std::sync::Arc;

use candle_core::Device;

use crate::network::gpu::{Gpu, allow_tf32};
use crate::network::{CpuNetwork, Isa, Layer, Network, Pooling, Precision, Weights};
use crate::render::devices::device_list::DeviceList;
use crate::render::devices::worker_pool::WorkerPool;
use crate::render::error::RenderError;

/// Prepared networks and the threads they run on, shared by all jobs of a run.
pub struct Engine {
    weights: Weights,
    isa: Isa,
    precision: Precision,
    pool: Arc<rayon::ThreadPool>,
    /// Tiles in flight at once.
    workers: usize,
    /// One for each worker, where GPUs compute; they may be the same.
    gpus: Vec<Gpu>,
    devices: Arc<DeviceList>,
    /// By GPU, if there are any.
    networks: HashMap<(Option<u32>, Layer, Pooling), Arc<dyn Network>>,
}

impl Engine {
    /// An engine over `weights` that computes in `pool`.
    pub fn new(weights: Weights, isa: Isa, precision: Precision, pool: rayon::ThreadPool) -> Self {
        let (gpus, networks) = (vec![], HashMap::new());
        let devices = Arc::new(DeviceList::new(vec!["the CPU".into()]));
        Self { weights, isa, precision, pool: Arc::new(pool), workers: 1, gpus, devices, networks }
    }

    /// With a worker for each of `gpus`; one named twice has two tiles in flight. The threads do what
    /// is left to them.
    pub fn on_gpus(self, gpus: Vec<Gpu>) -> Self {
        if gpus.is_empty() {
            return self;
        }
        allow_tf32(self.precision);
        let devices = Arc::new(DeviceList::new(gpus.iter().map(Gpu::to_string).collect()));
        Self { workers: gpus.len(), gpus, devices, networks: HashMap::new(), ..self }
    }

    /// With several tiles in flight at once, by workers that share the pool and its network. What
    /// comes out is the same; memory is that of as many tiles.
    pub fn with_workers(self, workers: usize) -> Self {
        let workers = workers.max(1);
        let devices = Arc::new(DeviceList::new(
            (1..=workers).map(|number| format!("worker {number} of the CPU")).collect(),
        ));
        Self { workers, devices, ..self }
    }

    /// The weights.
    pub fn weights(&self) -> &Weights {
        &self.weights
    }

    /// What decides the last bits of a result beside the weights: the instruction set or the GPU's
    /// kind, and the precision.
    pub fn arithmetic(&self) -> String {
        let device = self.gpus.first().map_or(self.isa.name(), |gpu| gpu.name.as_str());
        format!("{device}; {:?}", self.precision)
    }

    /// What decides the last bits of a result: the weights by their SHA-256, and the arithmetic.
    pub fn identity(&self) -> String {
        format!("weights {}; {}", self.weights.sha256(), self.arithmetic())
    }

    /// `count` engines over the same weights and the networks prepared so far, each with its part
    /// of the threads.
    ///
    /// # Errors
    /// When the system gives no threads.
    pub fn shares(&self, count: usize) -> Result<Vec<Engine>, RenderError> {
        let threads = (self.threads() / count.max(1)).max(1);
        let share = |_| {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .map_err(|_| RenderError::NoThreads)?;
            let Self { weights, isa, precision, networks, gpus, .. } = self;
            let share = Self::new(weights.clone(), *isa, *precision, pool).on_gpus(gpus.clone());
            Ok(Self { networks: networks.clone(), ..share })
        };
        (0..count).map(share).collect()
    }

    /// Threads in the pool.
    pub fn threads(&self) -> usize {
        self.pool.current_num_threads()
    }

    /// Tiles in flight at once.
    pub fn workers(&self) -> usize {
        self.workers
    }

    /// What computes, in words.
    pub fn devices(&self) -> Vec<String> {
        if self.gpus.is_empty() {
            return vec![
                format!("the CPU ({}, {} threads)", self.isa.name(), self.threads());
                self.workers
            ];
        }
        self.gpus
            .iter()
            .map(|gpu| format!("{}, {:?})", gpu.to_string().trim_end_matches(')'), self.precision))
            .collect()
    }

    /// Where a canvas that its only GPU can hold is kept.
    pub(crate) fn home(&self) -> Device {
        match self.gpus.as_slice() {
            [gpu] => gpu.device().clone(),
            _ => Device::Cpu,
        }
    }

    /// Runs `work` inside the pool.
    pub fn install<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R {
        self.pool.install(work)
    }

    /// The first worker's network up to `deepest`, prepared at its first use.
    ///
    /// # Errors
    /// When the device fails.
    pub fn network(
        &mut self,
        deepest: Layer,
        pooling: Pooling,
    ) -> Result<Arc<dyn Network>, RenderError> {
        // Somebody is always left.
        self.network_of(self.devices.present()[0], deepest, pooling)
    }

    fn network_of(
        &mut self,
        worker: usize,
        deepest: Layer,
        pooling: Pooling,
    ) -> Result<Arc<dyn Network>, RenderError> {
        let gpu = self.gpus.get(worker);
        let key = (gpu.map(|gpu| gpu.index), deepest, pooling);
        if let Some(network) = self.networks.get(&key) {
            return Ok(Arc::clone(network));
        }
        let network: Arc<dyn Network> = match gpu {
            Some(gpu) => Arc::new(gpu.network(&self.weights, deepest, pooling, self.precision)?),
            None => Arc::new(self.pool.install(|| {
                CpuNetwork::new(&self.weights, deepest, pooling, self.precision, self.isa)
            })?),
        };
        self.networks.insert(key, Arc::clone(&network));
        Ok(network)
    }

    /// The workers that compute with a network up to `deepest`; without one where only the
    /// variation counts.
    ///
    /// # Errors
    /// When the device fails.
    pub fn worker_pool(
        &mut self,
        deepest: Option<Layer>,
        pooling: Pooling,
    ) -> Result<WorkerPool<'static>, RenderError> {
        let Some(deepest) = deepest else { return Ok(WorkerPool::in_pool(Arc::clone(&self.pool))) };
        let present = self.devices.present();
        let mut members = Vec::with_capacity(self.workers);
        for worker in 0..self.workers {
            // Nothing is prepared on a device that is gone; its place is kept, and is given no
            // work.
            let able = if present.contains(&worker) { worker } else { present[0] };
            members.push((self.network_of(able, deepest, pooling)?, Arc::clone(&self.pool)));
        }
        Ok(WorkerPool::of(members).on_devices(Arc::clone(&self.devices)))
    }
}
