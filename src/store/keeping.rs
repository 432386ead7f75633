//! Keeping the state store within its limits, and blocking deletion after a backup was restored.
//!
//! `domain::keeping` decides what may be deleted; this deletes it in small transactions, so that a night can go on
//! meanwhile, each in an order that every reference allows. A run that was opened or came into use in the meantime is
//! left alone. The audit log, the numbers given to runs and the watermarks are never deleted. A deleted run takes the rows
//! of its snapshots with it: what the lake holds of those that are not current is then found only by listing it.
//!
//! After a backup was restored ([`Keeping::note_restored`]) nothing is collected, here or in the lake, until state and
//! lake are found to agree ([`Keeping::note_agreement`]); both are recorded in the audit log.

use async_trait::async_trait;
use jiff::Timestamp;

use super::audit;
use super::database::{Database, Transaction};
use super::error::StoreError;
use super::keeping_contract::{Cuts, Forgotten, Keeping};
use super::sql_store::SqlStore;
use crate::domain::ids::RunId;
use crate::domain::keeping::StoredRun;

const RUNS: &str = include_str!("../../sql/state/keeping_runs.sql");
const RUNNING: &str = "SELECT run_id, job, attempt FROM attempts WHERE state = 'running' ORDER BY run_id, job, attempt";
const HOLD: &str = include_str!("../../sql/state/keeping_hold.sql");
/// What belongs to a run, and the run: children before parents.
const DELETE_RUN: [&str; 7] = [
    "DELETE FROM events WHERE run_id = $1",
    "DELETE FROM parts WHERE run_id = $1",
    "DELETE FROM snapshots WHERE run_id = $1",
    "DELETE FROM attempts WHERE run_id = $1",
    "DELETE FROM jobs WHERE run_id = $1",
    "DELETE FROM slots WHERE run_id = $1",
    "DELETE FROM runs WHERE run_id = $1",
];
const EVENTS: &str = include_str!("../../sql/state/keeping_events.sql");
const OUTCOMES: &str = include_str!("../../sql/state/keeping_outcomes.sql");
const ALERTS: &str = include_str!("../../sql/state/keeping_alerts.sql");
const ALERT_EVENTS: &str = include_str!("../../sql/state/keeping_alert_events.sql");
const MEASUREMENTS: &str = include_str!("../../sql/state/keeping_measurements.sql");
const MAIL_BODIES: &str = include_str!("../../sql/state/keeping_mail_bodies.sql");
const SLOTS: &str = include_str!("../../sql/state/keeping_slots.sql");
const LINEAGE: &str = include_str!("../../sql/state/keeping_lineage.sql");
const DAGS: &str = include_str!("../../sql/state/keeping_dags.sql");
const MARK: &str = "SELECT at FROM marks WHERE name = $1";
const MARK_SET: &str = include_str!("../../sql/state/mark_set.sql");
const MARK_CLEAR: &str = "DELETE FROM marks WHERE name = $1";

/// When the store was last reduced to its limits.
const KEPT: &str = "kept";
/// Since when the store is a restored backup that was not yet found to agree with the lake.
const RESTORED: &str = "restored";

/// How many rows one transaction changes.
const BATCH: i64 = 1000;

#[async_trait]
impl Keeping for SqlStore {
    async fn stored_runs(&self) -> Result<Vec<StoredRun>, StoreError> {
        let rows = self.database.rows("listing what is stored", RUNS, &[]).await?;
        let runs = rows.iter().map(|row| {
            Ok(StoredRun {
                run_id: RunId::from_stored(row.text("run_id")?),
                dag: row.parse("dag")?,
                queued_at: row.instant("queued_at")?,
                ended_at: row.instant_or_null("ended_at")?,
                is_in_use: row.flag("is_in_use")?,
            })
        });
        runs.collect()
    }

    async fn running_attempts(&self) -> Result<Vec<String>, StoreError> {
        let rows = self.database.rows("listing the attempts that run", RUNNING, &[]).await?;
        rows.iter()
            .map(|row| Ok(format!("{}.{}.{}", row.text("run_id")?, row.text("job")?, row.int("attempt")?)))
            .collect()
    }

