//! What has been done about the slots of the schedules.
//!
//! A slot is taken once, by a run or by a skip with its reason; the watermark of its DAG moves in the same transaction,
//! and only forward. Only a clock that turns out to have been wrong sets it back and frees the slots that it took. The
//! planner decides which slots are due.

use jiff::Timestamp;

use super::audit;
use super::contract::Watermark;
use super::database::{Database, Transaction};
use super::error::StoreError;
use super::mail_contract::Promise;
use super::revisions;
use super::row::Row;
use super::run_contract::RunFilter;
use crate::domain::ids::{DagName, RunId};
use crate::domain::job::SkippedSlot;

const SLOT_TAKE: &str = include_str!("../../sql/state/slot_take.sql");
const WATERMARK_MOVE: &str = include_str!("../../sql/state/watermark_move.sql");
const WATERMARK: &str = "SELECT slot, schedule FROM watermarks WHERE dag = $1";
const WATERMARK_SET: &str = include_str!("../../sql/state/watermark_set.sql");
const FREE: &str = include_str!("../../sql/state/slots_free.sql");
const SKIPPED_SINCE: &str = include_str!("../../sql/state/skipped_since.sql");
const SKIPPED: &str = include_str!("../../sql/state/slots_skipped.sql");

/// A slot of a DAG's schedule.
#[derive(Debug, Clone, Copy)]
pub(super) struct Slot<'a> {
    /// The DAG.
    pub(super) dag: &'a DagName,
    /// The instant that the schedule names.
    pub(super) at: Timestamp,
}

/// What happens to a slot.
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

/// Takes a slot without a run. A slot that was taken before stays as it is.
pub(super) async fn skip_slot(
    database: &Database,
    slot: &SkippedSlot,
    promise: Option<Promise<'_>>,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let SkippedSlot { dag, at, why } = slot;
    let mut tx = database.begin("skipping a slot").await?;
    let is_taken = take_slot(&mut tx, Slot { dag, at: *at }, Decision::Skip(why), now).await?;
    if is_taken {
        let entry = format!("the slot {at} of DAG {dag} was skipped: {why}");
        audit::append(&mut tx, audit::Origin::default(), &entry, now).await?;
        if let Some(promise) = &promise {
            revisions::promise(&mut tx, promise, now).await?;
        }
    }
    tx.commit().await?;
    Ok(is_taken)
}

/// Frees the slots that were skipped after `now`, and all after `beyond`.
pub(super) async fn free_slots(
    database: &Database,
    dag: &DagName,
    now: Timestamp,
    beyond: Timestamp,
) -> Result<u64, StoreError> {
    let mut tx = database.begin("freeing slots").await?;
    let freed = tx.execute(FREE, &[dag.into(), now.into(), beyond.into()]).await?;
    if freed > 0 {
        let entry = format!("{freed} slots of DAG {dag} after {now} were freed: a clock that was wrong had taken them");
        audit::append(&mut tx, audit::Origin::default(), &entry, now).await?;
    }
    tx.commit().await?;
    Ok(freed)
}

/// Returns the watermark of a DAG's schedule.
pub(super) async fn watermark(database: &Database, dag: &DagName) -> Result<Option<Watermark>, StoreError> {
    let row = database.row("reading a schedule's watermark", WATERMARK, &[dag.into()]).await?;
    row.map(|row| Ok(Watermark { at: row.instant("slot")?, schedule: row.text_or_null("schedule")? })).transpose()
}

/// Sets a DAG's watermark.
pub(super) async fn set_watermark(database: &Database, dag: &DagName, watermark: &Watermark) -> Result<(), StoreError> {
    let mut tx = database.begin("setting a watermark").await?;
    tx.execute(WATERMARK_SET, &[dag.into(), watermark.at.into(), watermark.schedule.as_deref().into()]).await?;
    tx.commit().await
}

/// Returns the slots of a DAG that were skipped since its last run for a slot other than `run_id`, oldest first.
pub(super) async fn skipped_since(
    tx: &mut Transaction,
    dag: &DagName,
    run_id: &RunId,
) -> Result<Vec<SkippedSlot>, StoreError> {
    tx.rows(SKIPPED_SINCE, &[dag.into(), run_id.into()]).await?.iter().map(skipped_of).collect()
}

/// Returns the slots that were skipped, newest first.
pub(super) async fn skipped(database: &Database, filter: &RunFilter) -> Result<Vec<SkippedSlot>, StoreError> {
    let limit = filter.limit.map_or(i64::MAX, i64::from);
    let binds = [filter.dag.as_ref().map(|dag| dag.as_str()).into(), limit.into()];
    database.rows("listing skipped slots", SKIPPED, &binds).await?.iter().map(skipped_of).collect()
}

fn skipped_of(row: &Row) -> Result<SkippedSlot, StoreError> {
    Ok(SkippedSlot { dag: row.parse("dag")?, at: row.instant("slot")?, why: row.text("skipped")? })
}
