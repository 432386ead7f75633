//! The check before every write that belongs to a run: it verifies the fencing token by updating the run's row, so that
//! on PostgreSQL all writers of one run wait for each other there.

use jiff::civil::Date;

use super::database::Transaction;
use super::error::StoreError;
use super::run_contract::Claim;
use crate::domain::ids::{DagName, RunId};
use crate::domain::run::{IllegalTransition, RunState};

const LOCK: &str = "UPDATE runs SET token = token WHERE run_id = $1 RETURNING state, cancel_requested";
const HOLD: &str = "UPDATE runs SET token = token WHERE run_id = $1 AND token = $2 \
                    RETURNING state, dag, logical_date, \
                    CAST(CASE WHEN backfill IS NULL THEN 1 ELSE 0 END AS BIGINT) AS sends_mail, repairs, \
                    CAST(CASE WHEN only_jobs IS NULL THEN 0 ELSE 1 END AS BIGINT) AS is_partial";
const REPAIRED: &str = "SELECT backfill, repairs FROM runs WHERE run_id = $1";
const EXISTS: &str = "SELECT run_id FROM runs WHERE run_id = $1";

/// A run whose row a transaction has locked, with its token checked.
pub(super) struct Held {
    /// Its state.
    pub(super) state: RunState,
    /// Its DAG.
    pub(super) dag: DagName,
    /// Its logical date.
    pub(super) date: Date,
    /// Whether it is for some of the DAG's jobs only.
    pub(super) is_partial: bool,
    /// Whether it sends e-mails: those of a backfill, and of a retry of its runs, would be about old nights.
    pub(super) sends_mail: bool,
}

/// Checks that `claim` is still valid for its run, and returns the run.
pub(super) async fn hold(tx: &mut Transaction, claim: &Claim) -> Result<Held, StoreError> {
    let run_id = &claim.run_id;
    claim.tenure.check()?;
    if let Some(row) = tx.row(HOLD, &[run_id.into(), claim.token.into()]).await? {
        let (state, dag, date) = (row.parse("state")?, row.parse("dag")?, row.parse("logical_date")?);
        let is_partial = row.flag("is_partial")?;
        let sends_mail = row.flag("sends_mail")? && !repairs_backfill(tx, row.text_or_null("repairs")?).await?;
        return Ok(Held { state, dag, date, is_partial, sends_mail });
    }
    match tx.row(EXISTS, &[run_id.into()]).await? {
        Some(_) => Err(StoreError::Fenced { run_id: run_id.clone() }),
        None => Err(StoreError::NoRun { run_id: run_id.clone() }),
    }
}

/// Returns whether a run, or one that it repairs in its turn, belongs to a backfill.
async fn repairs_backfill(tx: &mut Transaction, mut run: Option<String>) -> Result<bool, StoreError> {
    while let Some(repaired) = run {
        let Some(row) = tx.row(REPAIRED, &[repaired.as_str().into()]).await? else { return Ok(false) };
        if row.text_or_null("backfill")?.is_some() {
            return Ok(true);
        }
        run = row.text_or_null("repairs")?;
    }
    Ok(false)
}

/// Like [`hold`], for changes of the run's jobs: only a running run accepts them.
pub(super) async fn hold_running(tx: &mut Transaction, claim: &Claim) -> Result<Held, StoreError> {
    let held = hold(tx, claim).await?;
    if held.state == RunState::Running {
        return Ok(held);
    }
    Err(IllegalTransition { what: "run", state: held.state.as_str(), event: "news of its jobs".to_owned() }.into())
}

/// A run whose row a transaction has locked.
pub(super) struct Locked {
    /// Its state.
    pub(super) state: RunState,
    /// Whether a person asked to stop it.
    pub(super) is_cancel_requested: bool,
}

/// Locks a run's row until the transaction's end.
pub(super) async fn lock(tx: &mut Transaction, run_id: &RunId) -> Result<Locked, StoreError> {
    let row = tx.row(LOCK, &[run_id.into()]).await?;
    let row = row.ok_or_else(|| StoreError::NoRun { run_id: run_id.clone() })?;
    Ok(Locked { state: row.parse("state")?, is_cancel_requested: row.flag("cancel_requested")? })
}
