//! Carries a run out: starts what is ready, commits what is done, retries, drains, cancels.
//!
//! Promises: at most `max_parallel` attempts at once; every state goes through the store before anything relies on it;
//! a panic, a time-out and a lost worker are failed or lost attempts, never a dead run; a store that does not answer is
//! asked again, and if it stays silent the run is left as it is, until it is taken up again. Told to drain, it starts
//! nothing more, waits for what runs and leaves the run `running`; only a person cancels one. What is next is decided
//! in `plan`, how long to wait in `domain::retry`; this file only does it. The effects of bodies are committed here and
//! nowhere else.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{Notify, mpsc};
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, info, info_span, warn};

use super::attempt::{self, Attempting, HandedOver, UnderWay};
use super::persist::persist;
use super::plan::{self, Next};
use super::promises::Promises;
use super::runner::{Done, Isolation};
use super::standing::Standings;
use super::stop::Stop;
use crate::domain::clock::Clock;
use crate::domain::dag::{Dag, Job};
use crate::domain::fingerprint::Why;
use crate::domain::ids::{JobName, RunId, content_hash};
use crate::domain::job::attempt_name;
use crate::domain::outcome::JobError;
use crate::domain::run::RunState;
use crate::store::{
    AttemptClaim, AttemptEnd, Base, Claim, Finished, OutcomePart, RunRecord, StateStore, StoreError, Tenure,
};
use crate::telemetry::chain;

/// What the engine needs to work.
#[derive(Clone)]
pub struct Engine {
    /// The state store.
    pub store: Arc<dyn StateStore>,
    /// Carries the attempts out.
    pub isolation: Arc<dyn Isolation>,
    /// What slots owe to people.
    pub promises: Arc<dyn Promises>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Notified whenever a commit has left something to settle.
    pub committed: Arc<Notify>,
    /// How often to look for a request to cancel.
    pub poll: Duration,
    /// How long an attempt may take to stop when it is told to.
    pub stop_grace: Duration,
    /// How long to keep asking a state store that does not answer.
    pub patience: Duration,
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
    /// The run does not exist.
    #[error("there is no run {0}")]
    NoRun(RunId),
}

impl Engine {
    /// Carries the run out until it is done, or until it is told to drain, and returns it as it is then.
    ///
    /// # Errors
    /// When the state store stays silent or refuses: then nothing more is written, and the run continues when it is
    /// taken up again.
    pub async fn execute(&self, tenure: &Tenure, run_id: &RunId, stop: &Stop) -> Result<RunRecord, EngineError> {
        let span = info_span!("run", run.id = %run_id);
        self.carry_out(tenure, run_id, stop)
            .instrument(span)
            .await
            .map_err(|cause| EngineError::Store { run_id: run_id.clone(), cause })?
            .ok_or_else(|| EngineError::NoRun(run_id.clone()))
    }

    async fn carry_out(&self, tenure: &Tenure, run_id: &RunId, stop: &Stop) -> Result<Option<RunRecord>, StoreError> {
        let store = &self.store;
        let claim = persist(self.patience, || store.claim_run(run_id, tenure, self.now())).await?;
        let Some(run) = persist(self.patience, || store.run(run_id)).await? else { return Ok(None) };
        let dag = persist(self.patience, || store.dag_of(run_id)).await?.asked_for(run.only.as_deref());
        let jobs = persist(self.patience, || store.job_standings(run_id)).await?;
        let (sender, parts) = mpsc::channel(16);
        let mut progress = Progress {
            engine: self,
            jobs: Standings::new(&dag, jobs, self.now()),
            is_cancelled: run.cancel_requested,
            claim,
            run,
            dag,
            running: JoinSet::new(),
            open: BTreeMap::new(),
            sender,
            parts,
            stopping: CancellationToken::new(),
        };
        match progress.advance(stop).await? {
            Some(end) => {
                persist(self.patience, || store.finish_run(&progress.claim, end, self.now())).await?;
                info!(state = %end, "Finished run `{run_id}`");
            }
            None => info!("Left run `{run_id}` for the next start"),
        }
        persist(self.patience, || store.run(run_id)).await
    }

    /// Returns the current time with the store's precision: to the microsecond.
    pub(super) fn now(&self) -> Timestamp {
        let now = self.clock.now();
        Timestamp::from_microsecond(now.as_microsecond()).unwrap_or(now)
    }
}

