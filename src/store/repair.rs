//! Backfills, marks and pauses, each in one transaction with its entry in the audit log.

use async_trait::async_trait;
use jiff::Timestamp;

use super::audit::{self, Origin};
use super::database::Transaction;
use super::error::StoreError;
use super::job_at::JobAt;
use super::repair_contract::{AuditEntry, Backfill, JobMark, Pause, Repairs};
use super::row::Row;
use super::run_contract::{NewRun, RunRecord};
use super::sql_store::SqlStore;
use super::{hold, jobs, runs};
use crate::domain::ids::{DagName, RunId};
use crate::domain::manual::Manual;
use crate::domain::run::{JobState, RunEvent, RunState};

const BACKFILL_INSERT: &str = include_str!("../../sql/state/backfill_insert.sql");
const BACKFILLS_OPEN: &str = include_str!("../../sql/state/backfills_open.sql");
const RUNS_OF_BACKFILL: &str = include_str!("../../sql/state/runs_of_backfill.sql");
/// Locks the one row of this table until the transaction's end.
const ONE_AT_A_TIME: &str = "UPDATE ownership SET epoch = epoch";
/// A run of a date that is open, or was made since the backfill was planned.
const SINCE_ASKED: &str = "SELECT run_id FROM runs WHERE dag = $1 AND logical_date = $2 \
                           AND (backfill IS NULL OR backfill <> $3) \
                           AND (state IN ('queued', 'running') OR queued_at >= $4) LIMIT 1";
const JOB_STATES: &str = "SELECT state FROM jobs WHERE run_id = $1";
const DISOWN: &str = include_str!("../../sql/state/attempts_disown.sql");
const PAUSE: &str = include_str!("../../sql/state/pause_insert.sql");
const RESUME: &str = "DELETE FROM pauses WHERE dag = $1";
const PAUSES: &str = "SELECT dag, since, person, why FROM pauses ORDER BY dag";
const WATERMARK_TO_NOW: &str = "UPDATE watermarks SET slot = $2 WHERE dag = $1 AND slot < $2";

#[async_trait]
impl Repairs for SqlStore {
    async fn create_backfill(&self, backfill: &Backfill, news: Vec<NewRun>) -> Result<Backfill, StoreError> {
        let mut tx = self.database.begin("making a backfill").await?;
        // Two commands that ask for the same at once: the later one waits here, and finds what the other has made.
        tx.execute(ONE_AT_A_TIME, &[]).await?;
        for row in tx.rows(BACKFILLS_OPEN, &[]).await? {
            let open = backfill_of(&row)?;
            if open.is_same_request(backfill) {
                return Ok(open);
            }
        }
        insert_backfill(&mut tx, backfill).await?;
        let mut made = Vec::new();
        for new in &news {
            let date = new.logical_date.to_string();
            let binds = [(&backfill.dag).into(), (&date).into(), backfill.id.as_str().into(), backfill.asked_at.into()];
            if tx.row(SINCE_ASKED, &binds).await?.is_none() {
                made.extend(runs::create_within(&mut tx, new).await?);
            }
        }
        if made.is_empty() {
            return Ok(backfill.clone());
        }
        if let Some(manual) = news.first().and_then(|new| new.asked.manual.as_ref()) {
            let act = format!(
                "asked for the backfill {} of DAG {}: {} runs for {} to {}",
                backfill.id,
                backfill.dag,
                made.len(),
                backfill.first,
                backfill.last
            );
            audit::append(&mut tx, Origin::default(), &manual.did(&act), backfill.asked_at).await?;
        }
        tx.commit().await?;
        Ok(backfill.clone())
    }

    async fn open_backfills(&self) -> Result<Vec<Backfill>, StoreError> {
        let rows = self.database.rows("reading the open backfills", BACKFILLS_OPEN, &[]).await?;
        rows.iter().map(backfill_of).collect()
    }

    async fn runs_of_backfill(&self, backfill: &str) -> Result<Vec<RunRecord>, StoreError> {
        let rows = self.database.rows("reading the runs of a backfill", RUNS_OF_BACKFILL, &[backfill.into()]).await?;
        rows.iter().map(runs::record_of).collect()
    }

