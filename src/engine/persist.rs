//! Asking the state store until it answers: a busy, full or restarting database is not the end of a night.
//!
//! Only what the store calls transient is asked again, with growing waits, until the patience runs out. Every question
//! that is asked through here may be asked twice: the store's contract allows that.

use std::time::Duration;

use backon::{ExponentialBuilder, Retryable as _};
use tracing::warn;

use crate::store::StoreError;
use crate::telemetry::chain;

const FIRST_WAIT: Duration = Duration::from_millis(20);
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// Asks until there is an answer or a permanent error, or until `patience` runs out.
pub(crate) async fn persist<T, A>(patience: Duration, ask: impl FnMut() -> A) -> Result<T, StoreError>
where
    A: Future<Output = Result<T, StoreError>>,
{
    let waits = ExponentialBuilder::default()
        .with_min_delay(FIRST_WAIT)
        .with_max_delay(LONGEST_WAIT)
        .with_total_delay(Some(patience))
        .without_max_times();
    ask.retry(waits)
        .sleep(tokio::time::sleep)
        .when(StoreError::is_transient)
        .notify(|error, wait| warn!(wait_ms = wait.as_millis(), "The state store is asked again: {}", chain(error)))
        .await
}
