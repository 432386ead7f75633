//! The commit: every effect of an outcome, within the transaction that ends its attempt; and what an attempt reads.
//!
//! Snapshots (and which is current), lineage, cursors, models, measurements, alerts, outbox rows, what must be settled and
//! audit entries are written together with the attempt's end, or not at all. Before it replaces anything, the commit compares what is
//! current with what was current when the attempt began, and is refused if the two differ. What a run for an earlier
//! date makes counts for that run alone: it is recorded, and nothing current changes (each effect sees to that itself:
//! `Committing::is_for_earlier_date`). Rows that other runs write too are touched in one order everywhere (snapshots,
//! lineage, cursors, models, measurements, alerts, files, outbox, audit log, each by key, and with each of them what it leaves to settle), so
//! that two commits wait for each other but never deadlock. The lake has staged the data parts before; the commit makes
//! them valid.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::attempt_contract::{AttemptClaim, Base, Committed};
use super::audit;
use super::database::{Database, Transaction};
use super::error::StoreError;
use super::hold::Held;
use super::job_at::JobAt;
use super::jobs::{self, NOT_ASKED_FOR};
use super::row::Row;
use super::{alerts, measurements, outbox, parts, revisions, schedule, settle, successes};
use crate::domain::ids::{RunId, SnapshotId};
use crate::domain::job::JobView;
use crate::domain::outcome::{ModelRecord, ModelRole, Outcome, Reason, SnapshotRef};

const SNAPSHOT_INSERT: &str = include_str!("../../sql/state/snapshot_insert.sql");
const MAKE_CURRENT: &str = include_str!("../../sql/state/snapshot_make_current.sql");
const SNAPSHOT_CURRENT: &str = include_str!("../../sql/state/snapshot_current.sql");
const SNAPSHOTS: &str = include_str!("../../sql/state/snapshots_current.sql");
const SNAPSHOTS_OF_RUN: &str = include_str!("../../sql/state/snapshots_of_run.sql");
const SNAPSHOTS_AT_END: &str = include_str!("../../sql/state/snapshots_at_end.sql");
const LINEAGE: &str = "INSERT INTO lineage (dataset, snapshot, input) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";
const CURSOR: &str = "SELECT position, logical_date FROM cursors WHERE name = $1";
const CURSOR_MOVE: &str = include_str!("../../sql/state/cursor_move.sql");
const CURSORS: &str = "SELECT name, position FROM cursors ORDER BY name";
const MODEL_LOCK: &str = include_str!("../../sql/state/model_lock.sql");
const MODEL_RETIRE: &str = include_str!("../../sql/state/model_retire.sql");
const MODEL_RECORD: &str = include_str!("../../sql/state/model_record.sql");
const CHAMPION: &str = include_str!("../../sql/state/champion_current.sql");
const MODELS: &str = include_str!("../../sql/state/models_select.sql");
const STANDING: &str = include_str!("../../sql/state/standing.sql");

/// The attempt whose outcome is committed, or a part of it.
pub(super) struct Committing<'a> {
    /// The attempt.
    pub(super) attempt: &'a AttemptClaim,
    /// What it replaces.
    pub(super) base: &'a Base,
    /// Its run.
    pub(super) run: &'a Held,
    /// Now.
    pub(super) now: Timestamp,
    /// Whether the job has succeeded for a later date: then nothing current is replaced.
    pub(super) is_earlier: bool,
}

/// Returns what an attempt reads, and what its commit replaces.
pub(super) async fn read(tx: &mut Transaction, at: JobAt<'_>, run: &Held) -> Result<(Committed, Base), StoreError> {
    let mut snapshots = BTreeMap::new();
    for row in tx.rows(SNAPSHOTS, &[]).await? {
        let found = snapshot_of(&row)?;
        snapshots.insert(found.dataset.clone(), found);
    }
    let cursors: BTreeMap<String, String> = cursors_of(&tx.rows(CURSORS, &[]).await?)?;
    let models = tx.rows(MODELS, &[]).await?.iter().map(model_of).collect::<Result<Vec<_>, _>>()?;
    let base = Base {
        snapshots: snapshots.iter().map(|(dataset, found)| (dataset.clone(), found.snapshot.clone())).collect(),
        cursors: cursors.clone(),
        champions: champions(&models),
    };
    for row in tx.rows(SNAPSHOTS_OF_RUN, &[at.run_id.into()]).await? {
        let found = snapshot_of(&row)?;
        snapshots.insert(found.dataset.clone(), found);
    }
    let standing = match run.is_partial {
        true => tx.rows(STANDING, &[at.run_id.into(), NOT_ASKED_FOR.into()]).await?,
        false => Vec::new(),
    };
    let (parts, left_findings) = parts::parts(tx, at).await?;
    let committed = Committed {
        snapshots,
        cursors,
        models,
        last_success: successes::last_success_within(tx, &run.dag, at.job, run.date).await?,
        standing: standing.iter().map(jobs::view_of).collect::<Result<Vec<JobView>, _>>()?,
        parts,
        left_findings,
        is_for_earlier_date: successes::has_later_success(tx, &run.dag, at.job, run.date).await?,
        alerts: alerts::standing(tx, run).await?,
        skipped: schedule::skipped_since(tx, &run.dag, at.run_id).await?,
        earlier_email: outbox::last_sent(tx, run, at.job).await?,
    };
    Ok((committed, base))
}

