//! The two ways in which a run is told to stop.
//!
//! To *drain*: the process must end; nothing more starts, what runs gets its grace, and the run stays `running` for the
//! next start. To *cancel*: a person wants the run to end; its attempts are stopped and it is `cancelled`.

use tokio_util::sync::CancellationToken;

/// How a run may be told to stop. Clones share the state.
#[derive(Debug, Clone, Default)]
pub struct Stop {
    /// The process must end.
    pub drain: CancellationToken,
    /// A person wants the run to end.
    pub cancel: CancellationToken,
}

impl Stop {
    /// Returns one that drains when `drain` is cancelled, and is cancelled only by itself.
    pub fn draining(drain: &CancellationToken) -> Self {
        Self { drain: drain.clone(), cancel: CancellationToken::new() }
    }
}
