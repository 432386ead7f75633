//! Memory limits by cgroup v2, where the service manager has delegated a cgroup; and how memory is limited elsewhere.
//!
//! A unit with `Delegate=yes` owns the cgroup that it runs in. A cgroup that contains processes cannot enable a
//! controller for its children, so the daemon first moves itself into `nocturne` below it; then each attempt gets
//! `attempt-<n>` next to it, with `memory.max` and `memory.oom.group`. Killing such a cgroup kills every process in it,
//! whatever it has done to hide. The parent samples the group's memory (`memory`) without a cgroup, and also with one,
//! because a program may fork in the instant before it is moved.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{Access, access};

/// How memory is limited.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MemoryMeans {
    /// A cgroup for each attempt, below this one.
    Cgroup(PathBuf),
    /// The parent looks five times a second; with the reason why there is no cgroup.
    Sampling(String),
}

impl fmt::Display for MemoryMeans {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cgroup(path) => {
                write!(f, "Each attempt's memory is limited by a cgroup of its own below {}", path.display())
            }
            Self::Sampling(why) => write!(f, "Each attempt's memory is looked at five times a second ({why})"),
        }
    }
}

/// Finds out which means is available, and prepares it: called once, by the process that will start attempts.
pub fn means() -> MemoryMeans {
    let own = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    match prepare(Path::new("/sys/fs/cgroup"), &own, std::process::id()) {
        Ok(path) => MemoryMeans::Cgroup(path),
        Err(why) => MemoryMeans::Sampling(why),
    }
}

/// Finds out which means would be available for attempts that this process starts, and prepares nothing.
pub fn means_found() -> MemoryMeans {
    let own = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let found = divisible(Path::new("/sys/fs/cgroup"), &own, std::process::id()).and_then(|folder| {
        let is_ours = access(folder.join("cgroup.subtree_control"), Access::WRITE_OK);
        is_ours.map(|()| folder).map_err(|error| format!("the cgroup is not delegated: {error}"))
    });
    match found {
        Ok(path) => MemoryMeans::Cgroup(path),
        Err(why) => MemoryMeans::Sampling(why),
    }
}

/// Prepares the cgroup that will contain those of the attempts and returns it, or why there is none.
fn prepare(root: &Path, own: &str, pid: u32) -> Result<PathBuf, String> {
    let folder = divisible(root, own, pid)?;
    let not_ours = |error: io::Error| format!("the cgroup is not delegated: {error}");
    let inner = folder.join("nocturne");
    if !inner.is_dir() {
        std::fs::create_dir(&inner).map_err(not_ours)?;
    }
    std::fs::write(inner.join("cgroup.procs"), pid.to_string()).map_err(not_ours)?;
    std::fs::write(folder.join("cgroup.subtree_control"), "+memory").map_err(not_ours)?;
    Ok(folder)
}

/// Returns the cgroup of this process if it can be divided, or why it cannot.
fn divisible(root: &Path, own: &str, pid: u32) -> Result<PathBuf, String> {
    let own = own.lines().find_map(|line| line.strip_prefix("0::")).ok_or("there is no cgroup v2")?;
    let folder = root.join(own.trim_start_matches('/'));
    let read = |name: &str| std::fs::read_to_string(folder.join(name));
    let controllers = read("cgroup.controllers").map_err(|_| "there is no cgroup v2")?;
    if !controllers.split_whitespace().any(|controller| controller == "memory") {
        return Err("the cgroup has no memory controller".to_owned());
    }
    // The root is never delegated: only a cgroup that a service manager made for us may be divided.
    if own.trim_matches('/').is_empty() {
        return Err("the process runs in the root cgroup".to_owned());
    }
    let processes = read("cgroup.procs").map_err(|error| format!("the cgroup cannot be read: {error}"))?;
    if processes.split_whitespace().any(|found| found != pid.to_string()) {
        return Err("the cgroup has other processes too, so it is not delegated".to_owned());
    }
    Ok(folder)
}

/// The cgroup of one attempt; it is removed with its processes.
#[derive(Debug)]
pub(super) struct AttemptCgroup {
    path: PathBuf,
}

