//! What every job body may use: the lake, the configuration, the clock, the sources.
//!
//! `app` makes the only value of it; bodies get it through their `JobContext`. Nothing in it changes during a run.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use futures::future::BoxFuture;
use secrecy::SecretString;

use crate::canvas::privacy::PrivacyKey;
use crate::config::{Config, SecretError, SecretReference};
use crate::domain::clock::Clock;
use crate::domain::source::FileSource;
use crate::engine::process::MemoryMeans;
use crate::lake::Lake;

/// Opens a folder or prefix as a source of files.
pub type OpenSource = dyn Fn(String) -> BoxFuture<'static, anyhow::Result<Arc<dyn FileSource>>> + Send + Sync;

/// Resolves a reference to a secret.
pub type ResolveSecret = dyn Fn(&SecretReference) -> Result<SecretString, SecretError> + Send + Sync;

/// What job bodies may use.
pub struct Environment {
    /// The configuration.
    pub config: Arc<Config>,
    /// The lake.
    pub lake: Lake,
    /// The clock, only for timestamps in e-mail; what is computed depends on the logical date.
    pub clock: Arc<dyn Clock>,
    /// The pseudonym key, where one is configured.
    pub privacy_key: Option<PrivacyKey>,
    /// Opens a source's folder or prefix.
    pub open_source: Box<OpenSource>,
    /// What a `command` inherits from the process's environment.
    pub inherited: BTreeMap<String, String>,
    /// Resolves the secrets of a `command`.
    pub resolve_secret: Box<ResolveSecret>,
    /// Returns the means by which the memory of a `command` is limited.
    pub memory_means: fn() -> MemoryMeans,
}

impl Environment {
    /// Returns the folder for scratch files, creating it if it is missing.
    ///
    /// # Errors
    /// When it cannot be created.
    pub fn scratch(&self) -> anyhow::Result<&Path> {
        use anyhow::Context as _;
        let scratch = &self.config.paths.scratch;
        std::fs::create_dir_all(scratch).with_context(|| format!("making the folder {}", scratch.display()))?;
        Ok(scratch)
    }
}