    async fn delete_run(&self, run_id: &RunId) -> Result<bool, StoreError> {
        let mut tx = self.database.begin("deleting an old run").await?;
        if tx.row(HOLD, &[run_id.into()]).await?.is_none() {
            return Ok(false);
        }
        for sql in DELETE_RUN {
            tx.execute(sql, &[run_id.into()]).await?;
        }
        tx.commit().await?;
        Ok(true)
    }

    async fn forget(&self, cuts: &Cuts) -> Result<Forgotten, StoreError> {
        let database = &self.database;
        let mut forgotten = Forgotten {
            events: in_batches(database, EVENTS, Some(cuts.events)).await?,
            outcomes: in_batches(database, OUTCOMES, Some(cuts.outcomes)).await?,
            mail_bodies: in_batches(database, MAIL_BODIES, Some(cuts.mail_bodies)).await?,
            others: in_batches(database, SLOTS, Some(cuts.slots)).await?,
        };
        forgotten.others += in_batches(database, LINEAGE, None).await?;
        forgotten.others += in_batches(database, MEASUREMENTS, Some(cuts.measurements)).await?;
        forgotten.others += in_batches(database, ALERTS, Some(cuts.measurements)).await?;
        forgotten.others += in_batches(database, ALERT_EVENTS, Some(cuts.measurements)).await?;
        let mut tx = database.begin("forgetting forms of DAGs").await?;
        forgotten.others += tx.execute(DAGS, &[cuts.slots.into()]).await?;
        tx.commit().await?;
        Ok(forgotten)
    }

    async fn kept_at(&self) -> Result<Option<Timestamp>, StoreError> {
        mark(&self.database, KEPT).await
    }

    async fn note_kept(&self, now: Timestamp) -> Result<(), StoreError> {
        let mut tx = self.database.begin("noting what was removed").await?;
        tx.execute(MARK_SET, &[KEPT.into(), now.into()]).await?;
        tx.commit().await
    }

    async fn is_collecting_allowed(&self) -> Result<bool, StoreError> {
        Ok(mark(&self.database, RESTORED).await?.is_none())
    }

    async fn note_restored(&self, now: Timestamp) -> Result<(), StoreError> {
        note_restored(&self.database, now).await
    }

    async fn note_agreement(&self, now: Timestamp) -> Result<(), StoreError> {
        let mut tx = self.database.begin("noting that state and lake agree").await?;
        if tx.execute(MARK_CLEAR, &[RESTORED.into()]).await? > 0 {
            note(&mut tx, "state and lake agree after the backup was put back: collecting is allowed again", now)
                .await?;
        }
        tx.commit().await
    }
}

/// Notes that the database is a restored backup.
pub(super) async fn note_restored(database: &Database, now: Timestamp) -> Result<(), StoreError> {
    let mut tx = database.begin("noting that a backup was put back").await?;
    tx.execute(MARK_SET, &[RESTORED.into(), now.into()]).await?;
    note(&mut tx, "a backup was put back: nothing is collected until state and lake agree", now).await?;
    tx.commit().await
}

async fn note(tx: &mut Transaction, text: &str, now: Timestamp) -> Result<(), StoreError> {
    audit::append(tx, audit::Origin::default(), text, now).await
}

async fn mark(database: &Database, name: &'static str) -> Result<Option<Timestamp>, StoreError> {
    let row = database.row("reading a mark", MARK, &[name.into()]).await?;
    row.map(|row| row.instant("at")).transpose()
}

/// Runs a statement that changes a limited number of rows, again and again until it changes fewer.
async fn in_batches(database: &Database, sql: &'static str, before: Option<Timestamp>) -> Result<u64, StoreError> {
    let mut changed = 0;
    loop {
        let mut tx = database.begin("forgetting old rows").await?;
        let now = match before {
            Some(before) => tx.execute(sql, &[before.into(), BATCH.into()]).await?,
            None => tx.execute(sql, &[BATCH.into()]).await?,
        };
        tx.commit().await?;
        changed += now;
        if now < u64::try_from(BATCH).unwrap_or(u64::MAX) {
            return Ok(changed);
        }
    }
}
