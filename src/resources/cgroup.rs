//! What the control groups of this process leave of their memory: version 1 and 2, its own group
//! and those around it.
//!
//! The file cache counts as free, since the kernel takes it back first. `sysinfo` reads the same
//! files (0.40), but neither `memory.high` nor the cache, and does not say which group it was.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// A limit that is no limit: version 1 writes the largest number of pages.
const UNLIMITED: u64 = 1 << 60;

/// The group that leaves the least, and the bytes that it leaves.
pub(super) fn least() -> Option<(String, u64)> {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    least_of(&read("/proc/self/cgroup"), &read("/proc/self/mountinfo"), Path::new("/"))
}

/// [`least`] by the kernel's two lists, with the groups' files below `root`.
fn least_of(groups: &str, mounts: &str, root: &Path) -> Option<(String, u64)> {
    let hierarchies = groups.lines().filter_map(Hierarchy::parse);
    let limits = hierarchies.filter_map(|hierarchy| hierarchy.least(mounts, root));
    limits.min_by_key(|(_, bytes)| *bytes)
}

/// One tree of groups that counts memory, and the process's place in it.
struct Hierarchy {
    files: &'static Files,
    group: PathBuf,
}

/// Names of a version's files.
struct Files {
    file_system: &'static str,
    limits: &'static [&'static str],
    used: &'static str,
    /// Entries of `memory.stat` that the kernel takes back first.
    cache: [&'static str; 2],
    /// The entry of `memory.stat` that has the least limit of all groups around.
    around: Option<&'static str>,
}

const VERSION_1: Files = Files {
    file_system: "cgroup",
    limits: &["memory.limit_in_bytes"],
    used: "memory.usage_in_bytes",
    cache: ["total_inactive_file", "total_active_file"],
    around: Some("hierarchical_memory_limit"),
};

const VERSION_2: Files = Files {
    file_system: "cgroup2",
    limits: &["memory.max", "memory.high"],
    used: "memory.current",
    cache: ["inactive_file", "active_file"],
    around: None,
};

impl Hierarchy {
    /// Reads a line of `/proc/self/cgroup`: `0::/path` of version 2, `4:cpu,memory:/path` of 1.
    fn parse(line: &str) -> Option<Self> {
        let mut parts = line.splitn(3, ':');
        let (number, controllers, group) = (parts.next()?, parts.next()?, parts.next()?);
        let files = match (number, controllers) {
            ("0", "") => &VERSION_2,
            _ if controllers.split(',').any(|name| name == "memory") => &VERSION_1,
            _ => return None,
        };
        Some(Self { files, group: group.into() })
    }

    /// The group on the way from the process's own to the top that leaves the least.
    fn least(&self, mounts: &str, root: &Path) -> Option<(String, u64)> {
        let (top, mount) = mounts.lines().find_map(|line| self.mount(line))?;
        // From inside a container the process's group may be named as seen from outside; its files
        // are at the top then.
        let below = self.group.strip_prefix(&top).unwrap_or(Path::new(""));
        let plain = below.components().all(|part| matches!(part, std::path::Component::Normal(_)));
        let below = if plain { below } else { Path::new("") };
        let groups = below.ancestors().filter_map(|group| {
            let folder = root.join(mount.strip_prefix("/").unwrap_or(&mount)).join(group);
            let name = Path::new("/").join(group).to_string_lossy().into_owned();
            Some((name, self.left(&folder)?))
        });
        groups.min_by_key(|(_, bytes)| *bytes)
    }

    /// Which group a line of `/proc/self/mountinfo` shows and where, if it is of this hierarchy.
    fn mount(&self, line: &str) -> Option<(PathBuf, PathBuf)> {
        let (place, kind) = line.split_once(" - ")?;
        let mut kind = kind.split(' ');
        let (file_system, options) = (kind.next()?, kind.nth(1)?);
        // Version 1 has a tree for each controller.
        let counts_memory =
            file_system == "cgroup2" || options.split(',').any(|name| name == "memory");
        let ours = file_system == self.files.file_system && counts_memory;
        let mut fields = place.split(' ').skip(3);
        let (group, mount) = (fields.next()?, fields.next()?);
        ours.then(|| (unescaped(group), unescaped(mount)))
    }

    /// The bytes that a group leaves; nothing when it has no limit.
    fn left(&self, folder: &Path) -> Option<u64> {
        let Files { limits, used, cache, around, .. } = self.files;
        let stat = std::fs::read_to_string(folder.join("memory.stat")).unwrap_or_default();
        let entry = |name: &str| {
            let mut lines = stat.lines().filter_map(|line| line.split_once(' '));
            lines.find(|(key, _)| *key == name).and_then(|(_, value)| value.trim().parse().ok())
        };
        let number = |name: &str| -> Option<u64> {
            std::fs::read_to_string(folder.join(name)).ok()?.trim().parse().ok()
        };
        let limits = limits.iter().filter_map(|name| number(name));
        let limit =
            limits.chain(around.and_then(entry)).filter(|limit| *limit < UNLIMITED).min()?;
        let cache: u64 = cache.iter().filter_map(|name| entry(name)).sum();
        Some(limit.saturating_sub(number(used).unwrap_or(0).saturating_sub(cache)))
    }
}

