//! The condition of a state store, whatever its schema: for checks that must change nothing.
//!
//! It opens the database as it is: no migration, no switch to WAL, no file next to it created or removed. Damage or
//! another version's schema is a result, not an error. One look at a time: the files next to an SQLite database belong
//! to every process that has it open.

use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::database::{Database, Pools};
use super::error::StoreError;
use super::{maintenance, migrations, ownership, postgres, sqlite};

const NEWEST_EVENT: &str = "SELECT at FROM events ORDER BY seq DESC LIMIT 1";

/// `PRAGMA synchronous` of a connection that syncs every commit.
const FULL: i64 = 2;

/// The condition of a state store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// The database, without password.
    pub url: String,
    /// Its schema; 0: it has none.
    pub schema: i64,
    /// The schema that this program needs.
    pub known: i64,
    /// When the newest event of a run was written.
    pub newest_event: Option<Timestamp>,
    /// What only a database file has.
    pub file: Option<FileHealth>,
}

/// The condition of a state store's file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileHealth {
    /// Where it is.
    pub path: PathBuf,
    /// SQLite's journal mode, such as `wal`.
    pub journal: String,
    /// Whether every commit is on the disk before it is acknowledged.
    pub is_synced: bool,
    /// Whether a process owns it now.
    pub is_owned: bool,
}

/// Returns the condition of the state store at `url`; `None` if its file does not exist.
///
/// # Errors
/// When it cannot be opened or read.
pub async fn health(url: &str) -> Result<Option<Health>, StoreError> {
    let Some(database) = open(url).await? else { return Ok(None) };
    let health = look(&database).await;
    close(&database).await;
    health.map(Some)
}

/// Returns what is wrong with the file of the state store at `url`: nothing if it is on a server, or does not exist.
///
/// # Errors
/// When it cannot be opened or read.
pub async fn file_problems(url: &str) -> Result<Vec<String>, StoreError> {
    let Some(database) = open(url).await? else { return Ok(Vec::new()) };
    let problems = maintenance::problems_of_file(&database).await;
    close(&database).await;
    problems
}

async fn open(url: &str) -> Result<Option<Database>, StoreError> {
    let Some(path) = url.strip_prefix("sqlite://") else { return postgres::connect(url).await.map(Some) };
    if Path::new(path).is_file() { sqlite::connect_as_it_is(Path::new(path)).await.map(Some) } else { Ok(None) }
}

/// The last connection to an SQLite database removes the files that opening it has created next to it.
async fn close(database: &Database) {
    if let Pools::Sqlite { write, read } = &database.pools {
        read.close().await;
        write.close().await;
    }
}

async fn look(database: &Database) -> Result<Health, StoreError> {
    let operation = "looking at the schema";
    let schema = migrations::schema_of(database).await?;
    let newest_event = match schema {
        0 => None,
        _ => database.row(operation, NEWEST_EVENT, &[]).await?.map(|row| row.int("at")).transpose()?,
    };
    Ok(Health {
        url: database.url.clone(),
        schema,
        known: migrations::KNOWN,
        newest_event: newest_event.and_then(|at| Timestamp::from_microsecond(at).ok()),
        file: file(database).await?,
    })
}

async fn file(database: &Database) -> Result<Option<FileHealth>, StoreError> {
    if !matches!(database.pools, Pools::Sqlite { .. }) {
        return Ok(None);
    }
    let operation = "looking at the file's settings";
    let journal = database.row(operation, "PRAGMA journal_mode", &[]).await?;
    let synchronous = database.row(operation, "PRAGMA synchronous", &[]).await?;
    let path = database.url.trim_start_matches("sqlite://");
    Ok(Some(FileHealth {
        path: PathBuf::from(path),
        journal: journal.map(|row| row.text("journal_mode")).transpose()?.unwrap_or_default(),
        is_synced: synchronous.map(|row| row.int("synchronous")).transpose()?.is_some_and(|mode| mode >= FULL),
        is_owned: ownership::is_locked(path)?,
    }))
}
