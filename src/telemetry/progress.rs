//! How far an attempt is: written beside its log by the process that carries it out, and read by whoever follows the run.
//!
//! Progress is no event: it is lost with the machine, costs the state store nothing, and nothing is decided by it. A total is
//! stated only where it is known.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

/// How far an attempt is.
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

/// Where this process writes it.
struct Reporter {
    path: PathBuf,
    last: Mutex<Option<Instant>>,
}

static REPORTER: OnceLock<Reporter> = OnceLock::new();

/// Has this process write its progress beside the attempt's log `log`.
pub fn report_beside(log: &Path) {
    let reporter = Reporter { path: beside(log), last: Mutex::default() };
    // A process carries one attempt out; what is asked for first counts.
    REPORTER.get_or_init(|| reporter);
}

/// Says how far this process is, if anybody may want to know. It never fails: a night does not depend on it.
pub fn report(what: &str, done: u64, total: Option<u64>) {
    let Some(reporter) = REPORTER.get() else { return };
    let is_last = total == Some(done);
    {
        let mut last = reporter.last.lock().unwrap_or_else(PoisonError::into_inner);
        if !is_last && last.is_some_and(|last| last.elapsed() < INTERVAL) {
            return;
        }
        *last = Some(Instant::now());
    }
    if let Err(error) = write(&reporter.path, &Progress { what: what.to_owned(), done, total }) {
        tracing::debug!(%error, "Could not write how far the attempt is");
    }
}

/// Removes what this process has written.
pub fn end() {
    if let Some(reporter) = REPORTER.get()
        && let Err(error) = std::fs::remove_file(&reporter.path)
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
