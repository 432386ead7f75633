//! How bodies read what is committed: tables as inputs of features, datasets as frames.
//!
//! A body reads the snapshots that its input names, never "the latest", so that it reads the same at every try.

use std::collections::BTreeMap;

use anyhow::Context as _;
use jiff::Timestamp;
use jiff::civil::Date;
use polars::prelude::{PolarsResult, col};

use crate::canvas::contracts::Contracts;
use crate::domain::fingerprint::DependsOn;
use crate::domain::freshness::{Rhythm, complete_through, is_late};
use crate::domain::ids::TableName;
use crate::domain::lineage::Manifest;
use crate::domain::outcome::{JobError, SnapshotRef};
use crate::domain::schedule::parse_zone;
use crate::domain::table::TableContract;
use crate::features::{Inputs, PartFile, TableInput};
use crate::jobs::kind::JobContext;
use crate::lake::{Dataset, LakeError};
use crate::telemetry::spawn_blocking;

/// What the logical date is called in a [`DependsOn`].
pub(in crate::jobs) const DATE: &str = "the logical date";

/// Returns a lake error as a job's: another try helps where the store may recover.
pub(in crate::jobs) fn lake_error(error: LakeError) -> JobError {
    if error.is_transient() { JobError::retry(error) } else { JobError::fail(error) }
}

/// Returns the part of a course's code that stays from term to term: all but a last word that names a term, which is a
/// year with a letter (`2013B`, `2026F`) or one or two letters before two digits (`FA26`). `MATH 2010` and `MAT 21A` name
/// no term.
fn series(code: &str) -> &str {
    let code = code.trim();
    let (start, word) = match code.rfind(['-', '_', ' ']) {
        Some(at) if at > 0 => (&code[..at], &code[at + 1..]),
        _ => return code,
    };
    let letters = word.chars().filter(|c| c.is_alphabetic()).count();
    let digits: String = word.chars().filter(char::is_ascii_digit).collect();
    let is_made_of_both = letters > 0 && word.chars().count() == letters + digits.len();
    let has_year = digits.len() == 4 && (digits.starts_with("19") || digits.starts_with("20")) && letters <= 2;
    let is_short = digits.len() == 2 && letters <= 2 && word.ends_with(&digits);
    if is_made_of_both && (has_year || is_short) { start.trim_end() } else { code }
}

impl JobContext {
    /// Returns the contracts of all sources' tables that have a snapshot, each with its snapshot.
    pub(in crate::jobs) fn tables(&self) -> Result<Vec<(TableContract, SnapshotRef)>, JobError> {
        let mut found: Vec<(TableContract, SnapshotRef)> = Vec::new();
        for source in self.environment.config.sources.values() {
            let contracts =
                Contracts::load(&source.extra, source.contracts.as_deref()).map_err(|m| JobError::Fail(m.into()))?;
            for contract in contracts.iter() {
                let snapshot = self.input.snapshot(Dataset::table(&contract.name).as_str());
                if let Some(snapshot) = snapshot.filter(|_| !found.iter().any(|(known, _)| known.name == contract.name))
                {
                    found.push((contract.clone(), snapshot.clone()));
                }
            }
        }
        if found.is_empty() {
            return Err(JobError::Fail(anyhow::anyhow!("no table was ever pulled: run a `canvas_pull` first")));
        }
        Ok(found)
    }

    /// Returns the tables' snapshots, as what an outcome depends on.
    pub(in crate::jobs) fn table_inputs(&self) -> Result<DependsOn, JobError> {
        Ok(self.tables()?.iter().fold(DependsOn::default(), |inputs, (contract, snapshot)| {
            inputs.with(format!("table `{}`", contract.name), &snapshot.snapshot)
        }))
    }

    /// Returns the champion of `model`, as what an outcome depends on.
    pub(in crate::jobs) fn champion_input(&self, model: &TableName) -> DependsOn {
        let version = self.input.champion(model.as_str()).map_or("none", |champion| champion.version.as_str());
        DependsOn::default().with(format!("the champion of `{model}`"), version)
    }

    /// Returns the manifest of the snapshot that the input names; `None` when the dataset has none.
    pub(in crate::jobs) async fn manifest(&self, dataset: &Dataset) -> Result<Option<Manifest>, JobError> {
        let Some(reference) = self.input.snapshot(dataset.as_str()) else { return Ok(None) };
        self.environment.lake.manifest(dataset, &reference.snapshot).await.map(Some).map_err(lake_error)
    }

