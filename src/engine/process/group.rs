//! A process group under supervision: started, limited in memory, told to end, killed.
//!
//! Promises: every process of the attempt (`members` says how they are found, and with what limits) gets TERM, and KILL
//! after a grace; when the value is dropped they are killed at once. A marker names the group for as long as it runs,
//! so that the next start finds what survived a parent that was killed itself (`survivors`).

use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::Signal;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};
use tracing::warn;

use super::cgroup::{AttemptCgroup, MemoryMeans};
use super::identity::Identity;
use super::members::{self, BETWEEN_ROUNDS, FENCE, Marks, ROUNDS, SCRATCH};
use super::memory::{self, MemoryExceeded, MemoryLimit};
use super::survivors;
use crate::telemetry::spawn_blocking;

/// What holds for a group.
#[derive(Debug, Clone)]
pub struct Rules {
    /// The attempt's fencing token.
    pub fence: String,
    /// The folder for scratch files.
    pub scratch: PathBuf,
    /// The most memory that it may use.
    pub memory: Option<MemoryLimit>,
    /// How memory is limited.
    pub means: MemoryMeans,
}

/// A running group; what is left of it is killed when this is dropped.
#[derive(Debug)]
pub struct Group {
    inner: Arc<Inner>,
    marker: Option<PathBuf>,
}

impl Group {
    /// Starts a program in a group of its own, with the attempt's marks in its environment.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(command: &mut Command, rules: &Rules) -> io::Result<(Self, Child)> {
        std::fs::create_dir_all(&rules.scratch)?;
        let marks = Marks { fence: rules.fence.clone(), scratch: survivors::name_of(&rules.scratch) };
        command.env(FENCE, &marks.fence).env(SCRATCH, &marks.scratch).process_group(0).kill_on_drop(true);
        let announced = survivors::announce(&rules.scratch, &rules.fence);
        let child = command.spawn().inspect_err(|_| {
            // Nothing was started, so nothing can survive.
            if let Ok(path) = &announced {
                std::fs::remove_file(path).unwrap_or_default();
            }
        })?;
        // A child that has already ended is a zombie until it is waited for: it still has its pid and its start time.
        let pid = child.id().and_then(|pid| i32::try_from(pid).ok()).ok_or(io::ErrorKind::NotFound)?;
        let leader = Identity::of(pid).ok_or(io::ErrorKind::NotFound)?;
        let marker = match survivors::mark(&rules.scratch, &rules.fence, leader) {
            Ok(path) => Some(path),
            Err(error) => {
                warn!(%error, "Cannot note the attempt's processes: were this process killed, they would go on");
                None
            }
        };
        let inner = Inner {
            leader,
            marks,
            memory: rules.memory.clone(),
            cgroup: cgroup(rules, pid),
            exceeded: OnceLock::new(),
            seen: Mutex::default(),
        };
        Ok((Self { inner: Arc::new(inner), marker }, child))
    }

    /// Watches the group until it uses more memory than it may, then kills it. Otherwise it never returns.
    pub async fn exceeds(&self) -> MemoryExceeded {
        let mut wait = memory::INTERVAL / 8;
        loop {
            sleep(wait).await;
            wait = (wait * 2).min(memory::INTERVAL);
            let inner = Arc::clone(&self.inner);
            let used = spawn_blocking(move || memory::held_by(&inner.living())).await;
            if let Some(limit) = self.inner.memory.as_ref().filter(|limit| used > limit.bytes) {
                let exceeded = MemoryExceeded { limit: limit.clone(), used_bytes: Some(used) };
                // Noted before the kill: the task that waits for the leader may see its end first.
                let exceeded = self.inner.exceeded.get_or_init(|| exceeded).clone();
                let inner = Arc::clone(&self.inner);
                spawn_blocking(move || inner.kill()).await;
                return exceeded;
            }
        }
    }

    /// Returns what was exceeded, if a process of the group was killed for its memory use: from here, or by the system
    /// if it reports that.
    pub fn was_out_of_memory(&self) -> Option<MemoryExceeded> {
        if let Some(exceeded) = self.inner.exceeded.get() {
            return Some(exceeded.clone());
        }
        let limit = self.inner.memory.clone()?;
        let was = self.inner.cgroup.as_ref().is_some_and(AttemptCgroup::was_out_of_memory);
        was.then_some(MemoryExceeded { limit, used_bytes: None })
    }

    /// Tells all processes of the group to end, waits for them, and kills what is left after `grace`; returns how many
    /// there were.
    pub async fn stop(&self, grace: Duration) -> usize {
        let deadline = Instant::now() + grace;
        let mut told = BTreeSet::new();
        loop {
            let inner = Arc::clone(&self.inner);
            let living = spawn_blocking(move || inner.living()).await;
            if living.is_empty() {
                return told.len();
            }
            let is_late = Instant::now() >= deadline;
            for member in living {
                if told.insert(member) && !is_late {
                    tell(member, Signal::TERM);
                }
            }
            if is_late {
                let inner = Arc::clone(&self.inner);
                spawn_blocking(move || inner.kill()).await;
                return told.len();
            }
            sleep(BETWEEN_ROUNDS.min(deadline.saturating_duration_since(Instant::now()))).await;
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.inner.kill();
        if let Some(marker) = &self.marker
            && let Err(error) = std::fs::remove_file(marker)
        {
            warn!(path = %marker.display(), %error, "Cannot remove the marker of a process group");
        }
    }
}

