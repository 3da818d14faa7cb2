//! What this process may use of the machine: memory and processors.
//!
//! Each is asked once a run and handed down from there. Memory is the least of what the system has
//! available, what the limits of the process's control groups leave, and what the limits on its
//! address space and data leave. Elsewhere than on Linux `sysinfo` tells what is available.

#[cfg(target_os = "linux")]
mod cgroup;
mod memory;
mod processors;

pub use memory::{Memory, MemoryLimit};
pub use processors::{processors, threads};
