//! Attempts: begun, handing parts over, and ended.
//!
//! An attempt ends once, under its own fence: ending an attempt that is not the running one is refused, and repeating
//! the same end changes nothing. What an attempt reads, and the effects of an outcome, are left to `commit`, in the
//! same transaction.

use jiff::Timestamp;

use super::attempt_contract::{AttemptClaim, AttemptEnd, Begun, Finished, JobStanding, OutcomePart, Unattempted};
use super::attempt_rows::{self, Ending};
use super::commit::{self, Committing};
use super::database::{Database, Transaction};
use super::error::StoreError;
use super::job_at::JobAt;
use super::jobs::{self, Standing};
use super::run_contract::Claim;
use super::{events, hold, successes};
use crate::domain::outcome::Outcome;
use crate::domain::retry::{LOST_BUDGET, SUPERSEDED_BUDGET};
use crate::domain::run::{IllegalTransition, JobEvent, JobState};

const JOB_BEGIN: &str = include_str!("../../sql/state/job_begin.sql");
const ATTEMPT_INSERT: &str = include_str!("../../sql/state/attempt_insert.sql");
const PART_INSERT: &str = include_str!("../../sql/state/part_insert.sql");
const PARTS: &str = "SELECT name FROM parts WHERE run_id = $1 AND job = $2 ORDER BY part";

/// Begins the next attempt of a job, and reads what it is given.
pub(super) async fn begin(database: &Database, claim: &Claim, at: JobAt<'_>, fence: &str) -> Result<Begun, StoreError> {
    let mut tx = database.begin("beginning an attempt").await?;
    let held = hold::hold_running(&mut tx, claim).await?;
    let before = jobs::standing(&mut tx, at.run_id, at.job).await?;
    let (attempt, standing) = if before.is_running_under(fence) {
        // Asked again, because the answer was lost.
        (before.attempts, jobs::job_standing(&mut tx, at).await?)
    } else {
        (before.attempts + 1, start(&mut tx, at, &before, fence).await?)
    };
    let (committed, base) = commit::read(&mut tx, at, &held).await?;
    tx.commit().await?;
    let attempt = AttemptClaim { claim: claim.clone(), job: at.job.clone(), attempt, fence: fence.to_owned() };
    Ok(Begun { attempt, standing, committed, base })
}

async fn start(tx: &mut Transaction, at: JobAt<'_>, before: &Standing, fence: &str) -> Result<JobStanding, StoreError> {
    let JobAt { run_id, job, now } = at;
    let attempt = before.attempts + 1;
    let event = JobEvent::AttemptStarted { attempt };
    let after = before.state.after(&event)?;
    tx.execute(ATTEMPT_INSERT, &[run_id.into(), job.into(), attempt.into(), now.into(), fence.into()]).await?;
    let seq = events::write_job_event(tx, at, &event).await?;
    let binds = [run_id.into(), job.into(), after.as_str().into(), attempt.into(), now.into(), seq.into()];
    jobs::changed(tx.row(JOB_BEGIN, &binds).await?, at)
}

/// Commits a part of a running attempt's outcome.
pub(super) async fn commit_part(
    database: &Database,
    attempt: &AttemptClaim,
    part: OutcomePart<'_>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let mut tx = database.begin("committing a part of an outcome").await?;
    let held = hold::hold_running(&mut tx, &attempt.claim).await?;
    let at = attempt.at(now);
    let before = jobs::standing(&mut tx, at.run_id, at.job).await?;
    if before.attempts != attempt.attempt || !before.is_running_under(&attempt.fence) {
        return Err(StoreError::Fenced { run_id: at.run_id.clone() });
    }
    let known = tx.rows(PARTS, &[at.run_id.into(), at.job.into()]).await?;
    for row in &known {
        if row.text("name")? == part.name {
            // Asked again, because the answer was lost.
            return Ok(());
        }
    }
    let event = JobEvent::PartCommitted { attempt: attempt.attempt, part: part.name.to_owned() };
    before.state.after(&event)?;
    events::write_job_event(&mut tx, at, &event).await?;
    let (json, _) = readable_json(&tx, part.outcome)?;
    let binds = [at.run_id.into(), at.job.into(), attempt.attempt.into(), part.name.into(), (&json).into()];
    tx.execute(PART_INSERT, &binds).await?;
    let is_earlier = successes::has_later_success(&mut tx, &held.dag, at.job, held.date).await?;
    let committing = Committing { attempt, base: part.base, run: &held, now, is_earlier };
    commit::write_effects(&mut tx, &committing, part.outcome).await?;
    tx.commit().await
}

