//! In: bytes that are needed. Out: the limit or the machine that has less.
//! Never: allocates them.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use bytesize::ByteSize;
use rustix::process::{Resource, getrlimit};

/// Of the program with one source: 27 MiB were measured (`tests/reload/limits.rs`, a debug build).
const BASE_BYTES: u64 = 32 << 20;

/// Of each source with its session, its topic and the table of a round: there, 144 KiB with tables of 40 rows, 280 KiB with 600.
const PER_SOURCE_BYTES: u64 = 512 << 10;

/// Reserved and mostly never used: stacks of threads, arenas of the allocator; 1.0 GiB were measured. Counts for `RLIMIT_AS` only.
const ADDRESS_SPACE_BYTES: u64 = 1 << 30;

/// What there is too little of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::app) struct Scarce {
    needed_bytes: u64,
    has_bytes: u64,
    what: What,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum What {
    /// A file of the process's control group.
    ControlGroup(PathBuf),
    AddressSpace,
    Machine,
}

impl fmt::Display for Scarce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (needed, has) = (ByteSize(self.needed_bytes), ByteSize(self.has_bytes));
        write!(f, "the sources may need {needed} of memory, and ")?;
        match &self.what {
            What::ControlGroup(file) => write!(f, "{} allows {has}", file.display()),
            What::AddressSpace => write!(f, "the limit of the address space (RLIMIT_AS) is {has}"),
            What::Machine => write!(f, "{has} are available on this machine"),
        }
    }
}

impl Scarce {
    /// What mends it.
    pub(in crate::app) fn mend(&self) -> String {
        let mib = self.needed_bytes.div_ceil(1 << 20);
        match self.what {
            What::ControlGroup(_) => {
                format!("set MemoryMax={mib}M or more in the systemd unit, or give the container as much")
            }
            What::AddressSpace => {
                "remove LimitAS= from the systemd unit, or run `ulimit -v unlimited` before the start"
                    .to_owned()
            }
            What::Machine => "use groups: entries, which need one session for many topics, or a machine with more memory".to_owned(),
        }
    }
}

/// Memory that so many sources may need.
pub(super) fn need_bytes(sources: u64) -> u64 {
    BASE_BYTES + sources * PER_SOURCE_BYTES
}

/// The first limit that is too small, the one that kills before the one that slows down.
pub(super) fn scarce(needed_bytes: u64) -> Option<Scarce> {
    let cgroup = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let meminfo = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let limits = control_group(Path::new("/sys/fs/cgroup"), &cgroup)
        .into_iter()
        .chain(address_space())
        .chain(available(&meminfo));
    let scarce = limits.map(|(what, has_bytes)| Scarce {
        needed_bytes: match what {
            What::AddressSpace => needed_bytes + ADDRESS_SPACE_BYTES,
            What::ControlGroup(_) | What::Machine => needed_bytes,
        },
        has_bytes,
        what,
    });
    let mut scarce = scarce.filter(|it| it.has_bytes < it.needed_bytes);
    scarce.next()
}

/// The least `memory.max` from our own control group (version 2) up to the root; `None`: none is set, or there is no version 2.
fn control_group(root: &Path, own: &str) -> Option<(What, u64)> {
    let path = own.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let folder = root.join(path);
    let up = folder.ancestors().take_while(|it| it.starts_with(root));
    let limits = up.filter_map(|folder| {
        let file = folder.join("memory.max");
        let text = fs::read_to_string(&file).ok()?;
        // `max` is no limit.
        let bytes = text.trim().parse().ok()?;
        Some((What::ControlGroup(file), bytes))
    });
    limits.min_by_key(|(_, bytes)| *bytes)
}

fn address_space() -> Option<(What, u64)> {
    let soft = getrlimit(Resource::As).current?;
    Some((What::AddressSpace, soft))
}

/// `MemAvailable` of `/proc/meminfo`, which is in KiB.
fn available(meminfo: &str) -> Option<(What, u64)> {
    let line = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some((What::Machine, kib.saturating_mul(1024)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_limit_from_the_own_control_group_to_the_root_counts() {
        let root = tempfile::tempdir().unwrap();
        let own = root.path().join("system.slice/mirrorlag.service");
        fs::create_dir_all(&own).unwrap();
        let text = "1:memory:/elsewhere\n0::/system.slice/mirrorlag.service\n";
        assert_eq!(control_group(root.path(), text), None);
        fs::write(own.join("memory.max"), "max\n").unwrap();
        assert_eq!(control_group(root.path(), text), None);
        fs::write(own.join("memory.max"), "536870912\n").unwrap();
        let slice = root.path().join("system.slice/memory.max");
        fs::write(&slice, "268435456\n").unwrap();
        let found = control_group(root.path(), text);
        assert_eq!(found, Some((What::ControlGroup(slice), 268_435_456)));
    }

    #[test]
    fn a_machine_without_control_groups_of_version_2_has_no_such_limit() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("memory.max"), "1\n").unwrap();
        assert_eq!(control_group(root.path(), "4:memory:/a\n"), None);
    }

    #[test]
    fn available_memory_is_read_from_meminfo() {
        let text = "MemTotal:  100 kB\nMemAvailable:    2048 kB\n";
        assert_eq!(available(text), Some((What::Machine, 2 << 20)));
    }

    #[test]
    fn what_is_scarce_is_said_with_both_numbers_and_the_mend() {
        let scarce = Scarce {
            needed_bytes: 300 << 20,
            has_bytes: 256 << 20,
            what: What::ControlGroup("/sys/fs/cgroup/memory.max".into()),
        };
        assert_eq!(
            scarce.to_string(),
            "the sources may need 300.0 MiB of memory, and /sys/fs/cgroup/memory.max allows 256.0 MiB"
        );
        assert_eq!(
            scarce.mend(),
            "set MemoryMax=300M or more in the systemd unit, or give the container as much"
        );
    }
}