fn champions(models: &[ModelRecord]) -> BTreeMap<String, String> {
    let champions = models.iter().filter(|model| model.role == ModelRole::Champion);
    champions.map(|model| (model.model.clone(), model.version.clone())).collect()
}

/// Writes all effects of an outcome, or of a part of it.
pub(super) async fn write_effects(
    tx: &mut Transaction,
    committing: &Committing<'_>,
    outcome: &Outcome,
) -> Result<(), StoreError> {
    let &Committing { attempt, run, now, .. } = committing;
    write_snapshots(tx, committing, &outcome.snapshots).await?;
    for (name, position) in &outcome.cursors {
        write_cursor(tx, committing, name, position).await?;
    }
    write_models(tx, committing, &outcome.models).await?;
    // What stands now is not what stood on an earlier night: figures that it has of its own are kept.
    let is_kept = committing.is_earlier && measurements::has_measured(tx, run, attempt.at(now)).await?;
    if outcome.reason != Some(Reason::UpToDate) && !is_kept {
        measurements::put(tx, run, attempt.at(now), &outcome.measurements).await?;
    }
    // What a run for an earlier date found is not news.
    if !committing.is_earlier && run.sends_mail {
        alerts::put(tx, run, attempt.at(now), &outcome.alerts).await?;
    }
    settle::want_files(tx, attempt, now, &outcome.files).await?;
    if let Some(sealed) = &outcome.identities {
        settle::want(tx, &settle::identities_target(sealed), now).await?;
    }
    if outcome.discards_staged {
        settle::want(tx, &settle::staged(&attempt.name()), now).await?;
    }
    let mut mails: Vec<_> = outcome.mails.iter().filter(|_| run.sends_mail).collect();
    mails.sort_by_key(|mail| (&mail.dag, mail.logical_date, &mail.audience));
    for mail in mails {
        if revisions::put(tx, attempt.at(now), mail).await? > 0 {
            measurements::replace(tx, run, attempt.at(now), &mail.tells).await?;
        }
    }
    if outcome.reason == Some(Reason::UpToDate) && run.sends_mail {
        revisions::repeat(tx, attempt.at(now)).await?;
    }
    let origin = audit::Origin { run_id: Some(&attempt.claim.run_id), attempt: Some((&attempt.job, attempt.attempt)) };
    for entry in &outcome.audit {
        audit::append(tx, origin, entry, now).await?;
    }
    Ok(())
}

impl Committing<'_> {
    /// Whether the current one belongs to a later date, because a run of the same DAG made it for that date or the job
    /// has succeeded for that date since: then it is not replaced.
    fn is_for_earlier_date(&self, row: &Row) -> Result<bool, StoreError> {
        if self.is_earlier {
            return Ok(true);
        }
        let dag = row.text_or_null("dag")?;
        let date = row.text_or_null("logical_date")?;
        Ok(dag.as_deref() == Some(self.run.dag.as_str()) && date.is_some_and(|date| date > self.run.date.to_string()))
    }
}

