//! Examples for models: feature sets joined by cutoff and enrolment, with labels where they are known.

use std::collections::BTreeSet;

use polars::prelude::*;

use super::features::catalogue;
use super::tables::lake_error;
use crate::domain::ids::TableName;
use crate::domain::lineage::{Basis, Part};
use crate::domain::outcome::JobError;
use crate::features::{CalendarClass, Stage};
use crate::jobs::kind::JobContext;
use crate::lake::Dataset;
use crate::ml::dataset::Rows;
use crate::ml::recipe::Recipe;
use crate::telemetry::spawn_blocking;

/// Examples as they were read.
pub(in crate::jobs) struct Examples {
    /// The rows.
    pub(in crate::jobs) rows: Rows,
    /// How their past is known: reconstructed as soon as that of any of them is.
    pub(in crate::jobs) basis: Basis,
    /// The snapshots they were read from.
    pub(in crate::jobs) inputs: Vec<String>,
}

/// The rows of one feature set.
struct FoundRows {
    rows: LazyFrame,
    basis: Basis,
    /// The snapshot that they are from.
    input: String,
}

/// A feature set, and the features that examples take from it.
type OwnFeatures = (TableName, Vec<String>);

impl JobContext {
    /// Reads the examples of a recipe: past courses with their labels, or those of the logical date. `None` when there are
    /// none.
    pub(in crate::jobs) async fn examples(&self, recipe: &Recipe, stage: Stage) -> Result<Option<Examples>, JobError> {
        let (features, sets) = self.features_of(recipe)?;
        let mut joined: Option<LazyFrame> = None;
        let mut basis = Basis::AsKnown;
        let mut inputs = Vec::new();
        for (set, columns) in sets {
            let Some(found) = self.examples_of_set(&set, stage).await? else { return Ok(None) };
            basis = basis.max(found.basis);
            inputs.push(found.input);
            joined = Some(match joined {
                None => found.rows,
                Some(before) => {
                    let on = [col("as_of"), col("enrollment_id")];
                    let own = columns.iter().map(|column| col(column.as_str()));
                    let rows = found.rows.select(on.iter().cloned().chain(own).collect::<Vec<_>>());
                    before.join(rows, on.clone(), on, JoinArgs::new(JoinType::Left))
                }
            });
        }
        let Some(mut joined) = joined else { return Ok(None) };
        if stage == Stage::Past {
            let Some((labels, input)) = self.labels(&recipe.label).await? else { return Ok(None) };
            inputs.push(input);
            joined = joined.join(labels, [col("enrollment_id")], [col("enrollment_id")], JoinArgs::new(JoinType::Left));
        }
        let label = recipe.label.clone();
        let rows = spawn_blocking(move || {
            let frame = joined.sort(["as_of", "enrollment_id"], SortMultipleOptions::default()).collect()?;
            Rows::of(&frame, &features, &label).map_err(anyhow::Error::from)
        })
        .await?;
        Ok((!rows.is_empty()).then_some(Examples { rows, basis, inputs }))
    }

    /// The rows of a feature set for one stage; for the current stage, those of the logical date.
    async fn examples_of_set(&self, set: &TableName, stage: Stage) -> Result<Option<FoundRows>, JobError> {
        let dataset = Dataset::feature_set(set);
        let snapshot = self.input.snapshot(dataset.as_str()).ok_or_else(|| no_dataset(&dataset))?;
        let input = format!("{dataset}@{}", snapshot.snapshot);
        let mut found = self.parts_of_stage(&dataset, stage).await?.unwrap_or_default();
        if stage == Stage::Current {
            let date = self.input.logical_date.to_string();
            let built_for = found.first().map(|(_, name)| name.as_of.clone());
            found.retain(|(_, name)| name.as_of == date);
            if let Some(other) = built_for.filter(|_| found.is_empty()) {
                return Err(other_date(&dataset, &other, self));
            }
        }
        let basis = found.iter().map(|(_, name)| name.basis).max().unwrap_or(Basis::AsKnown);
        let parts: Vec<Part> = found.into_iter().map(|(part, _)| part).collect();
        let rows = self.environment.lake.rows(&dataset, &parts).await.map_err(lake_error)?;
        Ok(rows.map(|rows| FoundRows { rows, basis, input }))
    }

    /// The labels, each with when it became known, and the snapshot that they are from.
    async fn labels(&self, label: &str) -> Result<Option<(LazyFrame, String)>, JobError> {
        let dataset = Dataset::label(&label.parse().map_err(JobError::fail)?);
        let Some(manifest) = self.manifest(&dataset).await? else { return Ok(None) };
        let rows = self.environment.lake.rows(&dataset, &manifest.parts).await.map_err(lake_error)?;
        let columns = [col("enrollment_id"), col(label), col("known_at")];
        Ok(rows.map(|rows| (rows.select(columns), format!("{dataset}@{}", manifest.id()))))
    }

    /// Returns those of the recipe's features that only say how far a course has come: they move with the calendar.
    pub(in crate::jobs) fn calendar_features(&self, recipe: &Recipe) -> Result<BTreeSet<String>, JobError> {
        let catalogue = catalogue(self)?;
        let mut found = BTreeSet::new();
        for name in &recipe.sets {
            let columns = &catalogue.features(name).map_err(JobError::fail)?.contract.columns;
            let calendar = columns.iter().filter(|(_, column)| column.class == CalendarClass::Calendar);
            found.extend(calendar.map(|(name, _)| name.clone()));
        }
        Ok(found)
    }

    /// The recipe's features, and for each set the features that come from it.
    fn features_of(&self, recipe: &Recipe) -> Result<(Vec<String>, Vec<OwnFeatures>), JobError> {
        let catalogue = catalogue(self)?;
        let mut features: Vec<String> = Vec::new();
        let mut sets = Vec::new();
        for name in &recipe.sets {
            let set = catalogue.features(name).map_err(JobError::fail)?;
            let mut own = Vec::new();
            for feature in set.contract.features() {
                let is_number = set.contract.columns.get(feature).is_some_and(|column| {
                    use crate::domain::table::ColumnType::{Bool, Float, Int};
                    matches!(column.kind, Int | Float | Bool)
                });
                let is_new = !features.iter().any(|known| known == feature)
                    && !recipe.leave_out.iter().any(|out| out == feature);
                if is_number && is_new {
                    features.push(feature.to_owned());
                    own.push(feature.to_owned());
                }
            }
            sets.push((set.name.clone(), own));
        }
        Ok((features, sets))
    }
}

/// Current features are valid for one date: those built for another do not say who is enrolled on this one.
fn other_date(dataset: &Dataset, built_for: &str, cx: &JobContext) -> JobError {
    let (dag, date) = (&cx.input.dag, cx.input.logical_date);
    JobError::Fail(anyhow::anyhow!(
        "`{dataset}` is built for {built_for}, not for {date}: run the whole night of that date (`nocturne run {dag} --date {date}`)"
    ))
}

fn no_dataset(dataset: &Dataset) -> JobError {
    JobError::Fail(anyhow::anyhow!(
        "`{dataset}` was never built: put its set into a `build_features` job before this one"
    ))
}
