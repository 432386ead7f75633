//! Compares two runs: how their jobs ended, and which rows, shares of nulls, figures and predictions changed.
//!
//! The basis of a run is each dataset's last snapshot that was current when the run ended, or its own where it was for
//! an earlier date. Counts of predictions are hidden when small, as counts of people are.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context as _;
use polars::prelude::{DataFrame, JoinArgs, JoinType, col, len};
use serde::Serialize;

use super::App;
use crate::domain::ids::{JobName, RunId, SnapshotId};
use crate::domain::job::JobView;
use crate::domain::measurement::{Measurement, People};
use crate::domain::outcome::SnapshotRef;
use crate::domain::run::JobState;
use crate::lake::{self, Dataset};
use crate::telemetry::spawn_blocking;

/// Two runs, side by side: only what differs.
#[derive(Debug, Default, Serialize)]
pub struct Comparison {
    /// Jobs that ended differently.
    pub jobs: Vec<JobChange>,
    /// Datasets with another snapshot.
    pub datasets: Vec<DatasetChange>,
    /// Figures with another value.
    pub figures: Vec<FigureChange>,
    /// Models whose predictions changed.
    pub predictions: Vec<PredictionChange>,
}

/// A job that ended differently; `None` where a run does not have it.
#[derive(Debug, Serialize)]
pub struct JobChange {
    /// The job.
    pub job: JobName,
    /// How it ended in the first run.
    pub before: Option<JobState>,
    /// How it ended in the second.
    pub after: Option<JobState>,
}

/// A dataset with another snapshot.
#[derive(Debug, Serialize)]
pub struct DatasetChange {
    /// Its key.
    pub dataset: String,
    /// Rows in the first run's snapshot, where it had one.
    pub rows_before: Option<u64>,
    /// Rows in the second's.
    pub rows_after: Option<u64>,
    /// Columns whose share of nulls differs.
    pub nulls: Vec<NullChange>,
}

/// A column whose share of nulls differs; `None` where a snapshot does not have it.
#[derive(Debug, Serialize)]
pub struct NullChange {
    /// The column.
    pub column: String,
    /// The share before, from 0 to 1.
    pub before: Option<f64>,
    /// The share after.
    pub after: Option<f64>,
}

/// A figure with another value; `None` where a run does not have it.
#[derive(Debug, Serialize)]
pub struct FigureChange {
    /// Its name with its dimensions, such as `model.auc model=at_risk`.
    pub figure: String,
    /// The value before.
    pub before: Option<f64>,
    /// The value after.
    pub after: Option<f64>,
}

/// Predictions of one model that changed, counted as people are: `None` for fewer than 10.
#[derive(Debug, Serialize)]
pub struct PredictionChange {
    /// The dataset of the predictions.
    pub dataset: String,
    /// How many both runs have.
    pub in_both: Option<u64>,
    /// How many of them are in another band.
    pub other_band: Option<u64>,
}

/// Shares of nulls that differ by less are not shown.
const SMALLEST_SHARE: f64 = 1e-6;

impl App {
    /// Compares two runs.
    ///
    /// # Errors
    /// When the state store or the lake cannot be read.
    pub async fn compare(&self, before: &RunId, after: &RunId) -> anyhow::Result<Comparison> {
        let (jobs_before, jobs_after) = (self.store.jobs(before).await?, self.store.jobs(after).await?);
        let mut comparison = Comparison {
            jobs: jobs(&jobs_before, &jobs_after),
            figures: figures(&jobs_before, &jobs_after),
            ..Comparison::default()
        };
        let (stood, stands) =
            (self.store.snapshots_at_end_of(before).await?, self.store.snapshots_at_end_of(after).await?);
        let names: BTreeSet<&String> = stood.keys().chain(stands.keys()).collect();
        for name in names {
            let (before, after) = (stood.get(name), stands.get(name));
            if before.map(|found| &found.snapshot) == after.map(|found| &found.snapshot) {
                continue;
            }
            let (dataset, change) = self.dataset_change(name, before, after).await?;
            comparison.datasets.push(change);
            if let (true, Some(before), Some(after)) = (dataset.is_predictions(), before, after) {
                comparison.predictions.push(self.prediction_change(&dataset, &before.snapshot, &after.snapshot).await?);
            }
        }
        Ok(comparison)
    }

    async fn dataset_change(
        &self,
        name: &str,
        before: Option<&SnapshotRef>,
        after: Option<&SnapshotRef>,
    ) -> anyhow::Result<(Dataset, DatasetChange)> {
        let dataset = Dataset::parse(name)?;
        let shares_before = self.null_shares(&dataset, before).await?;
        let shares_after = self.null_shares(&dataset, after).await?;
        let columns: BTreeSet<&String> = shares_before.keys().chain(shares_after.keys()).collect();
        let nulls = columns.into_iter().filter_map(|column| {
            let (before, after) = (shares_before.get(column).copied(), shares_after.get(column).copied());
            let differs = match (before, after) {
                (Some(before), Some(after)) => (before - after).abs() > SMALLEST_SHARE,
                _ => !shares_before.is_empty() && !shares_after.is_empty(),
            };
            differs.then(|| NullChange { column: column.clone(), before, after })
        });
        let nulls = nulls.collect();
        let rows = |found: Option<&SnapshotRef>| found.map(|found| found.rows);
        let change =
            DatasetChange { dataset: name.to_owned(), rows_before: rows(before), rows_after: rows(after), nulls };
        Ok((dataset, change))
    }

