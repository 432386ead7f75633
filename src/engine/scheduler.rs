//! Makes runs when their slots come, and takes up what is open.
//!
//! It sleeps until the next slot on the monotonic clock; tokio-cron-scheduler also wakes it once a minute and decides
//! nothing (it freezes a zone's offset and forgets missed ticks). `tick` decides what to do, `clock_watch` whether the
//! clock can be believed; a run and its watermark are made in one transaction, and a slot is unique per DAG, so a
//! double wake-up is harmless. A failure is retried and never ends the loop: a run that could not be carried out is
//! taken up again after a while. Told to stop, it starts nothing more and lets its runs drain.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_cron_scheduler::{Job, JobScheduler};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{error, info, warn};

use super::clock_watch::ClockWatch;
use super::executor::Engine;
use super::persist::persist;
use super::stop::Stop;
use super::tick::{self, Act, Beside, Runs, Tells};
use crate::domain::dag::{Dag, OverlapPolicy};
use crate::domain::ids::{DagName, RunId};
use crate::domain::job::{Force, SkippedSlot};
use crate::domain::manual::Asked;
use crate::domain::run::RunState;
use crate::domain::schedule::{self, Slot};
use crate::store::{NewRun, Promise, RunFilter, RunRecord, StateStore, StoreError, Tenure, Watermark};
use crate::telemetry::chain;

/// How often to look for open runs that another process has enqueued.
const LOOK: Duration = Duration::from_secs(1);

/// How long to keep asking a state store that does not answer before the loop goes on.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long a run that could not be carried out waits before it is taken up again; the wait doubles each time.
const FIRST_REST: Duration = Duration::from_secs(5);
const LONGEST_REST: Duration = Duration::from_secs(300);

/// Why a scheduler ended.
#[derive(Debug, thiserror::Error)]
pub enum SchedulerError {
    /// The timer could not be started.
    #[error("starting the timer")]
    Timer(#[source] tokio_cron_scheduler::JobSchedulerError),
    /// Another scheduler owns the state store now.
    #[error("running the schedules")]
    Store(#[from] StoreError),
}

/// Returns the DAGs as they are now.
pub type CurrentDags<'a> = dyn Fn() -> Vec<Dag> + Send + Sync + 'a;

/// Runs the schedules of `dags` (read again at each look, so that an edited file counts) until told to stop.
///
/// # Errors
/// When the timer does not start, or another process has taken the state store over.
pub async fn run(
    engine: &Engine,
    tenure: &Tenure,
    dags: &CurrentDags<'_>,
    stop: &CancellationToken,
) -> Result<(), SchedulerError> {
    let wake = Arc::new(Notify::new());
    let mut timer = JobScheduler::new().await.map_err(SchedulerError::Timer)?;
    let ticking = Arc::clone(&wake);
    let tick = Job::new("0 * * * * *", move |_, _| ticking.notify_one()).map_err(SchedulerError::Timer)?;
    timer.add(tick).await.map_err(SchedulerError::Timer)?;
    timer.start().await.map_err(SchedulerError::Timer)?;

    info!("Scheduler started");
    let mut scheduler = Scheduler::new(engine, tenure, &wake, stop);
    let ended = scheduler.look_until_stopped(dags, stop).await;
    scheduler.tasks.close();
    scheduler.tasks.wait().await;
    timer.shutdown().await.map_err(SchedulerError::Timer)?;
    info!("Scheduler stopped");
    Ok(ended?)
}

/// The state of a scheduler.
pub(super) struct Scheduler<'a> {
    engine: &'a Engine,
    tenure: &'a Tenure,
    wake: &'a Arc<Notify>,
    stop: Stop,
    clock: ClockWatch,
    tasks: TaskTracker,
    taken_up: Arc<Mutex<BTreeSet<RunId>>>,
    /// Runs that could not be carried out: how often that happened, and until when they wait.
    resting: Arc<Mutex<BTreeMap<RunId, (u32, Instant)>>>,
    /// Only the owner moves watermarks, so they are read once.
    watermarks: BTreeMap<DagName, Option<Watermark>>,
    beside: BTreeMap<RunId, Beside>,
    /// Runs that an earlier owner, or a failure, had left `running` when they were taken up.
    cut_off: BTreeSet<RunId>,
}

impl<'a> Scheduler<'a> {
    pub(super) fn new(engine: &'a Engine, tenure: &'a Tenure, wake: &'a Arc<Notify>, stop: &CancellationToken) -> Self {
        Self {
            engine,
            tenure,
            wake,
            stop: Stop::draining(stop),
            clock: ClockWatch::default(),
            tasks: TaskTracker::new(),
            taken_up: Arc::default(),
            resting: Arc::default(),
            watermarks: BTreeMap::new(),
            beside: BTreeMap::new(),
            cut_off: BTreeSet::new(),
        }
    }

