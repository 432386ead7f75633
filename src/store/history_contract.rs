//! The part of the contract that reads what was measured on earlier nights; a commit writes it (`measurements`).

use async_trait::async_trait;
use jiff::civil::Date;

use super::error::StoreError;
use crate::domain::ids::DagName;
use crate::domain::measurement::{HistoryWanted, PastMeasurement};

/// What was measured on earlier nights. A part of the contract of [`super::StateStore`].
#[async_trait]
pub trait Measurements: Send + Sync {
    /// Returns what `dag` measured for dates before `before`, as far back as `wanted` says, the oldest date first. Of
    /// several measurements for one date the newest counts.
    async fn history(
        &self,
        dag: &DagName,
        wanted: HistoryWanted,
        before: Date,
    ) -> Result<Vec<PastMeasurement>, StoreError>;
}
