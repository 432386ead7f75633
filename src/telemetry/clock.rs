//! The clock of the system, which everything else gets as a [`Clock`].

use jiff::Timestamp;

use crate::domain::clock::Clock;

/// The clock of the system.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        #[expect(clippy::disallowed_methods, reason = "this is the system's clock that the ban points to")]
        Timestamp::now()
    }
}
