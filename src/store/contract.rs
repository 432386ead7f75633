//! The contract of a state store, and the values that go in and out of it.
//!
//! [`StateStore`] has one suite of tests (`tests/it/store/`) for both databases. Every implementation promises:
//! - each method is one transaction: events and the new state are written together, or neither;
//! - a store has one owner ([`Tenure`]), and only the owner takes runs up;
//! - a write that belongs to a run carries the run's fencing token, and one that belongs to an attempt also the
//!   attempt's own; it is refused ([`StoreError::Fenced`]) if another owner has since taken the run up, or if the
//!   attempt is not the running one: a stale worker cannot publish;
//! - whatever writes may be requested again if the answer was lost: the second request changes nothing. Beginning and
//!   ending an attempt, and ending a run, give the same answer again; a slot that has its run gives none;
//! - a transition that `domain::run` does not know is refused, and nothing is written; a run that is not running
//!   accepts no changes of its jobs, and a run does not end while one of its jobs is open, unless it is cancelled;
//! - a future that is dropped halfway leaves nothing behind;
//! - times come from the caller's clock, and are kept to the microsecond.

use std::collections::BTreeMap;

use async_trait::async_trait;
use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};

use crate::domain::check::Finding;
use crate::domain::dag::Dag;
use crate::domain::ids::{DagName, JobName, RunId};
use crate::domain::job::{JobView, SkippedSlot};
use crate::domain::outcome::{FileRef, ModelRecord, SnapshotRef};
use crate::domain::run::RunState;

use super::alert_contract::AlertBook;
use super::attempt_contract::{AttemptClaim, Begun, Finished, JobStanding, LastSuccess, OutcomePart, Unattempted};
use super::error::StoreError;
use super::history_contract::Measurements;
use super::keeping_contract::Keeping;
use super::mail_contract::{MailStore, Promise};
use super::ownership::{Observed, Role, Tenure};
use super::repair_contract::Repairs;
use super::run_contract::{Claim, EventRecord, NewRun, RunFilter, RunRecord};

/// Something that must follow commits and has not happened yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToSettle {
    /// What: a word and a name, such as `dataset restricted/tables/users`.
    pub target: String,
    /// Increases with each commit that wants it.
    pub wanted: i64,
    /// Tries so far.
    pub tries: u32,
    /// When it was first wanted.
    pub since: Timestamp,
    /// Why the last try failed.
    pub last_error: Option<String>,
}

/// A schedule's watermark, and the schedule under which it was moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watermark {
    /// The last instant that was processed.
    pub at: Timestamp,
    /// The schedule and its zone as JSON; `None` in the oldest rows.
    pub schedule: Option<String>,
}

/// The contract of a state store.
///
/// # Errors
/// Every method: [`StoreError::Query`] when the database fails (see [`StoreError::is_transient`]) and
/// [`StoreError::Unreadable`] when what is stored does not parse. Methods that take a [`Claim`]: `Fenced` when it is
/// void, `Illegal` when the state does not allow it, `NoRun` and `NoSuchJob` when the run or job does not exist. After
/// any error nothing was written.
#[async_trait]
pub trait StateStore: AlertBook + Keeping + MailStore + Measurements + Repairs {
    /// Makes a run: allocates its id, keeps the DAG's version, queues its jobs, moves the schedule's watermark if it
    /// has a slot, and writes the promises of its e-mails. Returns `None` if that slot was processed already, by a run
    /// or by [`Self::skip_slot`]. Jobs in `only` that the DAG does not have are refused ([`StoreError::NoJob`]).
    async fn create_run(&self, new: NewRun) -> Result<Option<RunRecord>, StoreError>;

    /// Returns the store's owner as seen from this process.
    async fn observe_owner(&self) -> Result<Observed, StoreError>;

    /// Becomes the store's owner. `None` if another is: on SQLite the process that holds the file's lock; on PostgreSQL
    /// any owner that has changed since `seen` (a living owner increases its counter).
    async fn take_ownership(&self, owner: &str, role: Role, seen: &Observed) -> Result<Option<Tenure>, StoreError>;

    /// Renews the owner's tenure; [`StoreError::NotOwner`] when another has taken over.
    async fn renew_ownership(&self, tenure: &Tenure) -> Result<(), StoreError>;

    /// Gives ownership up.
    async fn resign_ownership(&self, tenure: &Tenure) -> Result<(), StoreError>;

    /// Takes a run up: it is running now, and the token of its previous worker is void. Attempts that were left running
    /// become lost (their jobs: retrying, or failed after three lost attempts). [`StoreError::NotOwner`] when the
    /// tenure is over.
    async fn claim_run(&self, run_id: &RunId, tenure: &Tenure, now: Timestamp) -> Result<Claim, StoreError>;

    /// Begins the next attempt of a job under its own `fence`, unique among all attempts, and returns its number (from
    /// 1) and what it reads, all in one transaction.
    async fn begin_attempt(
        &self,
        claim: &Claim,
        job: &JobName,
        fence: &str,
        now: Timestamp,
    ) -> Result<Begun, StoreError>;

    /// Commits a part of a running attempt's outcome: the attempt goes on.
    async fn commit_part(
        &self,
        attempt: &AttemptClaim,
        part: OutcomePart<'_>,
        now: Timestamp,
    ) -> Result<(), StoreError>;

