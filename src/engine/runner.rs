//! What the engine asks of a kind, and what it does after a commit: two small traits, so that it knows no kind and no lake.
//!
//! `jobs::kind` adapts every typed kind to [`JobRunner`]; `app` implements [`AfterCommit`].

use std::sync::Arc;

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

use crate::domain::ids::KindName;
use crate::domain::job::JobInput;
use crate::domain::outcome::{JobError, Outcome};

/// Does one kind of job.
#[async_trait]
pub trait JobRunner: Send + Sync {
    /// Returns the fingerprint of everything the job's outcome depends on: inputs, params, code. When it is that of
    /// the job's last success, the job is up to date. `None`: the job is always run.
    ///
    /// # Errors
    /// When the inputs cannot be looked at.
    async fn fingerprint(&self, input: &JobInput, cancel: &CancellationToken) -> Result<Option<String>, JobError>;

    /// Does the job and returns its outcome; it has no effect but staged, content-named data.
    ///
    /// # Errors
    /// With whether another try might help.
    async fn run(&self, input: JobInput, cancel: CancellationToken) -> Result<Outcome, JobError>;
}

/// Finds the runner of a kind.
pub trait Runners: Send + Sync {
    /// Returns the runner of `kind`.
    fn runner(&self, kind: &KindName) -> Option<Arc<dyn JobRunner>>;
}

/// What follows a commit: the lake's pointers for outside readers, the outbox.
#[async_trait]
pub trait AfterCommit: Send + Sync {
    /// Brings pointers and outbox in line with what is committed. It may be called again at any time; what it could
    /// not do now is repaired at the next call, and it says so in the log.
    async fn settle(&self, outcome: &Outcome);
}
