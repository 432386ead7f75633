//! The contract of a state store, and the values that go in and out of it.
//!
//! [`StateStore`] has one suite of tests (`tests/it/store/`) for both databases. Every implementation promises:
//! - each method is one transaction: events and the new state are written together, or neither;
//! - a write that belongs to a run carries the run's fencing token, and is refused ([`StoreError::Fenced`]) when
//!   another owner has taken the run up since: a stale worker cannot publish;
//! - a transition that `domain::run` does not know is refused, and nothing is written; a run that is not running
//!   takes no news of its jobs, and a run does not end while a job of it is open, unless it is cancelled;
//! - a future that is dropped halfway leaves nothing behind;
//! - times come from the caller's clock, and are kept to the microsecond.

use std::collections::BTreeMap;

use async_trait::async_trait;
use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::domain::dag::Dag;
use crate::domain::delivery::ExpectedMail;
use crate::domain::ids::{DagName, JobName, RunId};
use crate::domain::job::{Force, JobView};
use crate::domain::outcome::{ModelRecord, Outcome, SnapshotRef};
use crate::domain::run::RunState;

use super::error::StoreError;
use super::mail_contract::{MailStore, Promise};

/// What is asked for with a new run.
#[derive(Debug, Clone, PartialEq)]
pub struct NewRun {
    /// The DAG as it stands now; its version is kept.
    pub dag: Dag,
    /// The logical date.
    pub logical_date: Date,
    /// `schedule`, `command` or `backfill`.
    pub trigger: String,
    /// The schedule's slot, where a schedule asked: unique per DAG.
    pub slot: Option<Timestamp>,
    /// The jobs wanted; the others are skipped. `None`: all.
    pub only: Option<Vec<JobName>>,
    /// Whether what is up to date is done again.
    pub force: Force,
    /// The e-mails that its slot promises.
    pub expected: Vec<ExpectedMail>,
    /// Now.
    pub now: Timestamp,
}

/// A run as it is stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunRecord {
    /// Its id.
    pub run_id: RunId,
    /// Its DAG.
    pub dag: DagName,
    /// The version of the DAG.
    pub dag_version: String,
    /// Its logical date.
    pub logical_date: Date,
    /// Who asked.
    pub trigger: String,
    /// The schedule's slot.
    pub slot: Option<Timestamp>,
    /// The jobs wanted.
    pub only: Option<Vec<JobName>>,
    /// Whether what is up to date is done again.
    pub force: Force,
    /// Its state.
    pub state: RunState,
    /// Whether a person asked to stop it.
    pub cancel_requested: bool,
    /// When it was asked for.
    pub queued_at: Timestamp,
    /// When it was first taken up.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
}

/// The right to write for a run, until another owner takes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// The run.
    pub run_id: RunId,
    /// The fencing token: it rises with each owner.
    pub token: i64,
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq)]
pub enum AttemptEnd {
    /// It returned an outcome: this is the commit of all its effects.
    Succeeded {
        /// What it returned.
        outcome: Box<Outcome>,
        /// The fingerprint of its inputs, params and code, where the kind has one.
        fingerprint: Option<String>,
    },
    /// It failed; with `retry_at` another attempt follows.
    Failed {
        /// Why, with its chain of causes.
        error: String,
        /// When the next attempt begins.
        retry_at: Option<Timestamp>,
    },
    /// Its process died, or its owner did.
    Lost,
    /// A person stopped it.
    Cancelled,
}

/// How a job ends that is not attempted.
#[derive(Debug, Clone, PartialEq)]
pub enum Unattempted {
    /// Its rule says that it is not wanted.
    Skipped {
        /// Why.
        why: String,
    },
    /// A job it needs failed.
    UpstreamFailed {
        /// Which.
        upstream: JobName,
    },
    /// A person stopped the run.
    Cancelled,
}

/// The last success of a job.
#[derive(Debug, Clone, PartialEq)]
pub struct LastSuccess {
    /// The run in which it was.
    pub run_id: RunId,
    /// That run's logical date.
    pub logical_date: Date,
    /// The fingerprint it had.
    pub fingerprint: Option<String>,
    /// What it returned.
    pub outcome: Outcome,
}

/// An event as it is stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EventRecord {
    /// Its number: events are in order of it.
    pub seq: i64,
    /// When it happened.
    pub at: Timestamp,
    /// The run.
    pub run_id: RunId,
    /// The job; `None` for events of the run.
    pub job: Option<JobName>,
    /// The event, as JSON with its word in `event`.
    pub event: serde_json::Value,
}

/// Which runs to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunFilter {
    /// Of this DAG only.
    pub dag: Option<DagName>,
    /// For this logical date only.
    pub logical_date: Option<Date>,
    /// Only those that are not done.
    pub open: bool,
    /// At most so many, newest first.
    pub limit: Option<u32>,
}

