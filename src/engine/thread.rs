//! Attempts in this process: what a child process does in its inside, and all of it for tests and debugging.
//!
//! [`work`] is the one way in which an assignment becomes an outcome: the kind's fingerprint, then either the facts of
//! the last success (the job is up to date) or its body. A panic becomes a failure. A thread cannot be stopped from
//! outside: a body that does not ask whether it is to stop goes on after its time limit, which is why `process` is the
//! default.

use std::any::Any;
use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use async_trait::async_trait;
use futures::FutureExt as _;
use tokio_util::sync::CancellationToken;

use super::runner::{Assignment, Done, Isolation, JobRunner, Parts, Runners};
use crate::domain::job::{Force, JobInput};
use crate::domain::outcome::{JobError, Outcome, Reason};

/// Carries attempts out in this process.
pub struct ThreadIsolation {
    runners: Arc<dyn Runners>,
}

impl ThreadIsolation {
    /// Returns the isolation over these kinds.
    pub fn new(runners: Arc<dyn Runners>) -> Self {
        Self { runners }
    }
}

#[async_trait]
impl Isolation for ThreadIsolation {
    async fn carry_out(
        &self,
        assignment: Assignment,
        parts: Arc<dyn Parts>,
        cancel: CancellationToken,
    ) -> Result<Done, JobError> {
        work(&*self.runners, assignment, parts, cancel).await
    }
}

/// Does what an assignment says, in this process.
///
/// # Errors
/// As the body says; a panic is a failure that no other try gets past.
pub async fn work(
    runners: &dyn Runners,
    assignment: Assignment,
    parts: Arc<dyn Parts>,
    cancel: CancellationToken,
) -> Result<Done, JobError> {
    let runner = runners.runner(&assignment.input.kind).ok_or_else(|| {
        JobError::Fail(anyhow::anyhow!(
            "the kind `{}` is not in this program; `nocturne kinds list` shows those there are",
            assignment.input.kind
        ))
    })?;
    match AssertUnwindSafe(attempt(&*runner, assignment, parts, cancel)).catch_unwind().await {
        Ok(ended) => ended,
        Err(panic) => Err(JobError::Fail(anyhow::anyhow!(
            "the job panicked ({}): this is a mistake in the program; please report it with this log",
            panic_text(&*panic)
        ))),
    }
}

async fn attempt(
    runner: &dyn JobRunner,
    assignment: Assignment,
    parts: Arc<dyn Parts>,
    cancel: CancellationToken,
) -> Result<Done, JobError> {
    let Assignment { input, last_fingerprint, .. } = assignment;
    let fingerprint = runner.fingerprint(&input, &cancel).await?;
    if input.force == Force::No
        && fingerprint.is_some()
        && fingerprint == last_fingerprint
        && let Some(outcome) = up_to_date(&input)
    {
        return Ok(Done { outcome, fingerprint });
    }
    if runner.runs_in_parent() {
        // It stops its program by itself; to drop it would leave the program no grace.
        let outcome = runner.run(input, parts, cancel).await?;
        return Ok(Done { outcome, fingerprint });
    }
    let outcome = tokio::select! {
        // A body that has just ended wins over the wish to stop it: its work is done.
        biased;
        outcome = runner.run(input, parts, cancel.clone()) => outcome?,
        () = cancel.cancelled() => return Err(JobError::Cancelled),
    };
    Ok(Done { outcome, fingerprint })
}

/// The facts of the last success, without its effects.
fn up_to_date(input: &JobInput) -> Option<Outcome> {
    let last = input.last_success.clone()?;
    Some(Outcome {
        reason: last.reason.or(Some(Reason::UpToDate)),
        snapshots: Vec::new(),
        cursors: BTreeMap::new(),
        files: Vec::new(),
        models: Vec::new(),
        mails: Vec::new(),
        audit: Vec::new(),
        identities: None,
        ..last
    })
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    // A message may quote a value; only those of our own invariants and of libraries' code paths are kept short.
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned());
    text.lines().next().unwrap_or_default().chars().take(200).collect()
}