    /// Returns the share of nulls in each column of a snapshot.
    async fn null_shares(
        &self,
        dataset: &Dataset,
        snapshot: Option<&SnapshotRef>,
    ) -> anyhow::Result<BTreeMap<String, f64>> {
        let Some(snapshot) = snapshot else { return Ok(BTreeMap::new()) };
        let counted = self.of_snapshot(dataset, &snapshot.snapshot, |frame| Ok(frame.null_count())).await?;
        let Some(counts) = counted else { return Ok(BTreeMap::new()) };
        let mut shares = BTreeMap::new();
        for column in counts.columns() {
            let nulls: f64 = column.get(0)?.try_extract().unwrap_or_default();
            shares.insert(column.name().to_string(), nulls / (snapshot.rows.max(1) as f64));
        }
        Ok(shares)
    }

    async fn prediction_change(
        &self,
        dataset: &Dataset,
        before: &SnapshotId,
        after: &SnapshotId,
    ) -> anyhow::Result<PredictionChange> {
        let manifest = self.lake.manifest(dataset, before).await?;
        let paths = self.lake.local_parts(dataset, &manifest.parts).await?;
        let keys = ["enrollment_id", "course_id"];
        let joined = self
            .of_snapshot(dataset, after, move |frame| {
                let bands = |frame: polars::prelude::LazyFrame| frame.select([col(keys[0]), col(keys[1]), col("band")]);
                let earlier = bands(lake::scan(&paths)?);
                let on = keys.map(col);
                let both = bands(frame).join(earlier, on.clone(), on, JoinArgs::new(JoinType::Inner));
                Ok(both.select([len().alias("both"), col("band").neq(col("band_right")).sum().alias("other")]))
            })
            .await?;
        let count = |name: &str| -> anyhow::Result<Option<u64>> {
            let Some(frame) = &joined else { return Ok(None) };
            let counted: u64 = frame.column(name)?.get(0)?.try_extract().context("counting predictions")?;
            Ok(People::new(counted).shown())
        };
        Ok(PredictionChange { dataset: dataset.to_string(), in_both: count("both")?, other_band: count("other")? })
    }

    /// Runs a query on a snapshot's rows; `None` where it has no parts.
    async fn of_snapshot(
        &self,
        dataset: &Dataset,
        snapshot: &SnapshotId,
        ask: impl FnOnce(polars::prelude::LazyFrame) -> polars::prelude::PolarsResult<polars::prelude::LazyFrame>
        + Send
        + 'static,
    ) -> anyhow::Result<Option<DataFrame>> {
        let manifest = self.lake.manifest(dataset, snapshot).await?;
        if manifest.parts.is_empty() {
            return Ok(None);
        }
        let paths = self.lake.local_parts(dataset, &manifest.parts).await?;
        let answer = spawn_blocking(move || lake::scan(&paths).and_then(ask).and_then(|frame| frame.collect())).await;
        Ok(Some(answer.with_context(|| format!("reading {dataset}@{snapshot}"))?))
    }
}

fn jobs(before: &[JobView], after: &[JobView]) -> Vec<JobChange> {
    let states = |jobs: &[JobView]| -> BTreeMap<JobName, JobState> {
        jobs.iter().map(|job| (job.name.clone(), job.state)).collect()
    };
    let (before, after) = (states(before), states(after));
    let names: BTreeSet<&JobName> = before.keys().chain(after.keys()).collect();
    let change = |name: &JobName| JobChange {
        job: name.clone(),
        before: before.get(name).copied(),
        after: after.get(name).copied(),
    };
    names.into_iter().map(change).filter(|change| change.before != change.after).collect()
}

fn figures(before: &[JobView], after: &[JobView]) -> Vec<FigureChange> {
    let values = |jobs: &[JobView]| -> BTreeMap<String, f64> {
        let outcomes = jobs.iter().filter_map(|job| job.outcome.as_ref());
        outcomes.flat_map(|outcome| &outcome.measurements).map(|one| (named(one), one.value)).collect()
    };
    let (before, after) = (values(before), values(after));
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let change = |name: &String| FigureChange {
        figure: name.clone(),
        before: before.get(name).copied(),
        after: after.get(name).copied(),
    };
    names.into_iter().map(change).filter(|change| change.before != change.after).collect()
}

fn named(measurement: &Measurement) -> String {
    let dimensions: Vec<String> =
        measurement.dimensions.iter().map(|(name, value)| format!("{name}={value}")).collect();
    format!("{} {}", measurement.name, dimensions.join(" ")).trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::outcome::Outcome;

    fn view(job: &str, state: JobState, auc: f64) -> JobView {
        let measurements = vec![Measurement::new("model.auc", auc).of("model", "at_risk")];
        let outcome = Outcome { measurements, ..Outcome::default() };
        let view = serde_json::json!({
            "name": job, "kind": "command", "state": state, "attempts": 1, "started_at": null, "finished_at": null,
            "outcome": outcome, "error": null
        });
        serde_json::from_value(view).unwrap()
    }

    #[test]
    fn what_differs_between_the_jobs_of_two_runs_is_told() {
        let before = [view("train", JobState::Succeeded, 0.81), view("pull", JobState::Succeeded, 0.81)];
        let after = [view("train", JobState::Failed, 0.79)];

        let (jobs, figures) = (jobs(&before, &after), figures(&before, &after));

        let ends: Vec<_> = jobs.iter().map(|one| (one.job.as_str(), one.before, one.after)).collect();
        assert_eq!(
            ends,
            [("pull", Some(JobState::Succeeded), None), ("train", Some(JobState::Succeeded), Some(JobState::Failed))]
        );
        assert_eq!(figures.len(), 1);
        assert_eq!(
            (figures[0].figure.as_str(), figures[0].before, figures[0].after),
            ("model.auc model=at_risk", Some(0.81), Some(0.79))
        );
    }
}
