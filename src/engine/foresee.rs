//! What a run would do, without doing it: for each job in the order of execution, whether it would run, and why.
//!
//! Each job is asked for its fingerprint, as an attempt would, against what is committed now. A job whose needs would
//! run may later find other inputs than there are now; the result then says so, and promises nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_trait::async_trait;
use jiff::civil::Date;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::plan;
use super::runner::{Parts, Runners};
use super::thread::{up_to_date, why_of};
use crate::domain::alert::StandingAlert;
use crate::domain::dag::{Dag, Job};
use crate::domain::fingerprint::{Earlier, Why};
use crate::domain::ids::{JobName, KindName, RunId};
use crate::domain::job::{Force, JobInput, JobView};
use crate::domain::measurement::HistoryWanted;
use crate::domain::outcome::{JobError, ModelRecord, Outcome, SnapshotRef};
use crate::domain::run::JobState;
use crate::store::{LastSuccess, StateStore, StoreError, Unattempted};

/// A job of a hypothetical run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Foreseen {
    /// Its name.
    pub job: JobName,
    /// Its kind.
    pub kind: KindName,
    /// The jobs it needs.
    pub needs: Vec<JobName>,
    /// What it would do.
    #[serde(flatten)]
    pub will: Will,
}

/// What a job would do.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "will", rename_all = "snake_case")]
pub enum Will {
    /// It would run.
    Run {
        /// Why.
        because: Why,
    },
    /// It is up to date.
    Keep {
        /// The run since which nothing has changed.
        since: RunId,
    },
    /// It is up to date as of now; it would run if these jobs, which run before it, change what it reads.
    Depend {
        /// The jobs.
        on: Vec<JobName>,
    },
    /// It would not run.
    Skip {
        /// Why.
        why: String,
    },
    /// Its inputs cannot be looked at.
    Unknown {
        /// Why.
        why: String,
    },
}

/// The hypothetical run.
pub struct Wanted<'a> {
    /// The DAG.
    pub dag: &'a Dag,
    /// The logical date.
    pub date: Date,
    /// The jobs asked for; `None`: all.
    pub only: Option<&'a [JobName]>,
    /// Whether what is up to date is done again.
    pub force: Force,
}

/// What is committed now.
struct Present {
    snapshots: BTreeMap<String, SnapshotRef>,
    cursors: BTreeMap<String, String>,
    models: Vec<ModelRecord>,
    alerts: Vec<StandingAlert>,
}

/// Returns what each job of the run would do, in the order of execution.
///
/// # Errors
/// When the state store cannot be read.
pub async fn foresee(
    store: &dyn StateStore,
    runners: &dyn Runners,
    wanted: &Wanted<'_>,
) -> Result<Vec<Foreseen>, StoreError> {
    let present = Present::read(store, wanted).await?;
    let dag = wanted.dag.clone().asked_for(wanted.only);
    let (mut foreseen, mut views) = (Vec::new(), Vec::new());
    let mut states: BTreeMap<JobName, JobState> = BTreeMap::new();
    for job in dag.jobs.values() {
        let is_wanted = wanted.only.is_none_or(|only| only.contains(&job.name));
        states.insert(job.name.clone(), if is_wanted { JobState::Queued } else { JobState::Skipped });
        if !is_wanted {
            foreseen.push(of(job, Will::Skip { why: "it was not asked for".to_owned() }));
            let stands = store.last_success(&dag.name, &job.name, Some(wanted.date)).await?;
            views.extend(stands.map(|last| Arc::new(view(job, Some(last.outcome)))));
        }
    }
    loop {
        let next = plan::next(&dag, &states);
        for (job, end) in &next.unattempted {
            states.insert(job.clone(), JobState::Skipped);
            foreseen.extend(dag.jobs.get(job).map(|found| of(found, Will::Skip { why: why_unattempted(end) })));
        }
        for job in next.ready.iter().filter_map(|name| dag.jobs.get(name)) {
            let last = match store.last_success(&dag.name, &job.name, Some(wanted.date)).await? {
                Some(last) => Some(last),
                None => store.last_success(&dag.name, &job.name, None).await?,
            };
            let reads = runners.runner(&job.kind).map_or(HistoryWanted::NONE, |runner| runner.history());
            let history = store.history(&dag.name, reads, wanted.date).await?;
            let input = JobInput { history, ..present.input(wanted, job, &views, last.as_ref()) };
            let will = will(runners, &input, &needs_that_run(job, &foreseen), last).await;
            let outcome = if matches!(will, Will::Keep { .. }) { up_to_date(&input) } else { input.last_success };
            views.push(Arc::new(view(job, outcome)));
            states.insert(job.name.clone(), JobState::Succeeded);
            foreseen.push(of(job, will));
        }
        if next.ready.is_empty() && next.unattempted.is_empty() {
            return Ok(foreseen);
        }
    }
}