    async fn look_until_stopped(&mut self, dags: &CurrentDags<'_>, stop: &CancellationToken) -> Result<(), StoreError> {
        while !stop.is_cancelled() {
            let current = dags();
            match self.look(&current).await {
                Ok(()) => {}
                Err(error) if error.ends_ownership() => return Err(error),
                // The loop goes on: a night is not lost to one answer that did not come.
                Err(error) => error!("{}", chain(&error)),
            }
            let wake_at = self.next_slot(&current).map_or(LOOK, |until| until.min(LOOK));
            tokio::select! {
                () = self.wake.notified() => {}
                () = tokio::time::sleep(wake_at) => {}
                () = stop.cancelled() => {}
            }
        }
        Ok(())
    }

    /// Does everything that is due now.
    pub(super) async fn look(&mut self, dags: &[Dag]) -> Result<(), StoreError> {
        self.tenure.check()?;
        let now = self.engine.now();
        // Interrupted runs are taken up before the slots are looked at: they then count as what they are.
        let open = self.take_up_what_is_open().await?;
        if !self.clock.believes(now, Instant::now()) {
            warn!("The clock has jumped ahead to {now}; slots wait until it has stood there for two minutes");
            return Ok(());
        }
        let mut has_made = false;
        for dag in dags {
            has_made |= self.deal_with(dag, &open, now).await?;
        }
        if has_made {
            self.take_up_what_is_open().await?;
        }
        Ok(())
    }

    /// Begins what may begin; returns the runs that were open before.
    async fn take_up_what_is_open(&mut self) -> Result<Vec<RunRecord>, StoreError> {
        // In this order: a run that ends in between still counts as being carried out, and is not begun again.
        let taken_up = self.carried_out();
        let open = self.open_runs().await?;
        self.take_up(&open, taken_up).await?;
        Ok(open)
    }

