//! Which process is meant: a pid is reused, so it is paired with the time at which the process began.
//!
//! A pid with its start time (in ticks since the boot) identifies one process for as long as the machine is up; with
//! the boot id it cannot be taken for a process of another boot.

use procfs::process::Process;
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};

/// One process of this boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Identity {
    /// Its pid.
    pub pid: i32,
    /// When it began, in ticks since the boot.
    pub started: u64,
}

impl Identity {
    /// Returns the process that has this pid now.
    pub fn of(pid: i32) -> Option<Self> {
        let stat = Process::new(pid).ok()?.stat().ok()?;
        Some(Self { pid, started: stat.starttime })
    }

    /// Sends a signal to this process and to no other that has its pid now.
    pub(super) fn signal(self, signal: Signal) -> Result<(), Errno> {
        let Some(pid) = Pid::from_raw(self.pid) else { return Err(Errno::SRCH) };
        // The descriptor pins the process; if its start time is right, it is the one that is meant.
        let held = pidfd_open(pid, PidfdFlags::empty())?;
        if Self::of(self.pid) != Some(self) {
            return Err(Errno::SRCH);
        }
        pidfd_send_signal(held, signal)
    }
}

/// Returns the id of this boot, or nothing if the system does not provide it.
pub(super) fn boot_id() -> String {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    text.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_that_is_used_again_is_another_process() {
        let me = Identity::of(i32::try_from(std::process::id()).unwrap()).unwrap();
        let other = Identity { started: me.started + 1, ..me };

        assert_eq!(Identity::of(me.pid), Some(me));
        assert_eq!(other.signal(Signal::KILL), Err(Errno::SRCH));
        assert!(!boot_id().is_empty());
    }
}