    /// Ends an attempt; with an outcome, this is *the commit*: snapshots, cursors, models, measurements, alerts, outbox rows, what must be
    /// settled and the attempt's end, in one transaction. [`StoreError::Moved`] when it would replace something other
    /// than what was current when the attempt began. What a run for an earlier date makes counts for that run alone,
    /// and moves no cursor. An outcome with a figure that is not finite is refused. Returns the job as it is then.
    async fn finish_attempt(
        &self,
        attempt: &AttemptClaim,
        finished: Finished,
        now: Timestamp,
    ) -> Result<JobStanding, StoreError>;

    /// Ends a job that is not attempted, and returns it as it is then.
    async fn finish_unattempted(
        &self,
        claim: &Claim,
        job: &JobName,
        end: Unattempted,
        now: Timestamp,
    ) -> Result<JobStanding, StoreError>;

    /// Ends a run. With `Cancelled`, its open jobs are cancelled too; with any other state, open jobs are an error
    /// ([`StoreError::OpenJobs`]).
    async fn finish_run(&self, claim: &Claim, state: RunState, now: Timestamp) -> Result<(), StoreError>;

    /// Asks to stop a run, with `said` as the audit entry; returns whether it was still open. A queued run is cancelled
    /// at once.
    async fn request_cancel(&self, run_id: &RunId, said: &str, now: Timestamp) -> Result<bool, StoreError>;

    /// Returns a run.
    async fn run(&self, run_id: &RunId) -> Result<Option<RunRecord>, StoreError>;

    /// Returns runs, newest first.
    async fn runs(&self, filter: &RunFilter) -> Result<Vec<RunRecord>, StoreError>;

    /// Returns a run's jobs in the order in which they began, those not begun last by name.
    async fn jobs(&self, run_id: &RunId) -> Result<Vec<JobView>, StoreError>;

    /// Returns the same jobs with what is left of their budgets: what taking a run up needs.
    async fn job_standings(&self, run_id: &RunId) -> Result<Vec<JobStanding>, StoreError>;

    /// Returns the DAG in the version that the run uses.
    async fn dag_of(&self, run_id: &RunId) -> Result<Dag, StoreError>;

    /// Returns the events of a run with a number above `after`, in order.
    async fn events(&self, run_id: &RunId, after: i64) -> Result<Vec<EventRecord>, StoreError>;

    /// Returns the current snapshot of every dataset, by its key.
    async fn snapshots(&self) -> Result<BTreeMap<String, SnapshotRef>, StoreError>;

    /// Returns the snapshots that a run used when it ended (or uses now): for each dataset the one that it made itself,
    /// else the one that was current then.
    async fn snapshots_at_end_of(&self, run_id: &RunId) -> Result<BTreeMap<String, SnapshotRef>, StoreError>;

    /// Returns the findings in parts of a run's jobs that did not succeed in the end: they are in no outcome.
    async fn findings_left(&self, run_id: &RunId) -> Result<Vec<Finding>, StoreError>;

    /// Returns the sources' cursors.
    async fn cursors(&self) -> Result<BTreeMap<String, String>, StoreError>;

    /// Returns the models that are not retired, newest first by their first recording. A new champion retires the
    /// earlier one of its name.
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

    /// Returns what must still be settled and whose next try is due, the oldest first.
    async fn to_settle(&self, now: Timestamp) -> Result<Vec<ToSettle>, StoreError>;

    /// Returns whether a target must still be settled, whenever its next try is due.
    async fn is_to_settle(&self, target: &str) -> Result<bool, StoreError>;

    /// Records that a target is settled as of `wanted`; it stays if it has been wanted again since.
    async fn settled(&self, target: &str, wanted: i64) -> Result<(), StoreError>;

    /// Records that a target could not be settled, and when to try again.
    async fn not_settled(&self, target: &str, error: &str, next_try: Timestamp) -> Result<(), StoreError>;

    /// Requests that every current dataset, and the files of the newest runs, be settled again: done at every start.
    async fn want_all_settled(&self, now: Timestamp) -> Result<(), StoreError>;

    /// Returns the file that the last commit wants under `key`.
    async fn published_file(&self, key: &str) -> Result<Option<FileRef>, StoreError>;

    /// Returns the watermark of a DAG's schedule.
    async fn watermark(&self, dag: &DagName) -> Result<Option<Watermark>, StoreError>;

    /// Sets a DAG's watermark, forward or back, and records the schedule by which its slots are processed from now on.
    async fn set_watermark(&self, dag: &DagName, watermark: &Watermark) -> Result<(), StoreError>;

    /// Takes a slot without a run and moves the watermark (forward only), with the reason in the slot's row and as an
    /// audit entry; returns whether the slot was free. The slot's e-mails are promised all the same: `promise` has
    /// them, if the slot owes any.
    async fn skip_slot(
        &self,
        slot: &SkippedSlot,
        promise: Option<Promise<'_>>,
        now: Timestamp,
    ) -> Result<bool, StoreError>;

    /// Frees the slots that a wrong clock has taken: those skipped after `now`, and all after `beyond`; returns their
    /// number.
    async fn free_slots(&self, dag: &DagName, now: Timestamp, beyond: Timestamp) -> Result<u64, StoreError>;

    /// Returns the slots that were skipped, newest first.
    async fn skipped_slots(&self, filter: &RunFilter) -> Result<Vec<SkippedSlot>, StoreError>;
}
