//! The e-mail of a night that went wrong: failed, late, or never begun.
//!
//! It is short on purpose: what went wrong, what still stands, what to do, in order. It is made when there may be
//! no report at all, so it needs nothing but the run's state.

use jiff::{Timestamp, civil::Date};
use serde::{Deserialize, Serialize};

use super::{JobEnd, Pointer};
use crate::domain::delivery::{Signature, Word};
use crate::domain::ids::{DagName, RunId};

/// What people must know when a night did not finish.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FailureView {
    /// Whose night it is.
    pub institution: String,
    /// The DAG.
    pub dag: DagName,
    /// The logical date.
    pub logical_date: Date,
    /// The IANA time zone in which times are shown.
    pub zone: String,
    /// Whether the students are invented.
    pub is_simulation: bool,
    /// What went wrong.
    pub kind: FailureKind,
    /// The run, if there is one.
    pub run_id: Option<RunId>,
    /// When the state below was read.
    pub seen_at: Timestamp,
    /// By when the digest was due.
    pub deadline: Option<Timestamp>,
    /// The jobs that failed or are late, in the order of the plan.
    pub jobs: Vec<FailedJob>,
    /// How many of the night's jobs are done, and how many there are.
    pub done: (usize, usize),
    /// Why it never began, or why it cannot be read: a sentence.
    pub why: Option<String>,
    /// What readers still have: a sentence, such as `The figures of 19 November stand and are unchanged.`
    pub still_stands: String,
    /// What to do, in order: sentences.
    pub steps: Vec<String>,
    /// Where to look.
    pub pointers: Vec<Pointer>,
    /// Whom to ask, in words.
    pub contact: Option<String>,
}

/// How a night failed to finish.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// A job failed for good.
    Failed,
    /// It is still running past its deadline.
    Late,
    /// It never began.
    NeverBegan,
    /// What became of it cannot be read.
    Unknown,
}

impl FailureView {
    /// Returns what an e-mail with this view says: what went wrong, and the jobs that failed.
    pub fn signature(&self) -> Signature {
        let word = match self.kind {
            FailureKind::Failed => Word::NoDigest,
            FailureKind::Late => Word::Late,
            FailureKind::NeverBegan => Word::NeverBegan,
            FailureKind::Unknown => Word::Unknown,
        };
        let failed = self.jobs.iter().filter(|job| job.end.is_trouble()).map(|job| job.name.clone());
        Signature::new(word, failed.collect())
    }
}

/// A job that failed or is late.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedJob {
    /// The job's name.
    pub name: String,
    /// Its state.
    pub end: JobEnd,
    /// What failed, on what and why: one sentence without anything about a person.
    pub message: String,
    /// What to do about it; empty where the message says so.
    pub advice: String,
    /// How many attempts were made.
    pub attempts: u32,
}
