//! Examples for models: feature sets joined by cutoff and enrolment, with labels where they are known.

use std::collections::BTreeSet;

use polars::prelude::*;

use super::features::{AS_OF, BASIS, STAGE, catalogue};
use crate::domain::ids::TableName;
use crate::domain::lineage::Part;
use crate::domain::outcome::JobError;
use crate::features::CalendarClass;
use crate::jobs::kind::JobContext;
use crate::lake::{self, Dataset};
use crate::ml::dataset::Rows;
use crate::ml::recipe::Recipe;
use crate::telemetry::spawn_blocking;

/// Which examples are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::jobs) enum Wanted {
    /// Those of past courses, with their labels.
    Past,
    /// Those of the logical date.
    Current,
}

/// Examples as they were read.
pub(in crate::jobs) struct Examples {
    /// The rows.
    pub(in crate::jobs) rows: Rows,
    /// Whether any of them was reconstructed.
    pub(in crate::jobs) is_reconstructed: bool,
    /// The snapshots they were read from.
    pub(in crate::jobs) inputs: Vec<String>,
}

/// A feature set, and the features that examples take from it.
type OwnFeatures = (TableName, Vec<String>);

impl JobContext {
    /// Reads the examples of a recipe; `None` when there are none.
    pub(in crate::jobs) async fn examples(
        &self,
        recipe: &Recipe,
        wanted: Wanted,
    ) -> Result<Option<Examples>, JobError> {
        let stage = if wanted == Wanted::Past { "past" } else { "current" };
        let (features, sets) = self.features_of(recipe)?;
        let mut joined: Option<LazyFrame> = None;
        let mut is_reconstructed = false;
        let mut inputs = Vec::new();
        for (name, columns) in sets {
            let dataset = Dataset::feature_set(&name);
            let manifest = self.manifest(&dataset).await?.ok_or_else(|| no_dataset(&dataset))?;
            inputs.push(format!("{dataset}@{}", manifest.id()));
            let mut parts: Vec<Part> = manifest.parts;
            parts.retain(|part| part.partition.get(STAGE).is_some_and(|found| found == stage));
            if wanted == Wanted::Current {
                let date = self.input.logical_date.to_string();
                let built_for = parts.first().and_then(|part| part.partition.get(AS_OF).cloned());
                parts.retain(|part| part.partition.get(AS_OF) == Some(&date));
                if let Some(other) = built_for.filter(|_| parts.is_empty()) {
                    return Err(other_date(&dataset, &other, self));
                }
            }
            is_reconstructed |=
                parts.iter().any(|part| part.partition.get(BASIS).is_some_and(|basis| basis == "reconstructed"));
            if parts.is_empty() {
                return Ok(None);
            }
            let paths = self.environment.lake.local_parts(&dataset, &parts).await.map_err(super::tables::lake_error)?;
            let rows = lake::scan(&paths).map_err(|error| JobError::Fail(error.into()))?;
            joined = Some(match joined {
                None => rows,
                Some(before) => {
                    let keep: Vec<Expr> = ["as_of", "enrollment_id"]
                        .iter()
                        .map(|key| col(*key))
                        .chain(columns.iter().map(|c| col(c.as_str())))
                        .collect();
                    let on = [col("as_of"), col("enrollment_id")];
                    before.join(rows.select(keep), on.clone(), on, JoinArgs::new(JoinType::Left))
                }
            });
        }
        let Some(mut joined) = joined else { return Ok(None) };
        if wanted == Wanted::Past {
            let name = recipe.label.parse().map_err(JobError::fail)?;
            let dataset = Dataset::label(&name);
            let Some(manifest) = self.manifest(&dataset).await? else { return Ok(None) };
            inputs.push(format!("{dataset}@{}", manifest.id()));
            if manifest.parts.is_empty() {
                return Ok(None);
            }
            let paths = self
                .environment
                .lake
                .local_parts(&dataset, &manifest.parts)
                .await
                .map_err(super::tables::lake_error)?;
            let labels = lake::scan(&paths).map_err(|error| JobError::Fail(error.into()))?;
            let labels = labels.select([col("enrollment_id"), col(recipe.label.as_str()), col("known_at")]);
            joined = joined.join(labels, [col("enrollment_id")], [col("enrollment_id")], JoinArgs::new(JoinType::Left));
        }
        let label = recipe.label.clone();
        let rows = spawn_blocking(move || {
            let frame = joined.sort(["as_of", "enrollment_id"], SortMultipleOptions::default()).collect()?;
            Rows::of(&frame, &features, &label).map_err(anyhow::Error::from)
        })
        .await?;
        Ok((!rows.is_empty()).then_some(Examples { rows, is_reconstructed, inputs }))
    }

    /// Returns those of the recipe's features that only say how far a course is: they move with the calendar.
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

    /// The recipe's features, and of each set the features that come from it.
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

/// Those in progress are known as of one date: what was built for another says nothing of who is enrolled on this one.
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
