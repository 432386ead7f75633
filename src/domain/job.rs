//! What a job body is given: everything it may know, as one serialisable value.
//!
//! A body sees the stored state only through its [`JobInput`]: the committed snapshots, cursors and models as they were
//! when the attempt began, and the jobs of this run so far. So the same input gives the same outcome, and a body can
//! run in another process.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::alert::StandingAlert;
use super::check::Finding;
use super::delivery::EarlierEmail;
use super::fingerprint::Why;
use super::ids::{DagName, JobName, KindName, RunId};
use super::measurement::PastMeasurement;
use super::outcome::{ModelRecord, Outcome, SnapshotRef};
use super::run::JobState;

/// The input of one attempt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JobInput {
    /// The run.
    pub run_id: RunId,
    /// The DAG.
    pub dag: DagName,
    /// The job.
    pub job: JobName,
    /// The job's kind.
    pub kind: KindName,
    /// The kind's parameters.
    pub params: serde_json::Value,
    /// The parameters of every job of the DAG, this one included.
    #[serde(default)]
    pub dag_params: BTreeMap<JobName, serde_json::Value>,
    /// The logical date: the run covers through the end of the day before it, in `timezone`.
    pub logical_date: Date,
    /// The IANA name of the DAG's zone.
    pub timezone: String,
    /// The attempt's number, from 1.
    pub attempt: u32,
    /// Whether to repeat what is up to date.
    pub force: Force,
    /// The current snapshot of every dataset, by dataset key.
    pub snapshots: BTreeMap<String, SnapshotRef>,
    /// The sources' cursors, by `<source>/<table>`.
    pub cursors: BTreeMap<String, String>,
    /// The champions and challengers, newest first.
    pub models: Vec<ModelRecord>,
    /// The run's other jobs so far, in the order in which they began.
    #[serde(with = "shared")]
    pub jobs: Vec<Arc<JobView>>,
    /// The jobs that need this one, directly or through others: none of them can begin before it has ended.
    #[serde(default)]
    pub dependents: BTreeSet<JobName>,
    /// Whether this job has succeeded for a later date of the DAG: then what is current is not this run's to say.
    #[serde(default)]
    pub is_for_earlier_date: bool,
    /// The outcome of this job's last success for the same DAG, whatever its date.
    pub last_success: Option<Outcome>,
    /// The parts of its outcome that earlier attempts of this job in this run have committed, by name.
    #[serde(default)]
    pub parts: BTreeMap<String, Outcome>,
    /// The findings in parts of jobs of this run that failed in the end.
    #[serde(default)]
    pub left_findings: Vec<Finding>,
    /// What the DAG measured on earlier nights, as far as the kind reads it, the oldest date first.
    #[serde(default)]
    pub history: Vec<PastMeasurement>,
    /// The alerts of the DAG that stand in this night.
    #[serde(default)]
    pub alerts: Vec<StandingAlert>,
    /// The slots of this DAG's schedule that were skipped since its last run for a slot, oldest first.
    #[serde(default)]
    pub skipped: Vec<SkippedSlot>,
    /// The last e-mail of this job for this night that was handed over.
    #[serde(default)]
    pub earlier_email: Option<EarlierEmail>,
}

/// Returns the name of an attempt: see [`JobInput::attempt_name`].
pub fn attempt_name(run_id: &RunId, job: &JobName, attempt: u32) -> String {
    format!("{run_id}.{job}.{attempt}")
}

/// A slot of a schedule that got no run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SkippedSlot {
    /// The DAG.
    pub dag: DagName,
    /// The instant that the schedule names.
    pub at: Timestamp,
    /// Why.
    pub why: String,
}

/// Values that many inputs share in memory, and that are written out in each.
mod shared {
    use std::sync::Arc;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<T: Serialize, S: Serializer>(values: &[Arc<T>], to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(values.iter().map(AsRef::as_ref))
    }

    pub(super) fn deserialize<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Vec<Arc<T>>, D::Error> {
        Ok(Vec::<T>::deserialize(from)?.into_iter().map(Arc::new).collect())
    }
}

/// Whether what is up to date is done again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Force {
    /// No: an up-to-date job is not repeated.
    #[default]
    No,
    /// Yes: everything is rebuilt (but no e-mail is sent twice).
    Rebuild,
}

/// A job of a run, as others see it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JobView {
    /// Its name.
    pub name: JobName,
    /// Its kind.
    pub kind: KindName,
    /// Its state.
    pub state: JobState,
    /// Attempts so far.
    pub attempts: u32,
    /// When its first attempt began.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// What its successful attempt returned.
    pub outcome: Option<Outcome>,
    /// Why its last attempt failed, or why it was skipped.
    pub error: Option<String>,
    /// Why its last attempt ran, or that it need not; `None` until that attempt has ended, and where it ended before it
    /// knew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<Why>,
}

impl JobInput {
    /// Returns the attempt's name, unique in the state store and usable as a file name: its staged files are in folders
    /// of that name, which are removed when the attempt ends without a commit.
    pub fn attempt_name(&self) -> String {
        attempt_name(&self.run_id, &self.job, self.attempt)
    }

    /// Returns the current snapshot of `dataset`.
    pub fn snapshot(&self, dataset: &str) -> Option<&SnapshotRef> {
        self.snapshots.get(dataset)
    }

    /// Returns the values that the jobs of the DAG give to the parameter `name`, such as the models that they name.
    pub fn named_in_dag(&self, name: &str) -> BTreeSet<&str> {
        self.dag_params.values().filter_map(|params| params.get(name)?.as_str()).collect()
    }

    /// Returns the champion of `model`.
    pub fn champion(&self, model: &str) -> Option<&ModelRecord> {
        self.models.iter().find(|m| m.model == model && m.role == super::outcome::ModelRole::Champion)
    }

    /// Returns the facts called `name` that jobs of this run left, in the order in which they began.
    pub fn facts<'a>(&'a self, name: &'a str) -> impl Iterator<Item = (&'a JobName, &'a serde_json::Value)> {
        self.jobs.iter().filter_map(move |job| Some((&job.name, job.outcome.as_ref()?.facts.get(name)?)))
    }
}
