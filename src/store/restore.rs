//! Restoring a backup of an SQLite state store.
//!
//! Everything is first done on a copy next to it: the copy is checked, brought to this program's schema and marked as
//! restored. Only then is the old database set aside under a name of its own, and the copy takes its place by a rename.
//! The caller holds the lock of the data folder, so no other process writes meanwhile. An interrupted restore leaves
//! the old database or the new one, and may simply be repeated.

use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::database::Pools;
use super::error::StoreError;
use super::sql_store::connect;
use super::sqlite::{self, Opened};
use super::{keeping, maintenance, migrations};

/// The result of a restore.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct RestoreReport {
    /// The schema that the backup had.
    pub schema: i64,
    /// Runs in it.
    pub runs: u64,
    /// Where the previous database is kept; `None` if there was none.
    pub aside: Option<PathBuf>,
}

/// Restores the backup `from` in place of the SQLite state store at `url`.
///
/// # Errors
/// When the store is on a server, the backup is missing, damaged or from a newer program, or a file cannot be moved:
/// then the old database is still in place.
pub async fn restore(url: &str, from: &Path, now: Timestamp) -> Result<RestoreReport, StoreError> {
    let Some(path) = url.strip_prefix("sqlite://").map(PathBuf::from) else {
        return Err(StoreError::RestoreOnServer);
    };
    if std::fs::metadata(beside(from, "-wal")).is_ok_and(|journal| journal.len() > 0) {
        let problems =
            "its journal (`-wal`) lies beside it: it is a database in use, not what `nocturne db backup` makes";
        return Err(StoreError::BackupDamaged { problems: problems.to_owned() });
    }
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder).map_err(|cause| StoreError::Prepare { path: folder.to_owned(), cause })?;
    }
    let copy = beside(&path, ".restoring");
    for file in with_journal(&copy) {
        remove_if_there(&file)?;
    }
    sqlite::copy_for_owner(from, &copy)?;
    let (schema, runs) = match prepare(&copy, now).await {
        Ok(prepared) => prepared,
        Err(error) => {
            for file in with_journal(&copy) {
                remove_if_there(&file)?;
            }
            let problems = "the file is damaged or is not a state store".to_owned();
            return Err(if error.is_damage() { StoreError::BackupDamaged { problems } } else { error });
        }
    };
    let aside = set_aside(&path, now)?;
    rename(&copy, &path)?;
    sync_folder_of(&path)?;
    Ok(RestoreReport { schema, runs, aside })
}

/// Checks the copy, migrates it and marks it; afterwards it has no journal.
async fn prepare(copy: &Path, now: Timestamp) -> Result<(i64, u64), StoreError> {
    let url = format!("sqlite://{}", copy.display());
    let database = connect(&url, Opened::There).await?;
    let schema = migrations::found(&database).await?;
    let damaged = |problems: Vec<String>| StoreError::BackupDamaged { problems: problems.join("; ") };
    if schema == 0 {
        return Err(damaged(vec!["it holds no state store".to_owned()]));
    }
    let problems = maintenance::problems_of_file(&database).await?;
    if !problems.is_empty() {
        return Err(damaged(problems));
    }
    migrations::apply(&database).await?;
    keeping::note_restored(&database, now).await?;
    let Pools::Sqlite { write, read } = &database.pools else { return Err(StoreError::RestoreOnServer) };
    let failed = |cause| StoreError::Query { operation: "writing the copy to the disk", cause };
    // The rename moves one file: nothing may be left in the journal.
    sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(write).await.map_err(failed)?;
    write.close().await;
    read.close().await;
    let report = maintenance::check(&url).await?;
    if !report.problems.is_empty() {
        return Err(damaged(report.problems));
    }
    for file in &with_journal(copy)[1..] {
        remove_if_there(file)?;
    }
    Ok((schema, report.runs))
}

/// Sets the database and its journal aside; the database itself also stays under its name until it is replaced.
fn set_aside(path: &Path, now: Timestamp) -> Result<Option<PathBuf>, StoreError> {
    if !path.exists() {
        return Ok(None);
    }
    let aside = beside(path, &format!(".before-{}", now.strftime("%Y%m%dT%H%M%SZ")));
    std::fs::hard_link(path, &aside).map_err(|cause| StoreError::Prepare { path: aside.clone(), cause })?;
    for (journal, kept) in with_journal(path).iter().zip(with_journal(&aside)).skip(1) {
        if journal.exists() {
            rename(journal, &kept)?;
        }
    }
    Ok(Some(aside))
}

/// The files of a database: the database itself and its journal.
fn with_journal(path: &Path) -> [PathBuf; 3] {
    [path.to_owned(), beside(path, "-wal"), beside(path, "-shm")]
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

fn rename(from: &Path, to: &Path) -> Result<(), StoreError> {
    std::fs::rename(from, to).map_err(|cause| StoreError::Prepare { path: to.to_owned(), cause })
}

/// Makes the renames in the folder of `path` survive a power failure.
fn sync_folder_of(path: &Path) -> Result<(), StoreError> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let synced = std::fs::File::open(folder).and_then(|folder| folder.sync_all());
    synced.map_err(|cause| StoreError::Prepare { path: folder.to_owned(), cause })
}

fn remove_if_there(path: &Path) -> Result<(), StoreError> {
    match std::fs::remove_file(path) {
        Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => {
            Err(StoreError::Prepare { path: path.to_owned(), cause })
        }
        _ => Ok(()),
    }
}
