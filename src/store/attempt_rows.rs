//! The rows of attempts: how one ends. What an attempt staged but did not commit must be removed then.

use jiff::Timestamp;

use super::database::{Bind, Transaction};
use super::error::StoreError;
use super::job_at::JobAt;
use super::settle;
use crate::domain::job::attempt_name;
use crate::domain::run::IllegalTransition;

const ATTEMPT_END: &str = include_str!("../../sql/state/attempt_end.sql");
const ATTEMPT: &str = "SELECT state, fence FROM attempts WHERE run_id = $1 AND job = $2 AND attempt = $3";

/// How an attempt's row ends.
#[derive(Debug, Default)]
pub(super) struct Ending<'a> {
    /// The attempt's number.
    pub(super) attempt: u32,
    /// The state of its row.
    pub(super) state: &'static str,
    /// When the next one begins.
    pub(super) retry_at: Option<Timestamp>,
    /// Why it failed.
    pub(super) error: Option<&'a str>,
    /// What its outcome was made from, as JSON.
    pub(super) fingerprint: Option<String>,
    /// Why it ran, as JSON.
    pub(super) why: Option<String>,
    /// What it returned, as JSON.
    pub(super) outcome: Option<&'a str>,
}

/// Returns an attempt's state and fence; `None` if it never began.
pub(super) async fn stored(
    tx: &mut Transaction,
    at: JobAt<'_>,
    attempt: u32,
) -> Result<Option<(String, String)>, StoreError> {
    let row = tx.row(ATTEMPT, &[at.run_id.into(), at.job.into(), attempt.into()]).await?;
    row.map(|row| Ok((row.text("state")?, row.text("fence")?))).transpose()
}

/// Ends an attempt of a job that runs, as the event `seq` says.
pub(super) async fn end_attempt(
    tx: &mut Transaction,
    at: JobAt<'_>,
    ending: &Ending<'_>,
    seq: i64,
) -> Result<(), StoreError> {
    let binds: [Bind<'_>; 11] = [
        at.run_id.into(),
        at.job.into(),
        ending.attempt.into(),
        ending.state.into(),
        at.now.into(),
        ending.retry_at.into(),
        ending.error.into(),
        ending.fingerprint.as_deref().into(),
        ending.outcome.into(),
        seq.into(),
        ending.why.as_deref().into(),
    ];
    if tx.execute(ATTEMPT_END, &binds).await? == 1 {
        if ending.state != "succeeded" {
            let staged = settle::staged(&attempt_name(at.run_id, at.job, ending.attempt));
            settle::want(tx, &staged, at.now).await?;
        }
        return Ok(());
    }
    let event = format!("attempt {} is {}", ending.attempt, ending.state);
    Err(IllegalTransition { what: "attempt", state: "not running", event }.into())
}

/// Returns how an attempt ends that is cancelled.
pub(super) fn cancelled(attempt: u32) -> Ending<'static> {
    Ending { attempt, state: "cancelled", ..Ending::default() }
}
