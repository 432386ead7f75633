//! The part of the contract about attempts: what one reads, what its commit replaces, and how it ends.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::Date;

use super::run_contract::Claim;
use crate::domain::alert::StandingAlert;
use crate::domain::check::Finding;
use crate::domain::delivery::EarlierEmail;
use crate::domain::fingerprint::{Fingerprint, Why};
use crate::domain::ids::{JobName, RunId, SnapshotId};
use crate::domain::job::{JobView, SkippedSlot};
use crate::domain::outcome::{ModelRecord, ModelRole, Outcome, SnapshotRef};

/// The right to end one attempt.
#[derive(Debug, Clone)]
pub struct AttemptClaim {
    /// The right to write for its run.
    pub claim: Claim,
    /// The job.
    pub job: JobName,
    /// The attempt's number, from 1.
    pub attempt: u32,
    /// The attempt's own fencing token.
    pub fence: String,
}

/// A part of the outcome of an attempt that goes on.
#[derive(Debug, Clone, Copy)]
pub struct OutcomePart<'a> {
    /// Its name: unique in its job and run.
    pub name: &'a str,
    /// What it brings.
    pub outcome: &'a Outcome,
    /// What its commit replaces.
    pub base: &'a Base,
}

/// An attempt that has begun, and the committed state as it was at that moment.
#[derive(Debug, Clone)]
pub struct Begun {
    /// The right to end it.
    pub attempt: AttemptClaim,
    /// The job as it is now.
    pub standing: JobStanding,
    /// What it reads.
    pub committed: Committed,
    /// What its commit replaces, as it is now.
    pub base: Base,
}

/// The committed state that an attempt reads, all of one moment.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Committed {
    /// The snapshot of every dataset that the run sees: the current one, or its own if it is for an earlier date.
    pub snapshots: BTreeMap<String, SnapshotRef>,
    /// The sources' cursors.
    pub cursors: BTreeMap<String, String>,
    /// The models that are not retired, newest first.
    pub models: Vec<ModelRecord>,
    /// The job's last success, whatever its date.
    pub last_success: Option<LastSuccess>,
    /// The latest outcomes, for the same date, of the jobs that the run did not ask for.
    pub standing: Vec<JobView>,
    /// The parts that earlier attempts of the job in this run have committed, by name.
    pub parts: BTreeMap<String, Outcome>,
    /// The findings in parts of jobs of this run that failed in the end.
    pub left_findings: Vec<Finding>,
    /// Whether the job has succeeded for a later date.
    pub is_for_earlier_date: bool,
    /// The alerts of the DAG that stand in the run's night.
    pub alerts: Vec<StandingAlert>,
    /// The slots of the DAG that were skipped since its last run for a slot.
    pub skipped: Vec<SkippedSlot>,
    /// The last e-mail of the job for the run's night that was handed over.
    pub earlier_email: Option<EarlierEmail>,
}

/// What was current when an attempt began: a commit that would replace anything else is refused.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Base {
    /// The current snapshot of each dataset.
    pub snapshots: BTreeMap<String, SnapshotId>,
    /// Each cursor's position.
    pub cursors: BTreeMap<String, String>,
    /// The version of each model's champion.
    pub champions: BTreeMap<String, String>,
}

impl Base {
    /// Notes what the commit of `outcome` has made current: the same attempt replaces that next.
    pub fn follow(&mut self, outcome: &Outcome) {
        for snapshot in &outcome.snapshots {
            self.snapshots.insert(snapshot.dataset.clone(), snapshot.snapshot.clone());
        }
        self.cursors.extend(outcome.cursors.clone());
        for model in outcome.models.iter().filter(|model| model.role == ModelRole::Champion) {
            self.champions.insert(model.model.clone(), model.version.clone());
        }
    }
}

/// A job as seen by the process that takes its run up.
#[derive(Debug, Clone, PartialEq)]
pub struct JobStanding {
    /// The job, as others see it.
    pub view: JobView,
    /// Tries that failed.
    pub failures: u32,
    /// Attempts that were lost.
    pub lost: u32,
    /// The instant before which its next attempt may not start.
    pub not_before: Option<Timestamp>,
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq)]
pub enum AttemptEnd {
    /// It returned an outcome: this is the commit of all its effects.
    Succeeded {
        /// What it returned.
        outcome: Box<Outcome>,
        /// The fingerprint of its inputs, params and code, where the kind has one.
        fingerprint: Option<Fingerprint>,
        /// What was current when it began.
        base: Base,
    },
    /// It failed; with `retry_at` another attempt follows.
    Failed {
        /// Why, with its chain of causes.
        error: String,
        /// When the next attempt begins.
        retry_at: Option<Timestamp>,
    },
    /// Its process died, or its owner did; after three lost attempts the job fails.
    Lost {
        /// How, for a person.
        why: String,
    },
    /// It was stopped because its process was told to end: it does not count as a try, and another follows.
    Drained,
    /// Its commit was refused ([`StoreError::Moved`](super::StoreError::Moved)); after three refusals the job fails.
    Superseded {
        /// What had changed.
        what: String,
    },
    /// A person stopped it.
    Cancelled,
}

/// The end of an attempt, and what it said before.
#[derive(Debug, Clone, PartialEq)]
pub struct Finished {
    /// How it ended.
    pub end: AttemptEnd,
    /// Why the job ran, or that it need not; `None` where the attempt ended before it knew.
    pub why: Option<Why>,
}

impl From<AttemptEnd> for Finished {
    fn from(end: AttemptEnd) -> Self {
        Self { end, why: None }
    }
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
    /// The run of that success.
    pub run_id: RunId,
    /// That run's logical date.
    pub logical_date: Date,
    /// What its outcome was made from; `None` if its kind has no fingerprint, or an earlier version recorded it.
    pub fingerprint: Option<Fingerprint>,
    /// What it returned.
    pub outcome: Outcome,
}
