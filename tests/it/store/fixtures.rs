//! Places for a state store, and small invented DAGs and outcomes to put in it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::{Date, date};
use nocturne::domain::dag::{Dag, Job, When};
use nocturne::domain::delivery::{Recipient, Signature, Word};
use nocturne::domain::ids::{DagName, JobName, SnapshotId};
use nocturne::domain::job::Force;
use nocturne::domain::outcome::{MailRecord, ModelRecord, ModelRole, Outcome, SnapshotRef};
use nocturne::domain::retry::RetryPolicy;
use nocturne::store::{self, AttemptEnd, Claim, NewRun, RunRecord, StateStore};
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::{Connection, PgConnection, SqlSafeStr as _, SqliteConnection};
use tempfile::TempDir;

use crate::support::postgres;

/// Where a store is: a file of its own, or a database of its own.
pub(super) struct Place {
    pub(super) url: String,
    folder: Option<TempDir>,
}

impl Place {
    pub(super) fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { url: format!("sqlite://{}/var/state.db", folder.path().display()), folder: Some(folder) }
    }

    pub(super) async fn postgres() -> Self {
        Self { url: postgres::new_database().await, folder: None }
    }

    pub(super) fn folder(&self) -> &std::path::Path {
        self.folder.as_ref().unwrap().path()
    }

    /// Runs statements beside the store, as another program might.
    pub(super) async fn execute(&self, statements: &'static str) {
        if self.folder.is_some() {
            let mut connection = SqliteConnection::connect(&self.url).await.unwrap();
            sqlx::raw_sql(statements).execute(&mut connection).await.unwrap();
        } else {
            let mut connection = PgConnection::connect(&self.url).await.unwrap();
            sqlx::raw_sql(statements).execute(&mut connection).await.unwrap();
        }
    }

    /// Brings the place to the first schema and no further, as the first program did.
    pub(super) async fn make_first_schema(&self) {
        let (sqlite, postgres) = (
            include_str!("../../../sql/migrations/sqlite/0001_state.sql"),
            include_str!("../../../sql/migrations/postgres/0001_state.sql"),
        );
        let migrator = |sql: &'static str| {
            let migration = Migration::new(1, "state".into(), MigrationType::Simple, sql.into_sql_str(), false);
            Migrator::with_migrations(vec![migration])
        };
        if let Some(folder) = &self.folder {
            std::fs::create_dir_all(folder.path().join("var")).unwrap();
            let url = format!("{}?mode=rwc", self.url);
            let mut connection = SqliteConnection::connect(&url).await.unwrap();
            migrator(sqlite).run(&mut connection).await.unwrap();
            connection.close().await.unwrap();
        } else {
            let mut connection = PgConnection::connect(&self.url).await.unwrap();
            migrator(postgres).run(&mut connection).await.unwrap();
            connection.close().await.unwrap();
        }
    }

    pub(super) async fn open(&self) -> Arc<dyn StateStore> {
        store::open(&self.url).await.unwrap()
    }
}

pub(super) const DAY: Date = date(2026, 11, 20);

/// The n-th second of the night.
pub(super) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_795_000_000 + second).unwrap()
}

pub(super) fn job(name: &str) -> JobName {
    name.parse().unwrap()
}

pub(super) fn dag_name() -> DagName {
    "nightly".parse().unwrap()
}

/// `pull`, `features`, `digest`: a chain.
pub(super) fn dag() -> Dag {
    let chain = [("pull", None), ("features", Some("pull")), ("digest", Some("features"))];
    let job = |(name, need): (&str, Option<&str>)| Job {
        name: job(name),
        kind: "command".parse().unwrap(),
        params: serde_json::json!({ "run": [name] }),
        needs: need.map(job).into_iter().collect(),
        when: When::AllSuccess,
        timeout: Duration::from_secs(60),
        retry: RetryPolicy::default(),
    };
    Dag {
        name: dag_name(),
        description: "The night.".to_owned(),
        schedule: None,
        timezone: "America/Detroit".to_owned(),
        deadline: None,
        max_parallel: 2,
        jobs: chain.into_iter().map(|entry| (entry.0.parse().unwrap(), job(entry))).collect(),
        version: "v1".to_owned(),
    }
}

