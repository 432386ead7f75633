//! Limits for everything that a test waits for: a mistake fails with what was waited for, and never hangs.
//!
//! The limit is far beyond what anything here takes, so it decides nothing; it holds under plain `cargo test` too.

use std::process::{Child, ExitStatus, Output};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(120);

/// Does something that may block, in a thread of its own.
///
/// # Panics
/// When it takes longer than the limit, with `what` was waited for.
pub(crate) fn within<T: Send + 'static>(what: &str, act: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, ended) = channel();
    let acting = std::thread::spawn(move || drop(done.send(act())));
    match ended.recv_timeout(LIMIT) {
        Ok(value) => value,
        Err(RecvTimeoutError::Timeout) => panic!("waited {LIMIT:?} for {what}"),
        Err(RecvTimeoutError::Disconnected) => std::panic::resume_unwind(acting.join().unwrap_err()),
    }
}

/// The limit of a loop that asks again and again.
pub(crate) struct Patience {
    what: &'static str,
    since: Instant,
}

impl Patience {
    /// Begins to wait for `what`.
    pub(crate) fn new(what: &'static str) -> Self {
        Self { what, since: Instant::now() }
    }

    /// Begins another round.
    ///
    /// # Panics
    /// When the limit has passed.
    pub(crate) fn again(&self) {
        assert!(self.since.elapsed() < LIMIT, "waited {LIMIT:?} for {}", self.what);
    }
}

/// A program that a test started; it is killed when its test ends before it.
#[derive(Debug)]
pub(crate) struct Running(Option<Child>);

impl Running {
    pub(crate) fn new(child: Child) -> Self {
        Self(Some(child))
    }

    pub(crate) fn id(&self) -> u32 {
        self.0.as_ref().unwrap().id()
    }

    /// Returns whether it has ended by now.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.0.as_mut().unwrap().try_wait().unwrap().is_some()
    }

    /// Sends it a signal with the shell's own `kill`: a small machine has no other.
    pub(crate) fn signal(&self, name: &str) {
        let kill = format!("kill {name} {}", self.id());
        assert!(std::process::Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    }

    pub(crate) fn kill(&mut self) -> std::io::Result<()> {
        self.0.as_mut().unwrap().kill()
    }

    /// Waits for its end, within the limit.
    pub(crate) fn wait(&mut self) -> std::io::Result<ExitStatus> {
        let patience = Patience::new("a program to end");
        loop {
            if let Some(status) = self.0.as_mut().unwrap().try_wait()? {
                return Ok(status);
            }
            patience.again();
            std::thread::yield_now();
        }
    }

    /// Waits for its end, within the limit, and returns what it printed.
    pub(crate) fn wait_with_output(mut self) -> std::io::Result<Output> {
        let child = self.0.take().unwrap();
        // Dropped in a panic, it kills what is still there; after the end there is nothing to kill.
        let mut killed_if_late = KillIfLate(Some(child.id()));
        let output = within("a program to end", move || child.wait_with_output());
        killed_if_late.0 = None;
        output
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            // It may have ended by itself.
            drop(child.kill());
            drop(child.wait());
        }
    }
}

struct KillIfLate(Option<u32>);

impl Drop for KillIfLate {
    fn drop(&mut self) {
        let id = self.0.and_then(|id| i32::try_from(id).ok()).and_then(rustix::process::Pid::from_raw);
        if let Some(id) = id {
            rustix::process::kill_process(id, rustix::process::Signal::KILL).unwrap_or_default();
        }
    }
}
