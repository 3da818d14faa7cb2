//! The memory that a plan may count on.

/// What a plan is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Machine {
    /// Bytes of this machine's own memory that may be used.
    pub memory_bytes: u64,
    /// The GPUs that compute; without, the CPU does.
    pub gpus: Option<Gpus>,
    /// Tiles that the CPU computes at once.
    pub workers: usize,
    /// Threads that compute: each has working memory.
    pub threads: usize,
}

/// GPUs that compute a run's tiles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gpus {
    /// Workers: one for each GPU named.
    pub count: usize,
    /// Bytes of its GPU's memory that each worker may use, the least of them.
    pub memory_bytes: u64,
    /// Bytes of a feature: 4, or 2 in bfloat16.
    pub value_bytes: u64,
}

impl From<u64> for Machine {
    /// The CPU with this much memory, bytes, which computes one tile at a time with eight threads.
    fn from(memory_bytes: u64) -> Self {
        Self { memory_bytes, gpus: None, workers: 1, threads: 8 }
    }
}