    fn carried_out(&self) -> BTreeSet<RunId> {
        self.taken_up.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn open_runs(&self) -> Result<Vec<RunRecord>, StoreError> {
        let filter = RunFilter { open: true, ..RunFilter::default() };
        persist(PATIENCE, || self.engine.store.runs(&filter)).await
    }

    /// Processes a DAG's slots; returns whether a run was made.
    async fn deal_with(&mut self, dag: &Dag, open: &[RunRecord], now: Timestamp) -> Result<bool, StoreError> {
        if dag.schedule.is_none() {
            return Ok(false);
        }
        let store = &self.engine.store;
        if !self.watermarks.contains_key(&dag.name) {
            let watermark = persist(PATIENCE, || store.watermark(&dag.name)).await?;
            self.watermarks.insert(dag.name.clone(), watermark);
        }
        let watermark = self.watermarks.get(&dag.name).cloned().flatten();
        let taken_up = &self.carried_out() - &self.cut_off;
        let acts = match tick::due(dag, watermark.as_ref(), Runs { open, taken_up: &taken_up }, now) {
            Ok(acts) => acts,
            Err(mistake) => {
                error!(dag = %dag.name, "{mistake}");
                return Ok(false);
            }
        };
        if acts.is_empty() {
            return Ok(false);
        }
        let pauses = persist(PATIENCE, || store.pauses()).await?;
        let acts = match pauses.iter().find(|pause| pause.dag == dag.name) {
            Some(pause) => tick::while_paused(acts, pause),
            None => acts,
        };
        // Read again at the next look, whatever happens to the acts.
        self.watermarks.remove(&dag.name);
        let has_made = acts.iter().any(|act| matches!(act, Act::Make { .. }));
        for act in acts {
            self.carry_out(dag, act, now).await?;
        }
        Ok(has_made)
    }

    async fn carry_out(&self, dag: &Dag, act: Act, now: Timestamp) -> Result<(), StoreError> {
        let (store, name) = (&self.engine.store, &dag.name);
        match act {
            Act::Free { after, beyond } => {
                let freed = persist(PATIENCE, || store.free_slots(name, after, beyond)).await?;
                warn!(dag = %name, freed, "The clock was ahead, and is believed again from {after} on");
            }
            Act::SetWatermark(watermark) => persist(PATIENCE, || store.set_watermark(name, &watermark)).await?,
            Act::Skip { slot, why, tells } => {
                // Its e-mails are owed all the same, unless a person has paused the schedule.
                let mails = match tells {
                    Tells::Recipients => self.engine.promises.expected(dag, &slot),
                    Tells::Nobody => Vec::new(),
                };
                let skipped = SkippedSlot { dag: name.clone(), at: slot.at, why };
                let why = &skipped.why;
                let promise =
                    Promise { dag: name, logical_date: slot.date, run_id: None, skipped: Some(why), mails: &mails };
                if persist(PATIENCE, || store.skip_slot(&skipped, Some(promise), now)).await? {
                    warn!(dag = %name, logical_date = %slot.date, "Skipped the slot {}: {why}", slot.at);
                }
            }
            Act::Make { slot, cancel } => {
                for run_id in cancel {
                    let said =
                        format!("the schedule cancelled the run for the slot {} (`overlap = \"replace\"`)", slot.at);
                    persist(PATIENCE, || store.request_cancel(&run_id, &said, now)).await?;
                }
                self.make_run(dag, &slot, now).await?;
            }
        }
        Ok(())
    }

    async fn make_run(&self, dag: &Dag, slot: &Slot, now: Timestamp) -> Result<(), StoreError> {
        let store = &self.engine.store;
        let new = || NewRun {
            dag: dag.clone(),
            logical_date: slot.date,
            asked: Asked::by_schedule(),
            slot: Some(slot.at),
            only: None,
            force: Force::No,
            expected: self.engine.promises.expected(dag, slot),
            now,
        };
        match persist(PATIENCE, || store.create_run(new())).await? {
            Some(run) => info!(run.id = %run.run_id, "Made a run for its slot"),
            None => {
                // The slot was processed before, by a clock that has since gone back: only the watermark follows.
                let kept = persist(PATIENCE, || store.watermark(&dag.name)).await?;
                if let Some(watermark) = kept.filter(|watermark| watermark.at < slot.at) {
                    let moved = Watermark { at: slot.at, ..watermark };
                    persist(PATIENCE, || store.set_watermark(&dag.name, &moved)).await?;
                }
            }
        }
        Ok(())
    }

    /// Begins every open run that may begin.
    async fn take_up(&mut self, open: &[RunRecord], mut taken_up: BTreeSet<RunId>) -> Result<(), StoreError> {
        if self.stop.drain.is_cancelled() {
            return Ok(());
        }
        self.learn_beside(open).await?;
        let now = Instant::now();
        self.cut_off.retain(|run_id| open.iter().any(|run| run.run_id == *run_id));
        let resting: BTreeSet<RunId> = {
            let mut resting = self.resting.lock().unwrap_or_else(PoisonError::into_inner);
            resting.retain(|run_id, _| open.iter().any(|run| run.run_id == *run_id));
            resting.iter().filter(|(_, (_, until))| *until > now).map(|(run_id, _)| run_id.clone()).collect()
        };
        // A run that rests keeps its DAG busy, and is not begun.
        taken_up.extend(resting);
        for run_id in tick::to_take_up(Runs { open, taken_up: &taken_up }, &self.beside) {
            if open.iter().any(|run| run.run_id == run_id && run.state == RunState::Running) {
                self.cut_off.insert(run_id.clone());
            }
            self.begin(run_id);
        }
        Ok(())
    }

    async fn learn_beside(&mut self, open: &[RunRecord]) -> Result<(), StoreError> {
        self.beside.retain(|run_id, _| open.iter().any(|run| run.run_id == *run_id));
        for run in open {
            if !self.beside.contains_key(&run.run_id) {
                let beside = persist(PATIENCE, || beside(&*self.engine.store, run)).await?;
                self.beside.insert(run.run_id.clone(), beside);
            }
        }
        Ok(())
    }

    fn begin(&self, run_id: RunId) {
        self.taken_up.lock().unwrap_or_else(PoisonError::into_inner).insert(run_id.clone());
        let (engine, tenure, stop) = (self.engine.clone(), self.tenure.clone(), self.stop.clone());
        let (taken_up, resting) = (Arc::clone(&self.taken_up), Arc::clone(&self.resting));
        let wake = Arc::clone(self.wake);
        self.tasks.spawn(async move {
            let executed = engine.execute(&tenure, &run_id, &Stop::draining(&stop.drain)).await;
            let mut resting = resting.lock().unwrap_or_else(PoisonError::into_inner);
            match executed {
                Ok(_) => drop(resting.remove(&run_id)),
                Err(failure) => {
                    let times = resting.get(&run_id).map_or(0, |(times, _)| *times);
                    let rest = FIRST_REST.saturating_mul(1 << times.min(10)).min(LONGEST_REST);
                    error!(run.id = %run_id, "{}; it is taken up again in {} s", chain(&failure), rest.as_secs());
                    resting.insert(run_id.clone(), (times + 1, Instant::now() + rest));
                }
            }
            taken_up.lock().unwrap_or_else(PoisonError::into_inner).remove(&run_id);
            wake.notify_one();
        });
    }

    /// How long it is until the next slot of any DAG.
    fn next_slot(&self, dags: &[Dag]) -> Option<Duration> {
        let now = self.engine.clock.now();
        let soon = now.checked_add(jiff::SignedDuration::try_from(LOOK).ok()?).ok()?;
        let next = |dag: &Dag| {
            let slots = schedule::due_between(dag.schedule.as_ref()?, &dag.timezone, now, soon).ok()?;
            slots.first().map(|slot| slot.at)
        };
        let next = dags.iter().filter_map(next).min()?;
        Duration::try_from(next.duration_since(now)).ok()
    }
}

/// Returns which other runs of its DAG an open run may run beside.
///
/// # Errors
/// When the state store cannot be read.
pub async fn beside(store: &dyn StateStore, run: &RunRecord) -> Result<Beside, StoreError> {
    if let Some(backfill) = &run.backfill {
        let open = store.open_backfills().await?;
        let found = open.iter().find(|found| found.id == *backfill);
        return Ok(Beside::OfBackfill(found.map_or(1, |found| found.parallel)));
    }
    let dag = store.dag_of(&run.run_id).await?;
    let allows = dag.schedule.is_some_and(|schedule| schedule.overlap == OverlapPolicy::Allow);
    Ok(if allows { Beside::Any } else { Beside::None })
}
