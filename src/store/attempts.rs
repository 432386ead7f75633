//! Jobs of a run and their attempts: begun, ended, lost, cancelled, and read back.
//!
//! [`apply`] is the only way in which a job's state changes: through [`JobState::after`], with its event. An attempt
//! ends once, under its own fence: the end of an attempt that is not the one that runs is refused, and the same end asked
//! for again changes nothing. What an attempt reads, and the effects of an outcome, are `commit`'s, in the same
//! transaction.

use std::collections::BTreeMap;

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};

use super::commit;
use super::contract::{AttemptClaim, AttemptEnd, Base, Begun, Claim, JobStanding, LastSuccess, Unattempted};
use super::database::{Bind, Database, Transaction};
use super::error::StoreError;
use super::row::Row;
use super::{runs, settle};
use crate::domain::check::Finding;
use crate::domain::dag::Job;
use crate::domain::ids::{DagName, JobName, RunId};
use crate::domain::job::{JobView, attempt_name};
use crate::domain::outcome::Outcome;
use crate::domain::retry::{LOST_BUDGET, SUPERSEDED_BUDGET};
use crate::domain::run::{IllegalTransition, JobEvent, JobState, LOST};

const JOB_INSERT: &str = "INSERT INTO jobs (run_id, job, kind, state, attempts) VALUES ($1, $2, $3, 'queued', 0)";
const JOB_STATE: &str = include_str!("../../sql/state/job_state.sql");
const JOB_BEGIN: &str = include_str!("../../sql/state/job_begin.sql");
const JOB_CHANGE: &str = include_str!("../../sql/state/job_change.sql");
const OPEN_JOBS: &str = "SELECT job, state, attempts, lost FROM jobs \
     WHERE run_id = $1 AND state IN ('queued', 'running', 'retrying') ORDER BY job";
const JOBS: &str = include_str!("../../sql/state/jobs_select.sql");
const JOB: &str = include_str!("../../sql/state/job_select.sql");
const JOB_MARK: &str = include_str!("../../sql/state/job_mark.sql");
const ATTEMPT_MARK: &str = include_str!("../../sql/state/attempt_mark.sql");
const ATTEMPT_INSERT: &str = include_str!("../../sql/state/attempt_insert.sql");
const ATTEMPT_END: &str = include_str!("../../sql/state/attempt_end.sql");
const ATTEMPT: &str = "SELECT state, fence FROM attempts WHERE run_id = $1 AND job = $2 AND attempt = $3";
const PART_INSERT: &str = include_str!("../../sql/state/part_insert.sql");
const PARTS: &str = "SELECT name FROM parts WHERE run_id = $1 AND job = $2 ORDER BY part";
const PARTS_TO_READ: &str = include_str!("../../sql/state/parts_to_read.sql");
const DURATIONS: &str = include_str!("../../sql/state/job_durations.sql");
const LAST_SUCCESS: &str = include_str!("../../sql/state/last_success.sql");
const LAST_SUCCESS_OF_DATE: &str = include_str!("../../sql/state/last_success_of_date.sql");

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

impl AttemptClaim {
    /// Returns the job whose attempt it is.
    pub(super) fn at(&self, now: Timestamp) -> JobAt<'_> {
        JobAt { run_id: &self.claim.run_id, job: &self.job, now }
    }

    /// Returns its name, by which what it stages is found.
    pub(super) fn name(&self) -> String {
        attempt_name(&self.claim.run_id, &self.job, self.attempt)
    }
}

/// How an attempt's row ends.
#[derive(Debug, Default)]
struct Ending<'a> {
    state: &'static str,
    retry_at: Option<Timestamp>,
    error: Option<&'a str>,
    fingerprint: Option<String>,
    why: Option<String>,
    outcome: Option<&'a str>,
}

/// A job as its row says.
struct Standing {
    state: JobState,
    attempts: u32,
    lost: u32,
    superseded: u32,
    /// The state and the fence of its last attempt.
    last: Option<(String, String)>,
}

impl Standing {
    fn is_running_under(&self, fence: &str) -> bool {
        self.last.as_ref().is_some_and(|(state, stored)| state == "running" && stored == fence)
    }
}

/// Puts a job of a new run in the queue.
pub(super) async fn insert_job(tx: &mut Transaction, run_id: &RunId, job: &Job) -> Result<(), StoreError> {
    tx.execute(JOB_INSERT, &[run_id.into(), (&job.name).into(), job.kind.as_str().into()]).await?;
    Ok(())
}

