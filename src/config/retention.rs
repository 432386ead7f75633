//! The section about what is kept, and for how long.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What is kept. Never deleted, whatever the limits: open runs, the newest of each DAG, what a current snapshot, a model
/// in use or a job's last success refers to, e-mails that were not sent, the audit log.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Retention {
    /// Days after which a finished run goes, with its jobs, attempts and the records of its snapshots.
    #[schemars(range(min = 1, max = 36_500))]
    pub run_days: u32,
    /// Finished runs of a DAG that are kept at most.
    #[schemars(range(min = 1, max = 10_000_000))]
    pub runs: u32,
    /// The newest runs of a DAG that are kept, however old.
    #[schemars(range(min = 1, max = 10_000_000))]
    pub runs_at_least: u32,
    /// Days after which the events of a finished run go.
    #[schemars(range(min = 1, max = 36_500))]
    pub event_days: u32,
    /// Days after which what a finished attempt returned goes.
    #[schemars(range(min = 1, max = 36_500))]
    pub outcome_days: u32,
    /// Days after which the text of an e-mail that was sent goes; that it was sent stays.
    #[schemars(range(min = 1, max = 36_500))]
    pub mail_days: u32,
    /// Days after which a run's logs go.
    #[schemars(range(min = 1, max = 36_500))]
    pub log_days: u32,
    /// Runs of which the logs are kept at most.
    #[schemars(range(min = 1, max = 10_000_000))]
    pub log_runs: u32,
    /// How much the logs may hold, in MiB; beyond it the oldest go.
    #[schemars(range(min = 1, max = 100_000_000))]
    pub log_mib: u32,
}
