//! A small world for the engine: a state store in a folder, DAGs of a few jobs, and bodies that do what a test says.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use jiff::civil::{Date, date};
use nocturne::domain::clock::Clock;
use nocturne::domain::dag::{Dag, Job, When};
use nocturne::domain::ids::{DagName, JobName, RunId, SnapshotId};
use nocturne::domain::job::{Force, JobView};
use nocturne::domain::manual::Asked;
use nocturne::domain::outcome::{JobError, Outcome, SnapshotRef};
use nocturne::domain::retry::RetryPolicy;
use nocturne::domain::run::JobState;
use nocturne::domain::run::Trigger;
use nocturne::engine::{Assignment, Done, Engine, Isolation, NoPromises, Parts, Stop};
use nocturne::store::{self, NewRun, Role, RunRecord, StateStore, Tenure};
use tempfile::TempDir;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

pub(super) const DAY: Date = date(2026, 11, 20);

/// What a body does.
pub(super) enum Does {
    Succeed(Outcome),
    Retry,
    Fail,
    Lose,
    /// Waits until it is told to stop, and says so.
    Hang,
    /// Waits for ever, even when told to stop.
    Stall,
    /// Hands a part over, then does something else.
    HandOver(&'static str, Outcome, Box<Does>),
    /// Waits for a notification, then does something else.
    After(Arc<Notify>, Box<Does>),
}

type Behaviour = dyn Fn(&Assignment) -> Does + Send + Sync;

/// Carries attempts out as a test says.
pub(super) struct Told {
    behaviour: Box<Behaviour>,
    running: AtomicUsize,
    pub(super) most_at_once: AtomicUsize,
    /// The attempts that began, as `job.attempt`.
    pub(super) begun: Mutex<Vec<String>>,
    pub(super) has_begun: Notify,
}

impl Told {
    pub(super) fn new(behaviour: impl Fn(&Assignment) -> Does + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self {
            behaviour: Box::new(behaviour),
            running: AtomicUsize::new(0),
            most_at_once: AtomicUsize::new(0),
            begun: Mutex::default(),
            has_begun: Notify::new(),
        })
    }
}

#[async_trait]
impl Isolation for Told {
    async fn carry_out(
        &self,
        assignment: Assignment,
        parts: Arc<dyn Parts>,
        cancel: CancellationToken,
    ) -> Result<Done, JobError> {
        let now = self.running.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_at_once.fetch_max(now, Ordering::SeqCst);
        let (job, attempt) = (assignment.input.job.clone(), assignment.input.attempt);
        self.begun.lock().unwrap().push(format!("{job}.{attempt}"));
        self.has_begun.notify_one();
        let ended = act((self.behaviour)(&assignment), &*parts, &cancel).await;
        self.running.fetch_sub(1, Ordering::SeqCst);
        ended
    }
}

async fn act(mut does: Does, parts: &dyn Parts, cancel: &CancellationToken) -> Result<Done, JobError> {
    loop {
        match does {
            Does::Succeed(outcome) => return Ok(Done { outcome, fingerprint: None }),
            Does::Retry => return Err(JobError::Retry(anyhow::anyhow!("the source is away"))),
            Does::Fail => return Err(JobError::Fail(anyhow::anyhow!("there is no such table"))),
            Does::Lose => return Err(JobError::Lost("its process was killed by signal 9".to_owned())),
            Does::Hang => {
                cancel.cancelled().await;
                return Err(JobError::Cancelled);
            }
            Does::Stall => return std::future::pending().await,
            Does::HandOver(name, part, next) => {
                parts.commit(name, part).await?;
                does = *next;
            }
            Does::After(word, next) => {
                word.notified().await;
                does = *next;
            }
        }
    }
}

/// A clock that a test sets.
#[derive(Debug)]
pub(super) struct Wall(Mutex<Timestamp>);

impl Wall {
    pub(super) fn at(text: &str) -> Arc<Self> {
        Arc::new(Self(Mutex::new(text.parse().unwrap())))
    }

    pub(super) fn set(&self, text: &str) {
        *self.0.lock().unwrap() = text.parse().unwrap();
    }
}

impl Clock for Wall {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }
}

/// A state store in a folder of its own, and its owner.
pub(super) struct World {
    pub(super) store: Arc<dyn StateStore>,
    pub(super) tenure: Tenure,
    pub(super) wall: Arc<Wall>,
    pub(super) url: String,
    _folder: TempDir,
}

