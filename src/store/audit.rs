//! The audit log: a chain of hashes, each over the entry and the one before.
//!
//! An entry's hash is SHA-256 over the previous hash and the entry's canonical JSON, so no entry can be changed,
//! inserted or removed without breaking every later one; the head row shows when entries at the end are missing.
//! Writers wait for each other on the head row: it is the last thing that a transaction touches. Entries name actions
//! and who asked; they never hold anything about a student.

use jiff::Timestamp;

use super::database::{Bind, Database, Transaction, storable};
use super::error::StoreError;
use super::repair_contract::AuditEntry;
use super::row::Row;
use crate::domain::ids::{JobName, RunId, content_hash};

const INSERT: &str = include_str!("../../sql/state/audit_insert.sql");
const HEAD_NEXT: &str = "UPDATE audit_head SET seq = seq + 1 RETURNING seq, hash";
const HEAD_HASH: &str = "UPDATE audit_head SET hash = $1";
const HEAD: &str = "SELECT seq, hash FROM audit_head";
const NEWEST: &str = include_str!("../../sql/state/audit_entries.sql");
const ENTRIES: &str = "SELECT seq, at, run_id, job, attempt, entry, hash FROM audit_log WHERE seq <= $1 ORDER BY seq";

/// Where an entry comes from.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Origin<'a> {
    /// The run, if it belongs to one.
    pub(super) run_id: Option<&'a RunId>,
    /// The job and its attempt, if an attempt made it.
    pub(super) attempt: Option<(&'a JobName, u32)>,
}

/// An entry as it is hashed.
struct Entry {
    seq: i64,
    at: Timestamp,
    run_id: Option<String>,
    job: Option<String>,
    attempt: Option<i64>,
    text: String,
}

/// Appends an entry.
pub(super) async fn append(
    tx: &mut Transaction,
    origin: Origin<'_>,
    text: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    let head = tx.row(HEAD_NEXT, &[]).await?.ok_or_else(no_head)?;
    let (job, attempt) = origin.attempt.unzip();
    let entry = Entry {
        seq: head.int("seq")?,
        at: now,
        run_id: origin.run_id.map(ToString::to_string),
        job: job.map(ToString::to_string),
        attempt: attempt.map(i64::from),
        text: storable(text).into_owned(),
    };
    let hash = entry.chained_to(&head.text("hash")?);

    let binds = [
        entry.seq.into(),
        now.into(),
        entry.run_id.as_deref().into(),
        entry.job.as_deref().into(),
        Bind::Int(entry.attempt),
        (&entry.text).into(),
        (&hash).into(),
    ];
    tx.execute(INSERT, &binds).await?;
    tx.execute(HEAD_HASH, &[(&hash).into()]).await?;
    Ok(())
}

/// Returns entries, newest first.
pub(super) async fn entries(
    database: &Database,
    run_id: Option<&RunId>,
    limit: u32,
) -> Result<Vec<AuditEntry>, StoreError> {
    let binds = [run_id.map(RunId::as_str).into(), limit.into()];
    let rows = database.rows("reading the audit log", NEWEST, &binds).await?;
    let entry = |row: &Row| {
        Ok(AuditEntry {
            seq: row.int("seq")?,
            at: row.instant("at")?,
            run_id: row.text_or_null("run_id")?.map(RunId::from_stored),
            job: row.text_or_null("job")?.map(|_| row.parse("job")).transpose()?,
            entry: row.text("entry")?,
        })
    };
    rows.iter().map(entry).collect()
}

/// Walks the whole chain; returns the number of entries and what is wrong with them.
pub(super) async fn verify(database: &Database) -> Result<(u64, Vec<String>), StoreError> {
    let head = database.row("verifying the audit log", HEAD, &[]).await?.ok_or_else(no_head)?;
    let (written, head_hash) = (head.int("seq")?, head.text("hash")?);
    // Entries appended since the head was read are left to the next check.
    let rows = database.rows("verifying the audit log", ENTRIES, &[written.into()]).await?;

    let mut problems = Vec::new();
    let (mut entries, mut last, mut previous) = (0, 0, String::new());
    for row in &rows {
        let (entry, stored) = (Entry::of(row)?, row.text("hash")?);
        if entry.seq != last + 1 {
            problems.push(format!("audit log: entry {} is missing", last + 1));
        }
        if entry.chained_to(&previous) != stored {
            problems.push(format!("audit log: entry {} or the one before it was changed", entry.seq));
        }
        (entries, last, previous) = (entries + 1, entry.seq, stored);
    }
    if (written, &head_hash) != (last, &previous) {
        problems.push(format!("audit log: it ends at entry {last}, and {written} were written"));
    }
    Ok((entries, problems))
}

impl Entry {
    fn of(row: &Row) -> Result<Self, StoreError> {
        Ok(Self {
            seq: row.int("seq")?,
            at: row.instant("at")?,
            run_id: row.text_or_null("run_id")?,
            job: row.text_or_null("job")?,
            attempt: row.int_or_null("attempt")?,
            text: row.text("entry")?,
        })
    }

    /// Returns the hash over the previous entry's hash and this entry's canonical JSON: an array in this order, for
    /// ever.
    fn chained_to(&self, previous: &str) -> String {
        let micros = self.at.as_microsecond();
        let canonical = serde_json::json!([self.seq, micros, self.run_id, self.job, self.attempt, self.text]);
        content_hash(format!("{previous}{canonical}").as_bytes())
    }
}

fn no_head() -> StoreError {
    StoreError::Unreadable { what: "audit_head", found: "no row".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_of_an_entry_is_the_same_for_ever() {
        let at = Timestamp::from_second(1_795_000_000).unwrap();
        let entry = Entry { seq: 1, at, run_id: None, job: None, attempt: None, text: "a \"word\"".to_owned() };

        assert_eq!(entry.chained_to(""), content_hash(br#"[1,1795000000000000,null,null,null,"a \"word\""]"#));
    }
}
