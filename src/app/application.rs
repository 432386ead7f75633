//! The program, put together: what commands ask of it, and what the owner of the state store does.
//!
//! `open` makes it. An owner does beside its work what every owner owes ([`App::as_owner`]): it keeps its tenure, settles
//! what must follow commits, sends e-mails and looks at deadlines.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::Date;
use tokio_util::sync::CancellationToken;
use tracing::info;

use super::dags::Dags;
use super::error::AppError;
use super::signals::{Interrupt, Signals};
use super::supervisor::{self, Supervisor};
use super::{deadlines, isolation, outbox, settle};
use crate::config::Config;
use crate::domain::clock::Clock;
use crate::domain::dag::{Dag, Job};
use crate::domain::outcome::{JobError, Outcome};
use crate::domain::run::RunState;
use crate::domain::schedule::parse_zone;
use crate::engine::persist::persist;
use crate::engine::{Engine, Stop, foresee, ownership, scheduler, settle as settling};
use crate::jobs::Kinds;
use crate::lake::Lake;
use crate::store::{MailRow, Role, RunFilter, StateStore, StoreError, Tenure, ToSettle};

/// How often a daemon looks whether anything is beyond its limits.
const KEEP: Duration = Duration::from_secs(600);

/// How long a command's run asks a state store that does not answer, before it is left for the next take-up.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

/// How long an owner asks a state store that does not answer when its tenure begins.
const TENURE_PATIENCE: Duration = Duration::from_secs(120);

/// How long a daemon's run asks: an attempt's work is not thrown away because a database restarts.
const DAEMON_PATIENCE: Duration = Duration::from_secs(600);

/// Everything, put together.
pub struct App {
    /// The configuration.
    pub config: Arc<Config>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// The state store.
    pub store: Arc<dyn StateStore>,
    /// The lake.
    pub lake: Lake,
    /// The engine.
    pub engine: Engine,
    /// The DAG files.
    pub dags: Dags,
    /// Whose account runs this program.
    pub account: String,
    /// The kinds of job, in this process.
    pub(super) runners: Kinds,
    /// Which process this is: unique.
    pub(super) owner: String,
    pub(super) settle: Arc<settle::Settle>,
    pub(super) outbox: Arc<outbox::Outbox>,
    pub(super) deadlines: deadlines::Deadlines,
    pub(super) supervisor: Supervisor,
}

impl App {
    /// Returns the DAG `name`, with parameters set as `JOB.KEY=VALUE` says.
    ///
    /// # Errors
    /// When there is none, or it is not valid.
    pub fn dag_with(&self, name: &str, set: &[String]) -> Result<Dag, AppError> {
        self.dags.one_with(name, set)
    }

    /// Returns what each job of a run would do, in the order of execution.
    ///
    /// # Errors
    /// When the state store cannot be read.
    pub async fn foresee(&self, wanted: &foresee::Wanted<'_>) -> Result<Vec<foresee::Foreseen>, StoreError> {
        foresee::foresee(&*self.store, &self.runners, wanted).await
    }

    /// Does a job's work on what is committed now, and commits nothing.
    ///
    /// # Errors
    /// When the state store cannot be read.
    pub async fn rehearse(
        &self,
        wanted: &foresee::Wanted<'_>,
        job: &Job,
    ) -> Result<Result<Outcome, JobError>, StoreError> {
        foresee::rehearse(&*self.store, &self.runners, wanted, job).await
    }

    /// Returns today's date in `zone`.
    ///
    /// # Errors
    /// When the zone is not known.
    pub fn today_in(&self, zone: &str) -> Result<Date, AppError> {
        let zone = parse_zone(zone).map_err(|error| AppError::Log(error.to_string()))?;
        Ok(self.clock.now().to_zoned(zone).date())
    }

    /// Becomes the owner of the state store; `None` when another is.
    ///
    /// # Errors
    /// When the state store cannot be reached.
    pub async fn own(&self, role: Role) -> Result<Option<Tenure>, AppError> {
        let tenure = ownership::acquire(&*self.store, &self.owner, role).await?;
        tenure.map(|tenure| self.has_become_owner(tenure)).transpose()
    }

    /// Waits until it is the owner of the state store; `None` when it was told to stop before.
    ///
    /// # Errors
    /// When the state store fails in a way that will not pass.
    pub async fn stand_by(&self, role: Role, stop: &CancellationToken) -> Result<Option<Tenure>, AppError> {
        let waits = || self.supervisor.goes_round(|| "Standing by: another scheduler owns the state store".to_owned());
        let tenure = ownership::stand_by(&*self.store, (&self.owner, role), stop, &waits).await?;
        if tenure.is_none() {
            self.supervisor.is_stopping("Ending: it was told to, while standing by");
        }
        tenure.map(|tenure| self.has_become_owner(tenure)).transpose()
    }

    /// Ends what a dead owner's attempts have left running on this machine.
    fn has_become_owner(&self, tenure: Tenure) -> Result<Tenure, AppError> {
        isolation::end_survivors(&self.config)?;
        info!("{}", isolation::means());
        Ok(tenure)
    }

    /// Returns what the owner of the state store does; `None` when there is none.
    ///
    /// # Errors
    /// When the state store cannot be reached.
    pub async fn owner(&self) -> Result<Option<Role>, StoreError> {
        ownership::is_owned(&*self.store).await
    }

