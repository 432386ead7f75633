//! What jobs leave for later jobs of their run and for the report: each fact with its name, its type and its origin.
//!
//! A fact is a small JSON value in the outcome of the job that leaves it, so it is stored and may be read by a later
//! version of the program. Its name and its type are defined once, here: what is left is what is read.

use std::marker::PhantomData;

use anyhow::Context as _;
use jiff::Timestamp;
use jiff::civil::Date;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::published::{PublishedDrift, PublishedEvaluation};
use crate::domain::check::CheckOutcome;
use crate::domain::ids::JobName;
use crate::domain::outcome::{JobError, Outcome, Reason};
use crate::domain::quarantine::Ledger;
use crate::jobs::kind::JobContext;
use crate::report::view::{DriftView, FlaggedTerm, QualityView, TableNights, TableView, Verdict};

/// The tables as `canvas_pull` left them.
pub(in crate::jobs) const TABLES: Fact<Vec<TableView>> = Fact::new("tables");
/// The date that a `canvas_pull` was for.
pub(in crate::jobs) const PULL_DATE: Fact<Date> = Fact::new("pull_date");
/// What the snapshots and cursors of a part of a `canvas_pull` do not record.
pub(in crate::jobs) const PULL_PROGRESS: Fact<Progress> = Fact::new("pull_progress");
/// The quality checks as `quality_check` sums them up for the report.
pub(in crate::jobs) const QUALITY: Fact<QualityView> = Fact::new("quality");
/// Every quality check, for `quality.json`.
pub(in crate::jobs) const CHECKS: Fact<Vec<CheckOutcome>> = Fact::new("quality_checks");
/// Drift as `drift_report` sums it up for the report.
pub(in crate::jobs) const DRIFT: Fact<DriftView> = Fact::new("drift");
/// What `drift_report` publishes of the distances that it measured, for `drift.json`.
pub(in crate::jobs) const DRIFT_FIGURES: Fact<PublishedDrift> = Fact::new("published_drift");
/// The rows of each table against what is usual, as `quality_check` knows it.
pub(in crate::jobs) const EXPECTED_ROWS: Fact<Vec<TableNights>> = Fact::new("expected_rows");
/// The kind that pulls tables.
pub(in crate::jobs) const PULLS: &str = "canvas_pull";
/// The kind that trains models.
pub(in crate::jobs) const TRAINS_MODELS: &str = "train_model";
/// The kind that measures drift.
pub(in crate::jobs) const MEASURES_DRIFT: &str = "drift_report";
/// Why drift was not measured, where a job should have.
pub(in crate::jobs) const DRIFT_UNMEASURED: Fact<String> = Fact::new("drift_unmeasured");
/// The model that `train_model` could not train, and why.
pub(in crate::jobs) const UNTRAINED: Fact<Untrained> = Fact::new("untrained");
/// What `train_model` publishes of its evaluation, for `evaluation.json`.
pub(in crate::jobs) const EVALUATION: Fact<PublishedEvaluation> = Fact::new("published_evaluation");
/// The counts that `score` makes, by term.
pub(in crate::jobs) const FLAGGED: Fact<Vec<FlaggedTerm>> = Fact::new("flagged");

/// The night's verdict as `send_report` tells it.
pub(in crate::jobs) const VERDICT: Fact<Verdict> = Fact::new("verdict");

/// A fact: a value of the type `T` with a name.
pub(in crate::jobs) struct Fact<T> {
    name: &'static str,
    value: PhantomData<fn() -> T>,
}

impl<T> Fact<T> {
    const fn new(name: &'static str) -> Self {
        Self { name, value: PhantomData }
    }

    /// Returns the fact exactly as each job that left it in this run wrote it, for publication.
    pub(in crate::jobs) fn as_left<'a>(
        &'a self,
        cx: &'a JobContext,
    ) -> impl Iterator<Item = (&'a JobName, &'a serde_json::Value)> {
        cx.input.facts(self.name)
    }

    /// Returns the outcome of the first job of this run that left the fact.
    pub(in crate::jobs) fn job<'a>(&self, cx: &'a JobContext) -> Option<&'a Outcome> {
        cx.input
            .jobs
            .iter()
            .filter_map(|job| job.outcome.as_ref())
            .find(|outcome| outcome.facts.contains_key(self.name))
    }
}

impl<T: Serialize> Fact<T> {
    /// Leaves the fact in an outcome.
    pub(in crate::jobs) fn leave(&self, outcome: &mut Outcome, value: &T) -> Result<(), JobError> {
        let value = serde_json::to_value(value).with_context(|| format!("writing the fact `{}`", self.name))?;
        outcome.facts.insert(self.name.to_owned(), value);
        Ok(())
    }
}

impl<T: DeserializeOwned> Fact<T> {
    /// Returns the fact of the first job of this run that left it.
    pub(in crate::jobs) fn read(&self, cx: &JobContext) -> Result<Option<T>, JobError> {
        let Some((job, value)) = cx.input.facts(self.name).next() else { return Ok(None) };
        let read = serde_json::from_value(value.clone())
            .with_context(|| format!("reading what `{job}` left as `{}`", self.name))?;
        Ok(Some(read))
    }

