//! The sections that say where things are: the institution, folders, stores, the engine, logs.

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::secret::SecretReference;
use super::size::Size;

/// The institution, as reports name it.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Institution {
    /// Its name.
    pub name: String,
    /// The IANA zone of its dates; a DAG may state another.
    pub timezone: String,
    /// A line that must be shown wherever its data are shown, such as the licence of an open data set.
    pub attribution: Option<String>,
}

/// Folders, relative to the working directory.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Paths {
    /// What the program keeps: the scheduler's lock, the identity map.
    pub state: PathBuf,
    /// DAG files.
    pub jobs: PathBuf,
    /// Feature sets and labels of the site; those of the program are used where the folder is missing.
    pub sql: PathBuf,
    /// Model recipes.
    pub models: PathBuf,
    /// Quality rules.
    pub quality: PathBuf,
    /// The file of alerts' routes; where it is missing there are none but those of other configuration files.
    pub alerts: PathBuf,
    /// Scratch files: may be emptied between runs.
    pub scratch: PathBuf,
    /// Logs of attempts.
    pub logs: PathBuf,
}

/// The state store.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// `sqlite://PATH` or `postgres://…`.
    pub url: String,
}

/// The lake.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Lake {
    /// A folder, `memory://` or `s3://bucket/prefix`.
    pub url: String,
    /// The endpoint of an S3-compatible store; without it AWS's.
    pub endpoint: Option<String>,
    /// The region.
    pub region: Option<String>,
    /// The access key's id.
    pub access_key_id: Option<SecretReference>,
    /// The secret access key.
    pub secret_access_key: Option<SecretReference>,
    /// Whether plain HTTP is allowed: on loopback and in closed networks only.
    pub allow_http: bool,
}

/// The engine.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Engine {
    /// How often to look for a request to cancel a run, in seconds.
    #[schemars(range(min = 1, max = 60))]
    pub heartbeat_secs: u64,
    /// How long an attempt may take after it, or its process, was told to end, in seconds.
    #[schemars(range(min = 0, max = 3600))]
    pub stop_grace_secs: u64,
    /// Where the bodies of jobs run.
    pub isolation: Isolation,
    /// The most memory that an attempt may use, together with all that it has started.
    pub memory: Size,
    /// A different limit for attempts of a kind, by the kind's name.
    pub memory_by_kind: BTreeMap<String, Size>,
}

impl Engine {
    /// Returns the memory limit of a kind in bytes, and the key that sets it.
    pub fn memory_of(&self, kind: &str) -> (u64, String) {
        match self.memory_by_kind.get(kind) {
            Some(size) => (size.bytes(), format!("engine.memory_by_kind.{kind}")),
            None => (self.memory.bytes(), "engine.memory".to_owned()),
        }
    }
}

/// Where the bodies of jobs run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Isolation {
    /// Each attempt in a child process of its own, which can be stopped, limited and lost alone.
    Process,
    /// In threads of this process, for tests and debugging: nothing can be stopped from outside or limited.
    Thread,
}

/// Logs.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Log {
    /// How lines look.
    pub format: LogFormat,
    /// Which lines, in tracing's words, such as `warn,nocturne=info`.
    pub filter: String,
    /// How long an attempt's log may get; what comes after that is counted and dropped.
    pub attempt_bytes: Size,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object per line.
    Json,
}
