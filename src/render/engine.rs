//! What computes: the weights, prepared networks, and the pool of threads.

use std::collections::HashMap;
use std::sync::Arc;

use super::error::RenderError;
use crate::kernels::Isa;
use crate::network::cpu::Precision;
use crate::network::{CpuNetwork, Layer, Network, NetworkError, Pooling, Weights};

/// Prepared networks and the threads they run on, shared by all jobs of a run.
pub struct Engine {
    weights: Weights,
    isa: Isa,
    precision: Precision,
    pool: rayon::ThreadPool,
    networks: HashMap<(Layer, Pooling), Arc<dyn Network>>,
}

impl Engine {
    /// An engine over `weights` that computes in `pool`.
    pub fn new(weights: Weights, isa: Isa, precision: Precision, pool: rayon::ThreadPool) -> Self {
        Self { weights, isa, precision, pool, networks: HashMap::new() }
    }

    /// The weights.
    pub fn weights(&self) -> &Weights {
        &self.weights
    }

    /// What decides the last bits of a result: the weights by their SHA-256, the instruction set and the arithmetic.
    pub fn identity(&self) -> String {
        format!("weights {}; {}; {:?}", self.weights.sha256(), self.isa.name(), self.precision)
    }

    /// Threads in the pool.
    pub fn threads(&self) -> usize {
        self.pool.current_num_threads()
    }

    /// What computes, in words.
    pub fn devices(&self) -> Vec<String> {
        vec![format!("the CPU ({}, {} threads)", self.isa.name(), self.threads())]
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
}
