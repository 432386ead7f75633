//! Jobs of a run and their attempts: begun, ended, lost, cancelled, and read back.
//!
//! [`apply`] is the only way in which a job's state changes: through [`JobState::after`], with its event. An attempt
//! ends once; a second end, or the end of an attempt that is not the one that runs, is refused. The effects of an
//! outcome are `commit`'s, in the same transaction.

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};

use super::commit;
use super::contract::{AttemptEnd, Claim, LastSuccess, Unattempted};
use super::database::{Bind, Database, Transaction};
use super::error::StoreError;
use super::row::Row;
use super::runs;
use crate::domain::dag::Job;
use crate::domain::ids::{DagName, JobName, RunId};
use crate::domain::job::JobView;
use crate::domain::outcome::Outcome;
use crate::domain::run::{IllegalTransition, JobEvent, JobState};

const JOB_INSERT: &str = "INSERT INTO jobs (run_id, job, kind, state, attempts) VALUES ($1, $2, $3, 'queued', 0)";
const JOB_STATE: &str = "SELECT state, attempts FROM jobs WHERE run_id = $1 AND job = $2";
const JOB_BEGIN: &str = include_str!("../../sql/state/job_begin.sql");
const JOB_CHANGE: &str = "UPDATE jobs SET state = $3, finished_at = $4, error = $5 WHERE run_id = $1 AND job = $2";
const OPEN_JOBS: &str = "SELECT job, state, attempts FROM jobs \
     WHERE run_id = $1 AND state IN ('queued', 'running', 'retrying') ORDER BY job";
const JOBS: &str = include_str!("../../sql/state/jobs_select.sql");
const ATTEMPT_INSERT: &str = include_str!("../../sql/state/attempt_insert.sql");
const ATTEMPT_END: &str = include_str!("../../sql/state/attempt_end.sql");
const DURATIONS: &str = include_str!("../../sql/state/job_durations.sql");
const LAST_SUCCESS: &str = include_str!("../../sql/state/last_success.sql");

/// What the job says after an attempt that nobody ended.
const LOST: &str = "the attempt was lost: its process died";

/// A job of a run, and now.
#[derive(Debug, Clone, Copy)]
pub(super) struct JobAt<'a> {
    /// The run.
    pub(super) run_id: &'a RunId,
    /// The job.
    pub(super) job: &'a JobName,
    /// Now.
    pub(super) now: Timestamp,
}

/// Which attempt ends.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ended<'a> {
    /// The right to say so.
    pub(super) claim: &'a Claim,
    /// The job.
    pub(super) job: &'a JobName,
    /// The attempt's number.
    pub(super) attempt: u32,
    /// Now.
    pub(super) now: Timestamp,
}

impl<'a> Ended<'a> {
    /// Returns the job whose attempt it is.
    pub(super) fn job_at(&self) -> JobAt<'a> {
        JobAt { run_id: &self.claim.run_id, job: self.job, now: self.now }
    }
}

/// How an attempt's row ends.
#[derive(Debug, Default)]
struct Ending<'a> {
    state: &'static str,
    retry_at: Option<Timestamp>,
    error: Option<&'a str>,
    fingerprint: Option<&'a str>,
    outcome: Option<&'a str>,
}

/// Puts a job of a new run in the queue.
pub(super) async fn insert_job(tx: &mut Transaction, run_id: &RunId, job: &Job) -> Result<(), StoreError> {
    tx.execute(JOB_INSERT, &[run_id.into(), (&job.name).into(), job.kind.as_str().into()]).await?;
    Ok(())
}

/// Begins the next attempt of a job and returns its number.
pub(super) async fn start(
    database: &Database,
    claim: &Claim,
    job: &JobName,
    now: Timestamp,
) -> Result<u32, StoreError> {
    let mut tx = database.begin("beginning an attempt").await?;
    runs::hold_running(&mut tx, claim, now).await?;
    let run_id = &claim.run_id;
    let (before, attempts) = state_of(&mut tx, run_id, job).await?;
    let attempt = attempts + 1;
    let event = JobEvent::AttemptStarted { attempt };
    let after = before.after(&event)?;
    tx.execute(ATTEMPT_INSERT, &[run_id.into(), job.into(), attempt.into(), now.into()]).await?;
    tx.execute(JOB_BEGIN, &[run_id.into(), job.into(), after.as_str().into(), attempt.into(), now.into()]).await?;
    runs::write_job_event(&mut tx, JobAt { run_id, job, now }, &event).await?;
    tx.commit().await?;
    Ok(attempt)
}

