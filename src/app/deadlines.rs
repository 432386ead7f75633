//! Keeps the promise of a digest by the deadline: notices for nights that have none, and the forecast before.
//!
//! A loop in the owner of the state store. `engine::deadline` and `engine::forecast` decide what is due, and
//! `report::notice` supplies the words; this reads, composes and writes. It needs neither the lake nor charts. What it
//! cannot do now is logged and tried again at the next look.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::outbox::Outbox;
use super::{AppError, Dags, claims};
use crate::config::{Config, SourceKind};
use crate::domain::clock::Clock;
use crate::domain::dag::Dag;
use crate::domain::delivery::{self, ExpectedMail, Recipient};
use crate::domain::ids::{DagName, JobName, RunId};
use crate::domain::outcome::MailRecord;
use crate::domain::run::RunState;
use crate::domain::schedule::Slot;
use crate::engine::Promises;
use crate::engine::deadline::{self, Action, Due, Standing};
use crate::engine::forecast::{self, Forecast};
use crate::jobs::promised_mail;
use crate::report::Renderer;
use crate::report::format::{day_and_time, duration};
use crate::report::mail::{Addresses, compose};
use crate::report::notice::{Night, NightEnd};
use crate::report::view::FailureView;
use crate::store::{Promise, RunFilter, RunRecord, StateStore, StoreError};

/// How often deadlines are checked.
const LOOK: Duration = Duration::from_secs(30);

/// The e-mails that slots owe, according to the configuration.
pub(super) struct Owed(pub(super) Arc<Config>);

impl Promises for Owed {
    fn expected(&self, dag: &Dag, slot: &Slot) -> Vec<ExpectedMail> {
        let deadline = delivery::deadline_of(dag, slot);
        let mails = promised_mail(dag, &self.0).into_iter();
        mails.map(|(job, recipient)| ExpectedMail { audience: job.to_string(), recipient, deadline }).collect()
    }
}

/// Checks deadlines.
pub(super) struct Deadlines {
    config: Arc<Config>,
    store: Arc<dyn StateStore>,
    clock: Arc<dyn Clock>,
    outbox: Arc<Outbox>,
    renderer: Renderer,
    /// The DAG files, as they were last valid.
    dags: Dags,
    /// What was last forecast for each run: it is sent once.
    told: Mutex<BTreeMap<RunId, Known>>,
}

/// What is known of a run under way.
#[derive(Clone, Default)]
struct Known {
    usual: BTreeMap<JobName, SignedDuration>,
    told: Option<Forecast>,
}

impl Deadlines {
    pub(super) fn new(
        config: &Arc<Config>,
        store: Arc<dyn StateStore>,
        clock: Arc<dyn Clock>,
        outbox: Arc<Outbox>,
    ) -> Result<Self, AppError> {
        let renderer = Renderer::new().map_err(|error| AppError::Mail(error.into()))?;
        let dags = Dags::of(config);
        Ok(Self { config: Arc::clone(config), store, clock, outbox, renderer, dags, told: Mutex::default() })
    }

