//! The whole configuration: a section in each field, and the embedded text that gives every key its default.
//!
//! The sections are in files of their own; what they must say together is in `checks`.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::alerts::Alerts;
use super::analysis::{Drift, Features, Labels, Population, Quality};
use super::mail::Mail;
use super::places::{Engine, Institution, Lake, Log, Paths, State};
use super::retention::Retention;
use super::secret::variables_in;
use super::sources::{Privacy, Simulation, Source};
use super::watchdog::Watchdog;

/// The embedded defaults.
pub const DEFAULT: &str = include_str!("../../config/default.toml");

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
    /// Who is told of alerts.
    pub alerts: Alerts,
    /// The watchdog.
    pub watchdog: Watchdog,
    /// The engine.
    pub engine: Engine,
    /// Logs.
    pub log: Log,
    /// What is kept, and for how long.
    pub retention: Retention,
}

impl Config {
    /// Returns the environment variables that references of this configuration name.
    pub fn secret_variables(&self) -> BTreeSet<String> {
        // Every reference is a text in the configuration's own form; a path that is not UTF-8 has no such form.
        let mut names = BTreeSet::new();
        if let Ok(whole) = serde_json::to_value(self) {
            variables_in(&whole, &mut names);
        }
        names
    }
}