    /// Listens for signals until what it returns is dropped.
    pub fn listen(&self, stop: &Stop, interrupt: Interrupt) -> Signals {
        Signals::listen(stop, interrupt)
    }

    /// Runs the schedules as the owner until told to stop.
    ///
    /// # Errors
    /// When the scheduler cannot go on.
    pub async fn daemon(&self, tenure: &Tenure, stop: &CancellationToken) -> Result<(), AppError> {
        self.supervisor.begins("Looking through what the last owner may have left undone");
        self.begin_tenure().await?;
        self.supervisor.begins("Beginning the schedules");
        // The scheduler asks for the DAGs each time that it looks: when it does not, it hangs.
        let dags = || {
            let dags = self.dags.all_that_are_valid();
            self.supervisor.goes_round(|| supervisor::at_work(&dags, self.clock.now()));
            dags
        };
        let ended = CancellationToken::new();
        let engine = Engine { patience: DAEMON_PATIENCE, ..self.engine.clone() };
        let schedule = async {
            let end = scheduler::run(&engine, tenure, &dags, stop).await;
            ended.cancel();
            end
        };
        let keep = self.keep_again_and_again(&ended);
        let ending = async {
            if ended.run_until_cancelled(stop.cancelled()).await.is_some() {
                self.supervisor.is_stopping("Ending: waiting for what runs; the next start goes on with it");
            }
        };
        let (end, (), ()) = self.as_owner(tenure, async { tokio::join!(schedule, keep, ending) }).await;
        end?;
        self.settle_all().await?;
        Ok(self.store.resign_ownership(tenure).await?)
    }

    /// Looks at deadlines once: records what the watchdog did, tells what is due, and forecasts.
    ///
    /// # Errors
    /// When the state store or the claims cannot be used.
    pub async fn look_at_deadlines(&self) -> anyhow::Result<()> {
        self.deadlines.look().await
    }

    /// Does what every owner does first: looks through what earlier ones may have left undone.
    ///
    /// # Errors
    /// When the state store cannot be read or written, or the lake cannot be read.
    pub async fn begin_tenure(&self) -> Result<(), AppError> {
        self.outbox.take_over().await;
        if persist(TENURE_PATIENCE, || self.was_cut_off()).await? {
            self.lake.remove_half_written().await?;
        }
        Ok(persist(TENURE_PATIENCE, || self.store.want_all_settled(self.clock.now())).await?)
    }

    /// Whether the last owner left something under way.
    async fn was_cut_off(&self) -> Result<bool, StoreError> {
        let open = self.store.runs(&RunFilter { open: true, ..RunFilter::default() }).await?;
        let is_running = open.iter().any(|run| run.state == RunState::Running);
        Ok(is_running || !self.store.to_settle(Timestamp::MAX).await?.is_empty())
    }

    /// Carries `work` out as the owner, and beside it what an owner owes: it keeps its tenure, does what must follow
    /// commits, sends e-mails, and looks at deadlines.
    pub async fn as_owner<T>(&self, tenure: &Tenure, work: impl Future<Output = T>) -> T {
        let ended = CancellationToken::new();
        let work = async {
            let done = work.await;
            ended.cancel();
            done
        };
        let settle = settling::run(&self.engine, &*self.settle, &ended);
        let keep = ownership::keep(&*self.store, tenure, &ended);
        let (done, (), (), (), ()) =
            tokio::join!(work, settle, keep, self.outbox.run(&ended), self.deadlines.run(&ended));
        done
    }

    /// Settles what is due now, and returns what could not be.
    ///
    /// # Errors
    /// When the state store cannot be read or written.
    pub async fn settle_all(&self) -> Result<Vec<ToSettle>, StoreError> {
        settling::settle_due(&self.engine, &*self.settle).await
    }

    async fn keep_again_and_again(&self, stop: &CancellationToken) {
        let mut tick = tokio::time::interval(KEEP);
        while stop.run_until_cancelled(tick.tick()).await.is_some() {
            self.keep_within_limits().await;
        }
    }

    /// Sends the e-mails that are due, and returns those that were not handed over. Only the owner sends.
    ///
    /// # Errors
    /// When the state store cannot be read.
    pub async fn send_due_mail(&self) -> Result<Vec<MailRow>, StoreError> {
        self.outbox.send_due().await;
        self.waiting_mail().await
    }

    /// Hands over, as the owner, every e-mail that waits, whenever its next try was to be; then it is the owner no more.
    ///
    /// # Errors
    /// When the state store cannot be read or written.
    pub async fn send_waiting(&self, tenure: &Tenure) -> Result<(), StoreError> {
        let ended = CancellationToken::new();
        let sending = async {
            self.outbox.take_over().await;
            let hurried = self.store.mail_hurry(self.clock.now()).await;
            if hurried.is_ok() {
                self.outbox.send_due().await;
            }
            ended.cancel();
            hurried
        };
        let (hurried, ()) = tokio::join!(sending, ownership::keep(&*self.store, tenure, &ended));
        hurried?;
        self.store.resign_ownership(tenure).await
    }

    /// Returns the e-mails that were tried and wait, and those that were given up lately and not made up for.
    ///
    /// # Errors
    /// When the state store cannot be read.
    pub async fn waiting_mail(&self) -> Result<Vec<MailRow>, StoreError> {
        self.outbox.unsent().await
    }
}