/// Ends an attempt; with an outcome, commits all its effects.
pub(super) async fn finish(
    database: &Database,
    attempt: &AttemptClaim,
    finished: Finished,
    now: Timestamp,
) -> Result<JobStanding, StoreError> {
    let Finished { end, why } = finished;
    let mut tx = database.begin("ending an attempt").await?;
    let held = hold::hold_running(&mut tx, &attempt.claim).await?;
    let at = attempt.at(now);
    let before = jobs::standing(&mut tx, at.run_id, at.job).await?;
    let (json, outcome) = match &end {
        AttemptEnd::Succeeded { outcome, .. } => Some(readable_json(&tx, outcome)?),
        _ => None,
    }
    .unzip();
    let event = event_of(attempt.attempt, &end, &before);
    let ending = Ending {
        why: why.as_ref().map(|why| tx.json("why a job ran", why)).transpose()?,
        ..ending_of(&tx, attempt.attempt, &end, json.as_deref())?
    };
    let stored = if attempt.attempt == before.attempts {
        before.last.clone()
    } else {
        attempt_rows::stored(&mut tx, at, attempt.attempt).await?
    };
    match stored {
        Some((state, fence)) if fence == attempt.fence && state == ending.state && state != "running" => {
            // Asked again, because the answer was lost.
            return jobs::job_standing(&mut tx, at).await;
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

    let (seq, mut standing) = jobs::apply(&mut tx, at, before.state, &event).await?;
    attempt_rows::end_attempt(&mut tx, at, &ending, seq).await?;
    if let AttemptEnd::Succeeded { outcome, base, .. } = &end {
        let is_earlier = successes::has_later_success(&mut tx, &held.dag, at.job, held.date).await?;
        let committing = Committing { attempt, base, run: &held, now, is_earlier };
        commit::write_effects(&mut tx, &committing, outcome).await?;
    }
    tx.commit().await?;
    standing.view.outcome = outcome;
    standing.view.why = why;
    Ok(standing)
}

/// Ends a job that is not attempted.
pub(super) async fn finish_unattempted(
    database: &Database,
    claim: &Claim,
    at: JobAt<'_>,
    end: Unattempted,
) -> Result<JobStanding, StoreError> {
    let mut tx = database.begin("ending a job without an attempt").await?;
    hold::hold_running(&mut tx, claim).await?;
    let before = jobs::standing(&mut tx, at.run_id, at.job).await?;
    let (state, event) = match end {
        Unattempted::Skipped { why } => (JobState::Skipped, JobEvent::Skipped { why }),
        Unattempted::UpstreamFailed { upstream } => (JobState::UpstreamFailed, JobEvent::UpstreamFailed { upstream }),
        Unattempted::Cancelled => (JobState::Cancelled, JobEvent::Cancelled),
    };
    let standing = if before.state == state {
        jobs::job_standing(&mut tx, at).await?
    } else {
        let (seq, standing) = jobs::apply(&mut tx, at, before.state, &event).await?;
        if before.state == JobState::Running {
            attempt_rows::end_attempt(&mut tx, at, &attempt_rows::cancelled(before.attempts), seq).await?;
        }
        standing
    };
    tx.commit().await?;
    Ok(standing)
}

/// Returns an outcome as JSON that can be read back, and the outcome read back from it: a figure that is NaN or
/// infinite is written as `null`, and would make the run unreadable for ever.
fn readable_json(tx: &Transaction, outcome: &Outcome) -> Result<(String, Outcome), StoreError> {
    // Its e-mails are in the outbox; in the outcome they would be shown, and kept, a second time.
    let outcome = &Outcome { mails: Vec::new(), ..outcome.clone() };
    let json = tx.json("an outcome", outcome)?;
    match serde_json::from_str::<Outcome>(&json) {
        Ok(read) => Ok((json, read)),
        Err(cause) => Err(StoreError::NotReadBack { what: "an outcome", cause }),
    }
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

fn ending_of<'a>(
    tx: &Transaction,
    attempt: u32,
    end: &'a AttemptEnd,
    outcome: Option<&'a str>,
) -> Result<Ending<'a>, StoreError> {
    Ok(match end {
        AttemptEnd::Succeeded { fingerprint, .. } => {
            let fingerprint = fingerprint.as_ref().map(|made| tx.json("a fingerprint", made)).transpose()?;
            Ending { attempt, state: "succeeded", fingerprint, outcome, ..Ending::default() }
        }
        AttemptEnd::Failed { error, retry_at } => {
            Ending { attempt, state: "failed", error: Some(error), retry_at: *retry_at, ..Ending::default() }
        }
        AttemptEnd::Lost { why } => Ending { attempt, state: "lost", error: Some(why), ..Ending::default() },
        AttemptEnd::Superseded { what } => {
            Ending { attempt, state: "superseded", error: Some(what), ..Ending::default() }
        }
        AttemptEnd::Drained => Ending { attempt, state: "drained", ..Ending::default() },
        AttemptEnd::Cancelled => attempt_rows::cancelled(attempt),
    })
}
