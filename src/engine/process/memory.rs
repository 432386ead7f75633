//! How much memory an attempt uses, and its limit.
//!
//! What counts is anonymous memory, resident or swapped out, summed over all processes of the attempt; memory that a
//! fork shares with its parent counts in both. It is sampled five times a second, so a program that allocates very fast
//! exceeds its limit for that long; a cgroup or the child's own `RLIMIT_DATA` has no such gap.

use std::fmt;
use std::time::Duration;

use procfs::process::Process;

use super::identity::Identity;

/// How often memory is sampled.
pub(super) const INTERVAL: Duration = Duration::from_millis(200);

/// The most memory that an attempt may use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemoryLimit {
    /// In bytes.
    pub bytes: u64,
    /// The configuration key that sets it.
    pub key: String,
}

/// An attempt that went beyond its limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemoryExceeded {
    /// The limit.
    pub limit: MemoryLimit,
    /// What it used when it was sampled; `None` if the system stopped it.
    pub used_bytes: Option<u64>,
}

impl fmt::Display for MemoryExceeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let limit = MiB(self.limit.bytes);
        match self.used_bytes {
            Some(used) => write!(f, "it used {} of memory and was stopped: its limit is {limit}", MiB(used))?,
            None => write!(f, "it ran out of memory: its limit is {limit}")?,
        }
        write!(f, " (`{}`)", self.limit.key)
    }
}

/// Bytes, as people read them.
struct MiB(u64);

impl fmt::Display for MiB {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} MiB", self.0.div_ceil(1 << 20))
    }
}

/// Returns how much memory these processes use; those that have ended use none.
pub(super) fn held_by<'a>(members: impl IntoIterator<Item = &'a Identity>) -> u64 {
    let held = |member: &Identity| {
        let status = Process::new(member.pid).ok()?.status().ok()?;
        Some(1024 * (status.rssanon.unwrap_or(0) + status.vmswap.unwrap_or(0)))
    };
    members.into_iter().filter_map(held).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_exceeded_is_named_with_its_key() {
        let limit = MemoryLimit { bytes: 512 << 20, key: "engine.memory".to_owned() };

        let sampled = MemoryExceeded { limit: limit.clone(), used_bytes: Some((612 << 20) - 5) };
        let stopped = MemoryExceeded { limit, used_bytes: None };

        assert_eq!(
            sampled.to_string(),
            "it used 612 MiB of memory and was stopped: its limit is 512 MiB (`engine.memory`)"
        );
        assert_eq!(stopped.to_string(), "it ran out of memory: its limit is 512 MiB (`engine.memory`)");
    }

    #[test]
    fn this_process_holds_something() {
        let me = Identity::of(i32::try_from(std::process::id()).unwrap()).unwrap();

        assert!(held_by([&me]) > 100_000);
    }
}
