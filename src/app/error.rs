//! The errors that keep the program from being put together, each with what failed and on what.

use crate::domain::document::Mistakes;
use crate::engine::scheduler;
use crate::lake::LakeError;
use crate::store::StoreError;

/// Why the program cannot be put together, or what was asked for is not there.
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
        /// The existing ones.
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
    /// A secret is not available.
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
    /// The configuration cannot be handed to a child process.
    #[error("the configuration cannot be handed to a child process: {0}")]
    Setup(String),
    /// E-mail is configured wrongly.
    #[error("e-mail is not usable as configured")]
    Mail(#[source] anyhow::Error),
}