    /// Returns all tables as inputs of features.
    pub(in crate::jobs) async fn feature_inputs(&self) -> Result<Inputs, JobError> {
        let mut inputs = Vec::new();
        for (contract, reference) in self.tables()? {
            let dataset = Dataset::table(&contract.name);
            let manifest = self.environment.lake.manifest(&dataset, &reference.snapshot).await.map_err(lake_error)?;
            let paths = self.environment.lake.local_parts(&dataset, &manifest.parts).await.map_err(lake_error)?;
            let first_known_at = manifest
                .instant("first_known_at")
                .with_context(|| format!("the manifest of `{dataset}` does not say when it was first known"))?;
            let parts = manifest.parts.into_iter().zip(paths).map(|(part, local)| PartFile { part, local }).collect();
            inputs.push(TableInput { contract, first_known_at, parts });
        }
        Ok(Inputs::new(inputs))
    }

    /// Returns, by course, the series that it belongs to: what is taught again each term.
    pub(in crate::jobs) async fn course_series(&self) -> Result<BTreeMap<i64, String>, JobError> {
        let codes = self.texts_by_id("courses", "course_code").await?;
        let series = codes.into_iter().map(|(id, code)| (id, series(&code).to_owned()));
        Ok(series.filter(|(_, series)| !series.is_empty()).collect())
    }

    /// Returns the names of the terms, by their ids; empty where the source has no such table.
    pub(in crate::jobs) async fn term_names(&self) -> Result<BTreeMap<i64, String>, JobError> {
        self.texts_by_id("enrollment_terms", "name").await
    }

    /// Returns a text column of a table's current rows, by their ids; empty where the table was never pulled.
    async fn texts_by_id(&self, table: &str, column: &'static str) -> Result<BTreeMap<i64, String>, JobError> {
        let dataset = Dataset::table(&table.parse().map_err(JobError::fail)?);
        let Some(manifest) = self.manifest(&dataset).await? else { return Ok(BTreeMap::new()) };
        let rows = self.environment.lake.current_rows(&dataset, &manifest).await.map_err(lake_error)?;
        let Some(rows) = rows else { return Ok(BTreeMap::new()) };
        let read = spawn_blocking(move || {
            let frame = rows.select([col("id"), col(column)]).collect()?;
            let (ids, texts) = (frame.column("id")?.i64()?.clone(), frame.column(column)?.str()?.clone());
            PolarsResult::Ok(
                ids.iter().zip(texts.iter()).filter_map(|(id, text)| Some((id?, text?.to_owned()))).collect(),
            )
        });
        Ok(read.await.with_context(|| format!("reading the column `{column}` of `{table}`"))?)
    }

    /// Returns the id of the pseudonym key under which the tables were made.
    pub(in crate::jobs) async fn privacy_key_id(&self) -> Result<Option<String>, JobError> {
        let Some((contract, _)) = self.tables()?.into_iter().next() else { return Ok(None) };
        Ok(self.manifest(&Dataset::table(&contract.name)).await?.and_then(|manifest| manifest.privacy_key_id))
    }
}

/// How new a table is in this night.
pub(in crate::jobs) struct TableAge {
    /// The last day through the end of which it is complete; `None` where nothing was delivered.
    pub(in crate::jobs) complete_through: Option<Date>,
    /// How often it is delivered.
    pub(in crate::jobs) rhythm: Rhythm,
    /// Whether it is older than it should be.
    pub(in crate::jobs) is_late: bool,
}

/// Returns how new a table is whose newest delivery was taken at `delivered_at`.
///
/// # Errors
/// When the night's zone is not known.
pub(in crate::jobs) fn table_age(
    cx: &JobContext,
    table: &str,
    delivered_at: Option<Timestamp>,
) -> Result<TableAge, JobError> {
    let limits = &cx.environment.config.quality;
    let rhythm = limits.rhythm.get(table).copied().unwrap_or_default();
    let zone = parse_zone(&cx.input.timezone).map_err(JobError::fail)?;
    let complete_through = delivered_at.and_then(|at| complete_through(at, &zone));
    let is_late =
        complete_through.is_none_or(|through| is_late(through, cx.input.logical_date, rhythm, limits.fresh_days));
    Ok(TableAge { complete_through, rhythm, is_late })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_course_code_without_the_word_for_its_term_is_its_series() {
        let codes = ["BBB-2013B", "STAT 210 2026F", "ECON_101_FA26", "BIO 101", "MATH 2010", "MAT 21A", "Latin", "-x"];

        let found = codes.map(series);

        assert_eq!(found, ["BBB", "STAT 210", "ECON_101", "BIO 101", "MATH 2010", "MAT 21A", "Latin", "-x"]);
    }
}