/// Ends an attempt; with an outcome, commits all its effects.
pub(super) async fn finish(database: &Database, ended: Ended<'_>, end: AttemptEnd) -> Result<(), StoreError> {
    let Ended { claim, job, attempt, now } = ended;
    let mut tx = database.begin("ending an attempt").await?;
    runs::hold_running(&mut tx, claim, now).await?;
    let run_id = &claim.run_id;
    let (before, attempts) = state_of(&mut tx, run_id, job).await?;
    let event = event_of(attempt, &end);
    if attempts != attempt {
        let event = format!("the end of attempt {attempt}, when {attempts} began");
        return Err(IllegalTransition { what: "job", state: before.as_str(), event }.into());
    }

    apply(&mut tx, ended.job_at(), before, &event).await?;
    let outcome = match &end {
        AttemptEnd::Succeeded { outcome, .. } => Some(readable_json(&tx, outcome)?),
        AttemptEnd::Failed { .. } | AttemptEnd::Lost | AttemptEnd::Cancelled => None,
    };
    end_attempt(&mut tx, ended.job_at(), attempt, &ending_of(&end, outcome.as_deref())).await?;
    if let AttemptEnd::Succeeded { outcome, .. } = &end {
        commit::write_effects(&mut tx, ended, outcome).await?;
    }
    tx.commit().await
}

/// Ends a job that is not attempted.
pub(super) async fn finish_unattempted(
    database: &Database,
    claim: &Claim,
    job: &JobName,
    end: Unattempted,
    now: Timestamp,
) -> Result<(), StoreError> {
    let mut tx = database.begin("ending a job without an attempt").await?;
    runs::hold_running(&mut tx, claim, now).await?;
    let at = JobAt { run_id: &claim.run_id, job, now };
    let (before, attempts) = state_of(&mut tx, at.run_id, job).await?;
    let event = match end {
        Unattempted::Skipped { why } => JobEvent::Skipped { why },
        Unattempted::UpstreamFailed { upstream } => JobEvent::UpstreamFailed { upstream },
        Unattempted::Cancelled => JobEvent::Cancelled,
    };
    apply(&mut tx, at, before, &event).await?;
    if before == JobState::Running {
        end_attempt(&mut tx, at, attempts, &cancelled()).await?;
    }
    tx.commit().await
}

/// Changes a job's state by an event, and writes the event.
pub(super) async fn apply(
    tx: &mut Transaction,
    at: JobAt<'_>,
    before: JobState,
    event: &JobEvent,
) -> Result<(), StoreError> {
    let JobAt { run_id, job, now } = at;
    let after = before.after(event)?;
    let finished_at = after.is_done().then_some(now);
    let error = match event {
        JobEvent::AttemptFailed { error, .. } => Some(error.clone()),
        JobEvent::AttemptLost { .. } => Some(LOST.to_owned()),
        JobEvent::Skipped { why } => Some(why.clone()),
        JobEvent::UpstreamFailed { upstream } => Some(format!("`{upstream}`, which it needs, failed")),
        JobEvent::AttemptStarted { .. } | JobEvent::AttemptSucceeded { .. } | JobEvent::Cancelled => None,
    };
    let binds = [run_id.into(), job.into(), after.as_str().into(), finished_at.into(), error.as_deref().into()];
    tx.execute(JOB_CHANGE, &binds).await?;
    runs::write_job_event(tx, at, event).await
}

/// Marks what an earlier owner left running as lost; the jobs are retrying then.
pub(super) async fn lose_running(tx: &mut Transaction, run_id: &RunId, now: Timestamp) -> Result<(), StoreError> {
    for (job, before, attempt) in open_jobs(tx, run_id).await? {
        let at = JobAt { run_id, job: &job, now };
        if before == JobState::Running {
            apply(tx, at, before, &JobEvent::AttemptLost { attempt }).await?;
            end_attempt(tx, at, attempt, &lost()).await?;
        }
    }
    Ok(())
}

/// Cancels the jobs that are open, with the attempts that run.
pub(super) async fn cancel_open(tx: &mut Transaction, run_id: &RunId, now: Timestamp) -> Result<(), StoreError> {
    for (job, before, attempt) in open_jobs(tx, run_id).await? {
        let at = JobAt { run_id, job: &job, now };
        apply(tx, at, before, &JobEvent::Cancelled).await?;
        if before == JobState::Running {
            end_attempt(tx, at, attempt, &cancelled()).await?;
        }
    }
    Ok(())
}

/// Fails when jobs are open.
pub(super) async fn refuse_open(tx: &mut Transaction, run_id: &RunId) -> Result<(), StoreError> {
    let open = open_jobs(tx, run_id).await?;
    if open.is_empty() {
        return Ok(());
    }
    let jobs: Vec<String> = open.iter().map(|(job, state, _)| format!("`{job}` ({state})")).collect();
    Err(StoreError::OpenJobs { run_id: run_id.clone(), jobs: jobs.join(", ") })
}

/// Returns a run's jobs in the order in which they began.
pub(super) async fn jobs(database: &Database, run_id: &RunId) -> Result<Vec<JobView>, StoreError> {
    database.rows("reading a run's jobs", JOBS, &[run_id.into()]).await?.iter().map(view_of).collect()
}

