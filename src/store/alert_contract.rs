//! The part of the contract about alerts: which there are, and what people do about them.

use async_trait::async_trait;
use jiff::Timestamp;
use jiff::civil::Date;
use schemars::JsonSchema;
use serde::Serialize;

use super::error::StoreError;
use crate::domain::alert::{AlertEvent, Silence, StandingAlert};
use crate::domain::ids::DagName;
use crate::domain::manual::Manual;

/// Which alerts are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// Those that stand.
    Standing,
    /// Those that were resolved as well.
    All,
}

/// What became of an alert.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct AlertNews {
    /// The alert.
    pub alert: String,
    /// The night.
    #[schemars(with = "String")]
    pub logical_date: Date,
    /// What became of it.
    pub event: AlertEvent,
    /// When that was recorded.
    #[schemars(with = "String")]
    pub at: Timestamp,
}

/// What is kept of alerts. A night's commit writes them.
///
/// # Errors
/// As [`StateStore`](super::StateStore): after any error nothing was written.
#[async_trait]
pub trait AlertBook: Send + Sync {
    /// Returns alerts of all DAGs, newest first, at most `most`.
    async fn alerts(&self, which: Which, most: u32) -> Result<Vec<StandingAlert>, StoreError>;

    /// Returns the alerts of a DAG that the night of `date` knows: those that stand, and those resolved a short time ago, by
    /// this night too.
    async fn alerts_standing_in(&self, dag: &DagName, date: Date) -> Result<Vec<StandingAlert>, StoreError>;

    /// Records that somebody sees to an alert; returns whether one of that id stands. Without a reason, an
    /// earlier one stays.
    async fn acknowledge(&self, alert: &str, manual: &Manual, now: Timestamp) -> Result<bool, StoreError>;

    /// Silences an alert until an instant, or lifts its silence (`until` in the past); returns whether it stands.
    async fn silence(&self, alert: &str, silence: &Silence, now: Timestamp) -> Result<bool, StoreError>;

    /// Returns what became of alerts, newest first: of one, or of all; at most `most`.
    async fn alert_history(&self, alert: Option<&str>, most: u32) -> Result<Vec<AlertNews>, StoreError>;
}
