//! One attempt of one job: its input, its time limit, and the parts that it hands over.
//!
//! An attempt ends in an outcome or an error and has no other effect; the executor commits it. How it is carried out
//! (in a thread, in a child process) is the [`Isolation`]'s.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::runner::{Assignment, Done, Isolation, Parts};
use crate::domain::dag::{Dag, Job};
use crate::domain::job::JobInput;
use crate::domain::outcome::{JobError, Outcome};
use crate::store::{RunRecord, StateStore, StoreError};

/// An attempt that is about to begin.
pub(super) struct Attempting {
    pub(super) isolation: Arc<dyn Isolation>,
    pub(super) job: Job,
    pub(super) assignment: Assignment,
    pub(super) cancel: CancellationToken,
    /// How long an attempt that is told to stop may take.
    pub(super) stop_grace: Duration,
}

/// How an attempt ended.
pub(super) struct Attempted {
    pub(super) job: Job,
    pub(super) attempt: u32,
    pub(super) ended: Result<Done, JobError>,
}

/// Returns what an attempt is given: the committed state as it is now.
pub(super) async fn assignment(
    store: &dyn StateStore,
    run: &RunRecord,
    dag: &Dag,
    job: &Job,
    attempt: u32,
) -> Result<Assignment, StoreError> {
    let last_success = store.last_success(&dag.name, &job.name, None).await?;
    let jobs = store.jobs(&run.run_id).await?;
    let (last_fingerprint, last_success) = last_success.map(|last| (last.fingerprint, last.outcome)).unzip();
    let input = JobInput {
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
        last_success,
    };
    let fence = format!("{}.{}.{attempt}", run.run_id, job.name);
    Ok(Assignment { input, last_fingerprint: last_fingerprint.flatten(), fence })
}

impl Attempting {
    pub(super) async fn carry_out(self) -> Attempted {
        let attempt = self.assignment.input.attempt;
        info!("Started `{}`", self.job.name);
        let time_limit = self.job.timeout;
        let carrying_out = self.isolation.carry_out(self.assignment, Arc::new(Refused), self.cancel.clone());
        tokio::pin!(carrying_out);
        let ended = match tokio::time::timeout(time_limit, &mut carrying_out).await {
            Ok(ended) => ended,
            Err(_) => {
                self.cancel.cancel();
                // What ends well within its grace has done its work; what does not is dropped, and killed with that.
                match tokio::time::timeout(self.stop_grace, carrying_out).await {
                    Ok(Ok(done)) => Ok(done),
                    Ok(Err(_)) | Err(_) => Err(JobError::Retry(anyhow::anyhow!(
                        "it did not end within its time limit of {} (`timeout`)",
                        humantime(time_limit)
                    ))),
                }
            }
        };
        match &ended {
            Ok(done) => info!("{}", done.outcome.summary),
            Err(JobError::Cancelled) => warn!("Cancelled"),
            Err(failure) => error!("{failure}"),
        }
        Attempted { job: self.job, attempt, ended }
    }
}

/// Takes no parts yet.
struct Refused;

#[async_trait]
impl Parts for Refused {
    async fn commit(&self, _: Outcome) -> Result<(), JobError> {
        Err(JobError::Fail(anyhow::anyhow!("outcomes are not taken in parts")))
    }
}

fn humantime(duration: Duration) -> String {
    jiff::SignedDuration::try_from(duration).map_or_else(|_| format!("{duration:?}"), |d| format!("{d:#}"))
}