/// Returns a job's last success.
pub(super) async fn last_success(
    database: &Database,
    dag: &DagName,
    job: &JobName,
    logical_date: Option<Date>,
) -> Result<Option<LastSuccess>, StoreError> {
    let date = logical_date.map(|date| date.to_string());
    let binds = [dag.into(), job.into(), date.as_deref().into()];
    let Some(row) = database.row("reading a job's last success", LAST_SUCCESS, &binds).await? else {
        return Ok(None);
    };
    Ok(Some(LastSuccess {
        run_id: RunId::from_stored(row.text("run_id")?),
        logical_date: row.parse("logical_date")?,
        fingerprint: row.text_or_null("fingerprint")?,
        outcome: row.json("outcome")?,
    }))
}

/// Returns how long the last successes of a job took.
pub(super) async fn durations(
    database: &Database,
    dag: &DagName,
    job: &JobName,
    most: u32,
) -> Result<Vec<SignedDuration>, StoreError> {
    let rows = database.rows("reading a job's durations", DURATIONS, &[dag.into(), job.into(), most.into()]).await?;
    rows.iter().map(|row| row.int("took").map(SignedDuration::from_micros)).collect()
}

/// Returns an outcome as JSON that reads back: a figure that is NaN or infinite is written as `null`, and would make
/// the run unreadable for ever.
fn readable_json(tx: &Transaction, outcome: &Outcome) -> Result<String, StoreError> {
    // Its e-mails are in the outbox; with the outcome they would be shown, and kept, a second time.
    let outcome = &Outcome { mails: Vec::new(), ..outcome.clone() };
    let json = tx.json("an outcome", outcome)?;
    match serde_json::from_str::<Outcome>(&json) {
        Ok(_) => Ok(json),
        Err(cause) => Err(StoreError::NotReadBack { what: "an outcome", cause }),
    }
}

async fn state_of(tx: &mut Transaction, run_id: &RunId, job: &JobName) -> Result<(JobState, u32), StoreError> {
    let row = tx.row(JOB_STATE, &[run_id.into(), job.into()]).await?;
    let row = row.ok_or_else(|| StoreError::NoSuchJob { run_id: run_id.clone(), job: job.clone() })?;
    Ok((row.parse("state")?, row.count("attempts")?))
}

async fn open_jobs(tx: &mut Transaction, run_id: &RunId) -> Result<Vec<(JobName, JobState, u32)>, StoreError> {
    let rows = tx.rows(OPEN_JOBS, &[run_id.into()]).await?;
    rows.iter().map(|row| Ok((row.parse("job")?, row.parse("state")?, row.count("attempts")?))).collect()
}

async fn end_attempt(tx: &mut Transaction, at: JobAt<'_>, attempt: u32, ending: &Ending<'_>) -> Result<(), StoreError> {
    let binds: [Bind<'_>; 9] = [
        at.run_id.into(),
        at.job.into(),
        attempt.into(),
        ending.state.into(),
        at.now.into(),
        ending.retry_at.into(),
        ending.error.into(),
        ending.fingerprint.into(),
        ending.outcome.into(),
    ];
    if tx.execute(ATTEMPT_END, &binds).await? == 1 {
        return Ok(());
    }
    let event = format!("attempt {attempt} is {}", ending.state);
    Err(IllegalTransition { what: "attempt", state: "not running", event }.into())
}

fn event_of(attempt: u32, end: &AttemptEnd) -> JobEvent {
    match end {
        AttemptEnd::Succeeded { outcome, .. } => {
            JobEvent::AttemptSucceeded { attempt, summary: outcome.summary.clone() }
        }
        AttemptEnd::Failed { error, retry_at } => {
            JobEvent::AttemptFailed { attempt, error: error.clone(), retry_at: *retry_at }
        }
        AttemptEnd::Lost => JobEvent::AttemptLost { attempt },
        AttemptEnd::Cancelled => JobEvent::Cancelled,
    }
}

fn ending_of<'a>(end: &'a AttemptEnd, outcome: Option<&'a str>) -> Ending<'a> {
    match end {
        AttemptEnd::Succeeded { fingerprint, .. } => {
            Ending { state: "succeeded", fingerprint: fingerprint.as_deref(), outcome, ..Ending::default() }
        }
        AttemptEnd::Failed { error, retry_at } => {
            Ending { state: "failed", error: Some(error), retry_at: *retry_at, ..Ending::default() }
        }
        AttemptEnd::Lost => lost(),
        AttemptEnd::Cancelled => cancelled(),
    }
}

fn lost() -> Ending<'static> {
    Ending { state: "lost", error: Some(LOST), ..Ending::default() }
}

fn cancelled() -> Ending<'static> {
    Ending { state: "cancelled", ..Ending::default() }
}

fn view_of(row: &Row) -> Result<JobView, StoreError> {
    Ok(JobView {
        name: row.parse("job")?,
        kind: row.parse("kind")?,
        state: row.parse("state")?,
        attempts: row.count("attempts")?,
        started_at: row.instant_or_null("started_at")?,
        finished_at: row.instant_or_null("finished_at")?,
        outcome: row.json_or_null::<Outcome>("outcome")?,
        error: row.text_or_null("error")?,
    })
}
