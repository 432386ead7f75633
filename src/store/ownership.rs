//! Who owns a state store: one scheduler at a time, known by a file lock or by an increasing counter.
//!
//! On SQLite ownership is the operating system's lock on `<database>.lock`: it ends with its process, however that
//! ends, and no other process takes over from one that is merely stopped. On PostgreSQL the owner increases a counter;
//! a process that has seen it unchanged for long enough takes over under the next epoch, and an owner that could not
//! renew in time commits nothing more. `engine::ownership` decides how long that is; here a [`Tenure`] only knows until
//! when it is valid. In both cases the epoch is checked within every transaction that takes a run up.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::database::{Database, Pools, Transaction};
use super::error::StoreError;

const OBSERVE: &str = "SELECT epoch, counter, owner, role FROM ownership";
const TAKE: &str = include_str!("../../sql/state/ownership_take.sql");
const RENEW: &str = "UPDATE ownership SET counter = counter + 1 WHERE epoch = $1";
const RESIGN: &str = "UPDATE ownership SET owner = NULL, role = NULL, counter = counter + 1 WHERE epoch = $1";
const HOLD: &str = "UPDATE ownership SET epoch = epoch WHERE epoch = $1";

/// For how long an owner on a server commits after its last renewal.
pub const TENURE: Duration = Duration::from_secs(10);

/// What an owner does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// It runs the schedules and takes up what others enqueue.
    Daemon,
    /// It carries out what its own command asks for, and ends.
    Command,
}

impl Role {
    /// Returns the role's word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Daemon => "daemon",
            Self::Command => "command",
        }
    }
}

impl std::str::FromStr for Role {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "daemon" => Ok(Self::Daemon),
            "command" => Ok(Self::Command),
            other => Err(format!("`{other}` is not a role")),
        }
    }
}

/// The owner as seen from another process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observed {
    /// Increases with each owner.
    pub epoch: i64,
    /// Increases while an owner on a server is alive.
    pub counter: i64,
    /// The owner's name and role; `None` when it has resigned, or there never was one.
    pub owner: Option<(String, Role)>,
    /// Whether it is clear at once that the owner is alive: on SQLite by the lock. `None`: only by watching the
    /// counter.
    pub is_locked: Option<bool>,
}

/// The right to own a state store. Clones are the same right; it ends with the last of them, or by resigning.
#[derive(Debug, Clone)]
pub struct Tenure(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    owner: String,
    epoch: i64,
    /// When it was last renewed, if it must be.
    renewed: Option<Mutex<Instant>>,
    is_lost: AtomicBool,
    /// The database's file, if its lock is ownership.
    file: Option<DatabaseFile>,
}

/// The identity of a database's file when its lock was taken.
#[derive(Debug)]
struct DatabaseFile {
    path: PathBuf,
    /// Its device and inode number.
    identity: (u64, u64),
    _lock: File,
}

impl DatabaseFile {
    fn of(database: &Database, lock: File) -> Result<Self, StoreError> {
        let path = PathBuf::from(database.url.trim_start_matches("sqlite://"));
        let identity = identity(&path).map_err(|cause| StoreError::Prepare { path: path.clone(), cause })?;
        Ok(Self { path, identity, _lock: lock })
    }

    /// Whether its path still leads to the same file.
    fn is_there(&self) -> bool {
        identity(&self.path).is_ok_and(|found| found == self.identity)
    }
}

fn identity(path: &Path) -> std::io::Result<(u64, u64)> {
    use std::os::unix::fs::MetadataExt as _;
    let found = std::fs::metadata(path)?;
    Ok((found.dev(), found.ino()))
}

impl Tenure {
    /// Returns the owner's name.
    pub fn owner(&self) -> &str {
        &self.0.owner
    }

    /// Returns whether it was not renewed in time: then nothing may be committed under it until it is.
    pub fn is_over(&self) -> bool {
        let renewed = self.0.renewed.as_ref();
        renewed.is_some_and(|at| at.lock().unwrap_or_else(PoisonError::into_inner).elapsed() >= TENURE)
    }

    /// Returns whether another process is known to have taken over: then nothing may ever be committed under it again.
    pub fn is_lost(&self) -> bool {
        self.0.is_lost.load(Ordering::SeqCst)
    }

    /// Returns an error if nothing may be committed under it now.
    ///
    /// # Errors
    /// [`StoreError::NotOwner`], final if another process has taken over.
    pub fn check(&self) -> Result<(), StoreError> {
        if self.is_lost() {
            return Err(self.refused());
        }
        if self.is_over() {
            return Err(StoreError::NotOwner { owner: self.0.owner.clone(), is_final: false });
        }
        Ok(())
    }

    fn renewed_at(&self, instant: Instant) {
        if let Some(at) = &self.0.renewed {
            *at.lock().unwrap_or_else(PoisonError::into_inner) = instant;
        }
    }

    /// Checks within a transaction that this is the current tenure, and keeps others from taking over until it ends.
    pub(super) async fn hold(&self, tx: &mut Transaction) -> Result<(), StoreError> {
        self.check()?;
        if tx.execute(HOLD, &[self.0.epoch.into()]).await? == 0 {
            return Err(self.lost());
        }
        Ok(())
    }

    fn refused(&self) -> StoreError {
        if let Some(file) = &self.0.file {
            return StoreError::FileGone { url: format!("sqlite://{}", file.path.display()) };
        }
        StoreError::NotOwner { owner: self.0.owner.clone(), is_final: true }
    }

    /// Notes that the right is lost.
    fn lost(&self) -> StoreError {
        self.0.is_lost.store(true, Ordering::SeqCst);
        self.refused()
    }
}

