//! A delivery of a table that cannot be used: the last good snapshot stays current, or the job fails where there is
//! none.

use anyhow::anyhow;
use polars::prelude::DataFrame;

use crate::canvas::pull::{Effect, ReadError};
use crate::domain::check::Finding;
use crate::domain::outcome::JobError;

/// A delivery of a table that could not be used.
#[derive(Debug, Clone)]
pub(super) struct Failure {
    pub(super) check: &'static str,
    pub(super) why: String,
    pub(super) advice: &'static str,
    /// Whether the job cannot go on if the table has no snapshot.
    pub(super) is_fatal: bool,
}

/// How a table's delivery failed.
pub(super) enum TableError {
    /// The delivery cannot be used: the last good snapshot stays current.
    Unusable {
        why: anyhow::Error,
        advice: &'static str,
        /// The rows that were held back, where there were too many of them.
        held_back: Option<(Box<DataFrame>, u64)>,
    },
    /// The whole job failed.
    Job(JobError),
}

impl TableError {
    pub(super) fn unusable(why: anyhow::Error) -> Self {
        Self::Unusable { why, advice: "deliver the table again and run the night again", held_back: None }
    }
}

impl From<JobError> for TableError {
    fn from(error: JobError) -> Self {
        Self::Job(error)
    }
}

impl From<anyhow::Error> for TableError {
    fn from(error: anyhow::Error) -> Self {
        Self::Job(JobError::Fail(error))
    }
}

impl From<ReadError> for TableError {
    fn from(error: ReadError) -> Self {
        let advice = error.advice();
        match (error.effect(), error) {
            (Effect::FailsJob, error) => {
                Self::Job(JobError::Fail(anyhow::Error::new(error).context(advice_context(advice))))
            }
            (_, ReadError::TooManyHeldBack { table, held_back, rows, reasons, quarantined }) => {
                let held = Some((quarantined.clone(), held_back));
                let error = ReadError::TooManyHeldBack { table, held_back, rows, reasons, quarantined };
                Self::Unusable { why: error.into(), advice, held_back: held }
            }
            (_, error) => Self::Unusable { why: error.into(), advice, held_back: None },
        }
    }
}

fn advice_context(advice: &str) -> String {
    format!("a table could not be read ({advice})")
}

impl Failure {
    /// Returns the finding about the table `name`, given whether it has a snapshot (`stands`), or the job's failure if
    /// it cannot go on without one.
    pub(super) fn finding(&self, name: &str, stands: bool) -> Result<Finding, JobError> {
        let Self { check, why, advice, is_fatal } = self;
        if *is_fatal && !stands {
            return Err(JobError::Fail(anyhow!(
                "`{name}` cannot be used, and there is no earlier snapshot of it to go on with ({advice}): {why}"
            )));
        }
        let message = match stands {
            true => format!("`{name}` could not be renewed, its last good snapshot stands in for it: {why}"),
            false => why.clone(),
        };
        Ok(Finding::warning(check, name, message, *advice))
    }
}