#[derive(Debug)]
struct Inner {
    leader: Identity,
    marks: Marks,
    memory: Option<MemoryLimit>,
    cgroup: Option<AttemptCgroup>,
    exceeded: OnceLock<MemoryExceeded>,
    seen: Mutex<SoFar>,
}

/// What earlier looks have found.
#[derive(Debug, Default)]
struct SoFar {
    known: BTreeSet<Identity>,
    foreign: BTreeSet<Identity>,
}

impl Inner {
    /// Returns the living processes of the group.
    fn living(&self) -> BTreeSet<Identity> {
        let mut so_far = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let SoFar { known, foreign } = &mut *so_far;
        if let Some(cgroup) = &self.cgroup {
            known.extend(cgroup.pids().into_iter().filter_map(Identity::of));
        }
        let seen = members::look(&self.marks, known, foreign);
        let living = members::belonging(&seen, self.leader, known);
        known.clone_from(&living);
        living
    }

    /// Kills the group. A process that has been sent KILL forks no more, so this ends when a look finds no new process.
    fn kill(&self) {
        if let Some(cgroup) = &self.cgroup
            && let Err(error) = cgroup.kill()
        {
            warn!(%error, "Cannot kill an attempt's cgroup; its processes are killed one by one");
        }
        let mut told = BTreeSet::new();
        for _ in 0..ROUNDS {
            let new: Vec<Identity> = self.living().into_iter().filter(|member| told.insert(*member)).collect();
            if new.is_empty() {
                return;
            }
            for member in new {
                tell(member, Signal::KILL);
            }
        }
        warn!(fence = self.marks.fence, "An attempt starts processes faster than they can be killed");
    }
}

fn tell(member: Identity, signal: Signal) {
    match member.signal(signal) {
        // It has just ended by itself.
        Ok(()) | Err(Errno::SRCH) => {}
        Err(error) => warn!(pid = member.pid, %error, "Cannot signal a process of an attempt"),
    }
}