/// Begins the next attempt of a job, and reads what it is given.
pub(super) async fn begin(
    database: &Database,
    claim: &Claim,
    job: &JobName,
    fence: &str,
    now: Timestamp,
) -> Result<Begun, StoreError> {
    let mut tx = database.begin("beginning an attempt").await?;
    let held = runs::hold_running(&mut tx, claim).await?;
    let at = JobAt { run_id: &claim.run_id, job, now };
    let before = standing(&mut tx, at.run_id, job).await?;
    let (attempt, standing) = if before.is_running_under(fence) {
        // Asked again, because the answer was lost.
        (before.attempts, job_standing(&mut tx, at).await?)
    } else {
        (before.attempts + 1, start(&mut tx, at, &before, fence).await?)
    };
    let (committed, base) = commit::read(&mut tx, at, &held).await?;
    tx.commit().await?;
    let attempt = AttemptClaim { claim: claim.clone(), job: job.clone(), attempt, fence: fence.to_owned() };
    Ok(Begun { attempt, standing, committed, base })
}

async fn start(tx: &mut Transaction, at: JobAt<'_>, before: &Standing, fence: &str) -> Result<JobStanding, StoreError> {
    let JobAt { run_id, job, now } = at;
    let attempt = before.attempts + 1;
    let event = JobEvent::AttemptStarted { attempt };
    let after = before.state.after(&event)?;
    tx.execute(ATTEMPT_INSERT, &[run_id.into(), job.into(), attempt.into(), now.into(), fence.into()]).await?;
    let seq = runs::write_job_event(tx, at, &event).await?;
    let binds = [run_id.into(), job.into(), after.as_str().into(), attempt.into(), now.into(), seq.into()];
    changed(tx.row(JOB_BEGIN, &binds).await?, at)
}

/// Commits a part of a running attempt's outcome.
pub(super) async fn commit_part(
    database: &Database,
    attempt: &AttemptClaim,
    (name, part): (&str, &Outcome),
    base: &Base,
    now: Timestamp,
) -> Result<(), StoreError> {
    let mut tx = database.begin("committing a part of an outcome").await?;
    let held = runs::hold_running(&mut tx, &attempt.claim).await?;
    let at = attempt.at(now);
    let before = standing(&mut tx, at.run_id, at.job).await?;
    if before.attempts != attempt.attempt || !before.is_running_under(&attempt.fence) {
        return Err(StoreError::Fenced { run_id: at.run_id.clone() });
    }
    let known = tx.rows(PARTS, &[at.run_id.into(), at.job.into()]).await?;
    for row in &known {
        if row.text("name")? == name {
            // Asked again, because the answer was lost.
            return Ok(());
        }
    }
    let event = JobEvent::PartCommitted { attempt: attempt.attempt, part: name.to_owned() };
    before.state.after(&event)?;
    runs::write_job_event(&mut tx, at, &event).await?;
    let (json, _) = readable_json(&tx, part)?;
    let binds = [at.run_id.into(), at.job.into(), attempt.attempt.into(), name.into(), (&json).into()];
    tx.execute(PART_INSERT, &binds).await?;
    commit::write_effects(&mut tx, (attempt, &held), now, part, base).await?;
    tx.commit().await
}

/// Returns the parts that a job has committed in its run, by name, and the findings in those of other jobs that failed
/// all the same: nobody else tells them.
pub(super) async fn parts(
    tx: &mut Transaction,
    at: JobAt<'_>,
) -> Result<(BTreeMap<String, Outcome>, Vec<Finding>), StoreError> {
    let (mut own, mut left) = (BTreeMap::new(), Vec::new());
    for row in tx.rows(PARTS_TO_READ, &[at.run_id.into(), at.job.into()]).await? {
        let part: Outcome = row.json("outcome")?;
        if row.text("job")? == at.job.as_str() {
            own.insert(row.text("name")?, part);
        } else {
            left.extend(part.findings);
        }
    }
    Ok((own, left))
}

/// Returns the findings in parts of a run's jobs that did not succeed in the end.
pub(super) async fn findings_left(database: &Database, run_id: &RunId) -> Result<Vec<Finding>, StoreError> {
    let rows = database.rows("reading the parts of a run's jobs", PARTS_TO_READ, &[run_id.into(), "".into()]).await?;
    let parts = rows.iter().map(|row| row.json::<Outcome>("outcome")).collect::<Result<Vec<_>, _>>()?;
    Ok(parts.into_iter().flat_map(|part| part.findings).collect())
}

