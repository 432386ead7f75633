//! The composition root: the only place that makes adapters and joins them.
//!
//! `dags` reads the DAG files, `lock` owns the data folder, `signals` hears Ctrl-C, `settle` does what follows a
//! commit, `outbox` sends, `deadlines` tells when a night is late, `watchdog` when the owner is dead, `words` is what a
//! run prints about itself.

mod claims;
mod dags;
mod deadlines;
mod lock;
mod outbox;
mod settle;
mod signals;
mod watchdog;
mod words;

pub use dags::Dags;
pub use lock::SchedulerLock;
pub use signals::Signals;
pub use watchdog::{Watch, Watchdog};

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::civil::Date;
use secrecy::ExposeSecret as _;
use tokio_util::sync::CancellationToken;

use crate::canvas::privacy::PrivacyKey;
use crate::config::{Config, Environment as Variables, Layers, LogFormat, Use, process_environment};
use crate::domain::clock::Clock;
use crate::domain::dag::Dag;
use crate::domain::document::Mistakes;
use crate::domain::schedule::parse_zone;
use crate::engine::thread::ThreadIsolation;
use crate::engine::{Engine, scheduler};
use crate::jobs::{Environment, Kinds};
use crate::lake::{Lake, LakeError, LakeOptions};
use crate::store::{self, MailRow, StateStore, StoreError};
use crate::telemetry::{self, SystemClock};

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
    settle: Arc<settle::Settle>,
    outbox: Arc<outbox::Outbox>,
    deadlines: deadlines::Deadlines,
}

