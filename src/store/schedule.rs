//! What the schedules have dealt with, and whether a scheduler lives.
//!
//! A slot is taken once and for all, by a run or by a skip with its reason; the watermark of its DAG moves in the
//! same transaction, and only forward. Deciding which slots are due is the planner's.

use jiff::Timestamp;

use super::audit;
use super::database::{Database, Transaction};
use super::error::StoreError;
use super::mail_contract::Promise;
use super::revisions;
use crate::domain::ids::{DagName, RunId};

const SLOT_TAKE: &str = include_str!("../../sql/state/slot_take.sql");
const WATERMARK_MOVE: &str = include_str!("../../sql/state/watermark_move.sql");
const ALIVE: &str = include_str!("../../sql/state/scheduler_alive.sql");
const WATERMARK: &str = "SELECT slot FROM watermarks WHERE dag = $1";
const STOPPED: &str = "DELETE FROM schedulers WHERE owner = $1";
const LIVING: &str = "SELECT owner FROM schedulers WHERE alive_until > $1";

/// A slot of a DAG's schedule.
#[derive(Debug, Clone, Copy)]
pub(super) struct Slot<'a> {
    /// The DAG.
    pub(super) dag: &'a DagName,
    /// The instant that the schedule names.
    pub(super) at: Timestamp,
}

/// What becomes of a slot.
#[derive(Debug, Clone, Copy)]
pub(super) enum Decision<'a> {
    /// A run, which is inserted in the same transaction after this.
    Run(&'a RunId),
    /// None, for this reason.
    Skip(&'a str),
}

/// Takes a slot and moves the watermark; returns whether the slot was free.
pub(super) async fn take_slot(
    tx: &mut Transaction,
    slot: Slot<'_>,
    decision: Decision<'_>,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let (run_id, why) = match decision {
        Decision::Run(run_id) => (Some(run_id.as_str()), None),
        Decision::Skip(why) => (None, Some(why)),
    };
    let taken =
        tx.execute(SLOT_TAKE, &[slot.dag.into(), slot.at.into(), run_id.into(), why.into(), now.into()]).await?;
    if taken == 0 {
        return Ok(false);
    }
    tx.execute(WATERMARK_MOVE, &[slot.dag.into(), slot.at.into()]).await?;
    Ok(true)
}

/// Takes a slot without a run. A slot that was dealt with before stays as it is.
pub(super) async fn skip_slot(
    database: &Database,
    dag: &DagName,
    slot: Timestamp,
    why: &str,
    promise: Option<Promise<'_>>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let mut tx = database.begin("skipping a slot").await?;
    if take_slot(&mut tx, Slot { dag, at: slot }, Decision::Skip(why), now).await? {
        let entry = format!("the slot {slot} of DAG {dag} was skipped: {why}");
        audit::append(&mut tx, audit::Origin::default(), &entry, now).await?;
        if let Some(promise) = &promise {
            revisions::promise(&mut tx, promise, now).await?;
        }
    }
    tx.commit().await
}

/// Returns the last slot that a DAG's schedule has dealt with.
pub(super) async fn watermark(database: &Database, dag: &DagName) -> Result<Option<Timestamp>, StoreError> {
    let row = database.row("reading a schedule's watermark", WATERMARK, &[dag.into()]).await?;
    row.map(|row| row.instant("slot")).transpose()
}

/// Says until when a scheduler lives, or that it has stopped.
pub(super) async fn scheduler_alive(
    database: &Database,
    owner: &str,
    until: Option<Timestamp>,
) -> Result<(), StoreError> {
    let mut tx = database.begin("noting that a scheduler lives").await?;
    match until {
        Some(until) => tx.execute(ALIVE, &[owner.into(), until.into()]).await?,
        None => tx.execute(STOPPED, &[owner.into()]).await?,
    };
    tx.commit().await
}

/// Returns whether a scheduler lives.
pub(super) async fn is_scheduler_alive(database: &Database, now: Timestamp) -> Result<bool, StoreError> {
    Ok(database.row("looking for a living scheduler", LIVING, &[now.into()]).await?.is_some())
}