    /// Returns the fact of every job of this run that left it, with the job.
    pub(in crate::jobs) fn by_job<'a>(&self, cx: &'a JobContext) -> Result<Vec<(&'a JobName, T)>, JobError> {
        let outcomes = cx.input.jobs.iter().filter_map(|job| Some((&job.name, job.outcome.as_ref()?)));
        outcomes.filter_map(|(job, outcome)| Some(self.of(outcome).transpose()?.map(|fact| (job, fact)))).collect()
    }

    /// Returns the fact of every job of this run that left it.
    pub(in crate::jobs) fn all(&self, cx: &JobContext) -> Result<Vec<T>, JobError> {
        let outcomes = cx.input.jobs.iter().filter_map(|job| job.outcome.as_ref());
        outcomes.filter_map(|outcome| self.of(outcome).transpose()).collect()
    }

    /// Returns the fact that an outcome holds.
    pub(in crate::jobs) fn of(&self, outcome: &Outcome) -> Result<Option<T>, JobError> {
        let Some(value) = outcome.facts.get(self.name) else { return Ok(None) };
        let read = serde_json::from_value(value.clone())
            .with_context(|| format!("reading the fact `{}` of an earlier outcome", self.name))?;
        Ok(Some(read))
    }
}

/// How far a `canvas_pull` has got with a part of its outcome.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::jobs) struct Progress {
    /// The delivery's time.
    pub(in crate::jobs) at: Timestamp,
    /// The table; `None`: the delivery itself.
    pub(in crate::jobs) table: Option<String>,
    /// The time up to which the source had been taken in before this run.
    pub(in crate::jobs) taken_before: Option<Timestamp>,
    /// The versions that were opened.
    pub(in crate::jobs) opened: u64,
    /// The versions that were closed.
    pub(in crate::jobs) closed: u64,
    /// The rows as they were delivered.
    #[serde(default)]
    pub(in crate::jobs) delivered: u64,
    /// Of them those whose key came again later in the same delivery.
    #[serde(default)]
    pub(in crate::jobs) duplicates: u64,
    /// The rows that were held back.
    pub(in crate::jobs) held_back: u64,
    /// The rows before this run.
    pub(in crate::jobs) rows_before: Option<u64>,
    /// The ledger of the rows that wait, before this run.
    #[serde(default)]
    pub(in crate::jobs) ledger_before: Ledger,
}

/// Returns the tables as the run's pulls left them, and of each whether that was on an earlier night. Of a table that several
/// jobs pulled the last one tells.
pub(in crate::jobs) fn pulled_tables(cx: &JobContext) -> Result<Vec<(TableView, IsRepeated)>, JobError> {
    let mut tables: Vec<(TableView, IsRepeated)> = Vec::new();
    for outcome in cx.input.jobs.iter().filter_map(|job| job.outcome.as_ref()) {
        let is_repeated = IsRepeated(earlier_night(outcome, cx).is_some());
        for table in TABLES.of(outcome)?.unwrap_or_default() {
            tables.retain(|(known, _)| known.name != table.name);
            tables.push((table, is_repeated));
        }
    }
    Ok(tables)
}

/// Returns how commands name the night: `nightly.2026-11-20`, its newest run.
pub(in crate::jobs) fn night_of(cx: &JobContext) -> String {
    format!("{}.{}", cx.input.dag, cx.input.logical_date)
}

/// Returns the model that a job of the DAG is about, where its parameters name one.
pub(in crate::jobs) fn model_of<'a>(cx: &'a JobContext, job: &JobName) -> Option<&'a str> {
    cx.input.dag_params.get(job)?.get("model")?.as_str()
}

/// Whether what a job left is repeated from an earlier night.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::jobs) struct IsRepeated(pub(in crate::jobs) bool);

/// The night in which an outcome was made, if it is repeated from an earlier one.
pub(in crate::jobs) fn earlier_night(outcome: &Outcome, cx: &JobContext) -> Option<Date> {
    let is_repeated = outcome.reason == Some(Reason::UpToDate);
    outcome.made_for.filter(|date| is_repeated && *date != cx.input.logical_date)
}

/// A model that could not be trained yet.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::jobs) struct Untrained {
    /// The model.
    pub(in crate::jobs) model: String,
    /// Why, in words.
    pub(in crate::jobs) why: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fact_that_is_left_is_read_as_it_was() {
        let mut outcome = Outcome::default();
        let date = jiff::civil::date(2026, 11, 20);

        PULL_DATE.leave(&mut outcome, &date).unwrap();

        assert_eq!(PULL_DATE.of(&outcome).unwrap(), Some(date));
        assert_eq!(outcome.facts["pull_date"], "2026-11-20");
    }

    #[test]
    fn a_fact_of_another_form_is_an_error_that_names_it() {
        let mut outcome = Outcome::default();
        outcome.facts.insert("pull_date".to_owned(), serde_json::json!(7));

        let error = PULL_DATE.of(&outcome).unwrap_err().to_string();

        assert!(error.contains("`pull_date`"), "{error}");
        assert_eq!(FLAGGED.of(&outcome).unwrap(), None);
    }
}