/// One run under way.
struct Progress<'a> {
    engine: &'a Engine,
    claim: Claim,
    run: RunRecord,
    dag: Dag,
    jobs: Standings,
    running: JoinSet<Result<Done, JobError>>,
    /// The attempts that run, by their tasks.
    open: BTreeMap<Id, Open>,
    sender: mpsc::Sender<HandedOver>,
    parts: mpsc::Receiver<HandedOver>,
    is_cancelled: bool,
    /// Cancelled when the attempts must stop.
    stopping: CancellationToken,
}

/// An attempt that runs.
struct Open {
    claim: AttemptClaim,
    base: Base,
    /// What had changed when a part of its outcome was refused.
    moved: Option<String>,
    /// Why the job runs, once the attempt knows.
    why: Arc<OnceLock<Why>>,
}

impl Progress<'_> {
    /// Carries the run out; returns how it ended, or `None` when it is left for the next start.
    async fn advance(&mut self, stop: &Stop) -> Result<Option<RunState>, StoreError> {
        let mut poll = tokio::time::interval(self.engine.poll);
        loop {
            self.is_cancelled |= stop.cancel.is_cancelled();
            if self.is_cancelled {
                self.stop_attempts(&AttemptEnd::Cancelled, Wait::ForStop).await?;
                return Ok(Some(RunState::Cancelled));
            }
            if stop.drain.is_cancelled() {
                self.stop_attempts(&AttemptEnd::Drained, Wait::ForEnd).await?;
                // An attempt that ended within its grace may have been the last of the run.
                return Ok(self.settle_unattempted().await?.end);
            }
            if let Some(end) = self.start_what_is_ready().await? {
                return Ok(Some(end));
            }
            let wake_at = wake_at(self.jobs.next_due(), self.running.len(), self.dag.max_parallel);
            tokio::select! {
                Some(joined) = self.running.join_next_with_id() => self.ended(joined).await?,
                Some(part) = self.parts.recv() => self.commit_part(part).await,
                () = sleep_until(wake_at) => {}
                _ = poll.tick() => self.look_for_cancel().await?,
                () = stop.cancel.cancelled() => {}
                () = stop.drain.cancelled() => {}
            }
        }
    }

    /// Ends the jobs that need no attempt; returns what is next then.
    async fn settle_unattempted(&mut self) -> Result<Next, StoreError> {
        loop {
            let next = plan::next(&self.dag, self.jobs.states());
            if next.unattempted.is_empty() {
                return Ok(next);
            }
            for (job, end) in next.unattempted {
                let engine = self.engine;
                let claim = &self.claim;
                let ask = || engine.store.finish_unattempted(claim, &job, end.clone(), engine.now());
                let standing = persist(engine.patience, ask).await?;
                self.jobs.take(standing, Duration::ZERO);
            }
        }
    }

    async fn start_what_is_ready(&mut self) -> Result<Option<RunState>, StoreError> {
        let next = self.settle_unattempted().await?;
        if next.end.is_some() {
            return Ok(next.end);
        }
        for job in self.jobs.due().into_iter().chain(next.ready) {
            if self.running.len() >= self.dag.max_parallel {
                break;
            }
            self.start(&job).await?;
        }
        Ok(None)
    }

    async fn start(&mut self, name: &JobName) -> Result<(), StoreError> {
        let Some(job) = self.dag.jobs.get(name) else { return Ok(()) };
        let engine = self.engine;
        let attempts = self.jobs.job(name).map_or(0, |standing| standing.view.attempts);
        // Unique among all attempts, and the same if the store is asked again.
        let fence = attempt_name(&self.run.run_id, name, attempts + 1);
        let claim = &self.claim;
        let begun = persist(engine.patience, || engine.store.begin_attempt(claim, name, &fence, engine.now())).await?;
        self.jobs.take(begun.standing.clone(), Duration::ZERO);
        let attempt = begun.attempt.attempt;
        let span = info_span!(
            "attempt", // the name that `telemetry::ATTEMPT_SPAN` looks for
            run.id = %self.claim.run_id, job.name = %name, kind = %job.kind, attempt
        );
        let why = Arc::<OnceLock<Why>>::default();
        let wanted = engine.isolation.history(&job.kind);
        let (dag, date) = (&self.dag.name, self.run.logical_date);
        let history = persist(engine.patience, || engine.store.history(dag, wanted, date)).await?;
        let under_way = UnderWay { run: &self.run, dag: &self.dag, jobs: &self.jobs };
        let attempting = Attempting {
            isolation: Arc::clone(&engine.isolation),
            job: name.clone(),
            time_limit: job.timeout,
            assignment: attempt::assignment(&under_way, job, &begun, history),
            parts: self.sender.clone(),
            why: Arc::clone(&why),
            cancel: self.stopping.child_token(),
            stop_grace: engine.stop_grace,
        };
        let task = self.running.spawn(attempting.carry_out().instrument(span));
        self.open.insert(task.id(), Open { claim: begun.attempt, base: begun.base, moved: None, why });
        Ok(())
    }

    /// Records how an attempt ended, with the effects of its outcome.
    async fn ended(&mut self, joined: Result<(Id, Result<Done, JobError>), JoinError>) -> Result<(), StoreError> {
        let (id, ended) = match joined {
            Ok((id, ended)) => (id, ended),
            // Panics of bodies are failures by now; this one is the engine's own.
            Err(error) => (error.id(), Err(JobError::Fail(anyhow::anyhow!("the attempt's task ended: {error}")))),
        };
        let Some(open) = self.open.remove(&id) else { return Ok(()) };
        let Some(job) = self.dag.jobs.get(&open.claim.job).cloned() else { return Ok(()) };
        let has_outcome = ended.is_ok();
        let (end, wait) = self.end_of(&job, &open, ended);
        match self.record(&open, end, wait).await {
            Err(StoreError::Moved { what }) => {
                warn!(job.name = %job.name, "{what} moved while the attempt ran: it runs again on what is there now");
                self.record(&open, AttemptEnd::Superseded { what }, Duration::ZERO).await
            }
            Err(refused) if has_outcome && is_about_outcome(&refused) => {
                // The commit itself failed (an outcome that cannot be stored): nothing of it is in the store.
                warn!(job.name = %job.name, "Could not commit the attempt: {}", chain(&refused));
                let (end, wait) = self.failure(&job, &JobError::Fail(refused.into()));
                self.record(&open, end, wait).await
            }
            other => other,
        }
    }

    async fn record(&mut self, open: &Open, end: AttemptEnd, wait: Duration) -> Result<(), StoreError> {
        let engine = self.engine;
        let finished = Finished { end, why: open.why.get().cloned() };
        let ask = || engine.store.finish_attempt(&open.claim, finished.clone(), engine.now());
        let standing = persist(engine.patience, ask).await?;
        self.jobs.take(standing, wait);
        engine.committed.notify_one();
        Ok(())
    }

    /// Returns how an attempt's end is recorded, and how long its job waits for the next.
    fn end_of(&self, job: &Job, open: &Open, ended: Result<Done, JobError>) -> (AttemptEnd, Duration) {
        match (ended, &open.moved) {
            (Ok(done), _) => {
                let outcome = Box::new(done.outcome);
                let base = open.base.clone();
                (AttemptEnd::Succeeded { outcome, fingerprint: done.fingerprint, base }, Duration::ZERO)
            }
            (Err(_), Some(what)) => (AttemptEnd::Superseded { what: what.clone() }, Duration::ZERO),
            (Err(JobError::Cancelled), _) if self.is_cancelled => (AttemptEnd::Cancelled, Duration::ZERO),
            (Err(JobError::Cancelled), _) => (AttemptEnd::Drained, Duration::ZERO),
            (Err(JobError::Lost(why)), _) => (AttemptEnd::Lost { why }, job.retry.backoff.min(job.retry.max_backoff)),
            (Err(error), _) => self.failure(job, &error),
        }
    }

    fn failure(&self, job: &Job, error: &JobError) -> (AttemptEnd, Duration) {
        let failures = self.jobs.job(&job.name).map_or(0, |standing| standing.failures) + 1;
        let wait = match error {
            JobError::Retry(_) => job.retry.wait_after(failures, self.jitter(&job.name, failures)),
            JobError::Fail(_) | JobError::Lost(_) | JobError::Cancelled => None,
        };
        let retry_at = wait.and_then(|wait| self.engine.now().checked_add(wait).ok());
        (AttemptEnd::Failed { error: error.to_string(), retry_at }, wait.unwrap_or_default())
    }

    /// A number in [0, 1) from the run, the job and the try: different for each run, the same in a replay.
    fn jitter(&self, job: &JobName, failures: u32) -> f64 {
        let hash = content_hash(format!("{}/{job}/{failures}", self.claim.run_id).as_bytes());
        u32::from_str_radix(&hash[..8], 16).map_or(0.5, |n| f64::from(n) / 4_294_967_296.0)
    }

    /// Commits a part of an attempt's outcome and answers the body.
    async fn commit_part(&mut self, handed_over: HandedOver) {
        let HandedOver { job, name, part, answer } = handed_over;
        let engine = self.engine;
        let answered = match self.open.values_mut().find(|open| open.claim.job == job) {
            None => Err(JobError::Cancelled),
            Some(open) => {
                let (claim, base) = (&open.claim, &open.base);
                let part_of = OutcomePart { name: &name, outcome: &part, base };
                let ask = || engine.store.commit_part(claim, part_of, engine.now());
                let committed = persist(engine.patience, ask).await;
                match committed {
                    Ok(()) => {
                        open.base.follow(&part);
                        engine.committed.notify_one();
                        Ok(())
                    }
                    Err(refused) => {
                        if let StoreError::Moved { what } = &refused {
                            open.moved = Some(what.clone());
                        }
                        let error = anyhow::Error::new(refused).context(format!("committing the part `{name}`"));
                        Err(JobError::Retry(error))
                    }
                }
            }
        };
        if answer.send(answered).is_err() {
            warn!(job.name = %job, "The body that handed a part over is gone");
        }
    }

    async fn look_for_cancel(&mut self) -> Result<(), StoreError> {
        if self.claim.tenure.is_lost() {
            // The new owner does the run's jobs now: what runs here is stopped, and nothing more is written.
            return self.claim.tenure.check();
        }
        match self.engine.store.run(&self.claim.run_id).await {
            Ok(run) => self.is_cancelled |= run.is_some_and(|run| run.cancel_requested),
            // The next look may succeed; only what must be written is asked for again and again.
            Err(error) if error.is_transient() => warn!("Looking for a request to cancel: {}", chain(&error)),
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Brings the running attempts to an end: those that end within their grace are recorded as they end, the others
    /// are killed and recorded as `end`.
    async fn stop_attempts(&mut self, end: &AttemptEnd, wait: Wait) -> Result<(), StoreError> {
        if self.running.is_empty() {
            return Ok(());
        }
        let deadline = Instant::now() + self.engine.stop_grace;
        if wait == Wait::ForStop {
            self.stopping.cancel();
        }
        while !self.running.is_empty() {
            tokio::select! {
                biased;
                Some(part) = self.parts.recv() => self.commit_part(part).await,
                Some(joined) = self.running.join_next_with_id() => self.ended(joined).await?,
                () = tokio::time::sleep_until(deadline) => break,
            }
        }
        self.stopping.cancel();
        self.running.shutdown().await;
        for open in std::mem::take(&mut self.open).into_values() {
            warn!(job.name = %open.claim.job, "Stopped an attempt that did not end within its grace");
            self.record(&open, end.clone(), Duration::ZERO).await?;
        }
        Ok(())
    }
}

/// What an attempt's grace is for when it must stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wait {
    /// To finish.
    ForEnd,
    /// To stop.
    ForStop,
}

/// Whether a commit was refused because of the outcome: not because the right to write was lost, nor because the store
/// was silent.
fn is_about_outcome(error: &StoreError) -> bool {
    let has_lost_right = matches!(
        error,
        StoreError::Fenced { .. }
            | StoreError::NotOwner { .. }
            | StoreError::FileGone { .. }
            | StoreError::NoRun { .. }
            | StoreError::Illegal(_)
    );
    !has_lost_right && !error.is_transient()
}

/// Returns when to look at the next waiting job: never while there is no room for it, because its time may be past.
fn wake_at(next_due: Option<Instant>, running: usize, max_parallel: usize) -> Option<Instant> {
    next_due.filter(|_| running < max_parallel)
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_retry_that_is_due_wakes_nobody_while_there_is_no_room_for_it() {
        let due = Some(Instant::now());

        assert_eq!((wake_at(due, 1, 1), wake_at(due, 2, 1), wake_at(due, 0, 1)), (None, None, due));
    }
}
