//! The system clock, which everything else receives as a [`Clock`].

use jiff::Timestamp;

use crate::domain::clock::Clock;

/// The system clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        #[expect(clippy::disallowed_methods, reason = "this is the system's clock that the ban points to")]
        Timestamp::now()
    }
}
