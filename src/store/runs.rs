//! Runs: made, taken up, ended, and read back.
//!
//! Every transition of a run goes through [`RunState::after`], and of its jobs through `attempts`; the event is written
//! with the new state. A write by a run's worker calls `hold` first, one that a person asks for `lock`.

use jiff::Timestamp;

use super::audit;
use super::database::{Database, Transaction};
use super::error::StoreError;
use super::events::write_run_event;
use super::hold::{hold, lock};
use super::job_at::JobAt;
use super::jobs::{self, NOT_ASKED_FOR};
use super::mail_contract::Promise;
use super::ownership::Tenure;
use super::revisions;
use super::row::Row;
use super::run_contract::{Claim, NewRun, RunFilter, RunRecord};
use super::schedule;
use crate::domain::dag::Dag;
use crate::domain::ids::{RunId, content_hash};
use crate::domain::job::Force;
use crate::domain::manual::Manual;
use crate::domain::run::{JobEvent, JobState, RunEvent, RunState};

const INSERT: &str = include_str!("../../sql/state/run_insert.sql");
const NEXT_NUMBER: &str = include_str!("../../sql/state/run_number_next.sql");
const CLAIM: &str = include_str!("../../sql/state/run_claim.sql");
const SELECT_ONE: &str = include_str!("../../sql/state/run_select.sql");
const SELECT_OPEN: &str = include_str!("../../sql/state/runs_open.sql");
const SELECT_ALL: &str = include_str!("../../sql/state/runs_newest.sql");
const SELECT_DAG: &str = include_str!("../../sql/state/runs_of_dag.sql");
const SELECT_DATE: &str = include_str!("../../sql/state/runs_of_date.sql");
const KEEP_DAG: &str = include_str!("../../sql/state/dag_version_insert.sql");
const FINISH: &str = "UPDATE runs SET state = $2, finished_at = $3 WHERE run_id = $1";
const MARK: &str = "UPDATE runs SET state = $2 WHERE run_id = $1";
const WISH_CANCEL: &str = "UPDATE runs SET cancel_requested = 1 WHERE run_id = $1";
const DAG_OF: &str =
    "SELECT v.body FROM runs AS r JOIN dag_versions AS v ON v.content_hash = r.dag_hash WHERE r.run_id = $1";

/// Earlier than any run; as far back as microseconds reach in both databases.
const EARLIEST: Timestamp = Timestamp::UNIX_EPOCH;

/// Makes a run, unless its slot has one.
pub(super) async fn create(database: &Database, new: NewRun) -> Result<Option<RunRecord>, StoreError> {
    let mut tx = database.begin("making a run").await?;
    let Some(record) = create_within(&mut tx, &new).await? else {
        // Nothing of it stays: not even the number that it would have had.
        return Ok(None);
    };
    tx.commit().await?;
    Ok(Some(record))
}

/// Makes a run within a transaction, unless its slot has one.
pub(super) async fn create_within(tx: &mut Transaction, new: &NewRun) -> Result<Option<RunRecord>, StoreError> {
    let dag = &new.dag;
    let unknown = new.only.iter().flatten().find(|job| !dag.jobs.contains_key(job));
    if let Some(job) = unknown {
        return Err(StoreError::NoJob { dag: dag.name.clone(), job: job.clone() });
    }

    let date = new.logical_date.to_string();
    let number = tx.row(NEXT_NUMBER, &[(&dag.name).into(), (&date).into()]).await?;
    let number: u32 = number.as_ref().map_or(Ok(1), |row| row.count("n"))?;
    let run_id = RunId::new(&dag.name, new.logical_date, number);
    if let Some(slot) = new.slot {
        let slot = schedule::Slot { dag: &dag.name, at: slot };
        if !schedule::take_slot(tx, slot, schedule::Decision::Run(&run_id), new.now).await? {
            return Ok(None);
        }
    }

    insert(tx, new, &run_id, number).await?;
    let event = RunEvent::Queued { trigger: new.asked.trigger };
    write_run_event(tx, &run_id, &event, new.now).await?;
    for job in dag.jobs.values() {
        jobs::insert_job(tx, &run_id, job).await?;
        if new.only.as_ref().is_some_and(|only| !only.contains(&job.name)) {
            let event = JobEvent::Skipped { why: NOT_ASKED_FOR.to_owned() };
            let at = JobAt { run_id: &run_id, job: &job.name, now: new.now };
            jobs::apply(tx, at, JobState::Queued, &event).await?;
        }
    }
    let promise = Promise {
        dag: &dag.name,
        logical_date: new.logical_date,
        run_id: Some(&run_id),
        skipped: None,
        mails: &new.expected,
    };
    revisions::promise(tx, &promise, new.now).await?;
    if let Some(manual) = new.asked.manual.as_ref().filter(|_| new.asked.backfill.is_none()) {
        let origin = audit::Origin { run_id: Some(&run_id), attempt: None };
        audit::append(tx, origin, &manual.did(&asked_words(new, &run_id)), new.now).await?;
    }
    tx.row(SELECT_ONE, &[(&run_id).into()]).await?.map(|row| record_of(&row)).transpose()
}