/// Keeps the state store from having an owner while this exists: for work on its file.
#[derive(Debug)]
pub struct StoreLock(#[expect(dead_code, reason = "it is held, not read")] Option<File>);

/// Keeps other processes from owning the SQLite state store at `url`; `None` if one does. A server's is not kept.
///
/// # Errors
/// When the lock's file cannot be made.
pub fn keep_from_owners(url: &str) -> Result<Option<StoreLock>, StoreError> {
    match url.strip_prefix("sqlite://") {
        Some(path) => Ok(lock(&lock_beside(path))?.map(|file| StoreLock(Some(file)))),
        None => Ok(Some(StoreLock(None))),
    }
}

/// Returns how the owner looks.
pub(super) async fn observe(database: &Database) -> Result<Observed, StoreError> {
    let is_locked = match lock_path(database) {
        None => None,
        Some(path) => Some(lock(&path)?.is_none()),
    };
    Ok(Observed { is_locked, ..recorded(database).await? })
}

/// Becomes the owner, unless there is another or the row has changed since `seen`.
pub(super) async fn take(
    database: &Database,
    owner: &str,
    role: Role,
    seen: &Observed,
) -> Result<Option<Tenure>, StoreError> {
    let lock = match lock_path(database) {
        None => None,
        Some(path) => match lock(&path)? {
            None => return Ok(None),
            Some(file) => Some(file),
        },
    };
    // With the lock held, no living process can have changed the row; without one only the row is known.
    let seen = if lock.is_some() { &recorded(database).await? } else { seen };
    let asked = Instant::now();
    let mut tx = database.begin("taking ownership").await?;
    let binds = [owner.into(), role.as_str().into(), seen.epoch.into(), seen.counter.into()];
    let Some(row) = tx.row(TAKE, &binds).await? else { return Ok(None) };
    let epoch = row.int("epoch")?;
    tx.commit().await?;
    let renewed = lock.is_none().then(|| Mutex::new(asked));
    let file = lock.map(|lock| DatabaseFile::of(database, lock)).transpose()?;
    Ok(Some(Tenure(Arc::new(Inner { owner: owner.to_owned(), epoch, renewed, is_lost: AtomicBool::new(false), file }))))
}

/// Renews the tenure on a server; with a lock, checks whether the database is still the one that was locked. The tenure
/// counts from before the request, not from the answer.
pub(super) async fn renew(database: &Database, tenure: &Tenure) -> Result<(), StoreError> {
    if let Some(file) = &tenure.0.file {
        if file.is_there() {
            return Ok(());
        }
        return Err(tenure.lost());
    }
    let asked = Instant::now();
    let mut tx = database.begin("renewing ownership").await?;
    if tx.execute(RENEW, &[tenure.0.epoch.into()]).await? == 0 {
        return Err(tenure.lost());
    }
    tx.commit().await?;
    tenure.renewed_at(asked);
    Ok(())
}

/// Gives ownership up.
pub(super) async fn resign(database: &Database, tenure: &Tenure) -> Result<(), StoreError> {
    let mut tx = database.begin("giving ownership up").await?;
    tx.execute(RESIGN, &[tenure.0.epoch.into()]).await?;
    tx.commit().await
}

/// Returns what the store's row says about the owner.
async fn recorded(database: &Database) -> Result<Observed, StoreError> {
    let row = database.row("looking for the owner", OBSERVE, &[]).await?;
    let row = row.ok_or_else(|| StoreError::Unreadable { what: "ownership", found: "no row".to_owned() })?;
    let role = row.text_or_null("role")?.map(|_| row.parse("role")).transpose()?;
    let owner = row.text_or_null("owner")?.zip(role);
    Ok(Observed { epoch: row.int("epoch")?, counter: row.int("counter")?, owner, is_locked: None })
}

/// Returns the file whose lock is ownership; none on a server.
fn lock_path(database: &Database) -> Option<PathBuf> {
    match &database.pools {
        Pools::Sqlite { .. } => Some(lock_beside(database.url.trim_start_matches("sqlite://"))),
        Pools::Postgres(_) => None,
    }
}

/// Refuses to continue while a scheduler of the first version is running: it locked `scheduler.lock` in its data
/// folder, by default the database's, and would go on writing to a database whose schema it does not know. This is
/// checked before the database is opened, because opening a file may write to it.
pub(super) fn refuse_beside_earlier_owner(url: &str) -> Result<(), StoreError> {
    let Some(folder) = url.strip_prefix("sqlite://").and_then(|path| Path::new(path).parent()) else { return Ok(()) };
    let path = folder.join("scheduler.lock");
    if path.is_file() && lock(&path)?.is_none() {
        return Err(StoreError::EarlierOwner { url: url.to_owned(), lock: path });
    }
    Ok(())
}

/// Whether a process owns the SQLite database at `path`; a missing lock file is not created.
pub(super) fn is_locked(path: &str) -> Result<bool, StoreError> {
    let beside = lock_beside(path);
    Ok(beside.is_file() && lock(&beside)?.is_none())
}

fn lock_beside(database: &str) -> PathBuf {
    PathBuf::from(format!("{database}.lock"))
}

/// Takes the lock; `None` when another process has it.
fn lock(path: &Path) -> Result<Option<File>, StoreError> {
    let failed = |cause| StoreError::Prepare { path: path.to_owned(), cause };
    let mut options = File::options();
    options.create(true).truncate(false).write(true);
    super::sqlite::owner_only(&mut options);
    let file = options.open(path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(cause)) => Err(failed(cause)),
    }
}