pub(super) fn new_run() -> NewRun {
    NewRun {
        dag: dag(),
        logical_date: DAY,
        trigger: "command".to_owned(),
        slot: None,
        only: None,
        force: Force::No,
        expected: Vec::new(),
        now: at(0),
    }
}

/// Makes a run and takes it up.
pub(super) async fn running(store: &dyn StateStore) -> (RunRecord, Claim) {
    let run = store.create_run(new_run()).await.unwrap().unwrap();
    let claim = store.claim_run(&run.run_id, "worker-1", at(1)).await.unwrap();
    (run, claim)
}

/// Does a job with one attempt that returns `outcome`.
pub(super) async fn succeed(store: &dyn StateStore, claim: &Claim, name: &str, outcome: Outcome) {
    let attempt = store.start_attempt(claim, &job(name), at(2)).await.unwrap();
    store.finish_attempt(claim, &job(name), attempt, success(outcome), at(3)).await.unwrap();
}

pub(super) fn success(outcome: Outcome) -> AttemptEnd {
    AttemptEnd::Succeeded { outcome: Box::new(outcome), fingerprint: Some("f1".to_owned()) }
}

pub(super) fn failure(retry_at: Option<Timestamp>) -> AttemptEnd {
    AttemptEnd::Failed { error: "connection refused".to_owned(), retry_at }
}

pub(super) fn snapshot(dataset: &str, content: &str) -> SnapshotRef {
    SnapshotRef {
        dataset: dataset.to_owned(),
        snapshot: SnapshotId::of(content.as_bytes()),
        rows: 12,
        size_bytes: 3_400,
        stale: false,
        inputs: vec!["restricted/raw/canvas/users@0a".to_owned()],
    }
}

pub(super) fn recipient(name: &str) -> Recipient {
    let address = format!("{name}@example.edu");
    Recipient { header: format!("To: {address}\r\n"), address }
}

/// An e-mail of the night to the dean.
pub(super) fn mail(audience: &str, word: Word) -> MailRecord {
    MailRecord {
        dag: dag_name(),
        logical_date: DAY,
        audience: audience.to_owned(),
        signature: Signature::new(word, Vec::new()),
        from: "night@example.edu".to_owned(),
        to: vec![recipient("dean")],
        subject: "The night of 20 November".to_owned(),
        body: format!("Subject: The night of 20 November\r\n\r\n{}.\r\n", word.as_str()),
    }
}

pub(super) fn model(version: &str, role: ModelRole) -> ModelRecord {
    ModelRecord {
        model: "at_risk".to_owned(),
        version: version.to_owned(),
        role,
        artefact: format!("restricted/models/at_risk/{version}"),
        why: "better than the rule".to_owned(),
        card: serde_json::json!({ "auc": 0.78, "weeks": [2, 4] }),
    }
}

/// An outcome as it is stored: without its e-mails.
pub(super) fn stored(outcome: Outcome) -> Outcome {
    Outcome { mails: Vec::new(), ..outcome }
}

/// An outcome with one of every effect.
pub(super) fn full_outcome() -> Outcome {
    Outcome {
        summary: "2 tables, 24 rows".to_owned(),
        snapshots: vec![snapshot("restricted/tables/users", "u1"), snapshot("restricted/tables/courses", "c1")],
        cursors: BTreeMap::from([("canvas/users".to_owned(), "2026-11-19T00:00:00Z".to_owned())]),
        models: vec![model("m1", ModelRole::Champion)],
        mails: vec![mail("digest", Word::Ok)],
        facts: BTreeMap::from([("drift".to_owned(), serde_json::json!({ "psi": 0.1 }))]),
        audit: vec!["the identity map was read by `doctor`".to_owned()],
        ..Outcome::default()
    }
}