/// What a person has asked for with a new run, for the audit log.
fn asked_words(new: &NewRun, run_id: &RunId) -> String {
    let repairs = new.asked.repairs.as_ref().map_or_else(String::new, |repaired| format!(", which repairs {repaired}"));
    let jobs = new.only.as_ref().map_or_else(String::new, |only| {
        let names: Vec<&str> = only.iter().map(|job| job.as_str()).collect();
        format!(" with the jobs {}", names.join(", "))
    });
    let forced = if new.force == Force::Rebuild { ", also what is up to date" } else { "" };
    format!("asked for the run {run_id}{repairs}{jobs}{forced}")
}

async fn insert(tx: &mut Transaction, new: &NewRun, run_id: &RunId, number: u32) -> Result<(), StoreError> {
    let body = tx.json("the DAG", &new.dag)?;
    let hash = content_hash(body.as_bytes());
    let only = new.only.as_ref().map(|only| tx.json("the jobs wanted", only)).transpose()?;
    let state = RunState::after(None, &RunEvent::Queued { trigger: new.asked.trigger })?;
    let (name, version, date) = (&new.dag.name, &new.dag.version, new.logical_date.to_string());

    tx.execute(KEEP_DAG, &[(&hash).into(), name.into(), version.into(), (&body).into(), new.now.into()]).await?;
    let binds = [
        run_id.into(),
        name.into(),
        version.into(),
        (&hash).into(),
        (&date).into(),
        number.into(),
        new.asked.trigger.as_str().into(),
        new.slot.into(),
        only.as_deref().into(),
        force_word(new.force).into(),
        state.as_str().into(),
        new.now.into(),
        new.asked.manual.as_ref().map(|manual| manual.by.as_str()).into(),
        new.asked.manual.as_ref().and_then(|manual| manual.why.as_deref()).into(),
        new.asked.repairs.as_ref().map(RunId::as_str).into(),
        new.asked.backfill.as_deref().into(),
    ];
    tx.execute(INSERT, &binds).await?;
    Ok(())
}

/// Takes a run up under a new token; attempts that were left running are lost.
pub(super) async fn claim(
    database: &Database,
    run_id: &RunId,
    tenure: &Tenure,
    now: Timestamp,
) -> Result<Claim, StoreError> {
    let mut tx = database.begin("taking a run up").await?;
    tenure.hold(&mut tx).await?;
    let before = lock(&mut tx, run_id).await?.state;
    let event = RunEvent::Started;
    let state = RunState::after(Some(before), &event)?;
    let row = tx.row(CLAIM, &[run_id.into(), state.as_str().into(), tenure.owner().into(), now.into()]).await?;
    let token = row.ok_or_else(|| StoreError::NoRun { run_id: run_id.clone() })?.int("token")?;
    write_run_event(&mut tx, run_id, &event, now).await?;
    jobs::lose_running(&mut tx, run_id, now).await?;
    tx.commit().await?;
    Ok(Claim { run_id: run_id.clone(), token, tenure: tenure.clone() })
}

/// Ends a run; a cancelled one cancels what is open in it.
pub(super) async fn finish(
    database: &Database,
    claim: &Claim,
    state: RunState,
    now: Timestamp,
) -> Result<(), StoreError> {
    let mut tx = database.begin("ending a run").await?;
    if hold(&mut tx, claim).await?.state == state && state.is_done() {
        // Asked again, because the answer was lost.
        return Ok(());
    }
    end(&mut tx, &claim.run_id, &RunEvent::Finished { state }, now).await?;
    tx.commit().await
}

/// Asks to stop a run; a queued one is cancelled at once.
pub(super) async fn request_cancel(
    database: &Database,
    run_id: &RunId,
    said: &str,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let mut tx = database.begin("asking to cancel a run").await?;
    let before = lock(&mut tx, run_id).await?;
    if before.state.is_done() {
        return Ok(false);
    }
    if !before.is_cancel_requested {
        tx.execute(WISH_CANCEL, &[run_id.into()]).await?;
        if before.state == RunState::Queued {
            end(&mut tx, run_id, &RunEvent::Finished { state: RunState::Cancelled }, now).await?;
        }
        let origin = audit::Origin { run_id: Some(run_id), attempt: None };
        audit::append(&mut tx, origin, said, now).await?;
    }
    tx.commit().await?;
    Ok(true)
}