fn cgroup(rules: &Rules, pid: i32) -> Option<AttemptCgroup> {
    let MemoryMeans::Cgroup(parent) = &rules.means else { return None };
    match AttemptCgroup::make(parent, rules.memory.as_ref().map(|limit| limit.bytes), pid) {
        Ok(cgroup) => Some(cgroup),
        Err(error) => {
            warn!(%error, "Cannot make the attempt's cgroup; its memory is only looked at");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::process::Stdio;

    use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
    use tokio::process::ChildStdout;

    use super::*;

    fn rules(scratch: &Path, memory: Option<u64>) -> Rules {
        Rules {
            fence: "night.1.job.1".to_owned(),
            scratch: scratch.to_owned(),
            memory: memory.map(|bytes| MemoryLimit { bytes, key: "engine.memory".to_owned() }),
            means: MemoryMeans::Sampling("a test".to_owned()),
        }
    }

    /// Starts a shell script; its output tells the test how far it is.
    fn start(scratch: &Path, memory: Option<u64>, script: &str) -> (Group, Child, Lines<BufReader<ChildStdout>>) {
        let mut command = Command::new("sh");
        command.args(["-c", script]).stdout(Stdio::piped());
        let (group, mut child) = Group::start(&mut command, &rules(scratch, memory)).unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        (group, child, lines)
    }

    async fn gone(pid: i32) {
        let is_gone = || procfs::process::Process::new(pid).and_then(|p| p.stat()).is_ok_and(|stat| stat.state != 'Z');
        tokio::time::timeout(Duration::from_secs(20), async {
            while is_gone() {
                sleep(BETWEEN_ROUNDS).await;
            }
        })
        .await
        .unwrap();
    }

    async fn pid(lines: &mut Lines<BufReader<ChildStdout>>) -> i32 {
        lines.next_line().await.unwrap().unwrap().trim().parse().unwrap()
    }

    #[tokio::test]
    async fn a_program_that_heeds_term_ends_by_itself_and_its_marker_goes() {
        let scratch = tempfile::tempdir().unwrap();
        let (group, mut child, mut lines) =
            start(scratch.path(), None, "trap 'echo bye; exit 3' TERM; echo here; while :; do sleep 302 & wait; done");
        assert_eq!(lines.next_line().await.unwrap().unwrap(), "here");
        assert!(scratch.path().join("processes/night.1.job.1").exists());

        let (stopped, status) = tokio::join!(group.stop(Duration::from_secs(60)), child.wait());

        assert!(stopped >= 1);
        assert_eq!(status.unwrap().code(), Some(3));
        assert_eq!(lines.next_line().await.unwrap().unwrap(), "bye");
        drop(group);
        assert!(!scratch.path().join("processes/night.1.job.1").exists());
    }

    #[tokio::test]
    async fn a_program_that_ignores_term_is_killed_after_the_grace() {
        use std::os::unix::process::ExitStatusExt as _;

        let scratch = tempfile::tempdir().unwrap();
        let (group, mut child, mut lines) =
            start(scratch.path(), None, "trap '' TERM; echo here; while :; do sleep 302; done");
        assert_eq!(lines.next_line().await.unwrap().unwrap(), "here");

        let (_, status) = tokio::join!(group.stop(Duration::from_millis(50)), child.wait());

        assert_eq!(status.unwrap().signal(), Some(9));
    }

    #[tokio::test]
    async fn a_process_that_left_the_group_is_killed_with_it() {
        let scratch = tempfile::tempdir().unwrap();
        let script = "setsid sh -c 'echo $$; exec sleep 302' & wait";
        let (group, _child, mut lines) = start(scratch.path(), None, script);
        let left = pid(&mut lines).await;

        drop(group);

        gone(left).await;
    }

    #[tokio::test]
    async fn a_process_that_left_group_and_environment_is_killed_when_it_was_seen_before() {
        let scratch = tempfile::tempdir().unwrap();
        let script = "setsid env -i sh -c 'echo $$; exec sleep 302' & wait";
        let (group, _child, mut lines) = start(scratch.path(), None, script);
        let left = pid(&mut lines).await;
        assert!(group.inner.living().iter().any(|member| member.pid == left));

        group.inner.leader.signal(Signal::KILL).unwrap();
        gone(group.inner.leader.pid).await;
        drop(group);

        gone(left).await;
    }

    #[tokio::test]
    async fn a_group_that_holds_too_much_is_killed_and_told() {
        let scratch = tempfile::tempdir().unwrap();
        let limit = 64 << 20;
        // A shell variable doubles until the shell is stopped; it is in a child of the program, not in the program
        // itself.
        let script = "sh -c 'x=0123456789abcdef; while :; do x=$x$x; done' & wait";
        let (group, mut child, _lines) = start(scratch.path(), Some(limit), script);

        let exceeded = tokio::time::timeout(Duration::from_secs(60), group.exceeds()).await.unwrap();

        assert!(exceeded.used_bytes.unwrap() > limit);
        assert_eq!(group.was_out_of_memory(), Some(exceeded));
        assert!(!child.wait().await.unwrap().success());
    }
}
