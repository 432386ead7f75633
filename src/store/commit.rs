//! The commit: every effect of an outcome, within the transaction that ends its attempt.
//!
//! Snapshots (and which is current), lineage, cursors, models, outbox rows and audit entries are written together
//! with the attempt's end, or not at all. Rows that other runs write too are touched in one order everywhere
//! (snapshots, lineage, cursors, models, outbox, audit log, each by key), so that two commits wait for each other
//! and never in a circle. Data parts were staged before, by the lake; this makes them true.

use std::collections::BTreeMap;

use super::attempts::Ended;
use super::audit;
use super::database::{Database, Transaction};
use super::error::StoreError;
use super::revisions;
use super::row::Row;
use crate::domain::ids::SnapshotId;
use crate::domain::outcome::{ModelRecord, ModelRole, Outcome, Reason, SnapshotRef};

const SNAPSHOT_INSERT: &str = include_str!("../../sql/state/snapshot_insert.sql");
const MAKE_CURRENT: &str = include_str!("../../sql/state/snapshot_make_current.sql");
const SNAPSHOTS: &str = include_str!("../../sql/state/snapshots_current.sql");
const LINEAGE: &str = "INSERT INTO lineage (dataset, snapshot, input) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";
const CURSOR_MOVE: &str = include_str!("../../sql/state/cursor_move.sql");
const CURSORS: &str = "SELECT name, position FROM cursors ORDER BY name";
const MODEL_LOCK: &str = include_str!("../../sql/state/model_lock.sql");
const MODEL_RETIRE: &str = include_str!("../../sql/state/model_retire.sql");
const MODEL_RECORD: &str = include_str!("../../sql/state/model_record.sql");
const MODELS: &str = include_str!("../../sql/state/models_select.sql");

/// Writes all effects of an outcome.
pub(super) async fn write_effects(tx: &mut Transaction, ended: Ended<'_>, outcome: &Outcome) -> Result<(), StoreError> {
    write_snapshots(tx, ended, &outcome.snapshots).await?;
    for (name, position) in &outcome.cursors {
        tx.execute(CURSOR_MOVE, &[name.into(), position.into(), ended.now.into()]).await?;
    }
    write_models(tx, ended, &outcome.models).await?;
    let mut mails: Vec<_> = outcome.mails.iter().collect();
    mails.sort_by_key(|mail| (&mail.dag, mail.logical_date, &mail.audience));
    for mail in mails {
        revisions::put(tx, ended.job_at(), mail).await?;
    }
    if outcome.reason == Some(Reason::UpToDate) {
        revisions::repeat(tx, ended.job_at()).await?;
    }
    let origin = audit::Origin { run_id: Some(&ended.claim.run_id), attempt: Some((ended.job, ended.attempt)) };
    for entry in &outcome.audit {
        audit::append(tx, origin, entry, ended.now).await?;
    }
    Ok(())
}

async fn write_snapshots(tx: &mut Transaction, ended: Ended<'_>, snapshots: &[SnapshotRef]) -> Result<(), StoreError> {
    let mut sorted: Vec<_> = snapshots.iter().collect();
    sorted.sort_by(|a, b| a.dataset.cmp(&b.dataset));
    for snapshot in &sorted {
        write_snapshot(tx, ended, snapshot).await?;
    }
    for snapshot in &sorted {
        let mut inputs: Vec<_> = snapshot.inputs.iter().collect();
        inputs.sort();
        for input in inputs {
            let id = snapshot.snapshot.as_str();
            tx.execute(LINEAGE, &[(&snapshot.dataset).into(), id.into(), input.into()]).await?;
        }
    }
    Ok(())
}