/// A path of `mountinfo`, where blanks and backslashes are written as `\040`.
fn unescaped(text: &str) -> PathBuf {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        let octal = after.get(..3).and_then(|digits| std::str::from_utf8(digits).ok());
        let octal = octal.and_then(|digits| u8::from_str_radix(digits, 8).ok());
        match octal.filter(|_| *byte == b'\\') {
            Some(decoded) => {
                bytes.push(decoded);
                rest = &after[3..];
            }
            None => {
                bytes.push(*byte);
                rest = after;
            }
        }
    }
    OsString::from_vec(bytes).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    /// A tree of the kernel's files.
    struct Tree(tempfile::TempDir);

    impl Tree {
        fn new(files: &[(&str, &str)]) -> Self {
            let tree = Self(tempfile::tempdir().unwrap());
            for (path, text) in files {
                let path = tree.0.path().join(path);
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(path, text).unwrap();
            }
            tree
        }

        fn least(&self, groups: &str, mounts: &str) -> Option<(String, u64)> {
            least_of(groups, mounts, self.0.path())
        }
    }

    fn mib(count: u64) -> String {
        format!("{}\n", count * MIB)
    }

    #[test]
    fn version_2_counts_all_groups_around_and_both_limits() {
        let top = "sys/fs/cgroup";
        let file = |group: &str, name: &str| format!("{top}/{group}/{name}");
        let tree = |own_max: &str, own_high: &str, job_max: &str| {
            Tree::new(&[
                (&file("slurm/job_7/step", "memory.max"), own_max),
                (&file("slurm/job_7/step", "memory.high"), own_high),
                (&file("slurm/job_7/step", "memory.current"), &mib(100)),
                (&file("slurm/job_7/step", "memory.stat"), "anon 1\nfile 9\n"),
                (&file("slurm/job_7", "memory.max"), job_max),
                (&file("slurm/job_7", "memory.current"), &mib(700)),
                (
                    &file("slurm/job_7", "memory.stat"),
                    &format!("inactive_file {}active_file {}", mib(200), mib(100)),
                ),
                (&file("slurm", "memory.max"), "max\n"),
            ])
        };
        let (groups, mounts) = (
            "0::/slurm/job_7/step\n",
            "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw\n",
        );
        let least = |max: &str, high: &str, job: &str| tree(max, high, job).least(groups, mounts);
        assert_eq!(least("max\n", "max\n", "max\n"), None);
        let own = "/slurm/job_7/step".to_string();
        assert_eq!(least(&mib(1000), "max\n", "max\n"), Some((own.clone(), 900 * MIB)));
        assert_eq!(least(&mib(1000), &mib(600), "max\n"), Some((own, 500 * MIB)));
        // 700 used, of which 300 are cache.
        let job = "/slurm/job_7".to_string();
        assert_eq!(least(&mib(1000), "max\n", &mib(800)), Some((job.clone(), 400 * MIB)));
        assert_eq!(least("max\n", "max\n", &mib(300)), Some((job, 0)), "beyond its limit already");
    }

    #[test]
    fn version_1_is_found_by_its_controller_and_may_be_one_of_several() {
        let mount = "sys/fs/cgroup/memory with blank";
        let file = |group: &str, name: &str| format!("{mount}/{group}/{name}");
        let tree = Tree::new(&[
            (&file("docker/abc", "memory.limit_in_bytes"), &mib(2048)),
            (&file("docker/abc", "memory.usage_in_bytes"), &mib(500)),
            (
                &file("docker/abc", "memory.stat"),
                &format!("total_inactive_file {}hierarchical_memory_limit {}", mib(100), mib(1500)),
            ),
            (&file("docker", "memory.limit_in_bytes"), "9223372036854771712\n"),
            (&file("", "memory.limit_in_bytes"), "9223372036854771712\n"),
        ]);
        let groups = "5:cpu,cpuacct:/docker/abc\n4:memory:/docker/abc\n0::/docker/abc\n";
        let mounts = "31 23 0:27 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu,cpuacct\n\
             33 23 0:29 / /sys/fs/cgroup/memory\\040with\\040blank rw shared:9 - cgroup cgroup rw,memory\n";
        assert_eq!(tree.least(groups, mounts), Some(("/docker/abc".into(), 1100 * MIB)));
    }

    #[test]
    fn inside_a_container_the_own_group_is_the_top() {
        let tree = Tree::new(&[
            ("sys/fs/cgroup/memory.max", &mib(512)),
            ("sys/fs/cgroup/memory.current", &mib(12)),
        ]);
        let line = |group: &str| {
            format!("30 23 0:26 {group} /sys/fs/cgroup ro - cgroup2 cgroup rw,nsdelegate\n")
        };
        let found = Some(("/".to_string(), 500 * MIB));
        assert_eq!(tree.least("0::/\n", &line("/")), found, "a namespace of its own");
        assert_eq!(tree.least("0::/kube/pod_1\n", &line("/kube/pod_1")), found);
        assert_eq!(tree.least("0::/../../pod_1\n", &line("/")), found, "seen from outside");
        assert_eq!(tree.least("0::/kube/pod_1\n", &line("/other")), found);
        assert_eq!(tree.least("0::/\n", ""), None, "no such file system");
        assert_eq!(tree.least("", &line("/")), None);
        assert_eq!(tree.least("nonsense\n::\n", "nonsense - cgroup2\n"), None);
    }
}
