//! Events: what happened to runs and jobs, each written in the transaction that makes the change.

use jiff::Timestamp;

use super::database::{Bind, Database, Transaction};
use super::error::StoreError;
use super::job_at::JobAt;
use super::row::Row;
use super::run_contract::EventRecord;
use crate::domain::ids::RunId;
use crate::domain::run::{JobEvent, RunEvent};

const EVENT_INSERT: &str = "INSERT INTO events (at, run_id, job, event) VALUES ($1, $2, $3, $4) RETURNING seq";
const EVENTS: &str = "SELECT seq, at, run_id, job, event FROM events WHERE run_id = $1 AND seq > $2 ORDER BY seq";

pub(super) async fn write_run_event(
    tx: &mut Transaction,
    run_id: &RunId,
    event: &RunEvent,
    now: Timestamp,
) -> Result<(), StoreError> {
    let event = tx.json("an event", event)?;
    tx.execute(EVENT_INSERT, &[now.into(), run_id.into(), Bind::Text(None), (&event).into()]).await?;
    Ok(())
}

/// Writes an event of a job and returns its number.
pub(super) async fn write_job_event(tx: &mut Transaction, at: JobAt<'_>, event: &JobEvent) -> Result<i64, StoreError> {
    let event = tx.json("an event", event)?;
    let row = tx.row(EVENT_INSERT, &[at.now.into(), at.run_id.into(), at.job.into(), (&event).into()]).await?;
    row.ok_or_else(|| StoreError::Unreadable { what: "seq", found: "no row".to_owned() })?.int("seq")
}

/// Returns a run's events after the number `after`.
pub(super) async fn events(database: &Database, run_id: &RunId, after: i64) -> Result<Vec<EventRecord>, StoreError> {
    let rows = database.rows("reading events", EVENTS, &[run_id.into(), after.into()]).await?;
    rows.iter().map(event_of).collect()
}

pub(super) fn event_of(row: &Row) -> Result<EventRecord, StoreError> {
    Ok(EventRecord {
        seq: row.int("seq")?,
        at: row.instant("at")?,
        run_id: RunId::from_stored(row.text("run_id")?),
        job: row.text_or_null("job")?.map(|_| row.parse("job")).transpose()?,
        event: row.json("event")?,
    })
}
