//! The messages between a parent and its child.
//!
//! The child reads one line with the [`Order`] from its standard input, then a line for each answer or request; it
//! writes a line to its standard output for why the job runs and for each part of the outcome. Outcomes and parts themselves go through files
//! that begin with the SHA-256 of their content: a file that is torn or missing is noticed, never believed.

use std::io;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::domain::fingerprint::Why;
use crate::domain::ids::content_hash;
use crate::domain::outcome::JobError;
use crate::engine::runner::{Assignment, Done};

/// Everything that a child needs: it goes through a pipe, never through arguments or the environment.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Order {
    /// What `app` needs to rebuild the environment of job bodies; it contains secrets.
    pub setup: serde_json::Value,
    /// What to do.
    pub assignment: Assignment,
    /// The attempt's log.
    pub log: PathBuf,
    /// How long the log may get, in bytes.
    pub log_bytes: u64,
    /// How much data memory the child allows itself (`RLIMIT_DATA`), in bytes.
    pub data_bytes: u64,
    /// The folder for the outcome and its parts.
    pub results: PathBuf,
}

/// What the parent sends after its order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum ToChild {
    /// Stop.
    Cancel,
    /// The part that was handed over is committed.
    PartTaken,
    /// The part that was handed over could not be committed.
    PartRefused(Wrong),
}

/// What the child sends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum ToParent {
    /// Why the job runs, or that it need not.
    Why(Why),
    /// A part of the outcome is in the results folder.
    Part {
        /// The number in its file name.
        number: u32,
        /// The part's name.
        name: String,
    },
}

/// What a child leaves when it ends.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Report {
    /// How the body ended.
    pub(super) ended: Ended,
    /// The most memory that the child used at once, if the system reports it.
    pub(super) peak_bytes: Option<u64>,
}

/// How a body ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Ended {
    /// Successfully.
    Done(Box<Done>),
    /// In an error.
    Wrong(Wrong),
}

/// A [`JobError`], with its chain of causes as text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Wrong {
    Retry(String),
    Fail(String),
    Lost(String),
    Cancelled,
}

impl From<JobError> for Wrong {
    fn from(error: JobError) -> Self {
        match error {
            JobError::Retry(why) => Self::Retry(format!("{why:#}")),
            JobError::Fail(why) => Self::Fail(format!("{why:#}")),
            JobError::Lost(why) => Self::Lost(why),
            JobError::Cancelled => Self::Cancelled,
        }
    }
}

impl From<Wrong> for JobError {
    fn from(wrong: Wrong) -> Self {
        match wrong {
            Wrong::Retry(why) => Self::Retry(anyhow::Error::msg(why)),
            Wrong::Fail(why) => Self::Fail(anyhow::Error::msg(why)),
            Wrong::Lost(why) => Self::Lost(why),
            Wrong::Cancelled => Self::Cancelled,
        }
    }
}

/// Returns the file of the outcome in the results folder.
pub(super) fn outcome_file(results: &Path) -> PathBuf {
    results.join("outcome")
}

/// Returns the file of a part in the results folder.
pub(super) fn part_file(results: &Path, number: u32) -> PathBuf {
    results.join(format!("part-{number}"))
}

/// Writes a value with the hash of its content to a temporary file, then renames it.
///
/// Nothing is made durable: if the machine fails, the attempt starts again.
pub(super) fn stage(path: &Path, value: &impl Serialize) -> io::Result<()> {
    let text = serde_json::to_string(value)?;
    let aside = path.with_extension("aside");
    std::fs::write(&aside, format!("{}\n{text}", content_hash(text.as_bytes())))?;
    std::fs::rename(aside, path)
}

/// Reads a staged value and removes its file; `None` if there is no such file.
///
/// # Errors
/// When its content does not have the stated hash.
pub(super) fn take<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, String> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(format!("{} cannot be read: {error}", path.display())),
    };
    let removed = std::fs::remove_file(path);
    let whole = text.split_once('\n').filter(|(hash, content)| content_hash(content.as_bytes()) == *hash);
    let (_, content) = whole.ok_or_else(|| format!("{} is torn: its SHA-256 does not fit", path.display()))?;
    removed.map_err(|error| format!("{} cannot be removed: {error}", path.display()))?;
    let value = serde_json::from_str(content).map_err(|error| format!("{} cannot be read: {error}", path.display()))?;
    Ok(Some(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_staged_value_is_taken_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("outcome");
        let ended = Ended::Wrong(Wrong::Retry("the store is busy: \u{fc}".to_owned()));
        stage(&path, &ended).unwrap();

        assert_eq!(take(&path), Ok(Some(ended)));
        assert_eq!(take::<Ended>(&path), Ok(None));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_torn_value_is_not_believed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("outcome");
        stage(&path, &Ended::Wrong(Wrong::Cancelled)).unwrap();
        let whole = std::fs::read(&path).unwrap();

        for length in 0..whole.len() {
            std::fs::write(&path, &whole[..length]).unwrap();
            assert!(take::<Ended>(&path).unwrap_err().contains("is torn"), "{length} bytes were believed");
        }
    }

    #[test]
    fn an_error_keeps_its_class_and_its_causes() {
        let cause = anyhow::anyhow!("connection refused").context("reading the export");

        let back = JobError::from(Wrong::from(JobError::Retry(cause)));

        assert!(matches!(back, JobError::Retry(_)));
        assert_eq!(back.to_string(), "reading the export: connection refused");
    }
}
