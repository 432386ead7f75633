//! The clock as a parameter: what the time is, is an input like any other.
//!
//! Nothing in the library asks the system for the time; the system's clock lives in `telemetry`
//! and is handed down by `app`. Tests use [`FixedClock`].

use jiff::Timestamp;

/// Tells the time.
pub trait Clock: Send + Sync + 'static {
    /// Returns the present instant.
    fn now(&self) -> Timestamp;
}

/// A clock that stands where it was put, for tests and for replays.
#[derive(Debug, Clone, Copy)]
pub struct FixedClock(pub Timestamp);

impl Clock for FixedClock {
    fn now(&self) -> Timestamp {
        self.0
    }
}
