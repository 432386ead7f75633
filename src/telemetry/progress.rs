//! How far a process is with what it does.
//!
//! A process that carries out an attempt writes it beside the attempt's log, where whoever follows the run reads it; a
//! command keeps it in its memory and shows it itself. Progress is not an event: it is lost with the machine, costs the
//! state store nothing, and nothing is decided by it. A total is stated only where it is known.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

/// How far a process is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// What is counted, such as `partitions`.
    pub what: String,
    /// How many are done.
    pub done: u64,
    /// How many there are, where that is known.
    pub total: Option<u64>,
}

impl std::fmt::Display for Progress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        use crate::domain::number::grouped;
        match self.total {
            Some(total) => write!(f, "{} of {} {}", grouped(self.done), grouped(total), self.what),
            None => write!(f, "{} {}", grouped(self.done), self.what),
        }
    }
}

/// How often it is written at most.
const INTERVAL: Duration = Duration::from_millis(250);

/// Where this process reports it.
enum Reporter {
    /// To a file.
    File { path: PathBuf, last: Mutex<Option<Instant>> },
    /// To itself.
    Here(Mutex<Option<Progress>>),
}

static REPORTER: OnceLock<Reporter> = OnceLock::new();

/// Has this process write its progress beside the attempt's log `log`.
pub fn report_beside(log: &Path) {
    // A process carries out one attempt, or one command: what is requested first counts.
    REPORTER.get_or_init(|| Reporter::File { path: beside(log), last: Mutex::default() });
}

/// Has this process keep its progress, for [`here`].
pub fn report_here() {
    REPORTER.get_or_init(|| Reporter::Here(Mutex::default()));
}

/// Returns how far this process is, if it keeps that and has reported it.
pub fn here() -> Option<Progress> {
    match REPORTER.get()? {
        Reporter::Here(progress) => progress.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        Reporter::File { .. } => None,
    }
}

/// Says how far this process is, if anybody may want to know. It never fails: a night does not depend on it.
pub fn report(what: &str, done: u64, total: Option<u64>) {
    match REPORTER.get() {
        None => {}
        Some(Reporter::Here(progress)) => {
            let now = Progress { what: what.to_owned(), done, total };
            *progress.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
        }
        Some(Reporter::File { path, last }) => {
            let is_last = total == Some(done);
            if !is_last && !is_due(last) {
                return;
            }
            if let Err(error) = write(path, &Progress { what: what.to_owned(), done, total }) {
                tracing::debug!(%error, "Could not write how far the attempt is");
            }
        }
    }
}

/// Returns whether it is time to write again, and notes that it is being done.
fn is_due(last: &Mutex<Option<Instant>>) -> bool {
    let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
    if last.is_some_and(|last| last.elapsed() < INTERVAL) {
        return false;
    }
    *last = Some(Instant::now());
    true
}

/// Removes what this process has written.
pub fn end() {
    if let Some(Reporter::File { path, .. }) = REPORTER.get()
        && let Err(error) = std::fs::remove_file(path)
        && error.kind() != std::io::ErrorKind::NotFound
    {
        tracing::debug!(%error, "Could not remove how far the attempt was");
    }
}

/// Returns how far the attempt with this log is, where it says so.
pub fn read(log: &Path) -> Option<Progress> {
    serde_json::from_slice(&std::fs::read(beside(log)).ok()?).ok()
}

fn beside(log: &Path) -> PathBuf {
    log.with_extension("progress")
}

fn write(path: &Path, progress: &Progress) -> std::io::Result<()> {
    let aside = path.with_extension("progress-new");
    std::fs::write(&aside, serde_json::to_vec(progress)?)?;
    std::fs::rename(aside, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_read_beside_the_log_and_said_in_words() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("features.1.log");

        let none = read(&log);
        write(&beside(&log), &Progress { what: "partitions".to_owned(), done: 12, total: Some(1900) }).unwrap();
        let some = read(&log).unwrap();

        assert_eq!(none, None);
        assert_eq!(some.to_string(), "12 of 1,900 partitions");
        assert_eq!(Progress { what: "rows".to_owned(), done: 1_234_567, total: None }.to_string(), "1,234,567 rows");
    }
}
