//! The part of the contract about runs: what is requested, what is stored, and the right to write for one.

use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::ownership::Tenure;
use crate::domain::dag::Dag;
use crate::domain::delivery::ExpectedMail;
use crate::domain::ids::{DagName, JobName, RunId};
use crate::domain::job::Force;
use crate::domain::manual::{Asked, Manual};
use crate::domain::run::{RunState, Trigger};

/// The request for a new run.
#[derive(Debug, Clone, PartialEq)]
pub struct NewRun {
    /// The DAG as it is now; its version is kept.
    pub dag: Dag,
    /// The logical date.
    pub logical_date: Date,
    /// What triggered it, who asked for it, and why.
    pub asked: Asked,
    /// The schedule's slot, if a schedule asked: unique per DAG.
    pub slot: Option<Timestamp>,
    /// The jobs requested; the others are skipped. `None`: all.
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
    /// What triggered it.
    pub trigger: Trigger,
    /// Who asked for it by hand, and why.
    #[serde(default)]
    pub manual: Option<Manual>,
    /// The run that it repairs.
    #[serde(default)]
    pub repairs: Option<RunId>,
    /// The backfill to which it belongs.
    #[serde(default)]
    pub backfill: Option<String>,
    /// The schedule's slot.
    pub slot: Option<Timestamp>,
    /// The jobs requested.
    pub only: Option<Vec<JobName>>,
    /// Whether what is up to date is done again.
    pub force: Force,
    /// Its state.
    pub state: RunState,
    /// Whether a person asked to stop it.
    pub cancel_requested: bool,
    /// How often it was taken up: more than once if it was interrupted.
    #[serde(default)]
    pub taken_up: u32,
    /// When it was asked for.
    pub queued_at: Timestamp,
    /// When it was first taken up.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
}

/// The right to write for a run, until it is taken up again or the owner's tenure is over.
#[derive(Debug, Clone)]
pub struct Claim {
    /// The run.
    pub run_id: RunId,
    /// The fencing token: it increases each time the run is taken up.
    pub token: i64,
    /// The owner's right.
    pub tenure: Tenure,
}

/// An event as it is stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EventRecord {
    /// Its number; events are ordered by it.
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
    /// In this state only.
    pub state: Option<RunState>,
    /// Asked for at this instant or later.
    pub since: Option<Timestamp>,
    /// At most this many, newest first.
    pub limit: Option<u32>,
}