async fn end(tx: &mut Transaction, run_id: &RunId, event: &RunEvent, now: Timestamp) -> Result<(), StoreError> {
    let before = lock(tx, run_id).await?.state;
    let after = RunState::after(Some(before), event)?;
    if after == RunState::Cancelled {
        jobs::cancel_open(tx, run_id, now).await?;
    } else {
        jobs::refuse_open(tx, run_id).await?;
    }
    tx.execute(FINISH, &[run_id.into(), after.as_str().into(), now.into()]).await?;
    write_run_event(tx, run_id, event, now).await
}

/// Changes how a run that is done counts.
pub(super) async fn mark(
    tx: &mut Transaction,
    run_id: &RunId,
    event: &RunEvent,
    now: Timestamp,
) -> Result<(), StoreError> {
    let before = lock(tx, run_id).await?.state;
    let after = RunState::after(Some(before), event)?;
    tx.execute(MARK, &[run_id.into(), after.as_str().into()]).await?;
    write_run_event(tx, run_id, event, now).await
}

/// Returns a run.
pub(super) async fn one(database: &Database, run_id: &RunId) -> Result<Option<RunRecord>, StoreError> {
    let row = database.row("reading a run", SELECT_ONE, &[run_id.into()]).await?;
    row.map(|row| record_of(&row)).transpose()
}

/// Returns runs, newest first. Each form of the query has its own statement, which an index answers.
pub(super) async fn list(database: &Database, filter: &RunFilter) -> Result<Vec<RunRecord>, StoreError> {
    let date = filter.logical_date.map(|date| date.to_string());
    let dag = filter.dag.as_ref().map_or("", |dag| dag.as_str());
    let limit = filter.limit.map_or(i64::MAX, i64::from);
    let (state, since) = (filter.state.map(RunState::as_str), filter.since.unwrap_or(EARLIEST));
    let rows = match (filter.open, &filter.dag, &date) {
        (true, ..) => database.rows("listing open runs", SELECT_OPEN, &[]).await?,
        (false, Some(_), Some(date)) => {
            database
                .rows("listing runs", SELECT_DATE, &[dag.into(), date.into(), limit.into(), state.into(), since.into()])
                .await?
        }
        (false, Some(_), None) => {
            let binds = [dag.into(), limit.into(), state.into(), since.into()];
            database.rows("listing runs", SELECT_DAG, &binds).await?
        }
        (false, None, _) => {
            let binds = [date.as_deref().into(), limit.into(), state.into(), since.into()];
            database.rows("listing runs", SELECT_ALL, &binds).await?
        }
    };
    let mut runs = rows.iter().map(record_of).collect::<Result<Vec<_>, _>>()?;
    if filter.open {
        runs.retain(|run| filter.dag.as_ref().is_none_or(|dag| run.dag == *dag));
        runs.retain(|run| filter.state.is_none_or(|state| run.state == state) && run.queued_at >= since);
        runs.retain(|run| filter.logical_date.is_none_or(|date| run.logical_date == date));
        runs.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    }
    Ok(runs)
}

/// Returns the DAG in the version that the run uses.
pub(super) async fn dag_of(database: &Database, run_id: &RunId) -> Result<Dag, StoreError> {
    let row = database.row("reading a run's DAG", DAG_OF, &[run_id.into()]).await?;
    row.ok_or_else(|| StoreError::NoRun { run_id: run_id.clone() })?.json("body")
}

pub(super) fn record_of(row: &Row) -> Result<RunRecord, StoreError> {
    Ok(RunRecord {
        run_id: RunId::from_stored(row.text("run_id")?),
        dag: row.parse("dag")?,
        dag_version: row.text("dag_version")?,
        logical_date: row.parse("logical_date")?,
        trigger: row.parse("asked_by")?,
        manual: row
            .text_or_null("person")?
            .map(|by| Ok::<_, StoreError>(Manual { by, why: row.text_or_null("why")? }))
            .transpose()?,
        repairs: row.text_or_null("repairs")?.map(RunId::from_stored),
        backfill: row.text_or_null("backfill")?,
        slot: row.instant_or_null("slot")?,
        only: row.json_or_null("only_jobs")?,
        force: row.word("force")?,
        state: row.parse("state")?,
        cancel_requested: row.flag("cancel_requested")?,
        taken_up: row.count("token")?,
        queued_at: row.instant("queued_at")?,
        started_at: row.instant_or_null("started_at")?,
        finished_at: row.instant_or_null("finished_at")?,
    })
}

const fn force_word(force: Force) -> &'static str {
    match force {
        Force::No => "no",
        Force::Rebuild => "rebuild",
    }
}