/// Ends an attempt; with an outcome, commits all its effects.
pub(super) async fn finish(
    database: &Database,
    attempt: &AttemptClaim,
    end: AttemptEnd,
    now: Timestamp,
) -> Result<JobStanding, StoreError> {
    let mut tx = database.begin("ending an attempt").await?;
    let held = runs::hold_running(&mut tx, &attempt.claim).await?;
    let at = attempt.at(now);
    let before = standing(&mut tx, at.run_id, at.job).await?;
    let (json, outcome) = match &end {
        AttemptEnd::Succeeded { outcome, .. } => Some(readable_json(&tx, outcome)?),
        _ => None,
    }
    .unzip();
    let event = event_of(attempt.attempt, &end, &before);
    let ending = ending_of(&tx, &end, json.as_deref())?;
    let stored = if attempt.attempt == before.attempts {
        before.last.clone()
    } else {
        stored(&mut tx, at, attempt.attempt).await?
    };
    match stored {
        Some((state, fence)) if fence == attempt.fence && state == ending.state && state != "running" => {
            // Asked again, because the answer was lost.
            return job_standing(&mut tx, at).await;
        }
        Some((state, fence)) if fence == attempt.fence && state == "running" => {}
        Some((_, fence)) if fence != attempt.fence => {
            return Err(StoreError::Fenced { run_id: at.run_id.clone() });
        }
        _ => {
            let event = format!("the end of attempt {}, when {} began", attempt.attempt, before.attempts);
            return Err(IllegalTransition { what: "job", state: before.state.as_str(), event }.into());
        }
    }

    let (seq, mut standing) = apply(&mut tx, at, before.state, &event).await?;
    end_attempt(&mut tx, at, attempt.attempt, &ending, seq).await?;
    if let AttemptEnd::Succeeded { outcome, base, .. } = &end {
        commit::write_effects(&mut tx, (attempt, &held), now, outcome, base).await?;
    }
    tx.commit().await?;
    standing.view.outcome = outcome;
    if let AttemptEnd::Succeeded { why, .. } = end {
        standing.view.why = why;
    }
    Ok(standing)
}

/// Ends a job that is not attempted.
pub(super) async fn finish_unattempted(
    database: &Database,
    claim: &Claim,
    job: &JobName,
    end: Unattempted,
    now: Timestamp,
) -> Result<JobStanding, StoreError> {
    let mut tx = database.begin("ending a job without an attempt").await?;
    runs::hold_running(&mut tx, claim).await?;
    let at = JobAt { run_id: &claim.run_id, job, now };
    let before = standing(&mut tx, at.run_id, job).await?;
    let (state, event) = match end {
        Unattempted::Skipped { why } => (JobState::Skipped, JobEvent::Skipped { why }),
        Unattempted::UpstreamFailed { upstream } => (JobState::UpstreamFailed, JobEvent::UpstreamFailed { upstream }),
        Unattempted::Cancelled => (JobState::Cancelled, JobEvent::Cancelled),
    };
    let standing = if before.state == state {
        job_standing(&mut tx, at).await?
    } else {
        let (seq, standing) = apply(&mut tx, at, before.state, &event).await?;
        if before.state == JobState::Running {
            end_attempt(&mut tx, at, before.attempts, &cancelled(), seq).await?;
        }
        standing
    };
    tx.commit().await?;
    Ok(standing)
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
    Ok((runs::write_job_event(tx, at, event).await?, standing))
}

/// Says how a job of a run that is done counts, by the word of a person.
pub(super) async fn mark(tx: &mut Transaction, at: JobAt<'_>, state: JobState, said: &str) -> Result<(), StoreError> {
    let JobAt { run_id, job, .. } = at;
    let before = standing(tx, run_id, job).await?;
    let event = JobEvent::Marked { state, said: said.to_owned() };
    let after = before.state.after(&event)?;
    tx.execute(JOB_MARK, &[run_id.into(), job.into(), after.as_str().into(), said.into()]).await?;
    let counts = if after == JobState::Succeeded { "succeeded" } else { "failed" };
    tx.execute(ATTEMPT_MARK, &[run_id.into(), job.into(), counts.into()]).await?;
    runs::write_job_event(tx, at, &event).await?;
    Ok(())
}

