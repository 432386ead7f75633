//! Carries out what must follow commits, concurrently with the executor and without delaying it.
//!
//! One loop per owner: it takes the rows that are due, passes each target to the [`Settler`], and deletes the row
//! unless it was requested again in the meantime. After a failure the wait grows, but a target is never given up: a
//! store that was away for a night is in line with the state an hour after it is back.

use std::time::Duration;

use futures::StreamExt as _;
use jiff::SignedDuration;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::executor::Engine;
use super::runner::Settler;
use crate::store::{StoreError, ToSettle};
use crate::telemetry::chain;

/// How often to look for rows whose next try is due, when no commit asks.
const LOOK: Duration = Duration::from_secs(10);
const AT_ONCE: usize = 4;
const FIRST_WAIT: SignedDuration = SignedDuration::from_secs(5);
const DOUBLINGS: u32 = 8;

/// Settles until told to stop.
pub async fn run(engine: &Engine, settler: &dyn Settler, stop: &CancellationToken) {
    let mut look = tokio::time::interval(LOOK);
    while !stop.is_cancelled() {
        tokio::select! {
            () = engine.committed.notified() => settler.has_committed(),
            _ = look.tick() => {}
            () = stop.cancelled() => return,
        }
        if let Err(error) = settle_due(engine, settler).await {
            warn!("Looking for what is to be settled: {}", chain(&error));
        }
    }
}

/// Settles what is due, until a pass finds nothing more; returns what could not be settled.
///
/// # Errors
/// When the state store fails.
pub async fn settle_due(engine: &Engine, settler: &dyn Settler) -> Result<Vec<ToSettle>, StoreError> {
    let mut failed = Vec::new();
    loop {
        let due = engine.store.to_settle(engine.now()).await?;
        if due.is_empty() {
            return Ok(failed);
        }
        let mut settling = futures::stream::iter(due.into_iter().map(|row| settle_one(engine, settler, row)))
            .buffer_unordered(AT_ONCE);
        let mut in_pass = Vec::new();
        while let Some(left) = settling.next().await {
            in_pass.extend(left?);
        }
        tell(&in_pass);
        failed.extend(in_pass);
    }
}

async fn settle_one(engine: &Engine, settler: &dyn Settler, row: ToSettle) -> Result<Option<ToSettle>, StoreError> {
    match settler.settle(&row.target).await {
        Ok(()) => {
            debug!("Settled {}", row.target);
            engine.store.settled(&row.target, row.wanted).await?;
            Ok(None)
        }
        Err(error) => {
            let why = format!("{error:#}");
            let next = engine.now().checked_add(wait_after(row.tries)).unwrap_or(engine.now());
            engine.store.not_settled(&row.target, &why, next).await?;
            Ok(Some(ToSettle { tries: row.tries + 1, last_error: Some(why), ..row }))
        }
    }
}

/// Reports what could not be settled, once per pass: the failures of one pass mostly have one cause.
fn tell(failed: &[ToSettle]) {
    let Some(first) = failed.first() else { return };
    let why = first.last_error.as_deref().unwrap_or_default();
    warn!(tries = first.tries, others = failed.len() - 1, "Could not settle {}: {why}", first.target);
}

/// Returns how long a target waits after failed try number `tries` (from 0).
fn wait_after(tries: u32) -> SignedDuration {
    FIRST_WAIT * (1 << tries.min(DOUBLINGS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fails_waits_longer_each_time_up_to_twenty_minutes() {
        let waits: Vec<i64> = [0, 1, 2, 8, 9, 400].map(|tries| wait_after(tries).as_secs()).to_vec();

        assert_eq!(waits, [5, 10, 20, 1280, 1280, 1280]);
    }
}
