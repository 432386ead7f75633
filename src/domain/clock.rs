//! The clock as a parameter: the time is an input like any other.
//!
//! Nothing in the library asks the system for the time; the system clock is in `telemetry` and is handed down by `app`.
//! Tests use [`FixedClock`].

use jiff::Timestamp;

/// Tells the time.
pub trait Clock: Send + Sync + 'static {
    /// Returns the current time.
    fn now(&self) -> Timestamp;
}

/// A clock that stays where it was set, for tests and for replays.
#[derive(Debug, Clone, Copy)]
pub struct FixedClock(pub Timestamp);

impl Clock for FixedClock {
    fn now(&self) -> Timestamp {
        self.0
    }
}
