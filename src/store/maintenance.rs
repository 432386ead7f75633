//! What `nocturne db` does: migrate, check, back up.
//!
//! A check reads everything and changes nothing: the database's own integrity, the audit chain, and that every state,
//! DAG and outcome still parses. It reports everything it finds, never a row's content. A backup of SQLite is one
//! consistent file, made while others write; a server's database is backed up on the server.

use std::path::Path;

use serde::Serialize;

use super::database::{Database, Pools};
use super::error::StoreError;
use super::sql_store::connect;
use super::sqlite::Opened;
use super::{audit, commit, events, migrations, ownership, runs, sqlite};
use crate::domain::ids::{KindName, RunId};
use crate::domain::outcome::Outcome;
use crate::domain::run::JobState;
use crate::telemetry::progress;

const RUN_IDS: &str = "SELECT run_id FROM runs ORDER BY run_id";
const JOBS: &str = "SELECT run_id, job, kind, state FROM jobs ORDER BY run_id, job";
const OPEN_IN_DONE: &str = include_str!("../../sql/state/open_in_done.sql");
const ATTEMPTS: &str = "SELECT run_id, job, attempt, state, outcome FROM attempts ORDER BY run_id, job, attempt";
const ATTEMPT_STATES: [&str; 7] = ["running", "succeeded", "failed", "lost", "drained", "superseded", "cancelled"];

/// The result of a migration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MigrationReport {
    /// The schema before; 0: there was none.
    pub before: i64,
    /// The schema now.
    pub now: i64,
}

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CheckReport {
    /// The schema.
    pub schema: i64,
    /// Runs that were read.
    pub runs: u64,
    /// Attempts that were read.
    pub attempts: u64,
    /// Entries of the audit log that were read.
    pub audit_entries: u64,
    /// What is wrong, one line each; empty if nothing is.
    pub problems: Vec<String>,
}

/// What a check of the audit log found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AuditReport {
    /// Entries that were read.
    pub entries: u64,
    /// What is wrong, one line each; empty if nothing is.
    pub problems: Vec<String>,
}

/// Reads the audit log of the state store at `url`, and reports where its chain is broken.
///
/// # Errors
/// When it cannot be opened or read at all.
pub async fn verify_audit(url: &str) -> Result<AuditReport, StoreError> {
    let database = connect(url, Opened::ToRead).await?;
    let (entries, problems) = audit::verify(&database).await?;
    Ok(AuditReport { entries, problems })
}

/// Brings the state store at `url` to the newest schema, and creates one if there is none.
///
/// # Errors
/// When it cannot be opened or migrated, or a newer program wrote it.
pub async fn migrate(url: &str) -> Result<MigrationReport, StoreError> {
    ownership::refuse_beside_earlier_owner(url)?;
    let database = connect(url, Opened::Made).await?;
    let before = migrations::apply(&database).await?;
    Ok(MigrationReport { before, now: migrations::KNOWN })
}

/// Reads the whole state store at `url` and reports what is wrong with it.
///
/// # Errors
/// When it cannot be opened or read at all, or a newer program wrote it.
pub async fn check(url: &str) -> Result<CheckReport, StoreError> {
    let database = connect(url, Opened::ToRead).await?;
    let schema = migrations::found(&database).await?;
    let mut report = CheckReport { schema, runs: 0, attempts: 0, audit_entries: 0, problems: Vec::new() };
    if schema < migrations::KNOWN {
        let known = migrations::KNOWN;
        report.problems.push(format!("the schema is {schema} and should be {known}: run `nocturne db migrate`"));
        return Ok(report);
    }
    check_file(&database, &mut report).await?;
    let (entries, problems) = audit::verify(&database).await?;
    report.audit_entries = entries;
    report.problems.extend(problems);
    check_runs(&database, &mut report).await?;
    check_jobs(&database, &mut report).await?;
    check_attempts(&database, &mut report).await?;
    note(&mut report, "snapshots", commit::snapshots(&database).await)?;
    note(&mut report, "models", commit::models(&database).await)?;
    Ok(report)
}

