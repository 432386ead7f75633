//! Makes runs when their slots come, and takes up what is queued.
//!
//! tokio-cron-scheduler wakes this loop once a second and decides nothing: it freezes a zone's offset and forgets
//! missed ticks. Which slots are due since the persisted watermark is `domain::schedule`'s answer; a run and its
//! watermark are made in one transaction, and a slot is unique per DAG, so a double wake-up is harmless.
//! One scheduler owns a data folder; the caller holds the lock.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::Notify;
use tokio_cron_scheduler::{Job, JobScheduler};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{error, info};

use super::executor::Engine;
use super::recovery::{self, Overlap};
use crate::domain::dag::Dag;
use crate::domain::ids::{DagName, RunId};
use crate::domain::job::Force;
use crate::domain::schedule::{self, Slot};
use crate::store::{NewRun, Promise, RunFilter, StoreError};

/// How long a scheduler is taken to live after its last sign of life.
const SIGN_OF_LIFE: Duration = Duration::from_secs(15);

/// Why a scheduler ended.
#[derive(Debug, thiserror::Error)]
pub enum SchedulerError {
    /// The timer could not be started.
    #[error("starting the timer")]
    Timer(#[source] tokio_cron_scheduler::JobSchedulerError),
    /// The state store failed.
    #[error("reading or writing the schedule's state")]
    Store(#[from] StoreError),
}

/// Runs the schedules that `dags` returns (asked again at each wake-up, so that an edited file counts) until cancelled.
///
/// # Errors
/// When the timer does not start or the state store fails.
pub async fn run(
    engine: &Engine,
    dags: impl Fn() -> Vec<Dag>,
    cancel: &CancellationToken,
) -> Result<(), SchedulerError> {
    let wake = Arc::new(Notify::new());
    let mut timer = JobScheduler::new().await.map_err(SchedulerError::Timer)?;
    let ticking = Arc::clone(&wake);
    let tick = Job::new("* * * * * *", move |_, _| ticking.notify_one()).map_err(SchedulerError::Timer)?;
    timer.add(tick).await.map_err(SchedulerError::Timer)?;
    timer.start().await.map_err(SchedulerError::Timer)?;

    let runs = TaskTracker::new();
    let mut taken_up: Vec<RunId> = Vec::new();
    info!("Scheduler started");
    while !cancel.is_cancelled() {
        let now = engine.clock.now();
        engine.store.scheduler_alive(&engine.owner, now.checked_add(SIGN_OF_LIFE).ok()).await?;
        for dag in dags() {
            make_due_runs(engine, &dag, now).await?;
        }
        take_up(engine, &runs, &mut taken_up, cancel).await?;
        tokio::select! {
            () = wake.notified() => {}
            () = cancel.cancelled() => {}
        }
    }
    runs.close();
    runs.wait().await;
    engine.store.scheduler_alive(&engine.owner, None).await?;
    timer.shutdown().await.map_err(SchedulerError::Timer)?;
    info!("Scheduler stopped");
    Ok(())
}

/// Makes the runs of the DAG's due slots, or records why a slot has none.
async fn make_due_runs(engine: &Engine, dag: &Dag, now: Timestamp) -> Result<(), SchedulerError> {
    let Some(schedule) = &dag.schedule else { return Ok(()) };
    let Some(watermark) = engine.store.watermark(&dag.name).await? else {
        // A DAG that was never scheduled here begins with its next slot, not with its past.
        engine.store.skip_slot(&dag.name, now, "first seen", None, now).await?;
        return Ok(());
    };
    let missed = match schedule::due_between(schedule, &dag.timezone, watermark, now) {
        Ok(slots) => slots,
        Err(mistake) => {
            error!(dag = %dag.name, "{mistake}");
            return Ok(());
        }
    };
    let wanted = schedule::catch_up(schedule.catch_up, &missed, now);
    for slot in &missed {
        if wanted.contains(slot) {
            make_run(engine, dag, slot, now).await?;
        } else {
            skip(engine, dag, slot, "missed, and not made up for (`catch_up`)", now).await?;
        }
    }
    Ok(())
}

/// Skips a slot: its e-mails are owed all the same.
async fn skip(engine: &Engine, dag: &Dag, slot: &Slot, why: &str, now: Timestamp) -> Result<(), SchedulerError> {
    let mails = engine.promises.expected(dag, slot);
    let promise = Promise { dag: &dag.name, logical_date: slot.date, run_id: None, skipped: Some(why), mails: &mails };
    engine.store.skip_slot(&dag.name, slot.at, why, Some(promise), now).await?;
    Ok(())
}

async fn make_run(engine: &Engine, dag: &Dag, slot: &Slot, now: Timestamp) -> Result<(), SchedulerError> {
    let open = engine.store.runs(&RunFilter { open: true, ..RunFilter::default() }).await?;
    let policy = dag.schedule.as_ref().map_or_else(Default::default, |schedule| schedule.overlap);
    match recovery::overlap(policy, &dag.name, &open) {
        Overlap::Begin | Overlap::Wait => {}
        Overlap::Skip => {
            let why = "the earlier run is still open (`overlap = \"skip\"`)";
            skip(engine, dag, slot, why, now).await?;
            return Ok(());
        }
        Overlap::Replace(runs) => {
            for run_id in runs {
                engine.store.request_cancel(&run_id, now).await?;
            }
        }
    }
    let new = NewRun {
        dag: dag.clone(),
        logical_date: slot.date,
        trigger: "schedule".to_owned(),
        slot: Some(slot.at),
        only: None,
        force: Force::No,
        expected: engine.promises.expected(dag, slot),
        now,
    };
    if let Some(run) = engine.store.create_run(new).await? {
        info!(run.id = %run.run_id, "Made a run for its slot");
    }
    Ok(())
}

/// Begins every open run that may begin: those of one DAG after each other, unless it allows overlap.
async fn take_up(
    engine: &Engine,
    runs: &TaskTracker,
    taken_up: &mut Vec<RunId>,
    cancel: &CancellationToken,
) -> Result<(), SchedulerError> {
    let open = engine.store.runs(&RunFilter { open: true, ..RunFilter::default() }).await?;
    taken_up.retain(|run_id| open.iter().any(|run| run.run_id == *run_id));
    for run_id in recovery::to_take_up(&open) {
        let Some(run) = open.iter().find(|run| run.run_id == run_id) else { continue };
        let dag = engine.store.dag_of(&run_id).await?;
        let allows_overlap =
            dag.schedule.is_some_and(|schedule| schedule.overlap == crate::domain::dag::OverlapPolicy::Allow);
        if taken_up.contains(&run_id) || (!allows_overlap && is_busy(&run.dag, taken_up, &open)) {
            continue;
        }
        taken_up.push(run_id.clone());
        let (engine, cancel) = (engine.clone(), cancel.clone());
        runs.spawn(async move {
            if let Err(failure) = engine.execute(&run_id, &cancel).await {
                error!(run.id = %run_id, "{:#}", anyhow::Error::new(failure));
            }
        });
    }
    Ok(())
}

fn is_busy(dag: &DagName, taken_up: &[RunId], open: &[crate::store::RunRecord]) -> bool {
    open.iter().any(|run| run.dag == *dag && taken_up.contains(&run.run_id))
}
