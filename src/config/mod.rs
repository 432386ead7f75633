//! The configuration: layered, validated once at start, all mistakes at once.
//!
//! Layers, later ones take precedence: the embedded `config/default.toml` (every key, commented, works as it is), each
//! `--config FILE`, and the environment (`NOCTURNE__SECTION__KEY`). Nothing else in the program reads the environment.
//! Secrets are references (`env:NAME`, `file:PATH`), resolved where they are used.
//!
//! How to add a key: a field with a doc comment in its section's struct, and the key with its comment in
//! `config/default.toml`; a test checks that the two agree.

mod account;
mod analysis;
mod checks;
mod dump;
mod environment;
mod layers;
mod mail;
mod origins;
mod places;
mod retention;
mod secret;
mod size;
mod sources;
#[cfg(test)]
mod tests;
mod watchdog;

pub use account::account;
pub use analysis::{Drift, Features, Labels, Population, Quality};
pub use dump::Setting;
pub use environment::{process_environment, start_again_without};
pub use layers::{Environment, Layers, Use};
pub use mail::{Mail, MailAddress, MailTransport, Security, parse_mailbox};
pub use places::{Engine, Institution, Isolation, Lake, Log, LogFormat, Paths, State};
pub use retention::Retention;
pub use secret::{SecretError, SecretReference, variables_in};
pub use size::Size;
pub use sources::{Privacy, Simulation, Source, SourceKind};
pub use watchdog::Watchdog;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The whole configuration.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The institution, as reports name it.
    pub institution: Institution,
    /// Folders.
    pub paths: Paths,
    /// The state store.
    pub state: State,
    /// The lake.
    pub lake: Lake,
    /// Where student data come from, by name.
    pub sources: BTreeMap<String, Source>,
    /// The simulated institution.
    pub simulation: Simulation,
    /// Pseudonyms.
    pub privacy: Privacy,
    /// Who counts.
    pub population: Population,
    /// When labels are known and what they mean.
    pub labels: Labels,
    /// Feature partitions.
    pub features: Features,
    /// Limits of the quality checks.
    pub quality: Quality,
    /// Limits of drift.
    pub drift: Drift,
    /// E-mail.
    pub mail: Mail,
    /// The watchdog.
    pub watchdog: Watchdog,
    /// The engine.
    pub engine: Engine,
    /// Logs.
    pub log: Log,
    /// What is kept, and for how long.
    pub retention: Retention,
}

/// The embedded defaults.
pub const DEFAULT: &str = include_str!("../../config/default.toml");
