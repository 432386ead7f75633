//! Places for a state store, and small invented DAGs and outcomes to put in it.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::{Date, date};
use nocturne::domain::dag::{Dag, Job, When};
use nocturne::domain::delivery::{Recipient, Signature, Word};
use nocturne::domain::fingerprint::{DependsOn, Fingerprint, Why};
use nocturne::domain::ids::{DagName, JobName, RunId, SnapshotId};
use nocturne::domain::job::{Force, SkippedSlot};
use nocturne::domain::manual::Asked;
use nocturne::domain::measurement::Measurement;
use nocturne::domain::outcome::{FileRef, MailRecord, ModelRecord, ModelRole, Outcome, SnapshotRef};
use nocturne::domain::retry::RetryPolicy;
use nocturne::domain::run::{LOST, Trigger};
use nocturne::store::{
    self, AttemptClaim, AttemptEnd, Base, Claim, Finished, NewRun, Role, RunRecord, StateStore, StoreError, Tenure,
};
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::{Connection, PgConnection, SqlSafeStr, SqliteConnection};
use tempfile::TempDir;
use tokio::sync::OnceCell;

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

    /// Runs statements on the store's database, as another program might.
    pub(super) async fn execute(&self, statements: &'static str) {
        if self.folder.is_some() {
            let mut connection = SqliteConnection::connect(&self.url).await.unwrap();
            sqlx::raw_sql(statements).execute(&mut connection).await.unwrap();
        } else {
            let mut connection = PgConnection::connect(&self.url).await.unwrap();
            sqlx::raw_sql(statements).execute(&mut connection).await.unwrap();
        }
    }

    /// Brings the database to the first schema, as its program left it.
    pub(super) async fn migrate_to_first(&self) {
        let first = |sql: &'static str| {
            let migration = Migration::new(1, "state".into(), MigrationType::Simple, sql.into_sql_str(), false);
            Migrator::with_migrations(vec![migration])
        };
        if self.folder.is_some() {
            let file = self.url.trim_start_matches("sqlite://");
            std::fs::create_dir_all(std::path::Path::new(file).parent().unwrap()).unwrap();
            let url = format!("{}?mode=rwc", self.url);
            let mut connection = SqliteConnection::connect(&url).await.unwrap();
            let migrator = first(include_str!("../../../sql/migrations/sqlite/0001_state.sql"));
            migrator.run_direct(None, &mut connection, false).await.unwrap();
        } else {
            let mut connection = PgConnection::connect(&self.url).await.unwrap();
            let migrator = first(include_str!("../../../sql/migrations/postgres/0001_state.sql"));
            migrator.run_direct(None, &mut connection, false).await.unwrap();
        }
    }

    pub(super) async fn open(&self) -> TestStore {
        TestStore { store: store::open(&self.url).await.unwrap(), tenure: OnceCell::new() }
    }
}

/// A store and its only owner, with shortcuts for the steps of a run.
pub(super) struct TestStore {
    store: Arc<dyn StateStore>,
    tenure: OnceCell<Tenure>,
}

impl Deref for TestStore {
    type Target = dyn StateStore;

    fn deref(&self) -> &Self::Target {
        &*self.store
    }
}

impl TestStore {
    /// The owner's tenure, taken at its first use.
    pub(super) async fn tenure(&self) -> &Tenure {
        let take = async || {
            let seen = self.observe_owner().await.unwrap();
            self.take_ownership("worker-1", Role::Daemon, &seen).await.unwrap().unwrap()
        };
        self.tenure.get_or_init(take).await
    }

    pub(super) async fn take_up(&self, run_id: &RunId, now: Timestamp) -> Result<Claim, StoreError> {
        self.claim_run(run_id, self.tenure().await, now).await
    }

    pub(super) async fn start_attempt(&self, claim: &Claim, job: &JobName, now: Timestamp) -> Result<u32, StoreError> {
        let jobs = self.jobs(&claim.run_id).await?;
        let attempts = jobs.iter().find(|view| view.name == *job).map_or(0, |view| view.attempts);
        // A new name each time, so that a start is never taken for a repeated request.
        let fence = format!("{}.{}", fence(claim, job, attempts + 1), self.events(&claim.run_id, 0).await?.len());
        let begun = self.begin_attempt(claim, job, &fence, now).await?;
        Ok(begun.attempt.attempt)
    }

