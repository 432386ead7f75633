//! One attempt of one job: its input, its time limit, its panics.
//!
//! An attempt ends in an outcome or an error and has no other effect; the executor commits it. A job whose
//! fingerprint is that of its last success is up to date: its outcome is that success's facts, without its effects.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures::FutureExt as _;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::runner::{JobRunner, Runners};
use crate::domain::dag::{Dag, Job};
use crate::domain::job::{Force, JobInput};
use crate::domain::outcome::{JobError, Outcome, Reason};
use crate::store::{RunRecord, StateStore, StoreError};

/// An attempt that is about to begin.
pub(super) struct Attempting {
    pub(super) runners: Arc<dyn Runners>,
    pub(super) store: Arc<dyn StateStore>,
    pub(super) job: Job,
    pub(super) input: JobInput,
    pub(super) cancel: CancellationToken,
}

/// How an attempt ended.
pub(super) struct Attempted {
    pub(super) job: Job,
    pub(super) attempt: u32,
    pub(super) ended: Result<Done, JobError>,
}

/// What a successful attempt leaves to commit.
pub(super) struct Done {
    pub(super) outcome: Outcome,
    pub(super) fingerprint: Option<String>,
}

/// Returns the input of an attempt: the committed state as it is now.
pub(super) async fn input(
    store: &dyn StateStore,
    run: &RunRecord,
    dag: &Dag,
    job: &Job,
    attempt: u32,
) -> Result<JobInput, StoreError> {
    let last_success = store.last_success(&dag.name, &job.name, None).await?;
    let jobs = store.jobs(&run.run_id).await?;
    Ok(JobInput {
        run_id: run.run_id.clone(),
        dag: dag.name.clone(),
        job: job.name.clone(),
        kind: job.kind.clone(),
        params: job.params.clone(),
        logical_date: run.logical_date,
        timezone: dag.timezone.clone(),
        attempt,
        force: run.force,
        snapshots: store.snapshots().await?,
        cursors: store.cursors().await?,
        models: store.models().await?,
        jobs: jobs.into_iter().filter(|view| view.name != job.name).collect(),
        last_success: last_success.map(|success| success.outcome),
    })
}

impl Attempting {
    pub(super) async fn carry_out(self) -> Attempted {
        let attempt = self.input.attempt;
        info!("Started `{}`", self.job.name);
        let time_limit = self.job.timeout;
        let attempting = AssertUnwindSafe(self.attempt()).catch_unwind();
        let ended = match tokio::time::timeout(time_limit, attempting).await {
            Ok(Ok(ended)) => ended,
            Ok(Err(panic)) => Err(JobError::Fail(anyhow::anyhow!(
                "the job panicked ({}): this is a mistake in the program; please report it with this log",
                panic_text(&*panic)
            ))),
            Err(_) => {
                self.cancel.cancel();
                let limit = humantime(time_limit);
                Err(JobError::Retry(anyhow::anyhow!("it did not end within its time limit of {limit} (`timeout`)")))
            }
        };
        match &ended {
            Ok(done) => info!("{}", done.outcome.summary),
            Err(JobError::Cancelled) => warn!("Cancelled"),
            Err(failure) => error!("{failure}"),
        }
        Attempted { job: self.job, attempt, ended }
    }

    async fn attempt(&self) -> Result<Done, JobError> {
        let runner = self.runners.runner(&self.job.kind).ok_or_else(|| {
            JobError::Fail(anyhow::anyhow!(
                "the kind `{}` is not in this program; `nocturne kinds list` shows those there are",
                self.job.kind
            ))
        })?;
        let fingerprint = runner.fingerprint(&self.input, &self.cancel).await?;
        if let Some(done) = self.up_to_date(fingerprint.as_deref()).await? {
            return Ok(done);
        }
        let outcome = self.body(&*runner).await?;
        Ok(Done { outcome, fingerprint })
    }

    async fn body(&self, runner: &dyn JobRunner) -> Result<Outcome, JobError> {
        tokio::select! {
            // A body that has just ended wins over the wish to stop it: its work is done.
            biased;
            outcome = runner.run(self.input.clone(), self.cancel.clone()) => outcome,
            () = self.cancel.cancelled() => Err(JobError::Cancelled),
        }
    }

    async fn up_to_date(&self, fingerprint: Option<&str>) -> Result<Option<Done>, JobError> {
        let Some(fingerprint) = fingerprint else { return Ok(None) };
        if self.input.force == Force::Rebuild {
            return Ok(None);
        }
        let last = self.store.last_success(&self.input.dag, &self.job.name, None).await.map_err(JobError::retry)?;
        let Some(last) = last.filter(|last| last.fingerprint.as_deref() == Some(fingerprint)) else {
            return Ok(None);
        };
        let facts = Outcome {
            reason: last.outcome.reason.or(Some(Reason::UpToDate)),
            snapshots: Vec::new(),
            cursors: std::collections::BTreeMap::new(),
            files: Vec::new(),
            models: Vec::new(),
            mails: Vec::new(),
            audit: Vec::new(),
            ..last.outcome
        };
        Ok(Some(Done { outcome: facts, fingerprint: Some(fingerprint.to_owned()) }))
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    // A message may quote a value; only those of our own invariants and of libraries' code paths are kept short.
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned());
    text.lines().next().unwrap_or_default().chars().take(200).collect()
}

fn humantime(duration: std::time::Duration) -> String {
    jiff::SignedDuration::try_from(duration).map_or_else(|_| format!("{duration:?}"), |d| format!("{d:#}"))
}
