//! Puts together what job bodies use, in this process or in a child: the lake, the sources, the pseudonyms' key and
//! the secrets.
//!
//! A secret that the configuration refers to is read here or when a body asks for it, and kept nowhere else.

use std::sync::Arc;

use secrecy::ExposeSecret as _;

use super::error::AppError;
use super::isolation;
use crate::canvas::privacy::PrivacyKey;
use crate::config::{Config, Environment as Variables};
use crate::domain::clock::Clock;
use crate::engine::process::MemoryMeans;
use crate::jobs::Environment;
use crate::lake::{IfMissing, Lake, LakeOptions};

/// What an environment of job bodies is made with, besides the configuration.
pub(super) struct EnvironmentParts {
    /// The clock.
    pub(super) clock: Arc<dyn Clock>,
    /// Returns by which means memory is limited.
    pub(super) memory_means: fn() -> MemoryMeans,
    /// What becomes of a lake that is not there.
    pub(super) lake: IfMissing,
}

/// Puts together what job bodies use: in this process, or in a child.
pub(super) async fn environment(
    config: &Arc<Config>,
    variables: &Variables,
    parts: EnvironmentParts,
) -> Result<Environment, AppError> {
    let privacy_key = match &config.privacy.key {
        None => None,
        Some(reference) => Some(PrivacyKey::new(reference.resolve(variables)?.expose_secret().as_bytes())?),
    };
    let known = variables.clone();
    let options = LakeOptions { if_missing: parts.lake, ..lake_options(config, variables, &config.lake.url)? };
    Ok(Environment {
        open_source: open_source(config, variables),
        config: Arc::clone(config),
        lake: Lake::open(options).await?,
        clock: parts.clock,
        privacy_key,
        inherited: isolation::inherited(variables),
        resolve_secret: Box::new(move |reference| reference.resolve(&known)),
        memory_means: parts.memory_means,
    })
}

/// The lake's options for `url`: the lake itself, or a source's prefix.
pub(super) fn lake_options(config: &Config, variables: &Variables, url: &str) -> Result<LakeOptions, AppError> {
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
        if_missing: IfMissing::Create,
    })
}

fn open_source(config: &Arc<Config>, variables: &Variables) -> Box<crate::jobs::environment::OpenSource> {
    let (config, variables) = (Arc::clone(config), variables.clone());
    Box::new(move |url| {
        let options = lake_options(&config, &variables, &url);
        Box::pin(async move { Ok(crate::lake::open_source(options?).await?) })
    })
}
