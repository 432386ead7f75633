//! What can go wrong with the state store.
//!
//! Each variant says what failed, on what, and, if a person can do something about it, what. No variant holds a
//! password, a row's content or anything about a person; URLs are shown without their secrets.
//! [`StoreError::is_transient`] says whether another try may succeed.

use std::path::PathBuf;

use crate::domain::ids::{DagName, JobName, RunId};
use crate::domain::run::{IllegalTransition, RunState};

/// What can go wrong with the state store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The URL names no database that this program knows.
    #[error("`{scheme}` is not a state store: use `sqlite://path/to/file.db` or `postgres://user@host/database`")]
    Url {
        /// The text before `://`, or `(no scheme)`.
        scheme: String,
    },
    /// There is no database, and this command does not create one.
    #[error("there is no state store at {url}: nothing has run here yet, or `state.url` names another place")]
    Missing {
        /// The URL, without password.
        url: String,
    },
    /// The database's folder or file cannot be created, or cannot be made private.
    #[error("preparing {}", path.display())]
    Prepare {
        /// The folder or file.
        path: PathBuf,
        /// The cause.
        #[source]
        cause: std::io::Error,
    },
    /// The database cannot be opened.
    #[error("opening the state store at {url}{}", advice(cause))]
    Open {
        /// The URL, without password.
        url: String,
        /// The cause.
        #[source]
        cause: sqlx::Error,
    },
    /// A migration failed, or an applied migration differs from the one in this program.
    #[error("migrating the state store at {url}")]
    Migrate {
        /// The URL, without password.
        url: String,
        /// The cause.
        #[source]
        cause: sqlx::migrate::MigrateError,
    },
    /// An older program wrote it, and it has not been migrated.
    #[error(
        "the state store {url} has schema {found}, and this program needs {known}: start the daemon, or run `nocturne db migrate`"
    )]
    Older {
        /// The database, without password.
        url: String,
        /// The schema it has.
        found: i64,
        /// The schema that is needed.
        known: i64,
    },
    /// A scheduler of an earlier version, which does not know this version's lock, is using the database.
    #[error(
        "a nocturne of an earlier version is at work on the state store {url} (it holds {lock}): stop it, then try again; nothing was changed"
    )]
    EarlierOwner {
        /// The database.
        url: String,
        /// The lock that it holds.
        lock: PathBuf,
    },
    /// The database is newer than the program.
    #[error(
        "the state store at {url} was written by a newer nocturne (schema {found}, this one knows {known}): \
         use that version, or restore a backup; nothing was changed"
    )]
    Newer {
        /// The URL, without password.
        url: String,
        /// The schema found.
        found: i64,
        /// The newest schema this program knows.
        known: i64,
    },
    /// A statement failed.
    #[error("{operation} in the state store{}", advice(cause))]
    Query {
        /// What was being done.
        operation: &'static str,
        /// The cause.
        #[source]
        cause: sqlx::Error,
    },
    /// A value cannot be written as JSON.
    #[error("{operation} in the state store: writing {what} as JSON")]
    Encode {
        /// What was being done.
        operation: &'static str,
        /// What should have been written.
        what: &'static str,
        /// The cause.
        #[source]
        cause: serde_json::Error,
    },
    /// A value cannot be read back from the JSON it was written as.
    #[error("{what} holds a figure that is not finite (NaN or infinite), and could not be read again")]
    NotReadBack {
        /// What should have been written.
        what: &'static str,
        /// The cause.
        #[source]
        cause: serde_json::Error,
    },
    /// A number does not fit into a column.
    #[error("{what} of {value} is more than the state store can hold")]
    TooLarge {
        /// Which number.
        what: &'static str,
        /// The number.
        value: u64,
    },
    /// Stored text does not parse: the database was changed by something else, or by a newer program.
    #[error("reading {what} from the state store: `{found}` is not readable; run `nocturne db check`")]
    Unreadable {
        /// What was being read: the column.
        what: &'static str,
        /// What was found: a word or a number; for JSON only the position of the error, never the content.
        found: String,
    },
    /// Another owner has taken the run up.
    #[error("run {run_id} has another owner now: this worker is too late, and nothing was written")]
    Fenced {
        /// The run.
        run_id: RunId,
    },
    /// Another process owns the state store now.
    #[error(
        "`{owner}` is not the owner of the state store any more: another scheduler has taken over, or it could not renew its ownership in time; nothing was written"
    )]
    NotOwner {
        /// Who wanted to write.
        owner: String,
        /// Whether another process has taken over; otherwise a renewal may still succeed.
        is_final: bool,
    },
    /// The database's file was removed or replaced while it was in use.
    #[error(
        "the file of the state store {url} was removed or replaced while it was in use: what is written now would be lost; put it back (`nocturne db restore FILE`), then start again"
    )]
    FileGone {
        /// The database.
        url: String,
    },
    /// What a commit was going to replace has changed since its attempt read it.
    #[error("{what} moved while the attempt ran: nothing was written, and the job runs again on what is there now")]
    Moved {
        /// What, with its name.
        what: String,
    },
    /// There is no such run.
    #[error("there is no run {run_id}; `nocturne runs list` shows those there are")]
    NoRun {
        /// The run.
        run_id: RunId,
    },
    /// The DAG has no such job.
    #[error("DAG {dag} has no job `{job}`; `nocturne dags show {dag}` lists its jobs")]
    NoJob {
        /// The DAG.
        dag: DagName,
        /// The job.
        job: JobName,
    },
    /// The run has no such job.
    #[error("run {run_id} has no job `{job}`; `nocturne runs show {run_id}` lists its jobs")]
    NoSuchJob {
        /// The run.
        run_id: RunId,
        /// The job.
        job: JobName,
    },
    /// A run cannot end while jobs of it are open.
    #[error("run {run_id} cannot end: {jobs} not done; cancel the run, or end them first")]
    OpenJobs {
        /// The run.
        run_id: RunId,
        /// The jobs and their states, such as `pull (running)`.
        jobs: String,
    },
    /// A run that is not done cannot be marked.
    #[error(
        "run {run_id} is {state}: its jobs can be marked when it is done; stop it with `nocturne runs cancel {run_id}`"
    )]
    StillOpen {
        /// The run.
        run_id: RunId,
        /// Its state.
        state: RunState,
    },
    /// There is no such e-mail.
    #[error("there is no e-mail {mail} in the outbox")]
    NoMail {
        /// Its DAG, date, audience and revision.
        mail: String,
    },
    /// The target of a backup exists.
    #[error("{} exists; a backup overwrites nothing: name a new file", path.display())]
    BackupExists {
        /// The target.
        path: PathBuf,
    },
    /// A server's database is backed up by the server's own tools.
    #[error("the state store at {url} is on a server: back it up there, with `pg_dump` or the server's own backup")]
    BackupOnServer {
        /// The URL, without password.
        url: String,
    },
    /// A server's database is restored by the server's own tools.
    #[error(
        "the state store is on a server: put the backup back there, with `pg_restore` or the server's own tools, then \
         say so with `nocturne db restored`"
    )]
    RestoreOnServer,
    /// A backup cannot be restored.
    #[error("the backup cannot be used ({problems}); nothing was changed")]
    BackupDamaged {
        /// What is wrong with it.
        problems: String,
    },
    /// The state does not allow it.
    #[error(transparent)]
    Illegal(#[from] IllegalTransition),
}

