//! How often a failed attempt is tried again, and after what wait.
//!
//! The job says whether another try makes sense (`JobError::Retry`); this policy says when. Pure: the jitter is passed
//! in as a number, so that tests and replays are exact.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How many attempts of a job may be lost with their process before the job fails, so that a job that kills its process
/// is not repeated for ever.
pub const LOST_BUDGET: u32 = 3;

/// How many times a job may run because what it was going to replace had changed.
pub const SUPERSEDED_BUDGET: u32 = 3;

/// A retry policy with exponential back-off.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetryPolicy {
    /// Attempts in all, the first included; at least 1.
    pub attempts: u32,
    /// The wait after the first failure; it doubles after each further one.
    pub backoff: Duration,
    /// The longest wait.
    pub max_backoff: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self { attempts: 1, backoff: Duration::from_secs(30), max_backoff: Duration::from_secs(600) }
    }
}

impl RetryPolicy {
    /// Returns the wait after failed try number `failures` (from 1), or `None` when there is no further one.
    ///
    /// `jitter` in [0, 1) spreads the wait over its upper half, so that many clients do not return at once.
    pub fn wait_after(&self, failures: u32, jitter: f64) -> Option<Duration> {
        if failures >= self.attempts {
            return None;
        }
        let doublings = failures.saturating_sub(1).min(31);
        let whole = self.backoff.saturating_mul(1 << doublings).min(self.max_backoff);
        Some(whole.mul_f64(0.5 + 0.5 * jitter.clamp(0.0, 1.0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_doubles_up_to_its_limit_and_ends_with_the_last_attempt() {
        let policy =
            RetryPolicy { attempts: 5, backoff: Duration::from_secs(10), max_backoff: Duration::from_secs(30) };

        let waits: Vec<_> = (1..=5).map(|attempt| policy.wait_after(attempt, 1.0).map(|w| w.as_secs())).collect();

        assert_eq!(waits, vec![Some(10), Some(20), Some(30), Some(30), None]);
        assert_eq!(policy.wait_after(1, 0.0), Some(Duration::from_secs(5)));
    }
}