/// Why the house cannot be put together, or what was asked for is not there.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// The configuration is not valid.
    #[error("the configuration is not valid")]
    Config(#[source] Mistakes),
    /// A DAG file is not valid.
    #[error("the DAG is not valid")]
    Dag(#[source] Mistakes),
    /// There is no such DAG.
    #[error("there is no DAG `{name}` in {folder}; there are: {known}")]
    NoDag {
        /// What was asked for.
        name: String,
        /// Where DAGs are.
        folder: String,
        /// Those there are.
        known: String,
    },
    /// A file or folder cannot be read or made.
    #[error("reading or making {path}")]
    File {
        /// The path.
        path: String,
        /// The cause.
        #[source]
        cause: std::io::Error,
    },
    /// A secret cannot be had.
    #[error("a secret that the configuration refers to cannot be had")]
    Secret(#[from] crate::config::SecretError),
    /// The pseudonym key is not usable.
    #[error("the pseudonym key (`privacy.key`) is not usable")]
    Key(#[from] crate::canvas::privacy::PrivacyError),
    /// The state store cannot be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The lake cannot be opened.
    #[error(transparent)]
    Lake(#[from] LakeError),
    /// The scheduler failed.
    #[error(transparent)]
    Scheduler(#[from] scheduler::SchedulerError),
    /// Logging cannot be started.
    #[error("starting the log: `log.filter` is not usable: {0}")]
    Log(String),
    /// E-mail is configured wrongly.
    #[error("e-mail is not usable as configured")]
    Mail(#[source] anyhow::Error),
}

impl App {
    /// Reads the configuration and puts the house together.
    ///
    /// # Errors
    /// With what is wrong in the configuration, or what cannot be reached.
    pub async fn open(files: &[PathBuf], purpose: Use) -> Result<Self, AppError> {
        let variables = process_environment();
        let config = Layers::read(files, variables.clone()).and_then(|layers| layers.config_for(purpose));
        let config = config.map_err(AppError::Config)?;
        let format = match config.log.format {
            LogFormat::Text => telemetry::LogFormat::Text,
            LogFormat::Json => telemetry::LogFormat::Json,
        };
        telemetry::init(format, &config.log.filter, &config.paths.logs)
            .map_err(|error| AppError::Log(error.to_string()))?;
        make_folder(&config.paths.state)?;
        make_folder(&config.paths.scratch)?;
        Self::with(config, variables, Arc::new(SystemClock)).await
    }

    /// Puts the house together from a configuration, an environment and a clock.
    ///
    /// # Errors
    /// When something cannot be opened.
    pub async fn with(config: Config, variables: Variables, clock: Arc<dyn Clock>) -> Result<Self, AppError> {
        let store = store::open(&config.state.url).await?;
        let lake = Lake::open(lake_options(&config, &variables, &config.lake.url)?).await?;
        let privacy_key = match &config.privacy.key {
            None => None,
            Some(reference) => Some(PrivacyKey::new(reference.resolve(&variables)?.expose_secret().as_bytes())?),
        };
        let config = Arc::new(config);
        let owner = format!("{}-{}", std::process::id(), clock.now().as_microsecond());
        let outbox = outbox::Outbox::new(&config, &variables, Arc::clone(&store), Arc::clone(&clock), owner.clone())?;
        let outbox = Arc::new(outbox);
        let settle = Arc::new(settle::Settle::new(lake.clone(), Arc::clone(&store), Arc::clone(&outbox))?);
        let deadlines =
            deadlines::Deadlines::new(&config, Arc::clone(&store), Arc::clone(&clock), Arc::clone(&outbox))?;
        let environment = Environment {
            open_source: open_source(&config, &variables),
            config: Arc::clone(&config),
            lake: lake.clone(),
            clock: Arc::clone(&clock),
            privacy_key,
            inherited: inherited(&variables),
        };
        let engine = Engine {
            store: Arc::clone(&store),
            isolation: Arc::new(ThreadIsolation::new(Arc::new(Kinds(Arc::new(environment))))),
            after_commit: Arc::clone(&settle) as _,
            clock: Arc::clone(&clock),
            promises: Arc::new(deadlines::Owed(Arc::clone(&config))),
            owner,
            heartbeat: Duration::from_secs(config.engine.heartbeat_secs),
            stop_grace: Duration::from_secs(config.engine.stop_grace_secs),
        };
        Ok(Self { config, clock, store, lake, engine, settle, outbox, deadlines })
    }

    /// Returns the DAG `name`, with parameters set as `JOB.KEY=VALUE` says.
    ///
    /// # Errors
    /// When there is none, or it is not valid.
    pub fn dag_with(&self, name: &str, set: &[String]) -> Result<Dag, AppError> {
        Dags::of(&self.config).one_with(name, set)
    }

    /// Returns today's date in `zone`.
    ///
    /// # Errors
    /// When the zone is not known.
    pub fn today_in(&self, zone: &str) -> Result<Date, AppError> {
        let zone = parse_zone(zone).map_err(|error| AppError::Log(error.to_string()))?;
        Ok(self.clock.now().to_zoned(zone).date())
    }

    /// Takes the lock of the data folder; `None` when another process has it.
    ///
    /// # Errors
    /// When the folder cannot be used.
    pub fn lock(&self) -> Result<Option<SchedulerLock>, AppError> {
        SchedulerLock::take(&self.config.paths.state)
    }

    /// Cancels `cancel` at Ctrl-C or SIGTERM; what came is told afterwards.
    pub fn cancel_on_signal(&self, cancel: &CancellationToken) -> Signals {
        Signals::cancel(cancel)
    }

    /// Runs the schedules until cancelled.
    ///
    /// # Errors
    /// When the scheduler cannot go on.
    pub async fn daemon(&self, cancel: &CancellationToken) -> Result<(), AppError> {
        let dags = Dags::of(&self.config);
        self.repair(&dags.all_that_are_valid()).await?;
        Ok(self.beside(scheduler::run(&self.engine, || dags.all_that_are_valid(), cancel)).await?)
    }

    /// Looks at deadlines once: records what the watchdog did, tells what is due, and forecasts.
    ///
    /// # Errors
    /// When the state store or the claims cannot be used.
    pub async fn look_at_deadlines(&self) -> anyhow::Result<()> {
        self.deadlines.look().await
    }

    /// Does `work`, and beside it what the owner of the state store owes: sends e-mails, and looks at deadlines.
    pub async fn beside<T>(&self, work: impl Future<Output = T>) -> T {
        self.outbox.take_over().await;
        let ended = CancellationToken::new();
        let work = async {
            let done = work.await;
            ended.cancel();
            done
        };
        let (done, (), ()) = tokio::join!(work, self.outbox.run(&ended), self.deadlines.run(&ended));
        done
    }

    /// Repairs what a crash may have left between a commit and what follows it: pointers, and files under their names.
    ///
    /// # Errors
    /// When the state store cannot be read.
    pub async fn repair(&self, dags: &[Dag]) -> Result<(), StoreError> {
        self.settle.repair().await;
        for dag in dags {
            for job in dag.jobs.keys() {
                if let Some(last) = self.store.last_success(&dag.name, job, None).await? {
                    self.settle.files(&last.outcome).await;
                }
            }
        }
        Ok(())
    }

    /// Sends the e-mails that are due, and returns those that were not handed over. Only the owner sends.
    ///
    /// # Errors
    /// When the state store cannot be read.
    pub async fn send_due_mail(&self) -> Result<Vec<MailRow>, StoreError> {
        self.outbox.send_due().await;
        self.waiting_mail().await
    }

    /// Returns the e-mails that were tried and wait, and those that were given up lately and not made up for.
    ///
    /// # Errors
    /// When the state store cannot be read.
    pub async fn waiting_mail(&self) -> Result<Vec<MailRow>, StoreError> {
        self.outbox.unsent().await
    }
}

/// The lake's options for `url`: the lake itself, or a source's prefix.
fn lake_options(config: &Config, variables: &Variables, url: &str) -> Result<LakeOptions, AppError> {
    let lake = &config.lake;
    let secret = |reference: &Option<crate::config::SecretReference>| {
        reference.as_ref().map(|reference| reference.resolve(variables)).transpose()
    };
    Ok(LakeOptions {
        url: url.to_owned(),
        endpoint: lake.endpoint.clone(),
        region: lake.region.clone(),
        access_key_id: secret(&lake.access_key_id)?,
        secret_access_key: secret(&lake.secret_access_key)?,
        allow_http: lake.allow_http,
        scratch: config.paths.scratch.join("lake"),
    })
}

fn open_source(config: &Arc<Config>, variables: &Variables) -> Box<crate::jobs::environment::OpenSource> {
    let (config, variables) = (Arc::clone(config), variables.clone());
    Box::new(move |url| {
        let options = lake_options(&config, &variables, &url);
        Box::pin(async move { Ok(crate::lake::open_source(options?).await?) })
    })
}

/// What a `command` inherits: what programs need to be found and to print, and no secret.
fn inherited(variables: &Variables) -> Variables {
    let names = ["PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR"];
    variables.iter().filter(|(name, _)| names.contains(&name.as_str())).map(|(n, v)| (n.clone(), v.clone())).collect()
}

fn make_folder(path: &std::path::Path) -> Result<(), AppError> {
    std::fs::create_dir_all(path).map_err(|cause| AppError::File { path: path.display().to_string(), cause })
}