/// The contract of a state store.
///
/// # Errors
/// Every method: [`StoreError::Query`] when the database fails (see [`StoreError::is_transient`]) and
/// [`StoreError::Unreadable`] when what is stored does not parse. Methods that take a [`Claim`]: `Fenced` when it is
/// void, `Illegal` when the state does not allow it, `NoRun` and `NoSuchJob` when there is no such thing. After any
/// error nothing was written.
#[async_trait]
pub trait StateStore: MailStore {
    /// Makes a run: allocates its id, keeps the DAG's version, queues its jobs, moves the schedule's watermark when
    /// it has a slot, and writes the promises of its e-mails. Returns `None` when that slot was dealt with already, by a run or by [`Self::skip_slot`]. Jobs in
    /// `only` that the DAG does not have are refused ([`StoreError::NoJob`]).
    async fn create_run(&self, new: NewRun) -> Result<Option<RunRecord>, StoreError>;

    /// Takes a run up: it is running now, and its earlier owner's token is void, whether that owner lives or not.
    /// Attempts that the earlier owner left running become lost (their jobs: retrying).
    async fn claim_run(&self, run_id: &RunId, owner: &str, now: Timestamp) -> Result<Claim, StoreError>;

    /// Says that the owner still lives.
    async fn heartbeat(&self, claim: &Claim, now: Timestamp) -> Result<(), StoreError>;

    /// Begins the next attempt of a job and returns its number, from 1.
    async fn start_attempt(&self, claim: &Claim, job: &JobName, now: Timestamp) -> Result<u32, StoreError>;

    /// Ends an attempt; with an outcome, this is *the commit*: snapshots, cursors, models, outbox rows and the
    /// attempt's end, in one transaction. Only the job's latest attempt can end, and only once. An outcome with a
    /// figure that is not finite is refused.
    async fn finish_attempt(
        &self,
        claim: &Claim,
        job: &JobName,
        attempt: u32,
        end: AttemptEnd,
        now: Timestamp,
    ) -> Result<(), StoreError>;

    /// Ends a job that is not attempted.
    async fn finish_unattempted(
        &self,
        claim: &Claim,
        job: &JobName,
        end: Unattempted,
        now: Timestamp,
    ) -> Result<(), StoreError>;

    /// Ends a run. With `Cancelled`, what is open in it is cancelled too; with any other state, open jobs are an error
    /// ([`StoreError::OpenJobs`]).
    async fn finish_run(&self, claim: &Claim, state: RunState, now: Timestamp) -> Result<(), StoreError>;

    /// Asks to stop a run; returns whether it was still open. A queued run is cancelled at once.
    async fn request_cancel(&self, run_id: &RunId, now: Timestamp) -> Result<bool, StoreError>;

    /// Returns a run.
    async fn run(&self, run_id: &RunId) -> Result<Option<RunRecord>, StoreError>;

    /// Returns runs, newest first.
    async fn runs(&self, filter: &RunFilter) -> Result<Vec<RunRecord>, StoreError>;

    /// Returns a run's jobs in the order in which they began, those not begun last by name.
    async fn jobs(&self, run_id: &RunId) -> Result<Vec<JobView>, StoreError>;

    /// Returns the DAG as the run has it.
    async fn dag_of(&self, run_id: &RunId) -> Result<Dag, StoreError>;

    /// Returns the events of a run with a number above `after`, in order.
    async fn events(&self, run_id: &RunId, after: i64) -> Result<Vec<EventRecord>, StoreError>;

    /// Returns the current snapshot of every dataset, by its key.
    async fn snapshots(&self) -> Result<BTreeMap<String, SnapshotRef>, StoreError>;

    /// Returns the sources' cursors.
    async fn cursors(&self) -> Result<BTreeMap<String, String>, StoreError>;

    /// Returns the models that are not retired, newest (by first recording) first. A new champion retires the earlier
    /// one of its name.
    async fn models(&self) -> Result<Vec<ModelRecord>, StoreError>;

    /// Returns a job's last success: for `logical_date`, or for any date.
    async fn last_success(
        &self,
        dag: &DagName,
        job: &JobName,
        logical_date: Option<Date>,
    ) -> Result<Option<LastSuccess>, StoreError>;

    /// Returns how long the last successes of a DAG's job took, newest first, at most `most`; without those that had
    /// nothing to do.
    async fn durations(&self, dag: &DagName, job: &JobName, most: u32) -> Result<Vec<SignedDuration>, StoreError>;

    /// Returns the last slot that a DAG's schedule has dealt with.
    async fn watermark(&self, dag: &DagName) -> Result<Option<Timestamp>, StoreError>;

    /// Moves the watermark of a DAG's schedule (forward only) without a run (a slot that is skipped), with the reason
    /// as an audit entry. The slot's e-mails are promised all the same: `promise` has them, where the slot owes any.
    async fn skip_slot(
        &self,
        dag: &DagName,
        slot: Timestamp,
        why: &str,
        promise: Option<Promise<'_>>,
        now: Timestamp,
    ) -> Result<(), StoreError>;

    /// Says that a scheduler lives, or (with `None`) that it has stopped.
    async fn scheduler_alive(&self, owner: &str, until: Option<Timestamp>) -> Result<(), StoreError>;

    /// Returns whether a scheduler lives.
    async fn is_scheduler_alive(&self, now: Timestamp) -> Result<bool, StoreError>;
}