/// Does a job's work on what is committed now, and commits nothing: its outcome is only looked at. The other jobs are seen
/// as they last ended for that date.
///
/// # Errors
/// When the state store cannot be read.
pub async fn rehearse(
    store: &dyn StateStore,
    runners: &dyn Runners,
    wanted: &Wanted<'_>,
    job: &Job,
) -> Result<Result<Outcome, JobError>, StoreError> {
    let present = Present::read(store, wanted).await?;
    let Some(runner) = runners.runner(&job.kind) else {
        let unknown = anyhow::anyhow!("the kind `{}` is not in this program", job.kind);
        return Ok(Err(JobError::Fail(unknown)));
    };
    let mut views = Vec::new();
    for other in wanted.dag.in_order().into_iter().filter(|other| other.name != job.name) {
        let stands = store.last_success(&wanted.dag.name, &other.name, Some(wanted.date)).await?;
        views.extend(stands.map(|last| Arc::new(view(other, Some(last.outcome)))));
    }
    let history = store.history(&wanted.dag.name, runner.history(), wanted.date).await?;
    let input = JobInput { history, ..present.input(wanted, job, &views, None) };
    Ok(runner.run(input, Arc::new(Nowhere), CancellationToken::new()).await)
}

/// Takes parts of a rehearsal, which go nowhere.
struct Nowhere;

#[async_trait]
impl Parts for Nowhere {
    fn note_why(&self, _: Why) {}

    async fn commit(&self, _: &str, _: Outcome) -> Result<(), JobError> {
        Ok(())
    }
}

async fn will(runners: &dyn Runners, input: &JobInput, on: &[JobName], last: Option<LastSuccess>) -> Will {
    let Some(last) = last else { return Will::Run { because: Why::First } };
    if input.force == Force::Rebuild {
        return Will::Run { because: Why::Forced };
    }
    let Some(runner) = runners.runner(&input.kind) else {
        return Will::Unknown { why: format!("the kind `{}` is not in this program", input.kind) };
    };
    let present = match runner.fingerprint(input, &CancellationToken::new()).await {
        Ok(present) => present,
        // Its needs may produce exactly what it lacks.
        Err(_) if !on.is_empty() => return Will::Depend { on: on.to_vec() },
        Err(error) => return Will::Unknown { why: error.to_string() },
    };
    let earlier = Earlier { run_id: last.run_id, fingerprint: last.fingerprint };
    match why_of(input, present.as_ref(), Some(&earlier)) {
        Why::Unchanged { since } if on.is_empty() => Will::Keep { since },
        Why::Unchanged { .. } => Will::Depend { on: on.to_vec() },
        because => Will::Run { because },
    }
}

/// Returns the needs of a job that would run, or might run.
fn needs_that_run(job: &Job, foreseen: &[Foreseen]) -> Vec<JobName> {
    let runs = |need: &&JobName| {
        let found = foreseen.iter().find(|one| one.job == **need);
        found.is_some_and(|one| matches!(one.will, Will::Run { .. } | Will::Depend { .. } | Will::Unknown { .. }))
    };
    job.needs.iter().filter(runs).cloned().collect()
}

fn of(job: &Job, will: Will) -> Foreseen {
    Foreseen { job: job.name.clone(), kind: job.kind.clone(), needs: job.needs.clone(), will }
}

fn why_unattempted(end: &Unattempted) -> String {
    match end {
        Unattempted::Skipped { why } => why.clone(),
        Unattempted::UpstreamFailed { upstream } => format!("`{upstream}`, which it needs, would fail"),
        Unattempted::Cancelled => "it would be cancelled".to_owned(),
    }
}

fn view(job: &Job, outcome: Option<Outcome>) -> JobView {
    JobView {
        name: job.name.clone(),
        kind: job.kind.clone(),
        state: JobState::Succeeded,
        attempts: 0,
        started_at: None,
        finished_at: None,
        outcome,
        error: None,
        why: None,
    }
}

impl Present {
    async fn read(store: &dyn StateStore, wanted: &Wanted<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            snapshots: store.snapshots().await?,
            cursors: store.cursors().await?,
            models: store.models().await?,
            alerts: store.alerts_standing_in(&wanted.dag.name, wanted.date).await?,
        })
    }

    /// Returns what a job would be given, after those of `views`.
    fn input(&self, wanted: &Wanted<'_>, job: &Job, views: &[Arc<JobView>], last: Option<&LastSuccess>) -> JobInput {
        JobInput {
            run_id: RunId::new(&wanted.dag.name, wanted.date, 0),
            dag: wanted.dag.name.clone(),
            job: job.name.clone(),
            kind: job.kind.clone(),
            params: job.params.clone(),
            dag_params: wanted.dag.params(),
            logical_date: wanted.date,
            timezone: wanted.dag.timezone.clone(),
            attempt: 1,
            force: wanted.force,
            snapshots: self.snapshots.clone(),
            cursors: self.cursors.clone(),
            models: self.models.clone(),
            jobs: views.to_vec(),
            dependents: BTreeSet::new(),
            last_success: last.map(|last| last.outcome.clone()),
            parts: BTreeMap::new(),
            left_findings: Vec::new(),
            is_for_earlier_date: false,
            alerts: self.alerts.clone(),
            skipped: Vec::new(),
            earlier_email: None,
            history: Vec::new(),
        }
    }
}
