//! What computes: the weights, prepared networks, and the pool of threads.

use std::collections::HashMap;
use std::sync::Arc;

use super::error::RenderError;
use super::team::Team;
use crate::kernels::Isa;
use crate::network::cpu::Precision;
use crate::network::{CpuNetwork, Layer, Network, NetworkError, Pooling, Weights};

/// Prepared networks and the threads they run on, shared by all jobs of a run.
pub struct Engine {
    weights: Weights,
    isa: Isa,
    precision: Precision,
    pool: Arc<rayon::ThreadPool>,
    /// Tiles in flight at once.
    workers: usize,
    networks: HashMap<(Layer, Pooling), Arc<dyn Network>>,
}

impl Engine {
    /// An engine over `weights` that computes in `pool`.
    pub fn new(weights: Weights, isa: Isa, precision: Precision, pool: rayon::ThreadPool) -> Self {
        Self { weights, isa, precision, pool: Arc::new(pool), workers: 1, networks: HashMap::new() }
    }

    /// With several tiles in flight at once, by workers that share the pool and its network. What comes out is the same;
    /// memory is that of as many tiles.
    pub fn with_workers(self, workers: usize) -> Self {
        Self { workers: workers.max(1), ..self }
    }

    /// The weights.
    pub fn weights(&self) -> &Weights {
        &self.weights
    }

    /// What decides the last bits of a result: the weights by their SHA-256, the instruction set and the arithmetic.
    pub fn identity(&self) -> String {
        format!("weights {}; {}; {:?}", self.weights.sha256(), self.isa.name(), self.precision)
    }

    /// `count` engines over the same weights and the networks prepared so far, each with its part of the threads.
    ///
    /// # Errors
    /// When the system gives no threads.
    pub fn shares(&self, count: usize) -> Result<Vec<Engine>, RenderError> {
        let threads = (self.threads() / count.max(1)).max(1);
        let share = |_| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().map_err(|_| RenderError::NoThreads)?;
            let Self { weights, isa, precision, networks, .. } = self;
            Ok(Self { networks: networks.clone(), ..Self::new(weights.clone(), *isa, *precision, pool) })
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
        vec![format!("the CPU ({}, {} threads)", self.isa.name(), self.threads()); self.workers]
    }

    /// Runs `work` inside the pool.
    pub fn install<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R {
        self.pool.install(work)
    }

    /// The network up to `deepest`, prepared at its first use.
    ///
    /// # Errors
    /// When the device fails.
    pub fn network(&mut self, deepest: Layer, pooling: Pooling) -> Result<Arc<dyn Network>, RenderError> {
        if let Some(network) = self.networks.get(&(deepest, pooling)) {
            return Ok(Arc::clone(network));
        }
        let network: Arc<dyn Network> = self
            .pool
            .install(|| CpuNetwork::new(&self.weights, deepest, pooling, self.precision, self.isa))
            .map(Arc::new)
            .map_err(NetworkError::from)?;
        self.networks.insert((deepest, pooling), Arc::clone(&network));
        Ok(network)
    }

    /// The workers that compute with a network up to `deepest`; without one where only the variation counts.
    ///
    /// # Errors
    /// When the device fails.
    pub fn team(&mut self, deepest: Option<Layer>, pooling: Pooling) -> Result<Team<'static>, RenderError> {
        let Some(deepest) = deepest else { return Ok(Team::in_pool(Arc::clone(&self.pool))) };
        let network = self.network(deepest, pooling)?;
        Ok(Team::of((0..self.workers).map(|_| (Arc::clone(&network), Arc::clone(&self.pool))).collect()))
    }
}
