//! The part of the store's contract about repairs: backfills, marks, pauses, and the audit log as people read it.
//!
//! Each act is one transaction with its entry in the audit log: who asked, when and why.

use async_trait::async_trait;
use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::error::StoreError;
use super::run_contract::{NewRun, RunRecord};
use crate::domain::ids::{DagName, JobName, RunId};
use crate::domain::manual::Manual;
use crate::domain::run::{JobState, RunState};

/// A DAG's runs for a range of dates, asked for at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backfill {
    /// Its id.
    pub id: String,
    /// The DAG.
    pub dag: DagName,
    /// The first date.
    pub first: Date,
    /// The last date, inclusive.
    pub last: Date,
    /// Which dates that already have a run get another, as a word.
    pub reprocess: String,
    /// How many of its runs may be carried out at once.
    pub parallel: u32,
    /// When it was asked for.
    pub asked_at: Timestamp,
}

impl Backfill {
    /// Returns whether `other` asks for the same: of the same DAG, for the same dates, repeating the same of them.
    pub fn is_same_request(&self, other: &Self) -> bool {
        let request = |one: &Self| (one.dag.clone(), one.first, one.last, one.reprocess.clone());
        request(self) == request(other)
    }
}

/// A DAG whose schedule is paused: its slots are skipped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    /// The DAG.
    pub dag: DagName,
    /// Since when.
    pub since: Timestamp,
    /// Who paused it, and why.
    pub manual: Manual,
}

impl Pause {
    /// Returns whether it covers the slot of `dag` at `slot`: such a slot owes nothing to anybody.
    pub fn covers(&self, dag: &DagName, slot: Timestamp) -> bool {
        self.dag == *dag && slot >= self.since
    }
}

/// An entry of the audit log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEntry {
    /// Its number, from 1.
    pub seq: i64,
    /// When it was written.
    pub at: Timestamp,
    /// The run to which it belongs.
    pub run_id: Option<RunId>,
    /// The job, where an attempt wrote it.
    pub job: Option<JobName>,
    /// What was done.
    pub entry: String,
}

/// How a job of a run that is done is to count.
#[derive(Debug, Clone, Copy)]
pub struct JobMark<'a> {
    /// The run.
    pub run_id: &'a RunId,
    /// The job.
    pub job: &'a JobName,
    /// As what it is to count.
    pub state: JobState,
}

/// What repairing asks of a state store.
///
/// # Errors
/// As [`StateStore`](super::StateStore): after any error nothing was written.
#[async_trait]
pub trait Repairs: Send + Sync {
    /// Makes a backfill and its runs in one transaction, in this order: either all are there, or none. A date with a run
    /// that is open or was made since `asked_at` gets none. If the same is asked for already and not done, or no run is
    /// left to make, nothing is made. Returns the backfill that stands for the request: the earlier one, or this.
    async fn create_backfill(&self, backfill: &Backfill, runs: Vec<NewRun>) -> Result<Backfill, StoreError>;

    /// Returns the backfills with runs that are not done.
    async fn open_backfills(&self) -> Result<Vec<Backfill>, StoreError>;

    /// Returns the runs of a backfill in the order in which they were asked for.
    async fn runs_of_backfill(&self, backfill: &str) -> Result<Vec<RunRecord>, StoreError>;

    /// Records how a job of a finished run counts: a failed, cancelled or skipped one as succeeded, a succeeded one as
    /// failed (it is then not up to date any more). Returns how the run counts then. [`StoreError::StillOpen`] when the
    /// run is not done.
    async fn mark_job(&self, mark: JobMark<'_>, manual: &Manual, now: Timestamp) -> Result<RunState, StoreError>;

    /// Pauses a DAG's schedule; returns whether it was not paused before.
    async fn pause(&self, dag: &DagName, manual: &Manual, now: Timestamp) -> Result<bool, StoreError>;

    /// Resumes a DAG's schedule, which begins with its next slot; returns whether it was paused.
    async fn resume(&self, dag: &DagName, manual: &Manual, now: Timestamp) -> Result<bool, StoreError>;

    /// Returns the DAGs that are paused.
    async fn pauses(&self) -> Result<Vec<Pause>, StoreError>;

    /// Returns entries of the audit log, newest first: of one run, or of all; at most `limit`.
    async fn audit_entries(&self, run_id: Option<&RunId>, limit: u32) -> Result<Vec<AuditEntry>, StoreError>;
}
