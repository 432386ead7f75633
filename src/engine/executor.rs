//! Carries a run out: starts what is ready, commits what is done, retries, cancels.
//!
//! Promises: at most `max_parallel` attempts at once; every state goes through the store before anything relies on
//! it; a panic, a time-out and a lost worker are failed attempts, never a dead run; when it is told to stop, it stops
//! its attempts, waits for them a while and leaves a cancelled run. What is next is decided in `plan`, how long to
//! wait in `domain::retry`; this file only does it. Bodies' effects are committed here and nowhere else.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, info, info_span, warn};

use super::attempt::{self, Attempted, Attempting};
use super::plan;
use super::promises::Promises;
use super::runner::{AfterCommit, Isolation};
use crate::domain::clock::Clock;
use crate::domain::dag::{Dag, Job};
use crate::domain::ids::{JobName, RunId, content_hash};
use crate::domain::outcome::JobError;
use crate::domain::run::{JobState, RunState};
use crate::store::{AttemptEnd, Claim, RunRecord, StateStore, StoreError};

/// What the engine works with.
#[derive(Clone)]
pub struct Engine {
    /// The state store.
    pub store: Arc<dyn StateStore>,
    /// Carries the attempts out.
    pub isolation: Arc<dyn Isolation>,
    /// What follows a commit.
    pub after_commit: Arc<dyn AfterCommit>,
    /// What slots owe to people.
    pub promises: Arc<dyn Promises>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Who this is, for the claims: unique per process.
    pub owner: String,
    /// How often the claim is renewed and a request to cancel is looked for.
    pub heartbeat: Duration,
    /// How long a cancelled attempt may take to stop.
    pub stop_grace: Duration,
}

/// Why a run could not be carried out (as opposed to a run that failed).
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The state store failed or refused.
    #[error("carrying out run {run_id}")]
    Store {
        /// The run.
        run_id: RunId,
        /// The cause.
        #[source]
        cause: StoreError,
    },
    /// The run is not there.
    #[error("there is no run {0}")]
    NoRun(RunId),
}

impl Engine {
    /// Carries out the run until it is done, and returns it as it is then.
    ///
    /// # Errors
    /// When the state store fails, or another owner takes the run over: then nothing more is written.
    pub async fn execute(&self, run_id: &RunId, cancel: &CancellationToken) -> Result<RunRecord, EngineError> {
        let span = info_span!("run", run.id = %run_id);
        self.execute_claimed(run_id, cancel)
            .instrument(span)
            .await
            .map_err(|cause| EngineError::Store { run_id: run_id.clone(), cause })?
            .ok_or_else(|| EngineError::NoRun(run_id.clone()))
    }

    async fn execute_claimed(
        &self,
        run_id: &RunId,
        cancel: &CancellationToken,
    ) -> Result<Option<RunRecord>, StoreError> {
        let claim = self.store.claim_run(run_id, &self.owner, self.clock.now()).await?;
        let Some(run) = self.store.run(run_id).await? else { return Ok(None) };
        let dag = self.store.dag_of(run_id).await?.asked_for(run.only.as_deref());
        let mut progress = Progress {
            engine: self,
            claim,
            run,
            dag: Arc::new(dag),
            running: JoinSet::new(),
            waiting: BTreeMap::new(),
            cancel: cancel.child_token(),
        };
        let end = progress.carry_out().await?;
        let now = self.clock.now();
        self.store.finish_run(&progress.claim, end, now).await?;
        info!(state = %end, "Finished run `{run_id}`");
        self.store.run(run_id).await
    }
}

/// One run under way.
struct Progress<'a> {
    engine: &'a Engine,
    claim: Claim,
    run: RunRecord,
    dag: Arc<Dag>,
    running: JoinSet<Attempted>,
    /// Jobs between two attempts, and when the next begins.
    waiting: BTreeMap<JobName, Instant>,
    cancel: CancellationToken,
}