    /// Checks deadlines repeatedly, until it is cancelled.
    pub(super) async fn run(&self, cancel: &CancellationToken) {
        let mut tick = tokio::time::interval(LOOK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while cancel.run_until_cancelled(tick.tick()).await.is_some() {
            if let Err(error) = self.look().await {
                error!("Looking at deadlines: {error:#}");
            }
        }
    }

    /// Checks once: records what the watchdog did, sends what is due, and forecasts.
    pub(super) async fn look(&self) -> anyhow::Result<()> {
        claims::record(&self.config.paths.state, &*self.store, self.clock.now()).await?;
        // A file that is broken now still owes what it promised when it was valid.
        let dags = self.dags.as_last_valid(&*self.store).await?;
        self.promise_what_nobody_took(&dags).await?;
        let open = self.store.mails_open(Timestamp::MAX).await?;
        let mut told = false;
        for due in deadline::due(&open, self.clock.now()) {
            told |= self.tell(&due, &dags).await?;
        }
        if told {
            self.outbox.wake();
        }
        self.forecast().await
    }

    async fn promise_what_nobody_took(&self, dags: &[Dag]) -> Result<(), StoreError> {
        let now = self.clock.now();
        let pauses = self.store.pauses().await?;
        for dag in dags {
            let Some(watermark) = self.store.watermark(&dag.name).await? else { continue };
            for slot in deadline::never_taken(dag, watermark.at, now) {
                if pauses.iter().any(|pause| pause.covers(&dag.name, slot.at)) {
                    continue;
                }
                let mails = Owed(Arc::clone(&self.config)).expected(dag, &slot);
                let there = self.store.mails_of(&dag.name, slot.date).await?;
                if !there.is_empty() {
                    continue;
                }
                let promise =
                    Promise { dag: &dag.name, logical_date: slot.date, run_id: None, skipped: None, mails: &mails };
                self.store.promise_mail(promise, now).await?;
            }
        }
        Ok(())
    }

    /// Sends e-mails to the recipients of promises that are due; returns whether an e-mail waits because of it.
    async fn tell(&self, due: &Due, dags: &[Dag]) -> anyhow::Result<bool> {
        let now = self.clock.now();
        let (dag, date) = (&due.dag, due.logical_date);
        if due.action == Action::Close {
            info!(%dag, logical_date = %date, "The deadline passed more than a day ago; nobody is told any more");
            self.store.close_promises(dag, date, now).await?;
            return Ok(false);
        }
        let night = self.night(due, dags.iter().find(|known| known.name == *dag)).await?;
        let to = due.promised.iter().map(|row| row.recipient.clone()).collect();
        let audience = due.promised.first().map_or("digest", |row| row.id.key.audience.as_str());
        let notice = notice(&self.config, &self.renderer, &night, (audience, to))?;
        let waiting = self.store.notify(&notice, now).await?;
        if waiting > 0 {
            warn!(%dag, logical_date = %date, "The deadline has passed: {} gets `{}`", recipients(waiting), notice.subject);
        }
        Ok(waiting > 0)
    }

    async fn night(&self, due: &Due, dag: Option<&Dag>) -> anyhow::Result<Night> {
        let filter =
            RunFilter { dag: Some(due.dag.clone()), logical_date: Some(due.logical_date), ..RunFilter::default() };
        let runs = self.store.runs(&filter).await?;
        let first = due.promised.first();
        let promised_to = first.and_then(|row| row.promised_to.as_ref());
        let skipped = first.and_then(|row| row.skipped.clone());
        let end = match deadline::standing(&runs, promised_to) {
            Standing::NeverBegan(_) => NightEnd::NeverBegan { why: skipped },
            Standing::Running(run) => {
                NightEnd::Running { jobs: self.store.jobs(&run.run_id).await?, run_id: run.run_id }
            }
            Standing::Over(run) => NightEnd::Over { jobs: self.store.jobs(&run.run_id).await?, run_id: run.run_id },
        };
        let last_digest = self.store.last_digest(&due.dag, due.logical_date).await?;
        let deadline = first.and_then(|row| row.deadline);
        let (logical_date, seen_at) = (due.logical_date, self.clock.now());
        let known = WithoutDigest { name: &due.dag, dag, logical_date, end, last_digest, deadline, seen_at };
        Ok(night(&self.config, known))
    }

    /// Announces, for each run with a deadline, as soon as it is known, that it will be late, and because of which job.
    async fn forecast(&self) -> anyhow::Result<()> {
        let open = self.store.runs(&RunFilter { open: true, ..RunFilter::default() }).await?;
        self.known(|known| known.retain(|run_id, _| open.iter().any(|run| run.run_id == *run_id)));
        for run in open.iter().filter(|run| run.state == RunState::Running) {
            let Some(slot) = run.slot else { continue };
            let dag = self.store.dag_of(&run.run_id).await?.asked_for(run.only.as_deref());
            if let Some(deadline) = delivery::deadline_of(&dag, &Slot { at: slot, date: run.logical_date }) {
                self.forecast_one(run, &dag, deadline).await?;
            }
        }
        Ok(())
    }

    async fn forecast_one(&self, run: &RunRecord, dag: &Dag, deadline: Timestamp) -> anyhow::Result<()> {
        let mut known = match self.known(|known| known.get(&run.run_id).cloned()) {
            Some(known) => known,
            None => Known { usual: self.usual(dag).await?, told: None },
        };
        let now = self.clock.now();
        if now >= deadline {
            // At the deadline those who wait are sent the actual state, which says more than a forecast.
            return Ok(());
        }
        let jobs = self.store.jobs(&run.run_id).await?;
        let expected = forecast::forecast(dag, &jobs, &known.usual, now);
        if expected.end > deadline && forecast::is_news(known.told.as_ref(), &expected) {
            let at = |instant| day_and_time(instant, &dag.timezone).unwrap_or_else(|_| format!("{instant}"));
            let because = expected.longest.as_ref().map_or_else(String::new, |job| {
                format!(": `{job}` usually takes {}", duration(expected.takes.as_secs_f64()))
            });
            warn!(run.id = %run.run_id, "The run will probably be done at {}, after its deadline {}{because}", at(expected.end), at(deadline));
            known.told = Some(expected);
        }
        self.known(|all| all.insert(run.run_id.clone(), known));
        Ok(())
    }

    async fn usual(&self, dag: &Dag) -> Result<BTreeMap<JobName, SignedDuration>, StoreError> {
        let mut usual = BTreeMap::new();
        for job in dag.jobs.keys() {
            let durations = self.store.durations(&dag.name, job, forecast::HISTORY).await?;
            usual.extend(forecast::usual(&durations).map(|takes| (job.clone(), takes)));
        }
        Ok(usual)
    }

    fn known<T>(&self, with: impl FnOnce(&mut BTreeMap<RunId, Known>) -> T) -> T {
        with(&mut self.told.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What is known of a night that has no digest.
pub(super) struct WithoutDigest<'a> {
    /// The name of its DAG.
    pub(super) name: &'a DagName,
    /// Its DAG, where the file can be read.
    pub(super) dag: Option<&'a Dag>,
    /// Its logical date.
    pub(super) logical_date: Date,
    /// How far it has come.
    pub(super) end: NightEnd,
    /// The last night before it that has one.
    pub(super) last_digest: Option<Date>,
    /// When it was due.
    pub(super) deadline: Option<Timestamp>,
    /// When it was looked at.
    pub(super) seen_at: Timestamp,
}

/// Returns what is known of a night, with what the configuration says of its site.
pub(super) fn night(config: &Config, known: WithoutDigest<'_>) -> Night {
    let WithoutDigest { name, dag, logical_date, end, last_digest, deadline, seen_at } = known;
    Night {
        institution: config.institution.name.clone(),
        dag: name.clone(),
        logical_date,
        zone: dag.map_or_else(|| config.institution.timezone.clone(), |dag| dag.timezone.clone()),
        is_simulation: config.sources.values().all(|source| source.kind == SourceKind::Simulation),
        n_jobs: dag.map_or(0, |dag| dag.jobs.len()),
        end,
        last_digest,
        seen_at,
        deadline,
        contact: config.mail.reply_to.clone(),
    }
}

/// Returns the e-mail about a night that has no digest.
pub(super) fn notice(
    config: &Config,
    renderer: &Renderer,
    night: &Night,
    (audience, to): (&str, Vec<Recipient>),
) -> anyhow::Result<MailRecord> {
    let email = renderer.failure(&FailureView::of(night))?;
    let addresses = Addresses {
        from: config.mail.from.clone(),
        reply_to: config.mail.reply_to.clone(),
        audience: audience.to_owned(),
        to,
        unsubscribe_url: None,
    };
    Ok(compose(&email, &addresses, night.seen_at)?)
}

fn recipients(n: usize) -> String {
    if n == 1 { "one recipient".to_owned() } else { format!("each of {n} recipients") }
}
