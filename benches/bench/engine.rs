//! What the engine itself costs: jobs that do nothing, in threads of one process, on SQLite.
//!
//! Two cores, 24 GiB, Linux, release build. In memory there is nothing to sync; the disk is a local one, and every
//! commit waits for it (`synchronous = FULL`).
//!
//! | what | in memory | on the disk |
//! |---|---|---|
//! | a chain of 1,000 jobs | 0.65 to 0.71 ms a job | 0.78 ms a job |
//! | a fan-out of 1,000 jobs, 8 at once | 0.61 to 0.74 ms a job | 1.1 ms a job |
//! | from a slot's instant to its job's first line: median, p99, most of 120 | 4.4, 5.3, 7.9 ms | 4.9, 8.5, 9.8 ms |
//!
//! So the disk's syncs add 0.1 to 0.5 ms a job, which has two transactions. Before the statements of an attempt were
//! combined and its view of the other jobs was shared, a job of the chain cost 2.8 ms.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use jiff::civil::date;
use jiff::{SignedDuration, Timestamp};
use nocturne::domain::clock::Clock as _;
use nocturne::domain::dag::{CatchUp, Dag, FoldPolicy, GapPolicy, Job, OverlapPolicy, Schedule, When};
use nocturne::domain::fingerprint::Fingerprint;
use nocturne::domain::ids::{JobName, KindName};
use nocturne::domain::job::{Force, JobInput};
use nocturne::domain::manual::Asked;
use nocturne::domain::outcome::{JobError, Outcome};
use nocturne::domain::retry::RetryPolicy;
use nocturne::engine::thread::ThreadIsolation;
use nocturne::engine::{Engine, JobRunner, NoPromises, Parts, Runners, Stop, scheduler};
use nocturne::store::{self, NewRun, Role, StateStore, Tenure};
use nocturne::telemetry::SystemClock;
use tokio_util::sync::CancellationToken;

use crate::{percentile, say, sorted};

const JOBS: usize = 1_000;
const SLOTS: usize = 120;

pub(crate) async fn measure(folder: &Path) {
    for (shape, max_parallel) in [(Shape::Chain, 1), (Shape::FanOut, 8)] {
        let took = jobs(folder, shape, max_parallel).await;
        let each = took / u32::try_from(JOBS).unwrap();
        say(&format!("{shape:?} of {JOBS} jobs"), &format!("{took:.2?}, {each:.0?} a job"));
    }
    let late = lateness(folder).await;
    let (median, p99) = (percentile(&late, 50), percentile(&late, 99));
    let most = late.last().copied().unwrap_or_default();
    say(
        &format!("From a slot's instant to its job's first line, {} slots", late.len()),
        &format!("median {median:.1?}, p99 {p99:.1?}, most {most:.1?}"),
    );
}

#[derive(Debug, Clone, Copy)]
enum Shape {
    Chain,
    FanOut,
}

/// Does nothing, and records when.
#[derive(Default)]
struct Nothing {
    began: Mutex<Vec<Timestamp>>,
}

#[async_trait]
impl JobRunner for Nothing {
    async fn fingerprint(&self, _: &JobInput, _: &CancellationToken) -> Result<Option<Fingerprint>, JobError> {
        Ok(None)
    }

    async fn run(&self, _: JobInput, _: Arc<dyn Parts>, _: CancellationToken) -> Result<Outcome, JobError> {
        self.began.lock().unwrap().push(SystemClock.now());
        Ok(Outcome::default())
    }
}

struct OnlyNothing(Arc<Nothing>);

impl Runners for OnlyNothing {
    fn runner(&self, _: &KindName) -> Option<Arc<dyn JobRunner>> {
        Some(Arc::clone(&self.0) as _)
    }
}

async fn owned(folder: &Path) -> (tempfile::TempDir, Arc<dyn StateStore>, Tenure) {
    let folder = tempfile::tempdir_in(folder).unwrap();
    let store = store::open(&format!("sqlite://{}/state.db", folder.path().display())).await.unwrap();
    let seen = store.observe_owner().await.unwrap();
    let tenure = store.take_ownership("bench", Role::Daemon, &seen).await.unwrap().unwrap();
    (folder, store, tenure)
}