/// Returns what a job says after an event.
fn error_of(event: &JobEvent) -> Option<String> {
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

/// Marks what was left running as lost; the jobs are retrying then, or have failed when their budget is used up.
pub(super) async fn lose_running(tx: &mut Transaction, run_id: &RunId, now: Timestamp) -> Result<(), StoreError> {
    for (job, before, attempt, lost) in open_jobs(tx, run_id).await? {
        let at = JobAt { run_id, job: &job, now };
        if before == JobState::Running {
            let event = JobEvent::AttemptLost { attempt, why: LOST.to_owned(), gives_up: lost + 1 >= LOST_BUDGET };
            let (seq, _) = apply(tx, at, before, &event).await?;
            end_attempt(tx, at, attempt, &Ending { state: "lost", error: Some(LOST), ..Ending::default() }, seq)
                .await?;
        }
    }
    Ok(())
}

/// Cancels the jobs that are open, with the attempts that run.
pub(super) async fn cancel_open(tx: &mut Transaction, run_id: &RunId, now: Timestamp) -> Result<(), StoreError> {
    for (job, before, attempt, _) in open_jobs(tx, run_id).await? {
        let at = JobAt { run_id, job: &job, now };
        let (seq, _) = apply(tx, at, before, &JobEvent::Cancelled).await?;
        if before == JobState::Running {
            end_attempt(tx, at, attempt, &cancelled(), seq).await?;
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

async fn job_standing(tx: &mut Transaction, at: JobAt<'_>) -> Result<JobStanding, StoreError> {
    changed(tx.row(JOB, &[at.run_id.into(), at.job.into()]).await?, at)
}

/// Returns the job of a row, which is missing where there is no such job.
fn changed(row: Option<Row>, at: JobAt<'_>) -> Result<JobStanding, StoreError> {
    let missing = || StoreError::NoSuchJob { run_id: at.run_id.clone(), job: at.job.clone() };
    standing_of(&row.ok_or_else(missing)?)
}

fn standing_of(row: &Row) -> Result<JobStanding, StoreError> {
    Ok(JobStanding {
        view: view_of(row)?,
        failures: row.count("failures")?,
        lost: row.count("lost")?,
        not_before: row.instant_or_null("not_before")?,
    })
}

/// Returns a job's last success, for one date or for any.
pub(super) async fn last_success(
    database: &Database,
    dag: &DagName,
    job: &JobName,
    logical_date: Option<Date>,
) -> Result<Option<LastSuccess>, StoreError> {
    let operation = "reading a job's last success";
    let row = match logical_date.map(|date| date.to_string()) {
        Some(date) => database.row(operation, LAST_SUCCESS_OF_DATE, &[dag.into(), job.into(), (&date).into()]).await?,
        None => database.row(operation, LAST_SUCCESS, &[dag.into(), job.into()]).await?,
    };
    row.map(|row| success_of(&row)).transpose()
}

/// Returns a job's last success as a transaction sees it.
pub(super) async fn last_success_within(
    tx: &mut Transaction,
    dag: &DagName,
    job: &JobName,
) -> Result<Option<LastSuccess>, StoreError> {
    tx.row(LAST_SUCCESS, &[dag.into(), job.into()]).await?.map(|row| success_of(&row)).transpose()
}

fn success_of(row: &Row) -> Result<LastSuccess, StoreError> {
    Ok(LastSuccess {
        run_id: RunId::from_stored(row.text("run_id")?),
        logical_date: row.parse("logical_date")?,
        // Earlier versions stored one hash of everything: it names nothing, and program and hash have changed anyway.
        fingerprint: row.text_or_null("fingerprint")?.and_then(|text| serde_json::from_str(&text).ok()),
        outcome: row.json("outcome")?,
    })
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

/// Returns an outcome as JSON that reads back, and what is read back: a figure that is NaN or infinite is written as
/// `null`, and would make the run unreadable for ever.
fn readable_json(tx: &Transaction, outcome: &Outcome) -> Result<(String, Outcome), StoreError> {
    // Its e-mails are in the outbox; with the outcome they would be shown, and kept, a second time.
    let outcome = &Outcome { mails: Vec::new(), ..outcome.clone() };
    let json = tx.json("an outcome", outcome)?;
    match serde_json::from_str::<Outcome>(&json) {
        Ok(read) => Ok((json, read)),
        Err(cause) => Err(StoreError::NotReadBack { what: "an outcome", cause }),
    }
}

async fn standing(tx: &mut Transaction, run_id: &RunId, job: &JobName) -> Result<Standing, StoreError> {
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

/// Returns an attempt's state and fence; `None` when it never began.
async fn stored(tx: &mut Transaction, at: JobAt<'_>, attempt: u32) -> Result<Option<(String, String)>, StoreError> {
    let row = tx.row(ATTEMPT, &[at.run_id.into(), at.job.into(), attempt.into()]).await?;
    row.map(|row| Ok((row.text("state")?, row.text("fence")?))).transpose()
}

async fn open_jobs(tx: &mut Transaction, run_id: &RunId) -> Result<Vec<(JobName, JobState, u32, u32)>, StoreError> {
    let rows = tx.rows(OPEN_JOBS, &[run_id.into()]).await?;
    let open = |row: &Row| Ok((row.parse("job")?, row.parse("state")?, row.count("attempts")?, row.count("lost")?));
    rows.iter().map(open).collect()
}

async fn end_attempt(
    tx: &mut Transaction,
    at: JobAt<'_>,
    attempt: u32,
    ending: &Ending<'_>,
    seq: i64,
) -> Result<(), StoreError> {
    let binds: [Bind<'_>; 11] = [
        at.run_id.into(),
        at.job.into(),
        attempt.into(),
        ending.state.into(),
        at.now.into(),
        ending.retry_at.into(),
        ending.error.into(),
        ending.fingerprint.as_deref().into(),
        ending.outcome.into(),
        seq.into(),
        ending.why.as_deref().into(),
    ];
    if tx.execute(ATTEMPT_END, &binds).await? == 1 {
        if ending.state != "succeeded" {
            let staged = settle::staged(&attempt_name(at.run_id, at.job, attempt));
            settle::want(tx, &staged, at.now).await?;
        }
        return Ok(());
    }
    let event = format!("attempt {attempt} is {}", ending.state);
    Err(IllegalTransition { what: "attempt", state: "not running", event }.into())
}

fn event_of(attempt: u32, end: &AttemptEnd, before: &Standing) -> JobEvent {
    match end {
        AttemptEnd::Succeeded { outcome, .. } => {
            JobEvent::AttemptSucceeded { attempt, summary: outcome.summary.clone() }
        }
        AttemptEnd::Failed { error, retry_at } => {
            JobEvent::AttemptFailed { attempt, error: error.clone(), retry_at: *retry_at }
        }
        AttemptEnd::Lost { why } => {
            JobEvent::AttemptLost { attempt, why: why.clone(), gives_up: before.lost + 1 >= LOST_BUDGET }
        }
        AttemptEnd::Superseded { what } => {
            let gives_up = before.superseded + 1 >= SUPERSEDED_BUDGET;
            JobEvent::AttemptSuperseded { attempt, what: what.clone(), gives_up }
        }
        AttemptEnd::Drained => JobEvent::AttemptDrained { attempt },
        AttemptEnd::Cancelled => JobEvent::Cancelled,
    }
}

fn ending_of<'a>(tx: &Transaction, end: &'a AttemptEnd, outcome: Option<&'a str>) -> Result<Ending<'a>, StoreError> {
    Ok(match end {
        AttemptEnd::Succeeded { fingerprint, why, .. } => {
            let fingerprint = fingerprint.as_ref().map(|made| tx.json("a fingerprint", made)).transpose()?;
            let why = why.as_ref().map(|why| tx.json("why a job ran", why)).transpose()?;
            Ending { state: "succeeded", fingerprint, why, outcome, ..Ending::default() }
        }
        AttemptEnd::Failed { error, retry_at } => {
            Ending { state: "failed", error: Some(error), retry_at: *retry_at, ..Ending::default() }
        }
        AttemptEnd::Lost { why } => Ending { state: "lost", error: Some(why), ..Ending::default() },
        AttemptEnd::Superseded { what } => Ending { state: "superseded", error: Some(what), ..Ending::default() },
        AttemptEnd::Drained => Ending { state: "drained", ..Ending::default() },
        AttemptEnd::Cancelled => cancelled(),
    })
}

fn cancelled() -> Ending<'static> {
    Ending { state: "cancelled", ..Ending::default() }
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
