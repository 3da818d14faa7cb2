//! How much memory the process may use, and what limits it.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::format;

/// What a system that does not tell its memory is taken to have, bytes.
const ASSUMED: u64 = 8 << 30;
/// Address space that a thread takes, whatever it does: its stack, and the heap that glibc gives it.
#[cfg(target_os = "linux")]
const THREAD_SPACE: u64 = 66 << 20;
/// What of that counts as data: the stack.
#[cfg(target_os = "linux")]
const THREAD_DATA: u64 = 2 << 20;
/// Threads beside those that compute: they read, write and listen.
#[cfg(target_os = "linux")]
const OTHERS: u64 = 3;

/// What limits the memory of a process.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MemoryLimit {
    /// What the system has available.
    Available,
    /// The limit of a control group of this path, which holds the process.
    ControlGroup(String),
    /// The limit on the address space (`ulimit -v`).
    AddressSpace,
    /// The limit on data (`ulimit -d`).
    Data,
    /// Nothing is known, and 8 GiB are assumed.
    #[default]
    Unknown,
}

impl fmt::Display for MemoryLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MemoryLimit::Available => f.write_str("what is available"),
            MemoryLimit::ControlGroup(path) => {
                write!(f, "what the limit of the control group {path} leaves")
            }
            MemoryLimit::AddressSpace => {
                f.write_str("what the limit on the address space leaves (ulimit -v)")
            }
            MemoryLimit::Data => f.write_str("what the limit on data leaves (ulimit -d)"),
            MemoryLimit::Unknown => {
                f.write_str("8 GiB, since the system does not tell what it has")
            }
        }
    }
}

/// How much memory a run may use.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Memory {
    /// Bytes.
    pub bytes: u64,
    /// What leaves the least.
    pub limit: MemoryLimit,
    /// Bytes that `compute.memory-gib` asks for.
    pub asked: Option<u64>,
}

impl Memory {
    /// Asks the system. `gib` is `compute.memory-gib`; with 0 a run uses four fifths of what it may,
    /// so that other programs and what the plan does not count have their part. `threads` will
    /// compute.
    pub fn ask(gib: f64, threads: usize) -> Self {
        Self::within(gib, limits(threads))
    }

    /// The least of some limits, each with what it leaves.
    fn within(gib: f64, limits: Vec<(MemoryLimit, u64)>) -> Self {
        let least = limits.into_iter().min_by_key(|(_, bytes)| *bytes);
        let (limit, most) = least.unwrap_or((MemoryLimit::Unknown, ASSUMED));
        let asked = (gib > 0.0).then_some((gib * (1u64 << 30) as f64) as u64);
        let bytes = asked.map_or(most / 5 * 4, |asked| asked.min(most));
        Self { bytes, limit, asked }
    }
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { bytes, limit, asked } = self;
        write!(f, "{}, ", format::bytes(*bytes))?;
        match asked {
            Some(asked) if asked == bytes => f.write_str("by compute.memory-gib"),
            Some(_) => write!(f, "{limit}; compute.memory-gib asks for more"),
            None => write!(f, "four fifths of {limit}"),
        }
    }
}

/// The limits that the system tells, each with the bytes that it leaves.
#[cfg(target_os = "linux")]
fn limits(threads: usize) -> Vec<(MemoryLimit, u64)> {
    let mut limits = Vec::new();
    limits.extend(
        kibibytes("/proc/meminfo", "MemAvailable:").map(|bytes| (MemoryLimit::Available, bytes)),
    );
    let group = super::cgroup::least();
    limits.extend(group.map(|(path, bytes)| (MemoryLimit::ControlGroup(path), bytes)));
    use rustix::process::Resource;
    let threads = threads as u64 + OTHERS;
    for (resource, limit, used, thread) in [
        (Resource::As, MemoryLimit::AddressSpace, "VmSize:", THREAD_SPACE),
        (Resource::Data, MemoryLimit::Data, "VmData:", THREAD_DATA),
    ] {
        if let Some(most) = rustix::process::getrlimit(resource).current {
            let used = kibibytes("/proc/self/status", used).unwrap_or(0);
            limits.push((limit, most.saturating_sub(used + threads * thread)));
        }
    }
    limits
}

/// A line `NAME   NUMBER kB` of a file of the kernel, in bytes.
#[cfg(target_os = "linux")]
fn kibibytes(path: &str, name: &str) -> Option<u64> {
    let text = std::fs::read_to_string(path).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// The limits that the system tells, each with the bytes that it leaves.
#[cfg(not(target_os = "linux"))]
fn limits(_: usize) -> Vec<(MemoryLimit, u64)> {
    let available = || {
        let mut system = sysinfo::System::new().ok()?;
        system.refresh_memory_specifics(sysinfo::MemoryRefreshKind::nothing().with_ram());
        Some(system.available_memory()).filter(|bytes| *bytes > 0)
    };
    available().map(|bytes| (MemoryLimit::Available, bytes)).into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    #[test]
    fn the_least_limit_counts_and_is_named() {
        let group = MemoryLimit::ControlGroup("/batch/job_7".into());
        let limits = || {
            let group = (group.clone(), 5 * GIB);
            vec![(MemoryLimit::Available, 10 * GIB), group, (MemoryLimit::AddressSpace, 6 * GIB)]
        };
        let memory = Memory::within(0.0, limits());
        assert_eq!((memory.bytes, &memory.limit), (4 * GIB, &group));
        let words =
            "4.00 GiB, four fifths of what the limit of the control group /batch/job_7 leaves";
        assert_eq!(memory.to_string(), words);
        let asked = Memory::within(4.5, limits());
        assert_eq!(asked.to_string(), "4.50 GiB, by compute.memory-gib");
        let asked = Memory::within(8.0, limits());
        assert_eq!(asked.bytes, 5 * GIB, "what is not there cannot be asked for");
        assert!(asked.to_string().ends_with("leaves; compute.memory-gib asks for more"), "{asked}");
        let unknown = Memory::within(0.0, vec![]);
        assert_eq!((unknown.bytes, unknown.limit), (ASSUMED / 5 * 4, MemoryLimit::Unknown));
    }

    #[test]
    fn this_machine_tells_its_memory() {
        let memory = Memory::ask(0.0, 1);
        if cfg!(any(target_os = "linux", target_os = "macos", windows)) {
            assert_ne!(memory.limit, MemoryLimit::Unknown);
        }
        assert!(memory.bytes > 64 << 20 && memory.bytes < 1 << 50, "{memory}");
    }
}
