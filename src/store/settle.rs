//! What must follow commits: a durable row for each target, until the lake is in line with what is current.
//!
//! A target is a word and a name: `dataset <key>` (the pointers for outside readers), `file <key>` (a file under its
//! name), `identities <name>` (new entries of the identity map, staged under that name), `staged <attempt>` (files to
//! remove that an attempt staged and did not commit). A commit increases the target's `wanted` in its own transaction;
//! the row is deleted after settling only if `wanted` has not changed in the meantime, so a commit that comes while its
//! predecessor is being settled is settled too. Sending e-mail is left to the outbox.

use jiff::Timestamp;

use super::attempt_contract::AttemptClaim;
use super::contract::ToSettle;
use super::database::{Database, Transaction};
use super::error::StoreError;
use super::row::Row;
use crate::domain::outcome::FileRef;

const WANT: &str = include_str!("../../sql/state/settle_want.sql");
const WANT_DATASETS: &str = include_str!("../../sql/state/settle_want_datasets.sql");
const WANT_FILES: &str = include_str!("../../sql/state/settle_want_files.sql");
const DUE: &str =
    "SELECT target, wanted, since, tries, last_error FROM to_settle WHERE next_try <= $1 ORDER BY since, target";
const WANTED: &str = "SELECT wanted FROM to_settle WHERE target = $1";
const SETTLED: &str = "DELETE FROM to_settle WHERE target = $1 AND wanted = $2";
const NOT_SETTLED: &str = "UPDATE to_settle SET tries = tries + 1, last_error = $2, next_try = $3 WHERE target = $1";
const FILE_PUT: &str = include_str!("../../sql/state/published_file_put.sql");
const FILE: &str = "SELECT key, sha256, size_bytes, staged FROM published_files WHERE key = $1";

/// Returns the target of a dataset's pointers.
pub(super) fn dataset(key: &str) -> String {
    format!("dataset {key}")
}

/// Returns the target of new entries of the identity map, by the name under which they are staged.
pub(crate) fn identities_target(staged: &str) -> String {
    format!("identities {staged}")
}

/// Returns the target of what an attempt has staged and not committed.
pub(super) fn staged(attempt: &str) -> String {
    format!("staged {attempt}")
}

/// Requests that a target be settled.
pub(super) async fn want(tx: &mut Transaction, target: &str, now: Timestamp) -> Result<(), StoreError> {
    tx.execute(WANT, &[target.into(), now.into()]).await?;
    Ok(())
}

/// Requests that an outcome's files be put in place under their names.
pub(super) async fn want_files(
    tx: &mut Transaction,
    attempt: &AttemptClaim,
    now: Timestamp,
    files: &[FileRef],
) -> Result<(), StoreError> {
    let mut sorted: Vec<_> = files.iter().collect();
    sorted.sort_by(|a, b| a.key.cmp(&b.key));
    for file in sorted {
        let size = i64::try_from(file.size_bytes)
            .map_err(|_| StoreError::TooLarge { what: "a file's bytes", value: file.size_bytes })?;
        let binds = [
            (&file.key).into(),
            (&file.sha256).into(),
            size.into(),
            (&file.staged).into(),
            (&attempt.claim.run_id).into(),
            (&attempt.job).into(),
            attempt.attempt.into(),
        ];
        tx.execute(FILE_PUT, &binds).await?;
        want(tx, &format!("file {}", file.key), now).await?;
    }
    Ok(())
}

/// Returns what is due for settling.
pub(super) async fn due(database: &Database, now: Timestamp) -> Result<Vec<ToSettle>, StoreError> {
    database.rows("reading what is to be settled", DUE, &[now.into()]).await?.iter().map(target_of).collect()
}

/// Returns whether a target must still be settled.
pub(super) async fn is_wanted(database: &Database, target: &str) -> Result<bool, StoreError> {
    Ok(database.row("looking for what is to be settled", WANTED, &[target.into()]).await?.is_some())
}

/// Records that a target is settled as of `wanted`.
pub(super) async fn settled(database: &Database, target: &str, wanted: i64) -> Result<(), StoreError> {
    let mut tx = database.begin("recording that something is settled").await?;
    tx.execute(SETTLED, &[target.into(), wanted.into()]).await?;
    tx.commit().await
}

/// Records that a target could not be settled.
pub(super) async fn not_settled(
    database: &Database,
    target: &str,
    error: &str,
    next_try: Timestamp,
) -> Result<(), StoreError> {
    let mut tx = database.begin("recording that something is not settled").await?;
    tx.execute(NOT_SETTLED, &[target.into(), error.into(), next_try.into()]).await?;
    tx.commit().await
}

/// Requests that all current datasets, and the files of the newest runs, be settled again.
pub(super) async fn want_all(database: &Database, now: Timestamp) -> Result<(), StoreError> {
    let mut tx = database.begin("wanting everything settled").await?;
    tx.execute(WANT_DATASETS, &[now.into()]).await?;
    tx.execute(WANT_FILES, &[now.into()]).await?;
    tx.commit().await
}

/// Returns the file that the last commit wants under a key.
pub(super) async fn file(database: &Database, key: &str) -> Result<Option<FileRef>, StoreError> {
    let row = database.row("looking for a published file", FILE, &[key.into()]).await?;
    row.map(|row| {
        Ok(FileRef {
            key: row.text("key")?,
            sha256: row.text("sha256")?,
            size_bytes: row.count("size_bytes")?,
            staged: row.text("staged")?,
        })
    })
    .transpose()
}

fn target_of(row: &Row) -> Result<ToSettle, StoreError> {
    Ok(ToSettle {
        target: row.text("target")?,
        wanted: row.int("wanted")?,
        tries: row.count("tries")?,
        since: row.instant("since")?,
        last_error: row.text_or_null("last_error")?,
    })
}