async fn write_snapshot(tx: &mut Transaction, ended: Ended<'_>, snapshot: &SnapshotRef) -> Result<(), StoreError> {
    let (run_id, job, dataset) = (&ended.claim.run_id, ended.job, &snapshot.dataset);
    let inputs = tx.json("the inputs of a snapshot", &snapshot.inputs)?;
    let binds = [
        run_id.into(),
        job.into(),
        ended.attempt.into(),
        dataset.into(),
        snapshot.snapshot.as_str().into(),
        stored("a snapshot's rows", snapshot.rows)?.into(),
        stored("a snapshot's bytes", snapshot.size_bytes)?.into(),
        i64::from(snapshot.stale).into(),
        (&inputs).into(),
        ended.now.into(),
    ];
    tx.execute(SNAPSHOT_INSERT, &binds).await?;
    tx.execute(MAKE_CURRENT, &[dataset.into(), run_id.into(), job.into(), ended.attempt.into()]).await?;
    Ok(())
}

async fn write_models(tx: &mut Transaction, ended: Ended<'_>, models: &[ModelRecord]) -> Result<(), StoreError> {
    // Retired ones first: where an outcome retires a champion itself and names the next, there is one at any moment.
    let mut sorted: Vec<_> = models.iter().collect();
    sorted.sort_by_key(|model| (&model.model, model.role == ModelRole::Champion, &model.version));
    for model in sorted {
        let (name, version) = (&model.model, &model.version);
        tx.execute(MODEL_LOCK, &[name.into(), ended.now.into()]).await?;
        if model.role == ModelRole::Champion {
            let why = format!("version {version} is the champion now");
            tx.execute(MODEL_RETIRE, &[name.into(), version.into(), (&why).into(), ended.now.into()]).await?;
        }
        let card = tx.json("a model's card", &model.card)?;
        let binds = [
            name.into(),
            version.into(),
            role_word(model.role).into(),
            (&model.artefact).into(),
            (&model.why).into(),
            (&card).into(),
            ended.now.into(),
            (&ended.claim.run_id).into(),
            ended.job.into(),
            ended.attempt.into(),
        ];
        tx.execute(MODEL_RECORD, &binds).await?;
    }
    Ok(())
}

/// Returns the current snapshot of every dataset.
pub(super) async fn snapshots(database: &Database) -> Result<BTreeMap<String, SnapshotRef>, StoreError> {
    let rows = database.rows("reading the current snapshots", SNAPSHOTS, &[]).await?;
    rows.iter().map(|row| snapshot_of(row).map(|found| (found.dataset.clone(), found))).collect()
}

/// Returns the sources' cursors.
pub(super) async fn cursors(database: &Database) -> Result<BTreeMap<String, String>, StoreError> {
    let rows = database.rows("reading the cursors", CURSORS, &[]).await?;
    rows.iter().map(|row| Ok((row.text("name")?, row.text("position")?))).collect()
}

/// Returns the model versions that are not retired.
pub(super) async fn models(database: &Database) -> Result<Vec<ModelRecord>, StoreError> {
    database.rows("reading the models", MODELS, &[]).await?.iter().map(model_of).collect()
}

fn snapshot_of(row: &Row) -> Result<SnapshotRef, StoreError> {
    Ok(SnapshotRef {
        dataset: row.text("dataset")?,
        snapshot: SnapshotId::from_stored(row.text("snapshot")?),
        rows: row.count("row_count")?,
        size_bytes: row.count("size_bytes")?,
        stale: row.flag("stale")?,
        inputs: row.json("inputs")?,
    })
}

fn model_of(row: &Row) -> Result<ModelRecord, StoreError> {
    Ok(ModelRecord {
        model: row.text("model")?,
        version: row.text("version")?,
        role: row.word("role")?,
        artefact: row.text("artefact")?,
        why: row.text("why")?,
        card: row.json("card")?,
    })
}

fn stored(what: &'static str, value: u64) -> Result<i64, StoreError> {
    i64::try_from(value).map_err(|_| StoreError::TooLarge { what, value })
}

const fn role_word(role: ModelRole) -> &'static str {
    match role {
        ModelRole::Champion => "champion",
        ModelRole::Challenger => "challenger",
        ModelRole::Retired => "retired",
    }
}
