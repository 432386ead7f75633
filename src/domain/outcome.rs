//! What an attempt returns: counts, measurements, findings and every effect it wants.
//!
//! A job body only returns an [`Outcome`]; the engine commits it in one transaction. So a body can run in a child
//! process, and a body that dies has had no effect. Everything here is serialisable and small: the data stay in the
//! lake, and outcomes refer to them.
//!
//! How to add an effect:
//! 1. a field of [`Outcome`], with a default: outcomes of earlier versions are read too;
//! 2. `store::commit::write_effects` writes it, at its place in the order that its header gives, and decides what a run
//!    for an earlier date may do;
//! 3. what it does outside the database is a target "to settle": a word in `store::settle`, and an arm of
//!    `Settle::settle` in `app::settle`, which may be interrupted and repeated. If it deletes, its word goes into
//!    `DELETING` there: nothing is deleted between the restore of a backup and its agreement with the lake;
//! 4. `full_outcome` (`tests/it/store/fixtures.rs`) has one, and `a_commit_writes_every_effect` looks for it.
//!
//! A destructive effect (a collection, an erasure) is an effect like any other: named in the outcome, committed with it,
//! carried out after it. What a removal from the lake must respect is said in the header of `lake`.

use std::collections::BTreeMap;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::alert::AlertStep;
use super::check::Finding;
use super::delivery::{Recipient, Signature};
use super::ids::{DagName, SnapshotId};
use super::measurement::Measurement;

/// Everything an attempt did and wants committed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Outcome {
    /// One line for a person: what was done.
    pub summary: String,
    /// Why nothing needed doing, or why the job was skipped; `None` when work was done.
    pub reason: Option<Reason>,
    /// The logical date of the run in which it was made, which an up-to-date job repeats; `None` where an earlier version
    /// of the program did not record it.
    pub made_for: Option<Date>,
    /// Numbers made on the way.
    pub measurements: Vec<Measurement>,
    /// What is wrong or noteworthy.
    pub findings: Vec<Finding>,
    /// What the night makes of its alerts.
    pub alerts: Vec<AlertStep>,
    /// Snapshots that become current with the commit.
    pub snapshots: Vec<SnapshotRef>,
    /// Source cursors to move, by `<source>/<table>`.
    pub cursors: BTreeMap<String, String>,
    /// Files under fixed names (reports, model cards) to put in place after the commit.
    pub files: Vec<FileRef>,
    /// Models and promotions to record.
    pub models: Vec<ModelRecord>,
    /// E-mails to put in the outbox; they are not stored with the outcome.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mails: Vec<MailRecord>,
    /// Facts for later jobs of the run, by name (such as `drift`): small JSON values.
    pub facts: BTreeMap<String, serde_json::Value>,
    /// Entries for the audit log, such as a reading of the identity map.
    pub audit: Vec<String>,
    /// New entries of the identity map: the name of a sealed file next to it, which begins with the attempt's name.
    pub identities: Option<String>,
    /// Whether the attempt has staged files that its outcome does not name, and that must be removed.
    pub discards_staged: bool,
}

/// Why a job ended without doing its work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// Inputs, parameters and code are those of an earlier success.
    UpToDate,
    /// Nobody is enrolled at the logical date (between terms).
    NobodyEnrolled,
    /// There is not enough history yet to do it.
    NotEnoughHistory,
}

impl Reason {
    /// Returns the reason in words.
    pub const fn words(self) -> &'static str {
        match self {
            Self::UpToDate => "up to date",
            Self::NobodyEnrolled => "nobody is enrolled",
            Self::NotEnoughHistory => "not enough history yet",
        }
    }
}

/// A committed (or to be committed) snapshot of a dataset in the lake.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotRef {
    /// The dataset's key in the lake, such as `restricted/tables/submissions`.
    pub dataset: String,
    /// The snapshot.
    pub snapshot: SnapshotId,
    /// Rows in all its parts.
    pub rows: u64,
    /// Bytes in all its parts.
    pub size_bytes: u64,
    /// Whether it replaces a newer one that was not available.
    #[serde(default)]
    pub stale: bool,
    /// The snapshots it was made from (`dataset@snapshot`).
    #[serde(default)]
    pub inputs: Vec<String>,
}

/// A file staged in its attempt's folder, which is put in place under its name after the commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileRef {
    /// The key under which readers find it.
    pub key: String,
    /// The SHA-256 of its bytes, which names the staged copy.
    pub sha256: String,
    /// Its size.
    pub size_bytes: u64,
    /// The key of the staged copy; empty in the oldest records.
    #[serde(default)]
    pub staged: String,
}

/// A model in the registry.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelRecord {
    /// The model's name, such as `at_risk`.
    pub model: String,
    /// The version: the hash of its artefact.
    pub version: String,
    /// What it is now.
    pub role: ModelRole,
    /// The key of its artefact folder in the lake.
    pub artefact: String,
    /// Why it has this role, in the gate's words.
    pub why: String,
    /// The model card's facts: recipe, data, metrics. Small JSON.
    pub card: serde_json::Value,
}

/// What a model version is used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ModelRole {
    /// The one in use.
    Champion,
    /// The one under trial.
    Challenger,
    /// No longer in use.
    Retired,
}

/// An e-mail for the outbox: the same for all its recipients except for their own headers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MailRecord {
    /// The DAG.
    pub dag: DagName,
    /// The logical date.
    pub logical_date: Date,
    /// The job that writes it.
    pub audience: String,
    /// What it says, as far as a change in it is worth a correction.
    pub signature: Signature,
    /// The envelope's sender.
    pub from: String,
    /// Who gets it, each in an envelope of their own.
    pub to: Vec<Recipient>,
    /// The subject, for lists (it holds nothing about a person).
    pub subject: String,
    /// The RFC 5322 message without `To`, `Message-ID` and the headers that refer to other messages: these are put
    /// before it.
    pub body: String,
    /// What it tells, for later e-mails to compare with: measured only if somebody gets it.
    #[serde(default)]
    pub tells: Vec<Measurement>,
}

/// Why an attempt failed, and whether another try might help.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// It might work later: a time-out, a refused connection, a busy store.
    #[error("{0:#}")]
    Retry(anyhow::Error),
    /// It will not work until somebody changes something.
    #[error("{0:#}")]
    Fail(anyhow::Error),
    /// The process it ran in died, by a signal or without an explanation.
    #[error("{0}")]
    Lost(String),
    /// It was told to stop.
    #[error("cancelled")]
    Cancelled,
}

impl JobError {
    /// Returns an error that another attempt might get past.
    pub fn retry(error: impl Into<anyhow::Error>) -> Self {
        Self::Retry(error.into())
    }

    /// Returns an error that another attempt would meet again.
    pub fn fail(error: impl Into<anyhow::Error>) -> Self {
        Self::Fail(error.into())
    }
}

impl From<anyhow::Error> for JobError {
    fn from(error: anyhow::Error) -> Self {
        Self::Fail(error)
    }
}