    async fn mark_job(&self, mark: JobMark<'_>, manual: &Manual, now: Timestamp) -> Result<RunState, StoreError> {
        let JobMark { run_id, job, state } = mark;
        let mut tx = self.database.begin("marking a job").await?;
        let before = hold::lock(&mut tx, run_id).await?;
        if !before.state.is_done() {
            return Err(StoreError::StillOpen { run_id: run_id.clone(), state: before.state });
        }
        let said = manual.did(&format!("marked the job {job} as {state}"));
        jobs::mark(&mut tx, JobAt { run_id, job, now }, state, &said).await?;
        if state == JobState::Failed {
            tx.execute(DISOWN, &[run_id.into(), job.into()]).await?;
        }
        let states = tx.rows(JOB_STATES, &[run_id.into()]).await?;
        let states = states.iter().map(|row| row.parse("state")).collect::<Result<Vec<JobState>, _>>()?;
        let after = RunState::of_jobs(&states);
        if after != before.state {
            runs::mark(&mut tx, run_id, &RunEvent::Marked { state: after }, now).await?;
        }
        audit::append(&mut tx, Origin { run_id: Some(run_id), attempt: None }, &said, now).await?;
        tx.commit().await?;
        Ok(after)
    }

    async fn pause(&self, dag: &DagName, manual: &Manual, now: Timestamp) -> Result<bool, StoreError> {
        let mut tx = self.database.begin("pausing a DAG").await?;
        let binds = [dag.into(), now.into(), manual.by.as_str().into(), manual.why.as_deref().into()];
        let is_new = tx.execute(PAUSE, &binds).await? == 1;
        if is_new {
            let said = manual.did(&format!("paused DAG {dag}"));
            audit::append(&mut tx, Origin::default(), &said, now).await?;
        }
        tx.commit().await?;
        Ok(is_new)
    }

    async fn resume(&self, dag: &DagName, manual: &Manual, now: Timestamp) -> Result<bool, StoreError> {
        let mut tx = self.database.begin("resuming a DAG").await?;
        let was_paused = tx.execute(RESUME, &[dag.into()]).await? == 1;
        if was_paused {
            // Slots of the pause that no scheduler has skipped yet are not made up for.
            tx.execute(WATERMARK_TO_NOW, &[dag.into(), now.into()]).await?;
            let said = manual.did(&format!("resumed DAG {dag}"));
            audit::append(&mut tx, Origin::default(), &said, now).await?;
        }
        tx.commit().await?;
        Ok(was_paused)
    }

    async fn pauses(&self) -> Result<Vec<Pause>, StoreError> {
        let rows = self.database.rows("reading the paused DAGs", PAUSES, &[]).await?;
        rows.iter().map(pause_of).collect()
    }

    async fn audit_entries(&self, run_id: Option<&RunId>, limit: u32) -> Result<Vec<AuditEntry>, StoreError> {
        audit::entries(&self.database, run_id, limit).await
    }
}

async fn insert_backfill(tx: &mut Transaction, backfill: &Backfill) -> Result<(), StoreError> {
    let (first, last) = (backfill.first.to_string(), backfill.last.to_string());
    let binds = [
        backfill.id.as_str().into(),
        (&backfill.dag).into(),
        (&first).into(),
        (&last).into(),
        backfill.reprocess.as_str().into(),
        backfill.parallel.into(),
        backfill.asked_at.into(),
    ];
    tx.execute(BACKFILL_INSERT, &binds).await?;
    Ok(())
}

fn backfill_of(row: &Row) -> Result<Backfill, StoreError> {
    Ok(Backfill {
        id: row.text("backfill")?,
        dag: row.parse("dag")?,
        first: row.parse("first_date")?,
        last: row.parse("last_date")?,
        reprocess: row.text("reprocess")?,
        parallel: row.count("parallel")?,
        asked_at: row.instant("asked_at")?,
    })
}

fn pause_of(row: &Row) -> Result<Pause, StoreError> {
    Ok(Pause {
        dag: row.parse("dag")?,
        since: row.instant("since")?,
        manual: Manual { by: row.text("person")?, why: row.text_or_null("why")? },
    })
}
