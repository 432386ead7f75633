//! The log of one attempt: a file of lines, each written at once, with a limit on its total size.
//!
//! Lines go straight to the file, so that they are there when the process that wrote them dies. Once the file has
//! reached its limit, further output is counted and dropped, and one last line says how much that was.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;

use tracing::Level;

use super::clock::SystemClock;
use crate::domain::clock::Clock as _;

/// An attempt's log, open for writing.
#[derive(Debug)]
pub struct AttemptLog {
    file: File,
    limit: u64,
    room: u64,
    dropped: u64,
}

impl AttemptLog {
    /// Opens the log at `path`, creating its folder if it is missing; it grows to at most `limit` bytes.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub fn open(path: &Path, limit: u64) -> io::Result<Self> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        let room = limit.saturating_sub(file.metadata()?.len());
        Ok(Self { file, limit, room, dropped: 0 })
    }

    /// Writes complete lines, each with its line end.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&mut self, lines: &str) -> io::Result<()> {
        let size = lines.len() as u64;
        if self.dropped > 0 || size > self.room {
            // After a dropped line none follows, so that the log has no gap inside.
            self.dropped += size;
            return Ok(());
        }
        self.file.write_all(lines.as_bytes())?;
        self.room -= size;
        Ok(())
    }

    /// Counts bytes as dropped that were never made into lines.
    pub fn drop_bytes(&mut self, size: u64) {
        self.dropped += size;
    }

    /// Returns whether nothing more is kept.
    pub fn is_full(&self) -> bool {
        self.dropped > 0
    }

    /// Returns a duplicate of the file, for a program that writes to it itself.
    ///
    /// # Errors
    /// When the system has no more descriptors.
    pub fn file(&self) -> io::Result<File> {
        self.file.try_clone()
    }
}

impl Drop for AttemptLog {
    fn drop(&mut self) {
        if self.dropped > 0 {
            let (limit, dropped) = (self.limit, self.dropped);
            let text = format!(
                "The log has reached its limit of {limit} bytes (`log.attempt_bytes`): {dropped} more were dropped"
            );
            if let Err(error) = self.file.write_all(line(Level::WARN, &text).as_bytes()) {
                eprint_once(&error);
            }
        }
    }
}

/// Returns a line of an attempt's log, with its time and its line end.
pub fn line(level: Level, text: &str) -> String {
    format!("{} {level:<5} {text}\n", SystemClock.now())
}

/// Reports once that an attempt's log cannot be written (a full disk): inside a log layer nothing can be logged.
pub(super) fn eprint_once(error: &std::io::Error) {
    static SAID: std::sync::Once = std::sync::Once::new();
    SAID.call_once(|| {
        let said = writeln!(std::io::stderr(), "writing an attempt's log: {error}");
        drop(said);
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_stops_at_its_limit_and_says_how_much_was_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run/job.1.log");

        let mut log = AttemptLog::open(&path, 20).unwrap();
        log.write("0123456789\n").unwrap();
        log.write("0123456789\n").unwrap();
        log.write("a\n").unwrap();
        drop(log);

        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("0123456789\n2"), "{text}");
        assert!(text.ends_with("(`log.attempt_bytes`): 13 more were dropped\n"), "{text}");
    }

    #[test]
    fn a_log_that_is_opened_again_keeps_to_the_same_limit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("job.1.log");
        AttemptLog::open(&path, 20).unwrap().write("0123456789\n").unwrap();

        let mut again = AttemptLog::open(&path, 20).unwrap();
        again.write("0123456789\n").unwrap();

        assert!(again.is_full());
    }
}
