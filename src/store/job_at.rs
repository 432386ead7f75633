//! A job of a run at an instant: the input of most statements about jobs and attempts.

use jiff::Timestamp;

use super::attempt_contract::AttemptClaim;
use super::run_contract::Claim;
use crate::domain::ids::{JobName, RunId};
use crate::domain::job::attempt_name;

/// A job of a run, and the current time.
#[derive(Debug, Clone, Copy)]
pub(super) struct JobAt<'a> {
    /// The run.
    pub(super) run_id: &'a RunId,
    /// The job.
    pub(super) job: &'a JobName,
    /// Now.
    pub(super) now: Timestamp,
}

impl Claim {
    /// Returns a job of the run that it holds.
    pub(super) fn at<'a>(&'a self, job: &'a JobName, now: Timestamp) -> JobAt<'a> {
        JobAt { run_id: &self.run_id, job, now }
    }
}

impl AttemptClaim {
    /// Returns the job whose attempt it is.
    pub(super) fn at(&self, now: Timestamp) -> JobAt<'_> {
        JobAt { run_id: &self.claim.run_id, job: &self.job, now }
    }

    /// Returns its name, under which its staged files are found.
    pub(super) fn name(&self) -> String {
        attempt_name(&self.claim.run_id, &self.job, self.attempt)
    }
}
