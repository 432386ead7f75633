//! Jobs of a run: their states, and the views of them that are read.
//!
//! [`apply`] is the only way in which a job's state changes while its run is open: through [`JobState::after`], with
//! its event. After the run's end only a person changes how it counts ([`mark`]).

use jiff::Timestamp;

use super::attempt_contract::JobStanding;
use super::attempt_rows::{self, Ending};
use super::database::{Database, Transaction};
use super::error::StoreError;
use super::events;
use super::job_at::JobAt;
use super::row::Row;
use crate::domain::dag::Job;
use crate::domain::ids::{JobName, RunId};
use crate::domain::job::JobView;
use crate::domain::outcome::Outcome;
use crate::domain::retry::{LOST_BUDGET, SUPERSEDED_BUDGET};
use crate::domain::run::{JobEvent, JobState, LOST};

const JOB_INSERT: &str = "INSERT INTO jobs (run_id, job, kind, state, attempts) VALUES ($1, $2, $3, 'queued', 0)";
const JOB_STATE: &str = include_str!("../../sql/state/job_state.sql");
const JOB_CHANGE: &str = include_str!("../../sql/state/job_change.sql");
const OPEN_JOBS: &str = "SELECT job, state, attempts, lost FROM jobs \
     WHERE run_id = $1 AND state IN ('queued', 'running', 'retrying') ORDER BY job";
const JOBS: &str = include_str!("../../sql/state/jobs_select.sql");
const JOB: &str = include_str!("../../sql/state/job_select.sql");
const JOB_MARK: &str = include_str!("../../sql/state/job_mark.sql");
const ATTEMPT_MARK: &str = include_str!("../../sql/state/attempt_mark.sql");

/// The word for jobs that a run leaves out.
pub(super) const NOT_ASKED_FOR: &str = "not asked for";

/// A job as its row describes it.
pub(super) struct Standing {
    /// Its state.
    pub(super) state: JobState,
    /// Attempts so far.
    pub(super) attempts: u32,
    /// Attempts that were lost.
    pub(super) lost: u32,
    /// Attempts that were superseded.
    pub(super) superseded: u32,
    /// The state and the fence of its last attempt.
    pub(super) last: Option<(String, String)>,
}

impl Standing {
    /// Returns whether its last attempt runs under this fence.
    pub(super) fn is_running_under(&self, fence: &str) -> bool {
        self.last.as_ref().is_some_and(|(state, stored)| state == "running" && stored == fence)
    }
}

/// Puts a job of a new run in the queue.
pub(super) async fn insert_job(tx: &mut Transaction, run_id: &RunId, job: &Job) -> Result<(), StoreError> {
    tx.execute(JOB_INSERT, &[run_id.into(), (&job.name).into(), job.kind.as_str().into()]).await?;
    Ok(())
}

/// Changes a job's state by an event, writes the event, and returns its number and the job as it is then, without the
/// outcome of the attempt that the event ends.
pub(super) async fn apply(
    tx: &mut Transaction,
    at: JobAt<'_>,
    before: JobState,
    event: &JobEvent,
) -> Result<(i64, JobStanding), StoreError> {
    let JobAt { run_id, job, now } = at;
    let after = before.after(event)?;
    let finished_at = after.is_done().then_some(now);
    let error = error_of(event);
    let not_before = if let JobEvent::AttemptFailed { retry_at, .. } = event { *retry_at } else { None };
    let [failed, lost, superseded] = match event {
        JobEvent::AttemptFailed { .. } => [1_i64, 0, 0],
        JobEvent::AttemptLost { .. } => [0, 1, 0],
        JobEvent::AttemptSuperseded { .. } => [0, 0, 1],
        _ => [0, 0, 0],
    };
    let binds = [
        run_id.into(),
        job.into(),
        after.as_str().into(),
        finished_at.into(),
        error.as_deref().into(),
        not_before.into(),
        failed.into(),
        lost.into(),
        superseded.into(),
    ];
    let standing = changed(tx.row(JOB_CHANGE, &binds).await?, at)?;
    Ok((events::write_job_event(tx, at, event).await?, standing))
}

/// Records a person's decision on how a job of a finished run counts.
pub(super) async fn mark(tx: &mut Transaction, at: JobAt<'_>, state: JobState, said: &str) -> Result<(), StoreError> {
    let JobAt { run_id, job, .. } = at;
    let before = standing(tx, run_id, job).await?;
    let event = JobEvent::Marked { state, said: said.to_owned() };
    let after = before.state.after(&event)?;
    tx.execute(JOB_MARK, &[run_id.into(), job.into(), after.as_str().into(), said.into()]).await?;
    let counts = if after == JobState::Succeeded { "succeeded" } else { "failed" };
    tx.execute(ATTEMPT_MARK, &[run_id.into(), job.into(), counts.into()]).await?;
    events::write_job_event(tx, at, &event).await?;
    Ok(())
}

/// Returns the error or reason of a job after an event.
pub(super) fn error_of(event: &JobEvent) -> Option<String> {
    match event {
        JobEvent::AttemptFailed { error, .. } => Some(error.clone()),
        JobEvent::AttemptLost { why, gives_up: false, .. } => Some(why.clone()),
        JobEvent::AttemptLost { why, gives_up: true, .. } => {
            Some(format!("{why}; {LOST_BUDGET} attempts were lost like this, so the job is not tried again"))
        }
        JobEvent::AttemptSuperseded { what, gives_up: false, .. } => Some(format!("{what} moved while it ran")),
        JobEvent::AttemptSuperseded { what, gives_up: true, .. } => {
            Some(format!("{what} moved while it ran, {SUPERSEDED_BUDGET} times: look for what else writes it"))
        }
        JobEvent::Skipped { why } => Some(why.clone()),
        JobEvent::Marked { said, .. } => Some(said.clone()),
        JobEvent::UpstreamFailed { upstream } => Some(format!("`{upstream}`, which it needs, failed")),
        JobEvent::AttemptDrained { .. } => Some("its process was told to end".to_owned()),
        JobEvent::AttemptStarted { .. }
        | JobEvent::AttemptSucceeded { .. }
        | JobEvent::PartCommitted { .. }
        | JobEvent::Cancelled => None,
    }
}