impl StoreError {
    /// Returns whether the database's file is damaged, or is not a database.
    pub(super) fn is_damage(&self) -> bool {
        matches!(self, Self::Open { cause, .. } | Self::Query { cause, .. } if is_damage(cause))
    }

    /// Returns whether the same call may succeed later: the database was busy, full or unreachable.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Open { cause, .. } | Self::Query { cause, .. } => match cause {
                sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::WorkerCrashed => true,
                sqlx::Error::Database(error) => error.code().is_some_and(|code| is_transient_code(&code)),
                _ => false,
            },
            Self::NotOwner { is_final, .. } => !is_final,
            _ => false,
        }
    }

    /// Returns whether this process has lost the state store for good.
    pub const fn ends_ownership(&self) -> bool {
        matches!(self, Self::NotOwner { is_final: true, .. } | Self::FileGone { .. })
    }
}

/// What to do about a file that is damaged (`SQLITE_CORRUPT`, 11) or not a database (`SQLITE_NOTADB`, 26), whatever the
/// extension in the higher bits.
fn advice(cause: &sqlx::Error) -> &'static str {
    if is_damage(cause) {
        return ": the file is damaged or is not a state store; keep it, and put a backup in its place with \
                `nocturne db restore FILE`";
    }
    ""
}

fn is_damage(cause: &sqlx::Error) -> bool {
    let sqlx::Error::Database(error) = cause else { return false };
    let code = error.code().filter(|code| code.len() < 5).and_then(|code| code.parse::<u32>().ok());
    code.is_some_and(|code| matches!(code & 0xff, 11 | 26))
}

/// SQLite: `SQLITE_BUSY` (5), `SQLITE_LOCKED` (6), `SQLITE_IOERR` (10) and `SQLITE_FULL` (13), whatever their extension
/// in the higher bits: a full disk may get more room. PostgreSQL: the classes connection (08), rollback (40), resources
/// (53) and operator intervention (57), and a lock that is not available.
fn is_transient_code(code: &str) -> bool {
    if code == "55P03" {
        return true;
    }
    if code.len() == 5 && ["08", "40", "53", "57"].contains(&&code[..2]) {
        return true;
    }
    code.len() < 5 && code.parse::<u32>().is_ok_and(|number| matches!(number & 0xff, 5 | 6 | 10 | 13))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn busy_and_broken_connections_are_transient_and_wrong_data_is_not() {
        for code in ["5", "517", "6", "13", "778", "40001", "40P01", "08006", "57P01", "55P03"] {
            assert!(is_transient_code(code), "{code}");
        }
        for code in ["1", "11", "787", "23505", "42P01"] {
            assert!(!is_transient_code(code), "{code}");
        }
    }
}
