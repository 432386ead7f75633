//! Limits in force: open files, memory of this process and of the machine, how attempts are limited, cores.

use std::path::{Path, PathBuf};

use futures::FutureExt as _;
use futures::future::BoxFuture;
use procfs::Current as _;
use rustix::process::{Resource, getrlimit};

use super::checked::{Checked, Subject};
use super::site::{Site, Stakes};
use crate::config::Isolation;
use crate::engine::process::{MemoryMeans, means_found};

pub(super) const THIS: Subject = Subject("limits");

/// Parts of a table, connections and logs are open at once; with fewer a wide pull fails.
const ENOUGH_FILES: u64 = 1024;

const GIB: u64 = 1 << 30;

/// Checks the limits.
pub(super) fn check(site: &Site) -> BoxFuture<'_, Vec<Checked>> {
    let engine = &site.config.engine;
    let largest = engine.memory_by_kind.values().chain([&engine.memory]).map(|size| size.bytes()).max().unwrap_or(0);
    let at_once = site.dags.iter().map(|dag| dag.max_parallel).max().unwrap_or(1);
    let mut checks = vec![open_files(getrlimit(Resource::Nofile).current)];
    checks.push(data(getrlimit(Resource::Data).current, largest));
    checks.push(match engine.isolation {
        Isolation::Process => attempts(&means_found()),
        Isolation::Thread => {
            let found = "attempts run in threads: nothing limits their memory, and none can be stopped from outside";
            THIS.warn("attempts", found, "set `engine.isolation = \"process\"`")
        }
    });
    if let Some(machine) = machine_bytes() {
        checks.push(memory((engine.memory.bytes(), at_once), machine, site.stakes()));
    }
    if let Ok(cores) = std::thread::available_parallelism() {
        checks.push(self::cores(at_once, cores.get()));
    }
    std::future::ready(checks).boxed()
}

fn open_files(limit: Option<u64>) -> Checked {
    match limit {
        Some(limit) if limit < ENOUGH_FILES => {
            let advice = format!("raise it to {ENOUGH_FILES} or more (`LimitNOFILE=` in the unit, `ulimit -n`)");
            THIS.warn("open files", format!("at most {limit} files may be open"), advice)
        }
        Some(limit) => THIS.ok("open files", format!("at most {limit} files may be open")),
        None => THIS.ok("open files", "any number of files may be open"),
    }
}

fn data(limit: Option<u64>, wanted: u64) -> Checked {
    match limit {
        Some(limit) if limit < wanted => {
            let found =
                format!("RLIMIT_DATA is {} MiB, less than what an attempt may hold by `engine.memory`", limit >> 20);
            THIS.warn(
                "process memory",
                found,
                "raise it (`LimitDATA=` in the unit, `ulimit -d`), or lower `engine.memory`",
            )
        }
        _ => THIS.ok("process memory", "RLIMIT_DATA does not stand in the way"),
    }
}

/// A daemon that the service manager starts may have a cgroup where this shell has none, so neither is a finding.
fn attempts(means: &MemoryMeans) -> Checked {
    THIS.ok("attempts", format!("{means}, when started from here"))
}

/// Compares the memory that attempts may use at once with what is available.
fn memory((limit, at_once): (u64, usize), machine: u64, stakes: Stakes) -> Checked {
    let wanted = limit.saturating_mul(at_once as u64);
    let found = format!(
        "{at_once} attempts at once may hold {:.1} GiB (`engine.memory` for each), and there are {:.1} GiB",
        wanted as f64 / GIB as f64,
        machine as f64 / GIB as f64
    );
    if wanted <= machine {
        return THIS.ok("memory", found);
    }
    let advice = "lower `engine.memory` or the DAG's `max_parallel`: before a limit is reached, the system would kill \
        whatever it likes";
    match stakes {
        Stakes::Invented => THIS.ok("memory", format!("{found}; what is invented needs far less")),
        Stakes::Real => THIS.warn("memory", found, advice),
    }
}

fn cores(at_once: usize, cores: usize) -> Checked {
    let found = format!("{cores} cores for up to {at_once} attempts at once");
    if at_once > 4 * cores {
        return THIS.warn("cores", found, "lower the DAG's `max_parallel`: they would keep each other waiting");
    }
    THIS.ok("cores", found)
}

/// Returns the memory of this machine, or the part of it that its cgroup leaves to this process.
fn machine_bytes() -> Option<u64> {
    let own = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let total = procfs::Meminfo::current().ok()?.mem_total;
    Some(cgroup_limit(Path::new("/sys/fs/cgroup"), &own).map_or(total, |limit| limit.min(total)))
}

/// Returns the smallest `memory.max` of a cgroup v2 and its ancestors.
fn cgroup_limit(root: &Path, own: &str) -> Option<u64> {
    let own = own.lines().find_map(|line| line.strip_prefix("0::"))?;
    let folder: PathBuf = root.join(own.trim_start_matches('/'));
    let limits = folder.ancestors().take_while(|folder| folder.starts_with(root)).filter_map(|folder| {
        let text = std::fs::read_to_string(folder.join("memory.max")).ok()?;
        text.trim().parse::<u64>().ok()
    });
    limits.min()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::doctor::Verdict;

    #[test]
    fn a_limit_that_is_less_than_what_is_wanted_is_a_warning() {
        assert_eq!(
            [open_files(Some(256)), open_files(Some(4096)), open_files(None)].map(|check| check.verdict),
            [Verdict::Warn, Verdict::Ok, Verdict::Ok]
        );
        assert_eq!([data(Some(GIB), 2 * GIB), data(None, 2 * GIB)].map(|c| c.verdict), [Verdict::Warn, Verdict::Ok]);
        assert_eq!([cores(2, 2), cores(9, 2)].map(|check| check.verdict), [Verdict::Ok, Verdict::Warn]);
    }

    #[test]
    fn attempts_that_may_hold_more_than_there_is_are_a_warning_once_the_data_are_real() {
        let verdict = |machine, stakes| memory((8 * GIB, 2), machine, stakes).verdict;

        assert_eq!(verdict(8 * GIB, Stakes::Real), Verdict::Warn);
        assert_eq!(verdict(8 * GIB, Stakes::Invented), Verdict::Ok);
        assert_eq!(verdict(16 * GIB, Stakes::Real), Verdict::Ok);
    }

    #[test]
    fn the_strictest_cgroup_above_counts() {
        let root = tempfile::tempdir().unwrap();
        let unit = root.path().join("system.slice/nocturne.service");
        std::fs::create_dir_all(&unit).unwrap();
        std::fs::write(unit.join("memory.max"), "max\n").unwrap();
        std::fs::write(root.path().join("system.slice/memory.max"), "1048576\n").unwrap();

        assert_eq!(cgroup_limit(root.path(), "0::/system.slice/nocturne.service\n"), Some(1_048_576));
        assert_eq!(cgroup_limit(root.path(), "4:memory:/x\n"), None);
    }
}
