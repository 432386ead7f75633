//! Ctrl-C and SIGTERM become a cancellation; a second one ends the process at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tracing::warn;

/// Hears signals while it lives.
pub struct Signals {
    came: Arc<AtomicI32>,
    _listener: AbortOnDropHandle<()>,
}

impl Signals {
    /// Cancels `cancel` at the first signal.
    pub(super) fn cancel(cancel: &CancellationToken) -> Self {
        let came = Arc::new(AtomicI32::new(0));
        let (told, cancel) = (Arc::clone(&came), cancel.clone());
        let listen = async move {
            let (Ok(mut interrupt), Ok(mut terminate)) =
                (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
            else {
                warn!("Cannot hear signals; Ctrl-C ends the process at once");
                return;
            };
            loop {
                let code = tokio::select! {
                    _ = interrupt.recv() => 130,
                    _ = terminate.recv() => 143,
                };
                if told.swap(code, Ordering::SeqCst) != 0 {
                    // Told twice: the next start resumes what is cut off here.
                    std::process::exit(code);
                }
                warn!("Stopping: waiting for what runs (again to stop at once)");
                cancel.cancel();
            }
        };
        #[expect(clippy::disallowed_methods, reason = "the handle aborts the task when it is dropped")]
        let listener = AbortOnDropHandle::new(tokio::spawn(listen));
        Self { came, _listener: listener }
    }

    /// Returns the exit code of the signal that came: 130 or 143.
    pub fn code(&self) -> Option<i32> {
        Some(self.came.load(Ordering::SeqCst)).filter(|code| *code != 0)
    }
}
