//! What the engine needs from other layers, as small traits, so that it knows no kind, no process and no lake.
//!
//! [`JobRunner`] does one kind of job; `jobs::kind` adapts every typed kind to it. [`Isolation`] carries an attempt
//! out, in a thread of this process (`engine::thread`) or in a child process. [`Parts`] takes what an attempt hands
//! over before its end. [`Settler`] carries out what must follow a commit; `app` implements it.

use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use crate::domain::fingerprint::{Earlier, Fingerprint, Why};
use crate::domain::ids::KindName;
use crate::domain::job::JobInput;
use crate::domain::measurement::HistoryWanted;
use crate::domain::outcome::{JobError, Outcome};

/// Does one kind of job.
#[async_trait]
pub trait JobRunner: Send + Sync {
    /// Returns the fingerprint of everything the job's outcome depends on: inputs, params, code. If it is that of the
    /// job's last success, the job is up to date. `None`: the job is always run.
    ///
    /// # Errors
    /// When the inputs cannot be read.
    async fn fingerprint(&self, input: &JobInput, cancel: &CancellationToken) -> Result<Option<Fingerprint>, JobError>;

    /// Does the job and returns its outcome; its only effects are staged, content-named data and the parts of its
    /// outcome that it hands over.
    ///
    /// # Errors
    /// With whether another try might help.
    async fn run(&self, input: JobInput, parts: Arc<dyn Parts>, cancel: CancellationToken)
    -> Result<Outcome, JobError>;

    /// Returns which measurements of earlier nights it reads.
    fn history(&self) -> HistoryWanted {
        HistoryWanted::NONE
    }

    /// Returns whether the body runs a program in its own process group: then it needs no child process around it, and
    /// when it is told to stop it stops that program itself, within the grace.
    fn runs_in_parent(&self) -> bool {
        false
    }
}

/// Finds the runner of a kind.
pub trait Runners: Send + Sync {
    /// Returns the runner of `kind`.
    fn runner(&self, kind: &KindName) -> Option<Arc<dyn JobRunner>>;
}

/// Takes what an attempt hands over before its end.
#[async_trait]
pub trait Parts: Send + Sync {
    /// Takes why the job runs, or that it need not: known before the body begins, and recorded when the attempt ends,
    /// however it ends.
    fn note_why(&self, why: Why);

    /// Commits a part of the outcome on its own, under a name unique in its job; when this returns, the part is
    /// committed whatever happens to the attempt, and a later attempt finds it in `JobInput::parts`.
    ///
    /// # Errors
    /// When it could not be committed: the body returns the error.
    async fn commit(&self, name: &str, part: Outcome) -> Result<(), JobError>;
}

/// An attempt to carry out: everything that it needs, as one serialisable value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Assignment {
    /// The body's input.
    pub input: JobInput,
    /// The job's last success, whose outcome is `input.last_success`.
    pub earlier: Option<Earlier>,
    /// The attempt's fencing token: unique among all attempts of the state store, and fit for a file name.
    pub fence: String,
}

/// What a successful attempt leaves to commit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Done {
    /// What the body returned, or the facts of the last success where the job is up to date.
    pub outcome: Outcome,
    /// The fingerprint of its inputs, params and code, where the kind has one.
    pub fingerprint: Option<Fingerprint>,
}

/// Carries attempts out.
#[async_trait]
pub trait Isolation: Send + Sync {
    /// Returns which measurements of earlier nights a kind reads: none, unless the isolation knows the kinds.
    fn history(&self, _kind: &KindName) -> HistoryWanted {
        HistoryWanted::NONE
    }

    /// Carries one attempt out, its panics included. When `cancel` is cancelled it asks the body to stop and ends soon;
    /// when the future is dropped, whatever it started is killed.
    ///
    /// # Errors
    /// As the body says; [`JobError::Lost`] when the process it ran in died.
    async fn carry_out(
        &self,
        assignment: Assignment,
        parts: Arc<dyn Parts>,
        cancel: CancellationToken,
    ) -> Result<Done, JobError>;
}

/// Carries out what must follow commits.
#[async_trait]
pub trait Settler: Send + Sync {
    /// Called after each commit, before its targets are settled: there may be e-mails to send.
    fn has_committed(&self);

    /// Brings `target` in line with what is current now. It may be called again at any time.
    ///
    /// # Errors
    /// When it cannot be done now: it is tried again later.
    async fn settle(&self, target: &str) -> anyhow::Result<()>;
}
