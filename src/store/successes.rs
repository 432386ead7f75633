//! The last successes of jobs, and how long they took.

use jiff::SignedDuration;
use jiff::civil::Date;

use super::attempt_contract::LastSuccess;
use super::database::{Database, Transaction};
use super::error::StoreError;
use super::row::Row;
use crate::domain::ids::{DagName, JobName, RunId};

const DURATIONS: &str = include_str!("../../sql/state/job_durations.sql");
const LAST_SUCCESS: &str = include_str!("../../sql/state/last_success.sql");
const LATER_SUCCESS: &str = include_str!("../../sql/state/later_success.sql");
const LAST_SUCCESS_OF_DATE: &str = include_str!("../../sql/state/last_success_of_date.sql");

/// Returns a job's last success for one date, or without one for its newest date.
pub(super) async fn last_success(
    database: &Database,
    dag: &DagName,
    job: &JobName,
    logical_date: Option<Date>,
) -> Result<Option<LastSuccess>, StoreError> {
    let operation = "reading a job's last success";
    let row = match logical_date.map(|date| date.to_string()) {
        Some(date) => database.row(operation, LAST_SUCCESS_OF_DATE, &[dag.into(), job.into(), (&date).into()]).await?,
        None => database.row(operation, LAST_SUCCESS, &[dag.into(), job.into()]).await?,
    };
    row.map(|row| success_of(&row)).transpose()
}

/// Returns the success that a run for `date` goes on from, as a transaction sees it: the last one for that date, else the
/// last one for the job's newest date.
pub(super) async fn last_success_within(
    tx: &mut Transaction,
    dag: &DagName,
    job: &JobName,
    date: Date,
) -> Result<Option<LastSuccess>, StoreError> {
    let date = date.to_string();
    let row = match tx.row(LAST_SUCCESS_OF_DATE, &[dag.into(), job.into(), (&date).into()]).await? {
        Some(row) => Some(row),
        None => tx.row(LAST_SUCCESS, &[dag.into(), job.into()]).await?,
    };
    row.map(|row| success_of(&row)).transpose()
}

/// Returns whether a job has succeeded for a later date: then a run for `date` leaves what is current.
pub(super) async fn has_later_success(
    tx: &mut Transaction,
    dag: &DagName,
    job: &JobName,
    date: Date,
) -> Result<bool, StoreError> {
    let date = date.to_string();
    Ok(tx.row(LATER_SUCCESS, &[dag.into(), job.into(), (&date).into()]).await?.is_some())
}

pub(super) fn success_of(row: &Row) -> Result<LastSuccess, StoreError> {
    Ok(LastSuccess {
        run_id: RunId::from_stored(row.text("run_id")?),
        logical_date: row.parse("logical_date")?,
        // Earlier versions stored one hash of everything: it names nothing, and program and hash have changed anyway.
        fingerprint: row.text_or_null("fingerprint")?.and_then(|text| serde_json::from_str(&text).ok()),
        outcome: row.json("outcome")?,
    })
}

/// Returns how long the last successes of a job took.
pub(super) async fn durations(
    database: &Database,
    dag: &DagName,
    job: &JobName,
    most: u32,
) -> Result<Vec<SignedDuration>, StoreError> {
    let rows = database.rows("reading a job's durations", DURATIONS, &[dag.into(), job.into(), most.into()]).await?;
    rows.iter().map(|row| row.int("took").map(SignedDuration::from_micros)).collect()
}
