//! Puts the program together from its configuration: the only place that makes adapters.
//!
//! For a command that only reads, nothing is made, migrated or written: a missing state store is an error, a missing
//! lake is empty, and logs go only to standard error.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::application::{App, PATIENCE};
use super::dags::Dags;
use super::environment::{EnvironmentParts, environment, lake_options};
use super::error::AppError;
use super::supervisor::Supervisor;
use super::{deadlines, isolation, outbox, settle};
use crate::config::{Config, Environment as Variables, Layers, LogFormat, Use, account, process_environment};
use crate::domain::clock::Clock;
use crate::domain::spec::KindCatalogue as _;
use crate::engine::Engine;
use crate::jobs::{KindNames, Kinds};
use crate::lake::{IfMissing, Lake, LakeOptions};
use crate::store::{self, StateStore, StoreError};
use crate::telemetry::{self, SystemClock};

/// What the program is put together from, besides the state store.
struct Surroundings {
    config: Config,
    variables: Variables,
    clock: Arc<dyn Clock>,
    /// What becomes of a lake that is not there.
    lake: IfMissing,
}

impl Surroundings {
    /// Returns those of a program that only looks at the lake.
    fn to_look(config: Config, variables: Variables) -> Self {
        Self { config, variables, clock: Arc::new(SystemClock), lake: IfMissing::Empty }
    }
}

impl App {
    /// Reads the configuration and puts the program together for `purpose`.
    ///
    /// # Errors
    /// With what is wrong in the configuration, or what cannot be reached.
    pub async fn open(files: &[PathBuf], purpose: Use) -> Result<Self, AppError> {
        let variables = process_environment();
        let config = configuration(files, &variables, purpose)?;
        start_log(&config, purpose)?;
        if purpose == Use::Looking {
            let store = store::look(&config.state.url).await?;
            return Self::over(store, Surroundings::to_look(config, variables)).await;
        }
        make_folder(&config.paths.state)?;
        make_folder(&config.paths.scratch)?;
        Self::with(config, variables, Arc::new(SystemClock)).await
    }

    /// Puts the program together to say what a run would do: it only reads, and what it must write for that goes into
    /// `scratch`, which the caller removes.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub async fn foreseeing(files: &[PathBuf], scratch: &Path) -> Result<Self, AppError> {
        let variables = process_environment();
        let mut config = configuration(files, &variables, Use::Nights)?;
        start_log(&config, Use::Looking)?;
        scratch.clone_into(&mut config.paths.scratch);
        match store::look(&config.state.url).await {
            Ok(store) => Self::over(store, Surroundings::to_look(config, variables)).await,
            // Before the first night everything would run: an empty state store gives that answer.
            Err(StoreError::Missing { .. }) => {
                let store = store::open(&format!("sqlite://{}", scratch.join("empty.db").display())).await?;
                Self::over(store, Surroundings::to_look(config, variables)).await
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Returns the lake alone, for those who only look at it.
    ///
    /// # Errors
    /// With what is wrong in the configuration, or when the lake cannot be reached.
    pub async fn lake_to_look_at(files: &[PathBuf]) -> Result<Lake, AppError> {
        let variables = process_environment();
        let config = configuration(files, &variables, Use::Looking)?;
        start_log(&config, Use::Looking)?;
        let options = lake_options(&config, &variables, &config.lake.url)?;
        Ok(Lake::open(LakeOptions { if_missing: IfMissing::Empty, ..options }).await?)
    }

    /// Puts the program together from a configuration, an environment and a clock.
    ///
    /// # Errors
    /// When something cannot be opened.
    pub async fn with(config: Config, variables: Variables, clock: Arc<dyn Clock>) -> Result<Self, AppError> {
        let store = store::open(&config.state.url).await?;
        Self::over(store, Surroundings { config, variables, clock, lake: IfMissing::Create }).await
    }

    async fn over(store: Arc<dyn StateStore>, surroundings: Surroundings) -> Result<Self, AppError> {
        let Surroundings { config, variables, clock, lake } = surroundings;
        let config = Arc::new(config);
        let parts = EnvironmentParts { clock: Arc::clone(&clock), memory_means: isolation::means, lake };
        let environment = Arc::new(environment(&config, &variables, parts).await?);
        let lake = environment.lake.clone();
        let owner = format!("{}-{}", std::process::id(), clock.now().as_microsecond());
        let parts = outbox::OutboxParts { store: Arc::clone(&store), clock: Arc::clone(&clock), owner: owner.clone() };
        let outbox = Arc::new(outbox::Outbox::new(&config, &variables, parts)?);
        let adapters = (lake.clone(), Arc::clone(&store), Arc::clone(&outbox));
        let settle = Arc::new(settle::Settle::new(&config, adapters, environment.privacy_key.clone())?);
        let deadlines =
            deadlines::Deadlines::new(&config, Arc::clone(&store), Arc::clone(&clock), Arc::clone(&outbox))?;
        let engine = Engine {
            store: Arc::clone(&store),
            isolation: isolation::isolation(Arc::clone(&environment), &variables)?,
            clock: Arc::clone(&clock),
            promises: Arc::new(deadlines::Owed(Arc::clone(&config))),
            committed: Arc::default(),
            poll: Duration::from_secs(config.engine.heartbeat_secs),
            stop_grace: Duration::from_secs(config.engine.stop_grace_secs),
            patience: PATIENCE,
        };
        let (runners, dags) = (Kinds(environment), Dags::of(&config));
        let account = account(&variables);
        let supervisor = Supervisor::of(&variables);
        Ok(Self {
            config,
            clock,
            store,
            lake,
            engine,
            dags,
            account,
            runners,
            owner,
            settle,
            outbox,
            deadlines,
            supervisor,
        })
    }
}

pub(super) fn configuration(files: &[PathBuf], variables: &Variables, purpose: Use) -> Result<Config, AppError> {
    let layers = Layers::read(files, variables.clone()).map_err(AppError::Config)?;
    layers.with_kinds(KindNames.kinds()).config_for(purpose).map_err(AppError::Config)
}

pub(super) fn start_log(config: &Config, purpose: Use) -> Result<(), AppError> {
    let format = match config.log.format {
        LogFormat::Text => telemetry::LogFormat::Text,
        LogFormat::Json => telemetry::LogFormat::Json,
    };
    let attempts = (purpose == Use::Nights)
        .then(|| telemetry::AttemptLogs { folder: config.paths.logs.clone(), bytes: config.log.attempt_bytes.bytes() });
    telemetry::init(format, &config.log.filter, attempts).map_err(|error| AppError::Log(error.to_string()))
}

fn make_folder(path: &Path) -> Result<(), AppError> {
    std::fs::create_dir_all(path).map_err(|cause| AppError::File { path: path.display().to_string(), cause })
}
