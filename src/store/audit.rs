//! The audit log: a chain of hashes, each over the entry and the one before.
//!
//! An entry's hash is SHA-256 over the previous hash and the entry's canonical JSON, so no entry can be changed,
//! inserted or taken out without breaking every later one; the head row shows when entries at the end are gone.
//! Writers wait for each other on the head row: it is the last thing that a transaction touches.
//! Entries name actions and who asked; they never hold anything about a student.

use jiff::Timestamp;

use super::database::{Database, Transaction};
use super::error::StoreError;
use super::row::Row;
use crate::domain::ids::{JobName, RunId, content_hash};

const INSERT: &str = include_str!("../../sql/state/audit_insert.sql");
const HEAD_NEXT: &str = "UPDATE audit_head SET seq = seq + 1 RETURNING seq, hash";
const HEAD_HASH: &str = "UPDATE audit_head SET hash = $1";
const HEAD: &str = "SELECT seq, hash FROM audit_head";
const ALL: &str = "SELECT seq, at, run_id, job, attempt, entry, hash FROM audit_log ORDER BY seq";

/// Where an entry comes from.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Origin<'a> {
    /// The run, where it belongs to one.
    pub(super) run_id: Option<&'a RunId>,
    /// The job and its attempt, where an attempt made it.
    pub(super) attempt: Option<(&'a JobName, u32)>,
}

/// Appends an entry.
pub(super) async fn append(
    tx: &mut Transaction,
    origin: Origin<'_>,
    entry: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    let head = tx.row(HEAD_NEXT, &[]).await?.ok_or_else(no_head)?;
    let (seq, previous) = (head.int("seq")?, head.text("hash")?);
    let (job, attempt) = origin.attempt.unzip();
    let (run_id, job) = (origin.run_id.map(RunId::as_str), job.map(JobName::as_str));

    let hash = chained(&previous, &canonical(seq, now, run_id, job, attempt.map(i64::from), entry));

    let attempt = super::database::Bind::Int(attempt.map(i64::from));
    tx.execute(INSERT, &[seq.into(), now.into(), run_id.into(), job.into(), attempt, entry.into(), (&hash).into()])
        .await?;
    tx.execute(HEAD_HASH, &[(&hash).into()]).await?;
    Ok(())
}

/// Walks the whole chain; returns the number of entries and what is wrong with them.
pub(super) async fn verify(database: &Database) -> Result<(u64, Vec<String>), StoreError> {
    let rows = database.rows("verifying the audit log", ALL, &[]).await?;
    let head = database.row("verifying the audit log", HEAD, &[]).await?.ok_or_else(no_head)?;

    let mut problems = Vec::new();
    let (mut entries, mut expected_seq, mut previous) = (0, 1, String::new());
    for row in &rows {
        let (seq, stored) = (row.int("seq")?, row.text("hash")?);
        if seq != expected_seq {
            problems.push(format!("audit log: entry {expected_seq} is missing"));
        }
        if chained(&previous, &canonical_of(row)?) != stored {
            problems.push(format!("audit log: entry {seq} or the one before it was changed"));
        }
        (entries, expected_seq, previous) = (entries + 1, seq + 1, stored);
    }
    let (last, hash) = (head.int("seq")?, head.text("hash")?);
    if (last, &hash) != (expected_seq - 1, &previous) {
        problems.push(format!("audit log: it ends at entry {}, and {last} were written", expected_seq - 1));
    }
    Ok((entries, problems))
}

fn chained(previous: &str, canonical: &str) -> String {
    content_hash(format!("{previous}{canonical}").as_bytes())
}

fn canonical(
    seq: i64,
    at: Timestamp,
    run_id: Option<&str>,
    job: Option<&str>,
    attempt: Option<i64>,
    entry: &str,
) -> String {
    serde_json::json!([seq, at.as_microsecond(), run_id, job, attempt, entry]).to_string()
}

fn canonical_of(row: &Row) -> Result<String, StoreError> {
    let (run_id, job) = (row.text_or_null("run_id")?, row.text_or_null("job")?);
    Ok(canonical(
        row.int("seq")?,
        row.instant("at")?,
        run_id.as_deref(),
        job.as_deref(),
        row.int_or_null("attempt")?,
        &row.text("entry")?,
    ))
}

fn no_head() -> StoreError {
    StoreError::Unreadable { what: "audit_head", found: "no row".to_owned() }
}