impl AttemptCgroup {
    /// Makes a cgroup below `parent` that may use at most `limit` bytes, and moves `pid` there.
    pub(super) fn make(parent: &Path, limit: Option<u64>, pid: i32) -> io::Result<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        remove_ended(parent);
        let path = parent.join(format!("attempt-{}", NEXT.fetch_add(1, Ordering::Relaxed)));
        if !path.is_dir() {
            std::fs::create_dir(&path)?;
        }
        let made = Self { path };
        if let Some(limit) = limit {
            std::fs::write(made.path.join("memory.max"), limit.to_string())?;
            // Without swap accounting this file does not exist, and there is nothing to limit.
            std::fs::write(made.path.join("memory.swap.max"), "0").unwrap_or_default();
            std::fs::write(made.path.join("memory.oom.group"), "1")?;
        }
        std::fs::write(made.path.join("cgroup.procs"), pid.to_string())?;
        Ok(made)
    }

    /// Kills everything in it.
    pub(super) fn kill(&self) -> io::Result<()> {
        std::fs::write(self.path.join("cgroup.kill"), "1")
    }

    /// Returns whether the system has killed a process in it for its memory use.
    pub(super) fn was_out_of_memory(&self) -> bool {
        let events = std::fs::read_to_string(self.path.join("memory.events")).unwrap_or_default();
        let kills = events.lines().find_map(|line| line.strip_prefix("oom_kill ")).map(str::trim);
        kills.is_some_and(|kills| kills != "0")
    }

    /// Returns the processes in it.
    pub(super) fn pids(&self) -> Vec<i32> {
        let text = std::fs::read_to_string(self.path.join("cgroup.procs")).unwrap_or_default();
        text.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
    }
}

impl Drop for AttemptCgroup {
    fn drop(&mut self) {
        // Processes that are still ending keep it in use; then the next attempt removes it.
        std::fs::remove_dir(&self.path).unwrap_or_default();
    }
}

/// Removes the cgroups of ended attempts; one that contains processes cannot be removed.
fn remove_ended(parent: &Path) {
    let Ok(entries) = std::fs::read_dir(parent) else { return };
    let attempts = entries.flatten().filter(|entry| entry.file_name().to_string_lossy().starts_with("attempt-"));
    for attempt in attempts {
        std::fs::remove_dir(attempt.path()).unwrap_or_default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder tree that looks like a cgroup v2.
    fn tree(controllers: &str, processes: &str) -> (tempfile::TempDir, PathBuf) {
        let root = tempfile::tempdir().unwrap();
        let unit = root.path().join("system.slice/nocturne.service");
        std::fs::create_dir_all(&unit).unwrap();
        std::fs::write(unit.join("cgroup.controllers"), controllers).unwrap();
        std::fs::write(unit.join("cgroup.procs"), processes).unwrap();
        (root, unit)
    }

    const OWN: &str = "0::/system.slice/nocturne.service\n";

    #[test]
    fn a_delegated_cgroup_is_divided() {
        let (root, unit) = tree("cpu io memory pids\n", "42\n");

        assert_eq!(prepare(root.path(), OWN, 42), Ok(unit.clone()));

        assert_eq!(std::fs::read_to_string(unit.join("cgroup.subtree_control")).unwrap(), "+memory");
        assert_eq!(std::fs::read_to_string(unit.join("nocturne/cgroup.procs")).unwrap(), "42");
    }

    #[test]
    fn without_a_cgroup_of_its_own_memory_is_sampled() {
        let (root, _) = tree("cpu memory\n", "42\n");
        let (bare, _) = tree("cpu\n", "42\n");
        let (shared, _) = tree("memory\n", "1\n42\n");
        let why = |root: &tempfile::TempDir, own: &str| prepare(root.path(), own, 42).unwrap_err();

        assert_eq!(why(&root, "4:memory:/user\n1:name=systemd:/x\n"), "there is no cgroup v2");
        assert_eq!(why(&root, "0::/\n"), "there is no cgroup v2");
        assert_eq!(why(&bare, OWN), "the cgroup has no memory controller");
        assert_eq!(why(&shared, OWN), "the cgroup has other processes too, so it is not delegated");
    }

    #[test]
    fn an_attempt_gets_a_cgroup_with_its_limit() {
        let (_root, unit) = tree("memory\n", "");

        let made = AttemptCgroup::make(&unit, Some(1 << 20), 43).unwrap();
        std::fs::write(made.path.join("memory.events"), "low 0\noom 1\noom_kill 1\n").unwrap();

        assert_eq!(std::fs::read_to_string(made.path.join("memory.max")).unwrap(), "1048576");
        assert_eq!(made.pids(), [43]);
        assert!(made.was_out_of_memory());
    }

    #[test]
    fn the_means_is_a_sentence() {
        let sampling = MemoryMeans::Sampling("there is no cgroup v2".to_owned());

        assert_eq!(
            sampling.to_string(),
            "Each attempt's memory is looked at five times a second (there is no cgroup v2)"
        );
    }
}
