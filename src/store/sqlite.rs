//! SQLite: how the file is opened, and what only SQLite can do.
//!
//! WAL, foreign keys, a busy time-out of 30 s, one connection that writes and a pool that reads (`query_only`).
//! `synchronous = FULL`: with NORMAL a power failure may revert commits that were already acted on, and an e-mail that
//! was marked as sent would be sent again; FULL costs one fsync per transaction, a few hundred in a night. If SQLite
//! rolled a connection's transaction back by itself (a full disk), the connection still counts as inside it, and is
//! discarded before its next use. The file is made readable by its owner only before SQLite writes to it (its `-wal`
//! and `-shm` follow the file).

use std::path::Path;
use std::time::{Duration, Instant};

use backon::{ConstantBuilder, Retryable as _};
use sqlx::Connection as _;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};

use super::database::{Database, Pools};
use super::error::StoreError;

/// How a database is opened.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Opened {
    /// It is created if it does not exist, with the folders above it.
    Made,
    /// It must exist.
    There,
    /// It must exist, and nothing in it changes, not even what SQLite tidies up when it is closed.
    ToRead,
}

/// How long a statement waits for another program's write lock before it is refused.
const BUSY_TIMEOUT: Duration = Duration::from_secs(30);

/// SQLite's code for that refusal; the bits above the lowest eight say more about it.
const SQLITE_BUSY: u32 = 5;

/// How soon a file that another program is just making is opened again.
const OPEN_AGAIN: Duration = Duration::from_millis(20);

/// How long a caller waits for the only writing connection: longer than a statement, so that SQLite's answer comes
/// first.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(90);

const READ_CONNECTIONS: u32 = 4;

/// Opens the database file at `path`.
pub(super) async fn connect(path: &Path, opened: Opened) -> Result<Database, StoreError> {
    let url = format!("sqlite://{}", path.display());
    if opened == Opened::Made {
        prepare(path)?;
    } else if !path.is_file() {
        return Err(StoreError::Missing { url });
    }

    if opened == Opened::ToRead {
        return connect_as_it_is(path).await;
    }
    let options = options(path).journal_mode(SqliteJournalMode::Wal);
    let failed = |cause| StoreError::Open { url: url.clone(), cause };

    // The writer opens the file first: it is the one that may turn WAL on.
    let write = pool().max_connections(1).before_acquire(|connection, _| {
        let is_usable = !connection.is_in_transaction();
        Box::pin(async move { Ok(is_usable) })
    });
    let begun = Instant::now();
    let waits = ConstantBuilder::default().with_delay(OPEN_AGAIN).without_max_times();
    let write = (|| write.clone().connect_with(options.clone()))
        .retry(waits)
        .sleep(tokio::time::sleep)
        .when(|cause| is_busy(cause) && begun.elapsed() < BUSY_TIMEOUT)
        .await
        .map_err(failed)?;
    let read = pool().max_connections(READ_CONNECTIONS).connect_lazy_with(options.pragma("query_only", "ON"));
    Ok(Database { url, pools: Pools::Sqlite { write, read } })
}

/// Whether another program has the file locked. SQLite waits for that itself, except while two programs that open a new
/// file at once both turn WAL on: the later one is refused immediately.
fn is_busy(cause: &sqlx::Error) -> bool {
    let code = cause.as_database_error().and_then(|error| error.code());
    code.and_then(|code| code.parse::<u32>().ok()).is_some_and(|code| code & 0xff == SQLITE_BUSY)
}

/// Opens the database file at `path` for reading: no setting is changed, and nothing can be written.
///
/// An existing journal stays as it is: only a read-only connection leaves it alone when it closes. If there is none,
/// such a connection would leave an empty one behind, and another connection removes it.
pub(super) async fn connect_as_it_is(path: &Path) -> Result<Database, StoreError> {
    let url = format!("sqlite://{}", path.display());
    let has_journal = Path::new(&format!("{}-wal", path.display())).exists();
    let options = options(path).pragma("query_only", "ON").read_only(has_journal);
    let failed = |cause| StoreError::Open { url: url.clone(), cause };
    let read = pool().max_connections(1).connect_with(options).await.map_err(failed)?;
    Ok(Database { url, pools: Pools::Sqlite { write: read.clone(), read } })
}

fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(BUSY_TIMEOUT)
        .foreign_keys(true)
}

fn pool() -> SqlitePoolOptions {
    SqlitePoolOptions::new().acquire_timeout(ACQUIRE_TIMEOUT).max_lifetime(None).idle_timeout(None)
}

/// Creates the folders above `path`, and the file, for its owner only.
fn prepare(path: &Path) -> Result<(), StoreError> {
    let failed = |path: &Path, cause| StoreError::Prepare { path: path.to_owned(), cause };
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder).map_err(|cause| failed(folder, cause))?;
    }
    let mut options = std::fs::OpenOptions::new();
    options.create(true).append(true);
    owner_only(&mut options);
    let file = options.open(path).map_err(|cause| failed(path, cause))?;
    keep_from_others(&file).map_err(|cause| failed(path, cause))
}

/// Creates the empty file that a backup goes into; SQLite's `VACUUM INTO` accepts one.
pub(super) fn prepare_backup(path: &Path) -> Result<(), StoreError> {
    let mut options = std::fs::OpenOptions::new();
    options.create_new(true).write(true);
    owner_only(&mut options);
    match options.open(path) {
        Ok(_file) => Ok(()),
        Err(cause) if cause.kind() == std::io::ErrorKind::AlreadyExists => {
            Err(StoreError::BackupExists { path: path.to_owned() })
        }
        Err(cause) => Err(StoreError::Prepare { path: path.to_owned(), cause }),
    }
}

/// Copies a file for its owner only, and syncs it to the disk; an existing target is an error.
pub(super) fn copy_for_owner(from: &Path, to: &Path) -> Result<(), StoreError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |cause| StoreError::Prepare { path, cause }
    };
    let mut source = std::fs::File::open(from).map_err(failed(from))?;
    let mut options = std::fs::OpenOptions::new();
    options.create_new(true).write(true);
    owner_only(&mut options);
    let mut target = options.open(to).map_err(failed(to))?;
    std::io::copy(&mut source, &mut target).and_then(|_| target.sync_all()).map_err(failed(to))
}

#[cfg(unix)]
pub(super) fn owner_only(options: &mut std::fs::OpenOptions) {
    use std::os::unix::fs::OpenOptionsExt;
    options.mode(0o600);
}

#[cfg(unix)]
fn keep_from_others(file: &std::fs::File) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    if file.metadata()?.permissions().mode() & 0o077 == 0 {
        return Ok(());
    }
    file.set_permissions(std::fs::Permissions::from_mode(0o600))
}

/// On other systems the folder's own permissions decide.
#[cfg(not(unix))]
pub(super) fn owner_only(_options: &mut std::fs::OpenOptions) {}

#[cfg(not(unix))]
fn keep_from_others(_file: &std::fs::File) -> std::io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SQLite rolls a transaction back by itself when the disk is full; a limit on the pages simulates that.
    #[tokio::test]
    async fn a_transaction_that_a_full_disk_ended_does_not_end_the_next_ones() {
        let folder = tempfile::tempdir().unwrap();
        let database = connect(&folder.path().join("state.db"), Opened::Made).await.unwrap();
        let Pools::Sqlite { write, .. } = &database.pools else { unreachable!("it is SQLite") };
        sqlx::query("CREATE TABLE t (x TEXT)").execute(write).await.unwrap();
        sqlx::query("PRAGMA max_page_count = 4").execute(write).await.unwrap();
        let insert = "INSERT INTO t (x) VALUES (hex(zeroblob(100000)))";

        let mut full = database.begin("filling the disk").await.unwrap();
        let refused = full.execute(insert, &[]).await.unwrap_err();
        drop(full);

        assert!(format!("{:#}", anyhow::Error::new(refused)).contains("full"));
        let mut next = database.begin("going on").await.unwrap();
        next.execute(insert, &[]).await.unwrap();
        next.commit().await.unwrap();
    }
}