impl World {
    pub(super) async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}/state.db", folder.path().display());
        let store = store::open(&url).await.unwrap();
        let seen = store.observe_owner().await.unwrap();
        let tenure = store.take_ownership("test", Role::Daemon, &seen).await.unwrap().unwrap();
        Self { store, tenure, wall: Wall::at("2026-11-20T07:30:00Z"), url, _folder: folder }
    }

    pub(super) fn engine(&self, isolation: Arc<Told>) -> Engine {
        self.engine_on(Arc::clone(&self.store), isolation)
    }

    pub(super) fn engine_on(&self, store: Arc<dyn StateStore>, isolation: Arc<Told>) -> Engine {
        Engine {
            store,
            isolation,
            promises: Arc::new(NoPromises),
            clock: Arc::clone(&self.wall) as _,
            committed: Arc::default(),
            poll: Duration::from_millis(20),
            stop_grace: Duration::from_millis(50),
            patience: Duration::from_secs(2),
        }
    }

    /// Makes a run of `dag` and returns its id.
    pub(super) async fn make(&self, dag: &Dag) -> RunId {
        self.make_from(dag, None).await
    }

    /// Makes a run as the schedule of `dag` would at `slot`, and returns its id.
    pub(super) async fn make_for_slot(&self, dag: &Dag, slot: Timestamp) -> RunId {
        self.make_from(dag, Some(slot)).await
    }

    async fn make_from(&self, dag: &Dag, slot: Option<Timestamp>) -> RunId {
        let new = NewRun {
            dag: dag.clone(),
            logical_date: DAY,
            asked: match slot {
                Some(_) => Asked::by_schedule(),
                None => Asked { trigger: Trigger::Command, manual: None, repairs: None, backfill: None },
            },
            slot,
            only: None,
            force: Force::No,
            expected: Vec::new(),
            now: slot.unwrap_or_else(|| self.wall.now()),
        };
        self.store.create_run(new).await.unwrap().unwrap().run_id
    }

    /// Carries a run out to its end; a test that waits for more than ten seconds has failed.
    pub(super) async fn carry_out(&self, engine: &Engine, run_id: &RunId) -> RunRecord {
        let stop = Stop::default();
        let executed = engine.execute(&self.tenure, run_id, &stop);
        tokio::time::timeout(Duration::from_secs(10), executed).await.expect("the run hangs").unwrap()
    }

    pub(super) async fn job(&self, run_id: &RunId, name: &str) -> JobView {
        let jobs = self.store.jobs(run_id).await.unwrap();
        jobs.into_iter().find(|view| view.name.as_str() == name).unwrap()
    }

    pub(super) async fn states(&self, run_id: &RunId) -> BTreeMap<String, JobState> {
        let jobs = self.store.jobs(run_id).await.unwrap();
        jobs.into_iter().map(|view| (view.name.to_string(), view.state)).collect()
    }
}

pub(super) fn job(name: &str) -> JobName {
    name.parse().unwrap()
}

/// A DAG of these jobs and what each needs; three tries each, a millisecond apart.
pub(super) fn dag(jobs: &[(&str, &[&str])]) -> Dag {
    let one = |(name, needs): &(&str, &[&str])| Job {
        name: job(name),
        kind: "told".parse().unwrap(),
        params: serde_json::Value::Null,
        needs: needs.iter().map(|need| job(need)).collect(),
        when: When::AllSuccess,
        timeout: Duration::from_secs(5),
        retry: RetryPolicy { attempts: 3, backoff: Duration::from_millis(1), max_backoff: Duration::from_millis(4) },
    };
    Dag {
        name: DagName::from_str("night").unwrap(),
        description: String::new(),
        schedule: None,
        timezone: "America/Detroit".to_owned(),
        deadline: None,
        max_parallel: 2,
        jobs: jobs.iter().map(|entry| (job(entry.0), one(entry))).collect(),
        version: "v1".to_owned(),
    }
}

/// An outcome that makes `content` the snapshot of a dataset.
pub(super) fn makes(dataset: &str, content: &str) -> Outcome {
    let snapshot = SnapshotRef {
        dataset: dataset.to_owned(),
        snapshot: SnapshotId::of(content.as_bytes()),
        rows: 1,
        size_bytes: 1,
        stale: false,
        inputs: Vec::new(),
    };
    Outcome { summary: content.to_owned(), snapshots: vec![snapshot], ..Outcome::default() }
}
