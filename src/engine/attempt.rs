//! One attempt of one job: its input, its time limit, and the parts that it hands over.
//!
//! An attempt ends in an outcome or an error and has no other effect; the executor commits it, and also each part that
//! the body hands over before its end. How it is carried out (in a thread, in a child process) is up to the
//! [`Isolation`].

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::runner::{Assignment, Done, Isolation, Parts};
use super::standing::Standings;
use crate::domain::dag::{Dag, Job};
use crate::domain::fingerprint::{Earlier, Why};
use crate::domain::ids::JobName;
use crate::domain::job::JobInput;
use crate::domain::measurement::PastMeasurement;
use crate::domain::outcome::{JobError, Outcome};
use crate::store::{Begun, LastSuccess, RunRecord};

/// An attempt that is about to begin.
pub(super) struct Attempting {
    pub(super) isolation: Arc<dyn Isolation>,
    pub(super) job: JobName,
    pub(super) time_limit: Duration,
    pub(super) assignment: Assignment,
    pub(super) parts: mpsc::Sender<HandedOver>,
    /// Why the job runs, once the attempt knows.
    pub(super) why: Arc<OnceLock<Why>>,
    pub(super) cancel: CancellationToken,
    /// How long an attempt may take to stop when it is told to.
    pub(super) stop_grace: Duration,
}

/// A part of an outcome on its way to be committed.
pub(super) struct HandedOver {
    pub(super) job: JobName,
    pub(super) name: String,
    pub(super) part: Outcome,
    pub(super) answer: oneshot::Sender<Result<(), JobError>>,
}

/// A run that is being carried out, as far as it has come.
pub(super) struct UnderWay<'a> {
    pub(super) run: &'a RunRecord,
    pub(super) dag: &'a Dag,
    pub(super) jobs: &'a Standings,
}

/// Returns the input of an attempt of `job`: the committed state as it was when the attempt began.
pub(super) fn assignment(
    under_way: &UnderWay<'_>,
    job: &Job,
    begun: &Begun,
    history: Vec<PastMeasurement>,
) -> Assignment {
    let UnderWay { run, dag, jobs } = under_way;
    let committed = begun.committed.clone();
    let last = committed.last_success.map(|last| {
        let LastSuccess { run_id, fingerprint, outcome, .. } = last;
        (Earlier { run_id, fingerprint }, outcome)
    });
    let (earlier, last_success) = last.unzip();
    let input = JobInput {
        run_id: run.run_id.clone(),
        dag: dag.name.clone(),
        job: job.name.clone(),
        kind: job.kind.clone(),
        params: job.params.clone(),
        dag_params: dag.params(),
        logical_date: run.logical_date,
        timezone: dag.timezone.clone(),
        attempt: begun.attempt.attempt,
        force: run.force,
        snapshots: committed.snapshots,
        cursors: committed.cursors,
        models: committed.models,
        jobs: jobs.others(&job.name, committed.standing),
        dependents: dag.with_dependents(&job.name).into_iter().filter(|name| *name != job.name).collect(),
        last_success,
        parts: committed.parts,
        left_findings: committed.left_findings,
        is_for_earlier_date: committed.is_for_earlier_date,
        alerts: committed.alerts,
        skipped: committed.skipped,
        earlier_email: committed.earlier_email,
        history,
    };
    Assignment { input, earlier, fence: begun.attempt.fence.clone() }
}

impl Attempting {
    /// Carries the attempt out and returns how it ended.
    pub(super) async fn carry_out(self) -> Result<Done, JobError> {
        info!("Started `{}`", self.job);
        let parts = Arc::new(PartSender { job: self.job, parts: self.parts, why: self.why });
        let carrying_out = self.isolation.carry_out(self.assignment, parts, self.cancel.clone());
        tokio::pin!(carrying_out);
        let ended = match tokio::time::timeout(self.time_limit, &mut carrying_out).await {
            Ok(ended) => ended,
            Err(_) => {
                self.cancel.cancel();
                // An attempt that ends well within its grace has done its work; any other is dropped, which kills it.
                match tokio::time::timeout(self.stop_grace, carrying_out).await {
                    Ok(Ok(done)) => Ok(done),
                    Ok(Err(_)) | Err(_) => Err(JobError::Retry(anyhow::anyhow!(
                        "it did not end within its time limit of {} (`timeout`)",
                        humantime(self.time_limit)
                    ))),
                }
            }
        };
        match &ended {
            Ok(done) => info!("{}", done.outcome.summary),
            Err(JobError::Cancelled) => warn!("Stopped"),
            Err(failure) => error!("{failure}"),
        }
        ended
    }
}

/// Hands parts to the executor, which alone commits.
struct PartSender {
    job: JobName,
    parts: mpsc::Sender<HandedOver>,
    why: Arc<OnceLock<Why>>,
}

#[async_trait]
impl Parts for PartSender {
    fn note_why(&self, why: Why) {
        // An attempt says it once; a child process that says it again changes nothing.
        self.why.set(why).unwrap_or_default();
    }

    async fn commit(&self, name: &str, part: Outcome) -> Result<(), JobError> {
        let (answer, answered) = oneshot::channel();
        let handed_over = HandedOver { job: self.job.clone(), name: name.to_owned(), part, answer };
        // A closed channel means that the run is no longer carried out: the attempt is void.
        self.parts.send(handed_over).await.map_err(|_| JobError::Cancelled)?;
        answered.await.map_err(|_| JobError::Cancelled)?
    }
}

fn humantime(duration: Duration) -> String {
    jiff::SignedDuration::try_from(duration).map_or_else(|_| format!("{duration:?}"), |d| format!("{d:#}"))
}
