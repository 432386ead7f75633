//! Signals: what a person or the system asks for.
//!
//! SIGTERM asks the process to end: runs drain, and the next start continues them. SIGINT is a person at the terminal:
//! in a command that carries out a run it cancels the run, in a daemon it drains. SIGHUP (a terminal that was lost)
//! ends nothing: a night does not depend on who watches it. A second SIGTERM or SIGINT ends the process at once.

use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::task::AbortOnDropHandle;
use tracing::{info, warn};

use crate::engine::Stop;

/// Listens for signals until it is dropped.
pub struct Signals {
    came: Arc<AtomicI32>,
    meaning: Arc<Mutex<Interrupt>>,
    _listener: AbortOnDropHandle<()>,
}

/// What SIGINT means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interrupt {
    /// A person wants to cancel the run.
    Cancels,
    /// The process must end, and the next start continues the runs.
    Drains,
    /// A person stops watching what another process carries out.
    Leaves,
}

impl Signals {
    /// Triggers `stop` at the first signal.
    pub fn listen(stop: &Stop, interrupt: Interrupt) -> Self {
        let came = Arc::new(AtomicI32::new(0));
        let meaning = Arc::new(Mutex::new(interrupt));
        let (told, means, stop) = (Arc::clone(&came), Arc::clone(&meaning), stop.clone());
        let listen = async move {
            let (Ok(mut interrupted), Ok(mut terminated), Ok(mut hung_up)) =
                (signal(SignalKind::interrupt()), signal(SignalKind::terminate()), signal(SignalKind::hangup()))
            else {
                warn!("Cannot hear signals; Ctrl-C ends the process at once, and the next start goes on with its runs");
                return;
            };
            loop {
                let code = tokio::select! {
                    _ = interrupted.recv() => 130,
                    _ = terminated.recv() => 143,
                    _ = hung_up.recv() => {
                        info!("The terminal is gone; going on without it");
                        continue;
                    }
                };
                if told.swap(code, Ordering::SeqCst) != 0 {
                    // The second signal: the next start continues what is interrupted here.
                    std::process::exit(code);
                }
                let meaning = *means.lock().unwrap_or_else(PoisonError::into_inner);
                match meaning {
                    Interrupt::Leaves => stop.drain.cancel(),
                    Interrupt::Cancels if code == 130 => {
                        warn!("Stopping the run (again to leave at once)");
                        stop.cancel.cancel();
                    }
                    Interrupt::Cancels | Interrupt::Drains => {
                        warn!("Ending: waiting for what runs (again to leave at once); the next start goes on with it");
                        stop.drain.cancel();
                    }
                }
            }
        };
        #[expect(clippy::disallowed_methods, reason = "the handle aborts the task when it is dropped")]
        let listener = AbortOnDropHandle::new(tokio::spawn(listen));
        Self { came, meaning, _listener: listener }
    }

    /// Changes the meaning of the next signal.
    pub fn mean(&self, interrupt: Interrupt) {
        *self.meaning.lock().unwrap_or_else(PoisonError::into_inner) = interrupt;
    }

    /// Returns the exit code of the signal that came: 130 or 143.
    pub fn code(&self) -> Option<i32> {
        Some(self.came.load(Ordering::SeqCst)).filter(|code| *code != 0)
    }
}