    /// Ends the attempt of that number under the fence it has, and replaces what is current now.
    pub(super) async fn end_attempt(
        &self,
        claim: &Claim,
        job: &JobName,
        attempt: u32,
        end: AttemptEnd,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let end = match end {
            AttemptEnd::Succeeded { outcome, fingerprint, .. } => {
                AttemptEnd::Succeeded { outcome, fingerprint, base: self.base().await? }
            }
            other => other,
        };
        let mut fence = fence(claim, job, attempt);
        let began = self.events(&claim.run_id, 0).await?.into_iter().position(|event| {
            let started = serde_json::json!({ "event": "attempt_started", "attempt": attempt });
            event.job.as_ref() == Some(job) && event.event == started
        });
        fence = format!("{fence}.{}", began.unwrap_or_default());
        let attempt = AttemptClaim { claim: claim.clone(), job: job.clone(), attempt, fence };
        self.finish_attempt(&attempt, Finished { end, why: Some(Why::First) }, now).await.map(drop)
    }

    /// What is current now.
    pub(super) async fn base(&self) -> Result<Base, StoreError> {
        let mut base = Base { cursors: self.cursors().await?, ..Base::default() };
        for (dataset, snapshot) in self.snapshots().await? {
            base.snapshots.insert(dataset, snapshot.snapshot);
        }
        for model in self.models().await?.into_iter().filter(|model| model.role == ModelRole::Champion) {
            base.champions.insert(model.model, model.version);
        }
        Ok(base)
    }
}

fn fence(claim: &Claim, job: &JobName, attempt: u32) -> String {
    format!("{}.{job}.{attempt}", claim.run_id)
}

pub(super) fn lost() -> AttemptEnd {
    AttemptEnd::Lost { why: LOST.to_owned() }
}

pub(super) const DAY: Date = date(2026, 11, 20);

/// The n-th second of the night.
pub(super) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_795_000_000 + second).unwrap()
}

pub(super) fn job(name: &str) -> JobName {
    name.parse().unwrap()
}

pub(super) fn skipped(at: Timestamp, why: &str) -> SkippedSlot {
    SkippedSlot { dag: dag_name(), at, why: why.to_owned() }
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
        asked: Asked { trigger: Trigger::Command, manual: None, repairs: None, backfill: None },
        slot: None,
        only: None,
        force: Force::No,
        expected: Vec::new(),
        now: at(0),
    }
}

/// Makes a run and takes it up.
pub(super) async fn running(store: &TestStore) -> (RunRecord, Claim) {
    let run = store.create_run(new_run()).await.unwrap().unwrap();
    let claim = store.take_up(&run.run_id, at(1)).await.unwrap();
    (run, claim)
}

/// Does a job with one attempt that returns `outcome`.
pub(super) async fn succeed(store: &TestStore, claim: &Claim, name: &str, outcome: Outcome) {
    let attempt = store.start_attempt(claim, &job(name), at(2)).await.unwrap();
    store.end_attempt(claim, &job(name), attempt, success(outcome), at(3)).await.unwrap();
}

pub(super) fn success(outcome: Outcome) -> AttemptEnd {
    let outcome = Box::new(outcome);
    AttemptEnd::Succeeded { outcome, fingerprint: Some(fingerprint("1")), base: Base::default() }
}

/// Returns the fingerprint of an outcome that depends on `value` alone.
pub(super) fn fingerprint(value: &str) -> Fingerprint {
    Fingerprint::new("command", &serde_json::json!({}), &DependsOn::default().with("a table", value))
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

pub(super) fn file(key: &str, content: &str) -> FileRef {
    let sha256 = nocturne::domain::ids::content_hash(content.as_bytes());
    FileRef { key: key.to_owned(), sha256, size_bytes: 2, staged: format!("restricted/staged/{content}") }
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
        tells: Vec::new(),
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
        measurements: vec![Measurement::new("table.rows", 12.0).unit("rows").of("table", "users")],
        models: vec![model("m1", ModelRole::Champion)],
        mails: vec![mail("digest", Word::Ok)],
        facts: BTreeMap::from([("drift".to_owned(), serde_json::json!({ "psi": 0.1 }))]),
        audit: vec!["the identity map was read by `doctor`".to_owned()],
        ..Outcome::default()
    }
}