impl Progress<'_> {
    async fn carry_out(&mut self) -> Result<RunState, StoreError> {
        let mut heartbeat = tokio::time::interval(self.engine.heartbeat);
        let mut states = self.states().await?;
        // Attempts that an earlier owner lost begin again at once.
        for (job, _) in states.iter().filter(|(_, state)| **state == JobState::Retrying) {
            self.waiting.insert(job.clone(), Instant::now());
        }
        loop {
            if self.cancel.is_cancelled() {
                self.stop_attempts().await?;
                return Ok(RunState::Cancelled);
            }
            states = self.start_what_is_ready(states).await?;
            let next = plan::next(&self.dag, &states);
            if let Some(end) = next.end {
                return Ok(end);
            }
            let wake_at = self.waiting.values().min().copied();
            tokio::select! {
                Some(joined) = self.running.join_next() => match joined {
                    Ok(attempted) => self.commit(attempted).await?,
                    // Attempts turn their own panics into failures; only an aborted task ends here.
                    Err(error) => warn!(%error, "An attempt's task was aborted"),
                },
                () = sleep_until(wake_at) => {}
                _ = heartbeat.tick() => self.beat().await?,
                () = self.cancel.cancelled() => {}
            }
            states = self.states().await?;
        }
    }

    async fn states(&self) -> Result<BTreeMap<JobName, JobState>, StoreError> {
        let jobs = self.engine.store.jobs(&self.claim.run_id).await?;
        Ok(jobs.into_iter().map(|job| (job.name, job.state)).collect())
    }

    async fn start_what_is_ready(
        &mut self,
        mut states: BTreeMap<JobName, JobState>,
    ) -> Result<BTreeMap<JobName, JobState>, StoreError> {
        loop {
            let next = plan::next(&self.dag, &states);
            if next.unattempted.is_empty() {
                let now = Instant::now();
                let due: Vec<JobName> =
                    self.waiting.iter().filter(|(_, at)| **at <= now).map(|(job, _)| job.clone()).collect();
                for job in due.into_iter().chain(next.ready) {
                    if self.running.len() >= self.dag.max_parallel {
                        return Ok(states);
                    }
                    self.waiting.remove(&job);
                    self.start(&job).await?;
                    states.insert(job, JobState::Running);
                }
                return Ok(states);
            }
            for (job, end) in next.unattempted {
                self.engine.store.finish_unattempted(&self.claim, &job, end, self.engine.clock.now()).await?;
            }
            states = self.states().await?;
        }
    }

    async fn start(&mut self, name: &JobName) -> Result<(), StoreError> {
        let Some(job) = self.dag.jobs.get(name).cloned() else {
            return Ok(());
        };
        let attempt = self.engine.store.start_attempt(&self.claim, name, self.engine.clock.now()).await?;
        let assignment = attempt::assignment(&*self.engine.store, &self.run, &self.dag, &job, attempt).await?;
        let span = info_span!(
            "attempt", // the name that `telemetry::ATTEMPT_SPAN` looks for
            run.id = %self.claim.run_id, job.name = %name, kind = %job.kind, attempt
        );
        let attempting = Attempting {
            isolation: Arc::clone(&self.engine.isolation),
            job,
            assignment,
            cancel: self.cancel.child_token(),
            stop_grace: self.engine.stop_grace,
        };
        self.running.spawn(attempting.carry_out().instrument(span));
        Ok(())
    }

    /// Commits how an attempt ended.
    async fn commit(&mut self, attempted: Attempted) -> Result<(), StoreError> {
        let Attempted { job, attempt, ended } = attempted;
        let now = self.engine.clock.now();
        let end = match ended {
            Ok(done) => AttemptEnd::Succeeded { outcome: Box::new(done.outcome), fingerprint: done.fingerprint },
            Err(JobError::Cancelled) => AttemptEnd::Cancelled,
            Err(error) => self.failure(&job, attempt, &error),
        };
        let settles = if let AttemptEnd::Succeeded { outcome, .. } = &end { Some(outcome.clone()) } else { None };
        let store = &self.engine.store;
        if let Err(refused) = store.finish_attempt(&self.claim, &job.name, attempt, end, now).await {
            if matches!(refused, StoreError::Fenced { .. } | StoreError::NoRun { .. }) || settles.is_none() {
                return Err(refused);
            }
            // The commit itself failed (a full disk, a lost database): nothing of it is there, so the attempt failed.
            warn!(job.name = %job.name, attempt, error = %chain(&refused), "Could not commit the attempt");
            let failure = self.failure(&job, attempt, &JobError::retry(refused));
            return store.finish_attempt(&self.claim, &job.name, attempt, failure, now).await;
        }
        if let Some(outcome) = settles {
            self.engine.after_commit.settle(&outcome).await;
        }
        Ok(())
    }

    fn failure(&mut self, job: &Job, attempt: u32, error: &JobError) -> AttemptEnd {
        let wait = match error {
            JobError::Retry(_) | JobError::Lost(_) => job.retry.wait_after(attempt, self.jitter(&job.name, attempt)),
            JobError::Fail(_) | JobError::Cancelled => None,
        };
        let retry_at = wait.and_then(|wait| {
            self.waiting.insert(job.name.clone(), Instant::now() + wait);
            self.engine.clock.now().checked_add(wait).ok()
        });
        AttemptEnd::Failed { error: error.to_string(), retry_at }
    }

    /// A number in [0, 1) from the run, the job and the attempt: spread over runs, the same in a replay.
    fn jitter(&self, job: &JobName, attempt: u32) -> f64 {
        let hash = content_hash(format!("{}/{job}/{attempt}", self.claim.run_id).as_bytes());
        u32::from_str_radix(&hash[..8], 16).map_or(0.5, |n| f64::from(n) / 4_294_967_296.0)
    }

    async fn beat(&self) -> Result<(), StoreError> {
        self.engine.store.heartbeat(&self.claim, self.engine.clock.now()).await?;
        let run = self.engine.store.run(&self.claim.run_id).await?;
        if run.is_some_and(|run| run.cancel_requested) {
            self.cancel.cancel();
        }
        Ok(())
    }

    /// Stops the running attempts: first they are asked, after the grace their tasks are dropped.
    async fn stop_attempts(&mut self) -> Result<(), StoreError> {
        let deadline = Instant::now() + self.engine.stop_grace;
        while !self.running.is_empty() {
            match tokio::time::timeout_at(deadline, self.running.join_next()).await {
                Ok(Some(Ok(attempted))) => self.commit(attempted).await?,
                Ok(_) => {}
                Err(_) => {
                    warn!(attempts = self.running.len(), "Attempts did not stop in time; leaving them");
                    self.running.abort_all();
                    while self.running.join_next().await.is_some() {}
                }
            }
        }
        Ok(())
    }
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