fn engine(store: &Arc<dyn StateStore>, nothing: &Arc<Nothing>) -> Engine {
    Engine {
        store: Arc::clone(store),
        isolation: Arc::new(ThreadIsolation::new(Arc::new(OnlyNothing(Arc::clone(nothing))))),
        promises: Arc::new(NoPromises),
        clock: Arc::new(SystemClock),
        committed: Arc::default(),
        poll: Duration::from_secs(1),
        stop_grace: Duration::from_secs(10),
        patience: Duration::from_secs(10),
    }
}

fn job(number: usize, needs: Vec<JobName>) -> Job {
    Job {
        name: name(number),
        kind: "nothing".parse().unwrap(),
        params: serde_json::Value::Null,
        needs,
        when: When::AllSuccess,
        timeout: Duration::from_secs(60),
        retry: RetryPolicy { attempts: 1, backoff: Duration::from_secs(1), max_backoff: Duration::from_secs(1) },
    }
}

fn name(number: usize) -> JobName {
    format!("job-{number:04}").parse().unwrap()
}

fn dag(jobs: BTreeMap<JobName, Job>, max_parallel: usize, schedule: Option<Schedule>) -> Dag {
    Dag {
        name: "night".parse().unwrap(),
        description: String::new(),
        schedule,
        timezone: "America/Detroit".to_owned(),
        deadline: None,
        max_parallel,
        jobs,
        version: "v1".to_owned(),
    }
}

/// How long a run of many jobs takes, from its creation to its end.
async fn jobs(folder: &Path, shape: Shape, max_parallel: usize) -> Duration {
    let (_folder, store, tenure) = owned(folder).await;
    let needs = |number: usize| match shape {
        _ if number == 0 => Vec::new(),
        Shape::Chain => vec![name(number - 1)],
        Shape::FanOut => vec![name(0)],
    };
    let jobs = (0..JOBS).map(|number| (name(number), job(number, needs(number)))).collect();
    let nothing = Arc::new(Nothing::default());
    let engine = engine(&store, &nothing);
    let began = Instant::now();
    let new = NewRun {
        dag: dag(jobs, max_parallel, None),
        logical_date: date(2026, 11, 20),
        asked: Asked::by_schedule(),
        slot: None,
        only: None,
        force: Force::No,
        expected: Vec::new(),
        now: SystemClock.now(),
    };
    let run = store.create_run(new).await.unwrap().unwrap();
    engine.execute(&tenure, &run.run_id, &Stop::default()).await.unwrap();
    assert_eq!(nothing.began.lock().unwrap().len(), JOBS);
    began.elapsed()
}

/// How late each slot of an every-second schedule was, sorted.
async fn lateness(folder: &Path) -> Vec<Duration> {
    let (_folder, store, tenure) = owned(folder).await;
    let schedule = Schedule {
        cron: "* * * * * *".to_owned(),
        gap: GapPolicy::Next,
        fold: FoldPolicy::First,
        catch_up: CatchUp::All,
        overlap: OverlapPolicy::Allow,
    };
    let dags = vec![dag(BTreeMap::from([(name(0), job(0, Vec::new()))]), 1, Some(schedule))];
    let nothing = Arc::new(Nothing::default());
    let engine = engine(&store, &nothing);
    let stop = CancellationToken::new();
    let enough = async {
        while nothing.began.lock().unwrap().len() < SLOTS {
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
        stop.cancel();
    };
    let current = || dags.clone();
    let (ended, ()) = tokio::join!(scheduler::run(&engine, &tenure, &current, &stop), enough);
    ended.unwrap();
    let began = nothing.began.lock().unwrap();
    let late = |at: &Timestamp| Duration::from_nanos(u64::try_from(at.subsec_nanosecond()).unwrap());
    // A slot's instant is a whole second; one that came a second late would look like a missing one.
    let seconds = began.last().unwrap().duration_since(*began.first().unwrap()).round(jiff::Unit::Second).unwrap();
    assert!(seconds <= SignedDuration::from_secs(i64::try_from(began.len()).unwrap()), "slots came late");
    sorted(began.iter().map(late).collect())
}
