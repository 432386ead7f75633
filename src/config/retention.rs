//! The section about what is kept, and for how long.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What is kept. Never deleted, whatever the limits: open runs, the newest of each DAG, what a current snapshot, a
/// model in use or a job's last success refers to, e-mails that were not sent, the audit log.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Retention {
    /// Days after which a finished run is deleted, with its jobs, attempts and the records of its snapshots.
    #[schemars(range(min = 1, max = 36_500))]
    pub run_days: u32,
    /// The most finished runs of a DAG that are kept.
    #[schemars(range(min = 1, max = 10_000_000))]
    pub runs: u32,
    /// The newest runs of a DAG that are kept, however old.
    #[schemars(range(min = 1, max = 10_000_000))]
    pub runs_at_least: u32,
    /// Days after which the events of a finished run are deleted.
    #[schemars(range(min = 1, max = 36_500))]
    pub event_days: u32,
    /// Days after which the outcome of a finished attempt is deleted.
    #[schemars(range(min = 1, max = 36_500))]
    pub outcome_days: u32,
    /// Days after which the text of a sent e-mail is deleted; the record that it was sent is kept.
    #[schemars(range(min = 1, max = 36_500))]
    pub mail_days: u32,
    /// Days after which what a night measured is deleted: the figures that later nights are compared with.
    #[schemars(range(min = 1, max = 36_500))]
    pub measurement_days: u32,
    /// Days after which a run's logs are deleted.
    #[schemars(range(min = 1, max = 36_500))]
    pub log_days: u32,
    /// The most runs whose logs are kept.
    #[schemars(range(min = 1, max = 10_000_000))]
    pub log_runs: u32,
    /// How much the logs may hold, in MiB; beyond it the oldest are deleted.
    #[schemars(range(min = 1, max = 100_000_000))]
    pub log_mib: u32,
}
