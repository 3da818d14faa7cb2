//! Who computes: the engine with its network on each device, and the workers that take tiles.

pub(crate) mod calibrate;
pub(crate) mod device_list;
pub(crate) mod engine;
pub(crate) mod ordered;
pub(crate) mod worker_pool;