/// Writes a consistent copy of the SQLite state store at `url` to the new file `target`, readable by its owner only.
///
/// # Errors
/// When the store is on a server, the target exists or cannot be created, or the copy fails.
pub async fn backup(url: &str, target: &Path) -> Result<(), StoreError> {
    let database = connect(url, Opened::There).await?;
    let Pools::Sqlite { write, .. } = &database.pools else {
        return Err(StoreError::BackupOnServer { url: database.url });
    };
    sqlite::prepare_backup(target)?;
    let copied = sqlx::query("VACUUM INTO $1").bind(target.display().to_string()).execute(write).await;
    if copied.is_err()
        && let Err(error) = std::fs::remove_file(target)
    {
        tracing::warn!(%error, path = %target.display(), "Could not remove the unfinished backup");
    }
    copied.map(|_| ()).map_err(|cause| StoreError::Query { operation: "copying the database", cause })
}

async fn check_file(database: &Database, report: &mut CheckReport) -> Result<(), StoreError> {
    report.problems.extend(problems_of_file(database).await?);
    Ok(())
}

/// Returns what is wrong with a database's file, whatever its schema; nothing if it is on a server.
pub(super) async fn problems_of_file(database: &Database) -> Result<Vec<String>, StoreError> {
    let mut problems = Vec::new();
    if !matches!(database.pools, Pools::Sqlite { .. }) {
        return Ok(problems);
    }
    for row in database.rows("checking the file", "PRAGMA integrity_check", &[]).await? {
        let line = row.text("integrity_check")?;
        if line != "ok" {
            problems.push(format!("the file is damaged: {line}"));
        }
    }
    for row in database.rows("checking the references", "PRAGMA foreign_key_check", &[]).await? {
        let (table, parent) = (row.text("table")?, row.text("parent")?);
        problems.push(format!("a row of `{table}` names a row of `{parent}` that is not there"));
    }
    Ok(problems)
}

async fn check_runs(database: &Database, report: &mut CheckReport) -> Result<(), StoreError> {
    let rows = database.rows("checking the runs", RUN_IDS, &[]).await?;
    for row in &rows {
        progress::report("runs", report.runs, Some(rows.len() as u64));
        let run_id = RunId::from_stored(row.text("run_id")?);
        let what = format!("run {run_id}");
        report.runs += 1;
        note(report, &what, runs::one(database, &run_id).await)?;
        note(report, &what, runs::dag_of(database, &run_id).await)?;
        note(report, &what, events::events(database, &run_id, 0).await)?;
    }
    for row in database.rows("checking the runs", OPEN_IN_DONE, &[]).await? {
        let (run_id, job) = (row.text("run_id")?, row.text("job")?);
        report.problems.push(format!("run {run_id} is done and its job `{job}` is not"));
    }
    Ok(())
}

async fn check_jobs(database: &Database, report: &mut CheckReport) -> Result<(), StoreError> {
    for row in database.rows("checking the jobs", JOBS, &[]).await? {
        let what = format!("run {}, job `{}`", row.text("run_id")?, row.text("job")?);
        note(report, &what, row.parse::<JobState>("state"))?;
        note(report, &what, row.parse::<KindName>("kind"))?;
    }
    Ok(())
}

async fn check_attempts(database: &Database, report: &mut CheckReport) -> Result<(), StoreError> {
    for row in database.rows("checking the attempts", ATTEMPTS, &[]).await? {
        let what = format!("run {}, job `{}`, attempt {}", row.text("run_id")?, row.text("job")?, row.int("attempt")?);
        report.attempts += 1;
        let state = row.text("state")?;
        if !ATTEMPT_STATES.contains(&state.as_str()) {
            report.problems.push(format!("{what}: `state` is not readable ({state})"));
        }
        note(report, &what, row.json_or_null::<Outcome>("outcome"))?;
    }
    Ok(())
}

/// Turns text that does not parse into a problem of the report; every other error ends the check.
fn note<T>(report: &mut CheckReport, what: &str, read: Result<T, StoreError>) -> Result<Option<T>, StoreError> {
    match read {
        Ok(value) => Ok(Some(value)),
        Err(StoreError::Unreadable { what: column, found }) => {
            report.problems.push(format!("{what}: `{column}` is not readable ({found})"));
            Ok(None)
        }
        Err(other) => Err(other),
    }
}