/// Marks attempts that were left running as lost; their jobs are then retrying, or failed if their budget is used up.
pub(super) async fn lose_running(tx: &mut Transaction, run_id: &RunId, now: Timestamp) -> Result<(), StoreError> {
    for (job, before, attempt, lost) in open_jobs(tx, run_id).await? {
        let at = JobAt { run_id, job: &job, now };
        if before == JobState::Running {
            let event = JobEvent::AttemptLost { attempt, why: LOST.to_owned(), gives_up: lost + 1 >= LOST_BUDGET };
            let (seq, _) = apply(tx, at, before, &event).await?;
            let ending = Ending { attempt, state: "lost", error: Some(LOST), ..Ending::default() };
            attempt_rows::end_attempt(tx, at, &ending, seq).await?;
        }
    }
    Ok(())
}

/// Cancels the open jobs and their running attempts.
pub(super) async fn cancel_open(tx: &mut Transaction, run_id: &RunId, now: Timestamp) -> Result<(), StoreError> {
    for (job, before, attempt, _) in open_jobs(tx, run_id).await? {
        let at = JobAt { run_id, job: &job, now };
        let (seq, _) = apply(tx, at, before, &JobEvent::Cancelled).await?;
        if before == JobState::Running {
            attempt_rows::end_attempt(tx, at, &attempt_rows::cancelled(attempt), seq).await?;
        }
    }
    Ok(())
}

/// Fails if jobs are open.
pub(super) async fn refuse_open(tx: &mut Transaction, run_id: &RunId) -> Result<(), StoreError> {
    let open = open_jobs(tx, run_id).await?;
    if open.is_empty() {
        return Ok(());
    }
    let jobs: Vec<String> = open.iter().map(|(job, state, ..)| format!("`{job}` ({state})")).collect();
    Err(StoreError::OpenJobs { run_id: run_id.clone(), jobs: jobs.join(", ") })
}

/// Returns a run's jobs in the order in which they began.
pub(super) async fn jobs(database: &Database, run_id: &RunId) -> Result<Vec<JobView>, StoreError> {
    database.rows("reading a run's jobs", JOBS, &[run_id.into()]).await?.iter().map(view_of).collect()
}

/// Returns a run's jobs in the order in which they began, with their budgets.
pub(super) async fn job_standings(database: &Database, run_id: &RunId) -> Result<Vec<JobStanding>, StoreError> {
    let rows = database.rows("reading a run's jobs", JOBS, &[run_id.into()]).await?;
    rows.iter().map(standing_of).collect()
}

pub(super) async fn job_standing(tx: &mut Transaction, at: JobAt<'_>) -> Result<JobStanding, StoreError> {
    changed(tx.row(JOB, &[at.run_id.into(), at.job.into()]).await?, at)
}

/// Returns the job of a row, or an error if there is no such job.
pub(super) fn changed(row: Option<Row>, at: JobAt<'_>) -> Result<JobStanding, StoreError> {
    let missing = || StoreError::NoSuchJob { run_id: at.run_id.clone(), job: at.job.clone() };
    standing_of(&row.ok_or_else(missing)?)
}

pub(super) fn standing_of(row: &Row) -> Result<JobStanding, StoreError> {
    Ok(JobStanding {
        view: view_of(row)?,
        failures: row.count("failures")?,
        lost: row.count("lost")?,
        not_before: row.instant_or_null("not_before")?,
    })
}

pub(super) async fn standing(tx: &mut Transaction, run_id: &RunId, job: &JobName) -> Result<Standing, StoreError> {
    let row = tx.row(JOB_STATE, &[run_id.into(), job.into()]).await?;
    let row = row.ok_or_else(|| StoreError::NoSuchJob { run_id: run_id.clone(), job: job.clone() })?;
    Ok(Standing {
        state: row.parse("state")?,
        attempts: row.count("attempts")?,
        lost: row.count("lost")?,
        superseded: row.count("superseded")?,
        last: row.text_or_null("attempt_state")?.zip(row.text_or_null("fence")?),
    })
}

pub(super) async fn open_jobs(
    tx: &mut Transaction,
    run_id: &RunId,
) -> Result<Vec<(JobName, JobState, u32, u32)>, StoreError> {
    let rows = tx.rows(OPEN_JOBS, &[run_id.into()]).await?;
    let open = |row: &Row| Ok((row.parse("job")?, row.parse("state")?, row.count("attempts")?, row.count("lost")?));
    rows.iter().map(open).collect()
}

pub(super) fn view_of(row: &Row) -> Result<JobView, StoreError> {
    Ok(JobView {
        name: row.parse("job")?,
        kind: row.parse("kind")?,
        state: row.parse("state")?,
        attempts: row.count("attempts")?,
        started_at: row.instant_or_null("started_at")?,
        finished_at: row.instant_or_null("finished_at")?,
        outcome: row.json_or_null::<Outcome>("outcome")?,
        error: row.text_or_null("error")?,
        why: row.json_or_null("why")?,
    })
}
