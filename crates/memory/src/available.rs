//! How much memory there is to be had, looked at before much of it is taken.

use std::fmt;

/// From this size on it is looked whether the memory is there; a look costs some microseconds.
const LOOKED_FROM: u64 = 16 << 20;

/// More memory is needed than there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{} of memory are needed, and {} are there", Size(*.needed), Size(*.there))]
pub struct TooLittleMemory {
    /// Bytes that were needed at once.
    pub needed: u64,
    /// Bytes that could be had.
    pub there: u64,
}

impl TooLittleMemory {
    /// That the system refused so many bytes; it does not always say how many it has.
    pub(crate) fn refused(needed: u64) -> Self {
        Self { needed, there: available_bytes().unwrap_or(0).min(needed.saturating_sub(1)) }
    }
}

/// A number of bytes, with a rounded one in a larger unit.
struct Size(u64);

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.0 as f64;
        let (unit, name) = if self.0 >= 1 << 30 { (1_u64 << 30, "GiB") } else { (1 << 20, "MiB") };
        write!(f, "{} bytes ({:.1} {name})", self.0, bytes / unit as f64)
    }
}

/// Whether so many bytes can be had at once.
///
/// Where the system does not say how much memory there is, any number can.
///
/// # Errors
/// If there is less memory than that.
pub fn need(bytes: u64) -> Result<(), TooLittleMemory> {
    if bytes < LOOKED_FROM {
        return Ok(());
    }
    match available_bytes() {
        Some(there) if there < bytes => Err(TooLittleMemory { needed: bytes, there }),
        _ => Ok(()),
    }
}

/// The bytes that this process could take now: what the machine, its control groups and its own limit leave; `None` where the
/// system does not say.
pub fn available_bytes() -> Option<u64> {
    #[cfg(target_os = "linux")]
    {
        [linux::of_machine(), linux::of_groups(), linux::of_process()].into_iter().flatten().min()
    }
    #[cfg(not(target_os = "linux"))]
    None
}

#[cfg(target_os = "linux")]
mod linux {
    use std::fs;
    use std::path::{Path, PathBuf};

    /// Memory that the machine has free or can free, swap included.
    pub(super) fn of_machine() -> Option<u64> {
        machine(&fs::read_to_string("/proc/meminfo").ok()?)
    }

    pub(super) fn machine(text: &str) -> Option<u64> {
        let of = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
            line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1 << 10)
        };
        Some(of("MemAvailable")?.saturating_add(of("SwapFree").unwrap_or(0)))
    }

    /// Memory left by the control groups of this process, the tightest of them.
    pub(super) fn of_groups() -> Option<u64> {
        let text = fs::read_to_string("/proc/self/cgroup").ok()?;
        groups(&text, Path::new("/sys/fs/cgroup"))
    }

    pub(super) fn groups(text: &str, root: &Path) -> Option<u64> {
        let lefts = text.lines().flat_map(|line| {
            let mut parts = line.splitn(3, ':').skip(1);
            let (controllers, path) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
            let (root, names) = match controllers {
                "" => (root.to_path_buf(), ["memory.max", "memory.current", "inactive_file", "active_file"]),
                old if old.split(',').any(|name| name == "memory") => (
                    root.join("memory"),
                    [
                        "memory.limit_in_bytes",
                        "memory.usage_in_bytes",
                        "total_inactive_file",
                        "total_active_file",
                    ],
                ),
                _ => return Vec::new(),
            };
            let own: PathBuf = root.join(path.trim_start_matches('/'));
            let above = own.ancestors().take_while(|above| above.starts_with(&root));
            above.filter_map(|group| left(group, names)).collect()
        });
        lefts.min()
    }

    /// Memory left by one group: its limit less the memory in use, cached files apart.
    fn left(group: &Path, [limit, usage, inactive, active]: [&str; 4]) -> Option<u64> {
        let number = |name: &str| fs::read_to_string(group.join(name)).ok()?.trim().parse::<u64>().ok();
        let (limit, usage) = (number(limit)?, number(usage)?);
        let statistics = fs::read_to_string(group.join("memory.stat")).unwrap_or_default();
        let cached = statistics.lines().filter_map(|line| {
            let (name, value) = line.split_once(' ')?;
            if name == inactive || name == active { value.trim().parse::<u64>().ok() } else { None }
        });
        Some(limit.saturating_sub(usage.saturating_sub(cached.sum())))
    }

    /// Memory left by the limit on this process's address space.
    pub(super) fn of_process() -> Option<u64> {
        let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: the pointer is to a whole structure of the type that the call fills.
        if unsafe { libc::getrlimit(libc::RLIMIT_AS, &raw mut limit) } != 0
            || limit.rlim_cur == libc::RLIM_INFINITY
        {
            return None;
        }
        let text = fs::read_to_string("/proc/self/statm").ok()?;
        let pages: u64 = text.split(' ').next()?.parse().ok()?;
        // SAFETY: the call reads a constant of the system.
        let page = u64::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).ok()?;
        Some(limit.rlim_cur.saturating_sub(pages.saturating_mul(page)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_than_any_machine_has_is_refused_with_both_numbers() {
        need(0).unwrap();
        if available_bytes().is_none() {
            eprintln!("skipped: this system does not say how much memory there is");
            return;
        }
        let TooLittleMemory { needed, there } = need(u64::MAX).unwrap_err();
        assert_eq!(needed, u64::MAX);
        assert!(there > 0 && there < 1 << 50, "{there}");
        let told = TooLittleMemory { needed: 192_000_000_704, there: 5 << 20 }.to_string();
        assert_eq!(
            told,
            "192000000704 bytes (178.8 GiB) of memory are needed, and 5242880 bytes (5.0 MiB) are there"
        );
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_tightest_group_counts_and_cached_files_do_not() {
        let dir = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = dir.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        write("a/memory.max", "1000\n");
        write("a/memory.current", "900\n");
        write("a/memory.stat", "anon 100\ninactive_file 300\nactive_file 50\n");
        write("a/b/memory.max", "max\n");
        write("a/b/memory.current", "5\n");
        write("memory/c/memory.limit_in_bytes", "700\n");
        write("memory/c/memory.usage_in_bytes", "100\n");
        let groups = |text| linux::groups(text, dir.path());
        assert_eq!(groups("0::/a/b\n"), Some(450));
        assert_eq!(groups("0::/a/b\n4:cpu:/x\n3:memory,hugetlb:/c\n"), Some(450));
        assert_eq!(groups("3:memory:/c\n"), Some(600));
        assert_eq!(groups("0::/nowhere\n"), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_machine_counts_what_it_can_free() {
        let text = "MemTotal: 100 kB\nMemFree: 1 kB\nMemAvailable:   50 kB\nSwapFree: 2 kB\n";
        assert_eq!(linux::machine(text), Some(52 << 10));
        assert_eq!(linux::machine("MemTotal: 100 kB\n"), None);
    }
}