async fn write_snapshots(
    tx: &mut Transaction,
    committing: &Committing<'_>,
    snapshots: &[SnapshotRef],
) -> Result<(), StoreError> {
    let mut sorted: Vec<_> = snapshots.iter().collect();
    sorted.sort_by(|a, b| a.dataset.cmp(&b.dataset));
    for snapshot in &sorted {
        write_snapshot(tx, committing, snapshot).await?;
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

async fn write_snapshot(
    tx: &mut Transaction,
    committing: &Committing<'_>,
    snapshot: &SnapshotRef,
) -> Result<(), StoreError> {
    let AttemptClaim { claim, job, attempt, .. } = committing.attempt;
    let (run_id, dataset) = (&claim.run_id, &snapshot.dataset);
    let current = tx.row(SNAPSHOT_CURRENT, &[dataset.into()]).await?;
    let stands = match &current {
        Some(row) => !committing.is_for_earlier_date(row)?,
        None => true,
    };
    if stands {
        let found = current.map(|row| row.text("snapshot")).transpose()?;
        let read = committing.base.snapshots.get(dataset).map(SnapshotId::as_str);
        if found.as_deref() != read {
            return Err(StoreError::Moved { what: format!("the dataset `{dataset}`") });
        }
    }
    let inputs = tx.json("the inputs of a snapshot", &snapshot.inputs)?;
    let binds = [
        run_id.into(),
        job.into(),
        (*attempt).into(),
        dataset.into(),
        snapshot.snapshot.as_str().into(),
        stored("a snapshot's rows", snapshot.rows)?.into(),
        stored("a snapshot's bytes", snapshot.size_bytes)?.into(),
        i64::from(snapshot.stale).into(),
        (&inputs).into(),
        committing.now.into(),
        i64::from(stands).into(),
    ];
    tx.execute(SNAPSHOT_INSERT, &binds).await?;
    if stands {
        tx.execute(MAKE_CURRENT, &[dataset.into(), run_id.into(), job.into(), (*attempt).into()]).await?;
        settle::want(tx, &settle::dataset(dataset), committing.now).await?;
    }
    Ok(())
}

async fn write_cursor(
    tx: &mut Transaction,
    committing: &Committing<'_>,
    name: &str,
    position: &str,
) -> Result<(), StoreError> {
    let current = tx.row(CURSOR, &[name.into()]).await?;
    let date = committing.run.date.to_string();
    let is_moved = |row: &Row| row.text_or_null("logical_date").map(|moved_for| moved_for.is_some_and(|at| at > date));
    if let Some(row) = &current
        && (committing.is_earlier || is_moved(row)?)
    {
        return Ok(());
    }
    let found = current.map(|row| row.text("position")).transpose()?;
    if found.as_deref() != committing.base.cursors.get(name).map(String::as_str) {
        return Err(StoreError::Moved { what: format!("the cursor `{name}`") });
    }
    tx.execute(CURSOR_MOVE, &[name.into(), position.into(), committing.now.into(), (&date).into()]).await?;
    Ok(())
}

async fn write_models(
    tx: &mut Transaction,
    committing: &Committing<'_>,
    models: &[ModelRecord],
) -> Result<(), StoreError> {
    // Retired ones first: if an outcome retires a champion itself and names the next, there is one at any moment.
    let mut sorted: Vec<_> = models.iter().collect();
    sorted.sort_by_key(|model| (&model.model, model.role == ModelRole::Champion, &model.version));
    let mut compared: Vec<&str> = Vec::new();
    for model in sorted {
        let AttemptClaim { claim, job, attempt, .. } = committing.attempt;
        let (name, version) = (&model.model, &model.version);
        tx.execute(MODEL_LOCK, &[name.into(), committing.now.into()]).await?;
        let current = tx.row(CHAMPION, &[name.into()]).await?;
        if let Some(row) = &current
            && committing.is_for_earlier_date(row)?
        {
            continue;
        }
        let found = current.map(|row| row.text("version")).transpose()?;
        if !compared.contains(&name.as_str())
            && found.as_deref() != committing.base.champions.get(name).map(String::as_str)
        {
            return Err(StoreError::Moved { what: format!("the champion of `{name}`") });
        }
        compared.push(name);
        if model.role == ModelRole::Champion {
            let why = format!("version {version} is the champion now");
            tx.execute(MODEL_RETIRE, &[name.into(), version.into(), (&why).into(), committing.now.into()]).await?;
        }
        let card = tx.json("a model's card", &model.card)?;
        let binds = [
            name.into(),
            version.into(),
            role_word(model.role).into(),
            (&model.artefact).into(),
            (&model.why).into(),
            (&card).into(),
            committing.now.into(),
            (&claim.run_id).into(),
            job.into(),
            (*attempt).into(),
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

/// Returns the snapshots that were current for a run when it ended.
pub(super) async fn snapshots_at_end_of(
    database: &Database,
    run_id: &RunId,
) -> Result<BTreeMap<String, SnapshotRef>, StoreError> {
    let rows = database.rows("reading the snapshots of a run", SNAPSHOTS_AT_END, &[run_id.into()]).await?;
    // In order: the last one of each dataset counts.
    rows.iter().map(|row| snapshot_of(row).map(|found| (found.dataset.clone(), found))).collect()
}

/// Returns the sources' cursors.
pub(super) async fn cursors(database: &Database) -> Result<BTreeMap<String, String>, StoreError> {
    cursors_of(&database.rows("reading the cursors", CURSORS, &[]).await?)
}

fn cursors_of(rows: &[Row]) -> Result<BTreeMap<String, String>, StoreError> {
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
